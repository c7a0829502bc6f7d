// What is wrong with how a page is laid out, as anybody would see it. Both functions run in the page.

/**
 * Texts that are cut off, stick out of their box, stand in a column too narrow for them, or lie on top of each other.
 *
 * @returns {string[]}
 */
export function layoutProblems() {
  const problems = new Set();
  const { clientWidth, scrollWidth } = document.documentElement;
  if (scrollWidth > clientWidth) problems.add(`the page is ${scrollWidth} px wide on a screen of ${clientWidth} px`);

  const dialog = document.querySelector('dialog:modal');
  const walker = document.createTreeWalker(dialog ?? document.body, NodeFilter.SHOW_TEXT);
  const pieces = [];
  while (walker.nextNode()) {
    const { data, parentElement: element } = walker.currentNode;
    const text = data.trim();
    if (!text || element.closest('.visually-hidden, .username, .phase') || !element.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const lines = [...range.getClientRects()];
    const widest = Math.max(...lines.map(({ width }) => width));
    if (lines.length > 4 && widest < 6 * parseFloat(getComputedStyle(element).fontSize)) problems.add(`"${text}" is squeezed into ${lines.length} lines`);
    for (const { left, right, top, bottom } of lines) {
      if (right - left < 1) continue;
      if (left < -1 || right > clientWidth + 1) problems.add(`"${text}" is cut off by the edge of the screen`);
      const box = element.closest('button, a, .button, dd, .row, .card, dialog, body');
      const outer = box.getBoundingClientRect();
      if (left < outer.left - 1 || right > outer.right + 1) problems.add(`"${text}" sticks out of its ${box.localName} by ${Math.round(Math.max(outer.left - left, right - outer.right))} px`);
      if (box.matches('button, .button') && (top < outer.top - 1 || bottom > outer.bottom + 1)) problems.add(`"${text}" is higher than its ${box.localName}`);
      // The upper and lower parts of a line are empty and may well touch those of the next one.
      const quarter = (bottom - top) / 4;
      pieces.push({ text, node: walker.currentNode, left: left + 1, right: right - 1, top: top + quarter, bottom: bottom - quarter });
    }
  }
  pieces.forEach((one, index) => {
    for (const other of pieces.slice(index + 1)) {
      if (one.node === other.node) continue;
      if (one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom) problems.add(`"${one.text}" and "${other.text}" lie on top of each other`);
    }
  });

  const count = document.querySelector('input.count');
  if (count?.checkVisibility() && count.scrollWidth > count.clientWidth) problems.add(`"${count.value}" does not fit into its field`);
  return [...problems];
}

/**
 * Texts that move anything when they take the place of what is there now.
 *
 * @param {Record<string, string[]>} texts that may come, by the id of the element that they come in
 * @returns {string[]}
 */
export function jumps(texts) {
  const ground = [...document.querySelectorAll('#work *, #history-title')].filter((element) => element.checkVisibility());
  const places = () => ground.map((element) => Math.round(element.getBoundingClientRect().top));
  const problems = [];
  for (const [id, alternatives] of Object.entries(texts)) {
    const changing = document.getElementById(id);
    const usual = changing.textContent;
    const others = ground.map((element) => !element.contains(changing) && !changing.contains(element) && element.parentElement !== changing.parentElement);
    const before = places();
    for (const text of alternatives) {
      changing.textContent = text;
      places().forEach((place, index) => {
        if (others[index] && place !== before[index]) problems.push(`"${text}" in #${id} moves ${ground[index].id || ground[index].className || ground[index].localName} by ${place - before[index]} px`);
      });
    }
    changing.textContent = usual;
  }
  return problems;
}

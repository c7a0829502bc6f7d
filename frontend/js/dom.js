// The few things that every view does with the document.

/**
 * An element that index.html is known to have. The tests open every view, so a wrong id or type shows there.
 *
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new TypeError(`index.html has no ${type.name} #${id}`);
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} className
 * @param {...(string | Node)} children strings become text, never markup
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** One of the symbols at the top of index.html. @param {string} name @returns {SVGSVGElement} */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  svg.classList.add('icon');
  svg.setAttribute('aria-hidden', 'true');
  return svg;
}

/** Changes a text only where it differs, so that nothing is laid out or read out again. @param {Element} target @param {string} text */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Has the room kept that the longest text which may come will need; see style.css. @param {Element} target @param {string} text */
export function setRoom(target, text) {
  const parent = target.parentElement;
  if (parent && parent.dataset.room !== text) parent.dataset.room = text;
}

/**
 * A button that is busy keeps the focus, which `disabled` would take away; whoever listens to
 * it checks `isBusy` first.
 *
 * @param {HTMLButtonElement} button
 * @param {boolean} busy
 */
export function setBusy(button, busy) {
  if (busy) button.setAttribute('aria-disabled', 'true');
  else button.removeAttribute('aria-disabled');
}

/** @param {HTMLButtonElement} button @returns {boolean} */
export function isBusy(button) {
  return button.hasAttribute('aria-disabled');
}

/**
 * Has a press on what is around a dialog close it. The dialog itself is what an event there says it
 * is about, but also what one on its empty parts does, or the end of a drag: only the place tells.
 *
 * @param {HTMLDialogElement} dialog
 */
export function closeFromOutside(dialog) {
  let startedOutside = false;
  /** @param {MouseEvent} event */
  const isOutside = ({ target, clientX: x, clientY: y }) => {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    return target === dialog && (x < left || x > right || y < top || y > bottom);
  };
  dialog.addEventListener('pointerdown', (event) => (startedOutside = isOutside(event)));
  dialog.addEventListener('click', (event) => startedOutside && isOutside(event) && dialog.close());
}

/** Shows what is wrong at a field, or that nothing is. @param {Element} input @param {Element} problem @param {string} text */
export function setProblem(input, problem, text) {
  setText(problem, text);
  if (text) input.setAttribute('aria-invalid', 'true');
  else input.removeAttribute('aria-invalid');
}

/** A live region is not heard in the instant in which it appears, or in which a dialog that covered it goes. */
const ANNOUNCE_AFTER_MS = 100;
/** What is to be said next. @type {string[]} */
let unsaid = [];
let saying = 0;

/** Has a screen reader say something when it is done with what it is saying. @param {string} text */
export function announce(text) {
  if (unsaid.length === 0) saying = setTimeout(sayAll, ANNOUNCE_AFTER_MS);
  if (!unsaid.includes(text)) unsaid.push(text);
}

/** Takes back what was said and what was to be said: it is nothing for whoever signs in next. */
export function hush() {
  clearTimeout(saying);
  unsaid = [];
  for (const each of document.querySelectorAll('.announcer')) each.textContent = '';
}

function sayAll() {
  const text = unsaid.join(' ');
  unsaid = [];
  // Behind a modal dialog everything is inert, live regions too; so each dialog has one of its own.
  const announcer = document.querySelector('dialog[open] .announcer') ?? byId('announcer', HTMLElement);
  // The same words twice in a row would not be a change, and so not be read.
  const spoken = announcer.textContent === text ? `${text}\u00a0` : text;
  for (const each of document.querySelectorAll('.announcer')) each.textContent = each === announcer ? spoken : '';
}

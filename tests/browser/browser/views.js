// How every state of the page is looked at: at each size of window and of text that people have, in each of the fonts.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { jumps, layoutProblems } from './layout.js';
import { font, isLong } from './page.js';

const PICTURES = fileURLToPath(new URL('../../../.local/screenshots/', import.meta.url));
mkdirSync(PICTURES, { recursive: true });

const desktop = { width: 1280, height: 800 };
const phone = { width: 390, height: 844 };
/** Text in percent of what browsers begin with. */
const views = [
  { name: 'desktop', viewport: desktop, text: 100 },
  { name: 'desktop-large-text', viewport: desktop, text: 200 },
  { name: 'phone', viewport: phone, text: 100 },
  { name: 'phone-large-text', viewport: phone, text: 200 },
  // The narrowest screen that is still about.
  { name: 'narrow', viewport: { width: 320, height: 568 }, text: 100 },
];
/** Not only is this the sooner part; what else axe looks at has no colour. */
const CONTRAST = ['color-contrast'];

/** Checks a state that the page is in, and leaves pictures of it. @param {import('./page.js').Tab} tab @param {string} state */
export async function look(tab, state) {
  await tab.isSettled();
  await inEveryView(tab, async (view) => {
    assert.deepEqual(await tab.page.evaluate(layoutProblems), [], `${state}, ${view.name}, ${font} font`);
    if (isLong) await inBothColours(tab, view, (scheme) => lookLong(tab, view, `${state}-${font}-${view.name}-${scheme}`));
    else if (font === 'own' && view.name === 'desktop') await inBothColours(tab, view, (scheme) => tab.isAccessible(scheme === 'dark' ? CONTRAST : undefined));
  });
}

/** Checks that none of these texts moves what is around it. @param {import('./page.js').Tab} tab @param {Record<string, string[]>} texts */
export async function nothingJumps(tab, texts) {
  await inEveryView(tab, async (view) => {
    assert.deepEqual(await tab.page.evaluate(jumps, texts), [], `${view.name}, ${font} font`);
  });
}

async function lookLong(tab, view, name) {
  const height = await tab.page.evaluate(() => document.documentElement.scrollHeight);
  await show(tab, { ...view, viewport: { ...view.viewport, height: Math.max(height, view.viewport.height) } });
  // Playwright's own way of taking a picture would have the browser forget how large the text is to be.
  const developer = await tab.page.context().newCDPSession(tab.page);
  const { data } = await developer.send('Page.captureScreenshot');
  await developer.detach();
  writeFileSync(`${PICTURES}${name}.png`, data, 'base64');
  await tab.isAccessible();
}

async function inEveryView(tab, check) {
  for (const view of views) {
    await show(tab, view);
    await check(view);
  }
  await show(tab, views[0]);
}

async function show(tab, { viewport, text }) {
  await tab.page.setViewportSize(viewport);
  const developer = await tab.page.context().newCDPSession(tab.page);
  await developer.send('Page.setFontSizes', { fontSizes: { standard: (16 * text) / 100, fixed: (13 * text) / 100 } });
  await developer.detach();
  await tab.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
}

async function inBothColours(tab, view, check) {
  for (const colorScheme of ['dark', 'light']) {
    await tab.page.emulateMedia({ colorScheme });
    // The browser has forgotten how large the text is to be.
    await show(tab, view);
    // Colours fade in.
    await tab.isSettled();
    await check(colorScheme);
  }
}

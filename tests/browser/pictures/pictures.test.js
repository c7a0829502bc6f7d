// Takes the pictures in docs/, of the page as it is on the stack: the forms, on a desktop and a phone, a task at work, and one
// of which some failed.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { pageTest } from '../browser/page.js';

const DOCS = fileURLToPath(new URL('../../../docs/', import.meta.url));
/** So many pixels has each of the page's: screens have them. */
const SCALE = 2;
const desktop = { width: 1100, height: 680 };
const phone = { width: 390, height: 780 };
/** Of WebP: none is seen to be missing, and a picture has 60 KB at most. */
const QUALITY = 70;

const people = ['Ann', 'Bo', 'Cy', 'Di', 'Ed', 'Flo', 'Gil', 'Hal'].map((name) => `${name} Example,${name.toLowerCase()}@example.com`);
const file = ['Name,E-mail', ...people, ...Array.from({ length: 1_192 }, (_, row) => `Person ${row},person-${row}@example.com`)].join('\n');

pageTest('the form for numbered items', async (tab) => {
  await tab.openAndSignIn();
  await tab.reaches('Start a task');
  await take(tab, 'form-numbered-desktop', desktop);
  await take(tab, 'form-numbered-phone', phone);
});

pageTest('the form for an import', async (tab) => {
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await tab.chooseFile(file);
  await tab.says('1,200 rows.');
  await take(tab, 'form-import-desktop', desktop);
  await take(tab, 'form-import-phone', phone);
});

pageTest('a task at work', async (tab) => {
  await tab.user.finish(await tab.user.start(10));
  await tab.user.cancel(await tab.user.start(500));
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await tab.chooseFile(['Name,E-mail', ...people].join('\n'));
  await tab.button('Start').click();
  await tab.reaches('Finished');
  await tab.button('Start another').click();
  await tab.choose('Tuned long-running task');
  await tab.start(100);
  await tab.reaches('Running');
  await tab.percentReaches(30);
  await take(tab, 'page', desktop);
});

pageTest('what failed', async (tab) => {
  const wrong = ['Ivy Example,ivy at example.com', 'Jo Example,jo@example', 'Kit Example,kit@@example.com'];
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await tab.chooseFile([file, ...wrong].join('\n'));
  await tab.button('Start').click();
  await tab.reaches('Failed');
  await take(tab, 'failed-phone', phone);
  await tab.button('See items').click();
  await tab.page.getByRole('dialog').getByText('ivy at example.com').first().waitFor();
  await take(tab, 'items-desktop', { width: 960, height: 640 }, '#details');
});

/**
 * As far down as the card goes, or the sheet.
 *
 * @param {import('../browser/page.js').Tab} tab
 * @param {string} name
 * @param {{ width: number, height: number }} screen
 * @param {string} [subject]
 */
async function take(tab, name, screen, subject = '#work') {
  // Nothing is pointed at, and whoever is signed in has a name that is not another one each time.
  await tab.page.mouse.move(0, 0);
  await tab.page.locator('#username').evaluate((username) => (username.textContent = 'ann'));
  await tab.page.setViewportSize(screen);
  const height = await tab.page.locator(subject).evaluate((card) => Math.ceil(card.getBoundingClientRect().bottom) + 24);
  await tab.page.setViewportSize({ ...screen, height });
  await tab.isSettled();
  const developer = await tab.page.context().newCDPSession(tab.page);
  const { data } = await developer.send('Page.captureScreenshot', { format: 'webp', quality: QUALITY, clip: { x: 0, y: 0, width: screen.width, height, scale: SCALE } });
  await developer.detach();
  writeFileSync(`${DOCS}${name}.webp`, data, 'base64');
}

// As many contacts as a task may have, from a file to their table. It keeps the emulator busy, so nothing else runs meanwhile.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { pageTest } from '../page.js';
import { PATIENCE_MS, eventually, reconfigureWorker } from '../stack.js';

const COUNT = 10_000;
/** Each of these is none in a way of its own. */
const BAD = [
  (row) => `nobody-${row}`, (row) => `nobody-${row}@`, (row) => `@nobody-${row}.example.com`, (row) => `nobody-${row}@localhost`, (row) => `no body-${row}@example.com`,
  (row) => `nobody-${row}@@example.com`, (row) => `nobody-${row}@example..com`, (row) => `nobody..${row}@example.com`, (row) => `nobody-${row}@example.com>`, (row) => `${'x'.repeat(65)}-${row}@example.com`,
];
/** Rows all over the file: in some chunks there are several, in most of them none. */
const BAD_ROWS = Array.from({ length: 37 }, (_, place) => (place * place * 7 + 3) % COUNT);

// The emulator takes some 25 ms to write the row of a task of 100 chunks, and does nothing else meanwhile. The leases and slices
// of the other tests, who wait for them to run out, would have it do so most of the time; so would showing how all chunks get on.
let restore = async () => {};
before(async () => { restore = await reconfigureWorker({ LEASE_SECONDS: '50', SLICE_SECONDS: '60', PROGRESS_INTERVAL_MS: '2000' }, 150); });
after(() => restore());

pageTest('of 10,000 contacts in a file 37 are told to be wrong, and all are in their table once those are corrected', async (tab) => {
  const rows = Array.from({ length: COUNT }, (_, row) => ({ name: `Person ${row}`, email: `person-${row}@example.com` }));
  BAD_ROWS.forEach((row, place) => (rows[row].email = BAD[place % BAD.length](row)));
  const bad = rows.filter((_, row) => BAD_ROWS.includes(row));
  assert.equal(bad.length, 37);
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await tab.chooseFile(['Name,E-mail', ...rows.map(({ name, email }) => `${name},${email}`)].join('\n'));
  await tab.says('10,000 rows.');
  await tab.button('Start').click();
  await tab.reaches('Running');
  await tab.heading('Failed').waitFor({ timeout: 2 * PATIENCE_MS });
  await tab.says('37 of 10,000 items failed. See which ones and why, then start another task.');
  await eventually(async () => assert.equal(await tab.textOf('task-failed'), '37 failed'));
  await tab.button('See items').click();
  const sheet = tab.page.getByRole('dialog', { name: '10,000 items' });
  const failed = sheet.locator('.items-section', { hasText: '37 failed' });
  await eventually(async () => assert.equal(await failed.locator('tbody tr').count(), 37));
  const told = await failed.locator('tbody tr').evaluateAll((shown) => shown.map((row) => [row.querySelector('th').textContent, row.querySelector('.reason').textContent]));
  assert.deepEqual(told, bad.map(({ email }) => [email, `“${email}” is no e-mail address: correct it and try again.`]));
  const good = rows.filter((row) => !bad.includes(row));
  assert.equal(good.length, 9_963);
  assert.deepEqual(await tab.user.contacts(), new Map(good.map(({ name, email }) => [email, name])));

  // What failed is taken away, corrected and sent again.
  const { text, lines } = await tab.downloads('Download what failed');
  assert.equal(lines, 1 + 37);
  await tab.downloads('Download results', 1 + COUNT);
  await sheet.getByRole('button', { name: 'Close' }).click();
  await tab.button('Start another').click();
  let corrected = 0;
  const [head, ...wrong] = text.trimEnd().split('\r\n');
  const right = wrong.map((line) => line.replace(/^(\d+),.*?,failed,(Person \d+),/, (_, index, name) => `${index},,failed,${name},corrected-${corrected++}@example.com;`).replace(/;.*$/, ',,,'));
  await tab.choose('Import contacts');
  await tab.chooseFile([head, ...right].join('\r\n'), 'corrected.csv');
  await tab.says('37 rows.');
  await tab.button('Start').click();
  await tab.reaches('Finished');
  const corrections = bad.map(({ name }, place) => [`corrected-${place}@example.com`, name]);
  assert.deepEqual(await tab.user.contacts(), new Map([...good.map(({ name, email }) => [email, name]), ...corrections]));
});

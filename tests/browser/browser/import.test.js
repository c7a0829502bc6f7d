// A file of rows becomes a task: what is looked at before it is sent, and what the server says of which row.

import assert from 'node:assert/strict';

import { IMPORT, pageTest } from './page.js';
import { eventually } from './stack.js';

const csv = (rows, head = 'Name;E-Mail;Phone') => `\ufeff${[head, ...rows].join('\r\n')}`;
const people = (count) => Array.from({ length: count }, (_, row) => `Person ${row};person-${row}@example.com;${row}`);

pageTest('a file is looked at by row before it is sent, and by the server after', async (tab) => {
  tab.expectNoise('the server responded with a status of 400', IMPORT);
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  const submits = tab.requests('POST', IMPORT);
  await tab.button('Start').click();
  await tab.says('Choose a file first.');
  await tab.chooseFile('Ann,ann@example.com\n');
  await tab.says(/^The first row has to name the columns: /);
  await tab.chooseFile(csv(['Ann;ann@example.com;1', ';bo@example.com;2', `${'x'.repeat(201)};cy@example.com;3`]));
  await tab.says('2 rows need attention. Correct the file, then choose it again.');
  await tab.says('3 rows. Not used: Phone.');
  await tab.says('Use 200 characters at most.');
  await tab.isAccessible();
  await tab.button('Start').click();
  await eventually(async () => assert.equal(await tab.page.evaluate(() => document.activeElement.className), 'rows-shown'));
  assert.equal(submits.length, 0);
  await tab.chooseFile(csv([...people(20), 'Twice;PERSON-3@example.com;']));
  await tab.says('21 rows. Not used: Phone.');
  await tab.button('Start').click();
  await tab.says('Rows 4 and 21 have the same value here.');
  const row = tab.page.locator('.rows-shown tbody tr');
  assert.equal(await row.count(), 1);
  assert.match(await row.innerText(), /^21\s+(?=[\s\S]*Twice)[\s\S]*PERSON-3@example\.com/);
  assert.equal(submits.length, 1);
});

pageTest('a file that is dropped on the card is imported, and the results have the columns of the schema', async (tab) => {
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await tab.page.evaluate((text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], 'dropped.csv', { type: 'text/csv' }));
    for (const type of ['dragover', 'drop']) document.getElementById('start-title').dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }, csv(['Ann;ann@example.com;1', 'Bo;no address;2', 'Cy;cy@example.com;3']));
  await tab.says('dropped.csv');
  await tab.button('Start').click();
  await tab.reaches('Failed');
  assert.equal(await tab.textOf('task-job'), 'Import contacts');
  await tab.page.locator('#history-rows').getByText('Import contacts').waitFor();
  await tab.button('See items').click();
  const sheet = tab.page.getByRole('dialog', { name: '3 items' });
  await sheet.getByText('“no address” is no e-mail address: correct it and try again.').waitFor();
  await sheet.getByRole('columnheader', { name: 'E-mail' }).waitFor();
  const done = sheet.locator('.items-section').last().locator('tbody tr');
  await eventually(async () => assert.deepEqual((await done.allInnerTexts()).map((text) => text.split(/\s+/).sort()), [['Ann', 'ann@example.com', 'ann@example.com'], ['Cy', 'cy@example.com', 'cy@example.com']]));
  await tab.isAccessible();
});

pageTest('what failed is taken away as a file that goes back in as it was, and is tried again', async (tab) => {
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  const start = async (text) => {
    await tab.chooseFile(text, 'contacts.csv');
    await tab.says(/^\d rows?\./);
    await tab.button('Start').click();
  };
  await start('Name,E-mail\n"=HYPERLINK(""x"")",nobody\nBo,bo@example.com\n"C, D",-cd\n');
  await tab.reaches('Failed');
  await tab.button('See items').click();
  const sheet = tab.page.getByRole('dialog', { name: '3 items' });
  await tab.isAccessible();
  const failed = await tab.downloads('Download what failed');
  assert.match(failed.called, /^import-contacts-failed-[0-9a-f]{12}\.csv$/);
  const lines = failed.text.split('\r\n');
  assert.match(lines[1], /^0,nobody,failed,"'=HYPERLINK\(""x""\)",nobody,,,/);
  assert.match(lines[2], /^2,'-cd,failed,"C, D",'-cd,,,/);
  assert.equal((await tab.downloads('Download results')).lines, 1 + 3);

  await sheet.getByRole('button', { name: 'Try the 2 again' }).click();
  const question = tab.page.getByRole('dialog', { name: 'Try the 2 again?' });
  await tab.says('A new task tries the 2 items that failed, with what they were given the first time. The 1 that is done stays as it is.');
  await tab.isAccessible();
  await question.getByRole('button', { name: 'Not now' }).click();
  await sheet.getByRole('button', { name: 'Try the 2 again' }).click();
  await question.getByRole('button', { name: 'Try again' }).click();
  await tab.says('2 of 2 items failed. See which ones and why, then start another task.');
  await tab.button('See items').click();
  await tab.page.getByRole('dialog', { name: '2 items' }).getByRole('button', { name: 'See the earlier try' }).click();
  await tab.heading('3 items').waitFor();
  await sheet.getByRole('button', { name: 'Close' }).click();

  // Corrected in the file, what failed is imported.
  await tab.button('Start another').click();
  await start(failed.text.replaceAll("'-cd", 'cd@example.com').replaceAll('nobody', 'ann@example.com'));
  await tab.reaches('Finished');
  assert.deepEqual(await tab.user.contacts(), new Map([
    ['ann@example.com', '=HYPERLINK("x")'], ['bo@example.com', 'Bo'], ['cd@example.com', 'C, D'],
  ]));
});

pageTest('rows are pasted from a spreadsheet', async (tab) => {
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await tab.page.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', 'E-mail\tName\nann@example.com\tAnn\n');
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }));
  });
  await tab.says('Pasted rows');
  await tab.says('1 row.');
});

pageTest('10,000 rows are shown within a second, and nobody who types notices', async (tab) => {
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await tab.page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => (window.longest = Math.max(window.longest, duration)))).observe({ type: 'longtask' });
  });
  const took = await tab.page.evaluate(async (text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], 'large.csv'));
    const startedAt = performance.now();
    document.getElementById('start-title').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
    while (!document.querySelector('.rows-shown tbody tr')) await new Promise((resolve) => requestAnimationFrame(resolve));
    return performance.now() - startedAt;
  }, csv(people(10_000)));
  await tab.says('10,000 rows. Not used: Phone.');
  // Many times what it takes alone on a machine, for the tests are not.
  assert.ok(took < 5_000, `it took ${took} ms`);
  const longest = await tab.page.evaluate(() => window.longest);
  assert.ok(longest < 1_000, `for ${longest} ms nothing else went on`);
});

pageTest('more rows than a task may have items are told of at once, and not sent', async (tab) => {
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  const submits = tab.requests('POST', IMPORT);
  await tab.chooseFile(csv(people(10_001)));
  await tab.says('10,001 rows. Not used: Phone.');
  await tab.says('There may be 10,000 at most.');
  await tab.button('Start').click();
  await tab.focusIsOn('job-2-field-1');
  assert.equal(submits.length, 0);
  await tab.chooseFile(csv(people(10_000)));
  await tab.says('10,000 rows. Not used: Phone.');
  await eventually(async () => assert.equal(await tab.page.getByText('There may be').count(), 0));
});

pageTest('what was chosen is not there for whoever signs in next', async (tab) => {
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await tab.chooseFile(csv(people(3)), 'private.csv');
  await tab.says('3 rows.');
  await tab.button('Sign out').click();
  await forgets(tab);
  await tab.signIn();
  await tab.reaches('Start a task');
  await forgets(tab);
});

pageTest('what is still being read when somebody signs out is not heard of afterwards', async (tab) => {
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await tab.page.evaluate(() => {
    const read = Blob.prototype.arrayBuffer;
    Blob.prototype.arrayBuffer = async function () {
      await new Promise((resolve) => (window.goOn = resolve));
      return read.call(this);
    };
  });
  await tab.chooseFile(csv(people(3)), 'private.csv');
  await tab.says('Reading …');
  await tab.button('Sign out').click();
  await tab.page.evaluate(() => window.goOn());
  await forgets(tab);
});

pageTest('what is yet to be announced when somebody signs out is not', async (tab) => {
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await tab.page.evaluate(async (text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], 'private.csv'));
    document.getElementById('start-title').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
    while (!document.querySelector('.rows-shown tbody tr')) await new Promise((resolve) => setTimeout(resolve));
    document.getElementById('sign-out').click();
  }, csv(people(3)));
  await forgets(tab);
});

/** Nothing tells of the file, not even to a screen reader, when all is said that is to be. @param {import('./page.js').Tab} tab */
async function forgets(tab) {
  const told = tab.page.locator('#announcer', { hasText: 'You are signed out.' });
  if (await tab.button('Sign in').isVisible()) await told.waitFor({ state: 'attached' });
  // Longer than an announcement waits.
  await tab.page.waitForTimeout(300);
  assert.equal(await tab.page.getByText('private.csv').count(), 0);
}

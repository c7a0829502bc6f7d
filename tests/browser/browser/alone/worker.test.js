// Items that take long, and items that fail: the worker is told so, for everybody, so nothing else runs meanwhile.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { STATUS, pageTest } from '../page.js';
import { eventually, reconfigureWorker } from '../stack.js';

let restore = async () => {};
before(async () => { restore = await reconfigureWorker({ ITEM_SECONDS: '5', ITEMS_IN_FLIGHT: '10', FAIL_EVERY: '5' }); });
after(() => restore());

pageTest('while nothing changes, polls are answered without a body, and the page stays as it is', async (tab) => {
  await tab.page.clock.install();
  await tab.openAndSignIn();
  const polls = tab.requests('GET', STATUS);
  const announced = await tab.announcements();
  await tab.start(4);
  await tab.reaches('Running');
  // For the page time flies, for the items it does not.
  await eventually(async () => {
    await tab.page.clock.runFor(2_000);
    const statuses = await Promise.all(polls.map(async ({ request }) => (await request.response())?.status()));
    assert.ok(statuses.includes(304), `answers: ${statuses.join(', ')}`);
  });
  assert.equal(await tab.heading('Running').isVisible(), true);
  assert.equal(await tab.textOf('task-note'), '');
  await tab.reaches('Finished');
  assert.ok((await announced()).every((text) => !text.includes('server')), 'it is no trouble');
}, { live: false });

pageTest('failed items come first, with their reason, and the task says what to do', async (tab) => {
  await tab.openAndSignIn();
  await tab.start(20);
  await tab.reaches('Failed');
  await tab.says('4 of 20 items failed. See which ones and why, then start another task.');
  await eventually(async () => assert.equal(await tab.textOf('task-failed'), '4 failed'));
  assert.equal(await tab.textOf('task-percent'), '80');
  assert.equal(await tab.page.title(), 'Failed · Longhaul');
  await tab.button('See items').click();
  const sheet = tab.page.getByRole('dialog', { name: '20 items' });
  const items = sheet.locator('.values tbody tr');
  await eventually(async () => assert.equal(await items.count(), 20));
  assert.deepEqual(await sheet.getByRole('heading', { level: 3 }).allInnerTexts(), ['4 failed', '16 done']);
  assert.match(await items.first().innerText(), /Item 4[\s\S]*The sample fails one item in 5\./);
});

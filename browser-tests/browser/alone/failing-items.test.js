// Items that fail: the worker is told to fail one in five, for everybody, so nothing else runs meanwhile.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { pageTest } from '../page.js';
import { eventually, reconfigureWorker } from '../stack.js';
import { views } from '../views.js';

describe('one item in five fails', { concurrency: 3 }, () => {
  let restore = async () => {};
  before(async () => { restore = await reconfigureWorker({ FAIL_EVERY: '5', ITEMS_IN_FLIGHT: '4' }); });
  after(() => restore());

  pageTest('failed items come first, with their reason, and the task says what to do', async (tab) => {
    await tab.openAndSignIn();
    await tab.start(20);
    await tab.reaches('Failed', 60_000);
    await tab.says('4 of 20 items failed. See which ones and why, then start another task.');
    await eventually(async () => assert.equal(await tab.textOf('task-failed'), '4 failed'));
    assert.equal(await tab.textOf('task-percent'), '80');
    assert.equal(await tab.page.title(), 'Failed · Longhaul');
    await tab.button('See items').click();
    const sheet = tab.page.getByRole('dialog', { name: '20 items' });
    const items = sheet.getByRole('listitem');
    await eventually(async () => assert.equal(await items.count(), 20));
    assert.deepEqual(await sheet.getByRole('heading', { level: 3 }).allInnerTexts(), ['4 failed', '16 done']);
    assert.match(await items.first().innerText(), /Item 4[\s\S]*The sample fails one item in 5\./);
  });

  for (const { name, context, look } of views) {
    pageTest(`${name}: failed items`, async (tab) => {
      await tab.user.cancel(await tab.user.start(3));
      await tab.openAndSignIn();
      await tab.start(60);
      await tab.percentReaches(10);
      await eventually(async () => assert.notEqual(await tab.textOf('task-failed'), ''));
      await look(tab, 'running-with-failures');
      await tab.reaches('Failed', 60_000);
      await eventually(async () => assert.equal(await tab.textOf('task-percent'), '80'));
      await look(tab, 'failed');
      await tab.button('See items').click();
      await tab.page.getByRole('dialog').getByText('Item 49').waitFor();
      await look(tab, 'failed-items');
      await tab.page.keyboard.press('Escape');
      await tab.button('Start another').click();
      await look(tab, 'home');
    }, { context });
  }
});

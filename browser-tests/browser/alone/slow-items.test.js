// Items that take long: the worker is told so, for everybody, so nothing else runs meanwhile.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { STATUS, pageTest } from '../page.js';
import { eventually, reconfigureWorker } from '../stack.js';

describe('an item takes three seconds', () => {
  let restore = async () => {};
  before(async () => { restore = await reconfigureWorker({ ITEM_SECONDS: '3', ITEMS_IN_FLIGHT: '1' }); });
  after(() => restore());

  pageTest('while nothing changes, polls are answered without a body, and the page stays as it is', async (tab) => {
    await tab.openAndSignIn();
    const polls = tab.requests('GET', STATUS);
    const announced = await tab.announcements();
    await tab.start(3);
    await eventually(async () => {
      const statuses = await Promise.all(polls.map(async ({ request }) => (await request.response())?.status()));
      assert.ok(statuses.includes(304), `answers: ${statuses.join(', ')}`);
    });
    assert.equal(await tab.heading('Running').isVisible(), true);
    assert.equal(await tab.textOf('task-note'), '');
    await tab.reaches('Finished', 60_000);
    assert.ok((await announced()).every((text) => !text.includes('server')), 'it is no trouble');
  });
});

import assert from 'node:assert/strict';

import * as words from '../../../frontend/js/words.js';
import { API, ITEMS, LASTING, LIST, answer, pageTest } from './page.js';
import { eventually } from './stack.js';

pageTest('past tasks are listed newest first, with state, size and time, and older ones on demand', async (tab) => {
  for (let count = 1; count <= 12; count += 1) await tab.user.cancel(await tab.user.start(count * 100));
  await tab.openAndSignIn();
  const rows = tab.page.locator('#history-rows .row');
  await eventually(async () => assert.equal(await rows.count(), 10));
  assert.match(await rows.first().innerText(), /Cancelled 1,200 items[\s\S]*Today, \d\d:\d\d/);
  await tab.button('Show older tasks').click();
  await eventually(async () => assert.equal(await rows.count(), 12));
  assert.match(await rows.last().innerText(), /100 items/);
  assert.match(await tab.focused(), /200 items/, 'the focus is on the first of the older ones');
  assert.equal(await tab.button('Show older tasks').isVisible(), false);
});

pageTest('a task opens to its items, page after page, and closes to where one was', async (tab) => {
  await tab.user.finish(await tab.user.start(60));
  await tab.openAndSignIn();
  const row = tab.button(/^Finished/);
  await row.click();
  const sheet = tab.page.getByRole('dialog', { name: '60 items' });
  await sheet.getByRole('heading', { name: '60 done' }).waitFor();
  const items = sheet.locator('.values tbody tr');
  await eventually(async () => assert.equal(await items.count(), 50));
  assert.match(await items.first().innerText(), /^Item 0\s+Item 0\s+Description 0$/);
  await sheet.getByRole('button', { name: 'Show more' }).click();
  await eventually(async () => assert.equal(await items.count(), 60));
  assert.match(await tab.focused(), /^Item 50/);
  await tab.page.keyboard.press('Escape');
  await eventually(async () => assert.match(await tab.focused(), /^Finished/));
  await row.click();
  await sheet.getByRole('button', { name: 'Close' }).click();
  assert.equal(await sheet.isVisible(), false);
});

pageTest('a sheet closes by a press beside it, and by none on it', async (tab) => {
  await tab.user.finish(await tab.user.start(1));
  await tab.openAndSignIn();
  await tab.button(/^Finished/).click();
  const sheet = tab.page.getByRole('dialog', { name: '1 item' });
  await sheet.getByText('Description 0').waitFor();
  await tab.isSettled();
  const { x, y, width, height } = await sheet.boundingBox();
  const { mouse } = tab.page;
  const [empty, beside] = [[x + width / 2, y + height - 40], [x / 2, y + height / 2]];
  await mouse.click(...empty);
  // Text is selected from the sheet outwards, and back.
  for (const [from, to] of [[empty, beside], [beside, empty]]) {
    await mouse.move(...from);
    await mouse.down();
    await mouse.move(...to, { steps: 5 });
    await mouse.up();
  }
  assert.equal(await sheet.isVisible(), true);
  await mouse.click(...beside);
  await eventually(async () => assert.equal(await sheet.isVisible(), false));
});

pageTest('items that cannot be loaded can be asked for again', async (tab) => {
  tab.expectNoise('the server responded with a status of 500', API);
  await tab.user.finish(await tab.user.start(3));
  await tab.openAndSignIn();
  await tab.intercept('GET', ITEMS, answer(500, { message: 'Internal Server Error' }), 1);
  await tab.button(/^Finished/).click();
  await tab.says('The server has a problem. The items could not be loaded.');
  await tab.button('Try again').click();
  await eventually(async () => assert.equal(await tab.page.getByRole('dialog').locator('.values tbody tr').count(), 3));
});

pageTest('older tasks that cannot be loaded can be asked for again, and the complaint goes when they come', async (tab) => {
  tab.expectNoise('the server responded with a status of 500', API);
  for (let count = 1; count <= 11; count += 1) await tab.user.cancel(await tab.user.start(count));
  await tab.openAndSignIn();
  await tab.intercept('GET', LIST, answer(500, { message: 'Internal Server Error' }), 1);
  await tab.button('Show older tasks').click();
  const complaint = tab.page.getByText('The server has a problem. Older tasks could not be loaded.');
  await complaint.waitFor();
  await tab.button('Show older tasks').click();
  await eventually(async () => assert.equal(await tab.page.locator('#history-rows .row').count(), 11));
  assert.equal(await complaint.isVisible(), false);
});

for (const [before, listed] of [['nothing', 0], ['something', 2]]) {
  pageTest(`when more has happened than one look shows, the list goes on without a gap, to ${before}`, async (tab) => {
    await tab.page.clock.install();
    for (let count = 1; count <= listed; count += 1) await tab.user.cancel(await tab.user.start(count));
    await tab.openAndSignIn();
    const rows = tab.page.locator('#history-rows .row-size');
    const sizes = (from, to) => Array.from({ length: from - to + 1 }, (_, below) => words.items(from - below));
    await eventually(async () => assert.deepEqual(await rows.allInnerTexts(), sizes(listed, 1)));
    await tab.setHidden(true);
    for (let count = listed + 1; count <= 13; count += 1) await tab.user.cancel(await tab.user.start(count));
    await tab.page.clock.fastForward(20_000);
    await tab.setHidden(false);
    await eventually(async () => assert.deepEqual(await rows.allInnerTexts(), sizes(13, 4)));
    await tab.button('Show older tasks').click();
    await eventually(async () => assert.deepEqual(await rows.allInnerTexts(), sizes(13, 1)));
  }, { live: false });
}

pageTest('the sheet of a running task keeps to the server\'s clock', async (tab) => {
  await tab.page.clock.install({ time: Date.now() + 3_600_000 });
  await tab.openAndSignIn();
  await tab.start(LASTING);
  await tab.reaches('Running');
  await tab.button(/^Running/).click();
  const elapsed = tab.page.getByRole('dialog').locator('dd').nth(1);
  assert.match(await elapsed.innerText(), /^\d+ s$/);
  await tab.user.cancel(await tab.user.last());
});

pageTest('what an item says is shown as text, whatever it says', async (tab) => {
  await tab.user.finish(await tab.user.start(1));
  await tab.openAndSignIn();
  const markup = '<img src=x onerror="document.title=\'owned\'"><b>bold</b>';
  await tab.intercept('GET', ITEMS, async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    for (const item of body.data.items) Object.assign(item, { name: markup, output: { name: 'Item', description: markup } });
    return route.fulfill({ response, json: body });
  });
  await tab.button(/^Finished/).click();
  const item = tab.page.getByRole('dialog').locator('.values tbody tr');
  assert.equal(await item.locator('th').textContent(), markup);
  assert.equal(await item.locator('img, b').count(), 0);
});

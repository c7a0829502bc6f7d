import assert from 'node:assert/strict';

import { API, LASTING, STATUS, WATCHED, moving, pageTest } from './page.js';
import { eventually } from './stack.js';

pageTest('cancelling asks first, keeps what is done, and the next task can start at once', async (tab) => {
  await tab.openAndSignIn();
  await tab.start(LASTING);
  await eventually(async () => assert.ok(Number(await tab.textOf('task-percent')) > 0));
  await tab.button('Cancel task').click();
  await tab.focusIsOn('confirm-no');
  await tab.button('Keep it running').click();
  await tab.focusIsOn('cancel');
  assert.equal(await tab.heading('Running').isVisible(), true);
  await tab.button('Cancel task').click();
  await tab.page.getByRole('dialog').getByRole('button', { name: 'Cancel task' }).click();
  await tab.reaches('Cancelled');
  await tab.focusIsOn('again');
  await tab.says(new RegExp(`^Cancelled after \\d+ of ${LASTING} items\\. What was done is kept; start another when you like\\.$`));
  assert.equal(await tab.page.title(), 'Cancelled · Longhaul');
  await tab.button('Start another').click();
  await tab.start(1);
  await tab.reaches('Finished');
}, { context: moving });

pageTest('a cancel that gets no answer is seen to be under way, and its failure is told wherever one looks', async (tab) => {
  tab.expectNoise('net::ERR_CONNECTION_REFUSED', API);
  await tab.page.clock.install();
  await tab.openAndSignIn();
  await tab.start(LASTING);
  await tab.reaches('Running');
  const announced = await tab.announcements();
  await tab.intercept('DELETE', STATUS, (route) => route.abort('connectionrefused'), 8);
  const dialog = tab.page.getByRole('dialog');
  const failure = 'The server cannot be reached. The task was not cancelled, as far as is known.';
  // The page waits between its tries, and the task does not wait for it.
  const isTold = (where) => eventually(async () => {
    await tab.page.clock.runFor(1_000);
    assert.ok(await where.getByText(failure).filter({ visible: true }).first().isVisible());
  });
  await tab.button('Cancel task').click();
  await dialog.getByRole('button', { name: 'Cancel task' }).click();
  await dialog.getByRole('button', { name: 'Cancelling …' }).waitFor();
  await isTold(dialog);
  await dialog.getByRole('button', { name: 'Cancel task' }).click();
  await tab.page.keyboard.press('Escape');
  await tab.button('Cancelling …').waitFor();
  await isTold(tab.page);
  await eventually(async () => assert.ok((await announced()).some((text) => text.includes(failure))));
  await tab.button('Cancel task').click();
  await dialog.getByRole('button', { name: 'Cancel task' }).click();
  await tab.reaches('Cancelled');
});

pageTest('cancelling what has ended meanwhile shows how it ended', async (tab) => {
  tab.expectNoise('the server responded with a status of 409', API);
  await tab.openAndSignIn();
  await tab.start(WATCHED);
  await tab.reaches('Running');
  // The news must not reach the page before the button is pressed: the task takes longer than a poll that is under way.
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await tab.intercept('GET', STATUS, async (route) => {
    await held;
    return route.fallback();
  });
  await tab.button('Cancel task').click();
  await tab.user.finish(await tab.user.last());
  await tab.page.getByRole('dialog').getByRole('button', { name: 'Cancel task' }).click();
  await tab.says('The task had ended before it could be cancelled.');
  release();
  await tab.reaches('Finished');
}, { live: false });

pageTest('a question that has answered itself goes away', async (tab) => {
  await tab.openAndSignIn();
  const announced = await tab.announcements();
  await tab.start(WATCHED);
  await tab.reaches('Running');
  await tab.button('Cancel task').click();
  await tab.reaches('Finished');
  assert.equal(await tab.page.getByRole('dialog').isVisible(), false);
  await tab.focusIsOn('again');
  await eventually(async () => assert.match((await announced()).at(-1), /^Finished\./));
});

pageTest('what happens is also heard by whoever has a dialog open', async (tab) => {
  await tab.user.cancel(await tab.user.start(7));
  await tab.openAndSignIn();
  const announced = await tab.announcements();
  await tab.start(WATCHED);
  await tab.reaches('Running');
  await tab.button(/^Cancelled/).click();
  await tab.page.getByRole('dialog', { name: '7 items' }).waitFor();
  await eventually(async () => assert.match((await announced()).at(-1), /^Finished\./));
  assert.ok((await announced()).some((text) => /^\d\d percent done\.$/.test(text)), 'and the steps on the way');
});

// A tour through every state of the page, on a phone and on a desktop, light
// and dark: each one is checked with axe and for its width, and left as a
// picture in .local/screenshots for a person to look at.

import assert from 'node:assert/strict';

import * as words from '../../frontend/js/words.js';
import { API, COGNITO, CONFIG, ITEMS, LIST, STATUS, answer, pageTest } from './page.js';
import { eventually } from './stack.js';
import { narrowViews, views } from './views.js';

for (const { name, context, look } of views) {
  pageTest(`${name}: signing in`, async (tab) => {
    tab.expectNoise('the server responded with a status of 400', COGNITO);
    tab.expectNoise('the server responded with a status of 404', CONFIG);
    await tab.intercept('GET', CONFIG, answer(404, {}), 1);
    await tab.open();
    await tab.reaches('Longhaul cannot be reached');
    await look(tab, 'unavailable');
    await tab.button('Try again').click();
    await tab.reaches('Sign in');
    await look(tab, 'sign-in');
    await tab.signIn('Wrong-password-1');
    await tab.says('The username or the password is wrong.');
    await look(tab, 'wrong-password');
    await tab.signIn();
    await tab.reaches('Choose a password');
    await look(tab, 'new-password');
    await tab.page.getByLabel('New password').fill('short');
    await tab.cognitoRefusesOnce({ __type: 'InvalidPasswordException', message: 'Password did not conform with policy: Password not long enough' });
    await tab.button('Save and sign in').click();
    await tab.says('This password is too short.');
    await look(tab, 'new-password-refused');
  }, { context, user: { temporary: true } });

  pageTest(`${name}: a task from the form to its items`, async (tab) => {
    tab.expectNoise('net::ERR_INTERNET_DISCONNECTED', API);
    await tab.openAndSignIn();
    await look(tab, 'first-visit');
    await tab.count.fill('many');
    await look(tab, 'invalid-number');
    await tab.alterTasks((task) => Object.assign(task, { task_status: 'QUEUED', started_at: null, count_done_items: 0, done_percentage: 0, eta_seconds: null }));
    await tab.start(60);
    await tab.reaches('Waiting to start');
    await look(tab, 'waiting');
    await tab.page.unrouteAll({ behavior: 'wait' });
    await tab.percentReaches(30);
    await estimateKeepsToItsLine(tab);
    await look(tab, 'running');
    await tab.button('Cancel task').click();
    await look(tab, 'confirm-cancel');
    await tab.button('Keep it running').click();
    await tab.page.context().setOffline(true);
    await tab.says(/You are offline/);
    await look(tab, 'offline');
    await tab.page.context().setOffline(false);
    await tab.says('Connected again.');
    await look(tab, 'connected-again');
    await tab.reaches('Finished', 60_000);
    await eventually(async () => assert.equal(await tab.textOf('task-percent'), '100'));
    await look(tab, 'finished');
    await tab.button('See items').click();
    await tab.page.getByRole('dialog').getByText('Item 49').waitFor();
    await look(tab, 'items');
  }, { context });

  pageTest(`${name}: busy and cancelled`, async (tab) => {
    await tab.openAndSignIn();
    await tab.user.start(5_000);
    await tab.start(10);
    await tab.says(/You already have a task running/);
    await look(tab, 'busy');
    await tab.button('Cancel task').click();
    await tab.page.getByRole('dialog').getByRole('button', { name: 'Cancel task' }).click();
    await tab.reaches('Cancelled');
    await tab.barArrives();
    await look(tab, 'cancelled');
  }, { context });
}

for (const { name, context, look } of views) {
  pageTest(`${name}: troubles and long lists`, async (tab) => {
    for (const status of [400, 401, 500, 503]) tab.expectNoise(`the server responded with a status of ${status}`, API);
    tab.expectNoise('net::ERR_CONNECTION_REFUSED', API);
    for (let count = 1; count <= 24; count += 1) await tab.user.cancel(await tab.user.start(count * 37));
    await tab.openAndSignIn();
    await tab.button('Show older tasks').click();
    await eventually(async () => assert.equal(await tab.page.locator('#history-rows .row').count(), 20));
    await look(tab, 'long-history', { fullPage: true });
    await tab.intercept('GET', LIST, answer(500, {}), 1);
    await tab.button('Show older tasks').click();
    await tab.says(/Older tasks could not be loaded/);
    await tab.page.locator('#history-more').scrollIntoViewIfNeeded();
    await look(tab, 'older-failed');
    await tab.intercept('POST', API, (route) => route.abort('connectionrefused'), 4);
    await tab.start(1_000);
    await tab.says(/No answer yet/);
    await look(tab, 'submit-retry');
    await tab.says(/It is not known whether the task has started/);
    await look(tab, 'submit-unknown');
    await tab.button('Start').click();
    await tab.reaches('Running');
    await tab.percentReaches(1);
    await tab.intercept('GET', STATUS, answer(503, {}));
    await tab.says(/The server has a problem\. Your task goes on/);
    await look(tab, 'server-trouble');
    await tab.intercept('GET', ITEMS, answer(500, {}));
    await tab.button(/^Running/).click();
    await tab.says(/The items could not be loaded/);
    await look(tab, 'items-failed-to-load');
    await tab.page.keyboard.press('Escape');
    await tab.intercept('DELETE', STATUS, answer(503, {}), 4);
    await tab.button('Cancel task').click();
    await tab.page.getByRole('dialog').getByRole('button', { name: 'Cancel task' }).click();
    await look(tab, 'cancelling');
    await tab.says(/The task was not cancelled, as far as is known/);
    await look(tab, 'cancel-failed');
    await tab.page.keyboard.press('Escape');
    await tab.intercept('GET', STATUS, answer(401, {}), 2);
    // Sooner than the back-off would have it by now.
    await tab.page.evaluate(() => window.dispatchEvent(new Event('online')));
    await tab.says(/Your session has ended/);
    await look(tab, 'session-ended');
    await tab.page.unrouteAll({ behavior: 'wait' });
    await tab.signIn();
    await tab.reaches('Running');
    await tab.button('Sign out').click();
    await tab.says('You are signed out.');
    await look(tab, 'signed-out');
    const [{ task_id: taskId }] = await tab.user.tasks();
    await tab.user.cancel(taskId);
  }, { context });

  pageTest(`${name}: waiting for the page`, async (tab) => {
    await tab.openAndSignIn();
    let release;
    const held = new Promise((resolve) => (release = resolve));
    const hold = async (route) => {
      await held;
      return route.fallback();
    };
    await tab.intercept('POST', COGNITO, async (route) => {
      await look(tab, 'loading');
      return route.fallback();
    }, 1);
    await tab.intercept('GET', LIST, hold, 1);
    await tab.page.reload();
    await tab.says('Looking for your tasks …');
    await look(tab, 'loading-tasks');
    release();
    await tab.reaches('Start a task');
  }, { context });
}

// Nothing may be wider than the screen, nor cut off, where there is the least room.
for (const { name, context, look } of narrowViews) {
  pageTest(`${name}: all that may get tight`, async (tab) => {
    tab.expectNoise('the server responded with a status of 400', COGNITO);
    await tab.user.finish(await tab.user.start(30));
    await tab.open();
    await tab.reaches('Sign in');
    await look(tab, 'sign-in');
    await tab.signIn('Wrong-password-1');
    await tab.says('The username or the password is wrong.');
    await look(tab, 'wrong-password');
    await tab.signIn();
    await tab.reaches('Start a task');
    await look(tab, 'first-visit', { fullPage: true });
    await tab.start(1_000);
    await tab.reaches('Running');
    await tab.percentReaches(1);
    await estimateKeepsToItsLine(tab);
    await look(tab, 'running', { fullPage: true });
    await tab.button('Cancel task').click();
    await look(tab, 'confirm-cancel');
    await tab.page.getByRole('dialog').getByRole('button', { name: 'Cancel task' }).click();
    await tab.reaches('Cancelled');
    await tab.barArrives();
    await look(tab, 'cancelled', { fullPage: true });
    await tab.button(/^Finished/).click();
    await tab.page.getByRole('dialog').getByText('Item 29').waitFor();
    await look(tab, 'items');
  }, { context });
}

pageTest('on a low screen the buttons of the card can be reached', async (tab) => {
  for (let count = 1; count <= 10; count += 1) await tab.user.cancel(await tab.user.start(count));
  const taskId = await tab.user.start(1_000);
  await tab.openAndSignIn();
  const button = tab.button('Cancel task');
  await button.waitFor();
  await tab.page.evaluate(() => {
    const { bottom } = document.getElementById('work').getBoundingClientRect();
    window.scrollTo(0, bottom - window.innerHeight + 20);
  });
  await eventually(async () => {
    const { y, height } = await button.boundingBox();
    assert.ok(y >= 0 && y + height <= 480, `the button is at ${y}`);
  });
  await tab.user.cancel(taskId);
}, { context: { viewport: { width: 1280, height: 480 } } });

pageTest('where the system chooses the colours, the bar still shows how far it is', async (tab) => {
  await tab.openAndSignIn();
  await tab.alterTasks((task) => {
    if (task.task_status === 'PROCESSING') Object.assign(task, { count_done_items: 500, done_percentage: 50 });
  });
  await tab.start(1_000);
  await eventually(async () => assert.equal(await tab.textOf('task-percent'), '50'));
  const picture = await tab.page.locator('.bar').screenshot();
  // The browser itself reads the picture: that takes no further package.
  const [filled, empty] = await tab.page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const context = new OffscreenCanvas(image.width, image.height).getContext('2d', { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    return [0.25, 0.75].map((share) => [...context.getImageData(share * image.width, image.height / 2, 1, 1).data]);
  }, picture.toString('base64'));
  assert.notDeepEqual(filled, empty);
}, { context: { forcedColors: 'active' } });

pageTest('with reduced motion nothing moves by itself', async (tab) => {
  await tab.openAndSignIn();
  await tab.start(20);
  await tab.reaches('Running');
  const animations = await tab.page.evaluate(() => document.getAnimations().length);
  assert.equal(animations, 0);
  const seen = new Set();
  while (await tab.heading('Running').isVisible()) seen.add(await tab.progress.getAttribute('value').catch(() => null));
  assert.ok(seen.size > 0, 'the bar was looked at');
  assert.ok(seen.size <= 8, `the bar took ${seen.size} positions`);
}, { context: { reducedMotion: 'reduce' } });

/** Whatever time is left: what is below it must not jump. */
async function estimateKeepsToItsLine(tab) {
  const estimates = [null, 0, 4_000, 55_000, 3_500_000].map((ms) => words.timeLeft(ms));
  const heights = await tab.page.evaluate((texts) => {
    const left = document.getElementById('task-left');
    return texts.map((text) => {
      left.textContent = text;
      return left.offsetHeight;
    });
  }, estimates);
  assert.equal(new Set(heights).size, 1, `${estimates.join(' | ')}: ${heights.join(', ')} px`);
}

import assert from 'node:assert/strict';

import { API, LASTING, STATUS, SUBMIT, WATCHED, answer, moving, pageTest } from './page.js';
import { eventually } from './stack.js';

/** The field for the number of items. */
const COUNT = 'job-1-field-1';

pageTest('a task is started, watched and finished', async (tab) => {
  await tab.openAndSignIn();
  const announced = await tab.announcements();
  // What the bar shows in every frame, and how far anything jumps, as the browser itself measures it.
  await tab.page.evaluate(() => {
    window.shift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shift += entry.value))).observe({ type: 'layout-shift' });
    const bar = document.getElementById('task-progress');
    window.barValues = [];
    const look = () => {
      if (bar.hasAttribute('value')) window.barValues.push(bar.value);
      requestAnimationFrame(look);
    };
    look();
  });
  const polls = tab.requests('GET', API);
  await tab.start(WATCHED);
  await tab.focusIsOn('task-title');
  await tab.reaches('Running');
  await eventually(async () => assert.match(await tab.page.title(), /^\d+% · Longhaul$/));
  await tab.reaches('Finished');
  await eventually(async () => assert.equal(await tab.progress.getAttribute('value'), '100'));
  assert.equal(await tab.page.title(), 'Finished · Longhaul');
  assert.equal(await tab.textOf('task-percent'), '100');
  assert.equal(await tab.textOf('task-count'), `${WATCHED} of ${WATCHED} items`);
  await tab.says(`All ${WATCHED} items are done. Have a look, or start another task.`);
  const shown = await tab.page.evaluate(() => window.barValues);
  for (let frame = 1; frame < shown.length; frame += 1) assert.ok(shown[frame] >= shown[frame - 1], 'the bar turned back');
  assert.ok(new Set(shown).size > 2 * polls.length, 'the bar moves between polls');
  const shift = await tab.page.evaluate(() => window.shift);
  assert.ok(shift < 0.02, `the layout jumped by ${shift}`);
  await eventually(async () => assert.equal((await announced()).at(-1), `Finished. All ${WATCHED} items are done. Have a look, or start another task.`));
  const said = await announced();
  assert.ok(said.length <= 6, `a screen reader had to hear: ${said.join(' | ')}`);
  await tab.button('Start another').click();
  await tab.focusIsOn(COUNT);
}, { context: moving });

pageTest('the bar is never ahead of what the API last said', async (tab) => {
  await tab.openAndSignIn();
  // Here the API's word is held at a known value for good, and the page gets the time to outrun it.
  await tab.alterTasks((task) => {
    if (task.task_status === 'PROCESSING') Object.assign(task, { count_done_items: 13, done_percentage: 13, eta_seconds: 1 });
  });
  await tab.start(100);
  await tab.reaches('Running');
  await eventually(async () => assert.equal(await tab.textOf('task-percent'), '13'));
  for (let look = 0; look < 20; look += 1) {
    assert.ok(Number(await tab.progress.getAttribute('value')) <= 13);
    await tab.page.waitForTimeout(100);
  }
}, { context: moving, live: false });

pageTest('a number is checked as it is typed, and the server has the last word', async (tab) => {
  tab.expectNoise('the server responded with a status of 400', API);
  await tab.openAndSignIn();
  const submits = tab.requests('POST', SUBMIT);
  await tab.count.fill('1.5');
  await tab.says('Enter a whole number, such as 100.');
  assert.equal(await tab.count.getAttribute('aria-invalid'), 'true');
  await tab.count.fill('0');
  await tab.says('Enter 1 or more.');
  await tab.button('Start').click();
  await tab.focusIsOn(COUNT);
  assert.equal(submits.length, 0);
  await tab.start(1_000_000_000);
  await tab.says(/^Ensure this value is less than or equal to \d+\.$/);
  await tab.focusIsOn(COUNT);
  assert.equal(await tab.count.getAttribute('aria-invalid'), 'true');
  await tab.button('10').click();
  assert.equal(await tab.count.inputValue(), '10');
  assert.equal(await tab.count.getAttribute('aria-invalid'), null);
});

pageTest('pressing twice starts one task', async (tab) => {
  await tab.openAndSignIn();
  const submits = tab.requests('POST', SUBMIT);
  await tab.count.fill('5');
  await tab.page.evaluate(() => {
    const button = document.getElementById('start-button');
    button.click();
    button.click();
    button.form.requestSubmit();
  });
  await tab.reaches('Finished');
  assert.equal(submits.length, 1);
  assert.equal((await tab.user.tasks()).length, 1);
});

pageTest('a submit whose answer is lost is repeated with the same key and starts one task', async (tab) => {
  tab.expectNoise('net::ERR_CONNECTION_RESET', API);
  await tab.openAndSignIn();
  const submits = tab.requests('POST', SUBMIT);
  await tab.intercept('POST', SUBMIT, async (route) => {
    await route.fetch();
    return route.abort('connectionreset');
  }, 1);
  await tab.start(5);
  await tab.says('No answer yet. Trying again; it cannot start twice.');
  await tab.reaches('Finished');
  const keys = submits.map(({ request }) => request.headers()['idempotency-key']);
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  const replay = await (await submits[1].request.response()).allHeaders();
  assert.equal(replay['idempotency-replayed'], 'true');
  assert.equal((await tab.user.tasks()).length, 1);
});

pageTest('when the API stays away, the page says what is known, and pressing again is safe', async (tab) => {
  tab.expectNoise('net::ERR_CONNECTION_REFUSED', API);
  await tab.openAndSignIn();
  const submits = tab.requests('POST', SUBMIT);
  await tab.intercept('POST', SUBMIT, (route) => route.abort('connectionrefused'), 4);
  await tab.start(5);
  await tab.says('It is not known whether the task has started. Press Start again: it cannot start twice.');
  await tab.button('Start').click();
  await tab.reaches('Finished');
  assert.equal(new Set(submits.map(({ request }) => request.headers()['idempotency-key'])).size, 1);
});

pageTest('a quota that is used up is told in the API\'s words, and nothing is tried again', async (tab) => {
  tab.expectNoise('the server responded with a status of 429', SUBMIT);
  await tab.openAndSignIn();
  const submits = tab.requests('POST', SUBMIT);
  const message = "Today's quota of 2 tasks is used up. It is renewed at midnight (UTC).";
  await tab.intercept('POST', SUBMIT, answer(429, { success: false, message }, { 'Retry-After': '7200' }), 1);
  await tab.start(1);
  await tab.says(`${message} The task was not started.`);
  // Longer than the first tries after a request too many are apart.
  await tab.page.waitForTimeout(3_000);
  assert.equal(submits.length, 1);
  await tab.start(1);
  await tab.reaches('Finished');
});

pageTest('a task that was started unnoticed is found, and the next one of the same size is a new one', async (tab) => {
  tab.expectNoise('net::ERR_CONNECTION_RESET', API);
  await tab.openAndSignIn();
  await tab.intercept('POST', SUBMIT, async (route) => {
    await route.fetch();
    return route.abort('connectionreset');
  }, 4);
  await tab.start(LASTING);
  await tab.says(/It is not known whether the task has started/);
  await tab.hears('task-started');
  await tab.reaches('Running');
  const [{ task_id: first }] = await tab.user.tasks();
  await tab.user.cancel(first);
  await tab.reaches('Cancelled');
  await tab.button('Start another').click();
  await tab.start(LASTING);
  await tab.reaches('Running');
  const tasks = await tab.user.tasks();
  assert.equal(tasks.length, 2);
  await tab.user.cancel(tasks[0].task_id);
}, { live: false });

pageTest('an active request is shown as what it is, and followed', async (tab) => {
  await tab.openAndSignIn();
  const taskId = await tab.user.start(40);
  await tab.start(5);
  await tab.says('You already have a task running, so no second one was started. This is the one.');
  await tab.focusIsOn('task-title');
  assert.equal(await tab.textOf('task-size'), '40 items');
  assert.equal(await tab.user.cancel(taskId), 200);
  await tab.reaches('Cancelled');
}, { live: false });

pageTest('where the active task cannot be read at once, it is still said that there is one, and it comes', async (tab) => {
  tab.expectNoise('the server responded with a status of 503', API);
  await tab.openAndSignIn();
  const taskId = await tab.user.start(100);
  const submits = tab.requests('POST', SUBMIT);
  const polls = tab.requests('GET', STATUS);
  await tab.intercept('GET', STATUS, answer(503, { message: 'Service Unavailable' }), 5);
  await tab.start(5);
  await tab.says('You already have a task running, so no second one was started. The server has a problem. This page shows it as soon as it can.');
  // Pressing again would change nothing.
  await tab.page.getByRole('button', { name: 'Starting …' }).click({ force: true });
  await eventually(() => assert.equal(polls.length, 5));
  assert.equal(submits.length, 1);
  await tab.says('You already have a task running, so no second one was started. This is the one.');
  await tab.focusIsOn('task-title');
  assert.equal(await tab.textOf('task-size'), '100 items');
  await tab.user.cancel(taskId);
}, { live: false });

pageTest('a reload in the middle picks the task up where it is', async (tab) => {
  await tab.openAndSignIn();
  await tab.start(WATCHED);
  await eventually(async () => assert.ok(Number(await tab.textOf('task-percent')) > 0));
  const before = Number(await tab.textOf('task-percent'));
  await tab.page.reload();
  await tab.reaches('Running');
  assert.ok(Number(await tab.textOf('task-percent')) >= before, 'nothing is lost by a reload');
  await tab.reaches('Finished');
});

pageTest('a second tab shows the same task, also one that is started later', async (tab) => {
  await tab.openAndSignIn();
  const second = await tab.another();
  await second.open();
  await second.reaches('Start a task');
  await tab.start(WATCHED);
  await second.reaches('Running');
  const third = await tab.another();
  await third.open();
  await third.reaches('Running');
  await third.reaches('Finished');
  await tab.reaches('Finished');
  await second.reaches('Finished');
}, { live: false });

pageTest('a task that takes the place of the form takes the focus along, and says so', async (tab) => {
  const second = await tab.another();
  await tab.openAndSignIn();
  await second.open();
  await second.reaches('Start a task');
  const announced = await second.announcements();
  await second.count.focus();
  await tab.start(5);
  await second.focusIsOn('task-title');
  await eventually(async () => assert.ok((await announced()).some((text) => text.startsWith('You have a task running. It is shown now.'))));
  await second.reaches('Finished');
  // The next one takes the place of the last one's buttons.
  await second.button('Start another').focus();
  await tab.reaches('Finished');
  await tab.button('Start another').click();
  await tab.start(WATCHED);
  await second.reaches('Running');
  await second.focusIsOn('task-title');
  // And a sheet gives the focus back to a button that has gone.
  await second.reaches('Finished');
  await second.button('See items').click();
  await second.page.getByRole('dialog', { name: `${WATCHED} items` }).waitFor();
  await tab.reaches('Finished');
  await tab.button('Start another').click();
  await tab.start(WATCHED);
  await second.page.locator('#cancel:visible').waitFor();
  await second.page.keyboard.press('Escape');
  await second.focusIsOn('task-title');
});

pageTest('everything can be done from the keyboard', async (tab) => {
  await tab.open();
  const { keyboard } = tab.page;
  /** Presses Tab until the control of that name has the focus. */
  const tabTo = async (name) => {
    for (let presses = 0; presses < 25; presses += 1) {
      await keyboard.press('Tab');
      if ((await tab.focused())?.includes(name)) return;
    }
    assert.fail(`Tab does not lead to ${name}`);
  };
  await tab.focusIsOn('sign-in-username');
  await keyboard.type(tab.user.username);
  await tabTo('sign-in-password');
  await keyboard.type(tab.user.password);
  await keyboard.press('Enter');
  await tab.focusIsOn('start-title');
  await tabTo(COUNT);
  await keyboard.press('Control+A');
  await keyboard.type('30');
  await keyboard.press('Enter');
  await tab.focusIsOn('task-title');
  await tab.reaches('Running');
  await tabTo('cancel');
  await keyboard.press('Enter');
  await tab.focusIsOn('confirm-no');
  await keyboard.press('Escape');
  await tab.focusIsOn('cancel');
  await keyboard.press('Enter');
  await tabTo('confirm-yes');
  await keyboard.press('Space');
  await tab.focusIsOn('again');
  await tabTo('Cancelled');
  await keyboard.press('Enter');
  await tab.focusIsOn('details-title');
  await keyboard.press('Escape');
  await eventually(async () => assert.match(await tab.focused(), /^Cancelled/));
});

import assert from 'node:assert/strict';

import { API, COGNITO, CONFIG, FILES, LASTING, LIST, STATUS, WATCHED, answer, moving, pageTest } from './page.js';
import { eventually } from './stack.js';

pageTest('polls keep to Retry-After, send the ETag back, and end with the task', async (tab) => {
  await tab.openAndSignIn();
  const polls = tab.requests('GET', API);
  await tab.start(40);
  await tab.reaches('Finished');
  await tab.page.waitForTimeout(3_000);
  const answered = [];
  for (const { sentAt, request } of polls) {
    answered.push({ sentAt, sent: await request.allHeaders(), got: await (await request.response()).allHeaders() });
  }
  for (let poll = 1; poll < answered.length; poll += 1) {
    const [before, now] = [answered[poll - 1], answered[poll]];
    const waited = now.sentAt - before.sentAt;
    assert.ok(waited >= Number(before.got['retry-after']) * 1_000, `poll ${poll} came after ${waited} ms, not ${before.got['retry-after']} s`);
    assert.equal(now.sent['if-none-match'], before.got.etag);
  }
  // At most one a second, and fewer than that of a task that is quick.
  const seconds = (answered.at(-1).sentAt - answered[0].sentAt) / 1_000;
  assert.ok(answered.length <= Math.max(20, seconds), `${answered.length} polls in ${seconds} s`);
  assert.equal(answered.at(-1).got['retry-after'], undefined, 'the last poll was of the finished task');
}, { live: false });

pageTest('an unchanged status is answered without a body, and the page stays as it is', async (tab) => {
  await tab.openAndSignIn();
  await tab.start(20);
  await tab.reaches('Finished');
  const taskId = await tab.user.last();
  const statuses = await tab.page.evaluate(async ([files, id]) => {
    const { Session } = await import(`${files}/js/session.js`);
    const { Tabs } = await import(`${files}/js/tabs.js`);
    const { Api } = await import(`${files}/js/api.js`);
    const config = await (await fetch(`${files}/config.json`)).json();
    const session = new Session(config, new Tabs());
    await session.restore();
    const api = new Api(config.api_url, session);
    const { signal } = new AbortController();
    const first = await api.status('tuned-long-running-task', id, null, signal);
    const second = await api.status('tuned-long-running-task', id, first.etag, signal);
    return [first.task?.task_status, second.task];
  }, [FILES, taskId]);
  assert.deepEqual(statuses, ['SUCCESS', null]);
});

pageTest('offline for a while: the page says so, and recovers by itself', async (tab) => {
  tab.expectNoise('net::ERR_INTERNET_DISCONNECTED', API);
  await tab.openAndSignIn();
  await tab.start(WATCHED);
  await eventually(async () => assert.ok(Number(await tab.textOf('task-percent')) > 0));
  await tab.page.context().setOffline(true);
  await tab.says('You are offline. Your task goes on; this page catches up by itself.');
  const frozen = Number(await tab.textOf('task-percent'));
  await eventually(async () => assert.equal(await tab.textOf('task-left'), '–', 'no countdown that nobody can vouch for'));
  await tab.page.waitForTimeout(3_000);
  await tab.page.context().setOffline(false);
  await tab.says('Connected again.');
  await eventually(async () => assert.ok(Number(await tab.textOf('task-percent')) > frozen));
  await tab.reaches('Finished');
});

pageTest('a server that fails for a while is waited for as it asks, and the task goes on', async (tab) => {
  tab.expectNoise('the server responded with a status of 503', API);
  await tab.openAndSignIn();
  await tab.start(WATCHED);
  await tab.reaches('Running');
  const failed = [];
  await tab.intercept('GET', STATUS, (route) => {
    failed.push(Date.now());
    return answer(503, { success: false, message: 'Try again later' }, { 'Retry-After': '2' })(route);
  }, 2);
  await tab.says('The server has a problem. Your task goes on; this page catches up by itself.');
  await tab.says('Connected again.');
  assert.ok(failed[1] - failed[0] >= 2_000);
  await tab.reaches('Finished');
}, { live: false });

/** A minute for the page; another one, if it had yet to read an answer that came just before it was hidden. */
async function passMinuteUntilAsked(tab) {
  for (let minutes = 0; minutes < 2; minutes += 1) {
    const asked = tab.page.waitForRequest(STATUS, { timeout: 5_000 }).then(() => true, () => false);
    await tab.page.clock.runFor('01:00');
    if (await asked) return;
  }
  assert.fail('it does not ask');
}

pageTest('a hidden tab asks once a minute, so that its title tells of the end, and no more after that', async (tab) => {
  await tab.page.clock.install();
  await tab.openAndSignIn();
  const before = tab.requests('GET', STATUS);
  await tab.start(WATCHED);
  await tab.reaches('Running');
  await tab.setHidden(true);
  for (const { request } of before) await (await request.response()).finished();
  const polls = tab.requests('GET', STATUS);
  await tab.user.finish(await tab.user.last());
  assert.match(await tab.page.title(), /^\d+% · Longhaul$/);
  assert.equal(polls.length, 0);
  await passMinuteUntilAsked(tab);
  await eventually(async () => assert.equal(await tab.page.title(), 'Finished · Longhaul'));
  const asked = polls.length;
  assert.ok(asked <= 2, 'once, or once more if it had yet to read an answer from before');
  await tab.page.clock.runFor('10:00');
  assert.equal(polls.length, asked);
}, { live: false });

pageTest('a hidden tab shows how far the task is in its title, although nothing of it is drawn', async (tab) => {
  await tab.page.clock.install();
  await tab.openAndSignIn();
  let done = 13;
  await tab.alterTasks((task) => Object.assign(task, { task_status: 'PROCESSING', finished_at: null, count_done_items: done, done_percentage: done }));
  await tab.start(100);
  await tab.percentReaches(13);
  await tab.page.evaluate(() => { window.requestAnimationFrame = () => 0; });
  await tab.setHidden(true);
  done = 57;
  await passMinuteUntilAsked(tab);
  await eventually(async () => assert.equal(await tab.page.title(), '57% · Longhaul'));
  await tab.user.cancel(await tab.user.last());
}, { context: moving, live: false });

pageTest('a tab catches up at once when it is shown again', async (tab) => {
  await tab.page.clock.install();
  await tab.openAndSignIn();
  await tab.start(WATCHED);
  await tab.reaches('Running');
  await tab.setHidden(true);
  await tab.user.finish(await tab.user.last());
  const polls = tab.requests('GET', STATUS);
  // For the page the time stands still from here on: only what goes out at once goes out.
  await tab.page.clock.pauseAt(Date.now() + 30_000);
  await tab.setHidden(false);
  await tab.page.clock.runFor(1);
  await eventually(() => assert.equal(polls.length, 1));
  await tab.reaches('Finished');
}, { live: false });

pageTest('when the machine has slept the page asks at once, and shows no countdown from before', async (tab) => {
  await tab.page.clock.install();
  await tab.openAndSignIn();
  await tab.alterTasks((task) => Object.assign(task, { task_status: 'PROCESSING', finished_at: null, eta_seconds: 600 }), { 'retry-after': '30' });
  await tab.start(1_000);
  await eventually(async () => assert.equal(await tab.textOf('task-left'), 'about 10 min'));
  const polls = tab.requests('GET', STATUS);
  const lists = tab.requests('GET', LIST);
  const release = await tab.hold('GET', STATUS);
  await tab.sleep(3_600_000);
  await eventually(() => assert.equal(polls.length, 1), 5_000);
  assert.equal(await tab.textOf('task-left'), '–');
  await eventually(() => assert.equal(lists.length, 1, 'what was started meanwhile may be there to see'));
  release();
  await eventually(async () => assert.equal(await tab.textOf('task-left'), 'about 10 min'));
  await tab.user.cancel(await tab.user.last());
}, { live: false });

pageTest('a task that another program starts is found when the tab is looked at again', async (tab) => {
  await tab.page.clock.install();
  await tab.openAndSignIn();
  await tab.setHidden(true);
  const taskId = await tab.user.start(100);
  await tab.page.clock.fastForward(20_000);
  await tab.setHidden(false);
  await tab.page.locator('#task-size').filter({ hasText: '100 items' }).waitFor();
  await tab.user.cancel(taskId);
}, { live: false });

pageTest('when the tasks cannot be loaded at first, a task can still be started, and the list comes later', async (tab) => {
  tab.expectNoise('the server responded with a status of 500', API);
  await tab.user.cancel(await tab.user.start(10));
  await tab.intercept('GET', LIST, answer(500, { message: 'Internal Server Error' }), 1);
  await tab.openAndSignIn();
  await tab.reaches('Start a task');
  await tab.says('The server has a problem. Your tasks could not be loaded.');
  await tab.button(/^Cancelled/).first().waitFor();
});

pageTest('a list that stays away is asked for by one timer, which rests while the tab is hidden', async (tab) => {
  tab.expectNoise('the server responded with a status of 500', API);
  await tab.page.clock.install();
  await tab.intercept('GET', LIST, answer(500, { message: 'Internal Server Error' }));
  await tab.openAndSignIn();
  const lists = tab.requests('GET', API);
  for (let times = 1; times <= 5; times += 1) {
    await tab.hears('task-started');
    await eventually(async () => assert.equal((await Promise.all(lists.map(({ request }) => request.response()))).length, times));
  }
  await tab.setHidden(true);
  // What went out before that is told late, if the machine is busy.
  await tab.page.waitForTimeout(1_000);
  lists.length = 0;
  await tab.page.clock.runFor('05:00');
  assert.equal(lists.length, 0, 'nobody is looking');
  await tab.setHidden(false);
  await tab.page.waitForTimeout(500);
  assert.equal(lists.length, 1, 'one look, and at once');
  await tab.page.clock.runFor('01:00');
  await tab.page.waitForTimeout(500);
  assert.ok(lists.length >= 2 && lists.length <= 5, `${lists.length - 1} more looks in the minute after it`);
}, { live: false });

pageTest('an answer that was overtaken by a newer one hides no task', async (tab) => {
  const other = await tab.another();
  await other.openAndSignIn();
  let release;
  const held = new Promise((resolve) => (release = resolve));
  let isAnswered = false;
  await tab.intercept('GET', LIST, async (route) => {
    const response = await route.fetch();
    isAnswered = true;
    await held;
    return route.fulfill({ response });
  }, 1);
  await tab.open();
  await eventually(() => assert.ok(isAnswered));
  await other.start(WATCHED);
  await tab.reaches('Running');
  release();
  await tab.page.locator('#work:not([aria-busy])').waitFor();
  assert.equal(await tab.heading('Start a task').isVisible(), false);
  await tab.reaches('Finished');
}, { live: false });

pageTest('a task that has vanished is not polled for ever', async (tab) => {
  tab.expectNoise('the server responded with a status of 404', API);
  await tab.openAndSignIn();
  await tab.start(LASTING);
  await tab.reaches('Running');
  const announced = await tab.announcements();
  await tab.button('Cancel task').click();
  await tab.intercept('GET', STATUS, answer(404, { success: false, message: 'Task not found' }));
  await tab.says('The task you were watching no longer exists.');
  await tab.focusIsOn('start-title');
  await eventually(async () => assert.equal((await announced()).at(-1), 'The task you were watching no longer exists.'));
  const polls = tab.requests('GET', API);
  await tab.page.waitForTimeout(3_000);
  assert.equal(polls.length, 0);
}, { live: false });

pageTest('a page that takes long says what it is waiting for, and nothing moves when that comes', async (tab) => {
  await tab.openAndSignIn();
  const [moment, tasks] = ['One moment …', 'Looking for your tasks …'].map((text) => tab.page.getByText(text));
  const releaseSession = await tab.hold('POST', COGNITO);
  const releaseTasks = await tab.hold('GET', LIST);
  await tab.page.reload();
  await moment.waitFor();
  releaseSession();
  await tasks.waitFor();
  assert.equal(await moment.isVisible(), false);
  // Where the card ends is up to the jobs, which are not known before; all else of it stays where it is.
  const place = async () => {
    const { x, y, width } = await tab.page.locator('#work').boundingBox();
    return { x, y, width };
  };
  const before = await place();
  releaseTasks();
  await tab.reaches('Start a task');
  assert.equal(await tasks.isVisible(), false);
  assert.deepEqual(await place(), before);
}, { context: moving });

pageTest('a page without its settings says so, and offers to try again', async (tab) => {
  tab.expectNoise('the server responded with a status of 404', CONFIG);
  await tab.intercept('GET', CONFIG, answer(404, {}), 1);
  await tab.open();
  await tab.reaches('Longhaul cannot be reached');
  await tab.says('The page could not read its settings. Check your connection, or ask whoever runs it.');
  await tab.tryAgain();
  await tab.reaches('Sign in');
});

pageTest('a page without its sign-in service says so, offers to try again, and is still signed in then', async (tab) => {
  tab.expectNoise('net::ERR_CONNECTION_REFUSED', COGNITO);
  tab.expectNoise('the server responded with a status of 503', COGNITO);
  await tab.openAndSignIn();
  await tab.intercept('POST', COGNITO, (route) => route.abort('connectionrefused'), 1);
  await tab.page.reload();
  await tab.reaches('Longhaul cannot be reached');
  await tab.says('The sign-in service does not answer. Check your connection and try again.');
  await tab.intercept('POST', COGNITO, answer(503, { __type: 'ServiceUnavailable' }), 1);
  await tab.tryAgain();
  await tab.says('The sign-in service has a problem. Try again in a moment.');
  await tab.tryAgain();
  await tab.reaches('Start a task');
});

pageTest('a browser that lets the page store nothing is told apart from a service that is away', async (tab) => {
  await tab.page.addInitScript(() => {
    Object.defineProperty(window, 'sessionStorage', { get: () => { throw new DOMException('denied', 'SecurityError'); } });
  });
  await tab.open();
  await tab.says('This browser does not let the page store anything, so it cannot keep you signed in. Allow it for this site, then try again.');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Follower, pollDelayMs } from '../../../frontend/js/follower.js';
import { FakeClock, settle } from './fake-clock.js';

const running = { task_id: 't', task_status: 'PROCESSING', done_percentage: 10 };
const finished = { ...running, task_status: 'SUCCESS', done_percentage: 100 };

/** What a server may answer. */
const answers = {
  running: (retryAfterMs = 2_000, etag = 'W/"1"') => ({ task: running, etag, retryAfterMs }),
  unchanged: (retryAfterMs = 2_000, etag = 'W/"1"') => ({ task: null, etag, retryAfterMs }),
  finished: () => ({ task: finished, etag: 'W/"9"', retryAfterMs: null }),
};
const retryable = (retryAfterMs = null) => Object.assign(new Error('later'), { isRetryable: true, retryAfterMs });
const final = () => Object.assign(new Error('gone'), { isRetryable: false, retryAfterMs: null });

/** A follower in a world that the test controls. `script` is what the polls are answered with, in order. */
function follow(script, { firstPollAfterMs = 0, random = () => 1, hidden = false } = {}) {
  const clock = new FakeClock();
  const world = { hidden, listeners: { visibility: new Set(), online: new Set(), wakeUp: new Set() } };
  const log = { polls: [], etags: [], tasks: [], troubles: [], recoveries: 0, lost: [] };
  const subscribe = (set) => (callback) => {
    set.add(callback);
    return () => set.delete(callback);
  };
  const startedAt = clock.now();
  const follower = new Follower({
    fetchStatus: async (etag, signal) => {
      log.polls.push(clock.now() - startedAt);
      log.etags.push(etag);
      log.signal = signal;
      const next = script.shift();
      if (next === undefined) throw new Error('polled more often than scripted');
      const answer = await (typeof next === 'function' ? next() : next);
      if (answer instanceof Error) throw answer;
      return answer;
    },
    onTask: (task, pollAfterMs) => log.tasks.push([task.task_status, pollAfterMs]),
    onTrouble: ({ failures, retryInMs }) => log.troubles.push([failures, retryInMs]),
    onRecovered: () => (log.recoveries += 1),
    onLost: (error) => log.lost.push(error.message),
    errors: { isRetryable: (error) => error.isRetryable, retryAfterOf: (error) => error.retryAfterMs },
    clock,
    random,
    surroundings: {
      isHidden: () => world.hidden,
      onVisibilityChange: subscribe(world.listeners.visibility),
      onOnline: subscribe(world.listeners.online),
      onWakeUp: subscribe(world.listeners.wakeUp),
    },
  }, firstPollAfterMs);
  const tell = (kind) => world.listeners[kind].forEach((callback) => callback());
  return {
    clock,
    log,
    follower,
    world,
    setHidden(value) {
      world.hidden = value;
      tell('visibility');
    },
    goOnline: () => tell('online'),
    wakeUp(sleptMs) {
      clock.sleep(sleptMs);
      tell('wakeUp');
    },
  };
}

test('the wait between polls is what Retry-After says', async () => {
  const { clock, log } = follow([answers.running(2_000), answers.running(7_000), answers.running(1_000), answers.finished()]);
  await clock.pass(20_000);
  assert.deepEqual(log.polls, [0, 2_000, 9_000, 10_000]);
});

test('a missing, tiny or huge Retry-After is kept within limits', () => {
  assert.equal(pollDelayMs(null), 2_000);
  assert.equal(pollDelayMs(0), 500);
  assert.equal(pollDelayMs(86_400_000), 60_000);
});

test('the first poll waits for what the submit said', async () => {
  const { clock, log } = follow([answers.finished()], { firstPollAfterMs: 1_500 });
  await clock.pass(1_499);
  assert.deepEqual(log.polls, []);
  await clock.pass(1);
  assert.deepEqual(log.polls, [1_500]);
});

test('the ETag goes back with the next poll, and an unchanged task is not reported again', async () => {
  const { clock, log } = follow([answers.running(1_000, 'W/"1"'), answers.unchanged(3_000), answers.running(1_000, 'W/"2"'), answers.finished()]);
  await clock.pass(10_000);
  assert.deepEqual(log.etags, [null, 'W/"1"', 'W/"1"', 'W/"2"']);
  assert.deepEqual(log.polls, [0, 1_000, 4_000, 5_000], 'the Retry-After of a 304 counts too');
  assert.deepEqual(log.tasks.map(([status]) => status), ['PROCESSING', 'PROCESSING', 'SUCCESS']);
});

test('a terminal task ends the polling and all listening', async () => {
  const { clock, log, world } = follow([answers.finished()]);
  await clock.pass(0);
  assert.deepEqual(log.tasks, [['SUCCESS', null]]);
  await clock.pass(600_000);
  assert.equal(log.polls.length, 1);
  assert.equal(clock.nextIn, null);
  assert.deepEqual(Object.values(world.listeners).map(({ size }) => size), [0, 0, 0]);
});

test('failures back off exponentially up to half a minute, and say so each time', async () => {
  const { clock, log } = follow([...Array(8)].map(retryable).concat(answers.finished()));
  await clock.pass(300_000);
  assert.deepEqual(log.troubles.map(([, wait]) => wait), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  assert.deepEqual(log.troubles.map(([failures]) => failures), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(log.recoveries, 1);
});

test('half of a back-off is random, so that pages do not come back in step', async () => {
  const least = follow([retryable(), answers.finished()], { random: () => 0 });
  await least.clock.pass(0);
  assert.deepEqual(least.log.troubles, [[1, 500]]);
});

test('a back-off never undercuts the Retry-After of a 429 or 503', async () => {
  const { clock, log } = follow([retryable(12_000), answers.finished()]);
  await clock.pass(11_999);
  assert.equal(log.polls.length, 1);
  await clock.pass(1);
  assert.equal(log.polls.length, 2);
});

test('a Retry-After that is out of all reason does not put the page to sleep', async () => {
  const { clock, log } = follow([retryable(999_999_000), answers.finished()]);
  await clock.pass(60_000);
  assert.deepEqual(log.polls, [0, 60_000]);
});

test('one success ends the back-off', async () => {
  const { clock, log } = follow([retryable(), retryable(), answers.running(), retryable(), answers.finished()]);
  await clock.pass(60_000);
  assert.deepEqual(log.troubles, [[1, 1_000], [2, 2_000], [1, 1_000]]);
  assert.equal(log.recoveries, 2);
});

test('an error that repeating cannot cure stops at once', async () => {
  const { clock, log } = follow([answers.running(), final()]);
  await clock.pass(600_000);
  assert.deepEqual(log.lost, ['gone']);
  assert.equal(log.polls.length, 2);
  assert.equal(clock.nextIn, null);
});

test('a hidden page asks about once a minute until the task has ended, and catches up at once when it is shown', async () => {
  const page = follow([answers.running(), answers.running(), answers.running(), answers.finished()]);
  await page.clock.pass(0);
  page.setHidden(true);
  await page.clock.pass(130_000);
  assert.deepEqual(page.log.polls, [0, 55_000, 110_000]);
  page.setHidden(false);
  await page.clock.pass(0);
  assert.deepEqual(page.log.polls, [0, 55_000, 110_000, 130_000]);
  assert.deepEqual(page.log.tasks.at(-1), ['SUCCESS', null]);
});

test('a task that ends while the page is hidden is known to have ended, and is asked for no more', async () => {
  const page = follow([answers.running(), answers.finished()]);
  await page.clock.pass(0);
  page.setHidden(true);
  await page.clock.pass(600_000);
  assert.deepEqual(page.log.polls, [0, 55_000]);
  assert.deepEqual(page.log.tasks.at(-1), ['SUCCESS', null]);
});

test('a hidden page does not ask more often because something fails, nor sooner than the server wants', async () => {
  const page = follow([retryable(), retryable(), answers.running(60_000), answers.finished()]);
  await page.clock.pass(0);
  page.setHidden(true);
  await page.clock.pass(230_000);
  assert.deepEqual(page.log.polls, [0, 55_000, 110_000, 170_000]);
});

test('a page that is shown before the next poll is due still waits for it', async () => {
  const page = follow([answers.running(10_000), answers.finished()]);
  await page.clock.pass(1_000);
  page.setHidden(true);
  await page.clock.pass(1_000);
  page.setHidden(false);
  await page.clock.pass(7_999);
  assert.equal(page.log.polls.length, 1);
  await page.clock.pass(1);
  assert.deepEqual(page.log.polls, [0, 10_000]);
});

test('a page opened in the background waits with its first poll until it is shown, but for no longer than a minute', async () => {
  const shown = follow([answers.finished()], { hidden: true });
  await shown.clock.pass(30_000);
  assert.equal(shown.log.polls.length, 0);
  shown.setHidden(false);
  await shown.clock.pass(0);
  assert.equal(shown.log.polls.length, 1);
  const left = follow([answers.finished()], { hidden: true });
  await left.clock.pass(60_000);
  assert.equal(left.log.polls.length, 1);
});

test('a poll that is under way when the page is hidden is still used', async () => {
  let answer;
  const page = follow([() => new Promise((resolve) => (answer = resolve)), answers.finished()]);
  await page.clock.pass(0);
  page.setHidden(true);
  answer(answers.running());
  await page.clock.pass(50_000);
  assert.deepEqual(page.log.tasks, [['PROCESSING', 2_000]]);
  assert.equal(page.log.polls.length, 1);
});

test('being online again after a failure polls at once', async () => {
  const page = follow([...Array(6)].map(retryable).concat(answers.finished()));
  await page.clock.pass(31_500);
  assert.equal(page.log.polls.length, 6);
  page.goOnline();
  await page.clock.pass(0);
  assert.equal(page.log.polls.at(-1), 31_500);
  assert.equal(page.log.recoveries, 1);
});

test('being online again without a failure before changes nothing', async () => {
  const page = follow([answers.running(5_000), answers.finished()]);
  await page.clock.pass(1_000);
  page.goOnline();
  await page.clock.pass(0);
  assert.equal(page.log.polls.length, 1);
});

test('after the machine slept, the overdue poll goes out once and not once for each one missed', async () => {
  const page = follow([answers.running(2_000), answers.running(2_000), answers.finished()]);
  await page.clock.pass(0);
  page.clock.sleep(3_600_000);
  await page.clock.pass(1_999);
  assert.equal(page.log.polls.length, 2);
});

test('a machine that wakes up asks at once, although by its timers the next poll is not due', async () => {
  const page = follow([answers.running(30_000), answers.running(30_000), answers.finished()]);
  await page.clock.pass(1_000);
  page.wakeUp(10_000);
  await page.clock.pass(0);
  assert.deepEqual(page.log.polls, [0, 11_000]);
});

test('a poll that was under way when the machine fell asleep is not waited for', async () => {
  const answered = [];
  const late = () => new Promise((resolve) => answered.push(resolve));
  const page = follow([late, late, answers.finished()]);
  await page.clock.pass(0);
  const { signal } = page.log;
  page.wakeUp(3_600_000);
  await page.clock.pass(0);
  assert.equal(signal.aborted, true);
  answered[1](answers.running());
  await settle();
  answered[0](retryable());
  await page.clock.pass(0);
  assert.deepEqual(page.log.troubles, [], 'what becomes of it is nobody\'s concern any more');
  assert.deepEqual(page.log.tasks, [['PROCESSING', 2_000]]);
});

test('only one poll is under way at a time, whatever happens meanwhile', async () => {
  let answer;
  const page = follow([() => new Promise((resolve) => (answer = resolve)), answers.finished()]);
  await page.clock.pass(0);
  page.follower.pollNow();
  page.setHidden(true);
  page.setHidden(false);
  page.goOnline();
  await page.clock.pass(5_000);
  assert.equal(page.log.polls.length, 1);
  answer(answers.running(60_000));
  await settle();
  await page.clock.pass(0);
  assert.equal(page.log.polls.length, 2, 'what was asked for meanwhile follows at once');
});

test('nothing is reported after stop, and the request under way is aborted', async () => {
  let answer;
  const page = follow([() => new Promise((resolve) => (answer = resolve))]);
  await page.clock.pass(0);
  page.follower.stop();
  assert.equal(page.log.signal.aborted, true);
  answer(answers.finished());
  await page.clock.pass(60_000);
  assert.deepEqual(page.log.tasks, []);
});

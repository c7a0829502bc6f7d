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

/**
 * A follower in a world that the test controls. `script` is what the polls are answered with, in order. `live` is whether there
 * are live updates from the beginning.
 */
function follow(script, { firstPollAfterMs = 0, random = () => 1, hidden = false, live = false, knownVersion = 0 } = {}) {
  const clock = new FakeClock();
  const world = { hidden, live, listeners: { visibility: new Set(), online: new Set(), wakeUp: new Set() } };
  const log = { polls: [], etags: [], tasks: [], versions: [], troubles: [], recoveries: 0, lost: [], told: [] };
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
    onTask: (task, nextAfterMs) => {
      log.tasks.push([task.task_status, nextAfterMs]);
      log.versions.push(task.version);
    },
    onTrouble: ({ failures, retryInMs }) => log.troubles.push([failures, retryInMs]),
    onRecovered: () => (log.recoveries += 1),
    onLost: (error) => log.lost.push(error.message),
    updates: { areLive: () => world.live, polled: (version, askedAt) => log.told.push([version, askedAt - startedAt]) },
    knownVersion,
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
    goLive() {
      world.live = true;
      follower.liveBegins();
    },
    goDown() {
      world.live = false;
      follower.liveEnds();
    },
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

/** A task in a certain version, as polls answer it and as live updates bring it. */
const version = (number, task_status = 'PROCESSING') => ({ task_id: 't', task_status, version: number });
const answered = (number, status = undefined) => ({ task: version(number, status), etag: `W/"${number}"`, retryAfterMs: 2_000 });

test('while live updates bring the news, a poll once in 30 to 60 seconds checks on them', async () => {
  for (const [chance, everyMs] of [[0, 30_000], [1, 60_000]]) {
    const page = follow(Array(4).fill(answered(1)), { live: true, random: () => chance });
    for (let number = 2; number <= 3 * everyMs / 1_000; number += 1) {
      await page.clock.pass(1_000);
      page.follower.take(version(number));
    }
    await page.clock.pass(1_000);
    assert.deepEqual(page.log.polls, [0, everyMs, 2 * everyMs, 3 * everyMs]);
    assert.equal(page.log.versions.length, 3 * everyMs / 1_000, 'each is shown once, and what a check brings late is not');
  }
});

test('what live updates bring is shown at once, and more of it soon expected', async () => {
  const page = follow([answered(1), answered(2)], { live: true });
  await page.clock.pass(700);
  page.follower.take(version(2));
  assert.deepEqual(page.log.tasks, [['PROCESSING', 2_000], ['PROCESSING', 2_000]]);
});

test('the higher version wins, whichever way it comes', async () => {
  const page = follow([answered(4), answered(5), answered(9, 'SUCCESS')], { live: true, random: () => 0, knownVersion: 3 });
  page.follower.take(version(2));
  await page.clock.pass(0);
  for (const number of [4, 3, 7, 5, 7, 6]) page.follower.take(version(number));
  await page.clock.pass(30_000);
  page.follower.take(version(8));
  await page.clock.pass(30_000);
  assert.deepEqual(page.log.versions, [4, 7, 8, 9]);
});

test('a poll that was overtaken while it was under way changes nothing', async () => {
  let answer;
  const page = follow([() => new Promise((resolve) => (answer = resolve)), answered(3)], { live: true });
  await page.clock.pass(0);
  page.follower.take(version(3));
  answer(answered(2));
  await page.clock.pass(1_000);
  assert.deepEqual(page.log.versions, [3]);
});

test('the same version from a poll is shown: what it says of the time left is newer', async () => {
  const page = follow([answered(1), answered(2)], { live: true, random: () => 0 });
  await page.clock.pass(0);
  page.follower.take(version(2));
  await page.clock.pass(30_000);
  assert.deepEqual(page.log.versions, [1, 2, 2]);
});

test('the end is the end, also when it comes by itself', async () => {
  let answer;
  const page = follow([() => new Promise((resolve) => (answer = resolve))], { live: true });
  await page.clock.pass(0);
  page.follower.take(version(5, 'SUCCESS'));
  assert.equal(page.log.signal.aborted, true);
  answer(answered(4));
  page.follower.take(version(6));
  page.goDown();
  page.goLive();
  await page.clock.pass(600_000);
  assert.deepEqual(page.log.tasks, [['SUCCESS', null]]);
  assert.equal(page.clock.nextIn, null);
  assert.equal(page.follower.isStopped, true);
});

test('a hidden page knows the end at once when it comes by itself', async () => {
  const page = follow([answered(1)], { live: true });
  await page.clock.pass(0);
  page.setHidden(true);
  await page.clock.pass(20_000);
  page.follower.take(version(5, 'SUCCESS'));
  assert.deepEqual(page.log.tasks.at(-1), ['SUCCESS', null]);
  assert.equal(page.log.polls.length, 1);
});

test('when live updates begin, what happened before is asked for once, also if a poll is under way', async () => {
  let answer;
  const page = follow([() => new Promise((resolve) => (answer = resolve)), answered(2), answered(3)]);
  await page.clock.pass(0);
  page.goLive();
  answer(answered(1));
  await settle();
  await page.clock.pass(5_000);
  assert.deepEqual(page.log.polls, [0, 0]);
  assert.deepEqual(page.log.told, [[1, 0], [2, 0]]);
});

test('silence is checked on after ten seconds, once until the next regular check', async () => {
  const page = follow(Array(9).fill(answered(1)), { live: true, random: () => 0 });
  await page.clock.pass(6_000);
  page.follower.take(version(2));
  await page.clock.pass(9_999);
  assert.deepEqual(page.log.polls, [0]);
  await page.clock.pass(1);
  assert.deepEqual(page.log.polls, [0, 16_000]);
  page.follower.take(version(3));
  await page.clock.pass(29_999);
  assert.deepEqual(page.log.polls, [0, 16_000]);
  await page.clock.pass(1);
  assert.deepEqual(page.log.polls, [0, 16_000, 46_000], 'a regular one');
  await page.clock.pass(10_000);
  assert.deepEqual(page.log.polls, [0, 16_000, 46_000, 56_000], 'and silence again');
});

test('what a poll shows is told to who watches over live updates, with the time of asking', async () => {
  let answer;
  const page = follow([answered(3), () => new Promise((resolve) => (answer = resolve)), { ...answered(9), task: null }], { live: true, random: () => 0 });
  await page.clock.pass(10_000);
  page.follower.take(version(6));
  await page.clock.pass(500);
  answer(answered(5));
  await settle();
  await page.clock.pass(30_000);
  assert.deepEqual(page.log.told, [[3, 0], [6, 10_000], [6, 40_500]]);
});

test('when live updates end, it polls at once, and then as the server asks', async () => {
  const page = follow([answered(1), answered(2), answered(3), answered(4)], { live: true });
  await page.clock.pass(5_000);
  page.goDown();
  await page.clock.pass(4_000);
  assert.deepEqual(page.log.polls, [0, 5_000, 7_000, 9_000]);
});

test('when live updates end that have just brought something, it waits as the server asks', async () => {
  const page = follow([answered(1), answered(3)], { live: true });
  await page.clock.pass(5_000);
  page.follower.take(version(2));
  await page.clock.pass(1_500);
  page.goDown();
  await page.clock.pass(1_999);
  assert.deepEqual(page.log.polls, [0]);
  await page.clock.pass(1);
  assert.deepEqual(page.log.polls, [0, 8_500]);
});

test('a check that fails while news come is nobody\'s trouble', async () => {
  const page = follow([answered(1), ...Array(4).fill(retryable()), answered(99)], { live: true, random: () => 0 });
  for (let number = 2; number <= 40; number += 1) {
    await page.clock.pass(1_000);
    page.follower.take(version(number));
  }
  assert.ok(page.log.polls.length >= 5);
  assert.deepEqual(page.log.troubles, []);
  assert.equal(page.log.recoveries, 0);
});

test('when checks fail and no news come either, it is told, until news come one way or the other', async () => {
  const page = follow([answered(1), ...Array(9).fill(retryable())], { live: true });
  await page.clock.pass(0);
  page.goDown();
  await page.clock.pass(2_000);
  assert.deepEqual(page.log.troubles, [[1, 1_000]], 'as without live updates');
  page.follower.take(version(2));
  page.follower.take(version(3));
  assert.equal(page.log.recoveries, 1);
  page.goLive();
  await page.clock.pass(9_999);
  assert.deepEqual(page.log.troubles.length, 1);
  await page.clock.pass(10_000);
  assert.deepEqual(page.log.troubles.length, 2, 'nothing was heard for ten seconds');
});

test('a silent socket on a dead line is trouble as soon as the check fails', async () => {
  const page = follow([answered(1), retryable(), answered(2)], { live: true });
  await page.clock.pass(10_000);
  assert.deepEqual(page.log.troubles, [[1, 1_000]]);
  await page.clock.pass(1_000);
  assert.equal(page.log.recoveries, 1);
});

test('a hidden page checks no more often than it polls', async () => {
  const page = follow(Array(9).fill(answered(1)), { live: true, random: () => 0 });
  await page.clock.pass(0);
  page.setHidden(true);
  await page.clock.pass(120_000);
  assert.deepEqual(page.log.polls, [0, 55_000, 110_000]);
});

test('without live updates silence is nothing unusual, although something may come now and then', async () => {
  const page = follow([{ ...answered(1), retryAfterMs: 30_000 }, answered(3)]);
  await page.clock.pass(15_000);
  page.follower.take(version(2));
  await page.clock.pass(14_999);
  assert.deepEqual(page.log.polls, [0]);
});

test('only one poll is under way at a time, also when live updates end or say nothing', async () => {
  let answer;
  const slow = () => new Promise((resolve) => (answer = resolve));
  const page = follow([answered(1), slow, slow, answered(9)], { live: true, random: () => 0 });
  for (const number of [2, 3]) {
    await page.clock.pass(9_000);
    page.follower.take(version(number));
  }
  await page.clock.pass(15_000);
  assert.deepEqual(page.log.polls, [0, 28_000], 'the regular check is not sent beside one of silence');
  answer(answered(4));
  await settle();
  await page.clock.pass(31_000);
  page.follower.take(version(5));
  await page.clock.pass(11_000);
  assert.deepEqual(page.log.polls, [0, 28_000, 63_000], 'nor one of silence beside another one');
  page.goDown();
  await page.clock.pass(3_000);
  assert.deepEqual(page.log.polls, [0, 28_000, 63_000], 'nor one for the end of live updates');
  answer(answered(6));
  await settle();
  await page.clock.pass(2_000);
  assert.equal(page.log.polls.length, 4);
});

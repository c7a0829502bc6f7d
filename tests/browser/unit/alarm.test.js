import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Alarm } from '../../../frontend/js/alarm.js';
import { FakeClock } from './fake-clock.js';

/** An alarm in a world that the test controls, and when it rang. */
function alarm({ hiddenDelayMs } = {}) {
  const clock = new FakeClock();
  const start = clock.now();
  const rings = [];
  let isHidden = false;
  const listeners = new Set();
  const made = new Alarm(() => rings.push(clock.now() - start), clock, {
    isHidden: () => isHidden,
    onVisibilityChange: (callback) => {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
  }, hiddenDelayMs);
  const setHidden = (value) => {
    isHidden = value;
    listeners.forEach((callback) => callback());
  };
  return { made, clock, rings, setHidden, listeners };
}

test('it rings once, however often it is set, and when it was set to last', async () => {
  const { made, clock, rings } = alarm();
  made.set(5_000);
  made.set(1_000);
  made.set(3_000);
  await clock.pass(60_000);
  assert.deepEqual(rings, [3_000]);
  assert.equal(made.isSet, false);
});

test('while the page is hidden it does not ring, however often it is set; what fell due rings when the page is shown', async () => {
  const { made, clock, rings, setHidden } = alarm();
  made.set(1_000);
  setHidden(true);
  made.set(2_000);
  assert.equal(clock.nextIn, null, 'not even a timer is left');
  await clock.pass(60_000);
  assert.equal(made.isSet, true);
  setHidden(false);
  await clock.pass(0);
  assert.deepEqual(rings, [60_000]);
});

test('while the page is hidden it rings late, if it may, and on time when the page is shown before', async () => {
  const { made, clock, rings, setHidden } = alarm({ hiddenDelayMs: 60_000 });
  setHidden(true);
  made.set(1_000);
  await clock.pass(59_999);
  assert.deepEqual(rings, []);
  await clock.pass(1);
  assert.deepEqual(rings, [60_000]);
  made.set(20_000);
  await clock.pass(10_000);
  setHidden(false);
  await clock.pass(10_000);
  assert.deepEqual(rings, [60_000, 80_000]);
});

test('a clock that is set back delays it by no more than it was set to', async () => {
  const { made, clock, rings, setHidden } = alarm();
  made.set(5_000);
  setHidden(true);
  clock.sleep(-3_600_000);
  setHidden(false);
  await clock.pass(5_000);
  assert.equal(rings.length, 1);
});

test('what was cleared does not ring, not even when the page is shown', async () => {
  const { made, clock, rings, setHidden } = alarm();
  made.set(1_000);
  made.clear();
  setHidden(false);
  await clock.pass(60_000);
  assert.deepEqual(rings, []);
});

test('once stopped it never rings again and listens to nothing', async () => {
  const { made, clock, rings, listeners } = alarm();
  made.set(1_000);
  made.stop();
  made.set(1_000);
  await clock.pass(60_000);
  assert.deepEqual(rings, []);
  assert.equal(listeners.size, 0);
});

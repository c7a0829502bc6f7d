import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WakeUp } from '../../../frontend/js/wake-up.js';
import { FakeClock } from './fake-clock.js';

/** A page in a world that the test controls, and how often it was told that it woke up. */
function page() {
  const clock = new FakeClock();
  let isHidden = false;
  let onChange;
  const wakeUp = new WakeUp(clock, { isHidden: () => isHidden, onVisibilityChange: (callback) => (onChange = callback) });
  const told = { times: 0 };
  const stop = wakeUp.on(() => (told.times += 1));
  const setHidden = (value) => {
    isHidden = value;
    onChange();
  };
  return { clock, told, stop, setHidden, wakeUp };
}

test('it is told within a second of waking up, once', async () => {
  const { clock, told } = page();
  await clock.pass(2_500);
  clock.sleep(3_600_000);
  await clock.pass(1_000);
  assert.equal(told.times, 1);
  await clock.pass(60_000);
  assert.equal(told.times, 1);
});

test('a page that was only busy for a while did not sleep', async () => {
  const { clock, told } = page();
  await clock.pass(2_500);
  clock.sleep(3_000);
  await clock.pass(60_000);
  assert.equal(told.times, 0);
});

test('a clock that is set back is no sleep', async () => {
  const { clock, told } = page();
  clock.sleep(-3_600_000);
  await clock.pass(60_000);
  assert.equal(told.times, 0);
});

test('a hidden page does not look at the clock, and coming back is not waking up', async () => {
  const { clock, told, setHidden } = page();
  setHidden(true);
  assert.equal(clock.nextIn, null);
  await clock.pass(3_600_000);
  setHidden(false);
  await clock.pass(60_000);
  assert.equal(told.times, 0);
});

test('nobody looks at the clock for nobody', async () => {
  const { clock, stop, wakeUp } = page();
  const stopOther = wakeUp.on(() => {});
  stop();
  assert.notEqual(clock.nextIn, null);
  stopOther();
  assert.equal(clock.nextIn, null);
});

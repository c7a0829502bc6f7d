import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { withDeadline } from '../../../frontend/js/deadline.js';

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
});

afterEach(() => mock.timers.reset());

/** Something that ends when it is aborted. */
const untilAborted = (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

test('what takes too long is aborted', async () => {
  const waiting = withDeadline(1_000, untilAborted);
  mock.timers.tick(1_000);
  await assert.rejects(waiting, { name: 'AbortError' });
});

test('what is not wanted any more is aborted, also if it never was', async () => {
  const controller = new AbortController();
  const waiting = withDeadline(1_000, untilAborted, controller.signal);
  controller.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  await withDeadline(1_000, async (signal) => assert.equal(signal.aborted, true), controller.signal);
});

test('what was done in time is not aborted afterwards', async () => {
  const controller = new AbortController();
  let seen;
  assert.equal(await withDeadline(1_000, async (signal) => { seen = signal; return 'done'; }, controller.signal), 'done');
  mock.timers.tick(5_000);
  controller.abort();
  assert.equal(seen.aborted, false);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Submitter, newIdempotencyKey } from '../../../frontend/js/submitter.js';

const lost = () => Object.assign(new Error('no answer'), { isRetryable: true });
const refused = () => Object.assign(new Error('refused'), { isRetryable: false });
const accepted = { taskId: 't', wasBusy: false, retryAfterMs: null };

/** @param {number} count */
const request = (count, job = 'job') => ({ job, body: `{"number_of_items":${count}}`, size: count });

/** A submitter whose tries are answered from `script`. */
function submitter(script) {
  const log = { sent: [], waits: [], retries: 0 };
  let keys = 0;
  const made = new Submitter({
    submit: async ({ size, job }, key) => {
      log.sent.push(job === 'job' ? [size, key] : [size, key, job]);
      const answer = await script.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
    newKey: () => `key-${++keys}`,
    retries: {
      triesMax: 4,
      errors: { isRetryable: (error) => error.isRetryable, retryAfterOf: (error) => error.retryAfterMs ?? null },
      sleep: async (ms) => void log.waits.push(ms),
      random: () => 1,
      onRetry: () => (log.retries += 1),
    },
  });
  return { made, log };
}

test('a lost answer is asked for again with the same key', async () => {
  const { made, log } = submitter([lost(), lost(), accepted]);
  assert.equal(await made.start(request(5)), accepted);
  assert.deepEqual(log.sent, [[5, 'key-1'], [5, 'key-1'], [5, 'key-1']]);
  assert.deepEqual(log.waits, [1_000, 2_000]);
  assert.equal(log.retries, 2);
});

test('a new task gets a new key', async () => {
  const { made, log } = submitter([accepted, accepted]);
  await made.start(request(5));
  await made.start(request(5));
  assert.deepEqual(log.sent, [[5, 'key-1'], [5, 'key-2']]);
});

test('a second press while one is under way sends nothing', async () => {
  let answer;
  const { made, log } = submitter([new Promise((resolve) => (answer = resolve))]);
  const both = [made.start(request(5)), made.start(request(5))];
  answer(accepted);
  assert.deepEqual(await Promise.all(both), [accepted, accepted]);
  assert.equal(log.sent.length, 1);
});

test('when no try got an answer, pressing again goes on with the same key', async () => {
  const { made, log } = submitter([lost(), lost(), lost(), lost(), accepted]);
  await assert.rejects(made.start(request(5)), /no answer/);
  assert.equal(log.sent.length, 4, 'it gives up after four tries');
  await made.start(request(5));
  assert.deepEqual(log.sent.at(-1), [5, 'key-1']);
});

test('once the task has been found in another way, the same number is a new intent', async () => {
  const { made, log } = submitter([lost(), lost(), lost(), lost(), accepted]);
  await assert.rejects(made.start(request(5)));
  made.settle();
  await made.start(request(5));
  assert.deepEqual(log.sent.at(-1), [5, 'key-2']);
});

test('another number is another intent and gets another key, which the server demands', async () => {
  const { made, log } = submitter([lost(), lost(), lost(), lost(), accepted]);
  await assert.rejects(made.start(request(5)));
  await made.start(request(6));
  assert.deepEqual(log.sent.at(-1), [6, 'key-2']);
});

test('the same of another job is another intent', async () => {
  const { made, log } = submitter([lost(), lost(), lost(), lost(), accepted]);
  await assert.rejects(made.start(request(5)));
  await made.start(request(5, 'another'));
  assert.deepEqual(log.sent.at(-1), [5, 'key-2', 'another']);
});

test('a refusal is final and is not repeated', async () => {
  const { made, log } = submitter([refused(), accepted]);
  await assert.rejects(made.start(request(5)), /refused/);
  await made.start(request(5));
  assert.deepEqual(log.sent, [[5, 'key-1'], [5, 'key-2']]);
});

test('the wait between tries respects Retry-After', async () => {
  const { made, log } = submitter([Object.assign(lost(), { retryAfterMs: 9_000 }), accepted]);
  await made.start(request(5));
  assert.deepEqual(log.waits, [9_000]);
});

test('a key is visible ASCII, short enough, and different every time, with or without randomUUID', () => {
  const { randomUUID } = crypto;
  try {
    for (const available of [randomUUID, undefined]) {
      crypto.randomUUID = available;
      const [one, other] = [newIdempotencyKey(), newIdempotencyKey()];
      assert.match(one, /^[\x21-\x7e]{32,255}$/);
      assert.notEqual(one, other);
    }
  } finally {
    crypto.randomUUID = randomUUID;
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiError } from '../../../frontend/js/api.js';
import { parseRetryAfter } from '../../../frontend/js/retry.js';
import { CognitoError } from '../../../frontend/js/session.js';
import * as words from '../../../frontend/js/words.js';

test('a length of time reads as a person would say it', () => {
  const readings = [[-5, '0 s'], [999, '0 s'], [24_000, '24 s'], [84_000, '1 min 24 s'], [3_600_000, '1 h 00 min'], [90_000_000, '1 d 1 h']];
  for (const [ms, text] of readings) assert.equal(words.duration(ms), text);
});

test('an estimate is never more precise than it deserves', () => {
  const readings = [
    [null, '–'], [-3_600_000, '–'], [-6_000, '–'], [-5_000, 'any moment'], [-1, 'any moment'], [0, 'any moment'], [4_200, 'a few seconds'], [6_000, 'about 10 s'], [41_000, 'about 45 s'],
    [56_000, 'about 1 min'], [61_000, 'about 2 min'], [3_590_000, 'about 1 h'], [4_000_000, 'about 1 h 15 min'], [7_300_000, 'about 2 h 15 min'],
  ];
  for (const [ms, text] of readings) assert.equal(words.timeLeft(ms), text);
});

test('a moment names the day only where it is another one', () => {
  const now = new Date(2026, 10, 20, 15, 0);
  const at = (...parts) => new Date(...parts).toISOString();
  assert.equal(words.moment(at(2026, 10, 20, 0, 1), now), '00:01');
  assert.equal(words.momentWithDay(at(2026, 10, 20, 0, 1), now), 'Today, 00:01');
  assert.equal(words.momentWithDay(at(2026, 10, 19, 23, 59), now), 'Yesterday, 23:59');
  assert.equal(words.moment(at(2026, 2, 1, 9, 5), now), '1 Mar, 09:05');
  assert.equal(words.moment(at(2025, 10, 19, 9, 5), now), '19 Nov 2025, 09:05');
});

test('a milestone is announced once when it is passed, the highest one of several', () => {
  assert.equal(words.milestone(0, 24), null);
  assert.equal(words.milestone(24, 25), 25);
  assert.equal(words.milestone(25, 49), null);
  assert.equal(words.milestone(10, 80), 75);
});

test('the elapsed time starts with the work, stops at the end, and is never negative', () => {
  const task = { created_at: '2026-01-01T00:00:00Z', started_at: '2026-01-01T00:00:10Z', finished_at: null };
  const at = (seconds) => Date.parse('2026-01-01T00:00:00Z') + seconds * 1_000;
  assert.equal(words.elapsedMs(task, at(15)), 5_000);
  assert.equal(words.elapsedMs(task, at(0)), 0, 'a clock that is behind');
  assert.equal(words.elapsedMs({ ...task, finished_at: '2026-01-01T00:00:30Z' }, at(99)), 20_000);
  assert.equal(words.elapsedMs({ ...task, started_at: null }, at(5)), null, 'it waits');
});

test('a task that waits has not started, whenever it was asked for', () => {
  const now = new Date(2026, 10, 20, 15, 0);
  const at = (...parts) => new Date(...parts).toISOString();
  const waiting = { created_at: at(2026, 10, 20, 14, 50), started_at: null, finished_at: null };
  assert.equal(words.started(waiting, now), 'Not yet');
  assert.equal(words.started({ ...waiting, started_at: at(2026, 10, 20, 14, 55) }, now), '14:55');
  assert.equal(words.started({ ...waiting, finished_at: at(2026, 10, 20, 14, 55) }, now), '–', 'cancelled before it began');
});

test('an outage of the sign-in service is called so', () => {
  assert.equal(words.apiProblem(new CognitoError('InternalFailure', '', 500)), 'The sign-in service has a problem.');
});

test('a quota that is used up is told in its own words, and not tried again like a request too many', () => {
  const used = new ApiError(429, "Today's quota of 2 tasks is used up.", {}, 7_200_000);
  assert.equal(words.apiProblem(used), "Today's quota of 2 tasks is used up.");
  assert.equal(used.isRetryable, false);
  for (const wait of [null, 2_000, 60_000]) {
    const tooMany = new ApiError(429, 'Too Many Requests', {}, wait);
    assert.equal(words.apiProblem(tooMany), 'Too many requests at once.');
    assert.equal(tooMany.isRetryable, true);
  }
});

test('only whole seconds are taken from Retry-After', () => {
  assert.equal(parseRetryAfter('3'), 3_000);
  for (const header of [null, '', 'soon', '-1', '1.5', 'Wed, 21 Oct 2026 07:28:00 GMT']) assert.equal(parseRetryAfter(header), null);
});

test('a failed task says whether items failed or the task was given up', () => {
  const failed = { task_status: 'FAILED', number_of_items: 20, count_done_items: 16, count_failed_items: 4, error: '4 of 20 items failed.' };
  assert.equal(words.outcome(failed), '4 of 20 items failed. See which ones and why, then start another task.');
  const givenUp = { ...failed, count_failed_items: 0, error: 'The task did not get on.' };
  assert.equal(words.outcome(givenUp), 'The task did not get on. Done so far: 16 of 20 items. Start another when you like.');
});

test('a task that pauses says until when', () => {
  const running = { task_status: 'PROCESSING', number_of_items: 20, count_done_items: 1, count_failed_items: 0, resumes_at: null };
  const pausing = { ...running, resumes_at: new Date(2026, 10, 20, 15, 5).toISOString() };
  assert.equal(words.state(running), 'Running');
  assert.equal(words.state(pausing), 'Pausing');
  assert.equal(words.outcome(pausing), 'It waits for what it needs, and goes on at 15:05. You can close this page and come back.');
  assert.doesNotMatch(words.outcome(running), /goes on at/);
  assert.equal(words.state({ ...pausing, task_status: 'CANCELLED' }), 'Cancelled');
});

test('what a retry is about is said as people count it', () => {
  const of = (total, done, failed) => ({ number_of_items: total, count_done_items: done, count_failed_items: failed });
  assert.equal(words.again(of(10_000, 9_963, 37)), 'Try the 37 again');
  assert.equal(words.again(of(37, 0, 37)), 'Try all 37 again');
  assert.equal(words.again(of(2, 1, 1)), 'Try the one again');
  assert.equal(words.again(of(1, 0, 1)), 'Try it again');
  assert.equal(words.whatAgainMeans(of(100, 63, 37)), 'A new task tries the 37 items that failed, with what they were given the first time. The 63 that are done stay as they are.');
  assert.equal(words.whatAgainMeans(of(3, 1, 0)), 'A new task tries the 2 items that did not run, with what they were given the first time. The 1 that is done stays as it is.');
  assert.equal(words.whatAgainMeans(of(3, 0, 1)), 'A new task tries the 3 items that failed or did not run, with what they were given the first time.');
  assert.equal(words.whatAgainMeans(of(2, 1, 1)), 'A new task tries the item that failed, with what it was given the first time. The 1 that is done stays as it is.');
});

// Follows one task by polling its status until it is terminal, as politely as
// possible: it waits what the server asks for, sends the ETag back, backs off
// with jitter when something fails, and hardly asks while nobody is looking.
//
// It knows nothing of HTTP, of the page or of real time; all three come in
// from outside, which is how the tests drive it with a fake clock.

import { Alarm } from './alarm.js';
import { backoffMs } from './retry.js';

/** @import { Clock, Surroundings } from './alarm.js' */
/** @import { Task } from './api.js' */
/** @import { ErrorReader } from './retry.js' */

/** Used where an answer names no `Retry-After`, so that a proxy that drops it cannot cause a flood. */
const POLL_MS_DEFAULT = 2_000;
/** A lower bound whatever the server says: `Retry-After: 0` must not become a busy loop. */
const POLL_MS_MIN = 500;
const POLL_MS_MAX = 60_000;
/**
 * How seldom a hidden page asks: its title tells how the task ended to whoever works in another tab. Browsers wake tabs
 * that have long been hidden only once a minute; this is the largest wait that does not miss every other of these turns.
 */
const HIDDEN_POLL_MS_MIN = 55_000;

/**
 * @typedef {object} StatusAnswer
 * @property {Task | null} task null where nothing has changed since `etag` (304)
 * @property {string | null} etag
 * @property {number | null} retryAfterMs
 */

/**
 * @typedef {object} Trouble
 * @property {unknown} error
 * @property {number} failures in a row
 * @property {number} retryInMs
 */

/**
 * @typedef {object} FollowerOptions
 * @property {(etag: string | null, signal: AbortSignal) => Promise<StatusAnswer>} fetchStatus
 * @property {(task: Task, pollAfterMs: number | null) => void} onTask a new truth; null as the wait when it is the last one
 * @property {(trouble: Trouble) => void} onTrouble a try failed and will be repeated
 * @property {() => void} onRecovered the first answer after trouble
 * @property {(error: unknown) => void} onLost trying again is pointless (gone, or no longer signed in); following has stopped
 * @property {ErrorReader} errors
 * @property {Clock} clock
 * @property {() => number} random
 * @property {Surroundings} surroundings
 */

/** @param {Task} task @returns {boolean} */
export function isTerminal(task) {
  return task.task_status !== 'QUEUED' && task.task_status !== 'PROCESSING';
}

/** @param {number | null} retryAfterMs @returns {number} */
export function pollDelayMs(retryAfterMs) {
  return Math.min(POLL_MS_MAX, Math.max(POLL_MS_MIN, retryAfterMs ?? POLL_MS_DEFAULT));
}

export class Follower {
  #options;
  #alarm;
  /** @type {AbortController | null} */ #inFlight = null;
  /** @type {string | null} */ #etag = null;
  /** @type {(() => void)[]} */ #subscriptions;
  #askedMeanwhile = false;
  #failures = 0;
  #stopped = false;

  /** @param {FollowerOptions} options @param {number} [firstPollAfterMs] */
  constructor(options, firstPollAfterMs = 0) {
    this.#options = options;
    const { clock, surroundings } = options;
    this.#alarm = new Alarm(() => void this.#poll(), clock, surroundings, HIDDEN_POLL_MS_MIN);
    // Being told that the network is back is a reason to try now. Being told that it is gone is
    // none to stop: a machine without internet still reaches a stack that runs on itself.
    const onOnline = surroundings.onOnline(() => this.#failures > 0 && this.pollNow());
    this.#subscriptions = [onOnline, surroundings.onWakeUp(() => this.#pollAnew())];
    this.#alarm.set(firstPollAfterMs);
  }

  /** Polls at once, for when something just happened that must show (a cancel, for one). */
  pollNow() {
    // A poll that is under way may have been answered before that something: it needs another one.
    if (this.#inFlight) this.#askedMeanwhile = true;
    else this.#alarm.set(0);
  }

  /** Polls at once although a poll may be under way: its connection did not outlive the machine's sleep. */
  #pollAnew() {
    this.#inFlight?.abort();
    this.#inFlight = null;
    this.#alarm.set(0);
  }

  /** Stops for good; nothing is reported after this. */
  stop() {
    this.#stopped = true;
    this.#alarm.stop();
    this.#inFlight?.abort();
    for (const unsubscribe of this.#subscriptions) unsubscribe();
  }

  async #poll() {
    const { fetchStatus, onTask, onRecovered } = this.#options;
    const request = new AbortController();
    this.#inFlight = request;
    try {
      const answer = await fetchStatus(this.#etag, request.signal);
      if (this.#stopped || this.#inFlight !== request) return;
      this.#inFlight = null;
      const hadTrouble = this.#failures > 0;
      this.#failures = 0;
      if (hadTrouble) onRecovered();
      if (answer.task && isTerminal(answer.task)) {
        this.stop();
        onTask(answer.task, null);
        return;
      }
      this.#etag = answer.etag;
      const delayMs = this.#askedMeanwhile ? 0 : pollDelayMs(answer.retryAfterMs);
      this.#askedMeanwhile = false;
      this.#alarm.set(delayMs);
      if (answer.task) onTask(answer.task, delayMs);
    } catch (error) {
      if (this.#stopped || this.#inFlight !== request) return;
      this.#inFlight = null;
      this.#retryOrGiveUp(error);
    }
  }

  /** @param {unknown} error */
  #retryOrGiveUp(error) {
    const { errors, onTrouble, onLost, random } = this.#options;
    if (!errors.isRetryable(error)) {
      this.stop();
      onLost(error);
      return;
    }
    this.#failures += 1;
    const retryInMs = backoffMs(this.#failures, random, errors.retryAfterOf(error));
    this.#alarm.set(retryInMs);
    onTrouble({ error, failures: this.#failures, retryInMs });
  }
}

// Follows one task by polling its status until it is terminal, as politely as
// possible: it waits what the server asks for, sends the ETag back, backs off
// with jitter when something fails, and hardly asks while nobody is looking.
//
// While live updates bring the news, it polls only to check on them. Whichever
// way a task comes, an older version of it never takes the place of a newer one.
//
// It knows nothing of HTTP, of sockets, of the page or of real time; all come in
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
/** How often live updates are checked on. */
const CHECK_MS = { from: 30_000, to: 60_000 };
/** Hearing nothing for so long is suspicious enough to check at once. */
const SILENCE_MS = 10_000;
/** How soon live updates bring the next news of a task at work, at the latest, if all is well. */
const NEWS_MS_MAX = 2_000;
/** Whoever has heard something just now need not ask the moment live updates end. */
const FRESH_MS = 1_500;

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
 * What brings news of the task unasked, through `take`.
 *
 * @typedef {object} Updates
 * @property {() => boolean} areLive
 * @property {(version: number, askedAt: number) => void} polled what is known since a poll that was sent then
 */

/**
 * @typedef {object} FollowerOptions
 * @property {(etag: string | null, signal: AbortSignal) => Promise<StatusAnswer>} fetchStatus
 * @property {(task: Task, nextAfterMs: number | null) => void} onTask a new truth, and when to expect the next one; null when it is the last one
 * @property {(trouble: Trouble) => void} onTrouble a try failed and will be repeated, and nothing else brings news
 * @property {() => void} onRecovered the first news after trouble
 * @property {(error: unknown) => void} onLost trying again is pointless (gone, or no longer signed in); following has stopped
 * @property {Updates | null} updates
 * @property {number} knownVersion of the task
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
  /** Rings when live updates say nothing. Nobody is alarmed by it who does not look. */ #silence;
  /** @type {AbortController | null} */ #inFlight = null;
  /** @type {string | null} */ #etag = null;
  /** @type {number | null} */ #retryAfterMs = null;
  /** @type {(() => void)[]} */ #subscriptions;
  #version;
  /** When anything was last heard of the task, one way or the other. */
  #heardAt = -Infinity;
  /** Whether silence was checked on since the last regular check: a task may have nothing to say for long. */
  #hasCheckedSilence = false;
  #askedMeanwhile = false;
  #failures = 0;
  #isInTrouble = false;
  #stopped = false;

  /** @param {FollowerOptions} options @param {number} [firstPollAfterMs] */
  constructor(options, firstPollAfterMs = 0) {
    this.#options = options;
    const { clock, surroundings } = options;
    this.#version = options.knownVersion;
    this.#alarm = new Alarm(() => this.#pollAsPlanned(), clock, surroundings, HIDDEN_POLL_MS_MIN);
    this.#silence = new Alarm(() => this.#checkSilence(), clock, surroundings);
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

  get isStopped() {
    return this.#stopped;
  }

  /** Takes what live updates bring, which may be repeated, or older than what is known. @param {Task} task */
  take(task) {
    if (this.#stopped) return;
    this.#heardAt = this.#options.clock.now();
    if (!this.#hasCheckedSilence && this.#areLive) this.#silence.set(SILENCE_MS);
    if (task.version <= this.#version) return;
    this.#version = task.version;
    this.#recover();
    this.#report(task, NEWS_MS_MAX);
  }

  /** From now on live updates bring the news; what happened until now is asked for. */
  liveBegins() {
    if (!this.#stopped) this.pollNow();
  }

  /** From now on they do not. */
  liveEnds() {
    if (this.#stopped) return;
    this.#silence.clear();
    if (this.#inFlight) return;
    const isFresh = this.#options.clock.now() - this.#heardAt <= FRESH_MS;
    this.#alarm.set(isFresh ? pollDelayMs(this.#retryAfterMs) : 0);
  }

  get #areLive() {
    return this.#options.updates?.areLive() ?? false;
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
    this.#silence.stop();
    this.#inFlight?.abort();
    for (const unsubscribe of this.#subscriptions) unsubscribe();
  }

  #pollAsPlanned() {
    this.#hasCheckedSilence = false;
    void this.#poll();
  }

  #checkSilence() {
    if (this.#inFlight) return;
    this.#hasCheckedSilence = true;
    this.#alarm.clear();
    void this.#poll();
  }

  async #poll() {
    const { fetchStatus, clock } = this.#options;
    const request = new AbortController();
    const askedAt = clock.now();
    this.#inFlight = request;
    try {
      const answer = await fetchStatus(this.#etag, request.signal);
      if (this.#stopped || this.#inFlight !== request) return;
      this.#inFlight = null;
      this.#takeAnswer(answer, askedAt);
    } catch (error) {
      if (this.#stopped || this.#inFlight !== request) return;
      this.#inFlight = null;
      this.#retryOrGiveUp(error);
    }
  }

  /** @param {StatusAnswer} answer @param {number} askedAt */
  #takeAnswer({ task, etag, retryAfterMs }, askedAt) {
    const { clock, updates } = this.#options;
    this.#failures = 0;
    this.#heardAt = clock.now();
    this.#recover();
    // Meanwhile live updates may have brought something newer.
    const isCurrent = task !== null && !(task.version < this.#version);
    if (isCurrent) this.#version = task.version;
    updates?.polled(this.#version, askedAt);
    this.#etag = etag;
    this.#retryAfterMs = retryAfterMs;
    const nextAfterMs = this.#plan();
    if (isCurrent) this.#report(task, nextAfterMs);
  }

  /** Plans the next poll. @returns {number} when to expect the next news */
  #plan() {
    const isLive = this.#areLive;
    const checkMs = CHECK_MS.from + (CHECK_MS.to - CHECK_MS.from) * this.#options.random();
    const usualMs = isLive ? checkMs : pollDelayMs(this.#retryAfterMs);
    const delayMs = this.#askedMeanwhile ? 0 : usualMs;
    this.#askedMeanwhile = false;
    this.#alarm.set(delayMs);
    if (isLive && !this.#hasCheckedSilence) this.#silence.set(SILENCE_MS);
    return isLive ? NEWS_MS_MAX : delayMs;
  }

  /** @param {Task} task @param {number} nextAfterMs */
  #report(task, nextAfterMs) {
    const hasEnded = isTerminal(task);
    if (hasEnded) this.stop();
    this.#options.onTask(task, hasEnded ? null : nextAfterMs);
  }

  /** News have come, so there is no trouble any more. */
  #recover() {
    if (!this.#isInTrouble) return;
    this.#isInTrouble = false;
    this.#options.onRecovered();
  }

  /** @param {unknown} error */
  #retryOrGiveUp(error) {
    const { errors, onTrouble, onLost, random, clock } = this.#options;
    if (!errors.isRetryable(error)) {
      this.stop();
      onLost(error);
      return;
    }
    this.#failures += 1;
    const retryInMs = backoffMs(this.#failures, random, errors.retryAfterOf(error));
    this.#alarm.set(retryInMs);
    // As long as the news come all the same, it is nobody's trouble.
    if (this.#areLive && clock.now() - this.#heardAt < SILENCE_MS) return;
    this.#isInTrouble = true;
    onTrouble({ error, failures: this.#failures, retryInMs });
  }
}

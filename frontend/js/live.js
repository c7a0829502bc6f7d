// Live updates: one connection over which the server tells of every task of this user that changes. It is an
// embellishment: who follows a task polls it all the same, seldom while this lives and as ever when it does not.
//
// A socket may die unnoticed, be refused, or open and never say a word. So it is not trusted: what polls show and no
// message has brought is held against it. What fails is tried again later and later, for a page must not fight for a
// place that the server gives to another one. Nothing of all this is anything to tell the user.

import { Alarm } from './alarm.js';
import { backoffMs } from './retry.js';

/** @import { Clock, Surroundings } from './alarm.js' */
/** @import { Task } from './api.js' */
/** @import { ErrorReader } from './retry.js' */

const OPENING_MS_MAX = 10_000;
/** API Gateway closes what has been silent for 10 minutes; timers of hidden pages are a minute late. */
const PING_MS = { from: 240_000, to: 300_000 };
/** API Gateway closes everything after 2 hours. Who opened together is not to come back together. */
const RENEWAL_MS = { from: 6_000_000, to: 6_900_000 };
/** The longest wait before another try: polls do the work meanwhile. */
const RECONNECT_MS_MAX = 300_000;
/** A socket that has lived for so long has worked. Of too many the server lets go of the oldest; they are not to take turns. */
const PROVEN_MS = 1_800_000;
/** How long a message may take to follow a poll that knew of the change already. */
const DELIVERY_MS_MAX = 5_000;
/** People come back to tabs; that is not to cost a connection each time. */
const REST_AFTER_MS = 30_000;

/**
 * @typedef {object} LiveOptions
 * @property {(signal: AbortSignal) => Promise<string>} fetchUrl yields an address that is good for one connection, now
 * @property {(url: string) => WebSocket} connect
 * @property {() => void} onOpen from now on news come by themselves; what happened before does not
 * @property {(task: Task) => void} onTask may be repeated, late, or older than what is known
 * @property {() => void} onDown from now on they do not
 * @property {(error: unknown) => boolean} isFinal whether there will be no address, however often it is asked for
 * @property {ErrorReader} errors
 * @property {Clock} clock
 * @property {() => number} random
 * @property {Surroundings} surroundings
 */

export class Live {
  #options;
  /** What is being opened or is open; what belongs to an earlier one is not heard. @type {AbortController | null} */
  #attempt = null;
  /** @type {WebSocket | null} */ #socket = null;
  #isOpen = false;
  #openedAt = 0;
  #isWanted = false;
  #isStopped = false;
  /** In a row. */
  #failures = 0;
  /** Whether the last one was deaf, and none has brought any news since. */
  #isDoubted = false;
  /** The newest known version of each task. @type {Map<string, number>} */ #versions = new Map();
  /** The tasks that are known as they were when the socket was open: every change since has to be told. @type {Set<string>} */
  #watched = new Set();
  /** What a poll has shown and no message has brought yet. @type {{ taskId: string, version: number } | null} */
  #missing = null;
  #retry;
  #opening;
  #ping;
  #renewal;
  #overdue;
  #rest;
  /** @type {(() => void)[]} */ #subscriptions;

  /** @param {LiveOptions} options */
  constructor(options) {
    this.#options = options;
    const { clock, surroundings } = options;
    /** Rings in time while the page is hidden, too. @param {() => void} ring */
    const alarm = (ring) => new Alarm(ring, clock, surroundings, 0);
    this.#retry = alarm(() => this.#isWanted && void this.#connect());
    this.#opening = alarm(() => this.#fail());
    this.#ping = alarm(() => this.#sendPing());
    this.#renewal = alarm(() => this.#connectAnew());
    this.#overdue = alarm(() => this.#fail({ isDeaf: true }));
    this.#rest = alarm(() => this.#drop());
    this.#subscriptions = [
      surroundings.onOnline(() => this.#retry.isSet && this.#retry.set(0)),
      // A socket may take minutes to notice. Where it would have gone on, as to this very machine, it is back in a second.
      surroundings.onOffline(() => this.#attempt && this.#fail()),
      surroundings.onWakeUp(() => this.#connectAnew()),
    ];
  }

  /** Whether a change of any task would be told of. */
  get isLive() {
    return this.#isOpen && !this.#isDoubted;
  }

  /** Connects; or rests, if nobody wants it for a while. @param {boolean} isWanted */
  want(isWanted) {
    if (this.#isStopped || isWanted === this.#isWanted) return;
    this.#isWanted = isWanted;
    if (!isWanted) {
      this.#rest.set(REST_AFTER_MS);
      return;
    }
    this.#rest.clear();
    if (!this.#attempt && !this.#retry.isSet) void this.#connect();
  }

  /**
   * A poll has shown a task in this version, or a later one is known already.
   *
   * @param {string} taskId
   * @param {number} version
   * @param {number} askedAt
   */
  polled(taskId, version, askedAt) {
    const isNews = this.#isNews(taskId, version);
    // What changed before the socket was open is not told of.
    if (!this.#isOpen || askedAt < this.#openedAt) return;
    if (isNews && this.#watched.has(taskId) && !this.#missing) {
      this.#missing = { taskId, version };
      this.#overdue.set(DELIVERY_MS_MAX);
    }
    this.#watched.add(taskId);
  }

  /** Closes for good; nothing is reported after this, and an address that is still on its way is not used. */
  stop() {
    this.#isStopped = true;
    this.#drop();
    for (const alarm of [this.#retry, this.#opening, this.#ping, this.#renewal, this.#overdue, this.#rest]) alarm.stop();
    for (const unsubscribe of this.#subscriptions) unsubscribe();
  }

  async #connect() {
    const { fetchUrl, connect } = this.#options;
    const attempt = new AbortController();
    this.#attempt = attempt;
    try {
      const url = await fetchUrl(attempt.signal);
      if (attempt !== this.#attempt) return;
      const socket = connect(url);
      this.#socket = socket;
      this.#opening.set(OPENING_MS_MAX);
      socket.onopen = () => this.#open();
      socket.onmessage = ({ data }) => this.#hear(data);
      socket.onclose = () => this.#fail();
    } catch (error) {
      if (attempt === this.#attempt) this.#retryOrGiveUp(error);
    }
  }

  #connectAnew() {
    this.#cut();
    if (this.#isWanted) void this.#connect();
  }

  /** @param {unknown} error */
  #retryOrGiveUp(error) {
    const { errors, isFinal } = this.#options;
    if (isFinal(error)) this.stop();
    else this.#fail({ retryAfterMs: errors.retryAfterOf(error) });
  }

  #open() {
    const { clock, onOpen } = this.#options;
    this.#isOpen = true;
    this.#openedAt = clock.now();
    this.#watched.clear();
    this.#opening.clear();
    this.#ping.set(this.#between(PING_MS));
    this.#renewal.set(this.#between(RENEWAL_MS));
    if (this.isLive) onOpen();
  }

  /** @param {unknown} data */
  #hear(data) {
    const task = taskOf(data);
    if (!task) return;
    const { onTask, onOpen } = this.#options;
    const { task_id: taskId, version } = task;
    const isNews = this.#isNews(taskId, version);
    this.#watched.add(taskId);
    if (this.#missing?.taskId === taskId && this.#missing.version <= version) this.#expectNothing();
    onTask(task);
    // It is not deaf, nor so slow that polling is faster.
    if (!isNews || !this.#isDoubted || !this.#isOpen) return;
    this.#isDoubted = false;
    onOpen();
  }

  /** @param {string} taskId @param {number} version @returns {boolean} whether that is more than was known */
  #isNews(taskId, version) {
    const isNews = version > (this.#versions.get(taskId) ?? -1);
    if (isNews) this.#versions.set(taskId, version);
    return isNews;
  }

  #sendPing() {
    this.#socket?.send(JSON.stringify({ action: 'ping' }));
    this.#ping.set(this.#between(PING_MS));
  }

  /** @param {{ isDeaf?: boolean, retryAfterMs?: number | null }} [how] */
  #fail({ isDeaf = false, retryAfterMs = null } = {}) {
    const { clock, random } = this.#options;
    const wasProven = this.isLive && !isDeaf && clock.now() - this.#openedAt >= PROVEN_MS;
    this.#failures = wasProven ? 1 : this.#failures + 1;
    this.#cut();
    this.#isDoubted ||= isDeaf;
    this.#retry.set(backoffMs(this.#failures, random, retryAfterMs, RECONNECT_MS_MAX));
  }

  /** Lets go of the connection, and of every plan for it. */
  #drop() {
    const [attempt, socket, wasLive] = [this.#attempt, this.#socket, this.isLive];
    this.#attempt = this.#socket = null;
    this.#isOpen = false;
    for (const alarm of [this.#retry, this.#opening, this.#ping, this.#renewal]) alarm.clear();
    this.#expectNothing();
    attempt?.abort();
    if (socket) this.#abandon(socket);
    if (wasLive && !this.#isStopped) this.#options.onDown();
  }

  /**
   * The same for one that must not stand in the way of the next: browsers let one socket at a time connect to a host. They
   * warn of those that are closed before they are open.
   */
  #cut() {
    this.#socket?.close();
    this.#drop();
  }

  /** @param {WebSocket} socket that nobody listens to any more */
  #abandon(socket) {
    socket.onopen = socket.onmessage = socket.onclose = null;
    const close = () => socket.close();
    if (socket.readyState !== 0) {
      close();
      return;
    }
    socket.onopen = close;
    this.#options.clock.setTimeout(close, OPENING_MS_MAX);
  }

  #expectNothing() {
    this.#missing = null;
    this.#overdue.clear();
  }

  /** @param {{ from: number, to: number }} range @returns {number} */
  #between({ from, to }) {
    return from + (to - from) * this.#options.random();
  }
}

/** @param {unknown} data @returns {Task | null} what a message tells; null where it tells of no task, or cannot be read */
function taskOf(data) {
  try {
    const { type, version, data: task } = JSON.parse(String(data));
    const isTask = type === 'task' && Number.isFinite(version) && typeof task?.task_id === 'string';
    return isTask ? { ...task, version } : null;
  } catch {
    return null;
  }
}

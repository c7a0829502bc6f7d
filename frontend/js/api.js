// The HTTP contract: paths, headers, bodies, and errors with a reason.

import { withDeadline } from './deadline.js';
import { parseRetryAfter } from './retry.js';
import { CognitoError, SessionEnded } from './session.js';

/** @import { Session } from './session.js' */
/** @import { StatusAnswer } from './follower.js' */
/** @import { Request } from './request-form.js' */
/** @import { Schema } from './schema.js' */

/**
 * @typedef {'QUEUED' | 'PROCESSING' | 'SUCCESS' | 'FAILED' | 'CANCELLED'} TaskStatus
 */

/**
 * @typedef {object} Job
 * @property {string} name in addresses
 * @property {string} title
 * @property {string} description may be empty
 * @property {Schema} request
 * @property {Schema} output
 */

/**
 * @typedef {object} Catalogue
 * @property {Job[]} jobs
 * @property {{ items_max: number }} limits of any task
 */

/** @typedef {{ catalogue: Catalogue | null, etag: string | null }} JobsAnswer null where nothing has changed since `etag` (304) */

/**
 * @typedef {object} Task
 * @property {string} task_id
 * @property {string} job
 * @property {string | null} retry_of the task whose undone items it tries again
 * @property {TaskStatus} task_status
 * @property {number} done_percentage
 * @property {number} count_done_items
 * @property {number} count_failed_items
 * @property {number} number_of_items
 * @property {string | null} created_at
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {number | null} eta_seconds
 * @property {string | null} phase what is being done, in its job's words
 * @property {string | null} resumes_at until when all that is left of it pauses
 * @property {string | null} error
 * @property {number} version grows whenever anything of it changes
 */

/**
 * @typedef {object} Item
 * @property {number} index
 * @property {string} name
 * @property {'done' | 'failed'} outcome
 * @property {unknown} output of its job's output schema; null where it failed
 * @property {string | null} error
 */

/**
 * @typedef {object} Submitted
 * @property {string} taskId
 * @property {string} job the one that the task is of
 * @property {boolean} wasBusy another task was active already; it is that one's id
 * @property {number | null} retryAfterMs
 */

/**
 * @template T
 * @typedef {object} Page
 * @property {T[]} entries
 * @property {string | null} nextCursor
 */

/** Longer than any answer of a healthy API takes, cold start included. */
const REQUEST_MS_MAX = 15_000;
/** As many as the API gives. */
export const ITEMS_PER_FILE_PAGE = 1_000;
/** Whoever is to come back later than this is refused. */
const WAIT_MS_MAX = 60_000;
/** A large request has more time, for it may come over a slow line: this is 250 kbit/s. */
const BODY_LENGTH_PER_MS = 32;

export class ApiError extends Error {
  /**
   * @param {number} status 0 where no answer came at all
   * @param {string} message
   * @param {Record<string, string[]>} [fields] what is wrong with which field of the request
   * @param {number | null} [retryAfterMs]
   */
  constructor(status, message, fields = {}, retryAfterMs = null) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.fields = fields;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed soon. */
  get isRetryable() {
    return this.status === 0 || this.status === 408 || (this.status === 429 && !this.isExhausted) || this.status >= 500;
  }

  /** Whether there is a quota that is used up for longer than anybody waits for an answer. */
  get isExhausted() {
    return this.status === 429 && (this.retryAfterMs ?? 0) > WAIT_MS_MAX;
  }
}

export class Api {
  #base;
  #session;
  #isOnline;
  /** The token of a request whose answer could not be read. @type {string | null} */ #doubted = null;
  /** Since the last answer that could be read; renewing twice would help no more than once. */
  #hasRenewedInDoubt = false;

  /** @param {string} apiUrl @param {Session} session @param {() => boolean} [isOnline] */
  constructor(apiUrl, session, isOnline = () => navigator.onLine) {
    this.#base = `${apiUrl.replace(/\/+$/, '')}/api/`;
    this.#session = session;
    this.#isOnline = isOnline;
  }

  /** What may be asked for. @param {string | null} etag @returns {Promise<JobsAnswer>} */
  async jobs(etag) {
    const { response, body } = await this.#request('GET', '', { headers: etag === null ? {} : { 'If-None-Match': etag } });
    return { catalogue: body?.data ?? null, etag: response.headers.get('ETag') ?? etag };
  }

  /** @param {Request} request @param {string} idempotencyKey @returns {Promise<Submitted>} */
  async submit({ job, body: asked }, idempotencyKey) {
    const { response, body } = await this.#request('POST', `${job}/`, {
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': idempotencyKey },
      body: asked,
    });
    return submitted(response, body, job);
  }

  /** @param {string} job @param {string} taskId @param {string | null} etag @param {AbortSignal} signal @returns {Promise<StatusAnswer>} */
  async status(job, taskId, etag, signal) {
    const { response, body } = await this.#request('GET', `${job}/${taskId}/`, {
      headers: etag === null ? {} : { 'If-None-Match': etag },
      signal,
    });
    return {
      task: body?.data ?? null,
      etag: response.headers.get('ETag') ?? etag,
      retryAfterMs: parseRetryAfter(response.headers.get('Retry-After')),
    };
  }

  /** @param {Task} task @returns {Promise<Task>} */
  async cancel({ job, task_id: id }) {
    return (await this.#request('DELETE', `${job}/${id}/`)).body.data;
  }

  /** Has what a task left undone tried again. @param {Task} task @param {string} idempotencyKey @returns {Promise<Submitted>} */
  async retry({ job, task_id: id }, idempotencyKey) {
    const { response, body } = await this.#request('POST', `${job}/${id}/retry/`, { headers: { 'Idempotency-Key': idempotencyKey } });
    return submitted(response, body, job);
  }

  /** Where to hear of changes as they happen, once and soon. @param {AbortSignal} signal @returns {Promise<string>} */
  async liveUrl(signal) {
    return (await this.#request('POST', 'live/', { signal })).body.data.url;
  }

  /** Those of all jobs, newest first. @param {string | null} cursor @param {number} limit @returns {Promise<Page<Task>>} */
  async tasks(cursor, limit) {
    const { body } = await this.#request('GET', `tasks/?${query({ limit, cursor })}`);
    return { entries: body.data.tasks, nextCursor: body.data.next_cursor };
  }

  /**
   * @param {Task} task
   * @param {'done' | 'failed'} outcome
   * @param {string | null} cursor
   * @param {number} limit
   * @returns {Promise<Page<Item>>}
   */
  async items({ job, task_id: id }, outcome, cursor, limit) {
    const { body } = await this.#request('GET', `${job}/${id}/items/?${query({ outcome, limit, cursor })}`);
    return { entries: body.data.items, nextCursor: body.data.next_cursor };
  }

  /**
   * A page of a file of items, with what each was given.
   *
   * @param {Task} task
   * @param {'failed' | null} outcome
   * @param {string | null} next what the page before said
   * @param {AbortSignal} signal
   * @returns {Promise<{ text: string, next: string | null }>}
   */
  async itemsFile({ job, task_id: id }, outcome, next, signal) {
    const asked = next ?? query({ format: 'csv', include: 'input', outcome, limit: ITEMS_PER_FILE_PAGE });
    const { response, body } = await this.#request('GET', `${job}/${id}/items/?${asked}`, { signal, read: (answer) => answer.text() });
    return { text: body, next: nextOf(response.headers.get('Link')) };
  }

  /**
   * Sends a request with a good token. A token that the API refuses although it should be good
   * (revoked, or this machine's clock is wrong) is renewed once; if the new one is refused as
   * well, only signing in again can help.
   *
   * @param {string} method
   * @param {string} path
   * @param {{ headers?: Record<string, string>, body?: string, signal?: AbortSignal, read?: (answer: Response) => Promise<any> }} [options]
   * @returns {Promise<{ response: Response, body: any }>} the body is null for a 304
   */
  #request(method, path, { headers = {}, body, signal, read = (answer) => answer.json() } = {}) {
    return withDeadline(REQUEST_MS_MAX + (body?.length ?? 0) / BODY_LENGTH_PER_MS, async (deadline) => {
      /** @param {string} token */
      const send = (token) => this.#send(token, path, { method, headers, body, signal: deadline });
      let token = await this.#goodToken();
      let response = await send(token);
      if (response.status === 401) {
        token = await this.#session.accessToken(token);
        response = await send(token);
      }
      if (response.status === 401) {
        this.#session.end(token);
        throw new SessionEnded();
      }
      if (response.status === 304) return { response, body: null };
      const answer = await (response.ok ? read(response) : response.json()).catch(() => null);
      if (response.ok && answer !== null) return { response, body: answer };
      throw errorOf(response, answer);
    }, signal);
  }

  /**
   * @param {string} token
   * @param {string} path
   * @param {RequestInit} options
   * @returns {Promise<Response>}
   */
  async #send(token, path, { headers, ...options }) {
    try {
      const response = await fetch(this.#base + path, {
        ...options,
        headers: { ...headers, Authorization: `Bearer ${token}` },
        // The follower keeps its own ETags. The browser's cache in between would only hide a 304.
        cache: 'no-store',
      });
      this.#hasRenewedInDoubt = false;
      return response;
    } catch (error) {
      // A TypeError is all that a script learns of an answer that it may not read.
      if (error instanceof TypeError && this.#isOnline() && !this.#hasRenewedInDoubt) this.#doubted = token;
      throw new ApiError(0, 'The server did not answer.');
    }
  }

  /**
   * The session's token, renewed where the last answer could not be read. API Gateway promises its
   * CORS headers for the answers of integrations only, so the authorizer's 401 may be one that the
   * browser keeps from the page: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html>.
   *
   * @returns {Promise<string>}
   */
  async #goodToken() {
    const doubted = this.#doubted;
    this.#doubted = null;
    if (doubted === null) return this.#session.accessToken();
    try {
      const token = await this.#session.accessToken(doubted);
      this.#hasRenewedInDoubt = true;
      return token;
    } catch (error) {
      // It was only a doubt: where Cognito does not answer either, the token may well be good.
      if (error instanceof CognitoError && error.isRetryable) return this.#session.accessToken();
      throw error;
    }
  }
}

/** @param {Response} response @param {any} body @param {string} job that was asked for @returns {Submitted} */
function submitted(response, body, job) {
  return {
    taskId: body.data.task_id,
    job: body.data.job ?? job,
    wasBusy: response.status === 201,
    retryAfterMs: parseRetryAfter(response.headers.get('Retry-After')),
  };
}

/** @param {string | null} link @returns {string | null} the query of the next page, which is all that the link names */
function nextOf(link) {
  return /^<\?([^>]*)>; rel="next"$/.exec(link ?? '')?.[1] ?? null;
}

/** @param {Record<string, string | number | null>} parameters @returns {string} */
function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null);
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}

/**
 * @param {Response} response
 * @param {{ message?: string | Record<string, string[]> } | null} answer API Gateway's own answers have a plain message
 * @returns {ApiError}
 */
function errorOf(response, answer) {
  const retryAfterMs = parseRetryAfter(response.headers.get('Retry-After'));
  // A success whose body cannot be read is a lost answer.
  const status = response.ok ? 0 : response.status;
  const message = answer?.message ?? `The server answered ${response.status}.`;
  if (typeof message === 'string') return new ApiError(status, message, {}, retryAfterMs);
  return new ApiError(status, Object.values(message).flat().join(' '), message, retryAfterMs);
}

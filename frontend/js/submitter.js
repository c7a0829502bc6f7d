// Starts a task exactly once per intent, however often the answer gets lost.

import { withRetries } from './retry.js';

/** @import { Submitted } from './api.js' */
/** @import { Request } from './request-form.js' */
/** @import { RetryOptions } from './retry.js' */

/**
 * @typedef {object} SubmitterOptions
 * @property {(request: Request, idempotencyKey: string) => Promise<Submitted>} submit
 * @property {() => string} newKey
 * @property {RetryOptions} retries
 */

export class Submitter {
  #options;
  /** The intent whose fate is unknown. @type {{ request: Request, key: string } | null} */
  #open = null;
  /** @type {Promise<Submitted> | null} */
  #running = null;

  /** @param {SubmitterOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /**
   * Starts a task. A second call while one is under way joins it and sends nothing.
   *
   * Where no try got an answer, the intent stays open: the same request made again is sent
   * with the same key, so a submit that did arrive is found instead of repeated.
   *
   * @param {Request} request
   * @returns {Promise<Submitted>}
   */
  start(request) {
    this.#running ??= this.#send(request).finally(() => (this.#running = null));
    return this.#running;
  }

  /**
   * Settles what was open: a task has been found that it led to, or that rules it out. Asked for
   * from now on, the same is another task.
   */
  settle() {
    this.#open = null;
  }

  /** @param {Request} request @returns {Promise<Submitted>} */
  async #send(request) {
    const { submit, newKey, retries } = this.#options;
    const open = this.#open;
    const isSame = open?.request.job === request.job && open.request.body === request.body;
    const intent = isSame ? open : { request, key: newKey() };
    this.#open = intent;
    try {
      const answer = await withRetries(() => submit(intent.request, intent.key), retries);
      this.#open = null;
      return answer;
    } catch (error) {
      // A refusal settles the intent; no answer at all leaves it open.
      if (!retries.errors.isRetryable(error)) this.#open = null;
      throw error;
    }
  }
}

/**
 * A key that no other intent has. `crypto.randomUUID` exists in secure contexts only,
 * and a local stack may be reached over plain HTTP by another name than localhost.
 *
 * @returns {string}
 */
export function newIdempotencyKey() {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// Starts a task exactly once per intent, however often the answer gets lost.

import { backoffMs } from './retry.js';

/** @import { Submitted } from './api.js' */

/** With the back-off between them, four tries take about 7 s: as long as a person waits for a button. */
const TRIES_MAX = 4;

/**
 * @typedef {object} SubmitterOptions
 * @property {(numberOfItems: number, idempotencyKey: string) => Promise<Submitted>} submit
 * @property {(error: unknown) => boolean} isRetryable
 * @property {(error: unknown) => number | null} retryAfterOf
 * @property {(ms: number) => Promise<void>} sleep
 * @property {() => number} random
 * @property {() => string} newKey
 * @property {(failures: number) => void} onRetry told before each further try
 */

export class Submitter {
  #options;
  /** The intent whose fate is unknown. @type {{ numberOfItems: number, key: string } | null} */
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
   * Where no try got an answer, the intent stays open: the same number asked for again is sent
   * with the same key, so a submit that did arrive is found instead of repeated.
   *
   * @param {number} numberOfItems
   * @returns {Promise<Submitted>}
   */
  start(numberOfItems) {
    this.#running ??= this.#send(numberOfItems).finally(() => (this.#running = null));
    return this.#running;
  }

  /** @param {number} numberOfItems @returns {Promise<Submitted>} */
  async #send(numberOfItems) {
    const { submit, isRetryable, retryAfterOf, sleep, random, newKey, onRetry } = this.#options;
    const intent = this.#open?.numberOfItems === numberOfItems ? this.#open : { numberOfItems, key: newKey() };
    this.#open = intent;
    for (let failures = 0; ; ) {
      try {
        const answer = await submit(numberOfItems, intent.key);
        this.#open = null;
        return answer;
      } catch (error) {
        if (!isRetryable(error)) {
          this.#open = null;
          throw error;
        }
        failures += 1;
        if (failures === TRIES_MAX) throw error;
        onRetry(failures);
        await sleep(backoffMs(failures, random, retryAfterOf(error)));
      }
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

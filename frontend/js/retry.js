// When to try again after something failed. Time, chance and what an error means come in from
// outside, so that the tests can pin every number.

/** The first wait after a failure; it doubles with every further one. */
const FIRST_WAIT_MS = 1_000;
/** A page that someone is looking at must never seem dead for longer than this. */
const WAIT_MS_MAX = 30_000;
/** What asks for more than this is taken for a mistake: nobody would look at a page that rests for an hour. */
const RETRY_AFTER_MS_MAX = 60_000;

/**
 * How long to wait after the `failures`-th failure in a row.
 *
 * Half of the wait is random: after an outage all open pages would otherwise
 * come back in the same instant and cause the next one.
 *
 * @param {number} failures how many tries have failed in a row, from 1
 * @param {() => number} random yields 0 ≤ x < 1
 * @param {number | null} [retryAfterMs] what the server asked for; not undercut, up to a minute
 * @param {number} [waitMsMax]
 * @returns {number} milliseconds
 */
export function backoffMs(failures, random, retryAfterMs = null, waitMsMax = WAIT_MS_MAX) {
  const ceiling = Math.min(waitMsMax, FIRST_WAIT_MS * 2 ** (failures - 1));
  return Math.max(ceiling / 2 + (ceiling / 2) * random(), Math.min(retryAfterMs ?? 0, RETRY_AFTER_MS_MAX));
}

/**
 * What an error says about trying again.
 *
 * @typedef {object} ErrorReader
 * @property {(error: unknown) => boolean} isRetryable
 * @property {(error: unknown) => number | null} retryAfterOf in milliseconds
 */

/**
 * @typedef {object} RetryOptions
 * @property {number} triesMax
 * @property {ErrorReader} errors
 * @property {(ms: number) => Promise<void>} sleep
 * @property {() => number} random
 * @property {() => void} [onRetry] told before each further try
 */

/**
 * Does something that may be done twice until it gets an answer, a refusal, or tired.
 *
 * @template T
 * @param {() => Promise<T>} action
 * @param {RetryOptions} options
 * @returns {Promise<T>}
 */
export async function withRetries(action, { triesMax, errors, sleep, random, onRetry }) {
  for (let failures = 1; ; failures += 1) {
    try {
      return await action();
    } catch (error) {
      if (!errors.isRetryable(error) || failures === triesMax) throw error;
      onRetry?.();
      await sleep(backoffMs(failures, random, errors.retryAfterOf(error)));
    }
  }
}

/**
 * Reads a `Retry-After` header, which is whole seconds in this API.
 *
 * @param {string | null} header
 * @returns {number | null} milliseconds, or null where there is nothing usable
 */
export function parseRetryAfter(header) {
  if (header === null || !/^\d{1,6}$/.test(header.trim())) return null;
  return Number(header) * 1_000;
}

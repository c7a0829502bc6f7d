// How long a request may take. Browsers that are still about lack AbortSignal.timeout and AbortSignal.any.

/**
 * Does something that takes a signal, and aborts it after a while or when it is not wanted any more.
 *
 * @template T
 * @param {number} ms
 * @param {(signal: AbortSignal) => Promise<T>} action
 * @param {AbortSignal} [unwanted]
 * @returns {Promise<T>}
 */
export async function withDeadline(ms, action, unwanted) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, ms);
  unwanted?.addEventListener('abort', abort);
  if (unwanted?.aborted) abort();
  try {
    return await action(controller.signal);
  } finally {
    clearTimeout(timer);
    unwanted?.removeEventListener('abort', abort);
  }
}

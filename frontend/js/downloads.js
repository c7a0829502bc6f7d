// A task's items as a file, page after page.

import { element } from './dom.js';
import { withRetries } from './retry.js';

/** @import { Api, Task } from './api.js' */
/** @import { RetryOptions } from './retry.js' */

/** @typedef {'failed' | null} What which items; null for all */

/** By which spreadsheets know that a file is UTF-8. */
const BYTE_ORDER_MARK = '\uFEFF';

/**
 * Fetches all pages, which one after the other are the file.
 *
 * @param {Pick<Api, 'itemsFile'>} api
 * @param {Task} task
 * @param {What} what
 * @param {{ retries: RetryOptions, signal: AbortSignal, onPage: (pages: number) => void }} options
 * @returns {Promise<Blob>}
 */
export async function fetchFile(api, task, what, { retries, signal, onPage }) {
  const parts = [BYTE_ORDER_MARK];
  /** @type {string | null} */
  let next = null;
  do {
    const from = /** @type {string | null} */ (next);
    /** @type {{ text: string, next: string | null }} */
    const page = await withRetries(() => {
      signal.throwIfAborted();
      return api.itemsFile(task, what, from, signal);
    }, retries);
    signal.throwIfAborted();
    parts.push(page.text);
    next = page.next;
    onPage(parts.length - 1);
  } while (next !== null);
  return new Blob(parts, { type: 'text/csv' });
}

/** @param {Task} task @param {What} what @returns {string} a name that no other task's file has */
export function nameOf({ job, task_id: id }, what) {
  return [job, ...(what ? [what] : []), `${id.slice(-12)}.csv`].join('-');
}

/** Hands a file to the browser, which asks or puts it where downloads go. @param {Blob} file @param {string} name */
export function save(file, name) {
  const link = element('a', '');
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  // The browser has taken it over by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Everything the page says that depends on data: numbers, times and sentences.

import { ApiError } from './api.js';
import { CognitoError } from './session.js';

/** @import { Task, TaskStatus } from './api.js' */
/** @import { NumberShape } from './schema.js' */

const numbers = new Intl.NumberFormat('en');
const timeOfDay = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const dayOfYear = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const dayAndYear = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** @type {Record<TaskStatus, string>} */
export const STATE_WORDS = {
  QUEUED: 'Waiting to start',
  PROCESSING: 'Running',
  SUCCESS: 'Finished',
  FAILED: 'Failed',
  CANCELLED: 'Cancelled',
};

export const PAUSING = 'Pausing';

/** @param {Task} task @returns {string} */
export function state({ task_status: status, resumes_at: resumesAt }) {
  return status === 'PROCESSING' && resumesAt ? PAUSING : STATE_WORDS[status];
}

/** @param {number} count @returns {string} */
export function number(count) {
  return numbers.format(count);
}

/** @param {number} count @param {string} one @returns {string} */
function counted(count, one) {
  return `${number(count)} ${one}${count === 1 ? '' : 's'}`;
}

/** @param {number} count @returns {string} "1 item", "100 items" */
export function items(count) {
  return counted(count, 'item');
}

/** The same of a task of which it may not be known yet. @param {number} total 0 where it is not @returns {string} */
export function size(total) {
  return total === 0 ? '' : items(total);
}

/** @param {number} done @param {number} total @returns {string} "7 of 100 items", in whole items */
export function countOf(done, total) {
  if (total === 0) return '';
  return `${number(Math.floor(done))} of ${items(total)}`;
}

/** @param {number} failed @returns {string} */
export function failedCount(failed) {
  return `${number(Math.floor(failed))} failed`;
}

/** @param {number} ms @returns {string} a length of time as precise as a person cares for */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** An estimate that is overrun by more than this was wrong, and "any moment" would be a promise. */
const OVERRUN_SECONDS_MAX = 5;

/**
 * An estimate is rounded up, and coarser the longer it is: a countdown that promises seconds
 * and then stops is worse than none.
 *
 * @param {number | null} ms
 * @returns {string}
 */
export function timeLeft(ms) {
  if (ms === null) return '–';
  const seconds = Math.ceil(ms / 1_000);
  if (seconds < -OVERRUN_SECONDS_MAX) return '–';
  if (seconds <= 0) return 'any moment';
  if (seconds <= 5) return 'a few seconds';
  if (seconds <= 55) return `about ${Math.ceil(seconds / 5) * 5} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `about ${minutes} min`;
  const quarters = Math.ceil(minutes / 15);
  const rest = (quarters % 4) * 15;
  return `about ${Math.floor(quarters / 4)} h${rest ? ` ${rest} min` : ''}`;
}

/**
 * When something happened, in local time and as short as it stays clear.
 *
 * @param {string} timestamp RFC 3339
 * @param {Date} [now]
 * @returns {string} "14:03" today, else "Yesterday, 14:03", "19 Nov, 14:03"
 */
export function moment(timestamp, now = new Date()) {
  const then = new Date(timestamp);
  const yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  const time = timeOfDay.format(then);
  if (then.toDateString() === now.toDateString()) return time;
  if (then.toDateString() === yesterday.toDateString()) return `Yesterday, ${time}`;
  return `${(then.getFullYear() === now.getFullYear() ? dayOfYear : dayAndYear).format(then)}, ${time}`;
}

/** The same in a list, where a bare time among dates would look lost. @param {string} timestamp @param {Date} [now] @returns {string} */
export function momentWithDay(timestamp, now = new Date()) {
  const text = moment(timestamp, now);
  return text.includes(',') ? text : `Today, ${text}`;
}

/**
 * How long a task ran, or has been running until `now`; null while it waits.
 *
 * @param {Task} task
 * @param {number} now the server's time
 * @returns {number | null}
 */
export function elapsedMs(task, now) {
  const start = task.started_at ?? (task.finished_at && task.created_at);
  if (!start) return null;
  return Math.max(0, (task.finished_at ? Date.parse(task.finished_at) : now) - Date.parse(start));
}

/** When the work began, which is later than when it was asked for. @param {Task} task @param {Date} [now] @returns {string} */
export function started(task, now = new Date()) {
  if (task.started_at) return moment(task.started_at, now);
  return task.finished_at ? '–' : 'Not yet';
}

/** @param {Task} task @returns {string} what a button says that has its undone items tried again */
export function again({ number_of_items: total, count_done_items: done }) {
  const undone = total - done;
  if (undone === 1) return done === 0 ? 'Try it again' : 'Try the one again';
  return done === 0 ? `Try all ${number(undone)} again` : `Try the ${number(undone)} again`;
}

/** @param {Task} task @returns {string} */
export function whatAgainMeans({ number_of_items: total, count_done_items: done, count_failed_items: failed }) {
  const undone = total - done;
  const which = failed === undone ? 'that failed' : failed === 0 ? 'that did not run' : 'that failed or did not run';
  const kept = done === 0 ? '' : ` The ${number(done)} that ${done === 1 ? 'is' : 'are'} done ${done === 1 ? 'stays' : 'stay'} as ${done === 1 ? 'it is' : 'they are'}.`;
  return `A new task tries the ${undone === 1 ? 'item' : items(undone)} ${which}, with what ${undone === 1 ? 'it was' : 'they were'} given the first time.${kept}`;
}

/** @param {number} fetched @param {number} total @returns {string} */
export function downloading(fetched, total) {
  return `${number(Math.min(fetched, total))} of ${number(total)} …`;
}

/** What has come of a task and what to do next, in a sentence or two. A pause is over within the hour, so its day goes without saying. @param {Task} task @returns {string} */
export function outcome(task) {
  const { task_status: status, count_done_items: done, count_failed_items: failed, number_of_items: total } = task;
  switch (status) {
    case 'QUEUED':
      return 'Your task is in the queue and starts by itself. You can close this page and come back.';
    case 'PROCESSING':
      if (task.resumes_at) return `It waits for what it needs, and goes on at ${timeOfDay.format(new Date(task.resumes_at))}. You can close this page and come back.`;
      return 'You can close this page. The work goes on, and you can come back to watch.';
    case 'SUCCESS':
      return `${total === 1 ? 'The item is' : `All ${items(total)} are`} done. Have a look, or start another task.`;
    case 'CANCELLED':
      if (done === 0) return 'Cancelled before an item was done. Start another when you like.';
      return `Cancelled after ${number(done)} of ${items(total)}. What was done is kept; start another when you like.`;
    case 'FAILED':
      // Given up before every item was tried: only the error says why.
      if (done + failed < total) return `${sentence(task.error ?? 'The task was given up.')} Done so far: ${number(done)} of ${items(total)}. Start another when you like.`;
      return `${number(failed)} of ${items(total)} failed. See which ones and why, then start another task.`;
  }
}

/** What a screen reader hears when a task has ended. @param {Task} task @returns {string} */
export function ending(task) {
  return `${STATE_WORDS[task.task_status]}. ${outcome(task)}`;
}

/**
 * Which of the few announcements is due: a screen reader must not read out every poll.
 *
 * @param {number} before percentage
 * @param {number} now percentage
 * @returns {number | null} the milestone passed between the two
 */
export function milestone(before, now) {
  return [75, 50, 25].find((mark) => before < mark && now >= mark) ?? null;
}

// What is wrong with what was filled in

export const FILL_IN = 'Fill this in.';
export const CHOOSE = 'Choose one.';
export const TOO_LARGE = 'That is too large a number.';
export const NOT_A_FLAG = 'Enter yes or no.';
export const NOT_JSON = 'This is no JSON yet. Texts stand in double quotes, and nothing follows the last bracket.';
export const OPEN_QUOTES = 'The quotation marks in this row do not pair up.';
export const TOO_MANY_CELLS = 'This row has more cells than the first one has headings.';

/** @param {NumberShape} shape @returns {string} */
export function notANumber({ isInteger, minimum, maximum }) {
  const usual = isInteger ? 100 : 1.5;
  const fits = (minimum === null || usual >= minimum) && (maximum === null || usual <= maximum);
  return `Enter a ${isInteger ? 'whole ' : ''}number, such as ${fits ? usual : (minimum ?? maximum)}.`;
}

/** Numbers as they may be typed, so without separators. @param {number | bigint} minimum @returns {string} */
export function atLeast(minimum) {
  return `Enter ${minimum} or more.`;
}

/** @param {number | bigint} maximum @returns {string} */
export function atMost(maximum) {
  return `Enter ${maximum} or less.`;
}

/** @param {number} length @returns {string} */
export function lengthAtLeast(length) {
  return length === 1 ? FILL_IN : `Use ${number(length)} characters or more.`;
}

/** @param {number} length @returns {string} */
export function lengthAtMost(length) {
  return `Use ${counted(length, 'character')} at most.`;
}

/** @param {string[]} titles @returns {string} */
export function notAChoice(titles) {
  return `Enter ${listed(titles, 'or')}.`;
}

/** @param {number} count @returns {string} */
export function countAtLeast(count) {
  return count === 1 ? 'There has to be at least one.' : `There have to be at least ${number(count)}.`;
}

/** @param {number} count @returns {string} */
export function countAtMost(count) {
  return `There may be ${number(count)} at most.`;
}

// Files and their rows

export const DROP_ROWS = 'Drop a CSV file here, or paste rows from a spreadsheet';
export const CSV_READER_MISSING = 'The part of this page that reads files did not arrive. Reload the page and try again.';
export const FILE_UNREADABLE = 'The file could not be read. Choose it again.';
export const NO_FILE = 'Choose a file first.';
export const NO_ROWS = 'There are no rows below the first one, which names the columns.';
export const STILL_READING = 'The file is still being read.';
export const NOT_ROWS = 'This looks like a spreadsheet of its own kind. Save it as CSV first, then choose that file.';

/** @param {number} bytesMax @returns {string} */
export function fileTooLarge(bytesMax) {
  return `This file is larger than ${number(bytesMax / 1024 / 1024)} MB, which is more than can be sent.`;
}

/** @param {number} count @returns {string} "1 row", "10,000 rows" */
export function rows(count) {
  return counted(count, 'row');
}

/** @param {number} count @returns {string} */
export function lines(count) {
  return counted(count, 'line');
}

/** @param {string[]} titles @returns {string} what a file has to have */
export function headingsWanted(titles) {
  return `Its first row names the columns: ${listed(titles, 'and')}.`;
}

/** @param {string[]} titles @returns {string} */
export function noColumns(titles) {
  return `The first row has to name the columns: ${listed(titles, 'and')}.`;
}

/** @param {string[]} titles @returns {string} */
export function missingColumns(titles) {
  return `The first row names no column ${listed(titles.map(quoted), 'and none')}.`;
}

/** @param {string} title @returns {string} */
export function columnTwice(title) {
  return `The first row names the column ${quoted(title)} twice.`;
}

/** @param {string[]} headings @returns {string} */
export function unusedColumns(headings) {
  return headings.length === 0 ? '' : `Not used: ${listed(headings, 'and')}.`;
}

/** @param {number} count @returns {string} */
export function rowsNeedAttention(count) {
  return `${count === 1 ? '1 row needs' : `${number(count)} rows need`} attention. Correct the file, then choose it again.`;
}

/** @param {number} shown @param {number} all @returns {string} */
export function firstRows(shown, all) {
  return shown === all ? '' : `and ${number(all - shown)} more`;
}

/** @param {number} line @param {string} text @returns {string} */
export function atLine(line, text) {
  return `Line ${number(line)}: ${text}`;
}

/** @param {string} text @returns {string} */
function quoted(text) {
  return `“${text}”`;
}

/** @param {string[]} texts @param {string} conjunction before the last one @returns {string} "a, b and c" */
function listed(texts, conjunction) {
  return texts.length < 2 ? texts.join('') : `${texts.slice(0, -1).join(', ')} ${conjunction} ${texts.at(-1)}`;
}

/** @param {unknown} value of an item's output @returns {string} as a person reads it */
export function value(value) {
  if (value === null || value === undefined || value === '') return '–';
  if (typeof value === 'boolean') return value ? 'Yes' : 'No';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

// Troubles

/** @param {unknown} error from finding out who is signed in @returns {string} */
export function startProblem(error) {
  if (error instanceof CognitoError && error.code === 'Network') return 'The sign-in service does not answer. Check your connection and try again.';
  if (error instanceof CognitoError) return 'The sign-in service has a problem. Try again in a moment.';
  if (isBlocked(error)) return 'This browser does not let the page store anything, so it cannot keep you signed in. Allow it for this site, then try again.';
  return 'Something went wrong on this page. Try again, or tell whoever runs it.';
}

/** @param {unknown} error @returns {boolean} whether the browser's settings forbid what was tried */
export function isBlocked(error) {
  return error instanceof DOMException && error.name === 'SecurityError';
}

/** @param {unknown} error from the API, or from renewing the session for it @returns {string} why there was no answer, short */
export function apiProblem(error) {
  if (error instanceof CognitoError && error.code !== 'Network') return 'The sign-in service has a problem.';
  if (error instanceof ApiError && error.status === 429 && !error.isExhausted) return 'Too many requests at once.';
  if (error instanceof ApiError && error.status >= 500) return 'The server has a problem.';
  if (error instanceof ApiError && error.status > 0) return sentence(error.message);
  if (!navigator.onLine) return 'You are offline.';
  return 'The server cannot be reached.';
}

/** @param {string} text @returns {string} with a capital in front and a full stop behind */
function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? '' : '.');
}

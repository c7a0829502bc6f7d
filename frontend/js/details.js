// The sheet with one task's items: failed ones first, with their reason.

import { ITEMS_PER_FILE_PAGE } from './api.js';
import { announce, byId, closeFromOutside, element, icon, isBusy, setBusy, setText } from './dom.js';
import { fetchFile, nameOf, save } from './downloads.js';
import { isTerminal } from './follower.js';
import { SessionEnded } from './session.js';
import { ValueTable } from './value-table.js';
import * as words from './words.js';

/** @import { Api, Item, Page, Task } from './api.js' */
/** @import { What } from './downloads.js' */
/** @import { Jobs } from './jobs.js' */
/** @import { RetryOptions } from './retry.js' */

const ITEMS_PER_PAGE = 50;

/**
 * @typedef {object} DetailsOptions
 * @property {Api} api
 * @property {Jobs} jobs
 * @property {() => number} serverNow
 * @property {RetryOptions} retries
 * @property {(task: Task) => void} onRetry told that its undone items are to be tried again
 * @property {(error: unknown) => void} onError told of errors that concern more than this sheet
 */

export class Details {
  #dialog = byId('details', HTMLDialogElement);
  #title = byId('details-title', HTMLElement);
  #body = byId('details-body', HTMLElement);
  #api;
  #jobs;
  #serverNow;
  #retries;
  #onRetry;
  #onError;
  /** Ends with what is shown. */
  #closing = new AbortController();

  /** @param {DetailsOptions} options */
  constructor({ api, jobs, serverNow, retries, onRetry, onError }) {
    this.#api = api;
    this.#jobs = jobs;
    this.#serverNow = serverNow;
    this.#retries = retries;
    this.#onRetry = onRetry;
    this.#onError = onError;
    byId('details-close', HTMLButtonElement).addEventListener('click', () => this.close());
    closeFromOutside(this.#dialog);
    // Somebody else may sign in next: nothing is kept of what was shown.
    this.#dialog.addEventListener('close', () => {
      this.#closing.abort();
      this.#body.replaceChildren();
    });
  }

  close() {
    this.#dialog.close();
  }

  /** @param {Task} task */
  open(task) {
    const { job, count_failed_items: failed, count_done_items: done, number_of_items: total } = task;
    setText(this.#title, words.items(total));
    this.#closing.abort();
    this.#closing = new AbortController();
    this.#body.replaceChildren(summary(task, this.#jobs.titleOf(job), this.#serverNow()), ...this.#actions(task));
    if (failed > 0) {
      const title = `${words.number(failed)} failed`;
      const show = (/** @type {ValueTable} */ table, /** @type {Item} */ item) => table.add(item.name, [{ text: '', problem: item.error ?? 'No reason was given.' }]);
      this.#body.append(this.#section(title, new ValueTable(title, ['Item', 'Reason']), show, (cursor) => this.#api.items(task, 'failed', cursor, ITEMS_PER_PAGE)));
    }
    if (done > 0) {
      const title = `${words.number(done)} done`;
      const columns = this.#jobs.outputColumnsOf(job);
      const show = (/** @type {ValueTable} */ table, /** @type {Item} */ item) => table.add(item.name, columns.map(({ name }) => words.value(outputOf(item, name))));
      const headings = ['Item', ...columns.map(({ title: heading }) => heading)];
      this.#body.append(this.#section(title, new ValueTable(title, headings), show, (cursor) => this.#api.items(task, 'done', cursor, ITEMS_PER_PAGE)));
    }
    const rest = total - done - failed;
    if (rest > 0) {
      const verb = isTerminal(task) ? (rest === 1 ? 'was' : 'were') + ' not run' : (rest === 1 ? 'is' : 'are') + ' still to come';
      this.#body.append(element('p', 'rest', `${words.items(rest)} ${verb}.`));
    }
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#title.focus();
  }

  /** What can be done with it. @param {Task} task @returns {HTMLElement[]} */
  #actions(task) {
    const { count_failed_items: failed, count_done_items: done, number_of_items: total } = task;
    const note = element('p', 'note');
    note.setAttribute('role', 'status');
    const buttons = [];
    if (isTerminal(task) && done < total) buttons.push(actionButton(words.again(task), () => this.#onRetry(task)));
    if (task.retry_of !== null) buttons.push(actionButton('See the earlier try', (button) => void this.#showEarlier(task, button, note)));
    if (done + failed > 0) buttons.push(actionButton('Download results', (button) => void this.#download(task, null, button, note)));
    if (failed > 0) buttons.push(actionButton('Download what failed', (button) => void this.#download(task, 'failed', button, note)));
    return buttons.length > 0 ? [element('div', 'details-actions', ...buttons), note] : [];
  }

  /** @param {Task} task @param {What} what @param {HTMLButtonElement} button @param {HTMLElement} note */
  async #download(task, what, button, note) {
    if (isBusy(button)) return;
    const { signal } = this.#closing;
    const total = task.count_failed_items + (what === null ? task.count_done_items : 0);
    setBusy(button, true);
    setText(note, words.downloading(0, total));
    try {
      const onPage = (/** @type {number} */ pages) => setText(note, words.downloading(pages * ITEMS_PER_FILE_PAGE, total));
      const file = await fetchFile(this.#api, task, what, { retries: this.#retries, signal, onPage });
      save(file, nameOf(task, what));
      setText(note, '');
      announce(`${words.items(total)} downloaded.`);
    } catch (error) {
      this.#fail(error, signal, note, 'The file could not be made.');
    } finally {
      setBusy(button, false);
    }
  }

  /** @param {Task} task @param {HTMLButtonElement} button @param {HTMLElement} note */
  async #showEarlier(task, button, note) {
    if (isBusy(button) || task.retry_of === null) return;
    const { signal } = this.#closing;
    setBusy(button, true);
    try {
      const answer = await this.#api.status(task.job, task.retry_of, null, signal);
      if (!signal.aborted && answer.task) this.open(answer.task);
    } catch (error) {
      this.#fail(error, signal, note, 'It could not be loaded.');
    } finally {
      setBusy(button, false);
    }
  }

  /** @param {unknown} error @param {AbortSignal} signal @param {HTMLElement} note @param {string} consequence */
  #fail(error, signal, note, consequence) {
    if (signal.aborted) return;
    if (error instanceof SessionEnded) this.#onError(error);
    setText(note, `${words.apiProblem(error)} ${consequence}`);
  }

  /**
   * A table that loads page after page.
   *
   * @param {string} title
   * @param {ValueTable} table
   * @param {(table: ValueTable, item: Item) => void} show
   * @param {(cursor: string | null) => Promise<Page<Item>>} load
   */
  #section(title, table, show, load) {
    const more = element('button', 'button quiet wide', 'Show more');
    const note = element('p', 'note', 'Loading …');
    note.setAttribute('role', 'status');
    more.type = 'button';
    more.hidden = true;
    /** @type {string | null} */
    let cursor = null;

    const loadNext = async () => {
      if (isBusy(more)) return;
      setBusy(more, true);
      const shownBefore = table.count;
      try {
        // A page may be empty and not the last: the API reads only so far for one answer.
        do {
          const page = await load(cursor);
          cursor = page.nextCursor;
          for (const item of page.entries) show(table, item);
        } while (cursor !== null && table.count === shownBefore && table.root.isConnected);
        setText(note, '');
        setText(more, 'Show more');
        // When the button goes, the focus moves on to what it brought.
        if (cursor === null && document.activeElement === more) {
          const firstNew = table.row(shownBefore);
          firstNew?.setAttribute('tabindex', '-1');
          firstNew?.focus();
        }
        more.hidden = cursor === null;
      } catch (error) {
        // Closed meanwhile: whose session it was that ended is not known any more.
        if (!table.root.isConnected) return;
        if (error instanceof SessionEnded) this.#onError(error);
        setText(note, `${words.apiProblem(error)} The items could not be loaded.`);
        setText(more, 'Try again');
        more.hidden = false;
      } finally {
        setBusy(more, false);
      }
    };
    more.addEventListener('click', () => void loadNext());
    void loadNext();
    return element('section', 'items-section', element('h3', '', title), table.root, note, more);
  }
}

/** @param {string} text @param {(button: HTMLButtonElement) => void} onClick @returns {HTMLButtonElement} */
function actionButton(text, onClick) {
  const button = element('button', 'button small', text);
  button.type = 'button';
  button.addEventListener('click', () => onClick(button));
  return button;
}

/** @param {Task} task @param {string} job its title, empty where there is only one @param {number} now the server's time @returns {HTMLElement} */
function summary(task, job, now) {
  const elapsed = words.elapsedMs(task, now);
  const state = element('p', 'details-state', icon(task.task_status.toLowerCase()), ' ', words.STATE_WORDS[task.task_status]);
  state.dataset.state = task.task_status;
  const facts = element('dl', 'facts',
    fact('Started', words.started(task)),
    fact(isTerminal(task) ? 'Took' : 'Elapsed', elapsed === null ? '–' : words.duration(elapsed)),
    fact('Done', `${words.number(task.count_done_items)} of ${words.number(task.number_of_items)}`),
  );
  const made = element('div', 'details-summary', ...(job ? [element('p', 'job', job)] : []), state, facts);
  if (task.error) made.append(element('p', 'reason', task.error));
  made.append(element('p', 'task-id', 'Task ', element('code', '', task.task_id)));
  return made;
}

/** @param {string} name @param {string} value @returns {HTMLElement} */
function fact(name, value) {
  return element('div', '', element('dt', '', name), element('dd', '', value));
}

/** @param {Item} item @param {string | null} name of a field of its output; null for all of it @returns {unknown} */
function outputOf({ output }, name) {
  return name === null ? output : /** @type {Record<string, unknown> | null} */ (output)?.[name];
}

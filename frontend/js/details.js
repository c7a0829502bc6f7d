// The sheet with one task's items: failed ones first, with their reason.

import { byId, closeFromOutside, element, icon, isBusy, setBusy, setText } from './dom.js';
import { isTerminal } from './follower.js';
import { SessionEnded } from './session.js';
import { ValueTable } from './value-table.js';
import * as words from './words.js';

/** @import { Api, Item, Page, Task } from './api.js' */
/** @import { Jobs } from './jobs.js' */

const ITEMS_PER_PAGE = 50;

export class Details {
  #dialog = byId('details', HTMLDialogElement);
  #title = byId('details-title', HTMLElement);
  #body = byId('details-body', HTMLElement);
  #api;
  #jobs;
  #serverNow;
  #onError;

  /**
   * @param {Api} api
   * @param {Jobs} jobs
   * @param {() => number} serverNow
   * @param {(error: unknown) => void} onError told of errors that concern more than this sheet
   */
  constructor(api, jobs, serverNow, onError) {
    this.#api = api;
    this.#jobs = jobs;
    this.#serverNow = serverNow;
    this.#onError = onError;
    byId('details-close', HTMLButtonElement).addEventListener('click', () => this.close());
    closeFromOutside(this.#dialog);
    // Somebody else may sign in next: nothing is kept of what was shown.
    this.#dialog.addEventListener('close', () => this.#body.replaceChildren());
  }

  close() {
    this.#dialog.close();
  }

  /** @param {Task} task */
  open(task) {
    const { job, count_failed_items: failed, count_done_items: done, number_of_items: total } = task;
    setText(this.#title, words.items(total));
    this.#body.replaceChildren(summary(task, this.#jobs.titleOf(job), this.#serverNow()));
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
    this.#dialog.showModal();
    this.#title.focus();
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

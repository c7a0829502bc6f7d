// The sheet with one task's items: failed ones first, with their reason.

import { byId, closeFromOutside, element, icon, isBusy, setBusy, setText } from './dom.js';
import { isTerminal } from './follower.js';
import { SessionEnded } from './session.js';
import * as words from './words.js';

/** @import { Api, Item, Page, Task } from './api.js' */

const ITEMS_PER_PAGE = 50;

export class Details {
  #dialog = byId('details', HTMLDialogElement);
  #title = byId('details-title', HTMLElement);
  #body = byId('details-body', HTMLElement);
  #api;
  #serverNow;
  #onError;

  /**
   * @param {Api} api
   * @param {() => number} serverNow
   * @param {(error: unknown) => void} onError told of errors that concern more than this sheet
   */
  constructor(api, serverNow, onError) {
    this.#api = api;
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
    const { task_id: id, count_failed_items: failed, count_done_items: done, number_of_items: total } = task;
    setText(this.#title, words.items(total));
    this.#body.replaceChildren(summary(task, this.#serverNow()));
    if (failed > 0) {
      this.#body.append(this.#section(`${words.number(failed)} failed`, (cursor) => this.#api.items(id, 'failed', cursor, ITEMS_PER_PAGE)));
    }
    if (done > 0) {
      this.#body.append(this.#section(`${words.number(done)} done`, (cursor) => this.#api.items(id, 'done', cursor, ITEMS_PER_PAGE)));
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
   * A list that loads page after page.
   *
   * @param {string} title
   * @param {(cursor: string | null) => Promise<Page<Item>>} load
   */
  #section(title, load) {
    const list = element('ol', 'items');
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
      const shownBefore = list.childElementCount;
      try {
        // A page may be empty and not the last: the API reads only so far for one answer.
        do {
          const page = await load(cursor);
          cursor = page.nextCursor;
          list.append(...page.entries.map(itemRow));
        } while (cursor !== null && list.childElementCount === shownBefore && list.isConnected);
        setText(note, '');
        setText(more, 'Show more');
        // When the button goes, the focus moves on to what it brought.
        if (cursor === null && document.activeElement === more) {
          const firstNew = /** @type {HTMLElement | undefined} */ (list.children[shownBefore]);
          firstNew?.setAttribute('tabindex', '-1');
          firstNew?.focus();
        }
        more.hidden = cursor === null;
      } catch (error) {
        // Closed meanwhile: whose session it was that ended is not known any more.
        if (!list.isConnected) return;
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
    return element('section', 'items-section', element('h3', '', title), list, note, more);
  }
}

/** @param {Task} task @param {number} now the server's time @returns {HTMLElement} */
function summary(task, now) {
  const elapsed = words.elapsedMs(task, now);
  const state = element('p', 'details-state', icon(task.task_status.toLowerCase()), ' ', words.STATE_WORDS[task.task_status]);
  state.dataset.state = task.task_status;
  const facts = element('dl', 'facts',
    fact('Started', words.started(task)),
    fact(isTerminal(task) ? 'Took' : 'Elapsed', elapsed === null ? '–' : words.duration(elapsed)),
    fact('Done', `${words.number(task.count_done_items)} of ${words.number(task.number_of_items)}`),
  );
  const made = element('div', 'details-summary', state, facts);
  if (task.error) made.append(element('p', 'reason', task.error));
  made.append(element('p', 'task-id', 'Task ', element('code', '', task.task_id)));
  return made;
}

/** @param {string} name @param {string} value @returns {HTMLElement} */
function fact(name, value) {
  return element('div', '', element('dt', '', name), element('dd', '', value));
}

/** @param {Item} item @returns {HTMLElement} */
function itemRow(item) {
  const row = element('li', 'item', element('span', 'item-name', item.name), element('span', 'item-description', item.output?.description ?? ''));
  row.dataset.outcome = item.outcome;
  if (item.outcome === 'failed') row.append(element('span', 'reason', item.error ?? 'No reason was given.'));
  return row;
}

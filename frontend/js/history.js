// The list of the user's tasks, newest first.

import { byId, element, icon, setText } from './dom.js';
import { isTerminal } from './follower.js';
import * as words from './words.js';

/** @import { Api, Task } from './api.js' */
/** @import { Jobs } from './jobs.js' */

const TASKS_PER_PAGE = 10;

export class History {
  #list = byId('history-rows', HTMLElement);
  #empty = byId('history-empty', HTMLElement);
  #note = byId('history-note', HTMLElement);
  #more = byId('history-more', HTMLButtonElement);
  /** @type {Map<string, { task: Task, row: Row }>} */ #entries = new Map();
  /** @type {string | null} */ #nextCursor = null;
  /** The newest task of any look; from it on downwards the list is without a gap. */
  #newestListed = '';
  #isLoaded = false;
  /** Counts what was cleared, so that an answer that comes too late is not shown to whoever is next. */
  #generation = 0;
  #api;
  #jobs;
  #onOpen;

  /** @param {Api} api @param {Jobs} jobs @param {(task: Task) => void} onOpen */
  constructor(api, jobs, onOpen) {
    this.#api = api;
    this.#jobs = jobs;
    this.#onOpen = onOpen;
  }

  /**
   * Loads the newest tasks, or looks for newer ones.
   *
   * @returns {Promise<Task | undefined>} the newest task that is active
   */
  async load() {
    const generation = this.#generation;
    const { entries, nextCursor } = await this.#api.tasks(null, TASKS_PER_PAGE);
    if (generation !== this.#generation) return;
    const [newest, oldest] = [entries[0]?.task_id ?? '', entries.at(-1)?.task_id ?? ''];
    const hasGap = this.#isLoaded && nextCursor !== null && oldest > this.#newestListed;
    // More is new than one page holds: what lies behind the gap is left to "older", which begins at it.
    if (hasGap) this.#drop((task) => task.task_id < oldest);
    // Else a later look only adds in front: where "older" goes on was settled by an earlier one.
    if (hasGap || !this.#isLoaded) this.#nextCursor = nextCursor;
    this.#isLoaded = true;
    if (newest > this.#newestListed) this.#newestListed = newest;
    this.#add(entries);
    return entries.map(({ task_id }) => this.#entries.get(task_id)?.task).find((task) => task && !isTerminal(task));
  }

  async loadOlder() {
    const generation = this.#generation;
    const cursor = this.#nextCursor;
    const { entries, nextCursor } = await this.#api.tasks(cursor, TASKS_PER_PAGE);
    // Meanwhile a look may have decided that "older" begins somewhere else.
    if (generation !== this.#generation || cursor !== this.#nextCursor) return;
    this.#nextCursor = nextCursor;
    this.#add(entries);
    const first = entries[0] && this.#entries.get(entries[0].task_id);
    first?.row.button.focus();
  }

  /** Takes over what is newly known about one task. @param {Task} task @returns {boolean} whether it is newer than what was known */
  update(task) {
    const known = this.find(task.task_id);
    this.#add([task]);
    return !known || task.version > known.version;
  }

  /** @param {string} taskId @returns {Task | undefined} as it is known */
  find(taskId) {
    return this.#entries.get(taskId)?.task;
  }

  /** Names the tasks anew, now that it is known which jobs there are. */
  retitle() {
    for (const { task, row } of this.#entries.values()) row.show(task, this.#jobs.titleOf(task.job));
  }

  /** @param {string} text */
  note(text) {
    setText(this.#note, text);
  }

  clear() {
    this.#generation += 1;
    this.#entries.clear();
    this.#list.replaceChildren();
    this.#nextCursor = null;
    this.#newestListed = '';
    this.#isLoaded = false;
    this.#more.hidden = this.#empty.hidden = true;
    this.note('');
  }

  /** @param {(task: Task) => boolean} isMeant */
  #drop(isMeant) {
    for (const [id, { task, row }] of this.#entries) {
      if (!isMeant(task)) continue;
      this.#entries.delete(id);
      row.item.remove();
    }
  }

  /** @param {Task[]} tasks */
  #add(tasks) {
    for (const task of tasks) {
      const known = this.#entries.get(task.task_id);
      // The list may lag behind what the follower or a live update has just brought; what has ended stays ended.
      if (known && (task.version < known.task.version || (isTerminal(known.task) && !isTerminal(task)))) continue;
      const row = known?.row ?? new Row(() => this.#onOpen(this.#entries.get(task.task_id)?.task ?? task));
      row.show(task, this.#jobs.titleOf(task.job));
      this.#entries.set(task.task_id, { task, row });
    }
    const sorted = [...this.#entries.values()].sort((a, b) => newestFirst(a.task, b.task));
    sorted.forEach(({ row }, position) => {
      // Moving a row that is in its place already would take the focus from it.
      if (this.#list.children[position] !== row.item) this.#list.insertBefore(row.item, this.#list.children[position] ?? null);
    });
    this.#empty.hidden = this.#entries.size > 0;
    this.#more.hidden = this.#nextCursor === null;
  }
}

/** Task ids are UUIDs of version 7, which sort by their time. @param {Task} a @param {Task} b */
function newestFirst(a, b) {
  return a.task_id < b.task_id ? 1 : -1;
}

class Row {
  #state = element('span', 'row-state');
  #size = element('span', 'row-size');
  #job = element('span', 'row-job');
  #when = element('time', 'row-when');
  #figure = element('span', 'row-figure');
  #failed = element('span', 'row-failed');
  #icon = element('span', 'row-icon');
  #shownState = '';

  /** @param {() => void} onOpen */
  constructor(onOpen) {
    this.button = element('button', 'row',
      this.#icon,
      element('span', 'row-main', this.#state, ' ', this.#size),
      element('span', 'row-side', this.#figure),
      element('span', 'row-below', this.#job, ' ', this.#when),
      element('span', 'row-below row-side', this.#failed),
    );
    this.button.type = 'button';
    this.button.setAttribute('aria-haspopup', 'dialog');
    this.button.addEventListener('click', onOpen);
    this.item = element('li', '', this.button);
  }

  /** @param {Task} task @param {string} job its title, empty where there is only one */
  show(task, job) {
    const { task_status: status, number_of_items: total, count_failed_items: failed } = task;
    const started = task.started_at ?? task.created_at;
    const elapsed = words.elapsedMs(task, Date.now());
    if (this.#shownState !== status) this.#icon.replaceChildren(icon(status.toLowerCase()));
    this.#shownState = this.button.dataset.state = status;
    setText(this.#state, words.STATE_WORDS[status]);
    setText(this.#size, words.size(total));
    setText(this.#job, job);
    setText(this.#when, started ? words.momentWithDay(started) : 'Just now');
    if (started) this.#when.dateTime = started;
    // An active task's numbers are the card's to show; here they would be a step ahead of its bar.
    const hasEnded = isTerminal(task);
    setText(this.#figure, hasEnded && elapsed !== null ? words.duration(elapsed) : '');
    setText(this.#failed, hasEnded && failed > 0 ? `${words.number(failed)} failed` : '');
  }
}

// Shows one task in the card: the bar that moves smoothly, the counts, the
// times, the state in words, and the title of the tab.

import { announce, byId, setRoom, setText } from './dom.js';
import { isTerminal } from './follower.js';
import { Glide } from './glide.js';
import * as words from './words.js';

/** @import { Task } from './api.js' */
/** @import { Jobs } from './jobs.js' */

/** The last stretch to a result, and catching up after a pause: quick, but still seen to move. */
const GLIDE_MS_SHORT = 500;
/** Gliding costs as much lateness as it lasts, so on a very long task it does not fill the whole wait. */
const GLIDE_MS_MAX = 15_000;
/** How often the times are looked at while nothing glides. */
const TICK_MS = 250;

const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

export class TaskView {
  #root = byId('task', HTMLElement);
  #job = byId('task-job', HTMLElement);
  #state = byId('task-state', HTMLElement);
  #icon = byId('task-icon', SVGUseElement);
  #size = byId('task-size', HTMLElement);
  #phase = byId('task-phase', HTMLElement);
  #percent = byId('task-percent', HTMLElement);
  #progress = byId('task-progress', HTMLProgressElement);
  #barFailed = byId('task-bar-failed', HTMLElement);
  #count = byId('task-count', HTMLElement);
  #failedCount = byId('task-failed', HTMLElement);
  #elapsed = byId('task-elapsed', HTMLElement);
  #elapsedLabel = byId('task-elapsed-label', HTMLElement);
  #leftLabel = byId('task-left-label', HTMLElement);
  #left = byId('task-left', HTMLElement);
  #started = byId('task-started', HTMLElement);
  #outcome = byId('task-outcome', HTMLElement);
  #note = byId('task-note', HTMLElement);

  /** @type {Task | null} */ #task = null;
  /** When the last answer came, and when the next one is due. */
  #receivedAt = 0;
  #nextDueAt = 0;
  #inTrouble = false;
  /** Whether the estimate is from before something that made it worthless. */
  #inDoubt = false;
  #done = new Glide();
  #failed = new Glide();
  #frame = 0;
  #timer = 0;
  #jobs;
  #serverNow;

  /** @param {Jobs} jobs @param {() => number} serverNow */
  constructor(jobs, serverNow) {
    this.#jobs = jobs;
    this.#serverNow = serverNow;
  }

  /**
   * Shows a new truth about a task.
   *
   * @param {Task} task
   * @param {number | null} nextAfterMs when the next truth is due; null when this is the last one
   */
  show(task, nextAfterMs) {
    const now = performance.now();
    if (task.task_id !== this.#task?.task_id) {
      this.#done.reset(task.count_done_items);
      this.#failed.reset(task.count_failed_items);
      this.#inTrouble = false;
      this.note('');
    } else {
      this.#announceChange(this.#task, task);
      const durationMs = this.#glideMs(nextAfterMs, now);
      this.#done.moveTo(task.count_done_items, durationMs, now);
      this.#failed.moveTo(task.count_failed_items, durationMs, now);
    }
    if (isTerminal(task)) this.note('');
    this.#inDoubt = false;
    this.#task = task;
    this.#receivedAt = now;
    this.#nextDueAt = now + (nextAfterMs ?? 0);
    setRoom(this.#count, words.countOf(task.number_of_items, task.number_of_items));
    setRoom(this.#failedCount, words.failedCount(task.number_of_items));
    this.#root.dataset.state = task.task_status;
    this.#icon.setAttribute('href', `#icon-${task.task_status.toLowerCase()}`);
    setText(this.#state, words.state(task));
    setText(this.#phase, task.phase ?? '');
    this.#phase.title = task.phase ?? '';
    setText(this.#size, words.size(task.number_of_items));
    this.retitle();
    setText(this.#outcome, words.outcome(task));
    setText(this.#started, words.started(task));
    this.#render();
  }

  /** Names the task's job, as far as it is known which ones there are. */
  retitle() {
    const title = this.#task ? this.#jobs.titleOf(this.#task.job) : '';
    setText(this.#job, title);
    this.#job.hidden = title === '';
  }

  /** A line about the connection or about how the page came to this task; it is also read out. @param {string} text */
  note(text) {
    this.#note.classList.toggle('trouble', this.#inTrouble);
    if (this.#note.textContent === text) return;
    setText(this.#note, text);
    if (text) announce(text);
  }

  /** Takes a note away, unless another one has taken its place. @param {string} text */
  unnote(text) {
    if (this.#note.textContent === text) setText(this.#note, '');
  }

  /** While nothing is heard from the server, a running countdown would be a guess. @param {string} text */
  showTrouble(text) {
    this.#inTrouble = true;
    this.note(text);
    this.#render();
  }

  /** @param {string} text */
  showRecovered(text) {
    this.#inTrouble = false;
    this.note(text);
    this.#render();
  }

  /** The machine has slept: until something new is known, a countdown would go on from before that. */
  doubt() {
    this.#inDoubt = true;
    this.#render();
  }

  clear() {
    this.#task = null;
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    document.title = 'Longhaul';
  }

  /**
   * How long the bar takes to reach a new truth: until the next one is due, so that it never
   * stands still in between. An answer that is long overdue is caught up with quickly. A hidden page draws nothing,
   * so that its title would stay behind.
   *
   * @param {number | null} nextAfterMs
   * @param {number} now
   */
  #glideMs(nextAfterMs, now) {
    if (reducedMotion.matches || document.hidden) return 0;
    const isOverdue = now - this.#nextDueAt > 2 * GLIDE_MS_SHORT + (this.#nextDueAt - this.#receivedAt);
    if (nextAfterMs === null || isOverdue) return GLIDE_MS_SHORT;
    return Math.min(nextAfterMs, GLIDE_MS_MAX);
  }

  /** @param {Task} before @param {Task} now */
  #announceChange(before, now) {
    if (isTerminal(now)) {
      if (!isTerminal(before)) announce(words.ending(now));
      return;
    }
    const mark = words.milestone(before.done_percentage, now.done_percentage);
    if (mark) announce(`${mark} percent done.`);
    else if (words.state(before) !== words.state(now)) announce(`${words.state(now)}.`);
  }

  /** Draws this instant and plans the next one: every frame while the bar moves, seldom while only times change. */
  #render() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    const task = this.#task;
    if (!task) return;
    const now = performance.now();
    this.#renderCounts(task, this.#done.at(now), this.#failed.at(now));
    this.#renderTimes(task, now);
    const isGliding = !this.#done.hasArrived(now) || !this.#failed.hasArrived(now);
    if (isGliding) this.#frame = requestAnimationFrame(() => this.#render());
    else if (!isTerminal(task)) this.#timer = setTimeout(() => this.#render(), TICK_MS);
  }

  /** @param {Task} task @param {number} done @param {number} failed */
  #renderCounts(task, done, failed) {
    const total = task.number_of_items;
    // Of a task whose size is not known yet nothing is done either.
    const share = (/** @type {number} */ count) => (total === 0 ? 0 : (100 * count) / total);
    const percent = Math.min(task.done_percentage, Math.floor(share(done)));
    setText(this.#percent, String(percent));
    setText(this.#count, words.countOf(done, total));
    setText(this.#failedCount, failed >= 1 ? words.failedCount(failed) : '');
    if (task.task_status === 'QUEUED') this.#progress.removeAttribute('value');
    else this.#progress.value = share(done);
    this.#barFailed.style.insetInlineStart = `${share(done)}%`;
    this.#barFailed.style.inlineSize = `${share(failed)}%`;
    const title = isTerminal(task) ? words.STATE_WORDS[task.task_status] : `${percent}%`;
    if (document.title !== `${title} · Longhaul`) document.title = `${title} · Longhaul`;
  }

  /** @param {Task} task @param {number} now */
  #renderTimes(task, now) {
    const elapsed = words.elapsedMs(task, this.#serverNow());
    setText(this.#elapsed, elapsed === null ? '–' : words.duration(elapsed));
    setText(this.#elapsedLabel, task.finished_at ? 'Took' : 'Elapsed');
    setText(this.#leftLabel, task.finished_at ? 'Ended' : 'Time left');
    if (task.finished_at) {
      setText(this.#left, words.moment(task.finished_at));
      return;
    }
    const isKnown = task.eta_seconds !== null && !this.#inTrouble && !this.#inDoubt;
    const left = isKnown ? Number(task.eta_seconds) * 1_000 - (now - this.#receivedAt) : null;
    setText(this.#left, words.timeLeft(left));
  }
}

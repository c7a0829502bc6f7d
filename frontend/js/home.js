// What a signed-in person does: start a task, watch it, cancel it, look back.
// This file decides; the views beside it show.

import { Alarm } from './alarm.js';
import { ApiError } from './api.js';
import { Details } from './details.js';
import { announce, byId, hush, isBusy, setBusy, setText } from './dom.js';
import { Follower, isTerminal, pollDelayMs } from './follower.js';
import { History } from './history.js';
import { Jobs } from './jobs.js';
import { Live } from './live.js';
import { RequestForm } from './request-form.js';
import { backoffMs, withRetries } from './retry.js';
import { Retrying } from './retrying.js';
import { CognitoError, SessionEnded } from './session.js';
import { newIdempotencyKey, Submitter } from './submitter.js';
import { clock, surroundings } from './surroundings.js';
import { TaskView } from './task-view.js';
import * as words from './words.js';

/** @import { Api, Task } from './api.js' */
/** @import { Request } from './request-form.js' */
/** @import { ErrorReader } from './retry.js' */
/** @import { Session } from './session.js' */
/** @import { Tabs } from './tabs.js' */

/** Long enough to read it; then the line is free again. */
const RECOVERED_NOTE_MS = 5_000;
/** With the back-off between them, four tries take about 7 s: as long as a person waits for a button. */
const TRIES_MAX = 4;
const LOADING = 'Looking for your tasks …';
const BUSY_NOTE = 'You already have a task running, so no second one was started.';
const FOUND_NOTE = `${BUSY_NOTE} This is the one.`;
/** Coming back to the tab more often than this does not look for new tasks again. */
const LOOK_AGAIN_MS = 10_000;

/** @type {ErrorReader} */
const errors = {
  isRetryable: (error) => (error instanceof ApiError || error instanceof CognitoError) && error.isRetryable,
  retryAfterOf: (error) => (error instanceof ApiError ? error.retryAfterMs : null),
};

const retries = {
  triesMax: TRIES_MAX,
  errors,
  sleep: (/** @type {number} */ ms) => /** @type {Promise<void>} */ (new Promise((resolve) => setTimeout(resolve, ms))),
  random: Math.random,
};

export class Home {
  #section = byId('home', HTMLElement);
  #work = byId('work', HTMLElement);
  #loading = byId('work-loading', HTMLElement);
  #form = byId('start', HTMLFormElement);
  #startTitle = byId('start-title', HTMLElement);
  #startButton = byId('start-button', HTMLButtonElement);
  #startNote = byId('start-note', HTMLElement);
  #taskCard = byId('task', HTMLElement);
  #taskTitle = byId('task-title', HTMLElement);
  #cancelButton = byId('cancel', HTMLButtonElement);
  #againButton = byId('again', HTMLButtonElement);
  #itemsButton = byId('see-items', HTMLButtonElement);
  #retryButton = byId('retry', HTMLButtonElement);
  #moreButton = byId('history-more', HTMLButtonElement);
  #confirm = byId('confirm-cancel', HTMLDialogElement);
  #confirmProblem = byId('confirm-problem', HTMLElement);
  #confirmYes = byId('confirm-yes', HTMLButtonElement);

  /** The task in the card. @type {Task | null} */ #task = null;
  /** @type {Follower | null} */ #follower = null;
  /** Which task it follows. */
  #followedId = '';
  /** One for every visit, as it is of one person; none where the stack has no live updates. @type {Live | null} */
  #live = null;
  /** Counts sign-ins, so that an answer that comes after a sign-out is not shown to whoever is next. */
  #visit = 0;
  #isHere = false;
  #lookedAt = 0;
  #request = new RequestForm(() => this.#note(''));
  /** In a row, and when the next look after one is due. */
  #lookFailures = 0;
  #lookAlarm = new Alarm(() => void this.#lookAgain(), clock, surroundings);
  #api;
  #jobs;
  #tabs;
  #hasLiveUpdates;
  #onSessionEnded;
  #view;
  #details;
  #retrying;
  #history;
  #submitter = this.#newSubmitter();

  /** @param {{ api: Api, session: Session, tabs: Tabs, hasLiveUpdates: boolean, onSessionEnded: () => void }} parts */
  constructor({ api, session, tabs, hasLiveUpdates, onSessionEnded }) {
    this.#api = api;
    this.#tabs = tabs;
    this.#hasLiveUpdates = hasLiveUpdates;
    this.#onSessionEnded = onSessionEnded;
    this.#jobs = new Jobs(api);
    this.#view = new TaskView(this.#jobs, () => session.serverNow());
    this.#retrying = new Retrying({
      retry: (task, key) => api.retry(task, key),
      newKey: newIdempotencyKey,
      retries,
      onStarted: (task, { taskId, job, wasBusy, retryAfterMs }) => {
        this.#details.close();
        this.#begin({ job, body: '', size: task.number_of_items - task.count_done_items }, taskId, wasBusy, retryAfterMs);
      },
      isElsewhere: (error) => this.#checkSession(error),
    });
    this.#details = new Details({
      api,
      jobs: this.#jobs,
      serverNow: () => session.serverNow(),
      retries,
      onRetry: (task) => this.#retrying.ask(task),
      onError: (error) => this.#checkSession(error),
    });
    this.#history = new History(api, this.#jobs, (task) => this.#details.open(task));
    this.#listen();
  }

  /** Shows what this user has going on. @param {{ takeFocus: boolean }} options whether the person has just come from a form */
  async enter({ takeFocus }) {
    const visit = ++this.#visit;
    this.#isHere = true;
    this.#submitter = this.#newSubmitter();
    this.#live = this.#hasLiveUpdates ? this.#newLive() : null;
    this.#wantLive();
    this.#section.hidden = this.#loading.hidden = false;
    setText(this.#loading, LOADING);
    this.#work.setAttribute('aria-busy', 'true');
    const jobs = this.#loadJobs(visit);
    const active = await this.#look(visit);
    if (visit !== this.#visit) return;
    // Another look may have been faster and have found a task since; this older answer must not hide it.
    if (active && this.#isFree) this.#follow(active, active, 0);
    if (takeFocus && this.#task) this.#taskTitle.focus();
    await jobs;
    if (visit !== this.#visit) return;
    this.#work.removeAttribute('aria-busy');
    if (this.#task) return;
    this.#showForm();
    if (takeFocus) this.#startTitle.focus();
  }

  /** Stops everything and forgets what was shown. */
  leave() {
    this.#visit += 1;
    this.#isHere = false;
    this.#section.hidden = true;
    this.#stopLive();
    this.#stopFollowing();
    this.#taskCard.hidden = this.#form.hidden = true;
    this.#request.clear();
    this.#confirm.close();
    this.#retrying.close();
    this.#details.close();
    this.#history.clear();
    this.#lookAlarm.clear();
    this.#lookFailures = 0;
    this.#setStarting(false);
    this.#setCancelling(false);
    hush();
  }

  #listen() {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#start();
    });
    this.#cancelButton.addEventListener('click', () => this.#askToCancel());
    this.#confirmYes.addEventListener('click', () => void this.#cancel());
    byId('confirm-no', HTMLButtonElement).addEventListener('click', () => this.#confirm.close());
    this.#againButton.addEventListener('click', () => {
      this.#showForm();
      this.#request.focus();
    });
    this.#retryButton.addEventListener('click', () => this.#task && this.#retrying.ask(this.#task));
    this.#itemsButton.addEventListener('click', () => this.#task && this.#details.open(this.#task));
    byId('details', HTMLDialogElement).addEventListener('close', () => this.#catchFocus());
    this.#moreButton.addEventListener('click', () => void this.#loadOlder());
    surroundings.onOnline(() => this.#lookAlarm.isSet && this.#lookAlarm.set(0));
    // A task may have been started in another tab, or by another program of the same user.
    this.#tabs.on('task-started', () => void this.#lookAgain());
    const lookAfterAWhile = () => {
      if (!surroundings.isHidden() && clock.now() - this.#lookedAt > LOOK_AGAIN_MS) void this.#lookAgain();
    };
    surroundings.onVisibilityChange(lookAfterAWhile);
    surroundings.onVisibilityChange(() => this.#wantLive());
    // A page that the browser keeps has no connection meanwhile. When it comes back it is entered anew.
    window.addEventListener('pagehide', () => this.#stopLive());
    surroundings.onWakeUp(() => {
      this.#view.doubt();
      lookAfterAWhile();
    });
  }

  // Starting

  /** One for every visit: what one person's submit waits for must not be sent as the next person's. */
  #newSubmitter() {
    return new Submitter({
      submit: this.#whileHere((/** @type {Request} */ request, /** @type {string} */ key) => this.#api.submit(request, key)),
      newKey: newIdempotencyKey,
      retries: { ...retries, onRetry: () => this.#note('No answer yet. Trying again; it cannot start twice.') },
    });
  }

  /**
   * Finds out what may be asked for, however long it takes: without that there is no form.
   *
   * @param {number} visit
   */
  async #loadJobs(visit) {
    for (let failures = 1; ; failures += 1) {
      try {
        await this.#jobs.load();
        if (visit !== this.#visit) return;
        this.#request.show(this.#jobs.all, this.#jobs.itemsMax);
        this.#history.retitle();
        this.#view.retitle();
        return;
      } catch (error) {
        if (visit !== this.#visit || this.#checkSession(error)) return;
        setText(this.#loading, `${words.apiProblem(error)} What can be started is not known yet.`);
        if (!errors.isRetryable(error)) return;
        await retries.sleep(backoffMs(failures, Math.random, errors.retryAfterOf(error)));
        if (visit !== this.#visit) return;
      }
    }
  }

  async #start() {
    if (isBusy(this.#startButton)) return;
    this.#note('');
    const request = this.#request.read();
    if (request === null) return;
    const visit = this.#visit;
    this.#setStarting(true);
    try {
      const { taskId, job, wasBusy, retryAfterMs } = await this.#submitter.start(request);
      if (visit !== this.#visit) return;
      this.#begin({ ...request, job }, taskId, wasBusy, retryAfterMs);
    } catch (error) {
      if (visit !== this.#visit) return;
      this.#setStarting(false);
      this.#showStartError(error);
    }
  }

  /**
   * Shows what was asked for, or what is in its way.
   *
   * @param {Request} request
   * @param {string} taskId
   * @param {boolean} wasBusy
   * @param {number | null} retryAfterMs
   */
  #begin(request, taskId, wasBusy, retryAfterMs) {
    this.#tabs.post('task-started', { taskId });
    // Live updates may have been faster than the answer.
    const isFollowed = taskId === this.#followedId;
    if (wasBusy && !isFollowed) {
      this.#note(BUSY_NOTE);
      this.#follow({ task_id: taskId, job: request.job }, null, 0);
      return;
    }
    const task = this.#history.find(taskId) ?? queuedTask(taskId, request);
    if (!isFollowed) this.#follow(task, task, pollDelayMs(retryAfterMs));
    if (wasBusy) this.#view.note(FOUND_NOTE);
    // Not every browser gives the focus to a button that is clicked.
    this.#taskTitle.focus();
  }

  /** @param {boolean} starting */
  #setStarting(starting) {
    setBusy(this.#startButton, starting);
    setText(this.#startButton, starting ? 'Starting …' : 'Start');
    this.#request.setReadOnly(starting);
  }

  /** @param {unknown} error */
  #showStartError(error) {
    if (this.#checkSession(error)) return;
    if (errors.isRetryable(error)) {
      this.#note(`${words.apiProblem(error)} It is not known whether the task has started. Press Start again: it cannot start twice.`);
      return;
    }
    const fields = error instanceof ApiError ? error.fields : {};
    const { rest, isPlaced } = this.#request.complain(fields);
    const isOfFields = isPlaced || rest.length > 0;
    const text = isOfFields ? rest.join(' ') : `${words.apiProblem(error)} The task was not started.`;
    this.#note(text, true);
    if (!isPlaced) this.#startNote.focus();
  }

  /** @param {string} text @param {boolean} [isProblem] */
  #note(text, isProblem = false) {
    setText(this.#startNote, text);
    this.#startNote.classList.toggle('wrong', isProblem);
  }

  #showForm() {
    this.#stopFollowing();
    this.#setStarting(false);
    this.#taskCard.hidden = true;
    // Until it is known what may be asked for, there is nothing to fill in.
    const isKnown = this.#jobs.all.length > 0;
    this.#loading.hidden = isKnown;
    this.#form.hidden = !isKnown;
    this.#note('');
  }

  // Following

  /**
   * @param {{ task_id: string, job: string }} which
   * @param {Task | null} known null where it is only known that there is this task: then the form stays until more is
   * @param {number} firstPollAfterMs
   */
  #follow(which, known, firstPollAfterMs) {
    this.#stopFollowing();
    // Whatever was being started, it became this task, or this task rules it out.
    this.#submitter.settle();
    if (known) this.#showCard(known, firstPollAfterMs);
    const live = this.#live;
    this.#followedId = which.task_id;
    this.#follower = new Follower({
      fetchStatus: (etag, signal) => this.#api.status(which.job, which.task_id, etag, signal),
      onTask: (task, nextAfterMs) => {
        if (this.#task) {
          this.#showTask(task, nextAfterMs);
        } else {
          this.#showCard(task, nextAfterMs);
          this.#view.note(FOUND_NOTE);
        }
      },
      onTrouble: ({ error }) => this.#showTrouble(words.apiProblem(error)),
      onRecovered: () => this.#showRecovered(),
      onLost: (error) => this.#showLost(error),
      updates: live && {
        areLive: () => live.isLive,
        polled: (version, askedAt) => live.polled(which.task_id, version, askedAt),
      },
      knownVersion: known?.version ?? 0,
      errors,
      clock,
      random: Math.random,
      surroundings,
    }, firstPollAfterMs);
    this.#wantLive();
  }

  #stopFollowing() {
    this.#follower?.stop();
    this.#follower = null;
    this.#followedId = '';
    this.#task = null;
    this.#view.clear();
    this.#wantLive();
  }

  /** Puts a task in the place of the form, or of the last task. @param {Task} task @param {number | null} nextAfterMs */
  #showCard(task, nextAfterMs) {
    const hadFocus = this.#work.contains(document.activeElement);
    this.#loading.hidden = this.#form.hidden = true;
    this.#taskCard.hidden = false;
    this.#setStarting(false);
    this.#showTask(task, nextAfterMs);
    // What was under the keyboard has gone.
    if (hadFocus) this.#taskTitle.focus();
  }

  /** @param {Task} task @param {number | null} nextAfterMs */
  #showTask(task, nextAfterMs) {
    this.#task = task;
    const hasEnded = isTerminal(task);
    const hadFocus = document.activeElement === this.#cancelButton || this.#confirm.open;
    if (hasEnded) this.#confirm.close();
    this.#view.show(task, nextAfterMs);
    this.#history.update(task);
    this.#wantLive();
    this.#cancelButton.hidden = hasEnded;
    this.#againButton.hidden = !hasEnded;
    this.#retryButton.hidden = !hasEnded || task.count_done_items === task.number_of_items;
    setText(this.#retryButton, words.again(task));
    this.#itemsButton.hidden = !hasEnded || task.count_done_items + task.count_failed_items === 0;
    // The button under the keyboard has gone; the next thing to do takes its place.
    if (hasEnded && hadFocus) this.#againButton.focus();
  }

  /** @param {string} problem */
  #showTrouble(problem) {
    if (this.#task) this.#view.showTrouble(`${problem} Your task goes on; this page catches up by itself.`);
    else this.#note(`${BUSY_NOTE} ${problem} This page shows it as soon as it can.`);
  }

  #showRecovered() {
    if (!this.#task) return;
    const text = 'Connected again.';
    this.#view.showRecovered(text);
    setTimeout(() => this.#view.unnote(text), RECOVERED_NOTE_MS);
  }

  /** @param {unknown} error */
  #showLost(error) {
    if (this.#checkSession(error)) return;
    // First, as it gives back the focus that it took.
    this.#confirm.close();
    const hadFocus = this.#work.contains(document.activeElement);
    this.#showForm();
    if (hadFocus) this.#startTitle.focus();
    const isGone = error instanceof ApiError && error.status === 404;
    const text = isGone ? 'The task you were watching no longer exists.' : `${words.apiProblem(error)} The task cannot be followed.`;
    this.#note(text);
    // The note appears together with its form, and so is not heard by itself.
    announce(text);
  }

  // Live updates

  #newLive() {
    return new Live({
      fetchUrl: (signal) => this.#api.liveUrl(signal),
      connect: (url) => new WebSocket(url),
      onOpen: () => this.#follower?.liveBegins(),
      onTask: (task) => this.#hear(task),
      onDown: () => this.#follower?.liveEnds(),
      isFinal: (error) => this.#checkSession(error) || (error instanceof ApiError && error.status === 404),
      errors,
      clock,
      random: Math.random,
      surroundings,
    });
  }

  /** They are for whoever looks at the page; the end of a task is told in the title also when nobody does. */
  #wantLive() {
    const isFollowing = this.#follower !== null && !this.#follower.isStopped;
    this.#live?.want(isFollowing || !surroundings.isHidden());
  }

  #stopLive() {
    this.#live?.stop();
    this.#live = null;
  }

  /** @param {Task} task that has changed, one way or another */
  #hear(task) {
    const isNews = this.#history.update(task);
    if (task.task_id === this.#followedId) this.#follower?.take(task);
    else if (isNews && !isTerminal(task) && this.#isFree) this.#showFound(task);
  }

  // Cancelling

  #askToCancel() {
    if (isBusy(this.#cancelButton)) return;
    setText(this.#confirmProblem, '');
    this.#confirm.showModal();
  }

  async #cancel() {
    const task = this.#task;
    if (!task || isBusy(this.#confirmYes)) return;
    const visit = this.#visit;
    this.#setCancelling(true);
    try {
      // Cancelling twice does no more than once, so a lost answer is simply asked for again.
      const cancelled = await withRetries(this.#whileHere(() => this.#api.cancel(task)), retries);
      if (visit !== this.#visit || this.#task?.task_id !== task.task_id) return;
      this.#follower?.stop();
      this.#showTask(cancelled, null);
    } catch (error) {
      if (visit !== this.#visit || this.#checkSession(error) || this.#task?.task_id !== task.task_id) return;
      if (error instanceof ApiError && error.status === 409) {
        this.#confirm.close();
        this.#view.note('The task had ended before it could be cancelled.');
        this.#follower?.pollNow();
      } else {
        const text = `${words.apiProblem(error)} The task was not cancelled, as far as is known.`;
        // Whoever did not want to wait has closed the question, and must hear of it all the same.
        if (this.#confirm.open) setText(this.#confirmProblem, text);
        else this.#view.note(text);
      }
    } finally {
      if (visit === this.#visit) this.#setCancelling(false);
    }
  }

  /** @param {boolean} cancelling */
  #setCancelling(cancelling) {
    for (const button of [this.#confirmYes, this.#cancelButton]) {
      setBusy(button, cancelling);
      setText(button, cancelling ? 'Cancelling …' : 'Cancel task');
    }
    if (cancelling) setText(this.#confirmProblem, '');
  }

  // Looking back

  /**
   * Loads the newest tasks, however long it takes; the form does not wait for more than the first try.
   *
   * @param {number} visit
   * @returns {Promise<Task | undefined>} the active task
   */
  async #look(visit) {
    this.#lookedAt = clock.now();
    this.#lookAlarm.clear();
    try {
      const active = await this.#history.load();
      if (visit !== this.#visit) return;
      this.#lookAlarm.clear();
      this.#lookFailures = 0;
      this.#history.note('');
      return active;
    } catch (error) {
      if (visit !== this.#visit || this.#checkSession(error)) return;
      this.#history.note(`${words.apiProblem(error)} Your tasks could not be loaded.`);
      if (errors.isRetryable(error)) {
        this.#lookFailures += 1;
        this.#lookAlarm.set(backoffMs(this.#lookFailures, Math.random, errors.retryAfterOf(error)));
      }
    }
  }

  /** Looks for a task that this tab does not know of yet. */
  async #lookAgain() {
    if (!this.#isHere) return;
    const visit = this.#visit;
    const active = await this.#look(visit);
    if (active && visit === this.#visit && this.#isFree) this.#showFound(active);
  }

  /** Shows a task that was started elsewhere. @param {Task} active */
  #showFound(active) {
    this.#follow(active, active, 0);
    announce('You have a task running. It is shown now.');
  }

  /** Whether the card may show another task than now. */
  get #isFree() {
    return (this.#task === null || isTerminal(this.#task)) && !isBusy(this.#startButton);
  }

  async #loadOlder() {
    if (isBusy(this.#moreButton)) return;
    const visit = this.#visit;
    setBusy(this.#moreButton, true);
    try {
      await this.#history.loadOlder();
      this.#history.note('');
    } catch (error) {
      if (visit === this.#visit && !this.#checkSession(error)) this.#history.note(`${words.apiProblem(error)} Older tasks could not be loaded.`);
    } finally {
      setBusy(this.#moreButton, false);
    }
  }

  /** What the keyboard was on before a dialog opened may have gone meanwhile. */
  #catchFocus() {
    const focused = document.activeElement;
    const isOnGround = focused === null || focused === document.body || focused.getClientRects().length === 0;
    if (!this.#isHere || !isOnGround) return;
    (this.#task ? this.#taskTitle : this.#startTitle).focus({ preventScroll: true });
  }

  /**
   * A request that is not repeated once this visit is over: the next one is somebody else's.
   *
   * @template {unknown[]} A
   * @template T
   * @param {(...values: A) => Promise<T>} request
   * @returns {(...values: A) => Promise<T>}
   */
  #whileHere(request) {
    const visit = this.#visit;
    return async (...values) => {
      if (visit !== this.#visit) throw new SessionEnded();
      return request(...values);
    };
  }

  /** @param {unknown} error @returns {boolean} whether it meant that nobody is signed in any more */
  #checkSession(error) {
    if (!(error instanceof SessionEnded)) return false;
    if (this.#isHere) this.#onSessionEnded();
    return true;
  }
}

/** What is known of a task that has just been accepted. @param {string} taskId @param {Request} request @returns {Task} */
function queuedTask(taskId, { job, size }) {
  return {
    task_id: taskId,
    job,
    retry_of: null,
    task_status: 'QUEUED',
    done_percentage: 0,
    count_done_items: 0,
    count_failed_items: 0,
    // Not known in general: how many items a request means is the job's to say.
    number_of_items: size ?? 0,
    created_at: null,
    started_at: null,
    finished_at: null,
    eta_seconds: null,
    phase: null,
    resumes_at: null,
    error: null,
    version: 0,
  };
}

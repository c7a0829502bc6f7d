// Has what a task left undone tried again, after a question: once, however often the answer gets lost.

import { byId, isBusy, setBusy, setText } from './dom.js';
import { withRetries } from './retry.js';
import { SessionEnded } from './session.js';
import * as words from './words.js';

/** @import { Submitted, Task } from './api.js' */
/** @import { RetryOptions } from './retry.js' */

/**
 * @typedef {object} RetryingOptions
 * @property {(task: Task, idempotencyKey: string) => Promise<Submitted>} retry
 * @property {() => string} newKey
 * @property {RetryOptions} retries
 * @property {(task: Task, submitted: Submitted) => void} onStarted
 * @property {(error: unknown) => boolean} isElsewhere whether an error concerns more than this question, and is dealt with
 */

export class Retrying {
  #dialog = byId('confirm-retry', HTMLDialogElement);
  #title = byId('retry-title', HTMLElement);
  #text = byId('retry-text', HTMLElement);
  #problem = byId('retry-problem', HTMLElement);
  #yes = byId('retry-yes', HTMLButtonElement);
  #options;
  /** What is asked about, and the key of what may have been sent for it. @type {{ task: Task, key: string } | null} */
  #asked = null;

  /** @param {RetryingOptions} options */
  constructor(options) {
    this.#options = options;
    this.#yes.addEventListener('click', () => void this.#start());
    byId('retry-no', HTMLButtonElement).addEventListener('click', () => this.#dialog.close());
  }

  /** @param {Task} task */
  ask(task) {
    // Asked again about the same task, it may have been started already.
    if (this.#asked?.task.task_id !== task.task_id) this.#asked = { task, key: this.#options.newKey() };
    setText(this.#title, `${words.again(task)}?`);
    setText(this.#text, words.whatAgainMeans(task));
    setText(this.#problem, '');
    this.#dialog.showModal();
  }

  close() {
    this.#asked = null;
    this.#dialog.close();
  }

  async #start() {
    const asked = this.#asked;
    if (!asked || isBusy(this.#yes)) return;
    const { retry, retries, onStarted, isElsewhere } = this.#options;
    setBusy(this.#yes, true);
    setText(this.#problem, '');
    try {
      const submitted = await withRetries(() => {
        // It must not be sent in the name of whoever signs in next.
        if (asked !== this.#asked) throw new SessionEnded();
        return retry(asked.task, asked.key);
      }, retries);
      if (asked !== this.#asked) return;
      this.close();
      onStarted(asked.task, submitted);
    } catch (error) {
      if (asked !== this.#asked || isElsewhere(error)) return;
      const isUnknown = retries.errors.isRetryable(error);
      const rest = isUnknown ? 'It is not known whether it has started. Press Try again: it cannot start twice.' : 'Nothing was started.';
      setText(this.#problem, `${words.apiProblem(error)} ${rest}`);
    } finally {
      setBusy(this.#yes, false);
    }
  }
}

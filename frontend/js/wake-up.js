// Notices that the machine has slept. Timers stand still meanwhile, on some systems without noticing afterwards how late
// it is, and no event tells of it: only the time of day does, which has jumped.

/** @import { Clock } from './alarm.js' */

/** How often the time of day is looked at, and so how soon after waking up it is noticed. */
const LOOK_MS = 1_000;
/** A timer that is less late than this may just have had to wait for its turn. */
const SLEEP_MS_MIN = 4_000;

export class WakeUp {
  #clock;
  #isHidden;
  /** @type {Set<() => void>} */ #listeners = new Set();
  /** @type {unknown} */ #timer = null;

  /**
   * @param {Clock} clock
   * @param {{ isHidden: () => boolean, onVisibilityChange: (callback: () => void) => unknown }} surroundings
   */
  constructor(clock, { isHidden, onVisibilityChange }) {
    this.#clock = clock;
    this.#isHidden = isHidden;
    // A hidden page is in no hurry, and its timers are late anyway.
    onVisibilityChange(() => this.#arm());
  }

  /** @param {() => void} callback told each time @returns {() => void} what unsubscribes */
  on(callback) {
    this.#listeners.add(callback);
    if (this.#listeners.size === 1) this.#arm();
    return () => {
      this.#listeners.delete(callback);
      if (this.#listeners.size === 0) this.#arm();
    };
  }

  #arm() {
    this.#clock.clearTimeout(this.#timer);
    if (this.#listeners.size === 0 || this.#isHidden()) return;
    const dueAt = this.#clock.now() + LOOK_MS;
    this.#timer = this.#clock.setTimeout(() => {
      const hasSlept = this.#clock.now() - dueAt >= SLEEP_MS_MIN;
      this.#arm();
      if (hasSlept) for (const callback of [...this.#listeners]) callback();
    }, LOOK_MS);
  }
}

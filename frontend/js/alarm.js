// Rings once, later, but only while somebody looks at the page. Time and the page's surroundings
// come in from outside, so that the tests can drive them.

/**
 * @typedef {object} Clock
 * @property {() => number} now
 * @property {(callback: () => void, ms: number) => unknown} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */

/**
 * The outside world as far as waiting cares.
 *
 * @typedef {object} Surroundings
 * @property {() => boolean} isHidden
 * @property {(callback: () => void) => () => void} onVisibilityChange yields the function that unsubscribes
 * @property {(callback: () => void) => () => void} onOnline
 */

export class Alarm {
  #ring;
  #clock;
  #surroundings;
  /** @type {number | null} */ #dueAt = null;
  /** @type {unknown} */ #timer = null;
  #unsubscribe;
  #isStopped = false;

  /** @param {() => void} ring @param {Clock} clock @param {Surroundings} surroundings */
  constructor(ring, clock, surroundings) {
    this.#ring = ring;
    this.#clock = clock;
    this.#surroundings = surroundings;
    this.#unsubscribe = surroundings.onVisibilityChange(() => this.#arm());
  }

  get isSet() {
    return this.#dueAt !== null;
  }

  /** Rings after `delayMs`, and not when it would have rung otherwise. @param {number} delayMs */
  set(delayMs) {
    this.#dueAt = this.#clock.now() + delayMs;
    this.#arm();
  }

  /** Does not ring, unless it is set again. */
  clear() {
    this.#dueAt = null;
    this.#arm();
  }

  /** Never rings again. */
  stop() {
    this.#isStopped = true;
    this.clear();
    this.#unsubscribe();
  }

  /**
   * Sets the timer for what is due. A hidden page gets none: when it is shown again, this runs
   * again, and what fell due meanwhile rings at once.
   */
  #arm() {
    this.#clock.clearTimeout(this.#timer);
    if (this.#isStopped || this.#dueAt === null || this.#surroundings.isHidden()) return;
    this.#timer = this.#clock.setTimeout(() => {
      this.#dueAt = null;
      this.#ring();
    }, Math.max(0, this.#dueAt - this.#clock.now()));
  }
}

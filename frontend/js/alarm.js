// Rings once, later; while nobody looks at the page, much later or not at all. Time and the page's surroundings come in
// from outside, so that the tests can drive them.

/**
 * @typedef {object} Clock
 * @property {() => number} now
 * @property {(callback: () => void, ms: number) => unknown} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */

/**
 * The outside world as far as waiting cares; everything that subscribes yields the function that unsubscribes.
 *
 * @typedef {object} Surroundings
 * @property {() => boolean} isHidden
 * @property {(callback: () => void) => () => void} onVisibilityChange
 * @property {(callback: () => void) => () => void} onOnline
 * @property {(callback: () => void) => () => void} onOffline
 * @property {(callback: () => void) => () => void} onWakeUp the machine has slept
 */

export class Alarm {
  #ring;
  #clock;
  #surroundings;
  #hiddenDelayMs;
  #setAt = 0;
  /** @type {number | null} */ #delayMs = null;
  /** @type {unknown} */ #timer = null;
  #unsubscribe;
  #isStopped = false;

  /**
   * @param {() => void} ring
   * @param {Clock} clock
   * @param {Surroundings} surroundings
   * @param {number} [hiddenDelayMs] while the page is hidden it rings no sooner than this; not at all, if nothing is said
   */
  constructor(ring, clock, surroundings, hiddenDelayMs = Infinity) {
    this.#ring = ring;
    this.#clock = clock;
    this.#surroundings = surroundings;
    this.#hiddenDelayMs = hiddenDelayMs;
    this.#unsubscribe = surroundings.onVisibilityChange(() => this.#arm());
  }

  get isSet() {
    return this.#delayMs !== null;
  }

  /** Rings after `delayMs`, and not when it would have rung otherwise. @param {number} delayMs */
  set(delayMs) {
    this.#setAt = this.#clock.now();
    this.#delayMs = delayMs;
    this.#arm();
  }

  /** Does not ring, unless it is set again. */
  clear() {
    this.#delayMs = null;
    this.#arm();
  }

  /** Never rings again. */
  stop() {
    this.#isStopped = true;
    this.clear();
    this.#unsubscribe();
  }

  /**
   * Sets the timer for what is due. When a hidden page is shown again this runs again, and what fell
   * due meanwhile rings at once.
   */
  #arm() {
    this.#clock.clearTimeout(this.#timer);
    if (this.#isStopped || this.#delayMs === null) return;
    const delayMs = this.#surroundings.isHidden() ? Math.max(this.#delayMs, this.#hiddenDelayMs) : this.#delayMs;
    if (delayMs === Infinity) return;
    // Where the clock was set back meanwhile, nobody knows how long it has been.
    const sinceMs = Math.max(0, this.#clock.now() - this.#setAt);
    this.#timer = this.#clock.setTimeout(() => {
      this.#delayMs = null;
      this.#ring();
    }, Math.max(0, delayMs - sinceMs));
  }
}

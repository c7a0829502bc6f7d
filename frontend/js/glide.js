// Smooth motion between two polls. The shown value always lags behind the last
// known truth and moves towards it: it never runs ahead and never turns back.

export class Glide {
  #from = 0;
  #to = 0;
  #startedAt = 0;
  #durationMs = 0;

  /** Jumps to `value`; only right where nothing was shown before. @param {number} value */
  reset(value) {
    this.#from = this.#to = value;
    this.#durationMs = 0;
  }

  /**
   * Sets a new truth to arrive at after `durationMs`.
   *
   * @param {number} truth
   * @param {number} durationMs
   * @param {number} now
   */
  moveTo(truth, durationMs, now) {
    // An older truth is ignored, and the same one again must not slow down what is on its way.
    const isSooner = now + durationMs < this.#startedAt + this.#durationMs;
    if (truth < this.#to || (truth === this.#to && !isSooner)) return;
    this.#from = this.at(now);
    this.#to = truth;
    this.#startedAt = now;
    this.#durationMs = durationMs;
  }

  /** The value to show. @param {number} now @returns {number} */
  at(now) {
    if (this.hasArrived(now)) return this.#to;
    const share = Math.max(0, (now - this.#startedAt) / this.#durationMs);
    return this.#from + (this.#to - this.#from) * share;
  }

  /** @param {number} now @returns {boolean} */
  hasArrived(now) {
    return now - this.#startedAt >= this.#durationMs;
  }
}

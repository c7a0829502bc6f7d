// Time that passes only when a test says so.

export class FakeClock {
  #now = 1_000_000;
  #timers = new Map();
  #nextId = 1;

  now = () => this.#now;

  /** @param {() => void} callback @param {number} ms */
  setTimeout = (callback, ms) => {
    this.#timers.set(this.#nextId, { at: this.#now + ms, callback });
    return this.#nextId++;
  };

  /** @param {number} id */
  clearTimeout = (id) => {
    this.#timers.delete(id);
  };

  /** Milliseconds until the next timer fires, or null where none is set. */
  get nextIn() {
    const times = [...this.#timers.values()].map((timer) => timer.at - this.#now);
    return times.length ? Math.min(...times) : null;
  }

  /** Lets time pass, firing what falls due on the way and letting its promises settle. @param {number} ms */
  async pass(ms) {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [id, timer] = due;
      this.#now = Math.max(this.#now, timer.at);
      this.#timers.delete(id);
      timer.callback();
      await settle();
    }
    this.#now = end;
    await settle();
  }

  /** Time jumps without any timer firing, as it does while a laptop sleeps. @param {number} ms */
  sleep(ms) {
    this.#now += ms;
  }
}

/** Lets every promise that can settle do so. */
export function settle() {
  return new Promise((resolve) => setImmediate(resolve));
}

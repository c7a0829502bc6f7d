// The jobs that there are: what may be asked for, and what the page says of a task whose job it knows.

import { outputColumnsOf } from './schema.js';

/** @import { Api, Job } from './api.js' */

export class Jobs {
  /** @type {Job[]} */ #all = [];
  #itemsMax = Infinity;
  /** @type {string | null} */ #etag = null;
  #api;

  /** @param {Api} api */
  constructor(api) {
    this.#api = api;
  }

  /** In the order in which they are offered; none until they are known. */
  get all() {
    return this.#all;
  }

  /** The most items that a task may have, whatever its job. */
  get itemsMax() {
    return this.#itemsMax;
  }

  /** Asks for them, or whether they have changed. */
  async load() {
    const { catalogue, etag } = await this.#api.jobs(this.#etag);
    if (catalogue) {
      this.#all = catalogue.jobs;
      this.#itemsMax = catalogue.limits.items_max;
    }
    this.#etag = etag;
  }

  /** @param {string} name @returns {string} what to call a task of that job; empty where all are of the same one */
  titleOf(name) {
    if (this.#all.length < 2) return '';
    // A job that is not there any more has tasks all the same.
    return this.#all.find((job) => job.name === name)?.title ?? name;
  }

  /** @param {string} name @returns {ReturnType<typeof outputColumnsOf>} the columns of what its items yield */
  outputColumnsOf(name) {
    return outputColumnsOf(this.#all.find((job) => job.name === name)?.output ?? {});
  }
}

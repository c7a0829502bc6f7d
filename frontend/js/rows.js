// The rows of a table that somebody made: which of its columns are the schema's, what is in them, and what is wrong.

import { good, read } from './values.js';
import * as words from './words.js';

/** @import { Column } from './schema.js' */

/** @typedef {{ column: string | null, text: string }} RowProblem about a cell, or about the row as a whole */

/** So many rows that need attention are kept; whoever has more of them has one problem, and not so many. */
const WRONG_ROWS_MAX = 200;

/** How the columns of what items were given are called in a file of items. */
const INPUT = 'input.';
/** A cell that would be a formula, or would be one but for its apostrophes, has one more of them there. */
const MARKED = /^'+[=+\-@\t\r\n＝＋－＠]/;

export class Rows {
  /** Where in a row each of the schema's columns stands. @type {Map<string, number>} */ #places = new Map();
  #width = 0;
  /** @type {string[][]} */ #cells = [];
  /** @type {Record<string, unknown>[]} */ #values = [];
  /** By row, from 0. @type {Map<number, RowProblem[]>} */ #problems = new Map();
  /** All of them. @type {Set<number>} */ #wrong = new Set();
  #columns;
  /** Whether it is a file that was taken away from here: then what might be a formula is marked. */
  #isMarked = false;
  /** Headings that are none of the schema's. @type {string[]} */
  unknown = [];

  /** @param {Column[]} columns */
  constructor(columns) {
    this.#columns = columns;
  }

  get count() {
    return this.#values.length;
  }

  /** How many rows need attention. */
  get countWrong() {
    return this.#wrong.size;
  }

  /** Those that are there to be shown, in order. @returns {[row: number, problems: RowProblem[]][]} */
  get wrong() {
    return [...this.#problems].sort(([one], [other]) => one - other);
  }

  get values() {
    return this.#values;
  }

  /** The schema's columns that the table has, in the schema's order. */
  get columns() {
    return this.#columns.filter(({ name }) => this.#places.has(name));
  }

  /** @param {number} row @param {string} column @returns {string} what stands there */
  cell(row, column) {
    return this.#cells[row]?.[this.#places.get(column) ?? -1] ?? '';
  }

  /** Takes the first row: the headings. @param {string[]} headings @returns {string | null} why the table cannot be read */
  takeHeadings(headings) {
    this.#width = headings.length;
    if (headings.some((heading) => heading.startsWith(INPUT))) {
      // Beside what was given it says what came of it, which is nobody's concern here.
      headings = headings.map((heading) => (heading.startsWith(INPUT) ? heading.slice(INPUT.length) : ''));
      this.#isMarked = true;
    }
    const keys = headings.map(keyOf);
    /** @type {Set<number>} */
    const used = new Set();
    for (const column of this.#columns) {
      // A column's own name comes before a title that another one happens to have for a name.
      const key = [column.name, column.title].map(keyOf).find((each) => keys.includes(each));
      if (key === undefined) continue;
      const places = keys.flatMap((each, place) => (each === key ? [place] : []));
      if (places.length > 1) return words.columnTwice(column.title);
      const [place] = places;
      if (place === undefined || used.has(place)) continue;
      used.add(place);
      this.#places.set(column.name, place);
    }
    const titles = this.#columns.map(({ title }) => title);
    if (this.#places.size === 0) return words.noColumns(titles);
    const missing = this.#columns.filter(({ name, isRequired, isNullable }) => isRequired && !isNullable && !this.#places.has(name));
    if (missing.length > 0) return words.missingColumns(missing.map(({ title }) => title));
    this.unknown = headings.filter((heading, place) => heading.trim() !== '' && !used.has(place)).map((heading) => heading.trim());
    return null;
  }

  /** @param {string[]} cells @param {boolean} hasOpenQuotes */
  add(cells, hasOpenQuotes) {
    if (this.#isMarked) cells = cells.map(unmarked);
    /** @type {Record<string, unknown>} */
    const values = {};
    const row = this.#values.length;
    if (hasOpenQuotes) this.complain(row, null, words.OPEN_QUOTES);
    else if (cells.slice(this.#width).some((cell) => cell.trim() !== '')) this.complain(row, null, words.TOO_MANY_CELLS);
    for (const column of this.#columns) {
      const place = this.#places.get(column.name);
      const { value, problem } = place === undefined ? readMissing(column) : read(column, cells[place] ?? '');
      if (problem !== null) this.complain(row, column.name, problem);
      else if (value !== undefined) values[column.name] = value;
    }
    this.#cells.push(cells);
    this.#values.push(values);
  }

  /** Adds what is wrong with a row. @param {number} row @param {string | null} column @param {string} text */
  complain(row, column, text) {
    this.#wrong.add(row);
    const known = this.#problems.get(row);
    if (known) known.push({ column, text });
    else if (this.#problems.size < WRONG_ROWS_MAX) this.#problems.set(row, [{ column, text }]);
  }

  /** Forgets what was wrong; what the server says takes its place. */
  forgive() {
    this.#problems.clear();
    this.#wrong.clear();
  }
}

/** @param {string} cell @returns {string} what it was before it was made harmless for spreadsheets */
function unmarked(cell) {
  return MARKED.test(cell) ? cell.slice(1) : cell;
}

/** A column that may be left out is left out, or null. @param {Column} column */
function readMissing({ isRequired }) {
  return good(isRequired ? null : undefined);
}

/** Headings are the same whatever their capitals, blanks and hyphens. @param {string} text @returns {string} */
function keyOf(text) {
  return text.normalize('NFKC').toLowerCase().replace(/[\s_\-]+/g, '');
}

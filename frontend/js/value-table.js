// A table of values that fits wherever it stands: where its columns would be too narrow, each row becomes a block of its
// own, with the headings beside the values.

import { element } from './dom.js';

/** @typedef {string | { text: string, problem: string }} Cell */

/** More columns than this have a width of their own, whatever there is room for. */
const COLUMNS_MAX = 4;

export class ValueTable {
  #body = element('tbody', '');
  #headings;
  /** Those that stand for something: what is wrong with one as a whole has a row of its own, below it. @type {HTMLElement[]} */ #rows = [];

  /** @param {string} caption for who does not see where it stands @param {string[]} headings that of a row's name first */
  constructor(caption, headings) {
    this.#headings = headings;
    const head = element('tr', '', ...headings.map((heading) => {
      const cell = withRole(element('th', '', heading), 'columnheader');
      cell.scope = 'col';
      return cell;
    }));
    const table = element('table', 'values',
      element('caption', 'visually-hidden', caption),
      withRole(element('thead', '', withRole(head, 'row')), 'rowgroup'),
      withRole(this.#body, 'rowgroup'),
    );
    // Laid out as blocks, some browsers would not take them for a table any more.
    this.root = element('div', 'values-frame', withRole(table, 'table'));
    if (headings.length > COLUMNS_MAX) {
      // It is moved sideways, also from the keyboard.
      table.dataset.columns = 'many';
      this.root.tabIndex = 0;
      this.root.setAttribute('role', 'region');
      this.root.setAttribute('aria-label', caption);
    }
  }

  /** How many rows it has. */
  get count() {
    return this.#rows.length;
  }

  /**
   * @param {string} name
   * @param {Cell[]} cells as many as there are headings, but for the name's
   * @param {string} [problem] with the row as a whole
   */
  add(name, cells, problem = '') {
    const heading = withRole(element('th', '', name), 'rowheader');
    heading.scope = 'row';
    heading.dataset.heading = this.#headings[0] ?? '';
    const row = withRole(element('tr', problem ? 'row-wrong' : '', heading, ...cells.map((cell, place) => this.#cell(cell, place + 1))), 'row');
    this.#rows.push(row);
    this.#body.append(row);
    if (problem) this.#body.append(this.#below(problem));
  }

  /** All of the table's width: a column may have room for a number only. @param {string} problem @returns {HTMLElement} */
  #below(problem) {
    const cell = withRole(element('td', 'about-row', element('span', 'reason', problem)), 'cell');
    cell.colSpan = this.#headings.length;
    return withRole(element('tr', '', cell), 'row');
  }

  /** @param {Cell} cell @param {number} place @returns {HTMLElement} */
  #cell(cell, place) {
    const { text, problem } = typeof cell === 'string' ? { text: cell, problem: '' } : cell;
    const made = withRole(element('td', problem ? 'wrong' : ''), 'cell');
    if (text) made.append(element('span', 'value', text));
    if (problem) made.append(element('span', 'reason', problem));
    made.dataset.heading = this.#headings[place] ?? '';
    return made;
  }

  /** @param {number} place @returns {HTMLElement | undefined} */
  row(place) {
    return this.#rows[place];
  }
}

/**
 * @template {HTMLElement} E
 * @param {E} made
 * @param {string} role
 * @returns {E}
 */
function withRole(made, role) {
  made.setAttribute('role', role);
  return made;
}

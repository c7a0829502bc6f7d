// The field for a list of objects: a file of rows that is chosen, dropped or pasted, with its first rows, or those that
// need attention.

import { Frame } from './controls.js';
import { readRows } from './csv.js';
import { announce, element, icon, setText } from './dom.js';
import { fileButton, readText } from './files.js';
import { Rows } from './rows.js';
import { ValueTable } from './value-table.js';
import { bad, good, problemOfCount, readNothing } from './values.js';
import * as words from './words.js';

/** @import { Control } from './controls.js' */
/** @import { Papa } from './csv.js' */
/** @import { Message } from './placing.js' */
/** @import { FieldOf, RowsShape } from './schema.js' */
/** @import { Reading } from './values.js' */

const ROWS_SHOWN = 5;
/** Who has to correct more rows than this will look into the file. */
const WRONG_ROWS_SHOWN = 20;
const NAME_OF_PASTED = 'Pasted rows';

/** Another file has taken the place of the one that is being read. */
class Superseded extends Error {}

/** @implements {Control} */
export class RowsControl {
  #columns;
  #shape;
  /** What was read. @type {Rows | null} */ #rows = null;
  /** Why there is nothing, although there was a file. */
  #problemOfFile = '';
  #generation = 0;
  #isReadOnly = false;
  #isReading = false;
  #frame;
  #zone = element('div', 'drop');
  #title = element('p', 'drop-title');
  #below = element('p', 'hint');
  #button;
  #remove = element('button', 'button small quiet', 'Remove');
  /** The table, and what is said of it. */
  #shown = element('div', 'rows-shown');

  /** @param {FieldOf<RowsShape>} field @param {string} id */
  constructor(field, id) {
    this.field = field;
    this.#shape = field.shape;
    this.#columns = field.shape.columns;
    this.#frame = new Frame(field, id);
    const { input, button } = fileButton('.csv,.tsv,.txt,text/csv,text/tab-separated-values', 'Choose a file', (file) => void this.take(file));
    this.#button = button;
    button.id = id;
    this.#below.id = `${id}-file`;
    this.#remove.type = 'button';
    this.#remove.addEventListener('click', () => {
      if (this.#isReadOnly) return;
      this.#clear();
      this.#button.focus();
    });
    this.#zone.append(icon('file'), element('div', 'drop-text', this.#title, this.#below), element('div', 'drop-actions', input, button, this.#remove));
    this.root = this.#frame.aroundGroup(element('div', 'rows-field', this.#zone), []);
    this.root.append(this.#shown);
    this.#shown.tabIndex = -1;
    this.#frame.describe(button);
    button.setAttribute('aria-describedby', `${this.#below.id} ${button.getAttribute('aria-describedby')}`);
    this.#clear();
  }

  /** @returns {Reading} */
  read() {
    const reading = this.#reading();
    this.#say(reading.problem ?? '');
    return reading;
  }

  /** @returns {Reading} */
  #reading() {
    if (this.#isReading) return bad(words.STILL_READING);
    if (this.#problemOfFile) return bad(this.#problemOfFile);
    if (!this.#rows) return readNothing(this.field) ?? bad(words.NO_FILE);
    const problem = problemOfCount(this.#rows.count, this.#shape);
    if (problem !== null) return bad(problem);
    return this.#rows.countWrong > 0 ? bad(words.rowsNeedAttention(this.#rows.countWrong)) : good(this.#rows.values);
  }

  /** @param {Message[]} messages */
  complain(messages) {
    const rows = this.#rows;
    const texts = [];
    rows?.forgive();
    for (const { path: [row, column, ...rest], text } of messages) {
      const isRow = rows && row !== undefined && /^\d+$/.test(row) && Number(row) < rows.count;
      if (!isRow) texts.push(row === undefined ? text : `${[row, column, ...rest].filter(Boolean).join('.')}: ${text}`);
      else if (rows.columns.some(({ name }) => name === column)) rows.complain(Number(row), column ?? null, text);
      else rows.complain(Number(row), null, column === undefined ? text : `${column}: ${text}`);
    }
    if (rows && rows.countWrong > 0) texts.push(words.rowsNeedAttention(rows.countWrong));
    this.#showRows();
    this.#say(texts.join(' '));
    // What the server did not like is not sent again as it is; but another look at it may have another outcome.
    rows?.forgive();
  }

  focus() {
    if (this.#shown.querySelector('.wrong, .row-wrong')) this.#shown.focus();
    else this.#button.focus();
  }

  /** @param {boolean} isReadOnly */
  setReadOnly(isReadOnly) {
    this.#isReadOnly = isReadOnly;
  }

  size() {
    return this.#rows?.count ?? null;
  }

  /** @param {File} file */
  async take(file) {
    if (this.#isReadOnly) return;
    const generation = this.#begin(file.name);
    const { text, problem } = await readText(file);
    if (generation !== this.#generation) return;
    if (problem === null) await this.#readText(text, file.name, generation);
    else this.#fail(file.name, problem);
  }

  /** @param {string} text */
  paste(text) {
    if (!this.#isReadOnly) void this.#readText(text, NAME_OF_PASTED, this.#begin(NAME_OF_PASTED));
  }

  forget() {
    this.#clear();
  }

  /** @param {string} name @returns {number} */
  #begin(name) {
    this.#clear();
    this.#isReading = true;
    this.#zone.dataset.state = 'reading';
    setText(this.#title, name);
    setText(this.#below, 'Reading …');
    return this.#generation;
  }

  /** @param {string} text @param {string} name @param {number} generation */
  async #readText(text, name, generation) {
    const papa = /** @type {{ Papa?: Papa }} */ (globalThis).Papa;
    if (!papa) {
      this.#fail(name, words.CSV_READER_MISSING);
      return;
    }
    const rows = new Rows(this.#columns);
    let hasHeadings = false;
    /** @type {string | null} */
    let problem = null;
    /** @param {string[]} cells @param {boolean} hasOpenQuotes */
    const onRow = (cells, hasOpenQuotes) => {
      if (hasHeadings && problem === null) rows.add(cells, hasOpenQuotes);
      if (!hasHeadings) problem = rows.takeHeadings(cells);
      hasHeadings = true;
    };
    const pause = async () => {
      await new Promise((resolve) => setTimeout(resolve));
      if (generation !== this.#generation || problem !== null) throw new Superseded();
    };
    try {
      await readRows(text, papa, { onRow, pause });
    } catch (error) {
      if (!(error instanceof Superseded)) throw error;
    }
    if (generation !== this.#generation) return;
    if (!hasHeadings) problem = words.noColumns(this.#columns.map(({ title }) => title));
    else if (problem === null && rows.count === 0) problem = words.NO_ROWS;
    if (problem === null) this.#take(rows, name);
    else this.#fail(name, problem);
  }

  /** @param {Rows} rows @param {string} name */
  #take(rows, name) {
    this.#isReading = false;
    this.#rows = rows;
    this.#zone.dataset.state = 'full';
    setText(this.#title, name);
    setText(this.#below, [`${words.rows(rows.count)}.`, words.unusedColumns(rows.unknown)].join(' ').trim());
    setText(this.#button, 'Choose another');
    this.#remove.hidden = false;
    this.#showRows();
    const problem = this.read().problem;
    announce([`${name}: ${words.rows(rows.count)}.`, problem ?? ''].join(' ').trim());
  }

  /** @param {string} name @param {string} problem */
  #fail(name, problem) {
    this.#clear();
    setText(this.#title, name);
    this.#problemOfFile = problem;
    this.#say(problem);
    announce(problem);
  }

  #clear() {
    this.#generation += 1;
    this.#rows = null;
    this.#problemOfFile = '';
    this.#isReading = false;
    this.#zone.dataset.state = 'empty';
    this.#remove.hidden = true;
    setText(this.#title, words.DROP_ROWS);
    setText(this.#below, words.headingsWanted(this.#columns.map(({ title }) => title)));
    setText(this.#button, 'Choose a file');
    this.#shown.replaceChildren();
    this.#say('');
  }

  /** @param {string} problem */
  #say(problem) {
    setText(this.#frame.problem, problem);
    this.#zone.classList.toggle('has-problem', problem !== '');
  }

  #showRows() {
    const rows = this.#rows;
    if (!rows) return;
    const columns = rows.columns;
    const headings = ['Row', ...columns.map(({ title }) => title)];
    const wrong = rows.wrong.slice(0, WRONG_ROWS_SHOWN);
    const table = new ValueTable(wrong.length > 0 ? 'Rows that need attention' : 'The first rows', headings);
    const shown = wrong.length > 0 ? wrong : Array.from({ length: Math.min(rows.count, ROWS_SHOWN) }, (_, row) => /** @type {const} */ ([row, []]));
    for (const [row, problems] of shown) {
      const cells = columns.map(({ name }) => {
        const text = rows.cell(row, name);
        const problem = problems.filter(({ column }) => column === name).map((each) => each.text).join(' ');
        return { text: text.trim() === '' ? '–' : text, problem };
      });
      const others = problems.filter(({ column }) => !columns.some(({ name }) => name === column)).map((each) => each.text);
      table.add(words.number(row + 1), cells, others.join(' '));
    }
    const rest = words.firstRows(shown.length, wrong.length > 0 ? rows.countWrong : rows.count);
    this.#shown.replaceChildren(table.root, ...(rest ? [element('p', 'hint', rest)] : []));
    this.#shown.setAttribute('role', 'group');
    this.#shown.setAttribute('aria-label', wrong.length > 0 ? 'Rows that need attention' : 'The first rows');
  }
}

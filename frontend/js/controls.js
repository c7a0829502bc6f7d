// The fields of a form: one for each kind of value that a schema knows. What each of them has typed into it is read by
// values.js; here it is shown, with what is wrong with it.

import { element, setProblem, setText } from './dom.js';
import { fileButton, readText } from './files.js';
import { Verbatim, bad, good, problemOfCount, problemsOf, read, readCell, readNothing } from './values.js';
import * as words from './words.js';

/** @import { Message } from './placing.js' */
/** @import { Choice, Field, FieldOf, LinesShape, NumberShape, TextShape } from './schema.js' */
/** @import { Reading } from './values.js' */

/**
 * What every field does.
 *
 * @typedef {object} Control
 * @property {Field} field
 * @property {HTMLElement} root
 * @property {() => Reading} read says what is wrong, too
 * @property {(messages: Message[]) => void} complain shows what the server says
 * @property {() => void} focus
 * @property {(isReadOnly: boolean) => void} setReadOnly
 * @property {() => number | null} size how many items it may stand for, where it is the only field
 * @property {(file: File) => void} [take] a file that was dropped
 * @property {(text: string) => void} [paste] rows that were pasted where nothing else takes them
 * @property {() => void} [forget] what it holds and what it is reading
 */

/** A number of choices that is seen at a glance. */
const RADIOS_MAX = 3;
const KEYBOARDS = new Map([['email', 'email'], ['uri', 'url'], ['date', 'date'], ['time', 'time']]);

/** The frame of a field: its name, what the schema says of it, the control, and what is wrong. */
export class Frame {
  problem = element('p', 'problem');
  #hint;

  /** @param {Field} field @param {string} id that no other field has */
  constructor(field, id) {
    this.id = id;
    const optional = field.isRequired && !field.isNullable ? [] : [' ', element('span', 'optional', 'optional')];
    this.name = [field.title, ...optional];
    this.#hint = element('p', 'hint', field.hint);
    this.#hint.id = `${id}-hint`;
    this.#hint.hidden = field.hint === '';
    this.problem.id = `${id}-problem`;
    this.problem.setAttribute('aria-live', 'polite');
  }

  /** @param {HTMLElement} control @param {string[]} problems of which the longest is to have room @param {...HTMLElement} more */
  around(control, problems, ...more) {
    const label = element('label', '', ...this.name);
    label.htmlFor = control.id = this.id;
    this.describe(control);
    return element('div', 'field', label, this.#hint, control, ...more, this.beneath(problems));
  }

  /** The same for several controls that are one. @param {HTMLElement} controls @param {string[]} problems */
  aroundGroup(controls, problems) {
    const legend = element('legend', '', ...this.name);
    const group = element('fieldset', 'field', legend, this.#hint, controls, this.beneath(problems));
    this.describe(group);
    return group;
  }

  /** @param {Element} control */
  describe(control) {
    control.setAttribute('aria-describedby', [this.#hint.hidden ? '' : this.#hint.id, this.problem.id].filter(Boolean).join(' '));
  }

  /** @param {string[]} problems */
  beneath(problems) {
    const beneath = element('div', 'beneath', this.problem);
    beneath.dataset.room = problems.reduce((longest, each) => (each.length > longest.length ? each : longest), '');
    return beneath;
  }
}

/** @param {Message[]} messages @returns {string} those about one value, with what of it they are about */
export function told(messages) {
  return messages.map(({ path, text }) => (path.length === 0 ? text : `${path.join('.')}: ${text}`)).join(' ');
}

/** @param {unknown} value @returns {string} as one would type it */
function writtenAs(value) {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What is typed: numbers and texts. @implements {Control} */
export class TypedControl {
  #input;
  #frame;
  #isChecked = false;

  /** @param {FieldOf<NumberShape | TextShape>} field @param {string} id @param {boolean} isOnly whether the form has no other field */
  constructor(field, id, isOnly) {
    this.field = field;
    const { shape } = field;
    const isNumber = shape.kind === 'number';
    this.#input = !isNumber && shape.isLong ? element('textarea', '') : element('input', isOnly && isNumber ? 'count' : '');
    this.#input.name = field.name;
    this.#input.autocomplete = 'off';
    this.#input.value = writtenAs(field.initial);
    if (this.#input instanceof HTMLInputElement) {
      if (isNumber) this.#input.inputMode = shape.isInteger ? 'numeric' : 'decimal';
      else this.#input.type = KEYBOARDS.get(shape.format) ?? 'text';
    }
    this.#input.required = field.isRequired && !field.isNullable;
    this.#frame = new Frame(field, id);
    this.root = this.#frame.around(this.#input, problemsOf(shape));
    this.root.classList.toggle('is-only', isOnly && isNumber);
    // Who types a text has not said it all at its first letter; a number that is wrong is so from the beginning.
    this.#input.addEventListener('input', () => (isNumber || this.#isChecked) && this.read());
    this.#input.addEventListener('change', () => this.read());
    if (isNumber && field.examples.length > 0) this.root.append(this.#chips(field.examples));
  }

  read() {
    this.#isChecked = true;
    const reading = read(this.field, this.#input.value);
    this.#show(reading.problem ?? '');
    return reading;
  }

  /** @param {Message[]} messages */
  complain(messages) {
    this.#isChecked = true;
    this.#show(told(messages));
  }

  focus() {
    this.#input.select();
    this.#input.focus();
  }

  /** @param {boolean} isReadOnly */
  setReadOnly(isReadOnly) {
    this.#input.readOnly = isReadOnly;
  }

  size() {
    const { value } = read(this.field, this.#input.value);
    return value instanceof Verbatim ? Number(value.json) : null;
  }

  /** @param {string} problem */
  #show(problem) {
    setProblem(this.#input, this.#frame.problem, problem);
  }

  /** @param {unknown[]} examples @returns {HTMLElement} */
  #chips(examples) {
    const chips = examples.map((example) => {
      const chip = element('button', 'chip', typeof example === 'number' ? words.number(example) : String(example));
      chip.type = 'button';
      chip.addEventListener('click', () => {
        if (this.#input.readOnly) return;
        this.#input.value = String(example);
        this.#input.dispatchEvent(new Event('input', { bubbles: true }));
      });
      return chip;
    });
    const group = element('div', 'presets', ...chips);
    group.setAttribute('role', 'group');
    group.setAttribute('aria-label', 'Usual numbers');
    return group;
  }
}

/** One of a few. @implements {Control} */
export class ChoiceControl {
  /** @type {HTMLSelectElement | null} */ #select = null;
  /** @type {HTMLInputElement[]} */ #radios = [];
  #options;
  #frame;

  /** @param {FieldOf<any>} field @param {Choice[]} options @param {string} id */
  constructor(field, options, id) {
    this.field = field;
    const nothing = readNothing(field);
    // To say nothing is a choice, too, where it may be made.
    this.#options = nothing ? [{ value: nothing.value, title: 'Not said', hint: '' }, ...options] : options;
    this.#frame = new Frame(field, id);
    const initial = this.#options.findIndex(({ value }) => value === field.initial);
    const chosen = initial < 0 && (nothing || options.length === 1) ? 0 : initial;
    const isSeen = this.#options.length <= RADIOS_MAX || options.some(({ hint }) => hint !== '');
    if (isSeen) {
      const list = radioList(id, this.#options, chosen);
      this.#radios = list.radios;
      this.root = this.#frame.aroundGroup(list.root, [words.CHOOSE]);
      this.root.setAttribute('role', 'radiogroup');
    } else {
      this.#select = element('select', '', ...this.#options.map(({ title }, place) => new Option(title, String(place))));
      if (chosen < 0) this.#select.prepend(new Option('Choose one', ''));
      this.#select.selectedIndex = Math.max(0, chosen);
      this.root = this.#frame.around(this.#select, [words.CHOOSE]);
    }
    this.root.addEventListener('change', () => this.read());
  }

  read() {
    const place = this.#select ? this.#select.value : this.#radios.find(({ checked }) => checked)?.value;
    const option = place ? this.#options[Number(place)] : undefined;
    const reading = option ? good(option.value) : bad(words.CHOOSE);
    this.#show(reading.problem ?? '');
    return reading;
  }

  /** @param {Message[]} messages */
  complain(messages) {
    this.#show(told(messages));
  }

  focus() {
    (this.#select ?? this.#radios.find(({ checked }) => checked) ?? this.#radios[0])?.focus();
  }

  setReadOnly() {}

  size() {
    return null;
  }

  /** @param {string} problem */
  #show(problem) {
    setProblem(this.#select ?? this.root, this.#frame.problem, problem);
  }
}

/**
 * Choices that are all seen, with what is said of each.
 *
 * @param {string} name
 * @param {{ title: string, hint: string }[]} options
 * @param {number} chosen by its place
 */
export function radioList(name, options, chosen) {
  const radios = options.map((_, place) => {
    const radio = element('input', '');
    radio.type = 'radio';
    radio.name = name;
    radio.id = `${name}-${place}`;
    radio.value = String(place);
    radio.defaultChecked = place === chosen;
    return radio;
  });
  const root = element('div', 'choices', ...options.map(({ title, hint }, place) => {
    const radio = /** @type {HTMLInputElement} */ (radios[place]);
    const text = element('span', 'choice-text', element('span', 'choice-title', title));
    if (hint) {
      const below = element('span', 'choice-hint', hint);
      below.id = `${radio.id}-hint`;
      radio.setAttribute('aria-describedby', below.id);
      text.append(below);
    }
    const label = element('label', 'choice', radio, text);
    // Its name is the title only; the rest describes it.
    radio.setAttribute('aria-label', title);
    return label;
  }));
  return { root, radios };
}

/** Yes or no. @implements {Control} */
export class FlagControl {
  #input = element('input', '');
  #frame;

  /** @param {Field} field @param {string} id */
  constructor(field, id) {
    this.field = field;
    this.#frame = new Frame(field, id);
    this.#input.type = 'checkbox';
    this.#input.id = id;
    this.#input.checked = field.initial === true;
    this.#frame.describe(this.#input);
    const text = element('span', 'choice-text', element('span', 'choice-title', field.title));
    if (field.hint) text.append(element('span', 'choice-hint', field.hint));
    if (field.hint) text.lastElementChild?.setAttribute('id', `${id}-hint`);
    this.#input.setAttribute('aria-label', field.title);
    this.root = element('div', 'field', element('label', 'choice alone', this.#input, text), this.#frame.beneath([]));
  }

  read() {
    setText(this.#frame.problem, '');
    return good(this.#input.checked);
  }

  /** @param {Message[]} messages */
  complain(messages) {
    setText(this.#frame.problem, told(messages));
  }

  focus() {
    this.#input.focus();
  }

  setReadOnly() {}

  size() {
    return null;
  }
}

/** A list of values, one a line; a file of them may be dropped on it. @implements {Control} */
export class LinesControl {
  #input = element('textarea', 'lines');
  #count = element('span', 'hint');
  #frame;
  #shape;

  /** @param {FieldOf<LinesShape>} field @param {string} id */
  constructor(field, id) {
    this.field = field;
    this.#shape = field.shape;
    this.#frame = new Frame(field, id);
    this.#input.rows = 5;
    this.#input.spellcheck = false;
    if (Array.isArray(field.initial)) this.#input.value = field.initial.map(writtenAs).join('\n');
    const { input, button } = fileButton('.txt,.csv,text/plain', 'Add from a file', (/** @type {File} */ file) => void this.take(file));
    const below = element('div', 'lines-below', this.#count, input, button);
    this.root = this.#frame.around(this.#input, [], below);
    this.#input.addEventListener('input', () => this.#hear());
    this.#input.addEventListener('change', () => this.read());
    this.#hear();
  }

  /** @returns {Reading} */
  read() {
    const lines = this.#lines();
    if (lines.length === 0 && readNothing(this.field)) return this.#told(/** @type {Reading} */ (readNothing(this.field)));
    const problem = problemOfCount(lines.length, this.#shape);
    if (problem !== null) return this.#told(bad(problem));
    const values = [];
    for (const { text, number } of lines) {
      const reading = readCell(this.#shape.line, text);
      if (reading.problem !== null) return this.#told(bad(words.atLine(number, reading.problem)));
      values.push(reading.value);
    }
    return this.#told(good(values));
  }

  /** @param {Message[]} messages */
  complain(messages) {
    const lines = this.#lines();
    const texts = messages.map(({ path: [place], text }) => {
      const line = lines[Number(place)];
      return line ? words.atLine(line.number, text) : text;
    });
    this.#show(texts.join(' '));
  }

  focus() {
    this.#input.focus();
  }

  /** @param {boolean} isReadOnly */
  setReadOnly(isReadOnly) {
    this.#input.readOnly = isReadOnly;
  }

  size() {
    return this.#lines().length;
  }

  /** @param {File} file */
  async take(file) {
    if (this.#input.readOnly) return;
    const { text, problem } = await readText(file);
    if (problem) {
      this.#show(problem);
      return;
    }
    const before = this.#input.value.trimEnd();
    this.#input.value = before === '' ? text : `${before}\n${text}`;
    this.#hear();
    this.read();
  }

  /** Those with something on them; how many there are before each is what an editor counts. */
  #lines() {
    const lines = this.#input.value.split('\n').map((line, place) => ({ text: line.trim(), number: place + 1 }));
    return lines.filter(({ text }) => text !== '');
  }

  #hear() {
    setText(this.#count, `One a line. ${words.lines(this.size())}.`);
    this.#show('');
  }

  /** @param {Reading} reading @returns {Reading} */
  #told(reading) {
    this.#show(reading.problem ?? '');
    return reading;
  }

  /** @param {string} problem */
  #show(problem) {
    setProblem(this.#input, this.#frame.problem, problem);
  }
}

/** Whatever else there is, as JSON. @implements {Control} */
export class JsonControl {
  #input = element('textarea', 'code');
  #frame;

  /** @param {Field} field @param {string} id @param {boolean} isWhole */
  constructor(field, id, isWhole) {
    this.field = isWhole && !field.title ? { ...field, title: 'Request' } : field;
    this.#frame = new Frame(this.field, id);
    this.#input.rows = 6;
    this.#input.spellcheck = false;
    const given = field.initial ?? field.examples[0];
    if (given !== undefined && given !== null) this.#input.value = JSON.stringify(given, null, 2);
    this.root = this.#frame.around(this.#input, [words.NOT_JSON], element('p', 'hint', 'Written as JSON.'));
    this.#input.addEventListener('change', () => this.read());
  }

  read() {
    const reading = this.#reading();
    this.#show(reading.problem ?? '');
    return reading;
  }

  /** @param {Message[]} messages */
  complain(messages) {
    this.#show(told(messages));
  }

  focus() {
    this.#input.focus();
  }

  /** @param {boolean} isReadOnly */
  setReadOnly(isReadOnly) {
    this.#input.readOnly = isReadOnly;
  }

  size() {
    return null;
  }

  /** @returns {Reading} */
  #reading() {
    const typed = this.#input.value.trim();
    if (typed === '') return readNothing(this.field) ?? bad(words.FILL_IN);
    try {
      JSON.parse(typed);
      return good(new Verbatim(typed));
    } catch {
      return bad(words.NOT_JSON);
    }
  }

  /** @param {string} problem */
  #show(problem) {
    setProblem(this.#input, this.#frame.problem, problem);
  }
}

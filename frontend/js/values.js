// What is written into a field, as a value for the request: or what is wrong with it, before the server has to say so.
// The server looks at everything again; where it allows more than a field asks for, it is the field that is kind.

import * as words from './words.js';

/** @import { CellShape, Choice, FieldOf, NumberShape, TextShape } from './schema.js' */

/**
 * A value, undefined where the field is to be left out of the request; or what is wrong.
 *
 * @typedef {{ value: unknown, problem: null } | { value: undefined, problem: string }} Reading
 */

const INTEGER = /^[+-]?\d+$/;
const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(e[+-]?\d+)?$/i;
const YES = ['yes', 'y', 'true', '1', 'x'];
const NO = ['no', 'n', 'false', '0'];

/** JSON that stays as it is written: numbers are not rounded on their way. */
export class Verbatim {
  /** @param {string} json */
  constructor(json) {
    this.json = json;
  }
}

/** @param {unknown} value @returns {string} like `JSON.stringify`, but with what is verbatim */
export function toJson(value) {
  if (value instanceof Verbatim) return value.json;
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${toJson(field)}`).join(',')}}`;
}

/** @param {unknown} value @returns {Reading} */
export const good = (value) => ({ value, problem: null });
/** @param {string} problem @returns {Reading} */
export const bad = (problem) => ({ value: undefined, problem });

/** @param {FieldOf<CellShape>} field @param {string} typed @returns {Reading} */
export function read(field, typed) {
  const { shape } = field;
  if (typed.trim() !== '') return readCell(shape, typed);
  const nothing = readNothing(field);
  if (nothing) return nothing;
  // A text may be of no characters, where its schema says so.
  if (shape.kind === 'text' && shape.lengthMin === 0) return good(typed);
  return bad(problemOfNothing(shape));
}

/** What it is to say nothing; null where that cannot be. @param {FieldOf<any>} field @returns {Reading | null} */
export function readNothing({ isRequired, isNullable }) {
  if (!isRequired) return good(undefined);
  return isNullable ? good(null) : null;
}

/** @param {CellShape} shape @param {string} typed something @returns {Reading} */
export function readCell(shape, typed) {
  switch (shape.kind) {
    case 'number':
      return readNumber(shape, typed.trim());
    case 'text':
      return readText(shape, typed);
    case 'choice':
      return readChoice(shape.options, typed.trim());
    case 'flag':
      return readFlag(typed.trim().toLowerCase());
  }
}

/** @param {CellShape} shape @returns {string} */
function problemOfNothing(shape) {
  if (shape.kind === 'number') return words.notANumber(shape);
  if (shape.kind === 'choice') return words.CHOOSE;
  return words.FILL_IN;
}

/** @param {NumberShape} shape @param {string} typed @returns {Reading} */
function readNumber(shape, typed) {
  const json = shape.isInteger ? integer(typed) : decimal(typed);
  if (json === null) return bad(words.notANumber(shape));
  const { minimum, maximum, isUnbounded } = shape;
  const number = shape.isInteger ? BigInt(json) : Number(json);
  if (minimum !== null && number < minimum) return bad(words.atLeast(minimum));
  if (maximum !== null && number > maximum) return bad(isUnbounded ? words.TOO_LARGE : words.atMost(maximum));
  if (!Number.isFinite(Number(json))) return bad(words.TOO_LARGE);
  return good(new Verbatim(json));
}

/** @param {string} typed @returns {string | null} as JSON has it */
function integer(typed) {
  return INTEGER.test(typed) ? BigInt(typed.replace('+', '')).toString() : null;
}

/** @param {string} typed @returns {string | null} as JSON has it, to the last digit */
function decimal(typed) {
  const [, sign, whole, fraction, exponent = ''] = DECIMAL.exec(typed) ?? [];
  if (!whole && !fraction) return null;
  const digits = (whole ?? '').replace(/^0+(?=\d)/, '') || '0';
  return `${sign === '-' ? '-' : ''}${digits}${fraction ? `.${fraction}` : ''}${exponent}`;
}

/** @param {TextShape} shape @param {string} typed @returns {Reading} */
function readText({ lengthMin, lengthMax }, typed) {
  // Characters are at most as many as what JavaScript counts.
  if (lengthMax !== null && typed.length > lengthMax && [...typed].length > lengthMax) return bad(words.lengthAtMost(lengthMax));
  if (lengthMin !== null && [...typed].length < lengthMin) return bad(words.lengthAtLeast(lengthMin));
  return good(typed);
}

/** @param {Choice[]} options @param {string} typed @returns {Reading} */
function readChoice(options, typed) {
  const asJson = (/** @type {Choice} */ { value }) => (typeof value === 'string' ? value : JSON.stringify(value));
  const isAlike = (/** @type {string} */ text) => text.toLowerCase() === typed.toLowerCase();
  const option = options.find((each) => asJson(each) === typed) ?? options.find((each) => isAlike(asJson(each)) || isAlike(each.title));
  return option ? good(option.value) : bad(words.notAChoice(options.map(({ title }) => title)));
}

/** @param {string} typed @returns {Reading} */
function readFlag(typed) {
  if (YES.includes(typed)) return good(true);
  return NO.includes(typed) ? good(false) : bad(words.NOT_A_FLAG);
}

/** @param {number} count @param {{ countMin: number | null, countMax: number | null }} bounds @returns {string | null} what is wrong */
export function problemOfCount(count, { countMin, countMax }) {
  if (countMin !== null && count < countMin) return words.countAtLeast(countMin);
  if (countMax !== null && count > countMax) return words.countAtMost(countMax);
  return null;
}

/** All that may be wrong with what is written into a field, in short: the room that it needs. @param {CellShape} shape @returns {string[]} */
export function problemsOf(shape) {
  switch (shape.kind) {
    case 'number':
      return [words.notANumber(shape), words.TOO_LARGE, words.atLeast(shape.minimum ?? 0), ...(shape.isUnbounded ? [] : [words.atMost(shape.maximum ?? 0)])];
    case 'text':
      return [words.FILL_IN, words.lengthAtLeast(shape.lengthMin ?? 0), words.lengthAtMost(shape.lengthMax ?? 0)];
    default:
      return [problemOfNothing(shape)];
  }
}

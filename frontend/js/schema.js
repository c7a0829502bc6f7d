// Reads a job's JSON Schemas: which fields its form has, and which columns its results.
//
// They are those that `GET /api/` lists: JSON Schema 2020-12 without references. What is not understood here is no error:
// it becomes a field that takes JSON, and the server says what it thinks of it.

/** @typedef {Record<string, any>} Schema */

/**
 * @typedef {object} Choice
 * @property {unknown} value
 * @property {string} title
 * @property {string} hint
 */

/**
 * Bounds of 64-bit numbers are bigints, for no number is as exact; the two compare with each other.
 *
 * @typedef {object} NumberShape
 * @property {'number'} kind
 * @property {boolean} isInteger
 * @property {number | bigint | null} minimum
 * @property {number | bigint | null} maximum
 * @property {boolean} isUnbounded whether nothing but what fits into its type bounds it above
 */

/**
 * @typedef {object} TextShape
 * @property {'text'} kind
 * @property {number | null} lengthMin in characters
 * @property {number | null} lengthMax
 * @property {boolean} isLong
 * @property {string} format
 */

/** @typedef {{ kind: 'choice', options: Choice[] }} ChoiceShape */
/** @typedef {{ kind: 'flag' }} FlagShape */
/** What can be written into one line. @typedef {NumberShape | TextShape | ChoiceShape | FlagShape} CellShape */
/** @typedef {{ kind: 'lines', line: CellShape, countMin: number | null, countMax: number | null }} LinesShape */
/** @typedef {{ kind: 'rows', columns: Column[], countMin: number | null, countMax: number | null }} RowsShape */
/** @typedef {{ kind: 'nothing' } | { kind: 'json' }} OtherShape */
/** @typedef {CellShape | LinesShape | RowsShape | OtherShape} Shape */

/**
 * @template {Shape} S
 * @typedef {object} FieldOf
 * @property {string} name
 * @property {string} title
 * @property {string} hint what the schema says of it
 * @property {boolean} isRequired whether the request must have it
 * @property {boolean} isNullable whether it may be null
 * @property {unknown} initial what it is unless somebody says something else; undefined where nothing is known
 * @property {unknown[]} examples
 * @property {S} shape
 */

/** @typedef {FieldOf<Shape>} Field */
/** @typedef {FieldOf<CellShape>} Column */

/**
 * @typedef {object} FormShape
 * @property {boolean} isWhole whether the one field there is stands for the request as a whole
 * @property {Field[]} fields
 */

/** Longer texts are written over several lines. */
const LINE_LENGTH_MAX = 255;
const FORMATS_OF_LONG_TEXT = ['textarea', 'multiline', 'multi-line', 'markdown'];
/** Of one line, however long it may be. */
const FORMATS_OF_A_LINE = ['email', 'idn-email', 'uri', 'iri', 'uri-reference', 'hostname', 'date', 'time', 'date-time', 'uuid'];

/** @param {number} bits @param {boolean} isSigned @returns {[bigint, bigint]} */
function rangeOf(bits, isSigned) {
  return isSigned ? [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n] : [0n, 2n ** BigInt(bits) - 1n];
}

/** What fits into a number, by the format that Rust's types have in a schema; shorter ones come with their bounds. */
const RANGES = new Map(Object.entries({
  uint64: rangeOf(64, false),
  uint: rangeOf(64, false),
  uint128: rangeOf(128, false),
  int64: rangeOf(64, true),
  int: rangeOf(64, true),
  int128: rangeOf(128, true),
}));

/** @param {Schema} schema of a request @param {number} [itemsMax] the most items that a task may have @returns {FormShape} */
export function formOf(schema, itemsMax = Infinity) {
  const { schema: plain } = withoutNull(schema);
  if (isObject(plain)) {
    const required = plain.required ?? [];
    const fields = propertiesOf(plain).map(([name, of]) => fieldOf(name, of, required.includes(name)));
    return { isWhole: false, fields: withListBound(fields, itemsMax) };
  }
  const field = fieldOf('', schema, true);
  return { isWhole: true, fields: field.shape.kind === 'nothing' ? [] : withListBound([field], itemsMax) };
}

/**
 * Where a form has one list only, its entries are the task's items, and there may be no more of them than of those: unless
 * the schema says itself how many there may be, as that of a job does whose items are something else.
 *
 * @param {Field[]} fields
 * @param {number} itemsMax
 * @returns {Field[]}
 */
function withListBound(fields, itemsMax) {
  const lists = fields.filter(({ shape }) => shape.kind === 'lines' || shape.kind === 'rows');
  if (lists.length !== 1) return fields;
  return fields.map((field) => {
    const { shape } = field;
    const isBound = (shape.kind === 'lines' || shape.kind === 'rows') && shape.countMax === null;
    return isBound ? { ...field, shape: { ...shape, countMax: itemsMax } } : field;
  });
}

/**
 * The columns of a table of values: one for each field of a flat object, and else one for all.
 *
 * @param {Schema} schema of an item's output
 * @returns {{ name: string | null, title: string }[]} null for the value as a whole; none where it is always null
 */
export function outputColumnsOf(schema) {
  const { schema: plain } = withoutNull(schema);
  if (plain.type === 'null') return [];
  if (isObject(plain)) {
    const fields = propertiesOf(plain).map(([name, of]) => fieldOf(name, of, true));
    if (fields.length > 0 && areColumns(fields)) return fields.map(({ name, title }) => ({ name, title }));
  }
  return [{ name: null, title: plain.title ?? 'Result' }];
}

/** @param {string} name @param {Schema} schema @param {boolean} isRequired @returns {Field} */
function fieldOf(name, schema, isRequired) {
  const { schema: plain, isNullable } = withoutNull(schema);
  return {
    name,
    title: schema.title ?? plain.title ?? humanised(name),
    hint: schema.description ?? plain.description ?? '',
    isRequired,
    isNullable,
    initial: schema.default ?? plain.default,
    examples: schema.examples ?? plain.examples ?? [],
    shape: shapeOf(plain),
  };
}

/** @param {Schema} schema without null @returns {Shape} */
function shapeOf(schema) {
  const cell = cellOf(schema);
  if (cell) return cell;
  if (schema.type === 'null') return { kind: 'nothing' };
  if (schema.type !== 'array' || typeof schema.items !== 'object' || schema.prefixItems) return { kind: 'json' };
  const counts = { countMin: schema.minItems ?? null, countMax: schema.maxItems ?? null };
  const line = cellOf(schema.items);
  if (line) return { kind: 'lines', line, ...counts };
  if (!isObject(schema.items)) return { kind: 'json' };
  const required = schema.items.required ?? [];
  const columns = propertiesOf(schema.items).map(([name, of]) => fieldOf(name, of, required.includes(name)));
  return columns.length > 0 && areColumns(columns) ? { kind: 'rows', columns, ...counts } : { kind: 'json' };
}

/** @param {Schema} schema @returns {CellShape | null} */
function cellOf(schema) {
  const options = optionsOf(schema);
  if (options) return { kind: 'choice', options };
  switch (schema.type) {
    case 'boolean':
      return { kind: 'flag' };
    case 'integer':
    case 'number':
      return numberOf(schema);
    case 'string':
      return textOf(schema);
    default:
      return null;
  }
}

/** @param {Schema} schema @returns {NumberShape} */
function numberOf(schema) {
  const isInteger = schema.type === 'integer';
  const [lowest, highest] = (isInteger && RANGES.get(schema.format)) || [null, null];
  return { kind: 'number', isInteger, minimum: schema.minimum ?? lowest, maximum: schema.maximum ?? highest, isUnbounded: schema.maximum === undefined };
}

/** @param {Schema} schema @returns {TextShape} */
function textOf(schema) {
  const { minLength: lengthMin = null, maxLength: lengthMax = null, format = '' } = schema;
  const isLong = FORMATS_OF_LONG_TEXT.includes(format) || (lengthMax > LINE_LENGTH_MAX && !FORMATS_OF_A_LINE.includes(format));
  return { kind: 'text', lengthMin, lengthMax, isLong, format };
}

/** @param {Schema} schema @returns {Choice[] | null} the values that it names, if it names all there are */
function optionsOf(schema) {
  if ('const' in schema) return [optionOf(schema.const, schema)];
  if (Array.isArray(schema.enum)) return schema.enum.filter((value) => value !== null).map((value) => optionOf(value, {}));
  if (!Array.isArray(schema.oneOf)) return null;
  const parts = schema.oneOf.map(optionsOf);
  return parts.every((part) => part !== null) ? parts.flat() : null;
}

/** @param {unknown} value @param {Schema} schema @returns {Choice} */
function optionOf(value, schema) {
  return { value, title: schema.title ?? (typeof value === 'string' ? humanised(value) : JSON.stringify(value)), hint: schema.description ?? '' };
}

/** What a value may be other than null. @param {Schema} schema @returns {{ schema: Schema, isNullable: boolean }} */
function withoutNull(schema) {
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== 'null');
    return { schema: { ...schema, type: types.length === 1 ? types[0] : types }, isNullable: types.length < schema.type.length };
  }
  const branches = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(branches)) {
    const others = branches.filter(({ type }) => type !== 'null');
    if (others.length === 1 && others.length < branches.length) return { schema: withoutNull(others[0]).schema, isNullable: true };
  }
  return { schema, isNullable: false };
}

/** @param {Schema} schema @returns {boolean} whether it is an object of which all fields are named */
function isObject(schema) {
  const isOpen = typeof schema.additionalProperties === 'object' || schema.patternProperties;
  return schema.type === 'object' && !isOpen && !['oneOf', 'anyOf', 'allOf'].some((keyword) => keyword in schema);
}

/** @param {Schema} schema @returns {[string, Schema][]} */
function propertiesOf(schema) {
  // "Anything" may also be written as `true`.
  return Object.entries(schema.properties ?? {}).map(([name, of]) => [name, of === true ? {} : of]);
}

/** @param {Field[]} fields @returns {fields is Column[]} */
function areColumns(fields) {
  return fields.every(({ shape }) => isCell(shape));
}

/** @param {Shape} shape @returns {shape is CellShape} */
function isCell({ kind }) {
  return kind === 'number' || kind === 'text' || kind === 'choice' || kind === 'flag';
}

/** @param {string} name as programs write it @returns {string} "number_of_items" and "numberOfItems" as "Number of items" */
export function humanised(name) {
  const words = name.replace(/([a-z0-9])([A-Z])(?=[a-z])/g, (_, before, after) => `${before} ${after.toLowerCase()}`).replace(/[_\-\s]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

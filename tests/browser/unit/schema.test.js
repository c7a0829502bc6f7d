import assert from 'node:assert/strict';
import { test } from 'node:test';

import { formOf, humanised, outputColumnsOf } from '../../../frontend/js/schema.js';

/** What the library makes of Rust's types: longhaul/tests/jobs/descriptions.rs. */
const contact = {
  description: 'Somebody.',
  type: 'object',
  properties: { name: { description: 'As they write it.', type: 'string' }, age: { type: ['integer', 'null'], format: 'uint8', minimum: 0, maximum: 255 } },
  required: ['name'],
};
const request = {
  type: 'object',
  properties: {
    count: { title: 'Count', description: 'How many.', type: 'integer', format: 'uint64', minimum: 1, maximum: 9 },
    ratio: { type: 'number', format: 'double', default: 0 },
    text: { type: 'string', minLength: 1, maxLength: 80 },
    yes: { type: 'boolean', default: false },
    speed: { description: 'How to send it.', type: 'string', enum: ['slow', 'fast'] },
    explained: { anyOf: [{ oneOf: [{ description: 'Arrives next week.', type: 'string', const: 'Slow' }, { description: 'Arrives tomorrow.', type: 'string', const: 'Fast' }] }, { type: 'null' }] },
    tags: { type: 'array', items: { type: 'string' } },
    contacts: { type: 'array', items: contact, minItems: 1 },
  },
  required: ['count', 'text', 'speed', 'tags', 'contacts'],
};

test('each of Rust\'s types has a field of its kind', () => {
  const { isWhole, fields } = formOf(request);
  assert.equal(isWhole, false);
  assert.deepEqual(fields.map(({ name, shape }) => [name, shape.kind]), [
    ['count', 'number'], ['ratio', 'number'], ['text', 'text'], ['yes', 'flag'], ['speed', 'choice'], ['explained', 'choice'], ['tags', 'lines'], ['contacts', 'rows'],
  ]);
  const [count, ratio, , yes, speed, explained, , contacts] = fields;
  assert.deepEqual(count, {
    name: 'count', title: 'Count', hint: 'How many.', isRequired: true, isNullable: false, initial: undefined, examples: [],
    shape: { kind: 'number', isInteger: true, minimum: 1, maximum: 9, isUnbounded: false },
  });
  assert.deepEqual([ratio.isRequired, ratio.initial, yes.initial], [false, 0, false]);
  assert.deepEqual(speed.shape.options.map(({ value, title }) => [value, title]), [['slow', 'Slow'], ['fast', 'Fast']]);
  assert.deepEqual(explained.shape.options.map(({ value, hint }) => [value, hint]), [['Slow', 'Arrives next week.'], ['Fast', 'Arrives tomorrow.']]);
  assert.deepEqual([explained.isNullable, explained.isRequired], [true, false]);
  assert.deepEqual(contacts.shape.columns.map(({ name, isRequired, isNullable }) => [name, isRequired, isNullable]), [['name', true, false], ['age', false, true]]);
  assert.equal(contacts.shape.countMin, 1);
});

test('64-bit numbers have the bounds of their type, to the last digit', () => {
  const [shape] = formOf({ type: 'object', properties: { n: { type: 'integer', format: 'uint64', minimum: 1 } } }).fields.map((field) => field.shape);
  assert.deepEqual([shape.minimum, shape.maximum, shape.isUnbounded], [1, 18_446_744_073_709_551_615n, true]);
});

test('the only list of a form has as many entries as a task may have items, unless its schema says how many', () => {
  const [lines, rows] = [{ type: 'array', items: { type: 'string' } }, { type: 'array', items: contact }];
  const countsMax = (properties) => formOf({ type: 'object', properties }, 100).fields.map(({ shape }) => shape.countMax);
  assert.deepEqual(countsMax({ rows }), [100]);
  assert.deepEqual(countsMax({ scene: { type: 'string' }, lines }), [undefined, 100]);
  assert.equal(formOf(lines, 100).fields[0].shape.countMax, 100);
  for (const maxItems of [5, 500]) assert.deepEqual(countsMax({ rows: { ...rows, maxItems } }), [maxItems]);
  // Which of them the items come from, a schema does not say.
  assert.deepEqual(countsMax({ lines, rows }), [null, null]);
});

test('a choice that may be null does not offer null', () => {
  const [field] = formOf({ type: 'object', properties: { speed: { type: ['string', 'null'], enum: ['slow', null] } } }).fields;
  assert.deepEqual([field.shape.options.map(({ value }) => value), field.isNullable], [['slow'], true]);
});

test('long texts have several lines, unless their format is of one', () => {
  const kinds = [{ maxLength: 80 }, { maxLength: 2_000 }, { maxLength: 320, format: 'email' }, { format: 'textarea' }].map((of) => formOf({ type: 'string', ...of }).fields[0].shape.isLong);
  assert.deepEqual(kinds, [false, true, false, true]);
});

test('what no form can be made of takes JSON, and nothing asks for nothing', () => {
  const nested = { type: 'object', properties: { a: { type: 'object' } } };
  for (const schema of [nested, true, {}, { type: 'array', items: nested }, { type: 'array', items: { type: 'array' } }, { anyOf: [{ type: 'string' }, { type: 'integer' }] }, { type: 'object', additionalProperties: { type: 'string' } }]) {
    assert.equal(formOf({ type: 'object', properties: { odd: schema } }).fields[0].shape.kind, 'json', JSON.stringify(schema));
  }
  assert.deepEqual(formOf({ type: 'null' }), { isWhole: true, fields: [] });
  assert.deepEqual(formOf({ type: 'object' }), { isWhole: false, fields: [] });
  const list = formOf({ type: 'array', items: contact });
  assert.deepEqual([list.isWhole, list.fields[0].shape.kind], [true, 'rows']);
});

test('outputs have a column for each field of a flat object, and else one', () => {
  const flat = { type: 'object', properties: { name: { type: 'string' }, e_mail: { type: 'string', title: 'E-mail' } } };
  assert.deepEqual(outputColumnsOf(flat), [{ name: 'name', title: 'Name' }, { name: 'e_mail', title: 'E-mail' }]);
  for (const schema of [{}, { type: 'string' }, { type: 'object', properties: { deep: { type: 'object' } } }]) {
    assert.deepEqual(outputColumnsOf(schema), [{ name: null, title: 'Result' }]);
  }
  assert.deepEqual(outputColumnsOf({ type: 'null' }), []);
});

test('names of programs are made readable', () => {
  for (const [name, title] of [['number_of_items', 'Number of items'], ['numberOfItems', 'Number of items'], ['e-mail', 'E mail'], ['userID', 'UserID']]) assert.equal(humanised(name), title);
});

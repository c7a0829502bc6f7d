import assert from 'node:assert/strict';
import { test } from 'node:test';

import { formOf } from '../../../frontend/js/schema.js';
import { Verbatim, problemOfCount, read, toJson } from '../../../frontend/js/values.js';

/** @param {object} schema @param {string} typed @param {boolean} [isRequired] what is sent for it, or what is said */
function sent(schema, typed, isRequired = true) {
  const { fields: [field] } = formOf({ type: 'object', properties: { it: schema }, required: isRequired ? ['it'] : [] });
  const { value, problem } = read(field, typed);
  return problem ?? toJson({ it: value });
}

const items = { type: 'integer', format: 'uint64', minimum: 1 };

test('what is typed as a number of items is understood or explained', () => {
  for (const typed of ['5', ' 5 ', '+5', '005']) assert.equal(sent(items, typed), '{"it":5}');
  for (const typed of ['', ' ', 'abc', '1.5', '1,000', '0x10', '1e3']) assert.equal(sent(items, typed), 'Enter a whole number, such as 100.', typed);
  for (const typed of ['0', '-3']) assert.equal(sent(items, typed), 'Enter 1 or more.');
  assert.equal(sent(items, '9'.repeat(30)), 'That is too large a number.');
  assert.equal(sent({ ...items, maximum: 50 }, '51'), 'Enter 50 or less.');
  assert.equal(sent({ ...items, maximum: 50 }, ''), 'Enter a whole number, such as 1.');
});

test('numbers are sent as they are typed, to the last digit', () => {
  assert.equal(sent(items, '18446744073709551615'), '{"it":18446744073709551615}');
  assert.equal(sent(items, '18446744073709551616'), 'That is too large a number.');
  const number = { type: 'number' };
  for (const [typed, json] of [['1.10', '1.10'], ['.5', '0.5'], ['007.5', '7.5'], ['5.', '5'], ['-2', '-2'], ['+1e3', '1e3'], ['0.12345678901234567890', '0.12345678901234567890']]) {
    assert.equal(sent(number, typed), `{"it":${json}}`);
    assert.doesNotThrow(() => JSON.parse(json));
  }
  for (const typed of ['.', '1,5', 'e3', 'NaN', '']) assert.match(sent(number, typed), /^Enter a number/);
  assert.equal(sent(number, '1e999'), 'That is too large a number.');
});

test('texts are counted in characters, as the server does', () => {
  const text = { type: 'string', minLength: 2, maxLength: 3 };
  assert.equal(sent(text, '😀😀😀'), '{"it":"😀😀😀"}');
  assert.equal(sent(text, 'abcd'), 'Use 3 characters at most.');
  assert.equal(sent(text, '😀'), 'Use 2 characters or more.');
  assert.equal(sent(text, ''), 'Fill this in.');
  assert.equal(sent({ type: 'string', minLength: 0 }, ''), '{"it":""}');
});

test('what may be left out is left out, and what may be null is null', () => {
  assert.equal(sent({ type: 'string' }, '', false), '{}');
  assert.equal(sent({ type: ['integer', 'null'] }, ''), '{"it":null}');
  assert.equal(sent({ type: ['integer', 'null'] }, '7'), '{"it":7}');
});

test('choices and yes and no are read as people write them', () => {
  const speed = { type: 'string', enum: ['very_slow', 'fast'] };
  for (const typed of ['very_slow', 'Very slow', ' VERY_SLOW ']) assert.equal(sent(speed, typed), '{"it":"very_slow"}');
  assert.equal(sent(speed, 'slow'), 'Enter Very slow or Fast.');
  assert.equal(sent({ type: 'boolean' }, 'Yes'), '{"it":true}');
  assert.equal(sent({ type: 'boolean' }, '0'), '{"it":false}');
  assert.equal(sent({ type: 'boolean' }, 'perhaps'), 'Enter yes or no.');
});

test('a list has as many entries as it may have', () => {
  const bounds = { countMin: 1, countMax: 10_000 };
  const problems = [0, 1, 10_000, 10_001].map((count) => problemOfCount(count, bounds));
  assert.deepEqual(problems, ['There has to be at least one.', null, null, 'There may be 10,000 at most.']);
  assert.equal(problemOfCount(10_001, { countMin: null, countMax: null }), null);
});

test('JSON is that of the language, but for what is verbatim', () => {
  const value = { text: 'a"\u2028', list: [null, true, { deep: undefined }], number: 1.5 };
  assert.equal(toJson(value), JSON.stringify(value));
  assert.equal(toJson([new Verbatim('1.0')]), '[1.0]');
});

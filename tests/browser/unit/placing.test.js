import assert from 'node:assert/strict';
import { test } from 'node:test';

import { place } from '../../../frontend/js/placing.js';

const fields = ['contacts', 'count', 'count.max'].map((name) => ({ name }));
const placedAt = ({ placed }) => Object.fromEntries([...placed].map(([{ name }, messages]) => [name, messages]));

test('a message finds its field, row and column', () => {
  const answer = place({ count: ['Too many.'], 'contacts.3.email': ['Twice.'], 'count.max': ['Odd.'] }, fields);
  assert.deepEqual(placedAt(answer), {
    count: [{ path: [], text: 'Too many.' }],
    contacts: [{ path: ['3', 'email'], text: 'Twice.' }],
    'count.max': [{ path: [], text: 'Odd.' }],
  });
  assert.deepEqual(answer.rest, []);
});

test('a message at an unknown path is for the form, with its path where that says something', () => {
  const answer = place({ non_field_errors: ['No data provided'], 'owner.name': ['This field is required.'], counted: ['Odd.'] }, fields);
  assert.deepEqual(answer.rest, ['No data provided', 'owner.name: This field is required.', 'counted: Odd.']);
  assert.equal(answer.placed.size, 0);
});

test('where one field is the whole request, every message is about it', () => {
  const answer = place({ '3.email': ['Twice.'], non_field_errors: ['Empty.'] }, [{ name: '' }]);
  assert.deepEqual(placedAt(answer), { '': [{ path: ['3', 'email'], text: 'Twice.' }, { path: [], text: 'Empty.' }] });
});

// The form that is made of a job's schema: which fields there are, what is sent, and where a server's messages stand.

import assert from 'node:assert/strict';

import { everyField } from './every-field.js';
import { API, SUBMIT, answer, pageTest } from './page.js';
import { eventually } from './stack.js';

pageTest('where there is one job there is no choice, and the form is that of its schema', async (tab) => {
  tab.expectNoise('the server responded with a status of 400', SUBMIT);
  await tab.intercept('GET', API, answer(200, { success: true, data: { jobs: [everyField], limits: { items_max: 10_000 } } }));
  const bodies = [];
  await tab.intercept('POST', SUBMIT, async (route) => {
    bodies.push(route.request().postData());
    const message = { 'nested.a': ['This field is required.'], 'tags.1': ['Not a valid string.'], 'owner.name': ['Unknown.'] };
    return answer(400, { success: false, message })(route);
  });
  await tab.openAndSignIn();
  await tab.reaches('Every kind of field');
  assert.equal(await tab.page.getByRole('radio', { name: 'Import contacts' }).count(), 0);
  await tab.isAccessible();
  // Nothing is sent while anything is missing, and the focus is on the first of it.
  await tab.button('Start').click();
  await tab.focusIsOn('job-1-field-1');
  await tab.page.getByLabel('Count').fill('18446744073709551615');
  await tab.page.getByLabel('Text').fill('ab');
  await tab.page.getByLabel('Speed').selectOption('Fast');
  await tab.page.getByRole('radio', { name: 'Slow' }).check();
  await tab.page.getByRole('checkbox', { name: 'Yes' }).check();
  await tab.page.getByLabel('Tags').fill('one\n\n two \n');
  await tab.page.getByLabel('Nested').fill('{"a": 1');
  await tab.button('Start').click();
  await tab.says(/This is no JSON yet/);
  await tab.focusIsOn('job-1-field-8');
  assert.equal(bodies.length, 0);
  await tab.page.getByLabel('Nested').fill('{"a": 1.0}');
  await tab.button('Start').click();
  await tab.says('Line 3: Not a valid string.');
  await tab.says('a: This field is required.');
  await tab.says('owner.name: Unknown.');
  await tab.focusIsOn('job-1-field-7');
  assert.deepEqual(bodies, ['{"count":18446744073709551615,"text":"ab","yes":true,"speed":"fast","explained":"Slow","tags":["one","two"],"nested":{"a": 1.0}}']);
});

pageTest('where there are two, one is chosen, and each form stays as it was filled in', async (tab) => {
  await tab.openAndSignIn();
  await tab.reaches('Start a task');
  await tab.count.fill('7');
  await tab.choose('Import contacts');
  await tab.says('Adds people to your contacts, and updates those you have.');
  assert.equal(await tab.count.count(), 0);
  await tab.isAccessible();
  await tab.choose('Tuned long-running task');
  assert.equal(await tab.count.inputValue(), '7');
});

pageTest('a message that no field is about stands at the form, and has the focus', async (tab) => {
  tab.expectNoise('the server responded with a status of 400', SUBMIT);
  await tab.openAndSignIn();
  await tab.intercept('POST', SUBMIT, answer(400, { success: false, message: { non_field_errors: ['Not on a Sunday.'] } }), 1);
  await tab.start(5);
  await tab.says('Not on a Sunday.');
  await tab.focusIsOn('start-note');
});

pageTest('while it is not known what can be started, the page says so, and asks again', async (tab) => {
  tab.expectNoise('the server responded with a status of 503', API);
  await tab.intercept('GET', API, answer(503, {}), 2);
  await tab.open();
  await tab.signIn();
  await tab.says('The server has a problem. What can be started is not known yet.');
  await tab.reaches('Start a task');
  await eventually(async () => assert.equal(await tab.count.isVisible(), true));
});

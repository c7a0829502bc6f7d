// A tour through every state of the page, in the font that LONGHAUL_FONT names: each one is looked at in every view.

import assert from 'node:assert/strict';

import * as words from '../../../frontend/js/words.js';
import { everyField } from './every-field.js';
import { API, COGNITO, CONFIG, IMPORT, ITEMS, LIST, STATUS, SUBMIT, answer, font, pageTest } from './page.js';
import { eventually, stack } from './stack.js';
import { look, nothingJumps } from './views.js';

pageTest(`${font} font: signing in`, async (tab) => {
  tab.expectNoise('the server responded with a status of 400', COGNITO);
  tab.expectNoise('the server responded with a status of 404', CONFIG);
  await tab.intercept('GET', CONFIG, answer(404, {}), 1);
  await tab.open();
  await tab.reaches('Longhaul cannot be reached');
  await look(tab, 'unavailable');
  await tab.tryAgain();
  await tab.reaches('Sign in');
  await look(tab, 'sign-in');
  await tab.signIn('Wrong-password-1');
  await tab.says('The username or the password is wrong.');
  await look(tab, 'wrong-password');
  await tab.signIn();
  await tab.reaches('Choose a password');
  await look(tab, 'new-password');
  await tab.page.getByLabel('New password').fill('short');
  await tab.cognitoRefusesOnce({ __type: 'InvalidPasswordException', message: 'Password did not conform with policy: Password not long enough' });
  await tab.button('Save and sign in').click();
  await tab.says('This password is too short.');
  await look(tab, 'new-password-refused');
}, { user: { temporary: true } });

pageTest(`${font} font: ways that lead nowhere`, async (tab) => {
  tab.expectNoise('the server responded with a status of 404', `${stack.page_url}/no/such/page`);
  await tab.page.goto(`${stack.page_url}/no/such/page`);
  await tab.reaches('There is no such page');
  await look(tab, 'no-such-page');
  await tab.page.addInitScript(() => { delete window.BroadcastChannel; });
  await tab.open();
  await tab.reaches('This browser is too old');
  await look(tab, 'browser-too-old');
});

pageTest(`${font} font: a task from the form to its items`, async (tab) => {
  // A page that cannot read its answers doubts its token, too.
  for (const url of [API, COGNITO]) tab.expectNoise('net::ERR_INTERNET_DISCONNECTED', url);
  await tab.openAndSignIn();
  await look(tab, 'first-visit');
  await nothingJumps(tab, { 'job-1-field-1-problem': ['', 'Enter a whole number, such as 100.', words.atLeast(1), words.TOO_LARGE] });
  await tab.count.fill('many');
  await look(tab, 'invalid-number');
  const shown = await showTask(tab, waiting);
  await tab.start(10);
  await tab.reaches('Waiting to start');
  await tab.says('1,000 items');
  await look(tab, 'waiting');
  shown(running);
  await tab.percentReaches(13);
  await nothingJumps(tab, textsOfRunningTask());
  await look(tab, 'running');
  shown(inAPhase);
  await tab.says(inAPhase.phase);
  await look(tab, 'phase');
  shown(pausing);
  await tab.reaches('Pausing');
  await look(tab, 'pausing');
  shown(runningWithFailures);
  await tab.says('212 failed');
  await look(tab, 'running-with-failures');
  await tab.button('Cancel task').click();
  await look(tab, 'confirm-cancel');
  await tab.button('Keep it running').click();
  let isOffline = true;
  await tab.intercept('GET', STATUS, (route) => (isOffline ? route.abort('internetdisconnected') : route.fallback()));
  await tab.page.context().setOffline(true);
  await tab.says(/You are offline/);
  await look(tab, 'offline');
  isOffline = false;
  await tab.page.context().setOffline(false);
  await tab.says('Connected again.');
  await look(tab, 'connected-again');
  for (const [heading, state] of [['Finished', finished], ['Cancelled', cancelled], ['Failed', failed]]) {
    shown(running);
    await tab.page.reload();
    await tab.reaches('Running');
    shown(state);
    await tab.reaches(heading);
    await tab.isSettled();
    await look(tab, heading.toLowerCase());
  }
  await tab.intercept('GET', ITEMS, (route) => answer(200, { data: { items: itemsOf(new URL(route.request().url()).searchParams.get('outcome')), next_cursor: null } })(route));
  await tab.button('See items').click();
  await tab.page.getByRole('dialog').getByText('Item 39').last().waitFor();
  await look(tab, 'items');
}, { live: false });

pageTest(`${font} font: an import from the choice of jobs to its results`, async (tab) => {
  tab.expectNoise('the server responded with a status of 400', IMPORT);
  await tab.openAndSignIn();
  await tab.choose('Import contacts');
  await look(tab, 'import-empty');
  await tab.button('Start').click();
  await tab.says('Choose a file first.');
  await look(tab, 'import-without-file');
  await tab.chooseFile('Name,Phone\nAnn,1\n', 'phone-numbers-of-everybody-who-was-there-last-year.csv');
  await tab.says('The first row names no column “E-mail”.');
  await look(tab, 'import-without-column');
  await tab.chooseFile(contacts([...people, ['', 'nobody@example.com'], ['Much too long '.repeat(15), 'long@example.com']]));
  await tab.says('2 rows need attention. Correct the file, then choose it again.');
  await look(tab, 'import-rows-wrong');
  await tab.chooseFile(contacts(people));
  await tab.says('8 rows.');
  await look(tab, 'import-rows');
  const messages = { 'contacts.1.email': ['Rows 1 and 2 have the same value here.'], 'contacts.7': ['It is too large: 9,000 bytes, where 8,192 are allowed.'], contacts: ['This is more than you may import in a day.'] };
  await tab.intercept('POST', IMPORT, answer(400, { success: false, message: messages }), 1);
  await tab.button('Start').click();
  await tab.says('Rows 1 and 2 have the same value here.');
  await look(tab, 'import-refused');
  await showTask(tab, { ...failed, job: 'import-contacts' });
  await tab.button('Start').click();
  await tab.reaches('Failed');
  await look(tab, 'import-failed');
  await tab.intercept('GET', ITEMS, (route) => answer(200, { data: { items: contactsOf(new URL(route.request().url()).searchParams.get('outcome')), next_cursor: null } })(route));
  await tab.button('See items').click();
  await tab.page.getByRole('dialog').getByText('Ann Example').waitFor();
  await look(tab, 'import-items');
}, { live: false });

pageTest(`${font} font: every kind of field`, async (tab) => {
  tab.expectNoise('the server responded with a status of 400', SUBMIT);
  await tab.intercept('GET', API, answer(200, { success: true, data: { jobs: [everyField], limits: { items_max: 10_000 } } }));
  await tab.openAndSignIn();
  await tab.reaches('Every kind of field');
  await look(tab, 'every-field');
  await tab.button('Start').click();
  await tab.says('Choose one.');
  await look(tab, 'every-field-empty');
  await tab.page.getByLabel('Count').fill('18446744073709551615');
  await tab.page.getByLabel('Text').fill('A few words.');
  await tab.page.getByLabel('Speed').selectOption('Fast');
  await tab.page.getByLabel('Tags').fill('one\ntwo');
  await tab.page.getByLabel('Nested').fill('{"a": {}}');
  const message = Object.fromEntries(Object.keys(everyField.request.properties).map((name) => [name, ['This is not what it should be, for a reason that takes some words to tell.']]));
  await tab.intercept('POST', SUBMIT, answer(400, { success: false, message: { ...message, 'owner.name': ['Unknown.'] } }), 1);
  await tab.button('Start').click();
  await tab.says('owner.name: Unknown.');
  await look(tab, 'every-field-refused');
});

pageTest(`${font} font: busy`, async (tab) => {
  await tab.openAndSignIn();
  const taskId = await tab.user.start(1_000);
  await tab.start(10);
  await tab.says(/You already have a task running/);
  await tab.user.cancel(taskId);
  await tab.reaches('Cancelled');
  await look(tab, 'cancelled-elsewhere');
}, { live: false });

pageTest(`${font} font: troubles and long lists`, async (tab) => {
  for (const status of [401, 500, 503]) tab.expectNoise(`the server responded with a status of ${status}`, API);
  tab.expectNoise('net::ERR_CONNECTION_REFUSED', API);
  for (let count = 1; count <= 22; count += 1) await tab.user.cancel(await tab.user.start(count * 37));
  await tab.page.clock.install();
  await tab.openAndSignIn();
  await tab.button('Show older tasks').click();
  await eventually(async () => assert.equal(await tab.page.locator('#history-rows .row').count(), 20));
  await look(tab, 'long-history');
  await tab.intercept('GET', LIST, answer(500, {}), 1);
  await tab.button('Show older tasks').click();
  await tab.says(/Older tasks could not be loaded/);
  await look(tab, 'older-failed');
  await tab.intercept('POST', SUBMIT, (route) => route.abort('connectionrefused'), 4);
  await tab.start(1_000);
  await tab.says(/No answer yet/);
  await look(tab, 'submit-retry');
  await tab.page.clock.runFor('01:00');
  await tab.says(/It is not known whether the task has started/);
  await look(tab, 'submit-unknown');
  await tab.count.fill('10');
  await showTask(tab, running);
  await tab.button('Start').click();
  await tab.percentReaches(13);
  await tab.intercept('GET', STATUS, answer(503, {}));
  await tab.says(/The server has a problem\. Your task goes on/);
  await look(tab, 'server-trouble');
  await tab.intercept('GET', ITEMS, answer(500, {}));
  await tab.button(/^Running/).click();
  await tab.says(/The items could not be loaded/);
  await look(tab, 'items-failed-to-load');
  await tab.page.keyboard.press('Escape');
  await tab.intercept('DELETE', STATUS, answer(503, {}), 4);
  await tab.button('Cancel task').click();
  await tab.page.getByRole('dialog').getByRole('button', { name: 'Cancel task' }).click();
  await look(tab, 'cancelling');
  await tab.page.clock.runFor('01:00');
  await tab.says(/The task was not cancelled, as far as is known/);
  await look(tab, 'cancel-failed');
  await tab.page.keyboard.press('Escape');
  await tab.intercept('GET', STATUS, answer(401, {}), 2);
  await tab.page.evaluate(() => window.dispatchEvent(new Event('online')));
  await tab.says(/Your session has ended/);
  await look(tab, 'session-ended');
  await tab.signIn();
  await tab.button('Sign out').click();
  await tab.says('You are signed out.');
  await look(tab, 'signed-out');
}, { live: false });

pageTest(`${font} font: waiting for the page`, async (tab) => {
  // To look at everything takes longer than the page waits.
  await tab.page.addInitScript(() => {
    const setTimer = window.setTimeout;
    window.setTimeout = (callback, ms, ...values) => (ms < 10_000 ? setTimer(callback, ms, ...values) : 0);
  });
  await tab.openAndSignIn();
  const releaseSession = await tab.hold('POST', COGNITO);
  const releaseTasks = await tab.hold('GET', LIST);
  await tab.page.reload();
  await tab.says('One moment …');
  await look(tab, 'loading');
  releaseSession();
  await tab.says('Looking for your tasks …');
  await look(tab, 'loading-tasks');
  releaseTasks();
  await tab.reaches('Start a task');
});

const waiting = { task_status: 'QUEUED', number_of_items: 1_000, count_done_items: 0, count_failed_items: 0, done_percentage: 0, eta_seconds: null, finished_at: null, error: null };
const running = { ...waiting, task_status: 'PROCESSING', count_done_items: 134, done_percentage: 13, eta_seconds: 754 };
const inAPhase = { ...running, phase: 'Asking for the delivery addresses of those who moved house' };
const pausing = { ...inAPhase, resumes_at: new Date(Date.now() + 2_400_000).toISOString() };
const runningWithFailures = { ...running, count_failed_items: 212 };
const { finished_at: _, ...ended } = running;
const finished = { ...ended, task_status: 'SUCCESS', count_done_items: 1_000, done_percentage: 100, eta_seconds: 0 };
const cancelled = { ...ended, task_status: 'CANCELLED', eta_seconds: null };
const failed = { ...ended, task_status: 'FAILED', count_done_items: 788, count_failed_items: 212, done_percentage: 78, error: '212 of 1000 items failed.' };

/**
 * Has the API say of the next task what the tour shows, so that the stack has little to do.
 *
 * @returns {Promise<(state: object) => void>} what has it say something else
 */
async function showTask(tab, state) {
  let shown = state;
  await tab.alterTasks((task) => Object.assign(task, shown), { 'retry-after': '1' });
  return (next) => (shown = next);
}

/** @param {string} outcome */
function itemsOf(outcome) {
  return Array.from({ length: 40 }, (_item, index) => ({
    index, outcome, name: `Item ${index}`, output: outcome === 'failed' ? null : { name: `Item ${index}`, description: `Description ${index}` }, error: outcome === 'failed' ? 'The mailbox does not exist, or it takes no mail from strangers.' : null,
  }));
}

/** As many as there are, and as long as they get. */
const people = [
  ['Ann Example', 'ann@example.com'], ['Bo', 'bo@example.com'], ['Cyrillus-Maximilian von und zu Beispielhausen', 'cyrillus-maximilian.von.und.zu.beispielhausen@correspondence.example.com'],
  ['Di Example', 'di@example.com'], ['Ed Example', 'ed@example.com'], ['Flo Example', 'flo@example.com'], ['Gil Example', 'gil@example.com'], ['Hal Example', 'hal@example.com'],
];

/** @param {string[][]} rows @returns {string} a file of them */
function contacts(rows) {
  return ['Name,E-mail', ...rows.map((row) => row.join(','))].join('\n');
}

/** @param {string} outcome of which they are */
function contactsOf(outcome) {
  const isFailed = outcome === 'failed';
  return people.map(([name, email], index) => ({ index, name: email, outcome, output: isFailed ? null : { name, email }, error: isFailed ? `“${email}” is no e-mail address: correct it and try again.` : null }));
}

/** All that a task at work may have the card say, by where it stands. */
function textsOfRunningTask() {
  const seconds = [...Array(61).keys(), 90, 149, 601, 2_399, 3_539, 3_600, 4_500, 7_259, 35_999, 86_399, 86_400, 359_999];
  const troubles = ['You are offline.', 'The server has a problem.', 'The server cannot be reached.', 'Too many requests at once.'];
  return {
    'task-state': [words.STATE_WORDS.QUEUED, words.STATE_WORDS.PROCESSING, words.PAUSING],
    'task-phase': ['', 'Saving contacts', inAPhase.phase],
    'task-percent': ['0', '100'],
    'task-count': [0, 999, 1_000].map((done) => words.countOf(done, 1_000)),
    'task-failed': ['', words.failedCount(1), words.failedCount(1_000)],
    'task-started': ['Not yet', '14:03'],
    'task-elapsed': ['–', ...seconds.map((elapsed) => words.duration(elapsed * 1_000))],
    'task-left': [null, ...seconds].map((left) => words.timeLeft(left === null ? null : left * 1_000)),
    'task-note': ['', 'Connected again.', ...troubles.map((trouble) => `${trouble} Your task goes on; this page catches up by itself.`)],
    'task-outcome': [waiting, running, pausing].map((task) => words.outcome(task)),
  };
}

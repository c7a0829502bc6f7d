import assert from 'node:assert/strict';

import { API, COGNITO, LASTING, STATUS, SUBMIT, answer, pageTest } from './page.js';
import { eventually, isRefreshTokenGood, newUser, revoke } from './stack.js';

const WRONG = 'the server responded with a status of 400';
const REFUSED = 'the server responded with a status of 401';
const refreshTokenOf = (tab) => tab.page.evaluate(() => sessionStorage.getItem('longhaul.session'));

pageTest('signing in leads home, with the focus where one goes on', async (tab) => {
  await tab.open();
  await tab.focusIsOn('sign-in-username');
  await tab.signIn();
  await tab.reaches('Start a task');
  await tab.focusIsOn('start-title');
  assert.equal(await tab.textOf('username'), tab.user.username);
  await tab.says('Nothing yet.');
});

pageTest('a wrong password and an unknown user are told in plain words, and do not end the attempt', async (tab) => {
  tab.expectNoise(WRONG, COGNITO);
  await tab.open();
  await tab.signIn('Wrong-password-1');
  await tab.says('The username or the password is wrong.');
  await tab.focusIsOn('sign-in-password');
  await tab.signIn(tab.user.password, 'nobody');
  await tab.says(/The username or the password is wrong\.|There is no user with this name\./);
  await tab.signIn();
  await tab.reaches('Start a task');
});

pageTest('empty fields are asked for without bothering anybody', async (tab) => {
  await tab.open();
  const requests = tab.requests('POST', COGNITO);
  await tab.button('Sign in').click();
  await tab.says('Enter your username.');
  await tab.focusIsOn('sign-in-username');
  await tab.page.getByRole('textbox', { name: 'Username' }).fill(tab.user.username);
  await tab.button('Sign in').click();
  await tab.says('Enter your password.');
  await tab.focusIsOn('sign-in-password');
  assert.equal(requests.length, 0);
});

pageTest('a password can be shown, by a button that is called what it says, and is hidden again for whoever is next', async (tab) => {
  await tab.open();
  const password = tab.page.getByLabel('Password', { exact: true });
  assert.equal(await password.getAttribute('type'), 'password');
  await tab.button('Show password').click();
  assert.equal(await password.getAttribute('type'), 'text');
  const hide = tab.button('Hide password');
  assert.match(await hide.innerText(), /^Hide/);
  assert.equal(await hide.getAttribute('aria-pressed'), null);
  await tab.signIn();
  await tab.button('Sign out').click();
  await tab.reaches('Sign in');
  assert.equal(await password.getAttribute('type'), 'password');
  assert.equal(await tab.button('Show password').isVisible(), true);
});

pageTest('throttling and an unreachable service are told in plain words', async (tab) => {
  tab.expectNoise(WRONG, COGNITO);
  tab.expectNoise('net::ERR_INTERNET_DISCONNECTED', COGNITO);
  await tab.open();
  await tab.cognitoRefusesOnce({ __type: 'TooManyRequestsException', message: 'Rate exceeded' });
  await tab.signIn();
  await tab.says('Too many tries at once. Wait a minute, then try again.');
  await tab.page.context().setOffline(true);
  await tab.button('Sign in').click();
  await tab.says('The sign-in service cannot be reached. Check your connection and try again.');
  await tab.page.context().setOffline(false);
  await tab.button('Sign in').click();
  await tab.reaches('Start a task');
});

pageTest('a first password has to be changed, by the rules of the user pool', async (tab) => {
  tab.expectNoise(WRONG, COGNITO);
  await tab.open();
  await tab.signIn();
  await tab.reaches('Choose a password');
  await tab.focusIsOn('new-password-password');
  await tab.button('Save and sign in').click();
  await tab.says('Enter a new password.');
  await tab.page.getByLabel('New password').fill('short');
  // The emulator takes any password.
  await tab.cognitoRefusesOnce({ __type: 'InvalidPasswordException', message: 'Password did not conform with policy: Password not long enough' });
  await tab.button('Save and sign in').click();
  await tab.says('This password is too short.');
  await tab.focusIsOn('new-password-password');
  await tab.page.getByLabel('New password').fill('Another-password-2');
  await tab.button('Save and sign in').click();
  await tab.reaches('Start a task');
  await tab.button('Sign out').click();
  await tab.signIn('Another-password-2');
  await tab.reaches('Start a task');
}, { user: { temporary: true } });

pageTest('what was pasted along with a name and a password is not taken for a part of them', async (tab) => {
  await tab.open();
  await tab.signIn(`\u200b ${tab.user.password}\u00a0 `, ` ${tab.user.username}\t`);
  await tab.reaches('Start a task');
});

pageTest('a new password with a blank around it is refused with a sentence, before anybody is asked', async (tab) => {
  await tab.open();
  await tab.signIn();
  await tab.reaches('Choose a password');
  const requests = tab.requests('POST', COGNITO);
  for (const password of ['Another-password-2 ', ' Another-password-2', ' ']) {
    await tab.page.getByLabel('New password').fill(password);
    await tab.button('Save and sign in').click();
    await tab.says('A password cannot begin or end with a blank.');
    await tab.focusIsOn('new-password-password');
    await tab.page.getByLabel('New password').fill('');
    await tab.button('Save and sign in').click();
    await tab.says('Enter a new password.');
  }
  assert.equal(requests.length, 0);
}, { user: { temporary: true } });

pageTest('whoever comes with a temporary password that has expired is told whom to ask', async (tab) => {
  tab.expectNoise(WRONG, COGNITO);
  await tab.open();
  await tab.cognitoRefusesOnce({ __type: 'NotAuthorizedException', message: 'Temporary password has expired and must be reset by an administrator.' });
  await tab.signIn();
  await tab.says('Your temporary password has expired. Ask whoever manages the account for a new one.');
}, { user: { temporary: true } });

pageTest('a page that comes back out of the browser\'s cache after its session has ended shows the form, and nothing else', async (tab) => {
  tab.expectNoise(WRONG, COGNITO);
  await tab.user.finish(await tab.user.start(1));
  await tab.openAndSignIn();
  await tab.page.locator('#history-rows .row').waitFor();
  await revoke(await refreshTokenOf(tab));
  const requests = tab.requests('GET', API);
  const release = await tab.hold('POST', COGNITO);
  await tab.isShownAgain();
  assert.equal(await tab.page.locator('#home').isVisible(), false, 'nothing is shown before it is known whose it is');
  release();
  await tab.says('Your session has ended. Sign in again; a running task goes on meanwhile.');
  assert.equal(await tab.page.locator('#history-rows .row').count(), 0);
  assert.equal(await refreshTokenOf(tab), null);
  assert.equal(requests.length, 0, 'with a token that was given back nothing is asked for');
});

pageTest('a page that comes back after a sign-out in another tab shows the form, whether or not the browser kept it', async (tab) => {
  tab.expectNoise(WRONG, COGNITO);
  await tab.openAndSignIn();
  const refreshToken = await refreshTokenOf(tab);
  const other = await tab.another();
  await other.open();
  await other.reaches('Start a task');
  await tab.leaveAndComeBack(async () => {
    await other.button('Sign out').click();
    await eventually(async () => assert.equal(await isRefreshTokenGood(refreshToken), false));
  });
  await tab.reaches('Sign in');
  assert.equal(await refreshTokenOf(tab), null);
});

pageTest('a page that comes back out of the browser\'s cache is still signed in, and shows what is new', async (tab) => {
  await tab.openAndSignIn();
  await tab.says('Nothing yet.');
  const taskId = await tab.user.start(100);
  await tab.isShownAgain();
  await tab.page.locator('#task-size').filter({ hasText: '100 items' }).waitFor();
  await tab.user.cancel(taskId);
}, { live: false });

pageTest('a reload stays signed in, and nothing but the refresh token is kept in the tab', async (tab) => {
  await tab.openAndSignIn();
  await tab.page.reload();
  await tab.reaches('Start a task');
  const kept = await tab.page.evaluate(() => ({ local: { ...localStorage }, session: Object.keys(sessionStorage), cookies: document.cookie }));
  assert.deepEqual(kept, { local: {}, session: ['longhaul.session'], cookies: '' });
});

pageTest('a second tab is signed in too, and signing out in one signs out both and revokes the session', async (tab) => {
  await tab.openAndSignIn();
  const refreshToken = await refreshTokenOf(tab);
  const second = await tab.another();
  await second.open();
  await second.reaches('Start a task');
  assert.equal(await second.textOf('username'), tab.user.username);
  assert.equal(await isRefreshTokenGood(refreshToken), true);
  await tab.button('Sign out').click();
  await tab.says('You are signed out.');
  await tab.focusIsOn('sign-in-username');
  await second.says('You signed out in another tab.');
  assert.equal(await refreshTokenOf(tab), null);
  assert.equal(await refreshTokenOf(second), null);
  await eventually(async () => assert.equal(await isRefreshTokenGood(refreshToken), false));
});

pageTest('signing in in one tab also leads in another one that waits at the form', async (tab) => {
  const second = await tab.another();
  await second.open();
  await second.reaches('Sign in');
  await tab.openAndSignIn();
  await second.reaches('Start a task');
});

pageTest('nothing of a signed-out person is left on the page', async (tab) => {
  await tab.user.finish(await tab.user.start(1));
  await tab.openAndSignIn();
  await tab.start(LASTING);
  await tab.reaches('Running');
  await eventually(async () => assert.equal(await tab.page.locator('#history-rows .row').count(), 2));
  assert.match(await tab.page.title(), /%/);
  await tab.button('Sign out').click();
  await tab.reaches('Sign in');
  const left = await tab.page.evaluate(() => document.getElementById('history-rows').childElementCount + document.getElementById('sign-in-password').value.length);
  assert.equal(left, 0);
  assert.equal(await tab.page.title(), 'Longhaul');
  const polls = tab.requests('GET', API);
  await tab.page.waitForTimeout(2_000);
  assert.equal(polls.length, 0);
  await tab.user.cancel(await tab.user.last());
});

pageTest('what one person was starting is not started for the next', async (tab) => {
  tab.expectNoise('net::ERR_CONNECTION_REFUSED', API);
  const next = await newUser();
  await tab.openAndSignIn();
  await tab.intercept('POST', SUBMIT, (route) => route.abort('connectionrefused'));
  await tab.start(7);
  await tab.says('No answer yet. Trying again; it cannot start twice.');
  await tab.button('Sign out').click();
  await tab.page.unrouteAll({ behavior: 'wait' });
  const submits = tab.requests('POST', SUBMIT);
  await tab.signIn(next.password, next.username);
  await tab.reaches('Start a task');
  // Longer than the longest wait between two tries.
  await tab.page.waitForTimeout(4_500);
  assert.equal(submits.length, 0);
  await tab.start(1);
  await tab.reaches('Finished');
  assert.deepEqual((await next.tasks()).map((task) => task.number_of_items), [1]);
  assert.deepEqual(await tab.user.tasks(), []);
});

pageTest('a token that is about to end is renewed before it is used', async (tab) => {
  await tab.page.clock.install();
  const signedIn = tab.page.waitForResponse((response) => response.url() === COGNITO && response.request().method() === 'POST');
  await tab.openAndSignIn();
  const { AuthenticationResult } = await (await signedIn).json();
  // A socket that is still being opened would be given up when the time jumps.
  await tab.isConnected();
  const renewals = tab.requests('POST', COGNITO);
  const submits = tab.requests('POST', SUBMIT);
  // By now the token has half a minute left.
  await tab.page.clock.fastForward((AuthenticationResult.ExpiresIn - 30) * 1_000);
  await tab.start(1);
  await eventually(() => assert.equal(submits.length, 1));
  assert.equal(renewals.length, 1);
  assert.match(renewals[0].request.postData(), /REFRESH_TOKEN_AUTH/);
  assert.equal((await submits[0].request.response()).status(), 200);
});

pageTest('a token that the API refuses is renewed once, and the request repeated', async (tab) => {
  tab.expectNoise(REFUSED, API);
  await tab.openAndSignIn();
  const renewals = tab.requests('POST', COGNITO);
  await tab.intercept('POST', SUBMIT, answer(401, { message: 'Unauthorized' }), 1);
  await tab.start(1);
  await tab.reaches('Finished');
  assert.equal(renewals.length, 1);
});

pageTest('a token that the gateway itself refuses is renewed once, whether or not it lets the page read that', async (tab) => {
  tab.expectNoise(REFUSED, API);
  // The emulator's refusal lacks the headers that would let the page read it.
  tab.expectNoise('net::ERR_FAILED', API);
  tab.expectBlocked(API);
  await tab.openAndSignIn();
  const renewals = tab.requests('POST', COGNITO);
  const submits = tab.requests('POST', SUBMIT);
  await tab.intercept('POST', SUBMIT, (route) => {
    const headers = route.request().headers();
    return route.continue({ headers: { ...headers, authorization: `${headers.authorization.slice(0, -8)}spoilt00` } });
  }, 1);
  await tab.start(1);
  await tab.reaches('Finished');
  assert.equal(renewals.length, 1);
  assert.equal(submits.length, 2);
});

pageTest('when the API refuses the renewed token as well, only signing in helps', async (tab) => {
  tab.expectNoise(REFUSED, API);
  await tab.openAndSignIn();
  await tab.intercept('POST', SUBMIT, answer(401, { message: 'Unauthorized' }), 2);
  await tab.start(1);
  await tab.says('Your session has ended. Sign in again; a running task goes on meanwhile.');
  assert.equal(await refreshTokenOf(tab), null);
  await tab.signIn();
  await tab.start(1);
  await tab.reaches('Finished');
});

pageTest('a session that cannot be renewed leads to the form, says why, and loses no task', async (tab) => {
  tab.expectNoise(REFUSED, API);
  tab.expectNoise(WRONG, COGNITO);
  await tab.openAndSignIn();
  await tab.start(LASTING);
  await tab.reaches('Running');
  await revoke(await refreshTokenOf(tab));
  await tab.intercept('GET', STATUS, answer(401, { message: 'Unauthorized' }), 1);
  await tab.says('Your session has ended. Sign in again; a running task goes on meanwhile.');
  await tab.signIn();
  await tab.reaches('Running');
  assert.equal(await tab.textOf('task-size'), `${LASTING} items`);
  await tab.user.cancel(await tab.user.last());
}, { live: false });

// Refresh tokens that are good for one renewal each, as on AWS. The emulator has no GetTokensFromRefreshToken: this one call is
// answered by a stand-in, with tokens that the emulator gives to whoever signs in.

import assert from 'node:assert/strict';

import { COGNITO, SUBMIT, answer, pageTest } from './page.js';
import { eventually, isRefreshTokenGood, revoke } from './stack.js';

const rotating = { settings: { rotates_refresh_tokens: true } };
const refreshTokenOf = (tab) => tab.page.evaluate(() => sessionStorage.getItem('longhaul.session'));
const refused = answer(400, { __type: 'NotAuthorizedException', message: 'Invalid Refresh Token' });

/** Answers renewals of all tabs, and keeps what was presented. `isGenerous`: a token that was used is taken once more. */
async function rotates(tab, { isGenerous = false } = {}) {
  const rotation = { presented: [], answered: 0, losesAnswers: 0 };
  const used = new Map();
  await tab.page.context().route(COGNITO, async (route) => {
    const request = route.request();
    if (request.headers()['x-amz-target'] !== 'AWSCognitoIdentityProviderService.GetTokensFromRefreshToken') return route.fallback();
    const { ClientId, RefreshToken, ...rest } = request.postDataJSON();
    assert.ok(ClientId);
    assert.deepEqual(rest, {});
    rotation.presented.push(RefreshToken);
    const times = used.get(RefreshToken) ?? 0;
    used.set(RefreshToken, times + 1);
    if (times > 0 && !isGenerous) return refused(route);
    const tokens = await tab.user.tokens();
    if (rotation.losesAnswers > 0) {
      rotation.losesAnswers -= 1;
      return route.abort('connectionreset');
    }
    rotation.answered += 1;
    return answer(200, { AuthenticationResult: tokens })(route);
  });
  return rotation;
}

/** Has the API refuse the token that the page has. */
const refuse = (tab, times = 1) => tab.intercept('POST', SUBMIT, answer(401, { message: 'Unauthorized' }), times);

pageTest('each renewal takes the token of the last, also after a reload, and signing out revokes the newest', async (tab) => {
  tab.expectNoise('the server responded with a status of 401', SUBMIT);
  const rotation = await rotates(tab);
  await tab.openAndSignIn();
  const first = await refreshTokenOf(tab);
  await refuse(tab);
  await tab.start(1);
  await tab.reaches('Finished');
  const second = await refreshTokenOf(tab);
  assert.notEqual(second, first);
  await tab.page.reload();
  await tab.reaches('Start a task');
  await eventually(() => assert.equal(rotation.answered, 2));
  assert.deepEqual(rotation.presented, [first, second]);
  const third = await refreshTokenOf(tab);
  assert.equal(await isRefreshTokenGood(third), true);
  await tab.button('Sign out').click();
  await tab.says('You are signed out.');
  await eventually(async () => assert.equal(await isRefreshTokenGood(third), false));
}, rotating);

pageTest('two tabs renew one after the other, each with what the other one got', async (tab) => {
  tab.expectNoise('the server responded with a status of 401', SUBMIT);
  const rotation = await rotates(tab);
  await tab.openAndSignIn();
  const second = await tab.another();
  await second.open();
  await second.reaches('Start a task');
  for (const each of [tab, second, tab]) {
    await refuse(each);
    const before = rotation.answered;
    await each.start(1);
    // Both follow it.
    for (const one of [tab, second]) {
      await one.reaches('Finished');
      await one.button('Start another').click();
    }
    assert.equal(rotation.answered, before + 1);
    await eventually(async () => assert.equal(await refreshTokenOf(tab), await refreshTokenOf(second)));
  }
  assert.equal(new Set(rotation.presented).size, 3);
}, rotating);

pageTest('a renewal whose answer is lost is asked for again with the same token, while that is still taken', async (tab) => {
  tab.expectNoise('the server responded with a status of 401', SUBMIT);
  tab.expectNoise('net::ERR_CONNECTION_RESET', COGNITO);
  const rotation = await rotates(tab, { isGenerous: true });
  await tab.openAndSignIn();
  rotation.losesAnswers = 1;
  // The page tries with what it has until it has got something better.
  await refuse(tab, 2);
  await tab.start(1);
  await tab.reaches('Finished');
  assert.equal(rotation.presented.length, 2);
  assert.equal(new Set(rotation.presented).size, 1);
}, rotating);

pageTest('a token that somebody else has used leads to the form', async (tab) => {
  tab.expectNoise('the server responded with a status of 401', SUBMIT);
  tab.expectNoise('the server responded with a status of 400', COGNITO);
  await rotates(tab);
  await tab.openAndSignIn();
  const token = await refreshTokenOf(tab);
  await tab.page.evaluate(([url, RefreshToken, ClientId]) => fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-amz-json-1.1', 'X-Amz-Target': 'AWSCognitoIdentityProviderService.GetTokensFromRefreshToken' },
    body: JSON.stringify({ ClientId, RefreshToken }),
  }), [COGNITO, token, 'page']);
  await revoke(token);
  await refuse(tab);
  await tab.start(1);
  await tab.says('Your session has ended. Sign in again; a running task goes on meanwhile.');
  assert.equal(await refreshTokenOf(tab), null);
}, rotating);

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Session, SessionEnded } from '../../../frontend/js/session.js';

const CONFIG = { api_url: '', region: '', user_pool_id: '', client_id: 'client', cognito_url: 'https://cognito.test/' };

/** One for all: those that are made a second later are the same. */
const ISSUED_AT = Math.floor(Date.now() / 1_000);

/** The tokens of a sign-in of `username`; they are old at once, so that every use renews them. */
function result(username, RefreshToken) {
  const claims = Buffer.from(JSON.stringify({ username, iat: ISSUED_AT })).toString('base64url');
  return { AccessToken: `header.${claims}.signature`, RefreshToken, ExpiresIn: 0 };
}

/** Cognito, whose answers to renewals the test gives when it wants to. */
function cognito() {
  const renewals = [];
  renewals.revocations = [];
  globalThis.fetch = async (_url, { headers, body, keepalive }) => {
    const { AuthFlow, AuthParameters, Token } = JSON.parse(body);
    if (headers['X-Amz-Target'].endsWith('RevokeToken')) {
      renewals.revocations.push({ token: Token, keepalive });
      return new Response();
    }
    if (AuthFlow !== 'REFRESH_TOKEN_AUTH') {
      return Response.json({ AuthenticationResult: result(AuthParameters.USERNAME, `refresh-${AuthParameters.USERNAME}`) });
    }
    return new Promise((resolve) => renewals.push({
      token: AuthParameters.REFRESH_TOKEN,
      grant: (username) => resolve(Response.json({ AuthenticationResult: result(username) })),
      refuse: () => resolve(Response.json({ __type: 'NotAuthorizedException' }, { status: 400 })),
      answer: (response) => resolve(response),
    }));
  };
  return renewals;
}

/** Tabs whose other ones are the test. */
function tabs() {
  const handlers = {};
  return {
    post: () => {},
    on: (kind, handle) => (handlers[kind] = handle),
    hear: (kind, content) => handlers[kind](content),
  };
}

beforeEach(() => {
  const kept = new Map();
  globalThis.sessionStorage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
});

test('signing out revokes the session, also when the tab is closed at once', async () => {
  const { revocations } = cognito();
  const session = new Session(CONFIG, tabs());
  await session.signIn('ann', 'x');
  await session.signOut();
  assert.deepEqual(revocations, [{ token: 'refresh-ann', keepalive: true }]);
});

for (const ending of ['grant', 'refuse']) {
  test(`a renewal of one person's session that ends after the next one came changes nothing (${ending})`, async () => {
    const renewals = cognito();
    const session = new Session(CONFIG, tabs());
    await session.signIn('ann', 'x');
    const anns = session.accessToken();
    await session.signOut();
    await session.signIn('bob', 'x');
    const bobs = session.accessToken();
    assert.deepEqual(renewals.map(({ token }) => token), ['refresh-ann', 'refresh-bob']);
    renewals[0][ending]('ann');
    await assert.rejects(anns, SessionEnded);
    assert.equal(session.username, 'bob');
    assert.equal(sessionStorage.getItem('longhaul.session'), 'refresh-bob');
    renewals[1].grant('bob');
    assert.equal(await bobs, result('bob').AccessToken);
  });
}

test('several requests share one renewal', async () => {
  const renewals = cognito();
  const session = new Session(CONFIG, tabs());
  await session.signIn('ann', 'x');
  const both = [session.accessToken(), session.accessToken()];
  assert.equal(renewals.length, 1);
  renewals[0].grant('ann');
  const [first, second] = await Promise.all(both);
  assert.equal(first, second);
});

test('a tab whose refresh token another tab has just used up goes on with the new one', async () => {
  const renewals = cognito();
  const others = tabs();
  const session = new Session(CONFIG, others);
  await session.signIn('ann', 'x');
  const waiting = session.accessToken();
  others.hear('session', { accessToken: 'theirs', refreshToken: 'rotated', expiresAt: Infinity, username: 'ann', serverAheadMs: 0 });
  renewals[0].refuse();
  assert.equal(await waiting, 'theirs');
  assert.ok(session.isSignedIn);
});

test('a session that Cognito ends is forgotten', async () => {
  const renewals = cognito();
  const session = new Session(CONFIG, tabs());
  await session.signIn('ann', 'x');
  const waiting = session.accessToken();
  renewals[0].refuse();
  await assert.rejects(waiting, SessionEnded);
  assert.equal(session.isSignedIn, false);
  assert.equal(sessionStorage.getItem('longhaul.session'), null);
});

test('a session is ended by the refusal of its own newest token only', async () => {
  const renewals = cognito();
  const session = new Session(CONFIG, tabs());
  await session.signIn('ann', 'x');
  const anns = session.accessToken();
  renewals[0].grant('ann');
  await anns;
  await session.signIn('bob', 'x');
  session.end(await anns);
  assert.equal(session.username, 'bob');
  session.end(result('bob').AccessToken);
  assert.equal(session.isSignedIn, false);
  assert.equal(sessionStorage.getItem('longhaul.session'), null);
});

const troubles = {
  'throttling by one name': () => Response.json({ __type: 'com.amazonaws#ThrottlingException' }, { status: 400 }),
  'throttling by another': () => Response.json({ __type: 'TooManyRequestsException' }, { status: 400 }),
  'an outage': () => Response.json({ __type: 'ServiceUnavailable' }, { status: 503 }),
  'a failure': () => Response.json({ __type: 'InternalFailure' }, { status: 500 }),
  'an internal error that calls itself a bad request': () => Response.json({ __type: 'InternalErrorException' }, { status: 400 }),
  'a gateway in between': () => new Response('<h1>Bad request</h1>', { status: 400 }),
  'half an answer': () => new Response('{"AuthenticationResult": {"Acc'),
};
for (const [name, response] of Object.entries(troubles)) {
  test(`a renewal that meets ${name} does not end the session`, async () => {
    const renewals = cognito();
    const session = new Session(CONFIG, tabs());
    await session.signIn('ann', 'x');
    const waiting = session.accessToken();
    renewals[0].answer(response());
    await assert.rejects(waiting, { name: 'CognitoError', isRetryable: true });
    assert.equal(sessionStorage.getItem('longhaul.session'), 'refresh-ann');
    const again = session.accessToken();
    renewals[1].grant('ann');
    assert.equal(await again, result('ann').AccessToken);
  });
}

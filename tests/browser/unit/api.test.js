import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Api, ApiError } from '../../../frontend/js/api.js';
import { CognitoError, SessionEnded } from '../../../frontend/js/session.js';

const listing = () => Response.json({ success: true, data: { tasks: [], next_cursor: null } });
const unauthorized = () => Response.json({ message: 'Unauthorized' }, { status: 401 });
/** What fetch does where there is no answer, or one that the page may not read. */
const unreadable = () => { throw new TypeError('Failed to fetch'); };
const tooLate = () => { throw new DOMException('signal timed out', 'TimeoutError'); };

/** An API whose requests are answered from `script`, and a session that counts its tokens. */
function api(script, { isOnline = () => true, renew = () => {} } = {}) {
  const log = { tokens: [], renewals: 0, ended: [] };
  globalThis.fetch = async (_url, { headers }) => {
    log.tokens.push(headers.Authorization.replace('Bearer ', ''));
    return script.shift()();
  };
  let number = 1;
  const session = {
    accessToken: async (rejected) => {
      if (rejected === `token-${number}`) {
        log.renewals += 1;
        renew();
        number += 1;
      }
      return `token-${number}`;
    },
    end: (token) => log.ended.push(token),
  };
  const made = new Api('https://api.test', session, isOnline);
  return { log, live: (signal) => made.liveUrl(signal), list: () => made.tasks(null, 10), fail: () => assert.rejects(made.tasks(null, 10), ApiError) };
}

test('a refused token is renewed once, and the request repeated', async () => {
  const { log, list } = api([unauthorized, listing]);
  await list();
  assert.deepEqual(log.tokens, ['token-1', 'token-2']);
  assert.deepEqual(log.ended, []);
});

test('a session whose new token is refused, too, has ended', async () => {
  const { log, list } = api([unauthorized, unauthorized]);
  await assert.rejects(list(), SessionEnded);
  assert.deepEqual(log.ended, ['token-2']);
  assert.equal(log.tokens.length, 2);
});

test('an answer that cannot be read may be a refusal: the next try comes with a new token', async () => {
  const { log, list, fail } = api([unreadable, listing]);
  await fail();
  await list();
  assert.deepEqual(log.tokens, ['token-1', 'token-2']);
});

test('an API that stays away has the token renewed only once, and again only after it was back', async () => {
  const { log, list, fail } = api([unreadable, unreadable, unreadable, listing, unreadable, listing]);
  for (let failures = 1; failures <= 3; failures += 1) await fail();
  await list();
  assert.equal(log.renewals, 1);
  await fail();
  await list();
  assert.equal(log.renewals, 2);
});

test('offline, or where an answer takes too long, the token is not to blame', async () => {
  let isOnline = false;
  const { log, list, fail } = api([unreadable, tooLate, listing], { isOnline: () => isOnline });
  await fail();
  isOnline = true;
  await fail();
  await list();
  assert.equal(log.renewals, 0);
});

test('when the token cannot be renewed in doubt, the one at hand is tried again', async () => {
  const { log, list, fail } = api([unreadable, listing], { renew: () => { throw new CognitoError('Network', ''); } });
  await fail();
  await list();
  assert.deepEqual(log.tokens, ['token-1', 'token-1']);
});

test('when Cognito ends the session that was in doubt, it has ended', async () => {
  const { list, fail } = api([unreadable], { renew: () => { throw new SessionEnded(); } });
  await fail();
  await assert.rejects(list(), SessionEnded);
});

test('where to hear of changes is asked for anew each time, with the usual token', async () => {
  const asked = [];
  const { live } = api([]);
  globalThis.fetch = async (url, { method, headers, signal }) => {
    asked.push([method, url, headers.Authorization, signal.aborted]);
    return Response.json({ success: true, data: { url: `wss://test/?ticket=${asked.length}`, expires_at: '2026-01-01T00:00:30Z' } });
  };
  assert.equal(await live(new AbortController().signal), 'wss://test/?ticket=1');
  assert.equal(await live(new AbortController().signal), 'wss://test/?ticket=2');
  const aborted = new AbortController();
  aborted.abort();
  await live(aborted.signal);
  assert.deepEqual(asked, [false, false, true].map((isAborted) => ['POST', 'https://api.test/api/live/', 'Bearer token-1', isAborted]));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Api, ApiError } from '../../../frontend/js/api.js';
import { fetchFile, nameOf } from '../../../frontend/js/downloads.js';

const task = { job: 'import-contacts', task_id: '01a218d2-1665-74b1-afdd-e8a36a21bce5' };
const retries = {
  triesMax: 3,
  errors: { isRetryable: (error) => error instanceof ApiError && error.isRetryable, retryAfterOf: () => null },
  sleep: async () => {},
  random: () => 0,
};

/** An API that answers with these pages, one after the other. */
function api(pages) {
  const asked = [];
  globalThis.fetch = async (url) => {
    asked.push(new URL(url));
    return pages.shift()();
  };
  return { asked, api: new Api('https://api.test', { accessToken: async () => 'token' }) };
}

const page = (text, next) => () => new Response(text, { headers: next ? { Link: `<?${next}>; rel="next"` } : {} });

test('a file is its pages one after the other, an empty one among them, and says that it is UTF-8', async () => {
  const { api: from, asked } = api([
    page('index,input.name\r\n0,ü\r\n', 'format=csv&cursor=one'),
    page('', 'format=csv&cursor=two'),
    () => new Response(null, { status: 503 }),
    page('1,b\r\n', null),
  ]);
  const pages = [];
  const { signal } = new AbortController();
  const file = await fetchFile(from, task, 'failed', { retries, signal, onPage: (count) => pages.push(count) });
  assert.equal(new TextDecoder('utf-8', { ignoreBOM: true }).decode(await file.arrayBuffer()), '\uFEFFindex,input.name\r\n0,ü\r\n1,b\r\n');
  assert.deepEqual(pages, [1, 2, 3]);
  const path = `/api/import-contacts/${task.task_id}/items/`;
  assert.deepEqual(asked.map(({ pathname, search }) => pathname.replace(path, '') + search), [
    '?format=csv&include=input&outcome=failed&limit=1000', '?format=csv&cursor=one', '?format=csv&cursor=two', '?format=csv&cursor=two',
  ]);
});

test('nothing more is fetched for a sheet that is closed', async () => {
  const closing = new AbortController();
  const { api: from, asked } = api([page('a', 'cursor=one')]);
  const onPage = () => closing.abort();
  await assert.rejects(fetchFile(from, task, null, { retries, signal: closing.signal, onPage }));
  assert.equal(asked.length, 1);
});

test('files have names of their own', () => {
  assert.equal(nameOf(task, null), 'import-contacts-e8a36a21bce5.csv');
  assert.equal(nameOf(task, 'failed'), 'import-contacts-failed-e8a36a21bce5.csv');
});

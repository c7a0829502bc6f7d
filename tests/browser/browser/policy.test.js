import assert from 'node:assert/strict';
import { test } from 'node:test';

import { pageTest, usePage } from './page.js';
import { newUser, stack } from './stack.js';

pageTest('the page comes with a policy that allows it no more than it needs', async (tab) => {
  const response = await tab.page.goto(stack.page_url);
  const headers = await response.allHeaders();
  const policy = Object.fromEntries(headers['content-security-policy'].split(';').map((directive) => directive.trim().split(/ (.*)/s)));
  assert.equal(policy['default-src'], "'none'");
  assert.equal(policy['script-src'], "'self'");
  assert.equal(policy['style-src'], "'self'");
  assert.equal(policy['frame-ancestors'], "'none'");
  assert.doesNotMatch(policy['connect-src'], /(^| )\*( |$)|https?:( |$)/);
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.match(headers['strict-transport-security'], /max-age=\d{8}/);
  assert.ok(headers['referrer-policy']);
});

const offences = {
  'a console message': () => console.warn('by the way'),
  'an uncaught error': () => setTimeout(() => { throw new Error('oops'); }),
  'an inline style': () => document.body.setAttribute('style', 'color: red'),
  'an inline script': () => { const script = document.createElement('script'); script.setAttribute('onload', '1'); document.body.append(script); },
  'markup from a string': () => { document.body.innerHTML = '<p>'; },
  'a request to a stranger': () => fetch('http://127.0.0.1:9/').catch(() => {}),
};
for (const [name, offend] of Object.entries(offences)) {
  test(`the watch over the other tests notices ${name}`, async () => {
    const offending = usePage(async (tab) => {
      await tab.open();
      await tab.page.evaluate(offend).catch(() => {});
      await tab.page.waitForTimeout(300);
    }, { user: await newUser() });
    await assert.rejects(offending, /The browser said:/);
  });
}

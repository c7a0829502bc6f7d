// A page that does not open is never left with "One moment …": files that do not come, and browsers that are too old.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';

import { COGNITO, CONFIG, FILES, WATCHED, isLong, pageTest } from './page.js';
import { eventually, stack } from './stack.js';

const moduleAt = (name) => `${FILES}/js/${name}`;
/** Every one of them is one too many, wherever it stands in the tree of imports; trying all takes a while. */
const ALL = readdirSync(new URL('../../../frontend/js/', import.meta.url)).filter((name) => !['main.js', 'opening.js'].includes(name));
const MODULES = isLong ? ALL : ['words.js', 'wake-up.js'];

/**
 * Waits until the page says that something is missing. Whether it says so by itself, after a while, or was made to say
 * it at once stands in the page: a clock would measure how busy this machine is.
 *
 * @param {'at once' | 'by itself'} how
 */
async function saysSomethingIsMissing(tab, how) {
  if (how === 'by itself') {
    const after = await tab.page.evaluate(() => ['unavailable', 'loading'].map((id) =>
      getComputedStyle(document.getElementById(id)).animationDelay.split(', ').at(-1)));
    assert.deepEqual(after, ['10s', '10s'], 'whoever waits for a moment is not alarmed, and nobody waits for longer');
  }
  // It may have said so by itself before what makes it say so at once was there.
  if (how === 'at once') await tab.page.locator('#unavailable:not(.late)').waitFor();
  await tab.reaches('Longhaul cannot be reached');
  const isLate = await tab.page.locator('#unavailable').evaluate((section) => section.classList.contains('late'));
  assert.equal(isLate, how === 'by itself');
  assert.equal(await tab.page.getByText('One moment …').isVisible(), false);
}

const troubles = {
  blocked: { trouble: (route) => route.abort('blockedbyclient'), noise: 'net::ERR_BLOCKED_BY_CLIENT' },
  'answered with 503': { trouble: (route) => route.fulfill({ status: 503, contentType: 'application/xml', body: '<Error/>' }), noise: 'the server responded with a status of 503' },
};
for (const module of MODULES) {
  for (const [name, { trouble, noise }] of Object.entries(troubles)) {
    pageTest(`when ${module} is ${name}, the page says at once that something is missing, and opens when tried again`, async (tab) => {
      tab.expectNoise(noise, moduleAt(module));
      await tab.page.route(moduleAt(module), trouble);
      await tab.open();
      await saysSomethingIsMissing(tab, 'at once');
      await tab.says('A part of this page did not arrive. Check your connection and try again.');
      await tab.page.unroute(moduleAt(module));
      await tab.tryAgain();
      await tab.reaches('Sign in');
      assert.equal(await tab.heading('Longhaul cannot be reached').isVisible(), false);
    });
  }
}

pageTest('a module of another version, which does not fit to the others, is told as one that is missing', async (tab) => {
  // The browser's own word for it is empty.
  tab.noise.expectAny(/^uncaught: $/);
  await tab.page.route(moduleAt('words.js'), (route) => route.fulfill({ contentType: 'text/javascript', body: 'export const nothing = 0;' }));
  await tab.open();
  await saysSomethingIsMissing(tab, 'at once');
});

for (const silent of ['words.js', 'main.js', 'opening.js']) {
  pageTest(`when ${silent} is not answered at all, the page says so after 10 s, and opens all the same when it comes`, async (tab) => {
    const release = await tab.hold('GET', moduleAt(silent), Infinity);
    await tab.open('commit');
    await tab.page.waitForFunction(() => document.getElementById('loading') && getComputedStyle(document.body).margin.startsWith('0px'));
    await saysSomethingIsMissing(tab, 'by itself');
    release();
    await tab.reaches('Sign in');
    assert.equal(await tab.heading('Longhaul cannot be reached').isVisible(), false);
  });
}

for (const [missing, how] of [['main.js', 'at once'], ['opening.js', 'by itself']]) {
  pageTest(`when ${missing} is missing, which opens all others or watches over them, the page says so ${how}`, async (tab) => {
    tab.expectNoise('net::ERR_FAILED', moduleAt(missing));
    await tab.page.route(moduleAt(missing), (route) => route.abort());
    await tab.open();
    await saysSomethingIsMissing(tab, how);
    await tab.page.unroute(moduleAt(missing));
    await tab.tryAgain();
    await tab.reaches('Sign in');
  });
}

for (const missing of ['main.js', 'words.js']) {
  pageTest(`when ${missing} is missing and that is known before there is somebody to say so, the page says so at once all the same`, async (tab) => {
    tab.expectNoise('net::ERR_FAILED', moduleAt(missing));
    await tab.page.route(moduleAt(missing), (route) => route.abort());
    const release = await tab.hold('GET', moduleAt('opening.js'), Infinity);
    await tab.open('commit');
    // What is left to come is the script that would say it.
    await tab.page.waitForFunction(() => document.readyState === 'interactive' && performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd > 0);
    release();
    await saysSomethingIsMissing(tab, 'at once');
    await tab.page.unrouteAll();
    await tab.tryAgain();
    await tab.reaches('Sign in');
  });
}

pageTest('where no script of the page arrives, it says so by itself', async (tab) => {
  tab.expectNoise('net::ERR_FAILED', new RegExp(`${moduleAt('')}.*`));
  await tab.page.route(`${moduleAt('')}**`, (route) => route.abort());
  await tab.open();
  await saysSomethingIsMissing(tab, 'by itself');
  await tab.page.unrouteAll();
  await tab.tryAgain();
  await tab.reaches('Sign in');
});

pageTest('settings that are not answered are not waited for for ever', async (tab) => {
  await tab.page.clock.install();
  await tab.hold('GET', CONFIG);
  await tab.open();
  await tab.page.clock.runFor(10_000);
  await tab.says('The page could not read its settings. Check your connection, or ask whoever runs it.');
});

pageTest('whoever has to wait for the sign-in service is told so, and comes in when it answers', async (tab) => {
  await tab.openAndSignIn();
  const release = await tab.hold('POST', COGNITO);
  await tab.page.reload();
  await tab.says('This takes longer than usual. It may still come; or try again.');
  release();
  await tab.reaches('Start a task');
  assert.equal(await tab.page.getByRole('link', { name: 'Try again' }).isVisible(), false);
});

const without = {
  modules: () => { delete HTMLScriptElement.prototype.noModule; },
  BroadcastChannel: () => { delete window.BroadcastChannel; },
  'Array.prototype.at': () => { delete Array.prototype.at; },
  'modal dialogs': () => { delete HTMLDialogElement.prototype.showModal; },
  dialogs: () => { delete window.HTMLDialogElement; },
};
for (const [what, take] of Object.entries(without)) {
  pageTest(`a browser without ${what} is told that it is too old, and which ones are not`, async (tab) => {
    await tab.page.addInitScript(take);
    await tab.open();
    await tab.reaches('This browser is too old');
    await tab.says('Longhaul needs Chrome or Edge 120, Firefox 121, Safari 17.2, or a newer one. Update your browser, or use another one.');
    assert.equal(await tab.page.getByText('One moment …').isVisible(), false);
    assert.equal(await tab.page.getByRole('link', { name: 'Try again' }).isVisible(), false);
    assert.equal(await tab.heading('Sign in').isVisible(), false);
  });
}

pageTest('what came after 2023 is not needed for a task from the start to its end', async (tab) => {
  await tab.page.addInitScript(() => {
    delete AbortSignal.any;
    delete AbortSignal.timeout;
    delete Promise.withResolvers;
    delete Object.groupBy;
    delete Map.groupBy;
    delete crypto.randomUUID;
  });
  await tab.openAndSignIn();
  await tab.start(WATCHED);
  await tab.reaches('Running');
  await eventually(async () => assert.ok(Number(await tab.textOf('task-percent')) > 0));
  await tab.reaches('Finished');
});

for (const path of ['/tasks', '/no/such/page', '/js/', '/index.htm', '/?x', '/404.html']) {
  pageTest(`whoever comes to ${path} finds a page, and the way back`, async (tab) => {
    tab.expectNoise('the server responded with a status of 404', stack.page_url + path);
    const response = await tab.page.goto(stack.page_url + path);
    assert.match(response.headers()['content-type'], /^text\/html/);
    if (path === '/?x') return tab.reaches('Sign in');
    if (path !== '/404.html') assert.equal(response.status(), 404);
    await tab.reaches('There is no such page');
    assert.match(response.headers()['content-security-policy'] ?? '', /default-src 'none'/);
    await tab.isAccessible();
    await tab.page.getByRole('link', { name: 'Go to Longhaul' }).click();
    await tab.reaches('Sign in');
  });
}

// What people have set of how pages are to look, and unusual screens.

import assert from 'node:assert/strict';

import { LASTING, STATUS, pageTest } from './page.js';
import { eventually } from './stack.js';

pageTest('on a phone the page is as wide as the screen', async (tab) => {
  await tab.open();
  await tab.reaches('Sign in');
  const { width, fontSize } = await tab.page.evaluate(() => ({ width: window.innerWidth, fontSize: getComputedStyle(document.body).fontSize }));
  assert.equal(width, 390);
  assert.equal(fontSize, '16px');
  // iOS zooms in on fields with a smaller font, and stays there.
  assert.equal(await tab.page.locator('#sign-in-username').evaluate((field) => getComputedStyle(field).fontSize), '16px');
}, { context: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true } });

pageTest('the page is set in its own font', async (tab) => {
  await tab.open();
  await tab.reaches('Sign in');
  const isOwn = await tab.page.evaluate(async () => {
    const [face] = [...document.fonts].filter(({ family }) => family === 'Inter');
    await face.loaded;
    return document.fonts.check('16px Inter') && face.status === 'loaded';
  });
  assert.equal(isOwn, true);
  const developer = await tab.page.context().newCDPSession(tab.page);
  await developer.send('DOM.enable');
  await developer.send('CSS.enable');
  const { root } = await developer.send('DOM.getDocument');
  const { nodeId } = await developer.send('DOM.querySelector', { nodeId: root.nodeId, selector: '#sign-in-title' });
  const { fonts } = await developer.send('CSS.getPlatformFontsForNode', { nodeId });
  assert.deepEqual(fonts.map(({ familyName, isCustomFont }) => [familyName, isCustomFont]), [['Inter', true]]);
  // Digits of one width: a percentage must not tremble as it counts.
  const widths = await tab.page.evaluate(() => {
    const heading = document.getElementById('sign-in-title');
    return [...'0123456789'].map((digit) => {
      const probe = document.createElement('span');
      probe.textContent = digit.repeat(20);
      heading.append(probe);
      const { width } = probe.getBoundingClientRect();
      probe.remove();
      return Math.round(width);
    });
  });
  assert.equal(new Set(widths).size, 1, widths.join(', '));
});

pageTest('on a low screen the buttons of the card can be reached', async (tab) => {
  for (let count = 1; count <= 10; count += 1) await tab.user.cancel(await tab.user.start(count));
  await tab.openAndSignIn();
  await tab.start(LASTING);
  const button = tab.button('Cancel task');
  await button.waitFor();
  await tab.page.evaluate(() => {
    const { bottom } = document.getElementById('work').getBoundingClientRect();
    window.scrollTo(0, bottom - window.innerHeight + 20);
  });
  await eventually(async () => {
    const { y, height } = await button.boundingBox();
    assert.ok(y >= 0 && y + height <= 480, `the button is at ${y}`);
  });
  await tab.user.cancel(await tab.user.last());
}, { context: { viewport: { width: 1280, height: 480 } } });

pageTest('where the system chooses the colours, the bar still shows how far it is', async (tab) => {
  await tab.openAndSignIn();
  await tab.alterTasks((task) => {
    if (task.task_status === 'PROCESSING') Object.assign(task, { count_done_items: 500, done_percentage: 50 });
  });
  await tab.start(1_000);
  await eventually(async () => assert.equal(await tab.textOf('task-percent'), '50'));
  const picture = await tab.page.locator('.bar').screenshot();
  // The browser itself reads the picture: that takes no further package.
  const [filled, empty] = await tab.page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const context = new OffscreenCanvas(image.width, image.height).getContext('2d', { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    return [0.25, 0.75].map((share) => [...context.getImageData(share * image.width, image.height / 2, 1, 1).data]);
  }, picture.toString('base64'));
  assert.notDeepEqual(filled, empty);
}, { context: { forcedColors: 'active' }, live: false });

pageTest('with reduced motion nothing moves by itself', async (tab) => {
  await tab.openAndSignIn();
  const polls = tab.requests('GET', STATUS);
  await tab.start(LASTING);
  await tab.reaches('Running');
  const animations = await tab.page.evaluate(() => document.getAnimations().length);
  assert.equal(animations, 0);
  const seen = new Set();
  const enough = polls.length + 3;
  while (polls.length < enough && await tab.heading('Running').isVisible()) seen.add(await tab.progress.getAttribute('value'));
  assert.ok(seen.size > 1, 'the bar was looked at');
  assert.ok(seen.size <= polls.length + 1, `the bar took ${seen.size} positions in ${polls.length} polls`);
  await tab.user.cancel(await tab.user.last());
}, { context: { reducedMotion: 'reduce' }, live: false });

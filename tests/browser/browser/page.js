// A real browser on the deployed page, and a watch over everything it complains about.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { fontconfig } from './fonts.js';
import { PATIENCE_MS, eventually, newUser, stack } from './stack.js';

/** What everything of the API is below: itself the list of jobs. */
export const API = `${stack.api_url}/api/`;
/** Where the submits of each job go. */
export const SUBMIT = `${API}tuned-long-running-task/`;
export const IMPORT = `${API}import-contacts/`;
/** The folder of the page's files: those of one version have it to themselves. */
export const FILES = `${stack.page_url}/${stack.page_version}`;
/** Where the page reads its settings. */
export const CONFIG = `${FILES}/config.json`;
/** The three reads: one task, the list of tasks, a task's items. */
export const STATUS = new RegExp(`^${literally(API)}[a-z-]+/[0-9a-f-]{36}/$`);
export const LIST = new RegExp(`^${literally(API)}tasks/\\?`);
export const ITEMS = new RegExp(`^${literally(API)}[a-z-]+/[0-9a-f-]{36}/items/\\?`);
/**
 * How many items make a task that is still at work when it has been looked at, on a machine that has no time either: 12 s. And
 * one that nobody waits for, who rather cancels it: 20 s, and no number of items takes longer.
 */
export const WATCHED = 60;
export const LASTING = 200;
/** Where the page asks for live updates, and where it gets them. */
export const TICKETS = `${API}live/`;
export const SOCKETS = new RegExp(`^${literally(`${stack.endpoint_url.replace('http://127.0.0.1', 'ws://localhost')}/_aws/execute-api/${stack.socket_api_id}/live`)}\\?`);

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** Whether also what nobody has to wait for every time is done: every module, every picture, axe everywhere. */
export const isLong = process.env.LONGHAUL_LONG === '1';
const TEST_MS_MAX = isLong ? 900_000 : 420_000;

/** Which fonts the browser of this file sees. */
export const font = /** @type {import('./fonts.js').FontSetUp} */ (process.env.LONGHAUL_FONT ?? 'own');
const home = mkdtempSync(`${tmpdir()}/longhaul-browser-`);
const browser = await chromium.launch({
  executablePath: findChromium(),
  // Where people go back, their browsers show what they have kept.
  ignoreDefaultArgs: ['--disable-back-forward-cache'],
  // All that it learns of this machine: what else a shell or a desktop has set, tests must not depend on.
  env: { PATH: process.env.PATH, HOME: home, TMPDIR: tmpdir(), LANG: 'C.UTF-8', FONTCONFIG_FILE: fontconfig(font) },
  args: [
    // Root has no sandbox, and a container little shared memory.
    '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--disable-quic', '--no-first-run', '--no-proxy-server',
    // The browser's own traffic would only fail on a machine without the internet, and slow the tests.
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});
after(async () => {
  await browser.close();
  rmSync(home, { recursive: true, force: true });
});

/** What a person has set, where a test does not say otherwise. */
const person = {
  viewport: { width: 1280, height: 860 },
  locale: 'en-GB',
  timezoneId: 'Europe/Berlin',
  colorScheme: 'light',
  // To draw what turns and glides takes more of the machine than all the rest.
  reducedMotion: 'reduce',
  forcedColors: 'none',
};
/** For the tests of what moves. */
export const moving = { reducedMotion: 'no-preference' };

/** The page's settings. Asked for with the browser: Node does not find names under .localhost. */
const config = await (async () => {
  const page = await browser.newPage();
  const response = await page.goto(CONFIG);
  const settings = await response.json();
  await page.close();
  return settings;
})();
/** Cognito's address as the page knows it. */
export const COGNITO = new URL(config.cognito_url).href;

/** Most of a test is waiting for the stack: so a few of a file run at once. */
const TESTS_AT_A_TIME = 3;
/** The tests of this file. */
let tests = null;

/**
 * A test with a user and a tab of its own.
 *
 * Whatever else it checks, it fails on any console message, uncaught error or violated policy that it
 * has not announced with `tab.expectNoise`, and on any request to somebody who has no part in this.
 *
 * @param {string} name
 * @param {(tab: Tab) => Promise<void>} body
 * @param {{ user?: { temporary?: boolean }, context?: import('playwright-core').BrowserContextOptions, live?: boolean, settings?: object }} [options]
 *   `settings`: what the page is told otherwise than by the stack; `live`: whether the page is to know of live updates; not where a test is about polls, or changes what they are answered
 */
export function pageTest(name, body, { user, context, live, settings } = {}) {
  if (tests === null) {
    tests = [];
    // When the file has been read, all of its tests are known.
    queueMicrotask(() => describe('in a browser', { concurrency: TESTS_AT_A_TIME }, () => tests.forEach((define) => define())));
  }
  tests.push(() => test(name, { timeout: TEST_MS_MAX }, async () => {
    await usePage(body, { user: await newUser(user), context, live, settings });
  }));
}

export async function usePage(body, { user, context: options = {}, live = true, settings = live ? {} : { live_updates: false } }) {
  const context = await browser.newContext({ ...person, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  await context.addInitScript(keepSockets);
  const noise = new Noise(context);
  const tab = new Tab(await context.newPage(), user, noise);
  if (font !== 'own') await blockFont(context, noise);
  if (Object.keys(settings).length > 0) await context.route(CONFIG, answer(200, { ...config, ...settings }));
  try {
    await body(tab);
    noise.check();
  } catch (error) {
    if (noise.heard.length) error.message += `\nThe browser said:\n${noise.heard.join('\n')}`;
    throw error;
  } finally {
    // What is still on its way through a handler is nobody's concern any more.
    await Promise.all(context.pages().map((page) => page.unrouteAll({ behavior: 'ignoreErrors' })));
    await context.close();
  }
}

/** Has the page do without its own font. */
async function blockFont(context, noise) {
  await context.route('**/*.woff2', (route) => route.abort());
  noise.expect('net::ERR_FAILED', /.*\.woff2/);
}

/** Has the page keep its sockets where tests find them: the browser does not tell when one is open. */
function keepSockets() {
  window.sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(url) {
      super(url);
      window.sockets.push(this);
    }
  };
}

const BUSY = new RegExp(`^error: Failed to load resource: the server responded with a status of 503.*\\(${literally(API)}`);
const BUSY_MAX = 3;

/** What the browser complains about, in all tabs of a context. */
class Noise {
  heard = [];
  #expected = [];

  constructor(context) {
    context.on('console', (message) => this.heard.push(`${message.type()}: ${message.text()} (${message.location().url})`));
    context.on('weberror', (error) => this.heard.push(`uncaught: ${error.error().stack}`));
    context.on('request', (request) => {
      if (![stack.page_url, stack.api_url, COGNITO].some((known) => request.url().startsWith(known))) this.heard.push(`stranger: ${request.url()}`);
    });
    context.on('page', (page) => page.on('websocket', (socket) => SOCKETS.test(socket.url()) || this.heard.push(`stranger: ${socket.url()}`)));
  }

  /** Chromium reports every failed request as an error: these are the ones that the test is about. */
  expect(text, url) {
    this.#expected.push(new RegExp(`^error: Failed to load resource: ${literally(text)}.*\\(${pattern(url)}\\)$`));
  }

  /** @param {RegExp} pattern for what it says in words of its own */
  expectAny(pattern) {
    this.#expected.push(pattern);
  }

  /** What it says of an answer that lacks the header that would let the page read it. */
  expectBlocked(url) {
    this.#expected.push(new RegExp(`^error: Access to fetch at '${pattern(url)}' .*blocked by CORS policy`));
  }

  check() {
    const unexpected = this.heard.filter((line) => !this.#expected.some((expected) => expected.test(line)));
    // A busy machine has no time for a request now and then, and the page asks again. More of these are no accident.
    const busy = unexpected.filter((line) => BUSY.test(line)).slice(0, BUSY_MAX);
    assert.deepEqual(unexpected.filter((line) => !busy.includes(line)), []);
  }
}

export class Tab {
  constructor(page, user, noise) {
    this.page = page;
    this.user = user;
    this.noise = noise;
  }

  /** Another tab of the same browser. */
  async another() {
    return new Tab(await this.page.context().newPage(), this.user, this.noise);
  }

  expectNoise(text, url) {
    this.noise.expect(text, url);
  }

  expectBlocked(url) {
    this.noise.expectBlocked(url);
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  heading(name) {
    return this.page.getByRole('heading', { name, exact: true });
  }

  /** Follows the link out of a page that could not be opened. */
  async tryAgain() {
    await this.page.getByRole('link', { name: 'Try again' }).click();
  }

  get count() {
    return this.page.getByLabel('Number of items');
  }

  /** Chooses the job of that title. */
  async choose(title) {
    await this.page.getByRole('radio', { name: title }).check();
  }

  /** Has a file chosen for the import. @param {string} text @param {string} [name] */
  async chooseFile(text, name = 'contacts.csv') {
    await this.page.locator('#start input[type=file]').setInputFiles({ name, mimeType: 'text/csv', buffer: Buffer.from(text) });
  }

  /** Presses a button that has a file made. @param {string} name @returns {Promise<{ text: string, lines: number, called: string }>} */
  async downloads(name, atLeast = 0) {
    const [download] = await Promise.all([this.page.waitForEvent('download'), this.button(name).click()]);
    const text = readFileSync(await download.path(), 'utf8');
    const lines = text.trimEnd().split('\r\n').length;
    assert.ok(lines >= atLeast, `${lines} lines`);
    return { text: text.replace(/^\ufeff/, ''), lines, called: download.suggestedFilename() };
  }

  get progress() {
    return this.page.getByRole('progressbar');
  }

  /** @param {'load' | 'commit'} [until] */
  async open(until = 'load') {
    await this.page.goto(stack.page_url, { waitUntil: until });
  }

  async openAndSignIn() {
    await this.open();
    await this.signIn();
    await this.page.locator('#work:not([aria-busy])').waitFor();
  }

  async signIn(password = this.user.password, username = this.user.username) {
    await this.page.getByRole('textbox', { name: 'Username' }).fill(username);
    await this.page.getByLabel('Password', { exact: true }).fill(password);
    await this.button('Sign in').click();
  }

  async start(count) {
    await this.count.fill(String(count));
    await this.button('Start').click();
  }

  /** Waits for a heading of that name. */
  async reaches(name, timeout = PATIENCE_MS) {
    await this.heading(name).waitFor({ timeout });
  }

  /** Waits for a text to be seen. */
  async says(text) {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor();
  }

  async textOf(id) {
    return (await this.page.locator(`#${id}`).textContent()).trim();
  }

  async percentReaches(percent) {
    await eventually(async () => assert.ok(Number(await this.textOf('task-percent')) >= percent));
  }

  /** Waits until the bar of a cancelled task has moved to where its work stopped. */
  async barArrives() {
    await eventually(async () => {
      const [outcome, count] = [await this.textOf('task-outcome'), await this.textOf('task-count')];
      assert.ok(outcome.startsWith(`Cancelled after ${count}`) || outcome.startsWith('Cancelled before'), `${outcome} ${count}`);
    });
  }

  /** What has the keyboard, by its name or its text. */
  async focused() {
    return this.page.evaluate(() => {
      const element = document.activeElement;
      return element?.id || element?.getAttribute('aria-label') || element?.textContent?.trim();
    });
  }

  async focusIsOn(id) {
    await eventually(async () => assert.equal(await this.focused(), id));
  }

  /** Requests of the page from now on, as they go out. */
  requests(method, url) {
    const seen = [];
    const wanted = url instanceof RegExp ? url : new RegExp(`^${pattern(url)}$`);
    this.page.on('request', (request) => {
      if (request.method() === method && wanted.test(request.url())) seen.push({ sentAt: Date.now(), request });
    });
    return seen;
  }

  /** Sockets that the page opens from now on. @returns {import('playwright-core').WebSocket[]} */
  sockets() {
    const seen = [];
    this.page.on('websocket', (socket) => seen.push(socket));
    return seen;
  }

  /** Waits until the page has its socket, and no other one. The server knows of one a little sooner. */
  async isConnected() {
    await eventually(async () => assert.equal(await this.page.evaluate(() => window.sockets.filter(({ readyState }) => readyState === 1).length), 1));
  }

  /**
   * Handles the next requests of one method in the server's place. Preflights and all others pass,
   * and do not count.
   */
  async intercept(method, url, handle, times = Infinity) {
    let left = times;
    await this.page.route(url, (route) => {
      if (route.request().method() !== method || left === 0) return route.fallback();
      left -= 1;
      return handle(route);
    });
  }

  /** Keeps the next requests waiting. @returns {Promise<() => void>} what lets them go */
  async hold(method, url, times = 1) {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await this.intercept(method, url, async (route) => {
      await held;
      return route.fallback();
    }, times);
    return release;
  }

  /**
   * Changes what the API says of one task, where the sample's items give no reason to say it.
   *
   * @param {(task: object) => void} alter
   * @param {object} [headers] of the answers
   */
  async alterTasks(alter, headers = {}) {
    const altered = async (route) => {
      const response = await route.fetch({ headers: { ...route.request().headers(), 'if-none-match': '' } });
      const body = await response.json();
      for (const task of body.data?.tasks ?? (body.data ? [body.data] : [])) alter(task);
      return route.fulfill({ response, json: body, headers: { ...response.headers(), ...headers } });
    };
    await this.intercept('GET', STATUS, altered);
    await this.intercept('GET', LIST, altered);
  }

  /** Has Cognito refuse the next request for a reason that the emulator never has. */
  async cognitoRefusesOnce(reason) {
    await this.intercept('POST', COGNITO, answer(400, reason), 1);
  }

  /** Gives the page the word of another tab. */
  async hears(kind, content = {}) {
    await this.page.evaluate((message) => new BroadcastChannel('longhaul').postMessage(message), { kind, content });
  }

  /**
   * Goes to another page and, when something has happened meanwhile, back. Some browsers have kept this one as it was, some
   * have not.
   */
  async leaveAndComeBack(meanwhile) {
    await this.page.goto(`${stack.page_url}/404.html`);
    await meanwhile();
    // Playwright waits for it to load, which a page that was kept does not.
    await this.page.evaluate(() => history.back()).catch(() => {});
    await this.page.waitForURL(`${stack.page_url}/`, { waitUntil: 'commit' });
  }

  /** What a page that was kept as it was is told when it is shown again. */
  async isShownAgain() {
    await this.page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  }

  /**
   * Has the machine sleep: the time of day jumps, and no timer notices. The page's clock must be the test's by then
   * (`tab.page.clock.install()`).
   */
  async sleep(ms) {
    await this.page.clock.setSystemTime(await this.page.evaluate(() => Date.now()) + ms);
  }

  /** Pretends that the tab is or is not in front; Chromium does not tell headless tabs apart. */
  async setHidden(hidden) {
    await this.page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => (value ? 'hidden' : 'visible') });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  }

  /** Everything that a screen reader was given to say, as it comes; what a modal dialog covers is not heard. */
  async announcements() {
    await this.page.evaluate(() => {
      window.announced = [];
      for (const announcer of document.querySelectorAll('.announcer')) {
        new MutationObserver(() => {
          const text = announcer.textContent.trim();
          const dialog = document.querySelector('dialog:modal');
          if (text && (!dialog || dialog.contains(announcer))) window.announced.push(text);
        }).observe(announcer, { childList: true, characterData: true, subtree: true });
      }
    });
    return () => this.page.evaluate(() => window.announced);
  }

  /** Waits until what fades or slides in is there; what only comes after a while is not waited for. */
  async isSettled() {
    await this.page.evaluate(() => Promise.all(document.getAnimations()
      .filter((animation) => animation.effect?.getComputedTiming().endTime !== Infinity && animation.effect.getTiming().duration !== 0)
      .map((animation) => animation.finished.catch(() => {}))));
  }

  /** Fails where axe finds anything to object to. @param {string[]} [rules] all, if none are named */
  async isAccessible(rules) {
    if (!(await this.page.evaluate(() => 'axe' in window))) await this.page.evaluate(axeSource);
    const runOnly = rules ? { runOnly: { type: 'rule', values: rules } } : {};
    const { violations } = await this.page.evaluate((options) => window.axe.run(document, options), { resultTypes: ['violations'], ...runOnly });
    assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join('; ')}`), []);
  }
}

/** @returns {string} the executable */
function findChromium() {
  const { stdout, stderr } = spawnSync(fileURLToPath(new URL('../find-chromium', import.meta.url)), { encoding: 'utf8' });
  assert.ok(stdout, `no Chromium: run tests/browser/install-chromium, or name one with CHROMIUM. ${stderr}`);
  return stdout.trim();
}

/** An answer that the page may read although it comes from another origin. */
export function answer(status, json, headers = {}) {
  return (route) => route.fulfill({ status, json, headers: { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'retry-after', ...headers } });
}

/** An address for a regular expression: itself, and for the API everything below it. */
function pattern(url) {
  if (url instanceof RegExp) return url.source;
  return literally(url) + (url === API ? '.*' : '');
}

function literally(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

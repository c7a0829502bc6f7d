// Starts the page: reads where the stack is, finds out who is signed in, and
// leads to the sign-in form or home.

import './opening.js';

import { Api } from './api.js';
import { withDeadline } from './deadline.js';
import { announce, byId, setText } from './dom.js';
import { Home } from './home.js';
import { CognitoError, Session } from './session.js';
import { SignIn } from './sign-in.js';
import { Tabs } from './tabs.js';
import { isBlocked, startProblem } from './words.js';

/** @import { Config } from './session.js' */

/** So that who waits for it is told within a quarter of a minute. */
const CONFIG_MS_MAX = 10_000;
const SESSION_ENDED = 'Your session has ended. Sign in again; a running task goes on meanwhile.';

const account = byId('account', HTMLElement);
const loading = byId('loading', HTMLElement);
const unavailable = byId('unavailable', HTMLElement);
const reason = byId('unavailable-reason', HTMLElement);

/** @returns {Promise<Config>} written by whoever deployed the page, into the folder of this version of it */
function loadConfig() {
  return withDeadline(CONFIG_MS_MAX, async (signal) => {
    const response = await fetch(new URL('../config.json', import.meta.url), { signal });
    if (!response.ok) throw new Error(`config.json: ${response.status}`);
    return response.json();
  });
}

/** @param {string} text */
function showUnavailable(text) {
  setText(reason, text);
  loading.hidden = true;
  unavailable.classList.remove('late');
  unavailable.hidden = false;
}

/** Until something is there to be shown; who has to wait for longer is told so by the style sheet. */
function showLoading() {
  setText(reason, 'This takes longer than usual. It may still come; or try again.');
  unavailable.classList.add('late');
  unavailable.hidden = loading.hidden = false;
}

function hideLoading() {
  unavailable.hidden = loading.hidden = true;
}

async function main() {
  // What the page needs is not there, and opening.js has said so.
  if ('outdated' in document.documentElement.dataset) return;
  window.addEventListener('online', () => byId('reload', HTMLElement).offsetParent && location.reload());
  showLoading();

  let config;
  try {
    config = await loadConfig();
  } catch {
    showUnavailable('The page could not read its settings. Check your connection, or ask whoever runs it.');
    return;
  }
  await orSayWhy(() => start(config));
}

/** @param {() => Promise<void>} action that may find out that nothing can be shown */
async function orSayWhy(action) {
  try {
    await action();
  } catch (error) {
    showUnavailable(startProblem(error));
    // What nobody has foreseen is for whoever looks into the console.
    if (!(error instanceof CognitoError || isBlocked(error))) throw error;
  }
}

/** @param {Config} config */
async function start(config) {
  const tabs = new Tabs();
  const session = new Session(config, tabs);
  const home = new Home({
    api: new Api(config.api_url, session),
    session,
    tabs,
    hasLiveUpdates: config.live_updates === true,
    onSessionEnded: () => toSignIn(SESSION_ENDED),
  });
  const signIn = new SignIn(session, () => toHome(true));

  /** @param {boolean} takeFocus */
  function toHome(takeFocus) {
    hideLoading();
    signIn.hide();
    setText(byId('username', HTMLElement), session.username);
    account.hidden = false;
    void home.enter({ takeFocus });
  }

  /** @param {string} [lead] */
  function toSignIn(lead) {
    hideLoading();
    home.leave();
    account.hidden = true;
    signIn.show(lead);
    if (lead) announce(lead);
  }

  byId('sign-out', HTMLButtonElement).addEventListener('click', () => {
    void session.signOut();
    toSignIn('You are signed out.');
  });

  // Out of the browser's cache the page comes back as it was left, and heard nothing meanwhile.
  window.addEventListener('pageshow', ({ persisted }) => {
    if (!persisted) return;
    if (!session.isSignedIn) {
      // Another tab may know of a session; then it leads home through onChangedElsewhere.
      void session.restore();
      return;
    }
    home.leave();
    account.hidden = true;
    showLoading();
    void orSayWhy(async () => ((await session.restore()) ? toHome(false) : toSignIn(SESSION_ENDED)));
  });

  if (await session.restore()) toHome(false);
  else toSignIn();
  session.onChangedElsewhere = (isSignedIn) => (isSignedIn ? toHome(true) : toSignIn('You signed out in another tab.'));
}

void main();

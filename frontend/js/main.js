// Starts the page: reads where the stack is, finds out who is signed in, and
// leads to the sign-in form or home.

import { Api } from './api.js';
import { announce, byId, setText } from './dom.js';
import { Home } from './home.js';
import { CognitoError, Session } from './session.js';
import { SignIn } from './sign-in.js';
import { Tabs } from './tabs.js';
import { isBlocked, startProblem } from './words.js';

/** @import { Config } from './session.js' */

const account = byId('account', HTMLElement);
const loading = byId('loading', HTMLElement);

/** @returns {Promise<Config>} written by whoever deployed the page, into the folder of this version of it */
async function loadConfig() {
  const response = await fetch(new URL('../config.json', import.meta.url));
  if (!response.ok) throw new Error(`config.json: ${response.status}`);
  return response.json();
}

/** @param {string} reason */
function showUnavailable(reason) {
  loading.hidden = true;
  setText(byId('unavailable-reason', HTMLElement), reason);
  byId('unavailable', HTMLElement).hidden = false;
}

async function main() {
  const reload = byId('reload', HTMLButtonElement);
  reload.addEventListener('click', () => location.reload());
  window.addEventListener('online', () => reload.offsetParent && location.reload());

  let config;
  try {
    config = await loadConfig();
  } catch {
    showUnavailable('The page could not read its settings. Check your connection, or ask whoever runs it.');
    return;
  }

  try {
    await start(config);
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
    onSessionEnded: () => toSignIn('Your session has ended. Sign in again; a running task goes on meanwhile.'),
  });
  const signIn = new SignIn(session, () => toHome(true));

  /** @param {boolean} takeFocus */
  function toHome(takeFocus) {
    loading.hidden = true;
    signIn.hide();
    setText(byId('username', HTMLElement), session.username);
    account.hidden = false;
    void home.enter({ takeFocus });
  }

  /** @param {string} [lead] */
  function toSignIn(lead) {
    loading.hidden = true;
    home.leave();
    account.hidden = true;
    signIn.show(lead);
    if (lead) announce(lead);
  }

  byId('sign-out', HTMLButtonElement).addEventListener('click', () => {
    void session.signOut();
    toSignIn('You are signed out.');
  });

  if (await session.restore()) toHome(false);
  else toSignIn();
  session.onChangedElsewhere = (isSignedIn) => (isSignedIn ? toHome(true) : toSignIn('You signed out in another tab.'));
}

void main();

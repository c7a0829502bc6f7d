// The two forms that lead in: username and password, and choosing a new password.

import { announce, byId, isBusy, setBusy, setProblem, setText } from './dom.js';
import { BLANK_AROUND, signInProblem } from './refusals.js';

/** @import { Session } from './session.js' */

export class SignIn {
  #section = byId('sign-in', HTMLElement);
  #lead = byId('sign-in-lead', HTMLElement);
  #username = byId('sign-in-username', HTMLInputElement);
  #password = byId('sign-in-password', HTMLInputElement);
  #problem = byId('sign-in-problem', HTMLElement);
  #newSection = byId('new-password', HTMLElement);
  #newUsername = byId('new-password-username', HTMLInputElement);
  #newPassword = byId('new-password-password', HTMLInputElement);
  #newProblem = byId('new-password-problem', HTMLElement);
  /** @type {((newPassword: string) => Promise<void>) | null} */ #finish = null;
  #toggles = document.querySelectorAll('.toggle');
  #session;
  #onSignedIn;

  /** @param {Session} session @param {() => void} onSignedIn */
  constructor(session, onSignedIn) {
    this.#session = session;
    this.#onSignedIn = onSignedIn;
    onSubmit('sign-in-form', () => this.#signIn());
    onSubmit('new-password-form', () => this.#saveNewPassword());
    byId('new-password-back', HTMLButtonElement).addEventListener('click', () => this.show());
    for (const toggle of this.#toggles) toggle.addEventListener('click', () => togglePassword(toggle));
  }

  /** @param {string} [lead] why signing in is asked for */
  show(lead = 'Start long-running tasks and watch them to the end.') {
    this.hide();
    setText(this.#lead, lead);
    this.#section.hidden = false;
    this.#username.focus();
  }

  /** Hides both forms and forgets what was typed. */
  hide() {
    this.#section.hidden = this.#newSection.hidden = true;
    this.#password.value = this.#newPassword.value = '';
    for (const toggle of this.#toggles) togglePassword(toggle, false);
    setProblem(this.#password, this.#problem, '');
    setProblem(this.#newPassword, this.#newProblem, '');
    this.#finish = null;
  }

  async #signIn() {
    const username = withoutBlanksAround(this.#username.value);
    // No password of Cognito begins or ends with a blank: one that is there was pasted along.
    const password = withoutBlanksAround(this.#password.value);
    if (username === '' || password === '') {
      setText(this.#problem, username === '' ? 'Enter your username.' : 'Enter your password.');
      (username === '' ? this.#username : this.#password).focus();
      return;
    }
    setText(this.#problem, '');
    try {
      const finish = await this.#session.signIn(username, password);
      if (finish) this.#askForNewPassword(username, finish);
      else this.#onSignedIn();
    } catch (error) {
      setText(this.#problem, signInProblem(error));
      this.#password.select();
      this.#password.focus();
    }
  }

  /** @param {string} username @param {(newPassword: string) => Promise<void>} finish */
  #askForNewPassword(username, finish) {
    this.hide();
    this.#finish = finish;
    this.#newUsername.value = username;
    this.#newSection.hidden = false;
    this.#newPassword.focus();
    announce('Choose a new password to go on.');
  }

  async #saveNewPassword() {
    const password = this.#newPassword.value;
    // Whoever means the blank would miss it everywhere else; so it is not left out unasked here.
    const isBlankAround = password !== withoutBlanksAround(password);
    const problem = password === '' ? 'Enter a new password.' : isBlankAround ? BLANK_AROUND : '';
    setProblem(this.#newPassword, this.#newProblem, problem);
    if (problem) {
      this.#newPassword.focus();
      return;
    }
    try {
      await this.#finish?.(password);
      this.#onSignedIn();
    } catch (error) {
      setProblem(this.#newPassword, this.#newProblem, signInProblem(error));
      this.#newPassword.focus();
    }
  }
}

/** @param {string} typed or pasted, with what cannot be seen around it @returns {string} */
function withoutBlanksAround(typed) {
  return typed.replace(/^[\s\u200b\u2060]+|[\s\u200b\u2060]+$/g, '');
}

/**
 * Handles a form by script alone; the page's policy lets no form be sent anywhere. A form whose
 * last submit is still under way does not start another one.
 *
 * @param {string} id
 * @param {() => Promise<void>} handle
 */
function onSubmit(id, handle) {
  const form = byId(id, HTMLFormElement);
  const button = /** @type {HTMLButtonElement} */ (form.querySelector('[type=submit]'));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (isBusy(button)) return;
    setBusy(button, true);
    await handle().finally(() => setBusy(button, false));
  });
}

/** @param {Element} toggle @param {boolean} [isShown] the other way round, if nothing else is said */
function togglePassword(toggle, isShown) {
  const input = byId(toggle.getAttribute('aria-controls') ?? '', HTMLInputElement);
  const willShow = isShown ?? input.type === 'password';
  input.type = willShow ? 'text' : 'password';
  setText(/** @type {Element} */ (toggle.firstElementChild), willShow ? 'Hide' : 'Show');
}

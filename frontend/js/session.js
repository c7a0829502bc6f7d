// Who is signed in: Cognito's user pool API over fetch, and the tokens.
//
// The access token lives in memory only. The refresh token is kept in
// sessionStorage so that a reload stays signed in, and goes when the tab goes.
// A second tab starts with an empty sessionStorage; it asks the open tabs over
// a BroadcastChannel, which the browser delivers within this origin only. That
// gives every tab of one browser the same session, and unlike localStorage it
// leaves nothing behind once the last tab is closed.

import { withDeadline } from './deadline.js';

/** @import { Tabs } from './tabs.js' */

/**
 * @typedef {object} Config
 * @property {string} api_url
 * @property {string} region
 * @property {string} user_pool_id
 * @property {string} client_id
 * @property {string} cognito_url
 * @property {boolean} [rotates_refresh_tokens] whether each refresh token is good for one renewal only
 * @property {boolean} [live_updates] whether the stack tells of changes as they happen
 */

/**
 * @typedef {object} Tokens
 * @property {string} accessToken
 * @property {string} refreshToken
 * @property {number} expiresAt on this machine's clock, in ms
 * @property {string} username
 * @property {number} serverAheadMs how far the server's clock is ahead of this machine's
 */

/**
 * @typedef {object} AuthenticationResult
 * @property {string} AccessToken
 * @property {number} ExpiresIn seconds
 * @property {string} [RefreshToken] absent when refreshing, unless the pool rotates refresh tokens
 */

/**
 * @typedef {object} InitiateAuthAnswer
 * @property {AuthenticationResult} [AuthenticationResult]
 * @property {string} [ChallengeName]
 * @property {string} [Session]
 * @property {Record<string, string>} [ChallengeParameters]
 */

/** A token is renewed this long before it ends, so that none ends on its way to the server. */
const RENEW_BEFORE_MS = 60_000;
const REQUEST_MS_MAX = 15_000;
/** How long a new tab waits for another tab's session before it shows the sign-in form. */
const OTHER_TAB_MS_MAX = 150;
/** Below this, a difference between the clocks is as likely the network's delay. */
const CLOCK_SKEW_MS_MIN = 5_000;
const STORAGE_KEY = 'longhaul.session';

/** Cognito said no; `code` is its exception's name, `Network` where it said nothing at all. */
export class CognitoError extends Error {
  /** @param {string} code @param {string} message @param {number} [status] of the answer; 0 where there was none */
  constructor(code, message, status = 0) {
    super(message);
    this.name = 'CognitoError';
    this.code = code;
    this.status = status;
  }

  /** Throttling has more than one name, and comes with 400 as well as with 429. */
  get isThrottled() {
    return this.status === 429 || /Throttl|TooMany|LimitExceeded/i.test(this.code);
  }

  /** Whether the same request may succeed later: anything but a real refusal. */
  get isRetryable() {
    return this.isThrottled || this.status >= 500 || /^(Network|InternalError.*)$/.test(this.code);
  }
}

/** The session cannot be renewed: only signing in again helps. */
export class SessionEnded extends Error {
  constructor() {
    super('The session has ended.');
    this.name = 'SessionEnded';
  }
}

export class Session {
  #config;
  #tabs;
  /** @type {Tokens | null} */ #tokens = null;
  /** @type {Promise<Tokens> | null} */ #renewing = null;
  /** Counts comings and goings, so that a renewal that is answered after one of them changes nothing. */
  #visit = 0;

  /** Called when another tab signs in or out. @type {(isSignedIn: boolean) => void} */
  onChangedElsewhere = () => {};

  /** @param {Config} config @param {Tabs} tabs */
  constructor(config, tabs) {
    this.#config = config;
    this.#tabs = tabs;
    tabs.on('session-wanted', () => this.#tokens && tabs.post('session', this.#tokens));
    tabs.on('session', (tokens) => this.#adopt(tokens));
    tabs.on('signed-out', () => {
      if (!this.#tokens) return;
      this.#forget();
      this.onChangedElsewhere(false);
    });
  }

  get isSignedIn() {
    return this.#tokens !== null;
  }

  get username() {
    return this.#tokens?.username ?? '';
  }

  /** The server's time now, which is what its timestamps are to be compared with. */
  serverNow() {
    return Date.now() + (this.#tokens?.serverAheadMs ?? 0);
  }

  /**
   * Picks up the session of before a reload, or another tab's.
   *
   * @returns {Promise<boolean>} whether somebody is signed in now
   * @throws {CognitoError} when Cognito cannot be reached, so that nobody knows
   */
  async restore() {
    const refreshToken = sessionStorage.getItem(STORAGE_KEY);
    if (refreshToken !== null) {
      try {
        await this.#renew(refreshToken);
        return true;
      } catch (error) {
        if (!(error instanceof SessionEnded)) throw error;
      }
    }
    // A tab that answers later than this still signs this one in, through onChangedElsewhere.
    this.#tabs.post('session-wanted', null);
    await new Promise((resolve) => setTimeout(resolve, OTHER_TAB_MS_MAX));
    return this.isSignedIn;
  }

  /**
   * @param {string} username
   * @param {string} password
   * @returns {Promise<((newPassword: string) => Promise<void>) | null>} null when signed in; a function that
   *   finishes signing in when the user has to choose a new password first
   * @throws {CognitoError}
   */
  async signIn(username, password) {
    const answer = await this.#cognito('InitiateAuth', {
      AuthFlow: 'USER_PASSWORD_AUTH',
      ClientId: this.#config.client_id,
      AuthParameters: { USERNAME: username, PASSWORD: password },
    });
    if (answer.AuthenticationResult) {
      this.#signedIn(answer.AuthenticationResult);
      return null;
    }
    if (answer.ChallengeName !== 'NEW_PASSWORD_REQUIRED') {
      throw new CognitoError('UnsupportedChallenge', answer.ChallengeName ?? 'none');
    }
    return async (newPassword) => {
      const { AuthenticationResult } = await this.#cognito('RespondToAuthChallenge', {
        ChallengeName: 'NEW_PASSWORD_REQUIRED',
        ClientId: this.#config.client_id,
        Session: answer.Session,
        ChallengeResponses: {
          USERNAME: answer.ChallengeParameters?.USER_ID_FOR_SRP ?? username,
          NEW_PASSWORD: newPassword,
        },
      });
      if (!AuthenticationResult) throw new CognitoError('UnsupportedChallenge', 'after the new password');
      this.#signedIn(AuthenticationResult);
    };
  }

  /**
   * A token that is good for a request now, renewed where it is about to end.
   *
   * @param {string} [rejected] a token that the API has just refused, whatever its expiry says
   * @returns {Promise<string>}
   * @throws {SessionEnded | CognitoError}
   */
  async accessToken(rejected) {
    if (!this.#tokens) throw new SessionEnded();
    const { accessToken, expiresAt, refreshToken } = this.#tokens;
    if (accessToken !== rejected && Date.now() < expiresAt - RENEW_BEFORE_MS) return accessToken;
    // Several requests may find the token old at once; they share one renewal.
    if (!this.#renewing) {
      const renewing = this.#renew(refreshToken).finally(() => {
        if (this.#renewing === renewing) this.#renewing = null;
      });
      this.#renewing = renewing;
    }
    return (await this.#renewing).accessToken;
  }

  /** Forgets a session whose newest token the API refuses. @param {string} rejected */
  end(rejected) {
    // Whoever has signed in meanwhile has nothing to do with it.
    if (this.#tokens?.accessToken === rejected) this.#forget();
  }

  /** Forgets the session here and in all tabs at once, and has Cognito revoke it. */
  async signOut() {
    const refreshToken = this.#tokens?.refreshToken;
    this.#forget();
    this.#tabs.post('signed-out', null);
    if (!refreshToken) return;
    // Whoever signs out must not be kept by a slow network, and may close the tab at once: the browser sees it through.
    await this.#cognito('RevokeToken', { ClientId: this.#config.client_id, Token: refreshToken }, { keepalive: true }).catch(() => {});
  }

  /** @param {string} refreshToken @returns {Promise<Tokens>} */
  async #renew(refreshToken) {
    const visit = this.#visit;
    try {
      const { AuthenticationResult } = await this.#fresh(refreshToken);
      if (!AuthenticationResult || visit !== this.#visit) throw new SessionEnded();
      const tokens = this.#keep(AuthenticationResult, refreshToken);
      // A pool that rotates refresh tokens has just replaced the one that the other tabs hold.
      if (AuthenticationResult.RefreshToken) this.#tabs.post('session', tokens);
      return tokens;
    } catch (error) {
      if (error instanceof CognitoError && error.isRetryable) throw error;
      // Whoever is signed in now has nothing to do with it.
      if (visit !== this.#visit) throw new SessionEnded();
      // Another tab was first: a pool that rotates refresh tokens takes each of them once.
      if (this.#tokens && this.#tokens.refreshToken !== refreshToken) return this.#tokens;
      this.#forget();
      throw new SessionEnded();
    }
  }

  /** @param {string} refreshToken @returns {Promise<InitiateAuthAnswer>} */
  #fresh(refreshToken) {
    const client = { ClientId: this.#config.client_id };
    // The one way where refresh tokens rotate; the emulator, where they do not, only has the other.
    if (this.#config.rotates_refresh_tokens) return this.#cognito('GetTokensFromRefreshToken', { ...client, RefreshToken: refreshToken });
    return this.#cognito('InitiateAuth', { ...client, AuthFlow: 'REFRESH_TOKEN_AUTH', AuthParameters: { REFRESH_TOKEN: refreshToken } });
  }

  /** @param {AuthenticationResult} result */
  #signedIn(result) {
    this.#startVisit();
    this.#tabs.post('session', this.#keep(result, ''));
  }

  /** @param {AuthenticationResult} result @param {string} oldRefreshToken @returns {Tokens} */
  #keep(result, oldRefreshToken) {
    const claims = claimsOf(result.AccessToken);
    const serverAheadMs = claims.iat * 1_000 - Date.now();
    this.#tokens = {
      accessToken: result.AccessToken,
      refreshToken: result.RefreshToken ?? oldRefreshToken,
      expiresAt: Date.now() + result.ExpiresIn * 1_000,
      username: claims.username,
      serverAheadMs: Math.abs(serverAheadMs) < CLOCK_SKEW_MS_MIN ? 0 : serverAheadMs,
    };
    sessionStorage.setItem(STORAGE_KEY, this.#tokens.refreshToken);
    return this.#tokens;
  }

  /** @param {Tokens} tokens another tab's */
  #adopt(tokens) {
    const wasSignedIn = this.isSignedIn;
    if (wasSignedIn && this.username !== tokens.username) return;
    if (!wasSignedIn) this.#startVisit();
    this.#tokens = tokens;
    sessionStorage.setItem(STORAGE_KEY, tokens.refreshToken);
    if (!wasSignedIn) this.onChangedElsewhere(true);
  }

  #startVisit() {
    this.#visit += 1;
    this.#renewing = null;
  }

  #forget() {
    this.#startVisit();
    this.#tokens = null;
    sessionStorage.removeItem(STORAGE_KEY);
  }

  /**
   * @param {string} action
   * @param {object} body
   * @param {{ keepalive?: boolean }} [options] whether the request is to outlive the page
   * @returns {Promise<InitiateAuthAnswer>}
   */
  async #cognito(action, body, { keepalive = false } = {}) {
    const { ok, status, answer } = await withDeadline(REQUEST_MS_MAX, async (signal) => {
      const response = await fetch(this.#config.cognito_url, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/x-amz-json-1.1',
          'X-Amz-Target': `AWSCognitoIdentityProviderService.${action}`,
        },
        body: JSON.stringify(body),
        keepalive,
        signal,
      });
      return { ok: response.ok, status: response.status, answer: await response.json().catch(() => null) };
    }).catch(() => {
      throw new CognitoError('Network', 'no answer');
    });
    if (ok && answer) return answer;
    // A success whose body cannot be read is a lost answer.
    if (ok) throw new CognitoError('Network', 'no readable answer');
    // Whatever has no type does not come from Cognito itself, and so is no refusal.
    // The type may come with a namespace in front: "com.amazonaws…#NotAuthorizedException".
    const code = String(answer?.__type ?? 'InternalErrorException');
    throw new CognitoError(code.slice(code.lastIndexOf('#') + 1), String(answer?.message ?? answer?.Message ?? ''), status);
  }
}

/**
 * What the access token says. The page only shows it; checking it is the API's business.
 *
 * @param {string} token
 * @returns {{ username: string, iat: number }}
 */
function claimsOf(token) {
  const payload = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

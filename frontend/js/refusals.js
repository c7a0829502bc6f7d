// What Cognito's refusals mean to the person who wants to sign in. Its own words are for programmers, and the same name
// stands for things that ask for quite different deeds; none of its texts reaches the screen as it is. The names are those
// of https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html and of
// API_RespondToAuthChallenge.html; the texts behind them are documented nowhere and were collected.

import { CognitoError } from './session.js';

const ASK_FOR_NEW = 'Ask whoever manages the account for a new one.';
const ASK = 'Ask whoever manages the account.';
const TELL = 'Tell whoever runs this page.';
export const BLANK_AROUND = 'A password cannot begin or end with a blank.';
const WRONG = 'The username or the password is wrong.';
const TOO_LATE = 'That took too long. Sign in again from the start.';
const NOT_SET_UP = `This page is not set up to sign anybody in. ${TELL}`;

/** By name, then by what is said under it, the first that fits; the last one of each name fits always. @type {Map<string, [RegExp, string][]>} */
const SENTENCES = new Map(Object.entries({
  NotAuthorizedException: [
    [/temporary password|must be reset|account has expired/i, `Your temporary password has expired. ${ASK_FOR_NEW}`],
    [/attempts exceeded/i, 'Too many wrong passwords. Wait a few minutes, then try again.'],
    [/disabled/i, 'This account is disabled. Ask whoever manages it.'],
    [/security reasons/i, `This attempt was blocked because it looked unsafe. Try again later, or from another place. ${ASK}`],
    [/secret|client/i, NOT_SET_UP],
    [/session|token|code/i, TOO_LATE],
    [/incorrect|wrong|invalid username/i, WRONG],
    [/(?:)/, `Signing in was refused. ${ASK}`],
  ],
  InvalidParameterException: [
    [/password.*(length|long)/is, 'This password is too long.'],
    [/password.*(pattern|regular expression)/is, BLANK_AROUND],
    [/username/i, WRONG],
    [/attribute/i, `This account needs to know more than this page can ask for. ${ASK}`],
    [/session/i, TOO_LATE],
    [/(?:)/, NOT_SET_UP],
  ],
  InvalidPasswordException: [
    [/(?:)/, 'This password is not allowed. Choose a long one with small and capital letters, digits and symbols.'],
  ],
  PasswordHistoryPolicyViolationException: [[/(?:)/, 'You have had this password before. Choose another one.']],
  UserNotFoundException: [[/(?:)/, 'There is no user with this name.']],
  UserNotConfirmedException: [[/(?:)/, 'This account is not confirmed yet. Ask whoever manages it.']],
  PasswordResetRequiredException: [[/(?:)/, `This password has to be reset first. ${ASK}`]],
  ExpiredCodeException: [[/(?:)/, TOO_LATE]],
  CodeMismatchException: [[/(?:)/, TOO_LATE]],
  ForbiddenException: [[/(?:)/, `This network may not sign in here. Try another one. ${TELL}`]],
  ResourceNotFoundException: [[/(?:)/, NOT_SET_UP]],
  InvalidUserPoolConfigurationException: [[/(?:)/, NOT_SET_UP]],
  UnsupportedChallenge: [[/(?:)/, 'This account asks for a further step, such as a code, that this page does not offer. Ask whoever manages it.']],
}));

/** What a password lacks, as a password policy says it: one after the other, or several at once. @type {[RegExp, string][]} */
const POLICY = [
  [/not long enough|too short/i, 'is too short'],
  [/uppercase/i, 'needs a capital letter'],
  [/lowercase/i, 'needs a small letter'],
  [/numeric|number|digit/i, 'needs a digit'],
  [/symbol|special/i, 'needs a symbol, such as % or &'],
];

/** @param {unknown} error from signing in @returns {string} */
export function signInProblem(error) {
  if (!(error instanceof CognitoError)) return 'Something went wrong on this page. Reload it and try again.';
  if (error.code === 'Network') return 'The sign-in service cannot be reached. Check your connection and try again.';
  if (error.isThrottled) return 'Too many tries at once. Wait a minute, then try again.';
  if (error.isRetryable) return 'The sign-in service has a problem. Try again in a moment.';
  const lacking = error.code === 'InvalidPasswordException' ? POLICY.filter(([pattern]) => pattern.test(error.message)) : [];
  if (lacking.length > 0) return lacking.map(([, lack], place) => `${place === 0 ? 'This password' : 'It'} ${lack}.`).join(' ');
  const fitting = SENTENCES.get(error.code)?.find(([pattern]) => pattern.test(error.message));
  // The name helps whoever is asked; a person can at least pass it on.
  return fitting?.[1] ?? `Signing in failed (${error.code}). ${TELL}`;
}

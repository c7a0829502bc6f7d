import assert from 'node:assert/strict';
import { test } from 'node:test';

import { signInProblem } from '../../../frontend/js/refusals.js';
import { CognitoError } from '../../../frontend/js/session.js';

/** What Cognito says, and what a person reads. */
const said = {
  'The username or the password is wrong.': [
    ['NotAuthorizedException', 'Incorrect username or password.'],
    ['NotAuthorizedException', 'Incorrect username or password'],
    ['InvalidParameterException', "1 validation error detected: Value at 'username' failed to satisfy constraint: Member must have length less than or equal to 128"],
  ],
  'Your temporary password has expired. Ask whoever manages the account for a new one.': [
    ['NotAuthorizedException', 'Temporary password has expired and must be reset by an administrator.'],
    ['NotAuthorizedException', 'User account has expired, it must be reset by an administrator.'],
  ],
  'Too many wrong passwords. Wait a few minutes, then try again.': [['NotAuthorizedException', 'Password attempts exceeded']],
  'This account is disabled. Ask whoever manages it.': [['NotAuthorizedException', 'User is disabled.']],
  'That took too long. Sign in again from the start.': [
    ['NotAuthorizedException', 'Invalid session for the user.'],
    ['NotAuthorizedException', 'Invalid session for the user, session is expired.'],
    ['NotAuthorizedException', 'Invalid session for the user, session can only be used once.'],
    ['ExpiredCodeException', 'Invalid code provided, please request a code again.'],
    ['CodeMismatchException', 'Invalid session for the user.'],
  ],
  'This attempt was blocked because it looked unsafe. Try again later, or from another place. Ask whoever manages the account.': [
    ['NotAuthorizedException', 'Unable to login because of security reasons.'],
    ['NotAuthorizedException', 'Request not allowed due to security reasons.'],
  ],
  'This page is not set up to sign anybody in. Tell whoever runs this page.': [
    ['NotAuthorizedException', 'Client 1example23 is configured with secret but SECRET_HASH was not received'],
    ['NotAuthorizedException', 'Unable to verify secret hash for client 1example23'],
    ['InvalidParameterException', 'USER_PASSWORD_AUTH flow not enabled for this client'],
    ['ResourceNotFoundException', 'User pool client 1example23 does not exist.'],
    ['InvalidUserPoolConfigurationException', 'invalid user pool configuration'],
  ],
  'Signing in was refused. Ask whoever manages the account.': [['NotAuthorizedException', 'XYZZY']],
  'A password cannot begin or end with a blank.': [
    ['InvalidParameterException', "1 validation error detected: Value at 'password' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[\\S]+.*[\\S]+$"],
  ],
  'This password is too long.': [
    ['InvalidParameterException', "1 validation error detected: Value at 'password' failed to satisfy constraint: Member must have length less than or equal to 256"],
  ],
  'This password is too short.': [['InvalidPasswordException', 'Password did not conform with policy: Password not long enough']],
  'This password needs a capital letter.': [['InvalidPasswordException', 'Password did not conform with policy: Password must have uppercase characters']],
  'This password needs a small letter.': [['InvalidPasswordException', 'Password did not conform with policy: Password must have lowercase characters']],
  'This password needs a digit.': [['InvalidPasswordException', 'Password did not conform with policy: Password must have numeric characters']],
  'This password needs a symbol, such as % or &.': [['InvalidPasswordException', 'Password did not conform with policy: Password must have symbol characters']],
  'This password is too short. It needs a digit.': [
    ['InvalidPasswordException', 'Password did not conform with policy: Password not long enough; Password must have numeric characters'],
  ],
  'This password is not allowed. Choose a long one with small and capital letters, digits and symbols.': [['InvalidPasswordException', 'XYZZY'], ['InvalidPasswordException', '']],
  'You have had this password before. Choose another one.': [['PasswordHistoryPolicyViolationException', 'Password has previously been used and the policy enforces password history.']],
  'This account needs to know more than this page can ask for. Ask whoever manages the account.': [['InvalidParameterException', 'Invalid attributes given, email is missing']],
  'There is no user with this name.': [['UserNotFoundException', 'User does not exist.']],
  'This account is not confirmed yet. Ask whoever manages it.': [['UserNotConfirmedException', 'User is not confirmed.']],
  'This password has to be reset first. Ask whoever manages the account.': [['PasswordResetRequiredException', 'Password reset required for the user']],
  'This network may not sign in here. Try another one. Tell whoever runs this page.': [['ForbiddenException', 'Forbidden']],
  'This account asks for a further step, such as a code, that this page does not offer. Ask whoever manages it.': [['UnsupportedChallenge', 'SMS_MFA'], ['UnsupportedChallenge', 'none']],
  'Too many tries at once. Wait a minute, then try again.': [['TooManyRequestsException', 'Rate exceeded'], ['LimitExceededException', 'Attempt limit exceeded, please try after some time.'], ['ThrottlingException', 'Rate exceeded']],
  'The sign-in service cannot be reached. Check your connection and try again.': [['Network', 'no answer']],
  'The sign-in service has a problem. Try again in a moment.': [['InternalErrorException', 'internal details']],
};
for (const [sentence, refusals] of Object.entries(said)) {
  for (const [code, message] of refusals) {
    test(`${code} (${message}): ${sentence}`, () => assert.equal(signInProblem(new CognitoError(code, message, 400)), sentence));
  }
}

test('an outage is called so, by whatever name it comes', () => {
  const sentence = 'The sign-in service has a problem. Try again in a moment.';
  assert.equal(signInProblem(new CognitoError('ServiceUnavailable', 'internal details', 503)), sentence);
  assert.equal(signInProblem(new CognitoError('InternalFailure', 'internal details', 500)), sentence);
});

/** All that signing in and choosing a password may be refused with, by Cognito's reference, and one that is not known yet. */
const NAMES = [
  'AliasExistsException', 'CodeMismatchException', 'ConcurrentModificationException', 'ExpiredCodeException', 'ForbiddenException',
  'InternalErrorException', 'InvalidEmailRoleAccessPolicyException', 'InvalidLambdaResponseException', 'InvalidParameterException',
  'InvalidPasswordException', 'InvalidSmsRoleAccessPolicyException', 'InvalidSmsRoleTrustRelationshipException',
  'InvalidUserPoolConfigurationException', 'LimitExceededException', 'MFAMethodNotFoundException', 'NotAuthorizedException',
  'PasswordHistoryPolicyViolationException', 'PasswordResetRequiredException', 'RefreshTokenReuseException', 'ResourceNotFoundException',
  'SoftwareTokenMFANotFoundException', 'TooManyFailedAttemptsException', 'TooManyRequestsException', 'UnauthorizedException',
  'UnexpectedLambdaException', 'UnsupportedOperationException', 'UnsupportedTokenTypeException', 'UserLambdaValidationException',
  'UserNotConfirmedException', 'UserNotFoundException', 'UserPoolAddOnNotEnabledException', 'TomorrowsException', 'constructor',
];
const WORDINGS = ['', 'XYZZY', 'XYZZY password', 'XYZZY session', 'Password did not conform with policy: XYZZY', "Value at 'password' XYZZY pattern: ^[\\S]+.*[\\S]+$"];
test('nothing that Cognito says reaches the screen as it is', () => {
  for (const code of NAMES) {
    for (const message of WORDINGS) {
      const sentence = signInProblem(new CognitoError(code, message, 400));
      assert.match(sentence, /^[A-Z].*\.$/, `${code} (${message})`);
      assert.doesNotMatch(sentence, /XYZZY|\\S|conform/, `${code} (${message})`);
    }
  }
});

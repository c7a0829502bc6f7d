// The deployed stack that the tests run against, and what they may do to it without the page.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const file = process.env.LONGHAUL_STACK;
assert.ok(file, 'LONGHAUL_STACK must name the stack.json of a running local stack');
export const stack = JSON.parse(readFileSync(file, 'utf8'));

/** Long enough and mixed enough for the user pool's policy. */
const PASSWORD = 'Test-password-1';
/** How long is waited for what should take a moment or, of a task, some seconds. Machines are busy at times. */
export const PATIENCE_MS = 90_000;

const TASKS_PATH = '/api/tuned-long-running-task/';

/**
 * A user of its own for every test: one user may have one active task.
 *
 * @param {{ temporary?: boolean }} [options] whether the password has to be changed when first signing in
 */
export async function newUser({ temporary = false } = {}) {
  const username = `test-${randomUUID().slice(0, 8)}`;
  await cognito('AdminCreateUser', {
    UserPoolId: stack.user_pool_id,
    Username: username,
    TemporaryPassword: PASSWORD,
    MessageAction: 'SUPPRESS',
  });
  if (!temporary) {
    await cognito('AdminSetUserPassword', { UserPoolId: stack.user_pool_id, Username: username, Password: PASSWORD, Permanent: true });
  }
  return new User(username);
}

/** A user as another program sees it: the same account, but not through the page. */
export class User {
  password = PASSWORD;
  #token = '';

  constructor(username) {
    this.username = username;
  }

  async call(method, path = '', body = undefined) {
    this.#token ||= (await this.tokens()).AccessToken;
    const headers = { Authorization: `Bearer ${this.#token}`, 'Content-Type': 'application/json', 'Idempotency-Key': randomUUID() };
    // What a busy machine has no time for is asked for again, as any client would.
    return eventually(async () => {
      const response = await fetch(stack.api_url + TASKS_PATH + path, { method, headers, body: body && JSON.stringify(body) });
      assert.notEqual(response.status, 503);
      return { status: response.status, ...(await response.json()) };
    });
  }

  /** @returns {Promise<string>} the task's id */
  async start(count) {
    const { status, data } = await this.call('POST', '', { number_of_items: count });
    assert.equal(status, 200, 'the task must be a new one');
    return data.task_id;
  }

  /** @returns {Promise<string>} the id of the task that was started last */
  async last() {
    return (await this.tasks())[0].task_id;
  }

  async cancel(taskId) {
    return (await this.call('DELETE', `${taskId}/`)).status;
  }

  async tasks() {
    return (await this.call('GET')).data.tasks;
  }

  /** Waits until a task has ended. */
  async finish(taskId) {
    return eventually(async () => {
      const { data } = await this.call('GET', `${taskId}/`);
      assert.ok(!['QUEUED', 'PROCESSING'].includes(data.task_status), `${data.task_status} ${data.done_percentage} %`);
      return data;
    });
  }

  /** Asks until a task has ended, some three times a second, and says for how many milliseconds at most nothing new was to be had. */
  async stoodStill(taskId) {
    let [longest, shown, since] = [0, '', 0];
    for (;;) {
      const { data } = await this.call('GET', `${taskId}/`);
      const [now, at] = [`${data.task_status} ${data.done_percentage}`, performance.now()];
      if (shown) longest = Math.max(longest, at - since);
      if (now !== shown) [shown, since] = [now, at];
      if (!['QUEUED', 'PROCESSING'].includes(data.task_status)) return longest;
      await delay(300);
    }
  }

  /** @returns {Promise<Map<string, string>>} names by address of those that the user's imports have stored */
  async contacts() {
    const rows = await this.#rows(stack.contacts_table_name, 'user', await this.#sub());
    return new Map(rows.map(({ email, name }) => [email.S, name.S]));
  }

  /** @returns {Promise<string[]>} the sockets of the user's pages, as the server knows them */
  async sockets() {
    const rows = await this.#rows(stack.table_name, 'pk', `CONNECTIONS#${await this.#sub()}`);
    return rows.map(({ id }) => id.S);
  }

  /** Waits until the server knows of so many. @param {number} count */
  async hasSockets(count) {
    await eventually(async () => assert.equal((await this.sockets()).length, count));
  }

  /** Closes all of them, as the server may at any time. */
  async closeSockets() {
    for (const id of await this.sockets()) {
      const url = `${stack.endpoint_url}/_aws/execute-api/${stack.socket_api_id}/live/@connections/${encodeURIComponent(id)}`;
      const response = await fetch(url, { method: 'DELETE', headers: { Authorization: signature('execute-api') } });
      assert.ok(response.ok || response.status === 410, `${response.status}`);
    }
  }

  /** All rows of a partition. */
  async #rows(table, key, value) {
    const query = { TableName: table, ConsistentRead: true, KeyConditionExpression: '#key = :value', ExpressionAttributeNames: { '#key': key }, ExpressionAttributeValues: { ':value': { S: value } } };
    const found = [];
    for (let ExclusiveStartKey; ;) {
      const page = await dynamodb('Query', { ...query, ExclusiveStartKey });
      found.push(...page.Items);
      ExclusiveStartKey = page.LastEvaluatedKey;
      if (!ExclusiveStartKey) return found;
    }
  }

  async #sub() {
    this.#token ||= (await this.tokens()).AccessToken;
    return JSON.parse(Buffer.from(this.#token.split('.')[1], 'base64url').toString()).sub;
  }

  /** Signs in, once more. */
  async tokens() {
    const { AuthenticationResult } = await cognito('InitiateAuth', {
      AuthFlow: 'USER_PASSWORD_AUTH',
      ClientId: stack.client_id,
      AuthParameters: { USERNAME: this.username, PASSWORD: this.password },
    });
    return AuthenticationResult;
  }
}

/** Makes a refresh token useless, as an administrator or another device may. */
export async function revoke(refreshToken) {
  await cognito('RevokeToken', { ClientId: stack.client_id, Token: refreshToken });
}

/**
 * Sets variables of the worker's environment.
 *
 * @param {Record<string, string>} variables
 * @param {number} [timeoutSeconds] that the function has from now on
 * @returns {Promise<() => Promise<unknown>>} what sets them to what they were
 */
export async function reconfigureWorker(variables, timeoutSeconds) {
  const url = `${stack.endpoint_url}/2015-03-31/functions/${stack.stack_name}-worker/configuration`;
  const call = async (method, body) => {
    const response = await fetch(url, { method, body: body && JSON.stringify(body), headers: { Authorization: signature('lambda') } });
    const configuration = await response.json();
    assert.ok(response.ok, JSON.stringify(configuration));
    return configuration;
  };
  const { Environment: { Variables: before }, Timeout } = await call('GET');
  const configure = (Variables, seconds) => call('PUT', { Environment: { Variables: { ...Variables, TIMEOUT_SECONDS: String(seconds) } }, Timeout: seconds });
  await configure({ ...before, ...variables }, timeoutSeconds ?? Timeout);
  return () => configure(before, Timeout);
}

/** @returns {Promise<boolean>} whether Cognito still takes the token; any other trouble than its refusal is an error */
export async function isRefreshTokenGood(refreshToken) {
  const parameters = { AuthFlow: 'REFRESH_TOKEN_AUTH', ClientId: stack.client_id, AuthParameters: { REFRESH_TOKEN: refreshToken } };
  return cognito('InitiateAuth', parameters).then(() => true, (error) => {
    if (/NotAuthorizedException/.test(error.message)) return false;
    throw error;
  });
}

/** Repeats a check until it holds. Waiting for a condition is never shorter or longer than it needs to be. */
export async function eventually(check, timeoutMs = PATIENCE_MS) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(50);
    }
  }
}

async function cognito(action, body) {
  return call('cognito-idp', `AWSCognitoIdentityProviderService.${action}`, body, '1.1');
}

async function dynamodb(action, body) {
  return call('dynamodb', `DynamoDB_20120810.${action}`, body, '1.0');
}

async function call(service, action, body, version) {
  const response = await fetch(stack.endpoint_url, {
    method: 'POST',
    headers: {
      'Content-Type': `application/x-amz-json-${version}`,
      'X-Amz-Target': action,
      Authorization: signature(service),
    },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${action}: ${answer.__type}: ${answer.message}`);
  return answer;
}

/** The emulator takes any signature of its well-known key; on AWS these calls would be refused. */
function signature(service) {
  return `AWS4-HMAC-SHA256 Credential=test/20260101/${stack.region}/${service}/aws4_request, SignedHeaders=host, Signature=0`;
}

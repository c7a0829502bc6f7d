import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Live } from '../../../frontend/js/live.js';
import { FakeClock, settle } from './fake-clock.js';
import { FakeSocket } from './fake-socket.js';

const MINUTE = 60_000;
const later = (retryAfterMs = null) => Object.assign(new Error('later'), { retryAfterMs });
const never = () => Object.assign(new Error('never'), { isFinal: true, retryAfterMs: null });

/**
 * Live updates in a world that the test controls.
 *
 * @param {{ clock?: FakeClock, isHidden?: boolean, tickets?: (() => unknown)[], random?: () => number, onSocket?: (socket: FakeSocket) => void }} [options] `tickets`: what
 *   the first requests for one are answered with; all others get one at once. `onSocket`: what the server does with each handshake
 */
function connection({ clock = new FakeClock(), isHidden = false, tickets = [], random = () => 1, onSocket = () => {} } = {}) {
  const startedAt = clock.now();
  const listeners = { online: new Set(), offline: new Set(), wakeUp: new Set() };
  const log = { tickets: [], signals: [], sockets: [], events: [], tasks: [] };
  const subscribe = (set) => (callback) => {
    set.add(callback);
    return () => set.delete(callback);
  };
  const live = new Live({
    fetchUrl: async (signal) => {
      log.tickets.push(clock.now() - startedAt);
      log.signals.push(signal);
      const answer = await (tickets.shift() ?? (() => `wss://test/?ticket=${log.tickets.length}`))();
      if (answer instanceof Error) throw answer;
      return answer;
    },
    connect: (url) => {
      if (!url.startsWith('wss:')) throw new DOMException('not an address', 'SyntaxError');
      const socket = new FakeSocket(url);
      log.sockets.push(socket);
      onSocket(socket);
      return socket;
    },
    onOpen: () => log.events.push('open'),
    onTask: (task) => log.tasks.push([task.task_id, task.version]),
    onDown: () => log.events.push('down'),
    isFinal: (error) => error.isFinal === true,
    errors: { isRetryable: () => true, retryAfterOf: (error) => error.retryAfterMs ?? null },
    clock,
    random,
    surroundings: {
      isHidden: () => isHidden,
      onVisibilityChange: () => () => {},
      onOnline: subscribe(listeners.online),
      onOffline: subscribe(listeners.offline),
      onWakeUp: subscribe(listeners.wakeUp),
    },
  });
  const tell = (kind) => listeners[kind].forEach((callback) => callback());
  return {
    clock, log, live, listeners, tell,
    get socket() { return log.sockets.at(-1); },
    /** What polls of the task show that are sent now. */
    polled: (version, taskId = 't') => live.polled(taskId, version, clock.now()),
  };
}

/** The same, once it has a socket. */
async function wantedConnection(options) {
  const made = connection(options);
  made.live.want(true);
  await settle();
  return made;
}

/** The same, once that is open. */
async function openConnection(options) {
  const made = await wantedConnection(options);
  if (!options?.onSocket) made.socket.accept();
  return made;
}

/** A socket that is accepted as soon as somebody waits for it. */
const accepted = (socket) => queueMicrotask(() => socket.accept());

test('it connects where the ticket leads, and tells what comes', async () => {
  const { log, socket, live } = await openConnection();
  assert.equal(socket.url, 'wss://test/?ticket=1');
  assert.equal(live.isLive, true);
  socket.tells(3);
  socket.tells(3);
  socket.tells(2, { task_id: 'other' });
  socket.says({ type: 'task', version: 4, data: { task_id: 't' } });
  assert.deepEqual(log.tasks, [['t', 3], ['t', 3], ['other', 2], ['t', 4]]);
  assert.deepEqual(log.events, ['open']);
});

test('it does nothing until it is wanted, and asks for one ticket however often it is', async () => {
  const { clock, log, live } = connection();
  await clock.pass(MINUTE);
  assert.deepEqual(log.tickets, []);
  live.want(true);
  live.want(true);
  await clock.pass(1_000);
  assert.equal(log.tickets.length, 1);
});

test('what is no task, or cannot be read, is ignored', async () => {
  const { log, socket, live, clock } = await openConnection();
  const task = { task_id: 't', task_status: 'SUCCESS' };
  const garbage = [
    '', 'task', '{', 'null', '7', '[]', '"task"', { type: 'pong' }, { type: 'refused', message: 'no' }, { type: 'item', version: 1, data: task },
    { type: 'task', data: task }, { type: 'task', version: '4', data: task }, { type: 'task', version: null, data: task }, { type: 'task', version: 4 },
    { type: 'task', version: 4, data: null }, { type: 'task', version: 4, data: 'task' }, { type: 'task', version: 4, data: { task_id: 7 } },
  ];
  for (const message of garbage) socket.says(message);
  socket.onmessage({ data: new Blob(['{}']) });
  await clock.pass(0);
  assert.deepEqual(log.tasks, []);
  assert.equal(live.isLive, true);
});

test('a socket that dies is followed by another one, with a new ticket', async () => {
  const { clock, log, socket, live } = await openConnection();
  await clock.pass(MINUTE);
  socket.die();
  assert.equal(live.isLive, false);
  assert.deepEqual(log.events, ['open', 'down']);
  await clock.pass(1_000);
  assert.deepEqual(log.tickets, [0, MINUTE + 1_000]);
  log.sockets[1].accept();
  assert.deepEqual(log.events, ['open', 'down', 'open']);
});

for (const [name, onSocket] of [
  ['is closed as soon as it is open', (socket) => queueMicrotask(() => { socket.accept(); socket.die(); })],
  ['is refused', (socket) => queueMicrotask(() => socket.die())],
  ['is closed after it has told something', (socket) => queueMicrotask(() => { socket.accept(); socket.tells(1); socket.die(); })],
]) {
  test(`a socket that ${name} is tried again later and later, a few times in ten minutes, and never given up`, async () => {
    for (const chance of [0, 1]) {
      const { clock, log, live } = await wantedConnection({ onSocket, random: () => chance });
      await clock.pass(10 * MINUTE);
      assert.ok(log.tickets.length >= 6 && log.tickets.length <= 14, `${log.tickets.length} tickets`);
      log.tickets.length = 0;
      await clock.pass(60 * MINUTE);
      assert.ok(log.tickets.length >= 12 && log.tickets.length <= 24, `${log.tickets.length} tickets an hour`);
    }
  });
}

test('eleven tabs do not fight for ten places', async () => {
  const clock = new FakeClock();
  const open = [];
  const onSocket = (socket) => queueMicrotask(() => {
    open.push(socket);
    socket.accept();
    if (open.length > 10) open.shift().die();
  });
  for (const chance of [0, 1]) {
    const tabs = Array.from({ length: 11 }, () => connection({ clock, onSocket, random: () => chance }));
    for (const { live } of tabs) live.want(true);
    await settle();
    await clock.pass(60 * MINUTE);
    for (const { log } of tabs) log.tickets.length = 0;
    await clock.pass(600 * MINUTE);
    const asked = tabs.map(({ log }) => log.tickets.length / 10);
    assert.ok(Math.max(...asked) <= 4, `${asked.join(', ')} tickets an hour`);
    for (const { live } of tabs) live.stop();
    open.length = 0;
  }
});

test('a ticket that is not given is asked for again later and later, as the server wishes', async () => {
  const { clock, log, live } = await wantedConnection({ tickets: [() => later(), () => later(20_000), () => later(), () => ({}), () => 'no address'] });
  await clock.pass(50_000);
  assert.deepEqual(log.tickets, [0, 1_000, 21_000, 25_000, 33_000, 49_000]);
  assert.equal(log.sockets.length, 1);
  assert.deepEqual(log.events, []);
});

test('where there are no live updates, or nobody is signed in any more, it asks once and never again', async () => {
  const { clock, log, live, listeners, tell } = await wantedConnection({ tickets: [never] });
  await clock.pass(10 * MINUTE);
  for (const kind of ['online', 'offline', 'wakeUp']) tell(kind);
  live.want(false);
  live.want(true);
  await clock.pass(10 * MINUTE);
  assert.deepEqual(log.tickets, [0]);
  assert.equal(clock.nextIn, null);
  assert.deepEqual(Object.values(listeners).map(({ size }) => size), [0, 0, 0]);
});

test('a socket that does not open is given up after ten seconds', async () => {
  const { clock, log, live } = await wantedConnection();
  await clock.pass(9_999);
  assert.equal(log.sockets[0].readyState, 0);
  await clock.pass(1);
  assert.equal(log.sockets[0].wasClosedWhile, 'connecting');
  await clock.pass(1_000);
  assert.deepEqual(log.tickets, [0, 11_000]);
  log.sockets[0].accept();
  log.sockets[0].tells(1);
  assert.deepEqual(log.events, []);
  assert.deepEqual(log.tasks, [], 'what becomes of it is nobody\'s concern any more');
});

test('one that has lived for half an hour does not count against the next', async () => {
  const { clock, log, live } = await wantedConnection({ onSocket: accepted });
  for (let death = 0; death < 4; death += 1) {
    await clock.pass(20_000);
    log.sockets.at(-1).die();
  }
  await clock.pass(8_000 + 30 * MINUTE);
  log.tickets.length = 0;
  const diedAt = clock.now();
  log.sockets.at(-1).die();
  await clock.pass(1_000);
  assert.equal(log.tickets.length, 1, `${clock.now() - diedAt} ms`);
});

test('it pings often enough for a connection that may be silent for ten minutes, and not all pages at once', async () => {
  for (const [chance, pings] of [[0, [4, 8, 12]], [1, [5, 10, 15]]]) {
    const { clock, socket } = await openConnection({ random: () => chance, onSocket: accepted });
    const sent = [];
    for (let minute = 0; minute < 15; minute += 1) {
      await clock.pass(MINUTE);
      if (socket.sent.length > sent.length) sent.push(minute + 1);
    }
    assert.deepEqual(sent.slice(0, 3), pings);
    assert.deepEqual(socket.sent[0], { action: 'ping' });
  }
});

test('before its two hours are over it is renewed, and not all pages at once', async () => {
  for (const [chance, minutes] of [[0, 100], [1, 115]]) {
    const { clock, log } = await openConnection({ random: () => chance, onSocket: accepted });
    await clock.pass(minutes * MINUTE - 1);
    assert.equal(log.tickets.length, 1);
    await clock.pass(1);
    await settle();
    assert.deepEqual(log.tickets, [0, minutes * MINUTE]);
    assert.equal(log.sockets[0].wasClosedWhile, 'open');
    assert.deepEqual(log.events.slice(-2), ['down', 'open']);
    log.sockets[0].die();
    await clock.pass(MINUTE);
    assert.equal(log.tickets.length, 2, 'the end of the old one is no failure');
  }
});

test('being online again tries at once', async () => {
  const { clock, log, live, tell } = await wantedConnection({ tickets: Array(9).fill(later) });
  await clock.pass(5 * MINUTE);
  const before = log.tickets.length;
  tell('online');
  await clock.pass(0);
  assert.equal(log.tickets.length, before + 1);
});

test('so does waking up', async () => {
  const { clock, log, tell } = await wantedConnection({ tickets: Array(9).fill(later) });
  await clock.pass(5 * MINUTE);
  const before = log.tickets.length;
  tell('wakeUp');
  await clock.pass(0);
  assert.equal(log.tickets.length, before + 1);
});

test('being offline does not hurry or delay the next try', async () => {
  const { clock, log, tell } = await wantedConnection({ tickets: Array(9).fill(later) });
  for (let second = 0; second < 31; second += 1) {
    await clock.pass(1_000);
    tell('offline');
  }
  assert.deepEqual(log.tickets, [0, 1_000, 3_000, 7_000, 15_000, 31_000]);
});

test('being online again does nothing to what is open, or on its way', async () => {
  const { clock, log, live, tell } = await wantedConnection();
  tell('online');
  await settle();
  tell('online');
  log.sockets[0].accept();
  tell('online');
  await clock.pass(MINUTE);
  assert.equal(log.tickets.length, 1);
  assert.equal(live.isLive, true);
});

test('a machine that is offline has no connection, whatever the socket believes', async () => {
  const { clock, log, live, tell } = await openConnection();
  tell('offline');
  assert.equal(live.isLive, false);
  assert.deepEqual(log.events, ['open', 'down']);
  await clock.pass(1_000);
  assert.equal(log.tickets.length, 2, 'unless the stack is on this very machine');
});

test('after the machine has slept it connects anew at once, also in the middle of connecting', async () => {
  const { clock, log, live, tell } = await openConnection();
  clock.sleep(60 * MINUTE);
  tell('wakeUp');
  assert.equal(live.isLive, false);
  await settle();
  assert.equal(log.sockets.length, 2);
  clock.sleep(60 * MINUTE);
  tell('wakeUp');
  await settle();
  assert.equal(log.sockets.length, 3);
  assert.equal(log.signals[1].aborted, true);
  assert.equal(log.sockets[1].wasClosedWhile, 'connecting', 'it would stand in the way of the next');
  log.sockets[2].accept();
  assert.deepEqual(log.events, ['open', 'down', 'open']);
});

test('a socket that does not bring what a poll shows is deaf: it is let go of, and the next one has to prove itself', async () => {
  const { clock, log, live, socket, polled } = await openConnection({ onSocket: accepted });
  polled(3);
  await clock.pass(10_000);
  polled(5);
  await clock.pass(4_999);
  assert.equal(live.isLive, true);
  await clock.pass(1);
  assert.equal(live.isLive, false);
  assert.equal(socket.wasClosedWhile, 'open');
  assert.deepEqual(log.events.at(-1), 'down');
  await clock.pass(1_000);
  await settle();
  assert.equal(log.sockets.length, 2);
  assert.equal(live.isLive, false, 'that it opens proves nothing');
  const events = log.events.length;
  log.sockets[1].tells(5);
  assert.equal(live.isLive, false, 'nor what polls knew before');
  log.sockets[1].tells(6);
  assert.equal(live.isLive, true);
  assert.deepEqual(log.events.slice(events), ['open']);
});

test('deaf sockets are tried again later and later', async () => {
  const { clock, log, polled } = await wantedConnection({ onSocket: accepted });
  for (let second = 0; second < 600; second += 2) {
    await clock.pass(2_000);
    polled(second);
  }
  assert.ok(log.sockets.length >= 5 && log.sockets.length <= 10, `${log.sockets.length} sockets`);
  assert.equal(log.events.filter((event) => event === 'open').length, 1);
});

test('that a deaf socket has lived for long proves nothing', async () => {
  const { clock, log, polled } = await wantedConnection({ onSocket: accepted });
  for (let failures = 1; failures <= 3; failures += 1) {
    polled(failures * 10);
    await clock.pass(31 * MINUTE);
    polled(failures * 10 + 1);
    await clock.pass(5_000);
    log.tickets.length = 0;
    await clock.pass(2 ** (failures - 1) * 1_000 - 1);
    assert.equal(log.tickets.length, 0);
    await clock.pass(1);
    assert.equal(log.tickets.length, 1);
  }
  await clock.pass(31 * MINUTE);
  log.sockets.at(-1).die();
  await clock.pass(7_999);
  assert.equal(log.tickets.length, 1, 'nor does it of one that has said nothing since');
});

test('however well a socket has worked, from when on it is deaf counts', async () => {
  const { clock, log, polled } = await wantedConnection({ onSocket: accepted });
  for (let deaths = 0; deaths < 3; deaths += 1) {
    log.sockets.at(-1).die();
    await clock.pass(4_000);
  }
  await clock.pass(31 * MINUTE);
  log.sockets.at(-1).tells(1);
  polled(2);
  await clock.pass(5_000);
  log.tickets.length = 0;
  await clock.pass(7_999);
  assert.equal(log.tickets.length, 0);
  await clock.pass(1);
  assert.equal(log.tickets.length, 1);
});

test('what it says of other tasks, or of older times, does not stand for what it does not say', async () => {
  const { clock, live, socket, polled } = await openConnection();
  socket.tells(3);
  polled(6);
  socket.tells(5);
  socket.tells(8, { task_id: 'other' });
  await clock.pass(5_000);
  assert.equal(live.isLive, false);
});

test('a socket that brings it a little later than a poll is not deaf', async () => {
  const { clock, live, socket, polled } = await openConnection();
  polled(3);
  polled(5);
  await clock.pass(4_000);
  socket.tells(4);
  socket.tells(5);
  await clock.pass(MINUTE);
  assert.equal(live.isLive, true);
});

test('nothing is held against a socket that it could not know', async () => {
  const { clock, live, log, polled } = await wantedConnection();
  polled(1);
  const askedAt = clock.now();
  await clock.pass(100);
  log.sockets[0].accept();
  live.polled('t', 2, askedAt);
  await clock.pass(100);
  polled(3);
  await clock.pass(MINUTE);
  assert.equal(live.isLive, true, 'what changed before it was open');
  polled(3);
  polled(2);
  await clock.pass(MINUTE);
  assert.equal(live.isLive, true, 'what has not changed');
  polled(9, 'other');
  await clock.pass(MINUTE);
  assert.equal(live.isLive, true, 'what was not known before');
  log.sockets[0].tells(4);
  polled(4);
  await clock.pass(MINUTE);
  assert.equal(live.isLive, true, 'what it has told');
});

test('nothing is told after stop, and all is closed', async () => {
  const { clock, log, live, socket, listeners } = await openConnection();
  live.stop();
  assert.equal(socket.wasClosedWhile, 'open');
  socket.tells(1);
  socket.die();
  live.want(false);
  live.want(true);
  await clock.pass(200 * MINUTE);
  assert.deepEqual(log.events, ['open']);
  assert.deepEqual(log.tasks, []);
  assert.equal(log.tickets.length, 1);
  assert.equal(clock.nextIn, null);
  assert.deepEqual(Object.values(listeners).map(({ size }) => size), [0, 0, 0]);
});

test('a ticket that comes after stop is not used', async () => {
  let give;
  const { clock, log, live } = await wantedConnection({ tickets: [() => new Promise((resolve) => (give = resolve))] });
  live.stop();
  assert.equal(log.signals[0].aborted, true);
  give('wss://test/?ticket=late');
  await clock.pass(MINUTE);
  assert.equal(log.sockets.length, 0);
});

test('a socket that opens after stop is closed then, and says nothing', async () => {
  const { clock, log, live } = await wantedConnection();
  live.stop();
  assert.equal(log.sockets[0].wasClosedWhile, undefined, 'the browser would warn of it');
  log.sockets[0].accept();
  assert.equal(log.sockets[0].wasClosedWhile, 'open');
  await clock.pass(MINUTE);
  assert.deepEqual(log.events, []);
});

test('a socket that does not open after stop either is closed in the end', async () => {
  const { clock, log, live } = await wantedConnection();
  live.stop();
  await clock.pass(10_000);
  assert.equal(log.sockets[0].wasClosedWhile, 'connecting');
  assert.equal(clock.nextIn, null);
});

test('where nobody wants it for a while it rests, and comes back at once when somebody does', async () => {
  const { clock, log, live, socket } = await openConnection();
  live.want(false);
  await clock.pass(15_000);
  live.want(false);
  await clock.pass(14_999);
  assert.equal(live.isLive, true, 'whoever only has a look at another tab finds it open');
  live.want(true);
  await clock.pass(MINUTE);
  assert.equal(live.isLive, true);
  live.want(false);
  await clock.pass(15_000);
  live.want(false);
  await clock.pass(15_000);
  assert.equal(socket.wasClosedWhile, 'open');
  await clock.pass(200 * MINUTE);
  assert.equal(log.tickets.length, 1);
  assert.equal(clock.nextIn, null);
  live.want(true);
  await settle();
  assert.equal(log.tickets.length, 2);
});

test('nobody\'s socket is not tried again, whatever happens, until somebody wants it', async () => {
  const { clock, log, live, socket, tell } = await openConnection();
  live.want(false);
  socket.die();
  await clock.pass(10_000);
  for (const kind of ['offline', 'online', 'wakeUp']) tell(kind);
  await clock.pass(60 * MINUTE);
  for (const kind of ['offline', 'online', 'wakeUp']) tell(kind);
  await clock.pass(60 * MINUTE);
  assert.equal(log.tickets.length, 1);
  live.want(true);
  await settle();
  assert.equal(log.tickets.length, 2);
});

test('a hidden page that wants it has it as any other', async () => {
  const { clock, log, socket } = await openConnection({ isHidden: true });
  await clock.pass(5 * MINUTE);
  assert.equal(socket.sent.length, 1);
  socket.die();
  await clock.pass(1_000);
  assert.equal(log.tickets.length, 2);
});

test('a request for a ticket that fails when another one is under way changes nothing', async () => {
  let fail;
  const { log, live, tell } = await wantedConnection({ tickets: [() => new Promise((resolve) => (fail = resolve))] });
  tell('wakeUp');
  await settle();
  log.sockets[0].accept();
  fail(later());
  await settle();
  assert.equal(live.isLive, true);
});

test('coming and going does not hurry what waits for another try', async () => {
  const { clock, log, live } = await wantedConnection({ tickets: Array(9).fill(later) });
  await clock.pass(64_000);
  const before = log.tickets.length;
  for (let times = 0; times < 20; times += 1) {
    live.want(false);
    live.want(true);
    await clock.pass(100);
  }
  assert.equal(log.tickets.length, before);
  live.want(false);
  await clock.pass(60 * MINUTE);
  assert.equal(log.tickets.length, before);
});

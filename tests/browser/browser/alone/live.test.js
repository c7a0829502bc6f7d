// Progress that comes unasked, and what the page does where it does not come.

import assert from 'node:assert/strict';

import { API, LIST, SOCKETS, STATUS, TICKETS, answer, moving, pageTest } from '../page.js';
import { eventually, stack } from '../stack.js';

assert.ok(stack.socket_api_id, 'these tests need a stack with live updates');

/** As long as polling by Retry-After and checking now and then can be told apart by. */
const SECONDS = 1_000;
/** Polls that are no further apart are not those of a page that only checks, every half a minute at most; a slow machine takes its time. */
const AS_EVER_MS = 20 * SECONDS;
const HANDSHAKE = /^error: WebSocket connection to '.*' failed: /;

/** Everything that is said in the line about the connection from now on. */
async function notes(tab) {
  await tab.page.evaluate(() => {
    window.notes = [];
    const note = document.getElementById('task-note');
    new MutationObserver(() => note.textContent && window.notes.push(note.textContent)).observe(note, { childList: true, characterData: true, subtree: true });
  });
  return () => tab.page.evaluate(() => window.notes);
}

/** A page that has its socket, and what it asks for from then on. */
async function connected(tab) {
  const sockets = tab.sockets();
  const tickets = tab.requests('POST', TICKETS);
  await tab.openAndSignIn();
  await tab.isConnected();
  return { sockets, tickets, polls: tab.requests('GET', STATUS), lists: tab.requests('GET', LIST), noted: await notes(tab) };
}

/** The longest time between two of these, in milliseconds. @param {{ sentAt: number }[]} requests */
function longestGap(requests) {
  return Math.max(...requests.slice(1).map(({ sentAt }, place) => sentAt - requests[place].sentAt));
}

pageTest('a task of 100 items is followed with at most three polls, and the bar moves at least every two seconds', async (tab) => {
  const { sockets, tickets, polls, noted } = await connected(tab);
  await tab.page.evaluate(() => {
    const bar = document.getElementById('task-progress');
    window.moves = [];
    let shown = null;
    const look = () => {
      if (bar.hasAttribute('value') && bar.value !== shown) window.moves.push(performance.now());
      shown = bar.hasAttribute('value') ? bar.value : null;
      requestAnimationFrame(look);
    };
    look();
  });
  await tab.start(100);
  await tab.reaches('Running');
  const [{ task_id: taskId }] = await tab.user.tasks();
  // A busy machine stands still at times: then there is nothing to show.
  const stoodStill = await tab.user.stoodStill(taskId);
  await tab.reaches('Finished');
  await eventually(async () => assert.equal(await tab.textOf('task-count'), '100 of 100 items'));
  const moves = await tab.page.evaluate(() => window.moves);
  const stops = moves.slice(1).map((at, place) => at - moves[place]);
  const lasted = moves.at(-1) - moves[0];
  assert.ok(Math.max(...stops) <= stoodStill + 2 * SECONDS, `the bar stood still for ${Math.max(...stops)} ms, the task for ${stoodStill} ms`);
  assert.ok(lasted > 10 * SECONDS, 'it was looked at for most of the task');
  // One when it is connected, and a check every half a minute at most.
  const checks = Math.floor(lasted / (30 * SECONDS));
  assert.ok(polls.length <= 3 + checks, `${polls.length} polls in ${lasted} ms`);
  assert.deepEqual([sockets.length, tickets.length], [1, 1]);
  assert.deepEqual(await noted(), []);
}, { context: moving });

pageTest('without live updates the page never asks for any, and polls', async (tab) => {
  const sockets = tab.sockets();
  const tickets = tab.requests('POST', TICKETS);
  await tab.openAndSignIn();
  const polls = tab.requests('GET', STATUS);
  await tab.start(30);
  await tab.reaches('Finished');
  assert.ok(polls.length >= 3, `${polls.length} polls`);
  assert.deepEqual([sockets.length, tickets.length], [0, 0]);
}, { live: false });

pageTest('a stack that has no live updates after all is asked once', async (tab) => {
  tab.expectNoise('the server responded with a status of 404', API);
  const tickets = tab.requests('POST', TICKETS);
  await tab.intercept('POST', TICKETS, answer(404, { success: false, message: 'Job not found' }));
  await tab.openAndSignIn();
  const polls = tab.requests('GET', STATUS);
  await tab.start(30);
  await tab.reaches('Finished');
  assert.ok(polls.length >= 3, `${polls.length} polls`);
  await tab.page.evaluate(() => window.dispatchEvent(new Event('online')));
  await tab.page.waitForTimeout(2 * SECONDS);
  assert.equal(tickets.length, 1);
});

pageTest('when its socket is killed, the page polls at once, gets another one, and says nothing', async (tab) => {
  const { sockets, polls, noted } = await connected(tab);
  await tab.start(100);
  await tab.percentReaches(5);
  polls.length = 0;
  const release = await tab.hold('POST', TICKETS);
  await tab.user.closeSockets();
  await eventually(() => assert.equal(sockets[0].isClosed(), true));
  const closedAt = Date.now();
  await eventually(() => assert.ok(polls.length >= 4, 'it polls as ever'));
  assert.ok(polls[0].sentAt - closedAt < AS_EVER_MS, `the first poll after ${polls[0].sentAt - closedAt} ms`);
  assert.ok(longestGap(polls) < AS_EVER_MS, `${longestGap(polls)} ms between two polls`);
  release();
  await eventually(() => assert.equal(sockets.length, 2));
  await tab.isConnected();
  // One for what happened meanwhile, and at most one that was on its way.
  const before = polls.length;
  await tab.reaches('Finished');
  assert.ok(polls.length - before <= 3, `${polls.length - before} polls with the new socket`);
  assert.deepEqual(await noted(), []);
});

for (const [name, refuse, noise] of [
  ['no ticket', (tab) => tab.intercept('POST', TICKETS, answer(503, { message: 'Service Unavailable' })), 'the server responded with a status of 503'],
  ['a ticket that opens nothing', (tab) => tab.intercept('POST', TICKETS, async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    body.data.url += '0';
    return route.fulfill({ response, json: body });
  }), null],
]) {
  pageTest(`a page that gets ${name} polls as ever, tries again now and then, and says nothing`, async (tab) => {
    if (noise) tab.expectNoise(noise, API);
    else tab.noise.expectAny(HANDSHAKE);
    const tickets = tab.requests('POST', TICKETS);
    await refuse(tab);
    await tab.openAndSignIn();
    const noted = await notes(tab);
    const polls = tab.requests('GET', STATUS);
    await tab.start(60);
    await tab.reaches('Finished');
    assert.ok(polls.length >= 4 && longestGap(polls) < AS_EVER_MS, `${polls.length} polls, ${longestGap(polls)} ms between two of them`);
    assert.ok(tickets.length >= 2 && tickets.length <= 8, `${tickets.length} tickets`);
    assert.deepEqual(await noted(), []);
    assert.deepEqual(await tab.user.sockets(), []);
  });
}

pageTest('when its socket falls silent, the page finds out within seconds, polls as ever, and says nothing', async (tab) => {
  let isSilent = false;
  await tab.page.routeWebSocket(SOCKETS, (socket) => {
    socket.connectToServer().onMessage((message) => isSilent || socket.send(message));
  });
  const { polls, noted } = await connected(tab);
  await tab.start(100);
  await tab.percentReaches(2);
  isSilent = true;
  polls.length = 0;
  const silentAt = Date.now();
  // A new socket is as silent: only polls tell of the end, and those that only check would tell it later.
  await tab.reaches('Finished');
  const foundAfterMs = polls[0].sentAt - silentAt;
  assert.ok(foundAfterMs < 25 * SECONDS, `${foundAfterMs} ms until it polled`);
  assert.ok(polls.length >= 3 && longestGap(polls) < AS_EVER_MS, `${polls.length} polls, ${longestGap(polls)} ms between two of them`);
  assert.deepEqual(await noted(), []);
});

pageTest('polls that fail are nobody\'s trouble while the news come all the same', async (tab) => {
  tab.expectNoise('the server responded with a status of 503', API);
  const { polls, noted } = await connected(tab);
  await tab.intercept('GET', STATUS, answer(503, { message: 'Service Unavailable' }));
  await tab.start(60);
  await tab.reaches('Finished');
  assert.ok(polls.length >= 1, 'it has polled');
  assert.deepEqual(await noted(), []);
});

pageTest('when neither polls nor sockets get through, the page says so, and recovers by itself', async (tab) => {
  tab.expectNoise('net::ERR_INTERNET_DISCONNECTED', API);
  const { sockets } = await connected(tab);
  await tab.start(100);
  await tab.percentReaches(2);
  await tab.page.context().setOffline(true);
  await eventually(async () => assert.match(await tab.textOf('task-note'), /^You are offline\./), 15 * SECONDS);
  await tab.page.context().setOffline(false);
  await tab.says('Connected again.');
  await eventually(() => assert.ok(sockets.length >= 2), 15 * SECONDS);
  const polls = tab.requests('GET', STATUS);
  await tab.reaches('Finished');
  assert.ok(polls.length <= 3, `${polls.length} polls`);
});

pageTest('a hidden tab tells in its title at once how the task ended, without a single poll', async (tab) => {
  await tab.page.clock.install();
  const { polls } = await connected(tab);
  await tab.start(30);
  await tab.percentReaches(10);
  await tab.setHidden(true);
  // Longer than a socket is kept for nobody, and not as long as until a hidden page polls.
  await tab.page.clock.runFor(32 * SECONDS);
  for (const { request } of polls) await (await request.response()).finished();
  const before = polls.length;
  await tab.user.finish(await tab.user.last());
  await eventually(async () => assert.equal(await tab.page.title(), 'Finished · Longhaul'), 10 * SECONDS);
  assert.equal(polls.length, before);
});

pageTest('a tab that nobody looks at, and that follows nothing, lets go of its socket, and has one again when it is shown', async (tab) => {
  await tab.page.clock.install();
  const { sockets } = await connected(tab);
  await tab.setHidden(true);
  await tab.page.clock.runFor(28 * SECONDS);
  await tab.isConnected();
  assert.equal(sockets[0].isClosed(), false);
  await tab.page.clock.runFor(3 * SECONDS);
  await tab.user.hasSockets(0);
  await tab.setHidden(false);
  await tab.isConnected();
  assert.equal(sockets.length, 2);
});

pageTest('a task that another program starts appears, moves and ends, although nobody asks', async (tab) => {
  const { lists, polls } = await connected(tab);
  const announced = await tab.announcements();
  const taskId = await tab.user.start(60);
  await tab.reaches('Running');
  assert.equal(await tab.textOf('task-size'), '60 items');
  await eventually(async () => assert.ok((await announced()).some((text) => text.startsWith('You have a task running. It is shown now.'))));
  await tab.button(/^Running\W+60\sitems/).waitFor();
  await tab.percentReaches(20);
  await tab.user.cancel(taskId);
  await tab.reaches('Cancelled');
  await tab.button(/^Cancelled\W+60\sitems/).waitFor();
  assert.equal(lists.length, 0);
  assert.ok(polls.length <= 2, `${polls.length} polls`);
});

pageTest('messages that come again, or late, or make no sense change nothing', async (tab) => {
  const messages = [];
  let page;
  await tab.page.routeWebSocket(SOCKETS, (socket) => {
    page = socket;
    socket.connectToServer().onMessage((message) => {
      messages.push(message);
      socket.send(message);
    });
  });
  const { noted } = await connected(tab);
  await tab.start(15);
  await tab.percentReaches(20);
  const states = () => tab.page.evaluate(() => window.states);
  await tab.page.evaluate(() => {
    window.states = [];
    const look = () => window.states.push(document.querySelector('.row-state').textContent);
    new MutationObserver(look).observe(document.getElementById('history-rows'), { childList: true, characterData: true, subtree: true });
  });
  assert.match(JSON.parse(messages[0]).data.task_status, /^(QUEUED|PROCESSING)$/);
  page.send(messages[0]);
  await tab.reaches('Finished');
  assert.deepEqual([...new Set(await states())], ['Finished']);
  const row = tab.button(/^Finished\W+15\sitems/);
  await row.waitFor();
  assert.ok(messages.length >= 3, `${messages.length} messages`);
  const again = [...messages].reverse().concat('', '{', '{"type":"task"}', '{"type":"news","version":99,"data":{}}');
  for (const message of again) page.send(message);
  await tab.page.waitForTimeout(SECONDS);
  assert.equal(await tab.heading('Finished').isVisible(), true);
  await tab.button('Start another').click();
  for (const message of again) page.send(message);
  await tab.page.waitForTimeout(SECONDS);
  assert.equal(await tab.heading('Start a task').isVisible(), true);
  assert.equal(await row.isVisible(), true);
  // It was told all this: it is told what follows.
  const last = messages.map((message) => JSON.parse(message)).reduce((newest, each) => (each.version > newest.version ? each : newest));
  page.send(JSON.stringify({ ...last, version: last.version + 1, data: { ...last.data, number_of_items: 16 } }));
  await tab.button(/^Finished\W+16\sitems/).waitFor();
  assert.deepEqual(await noted(), []);
});

pageTest('two tabs have a socket each, and show the same', async (tab) => {
  await tab.openAndSignIn();
  const second = await tab.another();
  await second.open();
  await second.reaches('Start a task');
  await Promise.all([tab.isConnected(), second.isConnected()]);
  const polls = [tab, second].map((each) => each.requests('GET', STATUS));
  await tab.start(60);
  await second.reaches('Running');
  await Promise.all([tab.reaches('Finished'), second.reaches('Finished')]);
  for (const { length } of polls) assert.ok(length <= 3, `${length} polls`);
  await second.page.close();
  await tab.user.hasSockets(1);
});

pageTest('a submit whose answer is late starts the task that is followed already, and it never goes back', async (tab) => {
  const { noted } = await connected(tab);
  await tab.page.evaluate(() => {
    window.states = [];
    const state = document.getElementById('task-state');
    new MutationObserver(() => window.states.push(state.textContent)).observe(state, { childList: true, characterData: true, subtree: true });
  });
  await tab.intercept('POST', /tuned-long-running-task\/$/, async (route) => {
    const response = await route.fetch();
    await tab.user.finish((await response.json()).data.task_id);
    await tab.button(/^Finished\W+10\sitems/).waitFor();
    return route.fulfill({ response });
  });
  await tab.start(10);
  await tab.reaches('Finished');
  assert.deepEqual(await tab.page.evaluate(() => window.states), ['Finished']);
  assert.deepEqual(await noted(), []);
});

pageTest('signing out closes the socket, and asks for no other', async (tab) => {
  const { sockets, tickets } = await connected(tab);
  await tab.start(100);
  await tab.percentReaches(2);
  await tab.button('Sign out').click();
  await tab.reaches('Sign in');
  await tab.user.hasSockets(0);
  assert.equal(sockets[0].isClosed(), true);
  await tab.page.waitForTimeout(3 * SECONDS);
  assert.deepEqual([sockets.length, tickets.length], [1, 1]);
  assert.equal(await tab.page.title(), 'Longhaul');
  await tab.user.cancel(await tab.user.last());
});

pageTest('a ticket that is on its way when its owner signs out opens nothing', async (tab) => {
  const sockets = tab.sockets();
  const tickets = tab.requests('POST', TICKETS);
  const release = await tab.hold('POST', TICKETS);
  await tab.openAndSignIn();
  await eventually(() => assert.equal(tickets.length, 1));
  await tab.button('Sign out').click();
  await tab.reaches('Sign in');
  release();
  await tab.page.waitForTimeout(2 * SECONDS);
  assert.equal(sockets.length, 0);
});

pageTest('when the session has ended elsewhere, asking for a socket leads to the form as anything else does', async (tab) => {
  tab.expectNoise('the server responded with a status of 401', API);
  await tab.openAndSignIn();
  await tab.isConnected();
  await tab.intercept('POST', TICKETS, answer(401, { message: 'Unauthorized' }), 2);
  await tab.user.closeSockets();
  await tab.says('Your session has ended. Sign in again; a running task goes on meanwhile.');
});

pageTest('a token that has ended meanwhile is renewed before a new socket is asked for', async (tab) => {
  await tab.page.clock.install();
  const { sockets, tickets } = await connected(tab);
  const first = (await tickets[0].request.allHeaders()).authorization;
  await tab.page.clock.fastForward('01:00:00');
  await tab.user.closeSockets();
  await eventually(async () => {
    await tab.page.clock.runFor(SECONDS);
    assert.equal(sockets.length, 2);
  });
  await tab.isConnected();
  assert.notEqual((await tickets.at(-1).request.allHeaders()).authorization, first);
});

pageTest('when the machine has slept, the page trusts no socket from before', async (tab) => {
  await tab.page.clock.install();
  const { sockets } = await connected(tab);
  await tab.sleep(600 * SECONDS);
  await eventually(() => assert.equal(sockets.length, 2), 10 * SECONDS);
  assert.equal(sockets[0].isClosed(), true);
  await tab.isConnected();
});

pageTest('a page that the browser keeps has no socket meanwhile, and one when it is shown again', async (tab) => {
  await tab.openAndSignIn();
  await tab.isConnected();
  await tab.page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })));
  await tab.user.hasSockets(0);
  await tab.isShownAgain();
  await tab.reaches('Start a task');
  await tab.isConnected();
});

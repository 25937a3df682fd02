// Signs of life, sleep, back-off and advice, hidden pages.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Backoff } from '../backoff.js';
import { Clock } from './lib/clock.js';
import { world } from './lib/world.js';

async function onSocket(t, options) {
	const w = world(t, options), tab = w.tab().connect();
	await w.until(() => tab.live.status === 'websocket', 'websocket');
	return { w, server: w.server, tab };
}

const pings = (server) => server.heard.filter((h) => h.frame.type === 'ping').length;

test('a silent socket is pinged after 25 s; any frame is a sign of life', async (t) => {
	const { w, server } = await onSocket(t);
	await w.pass(24000);
	server.post('a sign');
	await w.pass(24000);
	assert.equal(pings(server), 0);
	await w.pass(2000);
	assert.equal(pings(server), 1);
	await w.pass(60000);
	assert.equal(server.counts.opened, 1, 'pongs keep it');
	assert.ok(pings(server) >= 2);
});

test('a clock that is set back does not keep a dead socket', async (t) => {
	const { w, server, tab } = await onSocket(t);
	w.clock.set(-3600000);
	[...server.sockets][0].isDead = true;
	server.post('one');
	await w.pass(65000);
	assert.deepEqual(tab.contents(), ['one']);
});

test('a socket that is dead without an end is given up 10 s after its ping', async (t) => {
	const { w, server, tab } = await onSocket(t);
	[...server.sockets][0].isDead = true;
	server.post('one');
	await w.pass(30000);
	assert.equal(tab.live.status, 'websocket');
	await w.until(() => server.counts.opened === 2, 'another', 10000);
	await w.pass(1000);
	assert.equal(tab.live.status, 'websocket');
	assert.deepEqual(tab.contents(), ['one']);
});

for (const [name, wake] of [
	['visibilitychange', (tab) => tab.show(true)],
	['online', (tab) => tab.tell('online')],
	['pageshow', (tab) => tab.tell('pageshow', { persisted: true })],
]) {
	test(`after sleep (${name}) a dead socket is given up within 4 s`, async (t) => {
		const { w, server, tab } = await onSocket(t);
		w.clock.sleep(20000);
		[...server.sockets][0].isDead = true;
		server.post('one');
		wake(tab);
		await w.pass(3900);
		assert.equal(server.counts.opened, 1);
		await w.until(() => tab.contents().length === 1, 'the event', 3000);
		assert.ok(pings(server) === 0 && server.counts.opened <= 2);
	});

	test(`after sleep (${name}) a live socket is kept`, async (t) => {
		const { w, server, tab } = await onSocket(t);
		wake(tab);
		await w.pass(10000);
		assert.equal(pings(server), 1);
		assert.equal(server.counts.opened, 1);
	});
}

test('after sleep a held poll is asked anew, a young one is not', async (t) => {
	const w = world(t), { server } = w;
	server.ws = 'refused';
	const tab = w.tab().connect();
	await w.pass(1500);
	const { polls } = server.counts;
	server.held.clear();		// the network forgot it
	server.post('one');
	tab.tell('online');
	await w.pass(200);
	assert.equal(server.counts.polls, polls, 'it is younger than 4 s');
	await w.pass(5000);
	tab.tell('online');
	await w.pass(200);
	assert.deepEqual(tab.contents(), ['one']);
	await w.pass(10000);
	tab.tell('online');
	await w.pass(1);
	assert.match(server.asked.at(-1).url, /timeout=0&/, 'answered at once: does it work?');
});

test('polls that work again are known to do so at once', async (t) => {
	const w = world(t), { server } = w;
	const tab = w.tab().connect({ wsUrl: null });
	await w.pass(1000);
	server.http = 'refused';
	await w.pass(60000);
	assert.equal(tab.live.status, 'offline');
	server.http = 'up';
	const { polls } = server.counts;
	await w.until(() => server.counts.polls > polls, 'the next poll', 31000);
	await w.pass(50);
	assert.equal(tab.live.status, 'polling');
});

test('a poll without an answer is given up 10 s after its time', async (t) => {
	const w = world(t), { server } = w;
	server.ws = 'refused';
	const tab = w.tab().connect();
	await w.pass(1000);
	server.held.clear();
	server.post('one');
	await w.pass(33000);
	assert.deepEqual(tab.contents(), []);
	await w.pass(6000);
	assert.deepEqual(tab.contents(), ['one']);
	assert.equal(tab.live.status, 'polling');
});

test('told to be offline, a page does not wait for the poll that it has just sent', async (t) => {
	const w = world(t), { server } = w;
	server.ws = 'refused';
	const tab = w.tab().connect();
	await w.until(() => tab.live.status === 'polling', 'polling', 10000);
	const { length } = server.asked;
	server.post('one');
	await w.until(() => server.asked.length > length, 'a fresh poll', 1000);
	server.http = 'refused';
	tab.tell('offline');
	await w.until(() => tab.live.status === 'offline', 'offline', 2000);
});

test('nothing works: offline; what was missed comes when something does', async (t) => {
	const { w, server, tab } = await onSocket(t);
	server.ws = server.http = 'refused';
	server.cut();
	tab.tell('offline');
	await w.pass(120000);
	assert.equal(tab.live.status, 'offline');
	const { length } = server.asked;
	assert.ok(length < 60, `${length} requests in two minutes`);
	server.post('one');
	server.http = server.ws = 'up';
	tab.tell('online');
	await w.pass(500);
	assert.equal(tab.live.status, 'websocket');
	assert.deepEqual(tab.contents(), ['one']);
	assert.equal(tab.states.length, 1);
});

test('full jitter: between nothing and a step that doubles; anew after 30 s of stability', () => {
	const clock = new Clock();
	let random = 0.999999;
	const backoff = new Backoff({ clock, random: () => random }, 10000);
	const steps = () => [1, 2, 3, 4, 5, 6].map(() => Math.round(backoff.next()));
	assert.deepEqual(steps(), [1000, 2000, 4000, 8000, 10000, 10000]);
	random = 0;
	assert.equal(backoff.next(), 0);
	assert.equal(backoff.next(5000), 5000, 'advice first');
	random = 0.5;
	assert.equal(backoff.next(5000), 10000, 'then jitter');
	backoff.worked();
	clock.sleep(29999);
	backoff.worked();
	assert.equal(backoff.next(), 5000, 'not stable');
	backoff.worked();
	clock.sleep(30000);
	assert.equal(backoff.next(), 500);
	clock.sleep(60000);
	assert.equal(backoff.next(), 1000, 'it did not work meanwhile');
	backoff.worked();
	clock.sleep(30000);
	assert.equal(backoff.next(0, true), 0, 'at once, the first time');
	assert.equal(backoff.next(0, true), 1000);
});

test('Retry-After is waited for, whatever wakes the page', async (t) => {
	const w = world(t), { server } = w;
	server.ws = 'refused';
	const tab = w.tab().connect({ env: { WebSocket: undefined } });
	await w.pass(5000);
	server.http = { status: 503, body: { code: 'draining', status: 503 }, headers: { 'Retry-After': '20' } };
	await w.until(() => tab.live.status === 'offline', 'refused', 60000);
	const { length } = server.asked;
	await w.pass(19000);
	tab.tell('online');
	tab.show(true);
	await w.pass(900);
	assert.equal(server.asked.length, length);
	server.http = 'up';
	await w.until(() => tab.live.status === 'polling', 'polling', 60000);
});

test('retry= of a close is waited for; 4408 comes back at once', async (t) => {
	const { w, server, tab } = await onSocket(t);
	await w.pass(31000);
	[...server.sockets][0].close(1012, 'retry=7');
	await w.pass(100);
	const { opened } = server.counts;
	tab.tell('online');
	await w.pass(6800);
	assert.equal(server.counts.opened, opened);
	assert.equal(tab.live.status, 'polling', 'meanwhile');
	await w.until(() => tab.live.status === 'websocket', 'websocket', 1500);
	await w.pass(31000);
	[...server.sockets][0].close(4408, 'Too slow');
	await w.pass(60);
	assert.equal(tab.live.status, 'websocket');
});

test('a hidden page polls slowly, and at once when it is looked at', async (t) => {
	const w = world(t), { server } = w;
	server.ws = 'refused';
	const tab = w.tab().connect({ env: { WebSocket: undefined } });
	await w.pass(5000);
	tab.show(false);
	await w.pass(30000);
	const { polls, held } = server.counts;
	await w.pass(300000);
	const n = server.counts.polls - polls;
	assert.ok(n >= 8 && n <= 11, `${n} polls in five minutes`);
	assert.equal(server.counts.held, held, 'none held');
	server.post('one');
	tab.show(true);
	await w.pass(100);
	assert.deepEqual(tab.contents(), ['one']);
	assert.equal(server.held.size, 1);
});

test('a page that is put away holds nothing, and goes on when it is shown again', async (t) => {
	for (const tabs of [false, true]) {
		const w = world(t, { tabs }), { server } = w, tab = w.tab().connect();
		await w.until(() => tab.live.status === 'websocket', 'websocket');
		tab.tell('pagehide');
		await w.pass(100);
		assert.equal(server.sockets.size, 0);
		assert.equal(tab.live.status, 'offline');
		assert.ok(!server.heard.some((h) => h.frame.type === 'bye'), 'it may be a reload');
		server.post('one');
		await w.pass(100000);
		tab.tell('pageshow', { persisted: true });
		await w.until(() => tab.live.status === 'websocket', 'websocket again', 1000);
		await w.pass(100);
		assert.deepEqual(tab.contents(), ['one']);
		assert.equal(tab.states.length, 1);
	}
});

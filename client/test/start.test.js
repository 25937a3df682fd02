// Which way is used, from the start to the loss of a way and its return.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Storage, tokenOf, world } from './lib/world.js';

test('both ways start at once; the state comes once; the socket is used', async (t) => {
	const w = world(t), { server } = w;
	server.post('old');
	const tab = w.tab().connect();
	await w.pass(1);
	assert.deepEqual(server.asked.map((a) => new URL(a.url).pathname).sort(), ['/api/realtime/poll', '/ws']);
	await w.until(() => tab.live.status === 'websocket', 'the socket is useful');
	await w.pass(5000);
	assert.equal(tab.states.length, 1);
	assert.equal(tab.states[0].reason, 'first');
	assert.deepEqual(tab.states[0].events.map((e) => e.type), ['ROOM_CREATED']);
	assert.deepEqual(tab.contents(), [], 'the state holds no messages');
	assert.equal(server.counts.polls, 1, 'no poll beside a useful socket');
	server.post('one');
	server.post('two');
	await w.pass(100);
	assert.deepEqual(tab.contents(), ['one', 'two']);
	assert.equal(tab.live.cursor, server.head);
	assert.ok(!server.asked.some((a) => a.url.includes(tokenOf('alice'))), 'no token in a URL');
});

test('what is committed between the states of both ways is neither lost nor doubled', async (t) => {
	for (let delay = 0; delay < 60; delay += 3) {
		const w = world(t), { server } = w;
		server.latency = () => 10;
		const tab = w.tab().connect();
		await w.pass(delay);
		server.post('between');
		await w.until(() => tab.live.status === 'websocket' && tab.live.cursor === server.head, 'all is there', 9000);
		server.post('after');
		await w.pass(3500);
		assert.equal(tab.states.length, 1);
		// Before the state was taken it is in nobody's state and no news.
		const want = tab.states[0].timestamp >= server.log[0].event.timestamp ? ['after'] : ['between', 'after'];
		assert.deepEqual(tab.contents(), want, `after ${delay} ms`);
	}
});

test('a socket that is not useful within 3 s: polls begin, and it goes on', async (t) => {
	const w = world(t), { server } = w;
	server.ws = 'hang';
	const tab = w.tab().connect();
	await w.pass(2900);
	assert.equal(server.counts.polls, 1);
	assert.equal(tab.live.status, 'polling', 'the first poll was answered');
	await w.pass(200);
	assert.ok(server.counts.held === 1, 'polls are held now');
	server.post('one');
	await w.pass(50);
	assert.deepEqual(tab.contents(), ['one']);
	assert.equal(server.counts.opened, 1, 'the first socket still has its time');
	server.ws = 'up';
	await w.until(() => tab.live.status === 'websocket', 'the next socket is useful', 25000);
	server.post('two');
	await w.pass(100);
	assert.deepEqual(tab.contents(), ['one', 'two']);
	assert.equal(server.held.size, 0, 'the held poll was given up');
});

test('a socket that is refused: polls begin at once', async (t) => {
	const w = world(t), { server } = w;
	server.ws = 'refused';
	const tab = w.tab().connect();
	await w.pass(200);
	assert.equal(tab.live.status, 'polling');
	assert.equal(server.counts.held, 1);
});

test('the socket is lost: polling within 4 s, back within 15 s, nothing lost or doubled', async (t) => {
	for (const how of ['refused', 'hang']) {
		const w = world(t), { server } = w;
		const tab = w.tab().connect();
		await w.until(() => tab.live.status === 'websocket', 'websocket');
		await w.pass(40000);
		const want = [];
		const write = () => want.push(server.post(`m${want.length}`).payload.content);
		write();
		server.ws = how;
		server.cut();
		assert.equal(tab.live.status, 'offline');
		write();
		await w.pass(4000);
		assert.equal(tab.live.status, 'polling');
		assert.ok(server.held.size === 1, 'a poll is held');
		for (let i = 0; i < 50; i++) {
			write();
			await w.pass(777);
		}
		assert.equal(tab.live.status, 'polling');
		server.ws = 'up';
		const from = w.clock.now();
		while (tab.live.status !== 'websocket') {
			write();
			await w.pass(100);
		}
		assert.ok(how === 'hang' || w.clock.now() - from <= 15000, `back after ${w.clock.now() - from} ms`);
		write();
		await w.pass(1000);
		assert.deepEqual(tab.contents(), want);
		assert.equal(tab.states.length, 1, 'never a reset');
	}
});

test('three sockets that open and carry nothing: blocked for five minutes, over a reload', async (t) => {
	const w = world(t), { server } = w, storage = new Storage();
	server.ws = 'silent';
	let tab = w.tab(storage).connect();
	await w.until(() => server.counts.opened === 3, 'three attempts', 60000);
	await w.pass(10500);
	const from = w.clock.now();
	await w.pass(60000);
	assert.equal(tab.live.status, 'polling');
	tab.live.close();
	tab = w.tab(storage).connect();
	await w.pass(100000);
	assert.equal(server.counts.opened, 3, 'none while it is blocked');
	assert.equal(tab.live.status, 'polling');
	server.ws = 'up';
	await w.until(() => tab.live.status === 'websocket', 'it is tried again', 300000);
	assert.ok(w.clock.now() - from > 285000 && w.clock.now() - from < 302000, `${w.clock.now() - from}`);
});

test('a socket that carries a frame is not blocked, nor one that is refused', async (t) => {
	const w = world(t), { server } = w;
	for (const how of ['refused', { code: 1013, reason: '' }]) {
		server.ws = how;
		const before = server.counts.opened, tab = w.tab().connect();
		await w.pass(60000);
		assert.ok(server.counts.opened - before > 5, JSON.stringify(how));
		tab.live.close();
	}
});

test('without WebSocket, or by wish, it polls; and returns by wish', async (t) => {
	const w = world(t), { server } = w;
	for (const options of [{ env: { WebSocket: undefined } }, { wsUrl: null }]) {
		const tab = w.tab().connect(options);
		await w.pass(100);
		assert.equal(tab.live.status, 'polling');
		assert.deepEqual([server.counts.opened, server.held.size], [0, 1], 'at once');
		tab.live.close();
		await w.pass(100);
	}
	const other = w.tab().connect();
	await w.until(() => other.live.status === 'websocket', 'websocket');
	other.live.use('polling');
	await w.pass(100);
	assert.equal(other.live.status, 'polling');
	server.post('one');
	await w.pass(60000);
	assert.equal(other.live.status, 'polling');
	assert.equal(server.sockets.size, 0);
	other.live.use('both');
	await w.until(() => other.live.status === 'websocket', 'websocket again', 1000);
	assert.deepEqual(other.contents(), ['one']);
});

test('where polls do not work the socket does', async (t) => {
	const w = world(t), { server } = w;
	server.http = 'refused';
	const tab = w.tab().connect();
	await w.until(() => tab.live.status === 'websocket', 'websocket', 1000);
	server.post('one');
	server.cut();
	server.post('two');
	await w.until(() => tab.contents().length === 2, 'both', 15000);
	assert.deepEqual(tab.contents(), ['one', 'two']);
	assert.equal(tab.states.length, 1);
});

test('a poll that the server finds wrong is reported, and does not keep the socket', async (t) => {
	const w = world(t), { server } = w;
	server.http = { status: 400, body: { code: 'bad_request', status: 400, detail: 'rooms must be ids' } };
	const tab = w.tab().connect();
	await w.pass(1000);
	assert.deepEqual([tab.errors[0].code, tab.errors[0].message], ['bad_request', 'rooms must be ids']);
	assert.equal(tab.live.status, 'websocket');
});

test('a server that does not hold polls is not asked without end', async (t) => {
	const w = world(t), { server } = w;
	server.ws = 'refused';
	server.isHolding = false;
	const tab = w.tab().connect();
	await w.pass(60000);
	assert.ok(server.counts.polls >= 12 && server.counts.polls < 45, `${server.counts.polls} polls in a minute`);
	server.post('one');
	await w.pass(5000);
	assert.deepEqual(tab.contents(), ['one']);
});

test('an answer that something between keeps and repeats is not asked for without end', async (t) => {
	const w = world(t), { server } = w, { head } = server;
	server.post('one');
	server.http = { status: 200, body: server.answer(head, 'alice', null) };
	const tab = w.tab().connect({ wsUrl: null, cursor: head });
	await w.pass(60000);
	assert.ok(server.asked.length < 45, `${server.asked.length} polls in a minute`);
	assert.deepEqual(tab.contents(), ['one']);
});

test('a page of a poll that is not the last is followed by the next', async (t) => {
	const w = world(t), { server } = w;
	server.ws = 'refused';
	const cursor = server.head;
	for (let i = 0; i < 1700; i++)
		server.post(`m${i}`);
	const tab = w.tab().connect({ cursor });
	await w.pass(500);
	assert.deepEqual(tab.contents(), server.log.map((e) => e.event.payload.content));
	assert.equal(tab.states.length, 0);
});

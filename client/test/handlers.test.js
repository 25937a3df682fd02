// What a page is told: handlers, their order and their failures, resets, rooms.

import test from 'node:test';
import assert from 'node:assert/strict';
import { connect, newKey, SidewireError } from '../sidewire.js';
import { settle } from './lib/clock.js';
import { position } from './lib/server.js';
import { tokenOf, world } from './lib/world.js';

test('handlers: by type, then all; one after the other; off() ends one', async (t) => {
	const w = world(t), { server } = w, tab = w.tab(), said = [];
	const { live } = tab.connect();
	const off = live.on('NEW_MESSAGE', async (e) => {
		said.push(`begins ${e.payload.content}`);
		await settle();
		said.push(`ends ${e.payload.content}`);
	});
	live.on('*', (e) => void said.push(`any ${e.type}`));
	await w.until(() => live.status === 'websocket', 'websocket');
	server.post('one');
	server.append('OTHER', {});
	await w.pass(100);
	assert.deepEqual(said, ['begins one', 'ends one', 'any NEW_MESSAGE', 'any OTHER']);
	off();
	server.post('two');
	await w.pass(100);
	assert.deepEqual(said.slice(4), ['any NEW_MESSAGE']);
});

test('a slow handler: the cursor waits, polls too, and nothing is lost', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	server.ws = 'refused';
	const { live } = tab.connect();
	let release = () => {};
	live.on('NEW_MESSAGE', () => new Promise((resolve) => { release = resolve; }));
	await w.pass(100);
	server.post('one');
	server.post('two');
	await w.pass(100);
	const { cursor } = live, { polls } = server.counts;
	assert.ok(cursor < server.log[0].event.timestamp);
	await w.pass(60000);
	assert.equal(live.cursor, cursor);
	assert.equal(server.counts.polls, polls, 'none is sent before the last is handled');
	release();
	await w.pass(10);
	assert.equal(live.cursor, server.log[0].event.timestamp);
	release();
	await w.pass(100);
	release();
	assert.deepEqual(tab.contents(), ['one', 'two']);
});

test('a handler that throws is reported, and the event counts as handled', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	const { live } = tab.connect();
	live.on('NEW_MESSAGE', (e) => { throw new Error(`cannot ${e.payload.content}`); });
	live.on('NEW_MESSAGE', () => Promise.reject(new Error('nor this')));
	await w.until(() => live.status === 'websocket', 'websocket');
	server.post('one');
	server.post('two');
	await w.pass(100);
	assert.deepEqual(tab.errors.map((e) => e.message), ['cannot one', 'nor this', 'cannot two', 'nor this']);
	assert.deepEqual(tab.contents(), ['one', 'two']);
	assert.equal(live.cursor, server.head);
});

test('a handler of errors that fails is on the console, and harms nothing', async (t) => {
	const w = world(t), tab = w.tab().connect(), seen = [];
	t.mock.method(console, 'error', (error) => void seen.push(error.message));
	tab.live.on('error', async () => { throw new Error('again'); });
	tab.live.on('error', () => { throw new Error('and again'); });
	tab.live.on('state', () => { throw new Error('first'); });
	await w.pass(1000);
	assert.deepEqual(seen.sort(), ['again', 'and again']);
	assert.deepEqual([tab.errors.length, tab.live.status], [1, 'websocket']);
});

test('an event that is called as one of ours comes by "*" alone', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	const { live } = tab.connect();
	await w.until(() => live.status === 'websocket', 'websocket');
	for (const type of ['status', 'state', 'auth', 'error', 'sent', 'unsent', '*', 'sync', 'ack', 'constructor'])
		server.append(type, { type });
	await w.pass(100);
	assert.equal(tab.events.length, 10);
	assert.equal(tab.statuses.at(-1), 'websocket');
	assert.deepEqual([tab.states.length, tab.ends.length, tab.errors.length, tab.sent.length], [1, 0, 0, 0]);
});

for (const way of ['up', 'refused']) {
	test(`a cursor that cannot be resumed gives the state and why (socket ${way})`, async (t) => {
		for (const [cursor, reason] of [['nonsense', 'unknown'], [position(1), 'expired'], [position(5000000), 'ahead']]) {
			const w = world(t), { server } = w;
			server.ws = way;
			server.n = server.oldest = 1000;
			server.post('before');
			const tab = w.tab().connect({ cursor });
			await w.pass(4000);
			assert.deepEqual(tab.states.map((s) => s.reason), [reason]);
			assert.deepEqual(tab.states[0].events.map((e) => e.payload.id), ['lobby']);
			assert.equal(tab.live.cursor, server.head);
			server.post('after');
			await w.pass(100);
			assert.deepEqual(tab.contents(), ['after']);
			assert.equal(tab.live.status, way === 'up' ? 'websocket' : 'polling');
		}
	});
}

test('a cursor that was kept is resumed without a state', async (t) => {
	const w = world(t), { server } = w;
	const cursor = server.head;
	server.post('missed');
	const tab = w.tab().connect({ cursor });
	await w.pass(5000);
	assert.deepEqual(tab.contents(), ['missed']);
	assert.equal(tab.states.length, 0);
});

test('the state is told from the news that come before the first sync', async (t) => {
	for (const rooms of [[], ['lobby'], ['lobby', 'attic']].flatMap((r) => [[...r], Object.assign([...r], { isRoomFirst: r.length > 0 })])) {
		const w = world(t), { server } = w;
		server.http = 'hang';
		server.rooms = rooms;
		server.answer = function answer(...args) {
			const a = Object.getPrototypeOf(this).answer.apply(this, args);
			delete this.answer;
			if (rooms.isRoomFirst)
				this.append('ROOM_CREATED', { id: 'new' });
			this.post('at once');
			if (!rooms.isRoomFirst)
				this.append('ROOM_CREATED', { id: 'new' });
			return { ...a, events: [...a.events, ...this.log.map((e) => e.event)], timestamp: this.head };
		};
		const tab = w.tab().connect();
		await w.until(() => tab.live.status === 'websocket', 'websocket');
		await w.pass(50);
		assert.deepEqual(tab.states.map((s) => s.events.map((e) => e.payload.id)), [[...rooms]]);
		assert.deepEqual(tab.events.map((e) => e.payload.content ?? e.payload.id), rooms.isRoomFirst ? ['new', 'at once'] : ['at once', 'new']);
	}
});

test('subscribe: a live socket is told; other ways ask anew; no event of the new rooms is lost', async (t) => {
	const w = world(t), { server } = w, tab = w.tab().connect({ rooms: ['lobby'] });
	await w.until(() => tab.live.status === 'websocket', 'websocket');
	server.post('no', 'attic');
	server.post('l1');
	await w.pass(100);
	tab.live.subscribe(['attic']);
	await w.pass(100);
	server.post('no', 'lobby');
	server.post('a1', 'attic');
	await w.pass(100);
	assert.equal(server.counts.opened, 1);
	tab.live.use('polling');
	await w.pass(100);
	tab.live.subscribe(null);
	await w.pass(100);
	server.post('l2');
	server.post('a2', 'attic');
	await w.pass(100);
	assert.deepEqual(tab.contents(), ['l1', 'a1', 'l2', 'a2']);
	// While a poll with the old rooms is on its way it must not move the cursor past the new.
	server.latency = () => 200;
	tab.live.subscribe(['lobby']);
	await w.pass(1000);
	server.post('a3', 'attic');
	await w.pass(1);
	tab.live.subscribe(['attic']);
	await w.pass(3000);
	assert.deepEqual(tab.contents().slice(4), ['a3']);
	assert.throws(() => tab.live.subscribe([]), TypeError);
	assert.throws(() => tab.live.subscribe('lobby'), TypeError);
});

test('subscribe: what waits of the old rooms does not move the cursor past the new ones', async (t) => {
	for (const tabs of [false, true]) {
		const w = world(t, { tabs }), { server } = w, tab = w.tab().connect({ rooms: ['lobby'], wsUrl: null });
		let release;
		tab.live.on('NEW_MESSAGE', (e) => e.payload.content === 'l1' && new Promise((resolve) => { release = resolve; }));
		await w.pass(1000);
		server.latency = () => 50;
		server.post('l1');
		server.post('a1', 'attic');
		server.post('l2');
		await w.pass(300);
		assert.ok(release, 'l1 is being handled, l2 waits');
		tab.live.subscribe(['attic']);
		await w.pass(500);
		release();
		await w.pass(1000);
		assert.deepEqual(tab.contents(), ['l1', 'a1']);
	}
});

test('what connect() cannot use it refuses', () => {
	const env = { clock: { setTimeout() {} } };
	assert.throws(() => connect({ url: 'https://x.example', env }), TypeError, 'no token');
	assert.throws(() => connect({ url: 'https://x.example', token: 7, env }), TypeError);
	assert.throws(() => connect({ url: 'nowhere', token: 'a.b.c', env }), TypeError);
	assert.throws(() => connect({ url: 'https://x.example', wsUrl: '/live', token: 'a.b.c', env }), TypeError);
	assert.throws(() => connect({ token: 'a.b.c', env }), TypeError, 'no origin to take the URL from');
	assert.throws(() => connect({ url: 'https://x.example', token: 'a.b.c', rooms: [7], env }), TypeError);
	assert.match(newKey(), /^[0-9a-f]{32}$/);
	assert.notEqual(newKey(), newKey());
	assert.ok(new SidewireError({}).isPassing && !new SidewireError({ status: 403 }).isPassing);
});

test('close: no more events, a bye on each way that was used, nothing left behind', async (t) => {
	for (const [how, ms, by] of [['up', 80000, ['socket']], ['up', 5000, ['post', 'socket']], ['refused', 5000, ['post']]]) {
		const w = world(t), { server } = w, tab = w.tab().connect();
		server.ws = how;
		await w.pass(ms);
		tab.live.close();
		tab.live.close();
		server.post('late');
		await w.pass(40);
		assert.deepEqual(server.heard.filter((h) => h.frame.type === 'bye').map((h) => h.by).sort(), by);
		assert.equal(server.asked.at(-1).keepalive, by.includes('post') ? true : undefined);
		assert.deepEqual([tab.live.status, tab.contents()], ['offline', []]);
		assert.equal(tab.statuses.at(-1), 'offline');
		await w.pass(20000);
		assert.equal(server.sockets.size + server.held.size, 0);
		assert.ok(w.clock.isEmpty, 'no timer');
		await assert.rejects(tab.live.send({ roomId: 'lobby', content: 'x' }), { code: 'closed' });
	}
});

test('close while nothing works, or no token comes: nothing left behind', async (t) => {
	for (const getToken of [() => Promise.reject(new Error('away')), () => new Promise(() => {}), undefined]) {
		const w = world(t), { server } = w;
		server.http = server.ws = 'hang';
		const tab = w.tab().connect(getToken ? { token: undefined, getToken } : {});
		const sent = assert.rejects(tab.live.send({ roomId: 'lobby', content: 'x' }), { code: 'closed' });
		await w.pass(20000);
		if (!getToken)
			server.http = { status: 503, body: {}, headers: { 'Retry-After': '200' } };
		await w.pass(11000);
		tab.live.close();
		await sent;
		await w.pass(15000);
		assert.ok(w.clock.isEmpty, 'no timer');
	}
});

test('url: a site below a path; the socket elsewhere', async (t) => {
	const w = world(t), { server } = w;
	w.tab().connect({ url: 'http://other.example/forum/', wsUrl: 'wss://live.example/ws', token: tokenOf('bob'), rooms: ['a b', 'c'] });
	await w.pass(20);
	const [poll, ws] = server.asked.map((a) => new URL(a.url)).sort((a, b) => a.protocol.localeCompare(b.protocol));
	assert.equal(poll.origin + poll.pathname, 'http://other.example/forum/api/realtime/poll');
	assert.equal(poll.searchParams.get('rooms'), 'a b,c');
	assert.match(poll.searchParams.get('client'), /^[A-Za-z0-9_-]{1,64}$/);
	assert.equal(ws.href, 'wss://live.example/ws?rooms=a+b%2Cc');
});

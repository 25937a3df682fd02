// Sending: one at a time, again until acknowledged, over changes of the way and reloads.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Storage, tokenOf, world } from './lib/world.js';

const hello = { roomId: 'lobby', content: 'hello' };
const messages = (server) => server.log.filter((e) => e.event.type === 'NEW_MESSAGE').map((e) => e.event.payload.content);
const onWay = async (w, tab, way) => {
	w.server.ws = way === 'websocket' ? 'up' : 'refused';
	tab.connect();
	await w.until(() => tab.live.status === way, way, 5000);
};

for (const way of ['websocket', 'polling']) {
	test(`send resolves with the ack (${way})`, async (t) => {
		const w = world(t), { server } = w, tab = w.tab();
		await onWay(w, tab, way);
		let ack;
		tab.live.send({ ...hello, key: 'k-1' }).then((a) => { ack = a; });
		await w.pass(1);
		assert.deepEqual(tab.live.pending, [{ key: 'k-1', roomId: 'lobby', content: 'hello', type: 'text' }]);
		await w.pass(100);
		const { event } = server.log.at(-1);
		assert.deepEqual(ack, { key: 'k-1', id: event.payload.id, timestamp: event.timestamp, duplicate: false });
		assert.deepEqual([tab.live.pending, tab.sent], [[], [ack]]);
		assert.equal(tab.storage.items.size, 0);
		assert.equal(server.heard.at(-1).by, way === 'websocket' ? 'socket' : 'post');
		assert.equal(tab.events.at(-1).payload.key, 'k-1', 'the event bears the key');
	});

	test(`what is refused for good rejects, and the next goes on (${way})`, async (t) => {
		const w = world(t), { server } = w, tab = w.tab();
		await onWay(w, tab, way);
		server.judge = ({ roomId }) => roomId === 'vault' && { code: 'forbidden_room', status: 403, detail: 'No member.' };
		const bad = assert.rejects(tab.live.send({ roomId: 'vault', content: 'x', key: 'bad' }),
			{ name: 'SidewireError', code: 'forbidden_room', status: 403, message: 'No member.' });
		const good = tab.live.send(hello);
		await w.pass(500);
		await Promise.all([bad, good]);
		assert.deepEqual(messages(server), ['hello']);
		assert.deepEqual(tab.unsent.map((u) => [u.key, u.error.code]), [['bad', 'forbidden_room']]);
		assert.deepEqual([tab.ends.length, tab.live.status], [0, way], 'a room that is not ours ends nothing');
	});

	test(`what is refused for now is sent again after the time named (${way})`, async (t) => {
		const w = world(t), { server } = w, tab = w.tab();
		await onWay(w, tab, way);
		server.judge = () => ({ code: 'rate_limited', status: 429, detail: 'slow', retryAfterMs: 5000 });
		['a', 'b', 'c'].forEach((content) => void tab.live.send({ roomId: 'lobby', content }));
		await w.pass(100);
		server.judge = null;
		tab.tell('online');
		await w.pass(4800);
		assert.equal(server.counts.sends, 1);
		await w.pass(2000);
		assert.deepEqual(messages(server), ['a', 'b', 'c'], 'in order');
		assert.equal(tab.sent.length, 3);
	});
}

test('the time that a server names holds on the other way too', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	await onWay(w, tab, 'websocket');
	server.judge = () => ({ code: 'busy', status: 503, retryAfterMs: 8000 });
	void tab.live.send(hello);
	await w.pass(100);
	server.judge = null;
	server.cut();
	await w.pass(7500);
	assert.equal(server.counts.sends, 1);
	await w.pass(3000);
	assert.deepEqual(messages(server), ['hello']);
});

test('an ack that is lost with its socket: sent again with the same key, by the other way', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	await onWay(w, tab, 'websocket');
	server.isAckLost = true;
	let ack;
	tab.live.send(hello).then((a) => { ack = a; });
	await w.pass(50);
	assert.equal(messages(server).length, 1);
	server.ws = 'refused';
	server.cut();
	await w.pass(5000);
	assert.equal(ack.duplicate, true);
	assert.deepEqual(server.heard.filter((h) => h.frame.type === 'send').map((h) => h.by), ['socket', 'post']);
	assert.deepEqual(messages(server), ['hello']);
	assert.deepEqual(tab.contents(), ['hello']);
});

test('an ack that never comes on a live socket is asked for again', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	await onWay(w, tab, 'websocket');
	server.isAckLost = true;
	tab.live.send(hello);
	await w.pass(100);
	server.isAckLost = false;
	await w.pass(17000);
	assert.deepEqual([tab.sent.length, messages(server).length], [1, 1]);
});

test('a way that opens is used at once', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	server.ws = server.http = 'refused';
	tab.connect();
	await w.pass(100);
	void tab.live.send(hello);
	await w.pass(120000);
	server.ws = 'up';
	await w.until(() => tab.live.status === 'websocket', 'websocket', 15000);
	await w.pass(50);
	assert.deepEqual(messages(server), ['hello']);
});

test('unsent messages live in the session storage, and are sent after a reload', async (t) => {
	const w = world(t), { server } = w, storage = new Storage();
	server.ws = server.http = 'refused';
	let tab = w.tab(storage).connect();
	await w.pass(100);
	for (const content of ['one', 'two'])
		void tab.live.send({ roomId: 'lobby', content });
	await w.pass(1000);
	assert.equal(tab.live.pending.length, 2);
	// Another user of this tab does not send them.
	server.ws = server.http = 'up';
	w.open = w.open.filter((live) => live !== tab.live);	// the page is gone without a word
	tab.live.close();
	const other = w.tab(storage).connect({ token: tokenOf('bob') });
	await w.pass(5000);
	assert.deepEqual(messages(server), []);
	assert.deepEqual(other.live.pending, []);
	tab = w.tab(storage).connect();
	await w.pass(1);
	assert.deepEqual(tab.live.pending.map((p) => p.content), ['one', 'two']);
	await w.pass(5000);
	assert.deepEqual(messages(server), ['one', 'two']);
	assert.deepEqual([tab.sent.length, tab.live.pending.length], [2, 0]);
	assert.ok(![...storage.items.keys()].some((name) => name.includes('outbox')));
});

test('what was committed before a reload is not sent twice', async (t) => {
	const w = world(t), { server } = w, storage = new Storage();
	let tab = w.tab(storage).connect();
	await w.pass(100);
	server.isAckLost = true;
	void tab.live.send(hello);
	await w.pass(50);
	tab.live.close();
	server.isAckLost = false;
	tab = w.tab(storage).connect();
	await w.pass(1000);
	assert.deepEqual(messages(server), ['hello']);
	assert.equal(tab.sent[0].duplicate, true);
});

test('older than the server knows keys: given back, not sent', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	server.ws = server.http = 'refused';
	tab.connect();
	await w.pass(100);
	const late = assert.rejects(tab.live.send(hello), { code: 'stale' });
	await w.pass(1000);
	w.clock.sleep(23 * 3600000);
	server.ws = server.http = 'up';
	await w.pass(60000);
	await late;
	assert.deepEqual(messages(server), []);
});

test('a storage that is full or holds something else does no harm', async (t) => {
	const w = world(t), { server } = w;
	for (const text of ['not JSON', '7', '[{}]', '[{"frame":{"payload":{"key":1}},"at":1}]', 'null']) {
		const storage = new Storage();
		storage.items.set('sidewire:outbox:alice', text);
		storage.items.set('sidewire:blocked:wss://site.example/ws', text);
		const tab = w.tab(storage).connect();
		await w.until(() => tab.live.status === 'websocket', 'websocket');
		assert.deepEqual(tab.live.pending, []);
		storage.isFull = true;
		void tab.live.send(hello);
		await w.pass(1000);
		assert.equal(tab.sent.length, 1);
		tab.live.close();
	}
	assert.equal(messages(server).length, 5);
});

test('no more than 500 unsent, no key twice', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	server.ws = server.http = 'refused';
	tab.connect();
	await w.pass(100);
	for (let i = 0; i < 500; i++)
		void tab.live.send({ ...hello, key: `k${i}` });
	await w.pass(0);
	await assert.rejects(tab.live.send({ ...hello, key: 'k7' }), { code: /outbox_full|key_reused/ });
	await assert.rejects(tab.live.send(hello), { code: 'outbox_full' });
	assert.equal(tab.live.pending.length, 500);
});

test('what cannot be written as JSON is refused at once, and keeps nothing back', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	await onWay(w, tab, 'websocket');
	const circle = {};
	circle.self = circle;
	for (const content of [circle, 7n])
		await assert.rejects(tab.live.send({ ...hello, content }), TypeError);
	void tab.live.send(hello);
	await w.pass(100);
	assert.deepEqual(messages(server), ['hello']);
});

test('1009 on a socket: the message is too long, and is not sent again', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	await onWay(w, tab, 'websocket');
	server.judge = ({ content }) => content.length > 100 && [...server.sockets].forEach((s) => s.close(1009, ''));
	const long = assert.rejects(tab.live.send({ roomId: 'lobby', content: 'x'.repeat(101) }), { code: 'too_large', status: 413 });
	server.isAckLost = true;
	await w.pass(60);
	server.isAckLost = false;
	server.log.length = 0;
	await w.pass(1);
	await long;
	void tab.live.send(hello);
	await w.pass(5000);
	assert.deepEqual(messages(server), ['hello']);
	assert.equal(tab.live.status, 'websocket');
});

test('a stranger that answers for the server refuses nothing for good', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	await onWay(w, tab, 'polling');
	for (const status of [403, 404, 405]) {
		server.http = { status, body: '<h1>Sign in to the hotel</h1>' };
		void tab.live.send({ ...hello, content: String(status) });
		await w.pass(20000);
		assert.equal(tab.live.pending.length, 1);
		server.http = 'up';
		await w.pass(20000);
	}
	assert.deepEqual(messages(server), ['403', '404', '405']);
	assert.deepEqual(tab.unsent, []);
	server.http = { status: 413, body: 'Request Entity Too Large' };
	await Promise.all([assert.rejects(tab.live.send(hello), { status: 413 }), w.pass(1000)]);
});

test('a storage that cannot be read does no harm', async (t) => {
	const w = world(t), deny = () => { throw new Error('SecurityError'); };
	const tab = w.tab({ getItem: deny, setItem: deny, removeItem: deny }).connect();
	void tab.live.send(hello);
	await w.until(() => tab.live.status === 'websocket', 'websocket');
	w.server.cut();
	await w.pass(20000);
	assert.deepEqual([tab.live.status, tab.sent.length], ['websocket', 1]);
});

test('a message written before the page is connected is sent', async (t) => {
	const w = world(t), { server } = w, tab = w.tab().connect();
	void tab.live.send(hello);
	tab.live.typing('lobby');
	await w.pass(500);
	assert.deepEqual(messages(server), ['hello']);
});

test('a token that ends while something is unsent: it is kept', async (t) => {
	const w = world(t), { server } = w, storage = new Storage();
	const tab = w.tab(storage).connect();
	server.ws = 'refused';
	await w.pass(5000);
	server.user = () => null;
	const unsent = assert.rejects(tab.live.send(hello), { code: 'closed' });
	await w.pass(1000);
	await unsent;
	assert.equal(tab.ends.length, 1);
	delete server.user;
	const next = w.tab(storage).connect();
	await w.pass(2000);
	assert.equal(next.sent.length, 1);
	assert.deepEqual(messages(server), ['hello']);
});

test('typing is told at most every four seconds, its end at once; by POST without a socket', async (t) => {
	const w = world(t), { server } = w, tab = w.tab();
	await onWay(w, tab, 'websocket');
	const typing = () => server.heard.filter((h) => h.frame.type === 'typing').map((h) => [h.by, h.frame.payload.roomId, h.frame.payload.on]);
	tab.live.typing('lobby', false);
	for (let i = 0; i < 50; i++) {
		tab.live.typing('lobby');
		await w.pass(100);
	}
	tab.live.typing('attic');
	tab.live.typing('lobby', false);
	await w.pass(100);
	assert.deepEqual(typing(), [['socket', 'lobby', true], ['socket', 'lobby', true], ['socket', 'attic', true], ['socket', 'lobby', false]]);
	tab.live.use('polling');
	await w.pass(100);
	tab.live.typing('lobby');
	await w.pass(100);
	assert.deepEqual(typing().at(-1), ['post', 'lobby', true]);
	w.clock.set(-3600000);
	tab.live.typing('lobby');
	await w.pass(100);
	assert.equal(typing().length, 6, 'the clock was set back');
});

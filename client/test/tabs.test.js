// Tabs of one user: one connection, every tab each event once, whoever closes or sleeps.

import test from 'node:test';
import assert from 'node:assert/strict';
import { tokenOf, world } from './lib/world.js';

async function open(w, n, options) {
	const tabs = [];
	for (let i = 0; i < n; i++) {
		tabs.push(w.tab().connect(options));
		await w.until(() => tabs[i].live.status === 'websocket' && tabs[i].live.cursor !== '', `tab ${i}`);
	}
	return tabs;
}

const contents = (server) => server.log.map((e) => e.event.payload.content).filter(Boolean);

test('three tabs: one socket; each gets its state and every event once', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const [a] = await open(w, 1);
	server.post('for the first');
	await w.pass(50);
	const [b, c] = await open(w, 2);
	server.post('one');
	server.post('two');
	await w.pass(100);
	assert.equal(server.counts.opened, 1);
	assert.equal(server.sockets.size, 1);
	assert.deepEqual(a.contents(), ['for the first', 'one', 'two']);
	for (const tab of [b, c]) {
		assert.equal(tab.states.length, 1);
		assert.deepEqual(tab.contents(), ['one', 'two']);
		assert.equal(tab.live.cursor, a.live.cursor);
	}
	const { polls } = server.counts;
	await w.pass(120000);
	assert.equal(server.counts.polls, polls, 'nobody polls');
	assert.equal(server.sockets.size, 1);
});

test('tabs of other users, and with other rooms, have their own', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	await open(w, 1);
	await open(w, 1, { token: tokenOf('bob') });
	await open(w, 1, { rooms: ['lobby', 'attic'] });
	assert.equal(server.sockets.size, 3);
	const [shares] = await open(w, 1, { rooms: ['attic', 'lobby'] });
	assert.equal(server.sockets.size, 3);
	await open(w, 1, { share: false });
	assert.equal(server.sockets.size, 4);
	// Another narrowing: another company.
	shares.live.subscribe(null);
	await w.until(() => shares.live.status === 'websocket', 'shared again');
	server.post('for all of them', 'cellar');
	await w.pass(100);
	assert.equal(server.sockets.size, 4);
	assert.deepEqual(shares.contents(), ['for all of them']);
});

test('the leader closes: another takes over, nothing lost or doubled, no bye', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const tabs = await open(w, 4);
	while (tabs.length > 1) {
		server.post(`with ${tabs.length}`);
		if (tabs.length % 2)
			await w.pass(100);
		tabs[0].live.close();
		server.post(`without ${tabs.length}`);
		tabs.shift();
		await w.until(() => tabs.every((tab) => tab.live.status === 'websocket'), 'taken over', 2000);
		await w.pass(1000);
		assert.equal(server.sockets.size, 1);
	}
	assert.deepEqual(tabs[0].contents(), contents(server));
	assert.equal(tabs[0].states.length, 1);
	assert.ok(!server.heard.some((h) => h.frame.type === 'bye'), 'the user is still here');
	tabs[0].live.close();
	await w.pass(100);
	assert.ok(server.heard.some((h) => h.frame.type === 'bye' && h.by === 'socket'), 'the last one says so');
});

test('a follower that closes is no reason for anything', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const [a, b] = await open(w, 2);
	b.live.close();
	await w.pass(100);
	server.post('one');
	await w.pass(60000);
	assert.deepEqual(a.contents(), ['one']);
	assert.equal(server.counts.opened, 1);
	assert.ok(!server.heard.some((h) => h.frame.type === 'bye'));
	a.live.close();
	await w.pass(100);
	assert.ok(server.heard.some((h) => h.frame.type === 'bye'));
});

test('a leader that is suspended: a visible tab takes the connection from it', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const [a, b] = await open(w, 2);
	await w.pass(100);
	// a hears nothing and says nothing, as in a suspended page.
	const id = { from: null };
	w.loses = (m) => {
		if (m.kind === 'item' || m.kind === 'status')
			id.from ??= m.from;
		return m.from === id.from || m.kind === 'hello';
	};
	server.post('one');
	b.show(true);
	await w.pass(3900);
	assert.equal(server.counts.opened, 1);
	w.loses = undefined;
	await w.until(() => server.counts.opened === 2, 'stolen', 1000);
	await w.pass(1000);
	assert.equal(server.sockets.size, 1, 'the old leader let go');
	server.post('two');
	await w.pass(100);
	for (const tab of [a, b])
		assert.deepEqual(tab.contents(), ['one', 'two']);
	// Nobody fights about it.
	await w.pass(300000);
	assert.equal(server.counts.opened, 2);
	b.live.close();
	await w.until(() => a.live.status === 'websocket', 'a again', 2000);
});

test('a tab that listens to a leader who was deposed finds the new one', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const [a, b, c] = await open(w, 3);
	await w.pass(100);
	// b hears nobody, and a and c do not hear how it begins.
	let leads = 0;
	w.loses = (m) => (m.kind === 'hello' ? leads === 0 : m.kind === 'lead' && leads++ < 2);
	b.show(true);
	await w.pass(4100);
	assert.ok(leads > 2, 'asked for again');
	server.post('one');
	await w.pass(1000);
	for (const tab of [a, b, c])
		assert.deepEqual(tab.contents(), ['one']);
	assert.equal(server.sockets.size, 1);
});

test('a hidden tab takes nothing from anybody', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const [, b] = await open(w, 2);
	b.show(false);
	w.loses = () => true;
	await w.pass(300000);
	assert.equal(server.counts.opened, 1);
	w.loses = undefined;
});

test('a tab that vanished is forgotten after a while', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	for (const [ms, byes] of [[60000, 0], [160000, 1]]) {
		const [a, b] = await open(w, 2);
		await w.pass(100);
		w.loses = (m) => m.kind === 'left';
		b.live.close();
		await w.pass(ms);
		w.loses = undefined;
		a.live.close();
		await w.pass(100);
		assert.equal(server.heard.filter((h) => h.by === 'socket' && h.frame.type === 'bye').length, byes);
	}
});

test('a leader that is ahead of the log is not asked after without end', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	server.n = 1000;
	const [a] = await open(w, 1);
	server.n = 500;		// a backup was restored, and nobody has noticed
	const b = w.tab().connect(), { polls } = server.counts;
	await w.pass(60000);
	const n = server.counts.polls - polls;
	assert.ok(n > 10 && n < 45, `${n} polls in a minute`);
	server.n = 1000;
	server.post('one');
	await w.pass(5000);
	assert.deepEqual([a.contents(), b.contents()], [['one'], ['one']]);
	const after = server.counts.polls;
	await w.pass(60000);
	assert.equal(server.counts.polls, after);
});

test('where the browser denies locks or channels each tab is alone', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const denied = () => { throw Object.assign(new Error('denied'), { name: 'SecurityError' }); };
	const places = [{ BroadcastChannel: class { constructor() { denied(); } } }, { locks: { request: async () => denied() } },
		{ locks: undefined }, { BroadcastChannel: undefined }];
	for (const env of places) {
		const tab = w.tab().connect({ env });
		await w.until(() => tab.live.status === 'websocket', 'websocket', 1000);
	}
	server.post('one');
	await w.pass(100);
	assert.equal(server.sockets.size, places.length);
});

test('a leader without a position tells it with the first event', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	server.rooms = [];
	server.http = 'refused';
	const a = w.tab().connect(), b = w.tab().connect();
	// News between the empty state and the first sync: the state's position is not known.
	server.answer = function answer(...args) {
		const { timestamp, ...first } = Object.getPrototypeOf(this).answer.apply(this, args);
		delete this.answer;
		return { ...first, events: [this.post('at once')], timestamp: this.head };
	};
	await w.until(() => a.contents().length === 1, 'the first event', 1000);
	server.http = 'up';
	await w.until(() => b.states.length === 1, 'the state of the other', 5000);
	server.post('two');
	await w.pass(1000);
	assert.deepEqual([a.contents(), b.contents()], [['at once', 'two'], ['two']]);
	assert.equal(server.sockets.size, 1);
});

test('items that a tab did not get are asked for', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const [a, b] = await open(w, 2);
	await w.pass(100);
	for (let i = 0; i < 30; i++) {
		w.loses = (m) => m.kind === 'item' && i % 3 === 1;
		server.post(`m${i}`);
		await w.pass(i % 5 * 10);
	}
	w.loses = undefined;
	server.post('end');
	await w.pass(5000);
	assert.deepEqual(a.contents(), contents(server));
	assert.deepEqual(b.contents(), contents(server));
});

test('a follower sends through the leader, each gets its own ack; typing too', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const [a, b] = await open(w, 2);
	server.judge = ({ content }) => content === 'bad' && { code: 'forbidden_room', status: 403, detail: 'No.' };
	const acks = Promise.all([a.live.send({ roomId: 'lobby', content: 'from a' }), b.live.send({ roomId: 'lobby', content: 'from b' })]);
	await w.pass(200);
	const [ackA, ackB] = await acks;
	assert.notEqual(ackA.key, ackB.key);
	const bad = assert.rejects(b.live.send({ roomId: 'lobby', content: 'bad' }), { code: 'forbidden_room', status: 403 });
	b.live.typing('lobby');
	await w.pass(200);
	await bad;
	assert.ok(server.heard.every((h) => h.by === 'socket'));
	assert.ok(server.heard.some((h) => h.frame.type === 'typing'));
	assert.deepEqual(contents(server).sort(), ['from a', 'from b']);
	assert.deepEqual(a.contents(), b.contents());
	// The leader goes while the answer is on its way: sent again, with the same key.
	server.isAckLost = true;
	const late = b.live.send({ roomId: 'lobby', content: 'late' });
	await w.pass(30);
	server.isAckLost = false;
	a.live.close();
	await w.pass(5000);
	assert.equal((await late).duplicate, true);
	assert.equal(contents(server).filter((c) => c === 'late').length, 1);
});

test('1009: the longest of what was asked for is too long, the others are sent again', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const [a, b, c] = await open(w, 3);
	server.judge = ({ content }) => content.length > 100 && void [...server.sockets].forEach((s) => s.close(1009, ''));
	server.isAckLost = true;
	const long = assert.rejects(b.live.send({ roomId: 'lobby', content: '\u6f22'.repeat(101) }), { code: 'too_large' });
	const others = [a, c].map((tab) => tab.live.send({ roomId: 'lobby', content: 'x'.repeat(100) }));
	await w.pass(100);
	server.isAckLost = false;
	await w.pass(20000);
	await long;
	await Promise.all(others);
	assert.equal(contents(server).filter((c) => c.startsWith('x')).length, 2);
	assert.deepEqual([...a.unsent, ...c.unsent], []);
});

test('without sockets the leader polls and the others do not; a follower posts by itself', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	server.ws = 'refused';
	const tabs = [];
	for (let i = 0; i < 3; i++) {
		tabs.push(w.tab().connect());
		await w.until(() => tabs[i].live.status === 'polling', 'polling');
	}
	await w.pass(1000);
	assert.equal(server.held.size, 1);
	const sent = tabs[2].live.send({ roomId: 'lobby', content: 'one' });
	await w.pass(500);
	await sent;
	for (const tab of tabs)
		assert.deepEqual(tab.contents(), ['one']);
	assert.equal(server.heard.at(-1).by, 'post');
	tabs[1].live.use('polling');
	server.ws = 'up';
	await w.pass(30000);
	assert.equal(server.sockets.size, 0, 'the wish of one holds for all');
	tabs[2].live.use('both');
	await w.until(() => tabs.every((tab) => tab.live.status === 'websocket'), 'websocket', 15000);
});

test('polls are slow only when no tab is looked at', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	server.ws = 'refused';
	const [a, b] = [w.tab().connect(), w.tab().connect()];
	await w.pass(5000);
	a.show(false);
	await w.pass(60000);
	assert.equal(server.held.size, 1, 'b is looked at');
	b.show(false);
	await w.pass(60000);
	assert.equal(server.held.size, 0);
	server.post('one');
	b.show(true);
	await w.pass(200);
	assert.deepEqual(b.contents(), ['one']);
	assert.equal(server.held.size, 1);
});

test('a reset reaches every tab, whatever it holds', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	server.n = 1000;
	server.post('old');
	const tabs = await open(w, 3);
	await w.pass(100);
	// A backup is restored: the log is behind all cursors, and every socket is closed.
	server.log.length = 0;
	server.n = 500;
	[...server.sockets].forEach((s) => s.close(1012, 'retry=1'));
	await w.pass(10000);
	server.post('new');
	await w.pass(1000);
	for (const tab of tabs) {
		assert.equal(tab.states.at(-1).reason, 'ahead');
		assert.equal(tab.states.length, 2);
		assert.deepEqual(tab.contents(), ['new']);
	}
});

test('the leader\'s token is refused: it stops, and so does each of the others for itself', async (t) => {
	const w = world(t, { tabs: true }), { server } = w;
	const tabs = await open(w, 3);
	server.user = () => null;
	[...server.sockets].forEach((s) => s.close(1008, 'Revoked'));
	await w.pass(60000);
	for (const tab of tabs)
		assert.deepEqual([tab.ends.length, tab.live.status], [1, 'offline']);
});

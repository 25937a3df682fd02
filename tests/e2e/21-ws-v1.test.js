// The subprotocol sidewire.v1: auth by frame, state or missed events, sync, subscribe, bye, errors.

import test, { describe } from 'node:test';
import assert from 'node:assert/strict';
import { startSite } from './lib/site.js';
import { settle } from './lib/poller.js';
import { until } from './lib/deadline.js';

const only = { poll: false, web: false };
const V1 = { direct: true, protocols: ['sidewire.v1'] };
const POSITION = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const now = () => Math.floor(Date.now() / 1000);
const iso = (s) => new Date(s * 1000).toISOString().replace('.000Z', '.000000Z');
const plain = (events) => events.map(({ type, payload }) => ({ type, payload }));

// What comes up to the next sync: { events, sync }.
async function upToSync(s) {
	const events = [];
	for (;;) {
		const m = await s.next('sync');
		if (m.type === 'sync') {
			assert.deepEqual(Object.keys(m), ['type', 'payload']);
			assert.match(m.payload.timestamp, POSITION);
			return { events, sync: m.payload };
		}
		events.push(m);
	}
}

// A v1 socket of this user, by a token in the URL, past its first sync.
async function ready(site, user, options = {}) {
	const s = await site.connect(user, { ...V1, ...options });
	return Object.assign(s, await upToSync(s));
}

const contents = (events) => events.filter((m) => m.type === 'NEW_MESSAGE').map((m) => m.payload.content);

test('the first frame authenticates; auth_ok, the state of a first poll and sync follow', async (t) => {
	const site = await startSite(t);
	await site.post('lobby', 'bob', 'an old message');
	await settle(site, 'alice', 'bob', 'carol');
	const state = (await site.poll('carol')).json;
	const s = await site.connect(undefined, V1);
	assert.equal(s.ws.protocol, 'sidewire.v1');
	// Before it is in, a client may ping, and what is not JSON is ignored as ever.
	s.send({ type: 'ping', payload: 1 });
	assert.deepEqual(await s.next(), { type: 'pong', payload: 1 });
	s.send('not JSON');
	const exp = now() + 1000;
	s.send({ type: 'auth', payload: { token: site.token('carol', { exp }) } });
	assert.deepEqual(await s.next(), { type: 'auth_ok', payload: { expiresAt: iso(exp) } });
	const { events, sync } = await upToSync(s);
	assert.deepEqual(plain(events), plain(state.events));
	assert.deepEqual(events.map((e) => e.type).sort(), ['ROOM_CREATED', 'ROOM_CREATED', 'USER_UPDATE', 'USER_UPDATE']);
	assert.deepEqual(Object.keys(sync), ['timestamp']);
	assert.ok(sync.timestamp >= state.timestamp);
	await site.post('lobby', 'bob', 'live');
	const live = await s.until('NEW_MESSAGE');
	assert.equal(live.payload.content, 'live');
	assert.ok(live.timestamp > sync.timestamp);
	// The position that sync gave is a cursor on both transports.
	const page = (await site.poll('carol', { lastTimestamp: sync.timestamp })).json;
	assert.deepEqual(contents(page.events), ['live']);
	// Through the web server the subprotocol is negotiated as well, among others.
	const web = await site.connect('carol', { protocols: ['other.v9', 'sidewire.v1'] });
	assert.equal(web.ws.protocol, 'sidewire.v1');
	assert.equal((await upToSync(web)).sync.reset, undefined);
});

test('who does not authenticate with the first frame is told so', async (t) => {
	const site = await startSite(t, only);
	const first = async (frame) => {
		const s = await site.connect(undefined, V1);
		s.send(frame);
		const end = await s.waitClosed();
		assert.deepEqual(s.all, []);
		return end;
	};
	const missing = { code: 1008, reason: 'Authentication required' };
	assert.deepEqual(await first({ type: 'subscribe', payload: { rooms: null } }), missing);
	assert.deepEqual(await first({ type: 'send', payload: {} }), missing);
	assert.deepEqual(await first({ type: 'auth' }), missing);
	assert.deepEqual(await first({ type: 'auth', payload: { token: 7 } }), missing);
	assert.deepEqual(await first({ type: 'auth', payload: { token: 'x.y.z' } }), { code: 1008, reason: 'Invalid token' });
	assert.deepEqual(await first({ type: 'auth', payload: { token: site.token('alice', { exp: now() - 3600 }) } }),
		{ code: 1008, reason: 'Token expired' });
	assert.deepEqual(await first({ type: 'auth', payload: { token: site.token('nobody') } }),
		{ code: 1008, reason: 'Revoked' });
	assert.deepEqual(await first({ type: 'bye' }), { code: 1000, reason: '' });
	// Up to 4 KiB and not a byte more, until it is in.
	const auth = (size) => {
		const bare = JSON.stringify({ type: 'auth', payload: { token: site.token('alice'), pad: '' } });
		return bare.replace('"pad":""', `"pad":"${'x'.repeat(size - bare.length)}"`);
	};
	assert.equal((await first(auth(4097))).code, 1009);
	const s = await site.connect(undefined, V1);
	assert.equal(auth(4096).length, 4096);
	s.send(auth(4096));
	assert.equal((await s.next()).type, 'auth_ok');
	await upToSync(s);
	s.send({ type: 'ping', payload: 'x'.repeat(5000) });
	assert.equal((await s.until('pong')).payload.length, 5000);
});

test('with a cursor the missed events come, then sync; a lost one gives state and reason', async (t) => {
	const site = await startSite(t, only);
	const watcher = await site.connect('alice', { direct: true });
	const first = await ready(site, 'carol');
	await site.post('lobby', 'bob', 'seen', 'm-seen');
	const seen = await first.until('NEW_MESSAGE');
	await first.close();
	await site.post('lobby', 'bob', 'one');
	await site.post('vault', 'bob', 'not for carol');
	await site.post('lobby', 'bob', 'two');
	// What the server has not read yet comes behind the sync, as news.
	await watcher.until('NEW_MESSAGE', (m) => m.payload.content === 'two');
	for (const params of [{ lastTimestamp: seen.timestamp }, { lastMessageId: 'm-seen' }]) {
		const s = await ready(site, 'carol', { params });
		assert.deepEqual(contents(s.events), ['one', 'two']);
		assert.equal(s.events.filter((m) => m.type === 'ROOM_CREATED').length, 0);
		assert.deepEqual(Object.keys(s.sync), ['timestamp']);
		assert.ok(s.sync.timestamp >= s.events.at(-1).timestamp);
		assert.deepEqual(contents(await s.drain()), []);
		await s.close();
	}
	await site.sql("DELETE FROM events WHERE id <= (SELECT id FROM events WHERE entity_id = 'm-seen')");
	for (const [params, reset] of [
		[{ lastTimestamp: 'garbage' }, 'unknown'],
		[{ lastMessageId: 'never-was' }, 'unknown'],
		[{ lastTimestamp: '2001-01-01T00:00:00Z' }, 'expired'],
		[{ lastTimestamp: '2999-01-01T00:00:00Z' }, 'ahead'],
	]) {
		const s = await ready(site, 'carol', { params });
		assert.equal(s.sync.reset, reset, JSON.stringify(params));
		assert.deepEqual(contents(s.events), [], 'the present state holds no messages');
		assert.equal(s.events.filter((m) => m.type === 'ROOM_CREATED').length, 2);
		await site.post('lobby', 'bob', reset);
		assert.equal((await s.until('NEW_MESSAGE')).payload.content, reset);
		// Said once only.
		s.send({ type: 'subscribe', payload: { rooms: null } });
		assert.deepEqual(Object.keys((await s.until('sync')).payload), ['timestamp']);
		await s.close();
	}
});

test('subscribe narrows, widens again and never beyond one\'s rights', async (t) => {
	const site = await startSite(t, only);
	await site.sql("INSERT INTO rooms(id, name) VALUES ('attic', 'Attic')");
	const s = await ready(site, 'carol');
	const heard = async (rooms) => {
		s.send({ type: 'subscribe', payload: { rooms } });
		await s.until('sync');
		for (const room of ['attic', 'lobby', 'vault'])
			await site.post(room, 'bob', room);
		await site.must('publish', 'MARK', '{}', '--user', 'carol');
		const got = [];
		for (;;) {
			const m = await s.next('MARK');
			if (m.type === 'MARK')
				return got;
			if (m.type === 'NEW_MESSAGE')
				got.push(m.payload.content);
		}
	};
	assert.deepEqual(await heard(['lobby']), ['lobby']);
	assert.deepEqual(await heard(['vault', 'attic', 'no such room']), ['attic']);
	assert.deepEqual(await heard([]), []);
	assert.deepEqual(await heard(null), ['attic', 'lobby']);
	for (const rooms of ['lobby', 7, [['lobby']], [null], {}, undefined, Array(257).fill('lobby')]) {
		s.send({ type: 'subscribe', payload: { rooms, key: 'k' } });
		const { payload } = await s.until('error');
		assert.deepEqual([payload.code, payload.status, payload.ref], ['bad_request', 400, 'k']);
	}
	assert.deepEqual(await heard(['attic']), ['attic'], 'still there');
});

test('bye closes with 1000 and needs no grace', async (t) => {
	const site = await startSite(t, { ...only, conf: ['presence.grace_s = 3600'] });
	const watcher = await ready(site, 'alice');
	for (const [user, options] of [['bob', V1], ['carol', { direct: true }]]) {
		const s = await site.connect(user, options);
		await watcher.until('USER_UPDATE', (m) => m.payload.id === user && m.payload.isOnline);
		s.send({ type: 'bye' });
		assert.deepEqual(await s.waitClosed(), { code: 1000, reason: '' });
		assert.deepEqual((await watcher.until('USER_LEFT')).payload, { userId: user });
	}
});

test('a later auth prolongs the session of the same user, and ends it for another', async (t) => {
	const site = await startSite(t, { ...only, conf: ['jwt.leeway_s = 0'] });
	const old = now() + 4;
	const s = await ready(site, undefined, { token: site.token('alice', { exp: old }) });
	const expiring = s.events.find((m) => m.type === 'auth_expiring') ?? await s.until('auth_expiring');
	assert.deepEqual(expiring.payload, { expiresAt: iso(old) });
	const exp = now() + 1000;
	s.send({ type: 'auth', payload: { token: site.token('alice', { exp }) } });
	assert.deepEqual((await s.until('auth_ok')).payload, { expiresAt: iso(exp) });
	// A frame that is no auth, by its payload, changes nothing.
	s.send({ type: 'auth', payload: { token: null, key: 'a' } });
	assert.equal((await s.until('error')).payload.code, 'bad_request');
	for (const [token, code, reason] of [
		[site.token('bob'), 'invalid_token', 'Invalid token'],
		[site.token('alice').slice(0, -4), 'invalid_token', 'Invalid token'],
		[site.token('alice', { exp: now() - 100 }), 'token_expired', 'Token expired'],
	]) {
		const other = await ready(site, 'alice');
		other.send({ type: 'auth', payload: { token, key: 'again' } });
		const { payload } = await other.until('error');
		assert.deepEqual([payload.code, payload.status, payload.ref], [code, 401, 'again']);
		assert.deepEqual(await other.waitClosed(), { code: 1008, reason });
	}
	// Past the old token's end, which is the server's to wait for: it was due by now.
	await until(() => Date.now() > (old + 1.5) * 1000, 'the old token has ended');
	assert.deepEqual(s.end, undefined);
	assert.deepEqual((await s.drain()).filter((m) => m.type !== 'USER_UPDATE'), []);
});

test('auth_expiring, then 1008 at exp; a legacy client gets the latter alone', async (t) => {
	const site = await startSite(t, only);
	const exp = now() + 3;
	const token = site.token('alice', { exp });
	const [v1, legacy] = await Promise.all([site.connect(undefined, { ...V1, token }),
		site.connect(undefined, { direct: true, token })]);
	for (const s of [v1, legacy]) {
		assert.deepEqual(await s.waitClosed(), { code: 1008, reason: 'Token expired' });
		assert.ok(Date.now() >= exp * 1000, 'not before its time');
	}
	assert.deepEqual(v1.all.map((m) => JSON.parse(m)).filter((m) => m.type === 'auth_expiring'),
		[{ type: 'auth_expiring', payload: { expiresAt: iso(exp) } }]);
	assert.ok(v1.all.some((m) => JSON.parse(m).type === 'sync'));
	assert.deepEqual(legacy.all, []);
	// Sixty seconds before: not at once for one that lasts a little longer.
	const later = now() + 62;
	const s = await ready(site, undefined, { token: site.token('alice', { exp: later }) });
	assert.deepEqual(await s.drain(), []);
	await s.until('auth_expiring');
	assert.ok(Date.now() >= (later - 60) * 1000 && !s.end);
});

test('what this version does not serve is answered by an error frame', async (t) => {
	const site = await startSite(t, only);
	const s = await ready(site, 'alice');
	for (const type of ['ack', 'unheard-of', 'pong', 'NEW_MESSAGE', '']) {
		s.send({ type, payload: { key: 'k-1', roomId: 'lobby', content: 'x' } });
		const m = await s.next('error');
		assert.deepEqual(Object.keys(m), ['type', 'payload']);
		assert.equal(m.type, 'error');
		const { title, detail, ...rest } = m.payload;
		assert.deepEqual(rest, { code: 'bad_request', status: 400, ref: 'k-1' });
		assert.ok(title.length > 0 && detail.length > 0);
	}
	s.send({ type: 'error' });
	assert.deepEqual(Object.keys((await s.next('error')).payload), ['code', 'status', 'title', 'detail']);
	// Not JSON, no object, no type: ignored as ever.
	for (const text of ['', 'x', '[]', '{}', '{"type":1}', '{"type":"ping"', '\ud800'])
		s.send(text);
	s.send(Buffer.from('{"type":"ping"}'));
	assert.deepEqual(await s.drain(), []);
	assert.equal(await site.sql('SELECT count(*) FROM messages'), '0');
});

test('a legacy client never gets any of this', async (t) => {
	const site = await startSite(t, only);
	const s = await site.connect('alice', { direct: true });
	for (const frame of [{ type: 'auth', payload: { token: site.token('bob') } }, { type: 'auth' },
		{ type: 'subscribe', payload: { rooms: ['vault'] } }, { type: 'subscribe', payload: 7 },
		{ type: 'send', payload: { key: 'k', room: 'lobby', text: 'x' } }, { type: 'send' },
		{ type: 'typing', roomId: 'lobby' }, { type: 'sync' }])
		s.send(frame);
	assert.deepEqual(await s.drain(), []);
	await site.post('lobby', 'bob', 'not narrowed');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'not narrowed');
	for (const lastTimestamp of ['garbage', '2001-01-01T00:00:00Z', '2999-01-01T00:00:00Z']) {
		const lost = await site.connect('alice', { direct: true, params: { lastTimestamp } });
		assert.deepEqual(await lost.drain(), []);
	}
	// Nothing to pick from what it offers: no subprotocol is invented for it.
	const foreign = site.socket('alice', { direct: true, protocols: ['chat', 'sidewire.v2'] });
	await assert.rejects(foreign.open());
	await s.drain();
});

describe('what takes its time', { concurrency: true }, () => {
	test('ten seconds to authenticate in', async (t) => {
		const site = await startSite(t, only);
		const s = await site.connect(undefined, V1);
		const since = Date.now();
		// Other signs of life do not prolong it.
		const beat = setInterval(() => s.send({ type: 'ping' }), 500);
		t.after(() => clearInterval(beat));
		assert.deepEqual(await s.waitClosed(), { code: 1008, reason: 'Authentication required' });
		assert.ok(Date.now() - since > 9000, 'not before');
	});

	test('sync when the position moved without an event to send', async (t) => {
		const site = await startSite(t, only);
		const v1 = await ready(site, 'carol');
		const legacy = await site.connect('carol', { direct: true });
		await site.post('vault', 'alice', 'not for carol');
		const m = await v1.next('sync', 45000);
		assert.equal(m.type, 'sync');
		assert.deepEqual(Object.keys(m.payload), ['timestamp']);
		assert.ok(m.payload.timestamp > v1.sync.timestamp);
		const again = await ready(site, 'carol', { params: { lastTimestamp: m.payload.timestamp } });
		assert.equal(again.sync.reset, undefined);
		assert.deepEqual(again.events, []);
		assert.deepEqual(legacy.all, []);
	});
});

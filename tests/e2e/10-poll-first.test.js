// Polls that are answered at once: first and later requests, cursors, SYNC, pages, forms.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { startSite, signToken } from './lib/site.js';
import { run } from './lib/process.js';
import { until } from './lib/deadline.js';
import { Poller, checkAnswer, contents, head, metric, ofType, settle } from './lib/poller.js';

const only = { ws: false, conf: ['limit.poll_per_s = 0'] };
const ROOMS = [
	{ id: 'lobby', name: 'Lobby', isPrivate: false, createdBy: 'alice', description: '' },
	{ id: 'vault', name: 'Vault', isPrivate: true, createdBy: 'alice', description: '' },
];
const user = (id, more = {}) => ({ id, name: id[0].toUpperCase() + id.slice(1), email: '', avatar: '', isOnline: true,
	bio: '', favorites: [], blocked: [], ...more });
// Several messages in one statement: ids m<from>, m<from+1>, ...
const postMany = (site, n, { from = 1, room = 'lobby', sender = 'bob', content = "'c' || i" } = {}) =>
	site.sql(`WITH RECURSIVE n(i) AS (VALUES (${from}) UNION ALL SELECT i + 1 FROM n WHERE i < ${from + n - 1})
		INSERT INTO messages(id, room_id, sender_id, content) SELECT 'm' || i, '${room}', '${sender}', ${content} FROM n`);

test('a first request is answered by the present state', async (t) => {
	const site = await startSite(t, only);
	await site.post('lobby', 'bob', 'an old message');
	await settle(site, 'alice', 'bob', 'carol');
	for (const params of [{}, { lastTimestamp: '' }, { nonsense: '1' }]) {
		const a = checkAnswer(await site.poll('alice', params));
		assert.deepEqual(Object.keys(a), ['events', 'timestamp']);
		assert.deepEqual(ofType(a.events, 'ROOM_CREATED').map((e) => e.payload), ROOMS);
		assert.deepEqual(ofType(a.events, 'USER_UPDATE').map((e) => e.payload), [user('bob'), user('carol')]);
		assert.equal(a.events.length, 4, 'no old messages, not oneself, no SYNC');
	}
	const empty = checkAnswer(await site.poll('alice', { lastMessageId: '', lastTimestamp: '' }));
	assert.deepEqual(empty.events.slice(0, 4), checkAnswer(await site.poll('alice')).events);
	// Every room is told of, also to who is no member; blocked users are left out.
	await site.sql(`INSERT INTO user_relationships(user_id, target_id, relationship_type)
		VALUES ('carol', 'bob', 'blocked'), ('carol', 'alice', 'favorite')`);
	await settle(site, 'alice');
	const a = checkAnswer(await site.poll('carol'));
	assert.deepEqual(ofType(a.events, 'ROOM_CREATED').map((e) => e.payload.id), ['lobby', 'vault']);
	assert.deepEqual(ofType(a.events, 'USER_UPDATE').map((e) => e.payload.id), ['alice']);
	assert.equal(a.timestamp, await head(site));
});

test('who is offline is not in the state', async (t) => {
	const site = await startSite(t, only);
	const a = checkAnswer(await site.poll('alice'));
	assert.deepEqual(a.events.map((e) => e.type), ['ROOM_CREATED', 'ROOM_CREATED']);
});

test('later requests get only newer events, by either cursor', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'alice', 'bob', 'carol');
	const start = await head(site);
	await postMany(site, 3);
	const a = checkAnswer(await site.poll('carol', { lastTimestamp: start, timeout: 10 }));
	assert.deepEqual(contents(a.events), ['c1', 'c2', 'c3']);
	assert.equal(a.events.length, 3);
	assert.deepEqual(a.events[0].payload, { id: 'm1', roomId: 'lobby', senderId: 'bob', senderName: '', senderAvatar: '',
		content: 'c1', type: 'text', timestamp: await site.sql("SELECT timestamp FROM messages WHERE id = 'm1'") });
	assert.equal(a.timestamp, a.events[2].timestamp);
	const [t1, t2, t3] = a.events.map((e) => e.timestamp);
	for (const [params, want] of [
		[{ lastTimestamp: start }, ['c1', 'c2', 'c3']],		// asked again, the same
		[{ lastTimestamp: t1 }, ['c2', 'c3']],			// strictly greater
		[{ lastTimestamp: t3 }, []],
		[{ lastMessageId: 'm2' }, ['c3']],
		[{ lastMessageId: 'm1', lastTimestamp: t2 }, ['c3']],	// the later of the two
		[{ lastMessageId: 'm2', lastTimestamp: t1 }, ['c3']],
		[{ lastMessageId: 'm3', lastTimestamp: start }, []],
		[{ lastMessageId: 'never was', lastTimestamp: t2 }, ['c3']],	// of those that can be resolved
		[{ lastMessageId: 'm2', lastTimestamp: 'yesterday' }, ['c3']],
		[{ lastMessageId: 'm2', lastTimestamp: '' }, ['c3']],
		[{ lastMessageId: '', lastTimestamp: t2 }, ['c3']],
		[{ lastMessageId: t2 }, ['c3']],			// as a SYNC event gave it
	]) {
		const later = checkAnswer(await site.poll('carol', params));
		assert.deepEqual(later.events.filter((e) => e.type !== 'SYNC').map((e) => e.payload.content), want,
			JSON.stringify(params));
		assert.equal(later.reset, undefined);
		assert.equal(later.timestamp, t3);
	}
});

test('a timestamp is read in each of its forms', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'carol');
	await postMany(site, 3);
	const p = new Poller(site, 'carol', {});
	p.cursor = '2001-01-01T00:00:00Z';
	await until(async () => (await p.once()).reset === 'expired', 'a first look');
	const { timestamp } = checkAnswer(await site.poll('carol', { lastMessageId: 'm2' }));
	assert.equal(timestamp, await head(site));
	const at = (await site.sql("SELECT id FROM events WHERE entity_id = 'm2'")).slice(-6);
	const t2 = timestamp.replace(/\.\d{6}Z/, `.${at}Z`);
	const bare = t2.slice(0, -1);
	for (const form of [t2, `${bare}+00:00`, `${bare} 00:00`, bare, `${bare}000Z`, bare.replace('T', 'T') + '00']) {
		const query = `lastTimestamp=${form.replace(' ', '+')}`;
		for (const q of [query, `lastTimestamp=${encodeURIComponent(form)}`]) {
			const a = checkAnswer(await site.request('GET', `/api/realtime/poll?${q}`,
				{ token: site.token('carol') }));
			assert.deepEqual(contents(a.events), ['c3'], q);
		}
	}
	// Fewer digits are an earlier time.
	const second = checkAnswer(await site.poll('carol', { lastTimestamp: t2.replace(/\.\d+Z/, 'Z') }));
	assert.ok(second.reset === 'expired' || contents(second.events).length === 3);
});

test('the position moves past what this user may not see', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'alice', 'bob', 'carol');
	const start = await head(site);
	await site.post('vault', 'alice', 'secret');
	await until(async () => {
		const a = checkAnswer(await site.poll('carol', { lastTimestamp: start }));
		assert.deepEqual(a.events, []);
		return a.timestamp > start;
	}, 'the position moves');
	assert.deepEqual(contents(checkAnswer(await site.poll('bob', { lastTimestamp: start })).events), ['secret']);
});

test('SYNC: exactly where a client that keeps lastMessageId alone needs it', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'alice', 'bob', 'carol');
	const sync = (a) => ofType(a.events, 'SYNC').map((e) => e.payload.id);
	const ask = async (params, who = 'carol') => checkAnswer(await site.poll(who, params));

	// The state ends in no message.
	const first = await ask({ lastMessageId: '' });
	assert.deepEqual(sync(first), [first.timestamp]);
	assert.equal(first.events.length, 5);
	let at = first.timestamp;
	assert.equal(at, await head(site));
	// Nothing new at all: empty.
	assert.deepEqual(await ask({ lastMessageId: at }), { events: [], timestamp: at });
	// The last is a message: no SYNC.
	await site.post('lobby', 'bob', 'one', 'one');
	let a = await ask({ lastMessageId: at, timeout: 10 });
	assert.deepEqual(a.events.map((e) => e.type), ['NEW_MESSAGE']);
	assert.deepEqual((await ask({ lastMessageId: 'one' })).events, []);
	// The last is something else.
	await site.sql(`INSERT INTO messages(id, room_id, sender_id, content) VALUES ('two', 'lobby', 'bob', 'two');`);
	await site.sql("UPDATE rooms SET description = 'd' WHERE id = 'lobby'");
	await head(site);
	a = await ask({ lastMessageId: 'one' });
	assert.deepEqual(a.events.map((e) => e.type), ['NEW_MESSAGE', 'ROOM_UPDATED', 'SYNC']);
	at = sync(a)[0];
	assert.equal(at, a.timestamp);
	assert.deepEqual((await ask({ lastMessageId: at })).events, []);
	// Nothing to see, but the position moved.
	await site.post('vault', 'alice', 'secret', 'secret');
	await head(site);
	a = await ask({ lastMessageId: at });
	assert.deepEqual(a.events.map((e) => e.type), ['SYNC']);
	assert.ok(a.timestamp > at);
	at = sync(a)[0];
	// An edit, a deletion: their payload.id is a message's, and yet no place after them.
	await site.sql("UPDATE messages SET content = 'TWO' WHERE id = 'two'");
	await site.sql("DELETE FROM messages WHERE id = 'one'");
	await head(site);
	a = await ask({ lastMessageId: at });
	assert.deepEqual(a.events.map((e) => e.type), ['MESSAGE_UPDATED', 'MESSAGE_DELETED', 'SYNC']);
	// A message that is gone is still a place.
	a = await ask({ lastMessageId: 'one' });
	assert.equal(a.reset, undefined);
	assert.deepEqual(contents(a.events), ['TWO']);
	// A page that the limit cuts.
	a = await ask({ lastMessageId: 'one', limit: 1 });
	assert.deepEqual([a.events.map((e) => e.type), a.more], [['NEW_MESSAGE'], true]);
	a = await ask({ lastMessageId: 'one', limit: 2 });
	assert.deepEqual([a.events.map((e) => e.type), a.more], [['NEW_MESSAGE', 'ROOM_UPDATED', 'SYNC'], true]);
	a = await ask({ lastMessageId: sync(a)[0], limit: 2 });
	assert.deepEqual(a.events.map((e) => e.type), ['MESSAGE_UPDATED', 'MESSAGE_DELETED', 'SYNC']);
	// What was no message's id: state, and a way on.
	for (const id of ['lobby', 'bob', 'no such thing']) {
		a = await ask({ lastMessageId: id });
		assert.equal(a.reset, 'unknown');
		assert.deepEqual(sync(a), [a.timestamp]);
	}
	// A published event may call itself anything.
	await site.must('publish', 'NEW_MESSAGE', '{"id":"fake"}');
	await head(site);
	a = await ask({ lastMessageId: at, limit: 500 });
	assert.deepEqual(a.events.at(-2).payload, { id: 'fake' });
	assert.deepEqual(sync(a), [a.timestamp]);
	// With lastTimestamp there is never a SYNC.
	for (const params of [{ lastTimestamp: first.timestamp }, { lastTimestamp: first.timestamp, lastMessageId: 'two' },
		{ lastTimestamp: 'garbage', lastMessageId: 'lobby' }, {}])
		assert.deepEqual(sync(await ask(params)), [], JSON.stringify(params));
});

test('a client that walks with lastMessageId alone misses and repeats nothing', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'alice', 'bob', 'carol');
	const steps = [];
	for (let i = 0; i < 60; i++) {
		steps.push(i % 7 === 3 ? `UPDATE rooms SET description = 'd${i}' WHERE id = 'lobby';` :
			i % 5 === 2 ? `INSERT INTO messages(id, room_id, sender_id, content) VALUES ('s${i}', 'vault', 'bob', 's');` :
			i % 11 === 4 ? `UPDATE users SET bio = 'b${i}' WHERE id = 'alice';` :
			`INSERT INTO messages(id, room_id, sender_id, content) VALUES ('w${i}', 'lobby', 'bob', 'w${i}');`);
	}
	let id = '';
	const got = [];
	const step = async () => {
		const a = checkAnswer(await site.poll('carol', { lastMessageId: id, limit: 1 + got.length % 3 }));
		assert.equal(a.reset, undefined, `resumes at ${id}`);
		got.push(...a.events.filter((e) => e.type === 'NEW_MESSAGE').map((e) => e.payload.id));
		id = a.events.at(-1)?.payload.id ?? id;
		return a;
	};
	await step();
	for (let i = 0; i < steps.length; i += 6) {
		await site.sql(steps.slice(i, i + 6).join('\n'));
		await step();
	}
	const want = (await site.sql(`SELECT entity_id FROM events
		WHERE type = 'NEW_MESSAGE' AND room_id = 'lobby' ORDER BY id`)).split('\n');
	await until(async () => (await step()) && got.length >= want.length, 'the walk ends');
	await step();
	assert.deepEqual(got, want);
});

test('limit and more', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'carol');
	const start = await head(site);
	await postMany(site, 250);
	await head(site);
	const ask = async (params) => checkAnswer(await site.poll('carol', { lastTimestamp: start, ...params }));
	let a = await ask({});
	assert.equal(contents(a.events).length, 100, 'the default');
	assert.deepEqual([a.more, a.timestamp], [true, a.events.at(-1).timestamp]);
	a = await ask({ limit: 1 });
	assert.deepEqual([contents(a.events), a.more], [['c1'], true]);
	a = await ask({ limit: 500 });
	assert.deepEqual([contents(a.events).length, a.more], [250, undefined]);
	a = await ask({ limit: 250 });
	assert.equal(contents(a.events).length, 250);
	const p = new Poller(site, 'carol');
	p.cursor = start;
	for (let more = true; more; )
		({ more } = await p.once({ limit: 7 }));
	assert.deepEqual(p.contents, Array.from({ length: 250 }, (_, i) => `c${i + 1}`));
});

test('a long stretch that one may not see is walked with more', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'alice', 'bob', 'carol');
	const start = await head(site);
	await postMany(site, 5000, { room: 'vault' });
	await site.post('lobby', 'bob', 'at last');
	await head(site);
	const p = new Poller(site, 'carol');
	p.cursor = start;
	for (let more = true; more; )
		({ more } = await p.once({ timeout: 5 }));
	assert.deepEqual(p.contents, ['at last']);
	const s = checkAnswer(await site.poll('carol', { lastTimestamp: start, rooms: 'lobby' }));
	assert.ok(s.timestamp > start);
});

test('rooms narrows and never widens', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'carol', 'bob');
	await site.sql("INSERT INTO rooms(id, name) VALUES ('attic', 'Attic'), ('a,b', 'Comma')");
	const start = await head(site);
	for (const room of ['lobby', 'vault', 'attic'])
		await site.post(room, 'bob', room);
	await site.sql("UPDATE rooms SET description = 'x' WHERE id = 'lobby'");
	await head(site);
	const got = async (who, rooms) => checkAnswer(await site.poll(who, { lastTimestamp: start, rooms })).events;
	assert.deepEqual(contents(await got('carol', 'attic,vault')), ['attic']);
	assert.deepEqual(contents(await got('bob', 'attic,vault,,vault')), ['vault', 'attic']);
	assert.deepEqual(contents(await got('bob', '')), ['lobby', 'vault', 'attic'].filter(Boolean));
	assert.deepEqual(contents(await got('carol', 'nowhere')), []);
	assert.equal(ofType(await got('carol', 'nowhere'), 'ROOM_UPDATED').length, 1, 'rooms themselves stay news');
	const state = checkAnswer(await site.poll('carol', { rooms: 'attic' }));
	assert.equal(ofType(state.events, 'ROOM_CREATED').length, 4);
});

test('a cursor that cannot be resumed is a reset with its reason', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'bob', 'carol');
	await postMany(site, 20);
	const early = checkAnswer(await site.poll('carol', { lastMessageId: 'm1' })).events[0].timestamp;
	const now = await head(site);
	const ask = async (params) => checkAnswer(await site.poll('carol', params));
	const state = (await ask({})).events;
	for (const [params, reason] of [
		[{ lastMessageId: 'no such message' }, 'unknown'], [{ lastMessageId: 'x'.repeat(300) }, 'unknown'],
		[{ lastTimestamp: 'garbage' }, 'unknown'], [{ lastTimestamp: '2025-13-45T00:00:00Z' }, 'unknown'],
		[{ lastTimestamp: 'garbage', lastMessageId: 'lobby' }, 'unknown'],
		[{ lastTimestamp: '2001-01-01T00:00:00Z' }, 'expired'], [{ lastTimestamp: '2099-01-01T00:00:00Z' }, 'ahead'],
	]) {
		const a = await ask(params);
		assert.equal(a.reset, reason, JSON.stringify(params));
		assert.deepEqual(a.events.filter((e) => e.type !== 'SYNC').map((e) => [e.type, e.payload]),
			state.map((e) => [e.type, e.payload]));
		assert.equal(a.timestamp, now);
	}
	assert.ok(await metric(site, 'resets') >= 7);
	// One that can be resumed is enough.
	assert.equal((await ask({ lastTimestamp: '2099-01-01T00:00:00Z', lastMessageId: 'm20' })).reset, undefined);
	assert.deepEqual(contents((await ask({ lastTimestamp: '2001-01-01T00:00:00Z', lastMessageId: 'm19' })).events), ['c20']);
	// A reset does not hold, and after it the client goes on.
	assert.equal((await ask({ lastMessageId: 'nothing', timeout: 20 })).reset, 'unknown');
	await site.must('prune', '--keep-rows', '5');
	assert.equal((await ask({ lastTimestamp: early })).reset, 'expired');
	assert.equal((await ask({ lastMessageId: 'm2' })).reset, 'unknown');
	assert.deepEqual(contents((await ask({ lastMessageId: 'm18' })).events), ['c19', 'c20']);
	assert.deepEqual((await ask({ lastTimestamp: now })).events, []);
});

test('every answer has its headers; HEAD has those of GET, and does not hold', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'carol');
	const token = site.token('carol');
	const at = await head(site);
	const cases = [
		[200, 'GET', '/poll', { token }], [200, 'GET', '/status', {}], [200, 'GET', '/history?roomId=lobby', { token }],
		[401, 'GET', '/poll', {}], [401, 'GET', '/poll', { token: 'a.b.c' }], [403, 'GET', '/history?roomId=vault', { token }],
		[404, 'GET', '/nothing', { token }], [404, 'GET', '/', { token }], [404, 'GET', '/poll/', { token }],
		[415, 'POST', '/send', { token, body: '{}' }], [401, 'POST', '/publish', { token: 'a.b.c', body: '{}' }],
		[405, 'POST', '/poll', { token, body: '{}' }], [405, 'DELETE', '/status', {}], [405, 'PUT', '/history', { body: 'x' }],
		[400, 'GET', '/poll?limit=0', { token }],
	];
	for (const [status, method, url, options] of cases) {
		const a = await site.request(method, `/api/realtime${url}`, options);
		const what = `${method} ${url}: ${a.text}`;
		assert.equal(a.status, status, what);
		assert.equal(a.headers['content-type'], status < 400 ? 'application/json' : 'application/problem+json', what);
		assert.equal(a.headers['cache-control'], 'no-store', what);
		assert.equal(a.headers['x-content-type-options'], 'nosniff', what);
		assert.equal(a.headers.vary, 'Authorization, Origin', what);
		assert.equal(a.headers['access-control-allow-origin'], undefined, what);
		if (status < 400)
			continue;
		assert.deepEqual(Object.keys(a.json).sort(), ['code', 'detail', 'status', 'title', 'type'], what);
		assert.equal(a.json.status, status);
		assert.ok(a.json.detail.length > 0);
		assert.equal(/^Bearer /.test(a.headers['www-authenticate'] ?? ''), status === 401, what);
		assert.equal(a.headers.allow, status === 405 ? 'GET, HEAD, OPTIONS' : undefined, what);
	}
	for (const url of ['/poll', `/poll?timeout=20&lastTimestamp=${at}`, '/status', '/history?roomId=lobby', '/nothing']) {
		const { headers, text, status } = await site.request('HEAD', `/api/realtime${url}`, { token });
		const full = await site.request('GET', `/api/realtime${url.replace('timeout=20', '')}`, { token });
		assert.deepEqual([status, text], [full.status, '']);
		for (const name of ['content-type', 'cache-control', 'vary', 'x-content-type-options', 'content-length'])
			assert.equal(headers[name], full.headers[name], `${url} ${name}`);
	}
});

test('OPTIONS and CORS: configured origins, without credentials; a foreign one without headers', async (t) => {
	const site = await startSite(t, { ws: false, conf: ['cors.origins = https://a.example https://b.example:8443'] });
	const token = site.token('carol');
	const cors = (a) => Object.keys(a.headers).filter((h) => h.startsWith('access-control-'));
	for (const origin of ['https://a.example', 'https://b.example:8443']) {
		const a = await site.poll('carol', {}, { headers: { Origin: origin } });
		assert.equal(a.status, 200);
		assert.equal(a.headers['access-control-allow-origin'], origin);
		assert.equal(a.headers['access-control-allow-credentials'], undefined);
		// An error is to be read by a page as well.
		const refused = await site.request('GET', '/api/realtime/poll', { headers: { Origin: origin } });
		assert.deepEqual([refused.status, refused.headers['access-control-allow-origin']], [401, origin]);
		const pre = await site.request('OPTIONS', '/api/realtime/poll', { headers: { Origin: origin,
			'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': 'authorization' } });
		assert.deepEqual([pre.status, pre.text], [204, '']);
		assert.equal(pre.headers['access-control-allow-origin'], origin);
		assert.match(pre.headers['access-control-allow-methods'], /\bGET\b/);
		assert.match(pre.headers['access-control-allow-headers'], /\bAuthorization\b/i);
		assert.equal(pre.headers['access-control-allow-credentials'], undefined);
		assert.equal(pre.headers.vary, 'Authorization, Origin');
	}
	for (const origin of ['https://evil.example', 'http://a.example', 'https://a.example:444', 'https://a.example.evil', 'null']) {
		const a = await site.poll('carol', {}, { headers: { Origin: origin } });
		assert.deepEqual([a.status, cors(a)], [200, []], origin);
		const pre = await site.request('OPTIONS', '/api/realtime/poll', { headers: { Origin: origin } });
		assert.deepEqual([pre.status, cors(pre)], [204, []], origin);
	}
	const bare = await site.request('OPTIONS', '/api/realtime/history', { token });
	assert.deepEqual([bare.status, bare.headers.allow, cors(bare)], [204, 'GET, HEAD, OPTIONS', []]);
});

test('cors.origins = * allows everybody by that very word', async (t) => {
	const site = await startSite(t, { ws: false, conf: ['cors.origins = *'] });
	const a = await site.poll('carol', {}, { headers: { Origin: 'https://any.example' } });
	assert.equal(a.headers['access-control-allow-origin'], '*');
	assert.equal(a.headers['access-control-allow-credentials'], undefined);
});

test('what is not well formed is 400', async (t) => {
	const site = await startSite(t, only);
	const bad = ['limit=0', 'limit=501', 'limit=-1', 'limit=abc', 'limit=1.5', 'limit=', 'limit=1e2', 'limit=99999999999999999999',
		'timeout=abc', 'timeout=-1', 'timeout=', 'timeout=1.', 'timeout=0x10', 'client=', 'client=a%20b',
		`client=${'x'.repeat(65)}`, 'client=%C3%A4', `rooms=${Array.from({ length: 257 }, (_, i) => i)}`];
	for (const query of bad) {
		const a = await site.request('GET', `/api/realtime/poll?${query}`, { token: site.token('carol') });
		assert.deepEqual([a.status, a.json.code], [400, 'bad_request'], query);
		assert.match(a.json.detail, new RegExp(`^${query.split('=')[0]} `), query);
	}
	for (const query of ['limit=1', 'limit=500', 'limit=007', 'timeout=0', 'timeout=99999999999999', `client=${'x'.repeat(64)}`,
		'client=A-z_9', `rooms=${Array.from({ length: 256 }, (_, i) => i)}`, '&&=&x', '%6cimit=5', 'limit=5&limit=0']) {
		const a = await site.request('GET', `/api/realtime/poll?${query}`, { token: site.token('carol') });
		assert.equal(a.status, 200, `${query}: ${a.text}`);
	}
	const long = await site.request('GET', `/api/realtime/poll?x=${'y'.repeat(20000)}`, { token: site.token('carol') });
	assert.ok([400, 413, 414, 431].includes(long.status), String(long.status));
});

test('a token is asked for, and who has one may ask only so often', async (t) => {
	const site = await startSite(t, { ws: false, conf: ['limit.poll_per_s = 1', 'jwt.leeway_s = 0'] });
	const now = Math.floor(Date.now() / 1000);
	for (const [token, code] of [[undefined, 'missing_token'], ['garbage', 'invalid_token'],
		[signToken('another key of thirty-two bytes...', { sub: 'carol', exp: now + 60 }), 'invalid_token'],
		[signToken(site.key, { sub: 'carol', exp: now + 60 }, { alg: 'none' }), 'invalid_token'],
		[site.token('carol', { exp: now - 5 }), 'token_expired'], [site.token('nobody'), 'revoked']]) {
		const a = await site.request('GET', '/api/realtime/poll', { token });
		assert.deepEqual([a.status, a.json.code], [401, code]);
	}
	const answers = [];
	for (let i = 0; i < 6; i++)
		answers.push(await site.poll('carol'));
	const limited = answers.find((a) => a.status === 429);
	assert.equal(limited.json.code, 'rate_limited');
	assert.match(limited.headers['retry-after'], /^[1-9]\d*$/);
	assert.equal((await site.poll('bob')).status, 200, 'another user is not concerned');
});

test('history pages back and asks for the right', async (t) => {
	const site = await startSite(t, only);
	await postMany(site, 25);
	await site.post('vault', 'alice', 'secret', 's1');
	const ask = (who, params) => site.request('GET', `/api/realtime/history?${new URLSearchParams(params)}`,
		{ token: site.token(who) });
	let before, all = [], more = true;
	while (more) {
		const a = await ask('carol', { roomId: 'lobby', limit: 10, ...(before ? { before } : {}) });
		assert.equal(a.status, 200);
		assert.ok(a.json.messages.length <= 10);
		assert.deepEqual(Object.keys(a.json.messages[0]), ['id', 'roomId', 'senderId', 'senderName', 'senderAvatar',
			'content', 'type', 'timestamp']);
		all = [...a.json.messages.map((m) => m.id), ...all];
		before = a.json.messages[0].id;
		({ more } = a.json);
	}
	assert.deepEqual(all, Array.from({ length: 25 }, (_, i) => `m${i + 1}`));
	assert.deepEqual((await ask('carol', { roomId: 'lobby', before: 'm1' })).json.messages, []);
	assert.equal((await ask('bob', { roomId: 'vault' })).json.messages[0].content, 'secret');
	for (const [who, params, status, code] of [
		['carol', { roomId: 'vault' }, 403, 'forbidden_room'], ['carol', { roomId: 'nowhere' }, 404, 'not_found'],
		['carol', { roomId: 'lobby', before: 'nothing' }, 404, 'not_found'],
		['carol', { roomId: 'lobby', before: 's1' }, 404, 'not_found'],
		['carol', {}, 400, 'bad_request'], ['carol', { roomId: 'lobby', limit: 501 }, 400, 'bad_request'],
		['nobody', { roomId: 'lobby' }, 401, 'revoked'],
	]) {
		const a = await ask(who, params);
		assert.deepEqual([a.status, a.json.code], [status, code], JSON.stringify(params));
	}
});

test('status tells which transports there are', async (t) => {
	const site = await startSite(t, { ws: false, conf: ['poll.max_wait_s = 7'] });
	const status = async () => (await site.request('GET', '/api/realtime/status')).json;
	assert.deepEqual(await status(), { websocket_available: false, longpolling_available: true, recommended: 'polling',
		max_wait_s: 7 });
	await site.startSidecar();
	await until(async () => (await status()).websocket_available, 'the sidecar is seen');
	assert.equal((await status()).recommended, 'websocket');
	// The heartbeat counts, not the goodbye.
	await site.sidecar.stop('SIGKILL');
	await site.sql('UPDATE sw_instances SET seen_at = seen_at - 11000');
	assert.equal((await status()).websocket_available, false);
});

test('metrics are for loopback, or by scope', async (t) => {
	const site = await startSite(t, only);
	await site.poll('carol');
	const ask = (options) => site.request('GET', '/api/realtime/metrics', options);
	const a = await ask();
	assert.equal(a.status, 200);
	assert.match(a.headers['content-type'], /^text\/plain/);
	for (const line of a.text.trim().split('\n'))
		assert.match(line, /^(# (HELP|TYPE) sidewire_\w+ .+|sidewire_\w+ \d+)$/);
	assert.match(a.text, /^sidewire_polls_total [1-9]/m);
	const headers = { 'X-Forwarded-For': '203.0.113.9' };
	assert.equal((await ask({ headers })).json.code, 'missing_token');
	const plain = await ask({ headers, token: site.token('carol') });
	assert.deepEqual([plain.status, plain.json.code], [403, 'forbidden_scope']);
	assert.match(plain.headers['www-authenticate'], /insufficient_scope.*metrics/);
	assert.equal((await ask({ headers, token: site.token('carol', { scope: 'other metrics' }) })).status, 200);
	assert.equal((await ask({ headers, token: site.token('carol', { scope: 'nometrics' }) })).status, 403);
});

test('big payloads come whole, in as many answers as it takes', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'carol');
	const p = new Poller(site, 'carol');
	p.cursor = await head(site);
	const big = (n) => `substr(hex(zeroblob(${n})), 1, ${n}) || ' ä"\\' || i`;
	await postMany(site, 20, { content: big(100000) });
	await site.post('lobby', 'bob', 'x'.repeat(100000), 'in between');
	await postMany(site, 1, { from: 50, content: big(900000) });
	await postMany(site, 1, { from: 51, content: big(2000000) });	// over the limit: not delivered
	await site.post('lobby', 'bob', 'end');
	let answers = 0;
	await p.walk((q) => { answers++; return q.contents.includes('end'); }, 'the end comes', { limit: 500 });
	assert.deepEqual(ofType(p.events, 'NEW_MESSAGE').map((e) => e.payload.id).slice(0, -1),
		[...Array.from({ length: 20 }, (_, i) => `m${i + 1}`), 'in between', 'm50']);
	assert.ok(answers > 3, 'more than one answer');
	for (const { payload } of p.events.filter((e) => /^m\d+$/.test(e.payload.id)))
		assert.equal(payload.content, `${'0'.repeat(payload.id === 'm50' ? 900000 : 100000)} ä"\\${payload.id.slice(1)}`);
	// The present state has no next page: it comes in one piece.
	await site.sql(`WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
		INSERT INTO rooms(id, name, description) SELECT 'r' || i, 'Room ' || i, hex(zeroblob(200)) FROM n`);
	const state = checkAnswer(await site.poll('carol'));
	assert.equal(ofType(state.events, 'ROOM_CREATED').length, 3002);
	assert.ok(state.events.length < 3010);
});

test('odd values in the tables arrive as text, and break nothing', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'carol');
	const p = new Poller(site, 'carol');
	p.cursor = await head(site);
	await site.sql(`INSERT INTO messages(id, room_id, sender_id, sender_name, content) VALUES
		(17, 'lobby', 'bob', NULL, x'68c3a4ff00'), ('q"\\', 'lobby', 'bob', 3.5, char(1, 9, 10, 34, 92, 8232, 128512))`);
	await p.walk((q) => q.contents.length === 2, 'both');
	const [a, b] = p.events.map((e) => e.payload);
	assert.deepEqual([a.id, a.senderName], ['17', '']);
	assert.match(a.content, /^hä\ufffd/);
	assert.deepEqual([b.id, b.senderName, b.content], ['q"\\', '3.5', '\u0001\t\n"\\\u2028\u{1F600}']);
});

test("the README's curl lines work as printed", async (t) => {
	const site = await startSite(t, only);
	const readme = fs.readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
	const lines = readme.split('\n').filter((l) => l.startsWith('curl '))
		.map((l) => l.replaceAll('localhost:8080', `localhost:${site.webPort}`));
	assert.equal(lines.length, 2);
	const shell = async (line, env) => {
		const r = await run('sh', ['-c', line], { env: { TOKEN: site.token('alice'), ...env } });
		assert.equal(r.code, 0, r.err);
		return JSON.parse(r.out);
	};
	const first = await shell(lines[0], {});
	assert.deepEqual(ofType(first.events, 'ROOM_CREATED').map((e) => e.payload.id), ['lobby', 'vault']);
	const ID = await site.post('lobby', 'bob', 'one');
	await site.post('lobby', 'bob', 'two');
	await head(site);
	assert.deepEqual(contents((await shell(lines[1], { ID: '', TS: first.timestamp })).events), ['one', 'two']);
	assert.deepEqual(contents((await shell(lines[1], { ID, TS: first.timestamp })).events), ['two']);
});

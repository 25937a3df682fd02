// Polls that wait: what ends them, how many there may be, and the connections they are on.

import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import os from 'node:os';
import { startSite, freePort } from './lib/site.js';
import { until, within } from './lib/deadline.js';
import { Poller, checkAnswer, contents, head, metric, metricIs, settle } from './lib/poller.js';
import * as fcgi from './lib/fastcgi.js';

const only = { ws: false, conf: ['limit.poll_per_s = 0'] };
const direct = { ...only, web: false };
const held = (site, n) => metricIs(site, 'poll_held_here', (v) => v === n, `${n} polls are held`);

// A poll that is not answered yet: { answer } is a promise, with the milliseconds it took.
function hold(site, user, params, options) {
	const start = process.hrtime.bigint();
	const answer = site.poll(user, params, { timeout: 60000, ...options }).then((a) => {
		a.ms = Number(process.hrtime.bigint() - start) / 1e6;
		return a;
	});
	answer.catch(() => {});
	return { answer };
}

test('a held poll is answered by an event of another process', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'alice', 'bob', 'carol');
	const at = await head(site);
	const carol = hold(site, 'carol', { lastTimestamp: at, timeout: 25 });
	const bob = hold(site, 'bob', { lastTimestamp: at, timeout: 25 });
	await held(site, 2);
	// What carol may not see answers bob alone.
	await site.post('vault', 'alice', 'secret');
	const b = checkAnswer(await bob.answer);
	assert.deepEqual(contents(b.events), ['secret']);
	await held(site, 1);
	await site.post('lobby', 'bob', 'hello');
	const a = await carol.answer;
	assert.ok(a.ms < 22000, `not by its time-out: ${a.ms}`);
	assert.deepEqual(contents(checkAnswer(a).events), ['hello']);
	assert.equal(a.json.events.length, 1);
	assert.equal(a.json.timestamp, a.json.events[0].timestamp);
	assert.equal(a.headers['content-type'], 'application/json');
	assert.equal(a.headers.vary, 'Authorization, Origin');
	// News that is there already is not waited for.
	assert.deepEqual(contents(checkAnswer(await site.poll('carol', { lastTimestamp: at, timeout: 25 })).events), ['hello']);
});

test('what one commit brings comes in one answer', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'carol');
	const { answer } = hold(site, 'carol', { lastTimestamp: await head(site), timeout: 25, limit: 3 });
	await held(site, 1);
	await site.sql(`INSERT INTO messages(id, room_id, sender_id, content) VALUES
		('1', 'lobby', 'bob', 'a'), ('2', 'lobby', 'bob', 'b'), ('3', 'lobby', 'bob', 'c'), ('4', 'lobby', 'bob', 'd')`);
	const a = checkAnswer(await answer);
	assert.deepEqual(contents(a.events), ['a', 'b', 'c']);
	assert.equal(a.more, true);
	assert.deepEqual(contents(checkAnswer(await site.poll('carol', { lastTimestamp: a.timestamp })).events), ['d']);
});

test('a legacy client that waits gets its SYNC', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'alice', 'carol');
	const id = checkAnswer(await site.poll('carol', { lastMessageId: '' })).events.at(-1).payload.id;
	const { answer } = hold(site, 'carol', { lastMessageId: id, timeout: 25 });
	await held(site, 1);
	await site.sql("UPDATE rooms SET description = 'd' WHERE id = 'lobby'");
	const a = checkAnswer(await answer);
	assert.deepEqual(a.events.map((e) => e.type), ['ROOM_UPDATED', 'SYNC']);
	// Nothing to see, but the position moves while it waits.
	const next = hold(site, 'carol', { lastMessageId: a.timestamp, timeout: 1.5 });
	await held(site, 1);
	await site.post('vault', 'alice', 'secret');
	assert.deepEqual(checkAnswer(await next.answer).events.map((e) => e.type), ['SYNC']);
});

test('rooms narrows what a held poll is answered by', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'bob');
	const { answer } = hold(site, 'bob', { lastTimestamp: await head(site), timeout: 25, rooms: 'vault' });
	await held(site, 1);
	await site.post('lobby', 'alice', 'not asked for');
	await site.post('vault', 'alice', 'asked for');
	assert.deepEqual(contents(checkAnswer(await answer).events), ['asked for']);
});

test('the time-out: empty at 0.9 to 1.0 of it', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'carol');
	const at = await head(site);
	const all = await Promise.all(Array.from({ length: 8 }, () =>
		hold(site, 'carol', { lastTimestamp: at, timeout: 2 }).answer));
	for (const a of all) {
		assert.deepEqual(checkAnswer(a), { events: [], timestamp: at });
		assert.ok(a.ms > 1790 && a.ms < 3500, `${a.ms}`);
	}
	assert.equal(await metric(site, 'polls_expired'), 8);
});

test('a longer time-out is shortened to poll.max_wait_s', async (t) => {
	const site = await startSite(t, { ...only, conf: ['poll.max_wait_s = 1', ...only.conf] });
	await settle(site, 'carol');
	const a = await hold(site, 'carol', { lastTimestamp: await head(site), timeout: 3600 }).answer;
	assert.deepEqual(checkAnswer(a).events, []);
	assert.ok(a.ms > 890 && a.ms < 3000, `${a.ms}`);
});

test('poll.max_wait_s = 0 answers all at once', async (t) => {
	const site = await startSite(t, { ...only, conf: ['poll.max_wait_s = 0', ...only.conf] });
	await settle(site, 'carol');
	assert.deepEqual(checkAnswer(await site.poll('carol', { lastTimestamp: await head(site), timeout: 3600 })).events, []);
	assert.equal(await metric(site, 'polls_held'), 0);
});

test('poll.max_held: those beyond are answered at once', async (t) => {
	const site = await startSite(t, { ...only, conf: ['poll.max_held = 3', ...only.conf] });
	await settle(site, 'carol');
	const at = await head(site);
	const three = [1, 2, 3].map(() => hold(site, 'carol', { lastTimestamp: at, timeout: 25 }));
	await held(site, 3);
	assert.deepEqual(checkAnswer(await site.poll('carol', { lastTimestamp: at, timeout: 25 })), { events: [], timestamp: at });
	assert.equal(await metric(site, 'polls_refused_hold'), 1);
	await site.post('lobby', 'bob', 'x');
	for (const { answer } of three)
		assert.deepEqual(contents(checkAnswer(await answer).events), ['x']);
	// Their places are free again.
	const { answer } = hold(site, 'carol', { lastTimestamp: await head(site), timeout: 25 });
	await held(site, 1);
	await site.post('lobby', 'bob', 'y');
	assert.deepEqual(contents(checkAnswer(await answer).events), ['y']);
});

test("a newer poll of the same client ends the older one, and nobody else's", async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'alice', 'bob', 'carol');
	const at = await head(site);
	const params = { lastTimestamp: at, timeout: 25, client: 'tab-1' };
	const old = hold(site, 'carol', params);
	const others = [hold(site, 'bob', params), hold(site, 'carol', { ...params, client: 'tab-2' }),
		hold(site, 'carol', { ...params, client: undefined })];
	delete others[2].client;
	await held(site, 4);
	const newer = hold(site, 'carol', params);
	assert.deepEqual(checkAnswer(await old.answer), { events: [], timestamp: at });
	await held(site, 4);
	assert.equal(await metric(site, 'polls_superseded'), 1);
	// So does one that is answered at once.
	checkAnswer(await site.poll('carol', { lastTimestamp: at, client: 'tab-1' }));
	assert.deepEqual(checkAnswer(await newer.answer).events, []);
	await held(site, 3);
	await site.post('lobby', 'alice', 'for the rest');
	for (const { answer } of others)
		assert.deepEqual(contents(checkAnswer(await answer).events), ['for the rest']);
});

test('a client that goes away behind the web server is noticed', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'carol');
	const at = await head(site);
	// lighttpd watches a client from the second request of its connection on.
	const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
	const ask = (url) => new Promise((resolve, reject) => {
		const req = http.get({ ...site.web, path: url, agent, headers: { Authorization: `Bearer ${site.token('carol')}` } },
			(res) => res.resume().on('end', () => resolve(req)));
		req.on('error', reject);
		ask.last = req;
	});
	await within(ask('/api/realtime/status'), 'a first answer');
	ask(`/api/realtime/poll?timeout=25&lastTimestamp=${at}`).catch(() => {});
	await held(site, 1);
	ask.last.destroy();
	await metricIs(site, 'polls_abandoned', (n) => n === 1, 'the poll was abandoned');
	await held(site, 0);
	agent.destroy();
});

test('SIGTERM answers what is held at once and ends with 0', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'carol');
	const at = await head(site);
	const all = Array.from({ length: 40 }, () => hold(site, 'carol', { lastTimestamp: at, timeout: 25 }));
	const kept = await fcgi.Connection.open(site.pollSocket);
	await kept.ask(fcgi.get('/api/realtime/status'), { keep: true });
	await held(site, 40);
	const how = await site.poller.stop();
	assert.deepEqual(how, { code: 0, signal: null });
	for (const { answer } of all) {
		const a = await answer;
		assert.deepEqual(checkAnswer(a), { events: [], timestamp: at });
		assert.ok(a.ms < 20000, `${a.ms}`);
	}
	await kept.waitClosed();
	// A successor takes the socket over, and the clients come back with their cursors.
	await site.startPoll();
	await site.post('lobby', 'bob', 'after');
	const p = new Poller(site, 'carol');
	p.cursor = at;
	await p.walk((q) => q.contents.length === 1, 'the event after the restart', { timeout: 5 });
	assert.deepEqual(p.contents, ['after']);
});

test('a token that ends during a hold ends it', async (t) => {
	const site = await startSite(t, { ...only, conf: ['jwt.leeway_s = 0', ...only.conf] });
	await settle(site, 'carol');
	const at = await head(site);
	const exp = Math.floor(Date.now() / 1000) + 3;
	const token = site.token('carol', { exp });
	const url = `/api/realtime/poll?lastTimestamp=${at}&timeout=25`;
	const a = await site.request('GET', url, { token, timeout: 60000 });
	assert.deepEqual(checkAnswer(a), { events: [], timestamp: at });
	assert.ok(Date.now() >= exp * 1000 - 400, 'not before its end');
	assert.ok(Date.now() < exp * 1000 + 10000, 'and not long after');
	const b = await until(async () => {
		const refused = await site.request('GET', url.replace('25', '0'), { token });
		return refused.status === 401 && refused;
	}, 'the token is refused');
	assert.equal(b.json.code, 'token_expired');
});

test('a user who is deleted during a hold is told so', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'bob', 'carol');
	const params = { lastTimestamp: await head(site), timeout: 25 };
	const { answer } = hold(site, 'carol', params, { headers: { Origin: 'https://x.example' } });
	const bob = hold(site, 'bob', params);
	await held(site, 2);
	await site.sql("DELETE FROM users WHERE id = 'carol'");
	const a = await answer;
	assert.deepEqual([a.status, a.json.code], [401, 'revoked']);
	assert.match(a.headers['www-authenticate'], /^Bearer /);
	assert.equal(a.headers['content-type'], 'application/problem+json');
	assert.deepEqual(checkAnswer(await bob.answer).events.map((e) => [e.type, e.payload]), [['USER_LEFT', { userId: 'carol' }]]);
	assert.equal((await site.poll('carol', params)).json.code, 'revoked');
});

test('a member who is removed during a hold gets nothing that commits after it', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'alice', 'bob');
	const p = new Poller(site, 'bob');
	p.cursor = await head(site);
	const { answer } = hold(site, 'bob', { lastTimestamp: p.cursor, timeout: 25 });
	await held(site, 1);
	await site.sql(`DELETE FROM room_members WHERE room_id = 'vault' AND user_id = 'bob';
		INSERT INTO messages(room_id, sender_id, content) VALUES ('vault', 'alice', 'after');
		INSERT INTO messages(room_id, sender_id, content) VALUES ('lobby', 'alice', 'end');`);
	const a = checkAnswer(await answer);
	p.events.push(...a.events);
	p.cursor = a.timestamp;
	await p.walk((q) => q.contents.includes('end'), 'the end', { timeout: 5 });
	assert.deepEqual(p.contents, ['end']);
	assert.equal(p.events.filter((e) => e.type === 'ROOM_LEFT').length, 1);
});

test('300 held at once are all answered by one row, exactly once', async (t) => {
	const site = await startSite(t, only);
	await settle(site, 'alice', 'bob', 'carol');
	const at = await head(site);
	const all = Array.from({ length: 300 }, (_, i) =>
		hold(site, ['alice', 'bob', 'carol'][i % 3], { lastTimestamp: at, timeout: 25, client: `c${i}` }));
	await held(site, 300);
	await site.post('lobby', 'alice', 'for all');
	const positions = new Set();
	for (const { answer } of all) {
		const a = checkAnswer(await answer);
		assert.deepEqual(contents(a.events), ['for all']);
		assert.equal(a.events.length, 1);
		positions.add(a.timestamp);
	}
	assert.equal(positions.size, 1);
	const [next] = positions;
	assert.deepEqual(checkAnswer(await site.poll('carol', { lastTimestamp: next })), { events: [], timestamp: next });
	assert.equal(await metric(site, 'poll_held_here'), 0);
});

// --- the connections of the web server, record by record ---

const status = fcgi.get('/api/realtime/status');
const pollOf = (site, user, params) =>
	fcgi.get(`/api/realtime/poll?${new URLSearchParams(params)}`, site.token(user));

// A gauge or counter, on a connection of its own.
async function metricOf(where, name) {
	const c = await fcgi.Connection.open(where);
	const { text } = await c.ask(fcgi.get('/api/realtime/metrics'));
	c.close();
	return Number(text.match(new RegExp(`^sidewire_${name}(?:_total)? (\\d+)$`, 'm'))[1]);
}
const metricOfIs = (where, name, test, what = name) => until(async () => test(await metricOf(where, name)), what);

test('idle kept connections take nobody anything', async (t) => {
	const site = await startSite(t, { ...direct, conf: ['poll.threads = 2', ...only.conf] });
	const kept = [];
	for (let i = 0; i < 32; i++) {
		const c = await fcgi.Connection.open(site.pollSocket);
		const a = await c.ask(status, { id: i + 1, keep: true });
		assert.deepEqual([a.status, a.appStatus, a.protocolStatus], [200, 0, 0]);
		kept.push(c);
	}
	for (let i = 0; i < 20; i++) {
		const c = await fcgi.Connection.open(site.pollSocket);
		assert.equal((await c.ask(status)).status, 200);
		await c.waitClosed();	// without FCGI_KEEP_CONN the answer's end is the connection's
	}
	// Each is as good as new, also for a request that waits, and after it.
	const first = checkAnswer(await kept[0].ask(pollOf(site, 'carol', {}), { keep: true }));
	await metricOfIs(site.pollSocket, 'presence_online', (n) => n === 1, 'carol is online');
	let at = first.timestamp;
	await until(async () => {
		at = checkAnswer(await kept[0].ask(pollOf(site, 'carol', { lastTimestamp: at }), { keep: true })).timestamp;
		return Number(await site.sql('SELECT count(*) FROM events WHERE type = \'USER_UPDATE\'')) === 1;
	}, 'her coming is in the log');
	for (let round = 0; round < 2; round++) {
		for (const c of kept)
			c.write(fcgi.request(7, pollOf(site, 'carol', { lastTimestamp: at, timeout: 25 }), { keep: true }));
		await metricOfIs(site.pollSocket, 'poll_held_here', (n) => n === 32, 'all are held');
		await site.post('lobby', 'bob', `round ${round}`);
		for (const c of kept) {
			const a = await c.answer('the row');
			assert.equal(a.id, 7);
			assert.deepEqual(contents(checkAnswer(a).events), [`round ${round}`]);
			at = a.json.timestamp;
		}
	}
	for (const c of kept)
		c.close();
});

test('two requests of a kept connection that come at once are answered in turn', async (t) => {
	const site = await startSite(t, direct);
	const c = await fcgi.Connection.open(site.pollSocket);
	c.write(Buffer.concat([fcgi.request(1, status, { keep: true })]));
	assert.equal((await c.answer()).id, 1);
	c.write(fcgi.request(2, pollOf(site, 'carol', {}), { keep: true }));
	assert.equal(checkAnswer(await c.answer()).events.length, 2);
	c.close();
});

test('half a request and silence block nobody', async (t) => {
	const site = await startSite(t, { ...direct, conf: ['poll.threads = 2', ...only.conf] });
	const open = () => fcgi.Connection.open(site.pollSocket);
	const silent = await Promise.all(Array.from({ length: 16 }, open));
	const whole = fcgi.request(1, status);
	const halves = [];
	for (const end of [1, 16, 40, whole.length - 1]) {
		const c = await open();
		c.write(whole.subarray(0, end));
		halves.push(c);
	}
	for (let i = 0; i < 4; i++) {
		const c = await open();
		assert.equal((await c.ask(status)).status, 200);
		c.close();
	}
	// They are given up after a while, and counted.
	for (const c of halves)
		await c.waitClosed();
	await metricOfIs(site.pollSocket, 'requests_broken', (n) => n >= halves.length);
	// Silence becomes a request when it speaks.
	assert.equal((await silent[3].ask(status)).status, 200);
	for (const c of silent)
		c.close();
});

test('a request in single bytes is a request', async (t) => {
	const site = await startSite(t, direct);
	const c = await fcgi.Connection.open(site.pollSocket);
	c.socket.setNoDelay(true);
	for (const byte of fcgi.request(258, status)) {
		c.write(Buffer.from([byte]));
		await new Promise((r) => { setImmediate(r); });
	}
	const a = await c.answer();
	assert.deepEqual([a.id, a.status], [258, 200]);
	c.close();
});

test('what is no FastCGI is dropped, and others are served on', async (t) => {
	const site = await startSite(t, direct);
	const whole = fcgi.request(1, status);
	const flipped = (at, to) => Object.assign(Buffer.from(whole), { [at]: to });
	let seed = 20251130;
	const noise = (n) => Buffer.from(Array.from({ length: n }, () => {
		seed = (seed * 1103515245 + 12345) & 0x7fffffff;
		return seed >> 16 & 255;
	}));
	const bad = [
		Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), Buffer.alloc(64), Buffer.alloc(64, 255), noise(5), noise(4096),
		flipped(0, 9), flipped(1, 200), flipped(4, 255), flipped(9, 2), flipped(6, 255),
		fcgi.record(fcgi.PARAMS, 1, 'x'), fcgi.record(fcgi.STDIN, 1), fcgi.record(fcgi.ABORT, 1),
		fcgi.record(fcgi.GET_VALUES, 0, fcgi.nameValues({ FCGI_MAX_CONNS: '', FCGI_MPXS_CONNS: '' })),
		Buffer.concat([fcgi.begin(1), fcgi.record(fcgi.PARAMS, 1, [255, 255, 255, 255, 1, 65, 66]), fcgi.record(fcgi.PARAMS, 1)]),
		Buffer.concat([fcgi.begin(1), fcgi.record(fcgi.PARAMS, 1, [200, 1, 65]), fcgi.record(fcgi.PARAMS, 1)]),
		Buffer.concat([fcgi.begin(1), fcgi.record(fcgi.PARAMS, 1), fcgi.record(fcgi.STDIN, 1)]),
		Buffer.concat([fcgi.begin(1), fcgi.begin(2), fcgi.record(fcgi.PARAMS, 2)]),
		Buffer.concat([fcgi.begin(1), fcgi.record(fcgi.ABORT, 1)]),
		...Array.from({ length: 40 }, () => {
			const b = Buffer.from(whole);
			for (const r of noise(3))
				b[(r * 7) % b.length] = noise(1)[0];
			return b;
		}),
	];
	for (const bytes of bad) {
		const c = await fcgi.Connection.open(site.pollSocket);
		c.write(bytes);
		c.socket.end();
		await c.waitClosed();
		const good = await fcgi.Connection.open(site.pollSocket);
		assert.equal((await good.ask(status)).status, 200);
		good.close();
	}
	assert.ok(await metricOf(site.pollSocket, 'requests_broken') > 10);
	assert.deepEqual(await site.poller.stop(), { code: 0, signal: null });
});

test('ABORT_REQUEST and a closed connection end a hold', async (t) => {
	const site = await startSite(t, direct);
	const first = await fcgi.Connection.open(site.pollSocket);
	checkAnswer(await first.ask(pollOf(site, 'carol', {}), { keep: true }));
	await metricOfIs(site.pollSocket, 'presence_online', (n) => n === 1);
	const at = checkAnswer(await first.ask(pollOf(site, 'carol', {}), { keep: true })).timestamp;
	const request = fcgi.request(3, pollOf(site, 'carol', { lastTimestamp: at, timeout: 25 }), { keep: true });
	const isHeld = (n) => metricOfIs(site.pollSocket, 'poll_held_here', (v) => v === n, `${n} held`);
	first.write(request);
	await isHeld(1);
	first.write(fcgi.record(fcgi.ABORT, 3));
	const a = await first.answer('the end of an aborted request');
	assert.equal(a.id, 3);
	await isHeld(0);
	assert.equal(await metricOf(site.pollSocket, 'polls_abandoned'), 1);
	const second = await fcgi.Connection.open(site.pollSocket);
	second.write(request);
	await isHeld(1);
	second.close();
	await isHeld(0);
	// One that shuts down only its sending side may still read.
	const third = await fcgi.Connection.open(site.pollSocket);
	third.write(request);
	await isHeld(1);
	third.socket.end();
	checkAnswer(await third.answer('an answer to who has half gone'));
	await third.waitClosed();
	assert.equal(await metricOf(site.pollSocket, 'polls_abandoned'), 3);
	first.close();
});

test('bodies are drained up to a limit, and odd environments answered', async (t) => {
	const site = await startSite(t, direct);
	const ask = async (env, options) => {
		const c = await fcgi.Connection.open(site.pollSocket);
		const a = await c.ask(env, options);
		c.close();
		return a;
	};
	assert.equal((await ask(status, { body: 'x'.repeat(1000000) })).status, 200);
	const big = await ask({ ...status, CONTENT_LENGTH: 3000000 }, { body: 'x'.repeat(3000000) });
	assert.deepEqual([big.status, big.json.code], [413, 'too_large']);
	// A long one that does not come is not waited for, nor the rest of one that trickles.
	for (const CONTENT_LENGTH of [100000, 2000000]) {
		const c = await fcgi.Connection.open(site.pollSocket);
		const whole = fcgi.request(1, { ...status, REQUEST_METHOD: 'POST', CONTENT_LENGTH }, { body: 'some' });
		c.write(whole.subarray(0, whole.length - 8));
		assert.equal((await c.answer('an answer to half a body')).json.code, 'method');
		await c.waitClosed();
	}
	// One that is there is drained, and the connection kept.
	const kept = await fcgi.Connection.open(site.pollSocket);
	for (let i = 0; i < 2; i++)
		assert.equal((await kept.ask({ ...status, CONTENT_LENGTH: 20000 },
			{ keep: true, body: 'x'.repeat(20000) })).status, 200);
	kept.close();
	const token = site.token('carol');
	// A NUL in a cursor makes it unreadable, not shorter; in a number it is an error.
	assert.equal((await ask(fcgi.get('/api/realtime/poll?lastTimestamp=a%00b', token))).json.reset, 'unknown');
	assert.equal((await ask(fcgi.get('/api/realtime/poll?timeout=1%00', token))).status, 400);
	assert.equal((await ask(fcgi.get(`/api/realtime/poll?x=${'y'.repeat(60000)}`, token))).json.code, 'too_large');
	// The token as Apache may name it; the path and query as rewriting may leave them.
	for (const name of ['REDIRECT_HTTP_AUTHORIZATION', 'Authorization'])
		assert.equal((await ask(fcgi.get('/api/realtime/poll', undefined, { [name]: `bearer ${token}` }))).status, 200);
	assert.equal((await ask(fcgi.get('/api/realtime/poll', token, { REQUEST_URI: '', SCRIPT_NAME: '/x/realtime.fcgi',
		PATH_INFO: '/api/realtime/poll' }))).status, 200);
	assert.equal((await ask(fcgi.get('/some/where/api/realtime/poll', token))).status, 200);
	assert.equal((await ask(fcgi.get('/api/realtime/poll?limit=0', token, { QUERY_STRING: '' }))).status, 400);
	const stripped = await ask(fcgi.get('/api/realtime/poll', undefined, { SERVER_SOFTWARE: 'Apache/2.4.62 (Debian)' }));
	assert.equal(stripped.json.code, 'missing_token');
	assert.match(stripped.json.detail, /CGIPassAuth On/);
});

for (const kind of ['unix', 'tcp', 'tcp with a name', 'every address', 'IPv6']) {
	const skip = kind === 'IPv6' && !Object.values(os.networkInterfaces()).flat().some((a) => a.address === '::1');
	test(`poll.listen: ${kind}`, { skip }, async (t) => {
		const site = await startSite(t, { ...direct, poll: false });
		const port = await freePort();
		const listen = { unix: `${site.dir}/other.sock`, tcp: `127.0.0.1:${port}`, 'tcp with a name': `localhost:${port}`,
			'every address': `0.0.0.0:${port}`, IPv6: `[::1]:${port}` }[kind];
		await site.startPoll({ env: { SIDEWIRE_POLL_LISTEN: listen } });
		const host = { 'tcp with a name': 'localhost', IPv6: '::1' }[kind] ?? '127.0.0.1';
		const where = kind === 'unix' ? { path: listen } : { host, port };
		const c = await fcgi.Connection.open(where);
		checkAnswer(await c.ask(pollOf(site, 'carol', {}), { keep: true }));
		await metricOfIs(where, 'presence_online', (n) => n === 1);
		const at = checkAnswer(await c.ask(pollOf(site, 'carol', {}), { keep: true })).timestamp;
		c.write(fcgi.request(1, pollOf(site, 'carol', { lastTimestamp: at, timeout: 25 }), { keep: true }));
		await metricOfIs(where, 'poll_held_here', (n) => n === 1);
		await site.post('lobby', 'bob', kind);
		assert.deepEqual(contents(checkAnswer(await c.answer()).events), [kind]);
		c.close();
		// A second process does not take the address away.
		const other = site.start('second', site.poller.child.spawnfile, ['-c', site.conf], { env: { SIDEWIRE_POLL_LISTEN: listen } });
		assert.equal((await within(other.ended, 'the second gives up')).code, 1);
		assert.match(other.log, /another program serves this/);
		assert.deepEqual(await site.poller.stop(), { code: 0, signal: null });
	});
}

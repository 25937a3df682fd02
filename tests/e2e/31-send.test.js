// `send`: by socket and by POST, acknowledged after the commit, safe to repeat by its key.

import test, { describe } from 'node:test';
import assert from 'node:assert/strict';
import { freePort, startSite } from './lib/site.js';
import { until } from './lib/deadline.js';
import { metric } from './lib/metrics.js';
import { metric as pollMetric, settle } from './lib/poller.js';
import { cgi } from './lib/cgi.js';
import * as fcgi from './lib/fastcgi.js';

const wsOnly = { poll: false, web: false };
const POSITION = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const message = (payload) => ({ type: 'send', payload: { roomId: 'lobby', content: 'hello', ...payload } });
const rows = (site, where = '1') => site.sql(
	`SELECT count(*) FROM messages WHERE ${where}`).then(Number);

async function v1(site, user, options = {}) {
	const s = await site.connect(user, { direct: true, protocols: ['sidewire.v1'], ...options });
	await s.until('sync');
	return s;
}

// Sends a frame; its ack or error.  Events that come before that are still to be read.
async function ask(s, frame) {
	const events = [];
	s.send(frame);
	for (;;) {
		const text = await s.nextText('ack or error');
		const m = JSON.parse(text);
		if (m.type === 'ack' || m.type === 'error') {
			s.inbox.unshift(...events);
			return m;
		}
		events.push(text);
	}
}

// POST of frames as a user.
function post(site, user, body, { headers = {}, ...options } = {}) {
	return site.request('POST', '/api/realtime/send', { token: user && site.token(user),
		headers: { 'Content-Type': 'application/json', ...headers },
		body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body), ...options });
}

function checkProblem(answer, status, problem) {
	assert.deepEqual([answer.status, answer.json?.code], [status, problem], answer.text);
	assert.equal(answer.json.status, status);
	assert.match(answer.headers['content-type'], /^application\/problem\+json/);
}

// What the error of an answer says, without its words.
function code(m) {
	assert.equal(m.type, 'error', JSON.stringify(m));
	assert.ok(m.payload.title && m.payload.detail);
	return m.payload.code;
}

describe('by socket', { concurrency: 2 }, () => {
	test('the ack comes after the commit and names message and place', async (t) => {
		const site = await startSite(t, wsOnly);
		const s = await v1(site, 'carol');
		const ack = await ask(s, message({ key: 'k1', type: 'image' }));
		assert.deepEqual(Object.keys(ack), ['type', 'payload']);
		const { key, id, timestamp, duplicate, ...rest } = ack.payload;
		assert.deepEqual({ key, duplicate, rest }, { key: 'k1', duplicate: false, rest: {} });
		assert.match(timestamp, POSITION);
		// Another program sees the row now.
		assert.equal(await site.sql(`SELECT room_id, sender_id, sender_name, content, type
			FROM messages WHERE id = '${id}'`), 'lobby|carol|Carol|hello|image');
		const event = await s.until('NEW_MESSAGE');
		assert.equal(event.timestamp, timestamp);
		assert.equal(event.payload.id, id);
		// Without a key there is none, and nothing is remembered.
		const bare = await ask(s, message());
		assert.deepEqual(Object.keys(bare.payload), ['id', 'timestamp', 'duplicate']);
		assert.notEqual((await ask(s, message())).payload.id, bare.payload.id);
		assert.equal(await site.sql('SELECT count(*) FROM sw_sends'), '1');
		// A legacy client may send as well, and is answered.
		const legacy = await site.connect('alice', { direct: true });
		assert.equal((await ask(legacy, message({ key: 'k1' }))).payload.duplicate, false);
		assert.equal(code(await ask(legacy, message({ roomId: 'attic' }))), 'not_found');
		assert.equal(await metric(site, 'sends'), 4);
		assert.equal(await metric(site, 'sends_refused'), 1);
	});

	test('rights are asked as for reading', async (t) => {
		const site = await startSite(t, wsOnly);
		const s = await v1(site, 'carol');
		assert.equal(code(await ask(s, message({ roomId: 'attic', key: 'a' }))), 'not_found');
		const denied = await ask(s, message({ roomId: 'vault', key: 'b' }));
		assert.equal(code(denied), 'forbidden_room');
		assert.equal(denied.payload.ref, 'b');
		assert.equal(denied.payload.status, 403);
		assert.equal(await rows(site), 0);
		// Refused, nothing is remembered: as a member she may use the same key.
		await site.sql("INSERT INTO room_members(room_id, user_id) VALUES ('vault', 'carol')");
		const ack = await ask(s, message({ roomId: 'vault', key: 'b' }));
		assert.equal(ack.type, 'ack');
		// And has her answer again when she is out.
		await site.sql("DELETE FROM room_members WHERE user_id = 'carol'");
		assert.deepEqual(await ask(s, message({ roomId: 'vault', key: 'b' })),
			{ type: 'ack', payload: { ...ack.payload, duplicate: true } });
		assert.equal(code(await ask(s, message({ roomId: 'vault', key: 'c' }))), 'forbidden_room');
		assert.equal(await rows(site), 1);
	});

	test('a key is one message of one user; another body is refused', async (t) => {
		const site = await startSite(t, wsOnly);
		const [carol, twin, bob] = [await v1(site, 'carol'), await v1(site, 'carol'), await v1(site, 'bob')];
		const first = await ask(carol, message({ key: 'k', content: 'one' }));
		for (const s of [carol, twin])
			assert.deepEqual(await ask(s, message({ key: 'k', content: 'one' })),
				{ type: 'ack', payload: { ...first.payload, duplicate: true } });
		for (const other of [{ content: 'two' }, { content: 'one', type: 'image' }, { content: 'one', roomId: 'vault' }])
			assert.equal(code(await ask(carol, message({ key: 'k', ...other }))), 'key_reused');
		assert.equal((await ask(bob, message({ key: 'k', content: 'one' }))).payload.duplicate, false);
		assert.equal(await rows(site), 2);
		// A restarted sidecar knows it still.
		await site.sidecar.stop();
		await site.startSidecar();
		assert.deepEqual(await ask(await v1(site, 'carol'), message({ key: 'k', content: 'one' })),
			{ type: 'ack', payload: { ...first.payload, duplicate: true } });
		assert.equal(await metric(site, 'sends_repeated'), 3);
	});

	test('the same key at the same moment over two sidecars is one message', async (t) => {
		const site = await startSite(t, { ...wsOnly, conf: ['limit.send_per_s = 0'] });
		const port = site.wsPort;
		const other = await freePort();
		await site.startSidecar({ env: { SIDEWIRE_WS_LISTEN: `127.0.0.1:${other}` } });
		const sockets = [await v1(site, 'carol')];
		site.wsPort = other;
		sockets.push(await v1(site, 'carol'));
		site.wsPort = port;
		for (let i = 0; i < 20; i++) {
			const answers = await Promise.all(sockets.map((s) => ask(s, message({ key: `k${i}` }))));
			assert.equal(answers[0].payload.id, answers[1].payload.id);
			assert.deepEqual(answers.map((a) => a.payload.duplicate).sort(), [false, true]);
		}
		assert.equal(await rows(site), 20);
	});

	test('keys are forgotten after a day, by whichever service looks', async (t) => {
		const site = await startSite(t, { ...wsOnly, ws: false });
		const ago = (s) => `CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000 - ${s} * 1000000`;
		await site.sql(`INSERT INTO sw_sends(id, user_id, key, digest, message_id) VALUES
			(${ago(86401)}, 'carol', 'old', 1, 'm1'), (${ago(86300)}, 'carol', 'young', 1, 'm2')`);
		await site.startSidecar();
		await until(async () => await site.sql('SELECT group_concat(key) FROM sw_sends') === 'young', 'the old one goes');
		assert.equal(await metric(site, 'sends_pruned'), 1);
		const s = await v1(site, 'carol');
		assert.equal((await ask(s, message({ key: 'old' }))).payload.duplicate, false);
		assert.equal(code(await ask(s, message({ key: 'young' }))), 'key_reused');
	});

	test('the sender\'s own devices get the key, nobody else does', async (t) => {
		const site = await startSite(t, wsOnly);
		const [carol, phone, bob] = [await v1(site, 'carol'), await site.connect('carol', { direct: true }),
			await v1(site, 'bob')];
		const { payload: { timestamp } } = await ask(carol, message({ key: 'k "1"' }));
		const mine = await phone.until('NEW_MESSAGE');
		assert.equal(mine.payload.key, 'k "1"');
		assert.deepEqual(await carol.until('NEW_MESSAGE'), mine);
		const theirs = await bob.until('NEW_MESSAGE');
		assert.equal('key' in theirs.payload, false);
		assert.deepEqual({ ...theirs.payload, key: 'k "1"' }, mine.payload);
		// Also to one who reads it from the log.
		const before = { lastTimestamp: new Date(Date.parse(timestamp) - 1).toISOString() };
		const late = await site.connect('carol', { direct: true, params: before });
		assert.deepEqual(await late.until('NEW_MESSAGE'), mine);
		// A message without one is the same for all.
		await ask(bob, message({ content: 'bare' }));
		assert.equal('key' in (await bob.until('NEW_MESSAGE', (m) => m.payload.content === 'bare')).payload, false);
	});

	test('what is not well formed or too long is refused, and nothing is written', async (t) => {
		const site = await startSite(t, { ...wsOnly, conf: ['ws.max_message = 1000000', 'limit.send_per_s = 0'] });
		const s = await v1(site, 'carol');
		for (const payload of [undefined, null, 7, [], {}, { roomId: 'lobby' }, { content: 'x' },
			{ roomId: '', content: 'x' }, { roomId: {}, content: 'x' }, { roomId: 'x'.repeat(257), content: 'x' },
			{ roomId: 'lobby', content: '' }, { roomId: 'lobby', content: 1 }, { roomId: 'lobby', content: 'a\0b' },
			{ roomId: 'lobby', content: 'x', key: '' }, { roomId: 'lobby', content: 'x', key: 1 },
			{ roomId: 'lobby', content: 'x', key: 'k'.repeat(129) }, { roomId: 'lobby', content: 'x', type: '' },
			{ roomId: 'lobby', content: 'x', type: 3 }, { roomId: 'lobby', content: 'x', type: 't'.repeat(65) }])
			assert.equal(code(await ask(s, { type: 'send', payload })), 'bad_request', JSON.stringify(payload));
		const long = await ask(s, message({ key: 'long', content: 'x'.repeat(131073) }));
		assert.equal(code(long), 'too_large');
		assert.equal(long.payload.ref, 'long');
		// Numbers that no room can have; deep nesting; a name given twice.
		assert.equal(code(await ask(s, '{"type":"send","payload":{"roomId":999999999999999999999999,"content":"x"}}')),
			'not_found');
		assert.equal(code(await ask(s, '{"type":"send","payload":{"roomId":1e400,"content":"x"}}')), 'bad_request');
		s.send(`{"type":"send","payload":{"roomId":"lobby","content":"x","deep":${'['.repeat(40)}${']'.repeat(40)}}}`);
		s.send(Buffer.from('{"type":"send","payload":{"roomId":"lobby","content":"x"}}'));
		assert.deepEqual(await s.drain(), []);
		assert.equal(await rows(site), 0);
		const widest = await ask(s, message({ content: '\u{1f600}\n'.repeat(26000), key: 'k'.repeat(128), type: 't'.repeat(64) }));
		assert.equal(widest.type, 'ack');
		assert.equal((await s.until('NEW_MESSAGE')).payload.content.length, 26000 * 3);
	});

	test('limit.send_per_s counts a user over all of his sockets', async (t) => {
		const site = await startSite(t, { ...wsOnly, conf: ['limit.send_per_s = 2'] });
		const sockets = [await v1(site, 'carol'), await v1(site, 'carol')];
		const answers = [];
		for (let i = 0; i < 20; i++)
			answers.push(await ask(sockets[i % 2], message({ key: `k${i}` })));
		const refused = answers.filter((a) => a.type === 'error');
		assert.ok(refused.length > 0 && refused.length <= 16);
		for (const a of refused) {
			assert.equal(code(a), 'rate_limited');
			assert.ok(a.payload.retryAfterMs > 0 && a.payload.retryAfterMs <= 1000);
		}
		assert.equal(await rows(site), answers.length - refused.length);
		assert.equal((await ask(await v1(site, 'bob'), message())).type, 'ack');
		// After the time that was said it goes.
		await until(async () => (await ask(sockets[0], message({ key: 'again' }))).type === 'ack', 'there is a token again');
		assert.ok(await metric(site, 'rate_limited') >= refused.length);
	});

	test('while the site holds the lock: busy, and nothing is half done', async (t) => {
		const site = await startSite(t, { ...wsOnly, conf: ['db.busy_ms = 300', 'limit.send_per_s = 0'] });
		const s = await v1(site, 'carol');
		const locker = site.start('locker', 'sqlite3', [site.db, '-cmd', '.timeout 10000', '-cmd', 'BEGIN IMMEDIATE;', '-cmd',
			"INSERT INTO messages(id, room_id, sender_id, content) VALUES ('site', 'lobby', 'bob', 'from the site');",
			'-cmd', '.shell echo locked 1>&2'], { stdin: 'pipe' });
		await locker.saw(/locked/);
		const sent = [];
		for (let i = 0; i < 5; i++)
			s.send(message({ key: `k${i}`, content: `c${i}` }));
		while (sent.length < 5)
			sent.push(await s.until('error'));
		assert.deepEqual(sent.map(code), Array(5).fill('busy'));
		assert.deepEqual(sent.map((m) => m.payload.ref), ['k0', 'k1', 'k2', 'k3', 'k4']);
		assert.ok(sent.every((m) => m.payload.status === 503 && m.payload.retryAfterMs === 1000));
		// The socket goes on meanwhile, and when the lock is free so does all else.
		s.send({ type: 'ping' });
		await s.until('pong');
		locker.child.stdin.end('COMMIT;\n.quit\n');
		await locker.ended;
		assert.equal(await rows(site), 1);
		assert.equal(await site.sql('SELECT count(*) FROM sw_sends'), '0');
		for (let i = 0; i < 5; i++)
			assert.equal((await ask(s, message({ key: `k${i}`, content: `c${i}` }))).payload.duplicate, false);
		assert.equal(await rows(site), 6);
	});

	test('many at once share commits, each with its own fate', async (t) => {
		const site = await startSite(t, { ...wsOnly, conf: ['limit.send_per_s = 0', 'limit.frame_per_s = 0'] });
		const sockets = await Promise.all(Array.from({ length: 20 }, (_, i) => v1(site, ['alice', 'bob', 'carol'][i % 3])));
		const before = await metric(site, 'commits');
		const want = new Map();
		sockets.forEach((s, i) => {
			for (let n = 0; n < 50; n++) {
				const bad = n % 10 === 3;
				s.send(message({ key: `${i}-${n}`, roomId: bad ? 'attic' : 'lobby', content: `${i}-${n}` }));
				want.set(`${i}-${n}`, bad ? 'error' : 'ack');
			}
		});
		await Promise.all(sockets.map(async (s, i) => {
			for (let n = 0; n < 50; n++) {
				let m;
				do
					m = await s.next('an answer');
				while (m.type !== 'ack' && m.type !== 'error');
				// In the order of asking.
				assert.equal(m.payload.key ?? m.payload.ref, `${i}-${n}`);
				assert.equal(m.type, want.get(`${i}-${n}`));
			}
		}));
		assert.equal(await rows(site), 900);
		assert.equal(Number(await site.sql('SELECT count(DISTINCT content) FROM messages')), 900);
		assert.ok(await metric(site, 'commits') - before < 500, 'commits are shared');
	});

	test('killed in the middle: what was acknowledged is there, what is repeated exists once', async (t) => {
		const site = await startSite(t, { ...wsOnly, conf: ['limit.send_per_s = 0', 'limit.frame_per_s = 0'] });
		const acked = new Map();
		const todo = new Set(Array.from({ length: 300 }, (_, i) => `m${i}`));
		for (let round = 0; todo.size > 0; round++) {
			const s = await v1(site, 'carol');
			for (const key of todo)
				s.send(message({ key, content: key }));
			const kill = round < 3 ? 20 + round * 40 : Infinity;
			try {
				for (let n = 0; todo.size > 0; n++) {
					const { payload } = await s.until('ack');
					acked.set(payload.key, payload.id);
					todo.delete(payload.key);
					if (n === kill)
						site.sidecar.kill('SIGKILL');
				}
			} catch (error) {
				assert.match(error.message, /closed/);
				await site.sidecar.ended;
				await site.startSidecar();
			}
		}
		assert.equal(await rows(site), 300);
		for (const [key, id] of acked)
			assert.equal(await rows(site, `id = '${id}' AND content = '${key}'`), 1);
	});
});

// The answer of a POST without its `duplicate`.
const same = (frame) => ({ ...frame, payload: { ...frame.payload, duplicate: undefined } });

describe('by POST', { concurrency: 2 }, () => {
	test('the frame of a socket, its answer, and a status of its own', async (t) => {
		const site = await startSite(t);
		await settle(site, 'carol', 'bob');
		const from = (await site.poll('bob')).json.timestamp;
		const first = await post(site, 'carol', message({ key: 'k' }));
		assert.equal(first.status, 201);
		assert.match(first.headers['content-type'], /^application\/json/);
		assert.deepEqual(Object.keys(first.json.payload), ['key', 'id', 'timestamp', 'duplicate']);
		assert.equal(await rows(site, `id = '${first.json.payload.id}'`), 1);
		const again = await post(site, 'carol', message({ key: 'k' }));
		assert.equal(again.status, 200);
		assert.deepEqual(again.json, { type: 'ack', payload: { ...first.json.payload, duplicate: true } });
		checkProblem(await post(site, 'carol', message({ key: 'k', content: 'other' })), 422, 'key_reused');
		// Over the socket, the same first answer; and the other way round.
		const s = await v1(site, 'carol');
		assert.deepEqual(same(await ask(s, message({ key: 'k' }))), same(first.json));
		const bySocket = await ask(s, message({ key: 'k2' }));
		const byPost = await post(site, 'carol', message({ key: 'k2' }));
		assert.equal(byPost.status, 200);
		assert.deepEqual(same(byPost.json), same(bySocket));
		assert.equal(code(await ask(s, message({ key: 'k2', content: 'x' }))), 'key_reused');
		assert.equal(await rows(site), 2);
		// A poller gets the message, the sender's own poll the key as well.
		const seen = async (user) => (await site.poll(user, { lastTimestamp: from })).json.events
			.filter((e) => e.type === 'NEW_MESSAGE').map((e) => e.payload.key);
		assert.deepEqual(await seen('bob'), [undefined, undefined]);
		assert.deepEqual(await seen('carol'), ['k', 'k2']);
	});

	test('typing and bye are answered by 204', async (t) => {
		const site = await startSite(t);
		await settle(site, 'carol', 'bob');
		for (const frame of [{ type: 'typing', payload: { roomId: 'lobby', on: true } }, { type: 'bye' }]) {
			const answer = await post(site, 'carol', frame);
			assert.deepEqual([answer.status, answer.text], [204, '']);
		}
		await until(async () => await site.sql("SELECT is_online FROM users WHERE id = 'carol'") === '0', 'bye was heard');
		checkProblem(await post(site, 'carol', { type: 'typing', payload: { roomId: 'vault', on: true } }), 403, 'forbidden_room');
	});

	test('refusals are problems as everywhere', async (t) => {
		const site = await startSite(t, { conf: ['ws.max_message = 4096', 'limit.send_per_s = 0'] });
		checkProblem(await post(site, undefined, message()), 401, 'missing_token');
		checkProblem(await post(site, 'nobody', message()), 401, 'revoked');
		checkProblem(await post(site, 'carol', message({ roomId: 'attic' })), 404, 'not_found');
		checkProblem(await post(site, 'carol', message({ roomId: 'vault' })), 403, 'forbidden_room');
		checkProblem(await site.request('GET', '/api/realtime/send', { token: site.token('carol') }), 405, 'method');
		for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', ''])
			checkProblem(await post(site, 'carol', message(), { headers: { 'Content-Type': type } }), 415, 'media_type');
		assert.equal((await post(site, 'carol', message(),
			{ headers: { 'Content-Type': 'Application/JSON; charset=utf-8' } })).status, 201);
		for (const body of ['', ' ', '{', 'null', '7', '"send"', '{}', '{"type":7}', `${'['.repeat(60)}${']'.repeat(60)}`,
			`${'{"a":'.repeat(60)}1${'}'.repeat(60)}`, Buffer.from([0x7b, 0xff, 0x7d]), '{"type":"send"}\0',
			JSON.stringify(message()) + ',', { type: 'ping' },
			{ type: 'auth', payload: { token: 'x' } }, { type: 'unheard-of' }, { type: 'send', payload: 1e300 },
			'{"type":"send","payload":{"roomId":"lobby","content":"x","n":NaN}}'])
			checkProblem(await post(site, 'carol', body), 400, 'bad_request');
		checkProblem(await post(site, 'carol', message({ content: 'x'.repeat(4096) })), 413, 'too_large');
		checkProblem(await post(site, 'carol', `[${' '.repeat(1100000)}]`), 413, 'too_large');
		assert.equal(await rows(site), 1);
	});

	test('a list is answered in order, errors included', async (t) => {
		const site = await startSite(t, { conf: ['limit.send_per_s = 0'] });
		const answer = await post(site, 'carol', [message({ key: 'a', content: '1' }), message({ key: 'b', roomId: 'attic' }),
			{ type: 'typing', payload: { roomId: 'lobby', on: true } }, 7, message({ key: 'a', content: '1' }),
			message({ key: 'a', content: '2' }), { type: 'ping' }, message({ key: 'c', content: '3' })]);
		assert.equal(answer.status, 200);
		const list = answer.json;
		assert.deepEqual(list.map((m) => m && (m.type === 'ack' ? m.payload.key : code(m))),
			['a', 'not_found', null, 'bad_request', 'a', 'key_reused', 'bad_request', 'c']);
		assert.equal(list[4].payload.id, list[0].payload.id);
		assert.deepEqual([list[0], list[4], list[7]].map((m) => m.payload.duplicate), [false, true, false]);
		assert.equal(list[1].payload.ref, 'b');
		assert.equal(await site.sql('SELECT group_concat(content) FROM (SELECT content FROM messages ORDER BY rowid)'), '1,3');
		assert.deepEqual((await post(site, 'carol', [])).json, []);
		const hundred = await post(site, 'carol', Array.from({ length: 100 }, (_, i) => message({ key: `n${i}` })));
		assert.ok(hundred.json.length === 100 && hundred.json.every((m, i) => m.payload.key === `n${i}`));
		checkProblem(await post(site, 'carol', Array(101).fill(message())), 413, 'too_large');
		assert.equal(await rows(site), 102);
		// A list may be longer than a frame.
		const long = Array.from({ length: 10 }, () => message({ content: 'y'.repeat(50000) }));
		assert.ok((await post(site, 'carol', long)).json.every((m) => m.type === 'ack'));
		assert.equal(code((await post(site, 'carol', [message({ content: 'y'.repeat(65537) })])).json[0]), 'too_large');
	});

	test('Idempotency-Key is the key of the one frame', async (t) => {
		const site = await startSite(t, { ws: false });
		const send = (key, frame = message()) => post(site, 'carol', frame, { headers: { 'Idempotency-Key': key } });
		const first = await send('"abc"');
		assert.deepEqual([first.status, first.json.payload.key], [201, 'abc']);
		for (const answer of [await send('abc'), await send('"abc"', message({ key: 'abc' })), await post(site, 'carol', message({ key: 'abc' }))])
			assert.deepEqual([answer.status, same(answer.json)], [200, same(first.json)]);
		checkProblem(await send('abc', message({ content: 'other' })), 422, 'key_reused');
		for (const [key, frame] of [['abc', message({ key: 'other' })], ['abc', [message()]], ['""', message()],
			['a"b', message()], ['x'.repeat(129), message()], ['abc', { type: 'bye' }]])
			checkProblem(await send(key, frame), 400, 'bad_request');
		assert.equal(await rows(site), 1);
	});

	test('pages of other hosts may send where cors.origins says so', async (t) => {
		const site = await startSite(t, { ws: false, conf: ['cors.origins = https://a.example'] });
		const headers = { Origin: 'https://a.example' };
		const preflight = await site.request('OPTIONS', '/api/realtime/send', { headers });
		assert.equal(preflight.status, 204);
		assert.match(preflight.headers['access-control-allow-methods'], /\bPOST\b/);
		assert.match(preflight.headers['access-control-allow-headers'], /Content-Type, Idempotency-Key/);
		// Also in an answer that came from the writer, and in a refusal.
		for (const [frame, status] of [[message(), 201], [message({ roomId: 'attic' }), 404], [7, 400]]) {
			const answer = await post(site, 'carol', JSON.stringify(frame), { headers });
			assert.equal(answer.status, status);
			assert.equal(answer.headers['access-control-allow-origin'], 'https://a.example');
			assert.match(answer.headers.vary, /Authorization, ?Origin/);
		}
		const foreign = await post(site, 'carol', message(), { headers: { Origin: 'https://b.example' } });
		assert.deepEqual([foreign.status, foreign.headers['access-control-allow-origin']], [201, undefined]);
	});

	test('the rate is one for socket and POST', async (t) => {
		const site = await startSite(t, { conf: ['limit.send_per_s = 1'] });
		const s = await v1(site, 'carol');
		assert.equal((await ask(s, message())).type, 'ack');
		let answer;
		do
			answer = await post(site, 'carol', message({ content: 'post' }));
		while (answer.status === 201);
		checkProblem(answer, 429, 'rate_limited');
		assert.equal(answer.headers['retry-after'], '1');
		assert.equal(code(await ask(s, message())), 'rate_limited');
		const list = await post(site, 'carol', [message(), message()]);
		assert.equal(list.status, 200);
		assert.ok(list.json.some((m) => m.type === 'error' && m.payload.code === 'rate_limited' && m.payload.retryAfterMs > 0));
		assert.equal((await post(site, 'bob', message())).status, 201);
	});

	test('a POST that waits for the lock keeps no worker; then it is busy', async (t) => {
		const site = await startSite(t, { ws: false, conf: ['db.busy_ms = 2000', 'poll.threads = 1', 'limit.send_per_s = 0'] });
		await settle(site, 'carol');
		const locker = site.start('locker', 'sqlite3', [site.db, '-cmd', '.timeout 10000', '-cmd', 'BEGIN IMMEDIATE;', '-cmd',
			"UPDATE rooms SET description = 'x' WHERE id = 'lobby';", '-cmd', '.shell echo locked 1>&2'], { stdin: 'pipe' });
		await locker.saw(/locked/);
		const waiting = Array.from({ length: 8 }, (_, i) => post(site, 'carol', message({ key: `k${i}` })));
		let ended = 0;
		for (const w of waiting)
			w.then(() => { ended++; });
		// Everything else is answered meanwhile, by the one worker.
		for (let i = 0; i < 20; i++)
			assert.equal((await site.poll('carol')).status, 200);
		assert.equal(ended, 0, 'they wait still');
		const [a, ...rest] = await Promise.all(waiting);
		for (const answer of [a, ...rest]) {
			checkProblem(answer, 503, 'busy');
			assert.equal(answer.headers['retry-after'], '1');
		}
		locker.child.stdin.end('COMMIT;\n.quit\n');
		await locker.ended;
		assert.equal(await rows(site), 0);
		for (let i = 0; i < 8; i++)
			assert.equal((await post(site, 'carol', message({ key: `k${i}` }))).status, 201);
		assert.equal(await rows(site), 8);
		assert.equal(await pollMetric(site, 'sends'), 8);
	});

	test('kept FastCGI connections are answered in their turn, whatever is asked', async (t) => {
		const site = await startSite(t, { ws: false, web: false });
		const c = await fcgi.Connection.open({ path: site.pollSocket });
		const token = site.token('carol');
		const env = (body) => ({ ...fcgi.get('/api/realtime/send', token), REQUEST_METHOD: 'POST',
			CONTENT_TYPE: 'application/json', CONTENT_LENGTH: Buffer.byteLength(body) });
		for (let i = 0; i < 5; i++) {
			const body = JSON.stringify(message({ key: `k${i}`, content: 'z'.repeat(i * 15000) || 'z' }));
			const answer = await c.ask(env(body), { keep: true, body });
			assert.deepEqual([answer.status, answer.json.payload.key], [201, `k${i}`]);
			assert.equal((await c.ask(fcgi.get('/api/realtime/status'), { keep: true })).status, 200);
		}
		c.close();
		// One that is drained while its answer is under way gets it.
		const body = JSON.stringify(message({ key: 'last' }));
		const last = await fcgi.Connection.open({ path: site.pollSocket });
		const answer = last.ask(env(body), { body });
		await until(async () => await rows(site) === 6, 'it is written');
		site.poller.kill('SIGTERM');
		assert.equal((await answer).status, 201);
		assert.equal((await site.poller.ended).code, 0);
		// A body that breaks off, or trickles, is given up.
		await site.startPoll();
		const slow = await fcgi.Connection.open({ path: site.pollSocket });
		const whole = fcgi.request(1, env('x'.repeat(20000)), { body: 'half' });
		slow.write(whole.subarray(0, whole.length - 8));
		await slow.waitClosed();
		assert.equal(await rows(site), 6);
	});

	test('who does not wait for the answer is written all the same', async (t) => {
		const site = await startSite(t, { ws: false, web: false, conf: ['limit.send_per_s = 0'] });
		const env = { ...fcgi.get('/api/realtime/send', site.token('carol')), REQUEST_METHOD: 'POST',
			CONTENT_TYPE: 'application/json' };
		for (let i = 0; i < 60; i++) {
			const body = JSON.stringify(message({ key: `k${i}` }));
			const c = await fcgi.Connection.open(site.pollSocket);
			// Gone at once, half gone, or patient.
			c.write(fcgi.request(1, { ...env, CONTENT_LENGTH: body.length }, { keep: i % 3 === 2, body }));
			if (i % 3 === 2) {
				assert.equal((await c.answer()).status, 201);
				assert.equal((await c.ask(fcgi.get('/api/realtime/status'), { keep: true })).status, 200);
			}
			if (i % 3 === 1)
				c.socket.end();
			else
				c.close();
		}
		await until(async () => await rows(site) === 60, 'all are written');
		const again = await fcgi.Connection.open(site.pollSocket);
		const body = JSON.stringify(message({ key: 'k0' }));
		const answer = await again.ask({ ...env, CONTENT_LENGTH: body.length }, { body });
		assert.equal(answer.status, 200);
	});

	test('as plain CGI', async (t) => {
		const site = await startSite(t, { poll: false, ws: false, web: false });
		const send = (frame, env) => cgi(site, '/api/realtime/send', 'carol', env, JSON.stringify(frame));
		const first = await send(message({ key: 'k' }));
		assert.equal(first.status, 201);
		const again = await send(message({ key: 'k' }));
		assert.deepEqual([again.status, same(again.json)], [200, same(first.json)]);
		assert.equal((await send(message({ key: 'k', content: 'x' }))).status, 422);
		assert.equal((await send({ type: 'typing', payload: { roomId: 'lobby', on: true } })).status, 204);
		assert.equal((await send({ type: 'bye' })).status, 204);
		assert.deepEqual((await send([message({ key: 'k' }), message({ roomId: 'vault' })])).json.map((m) => m.type), ['ack', 'error']);
		assert.equal((await send(message(), { CONTENT_TYPE: 'text/plain' })).status, 415);
		assert.equal((await send(message(), { CONTENT_LENGTH: '99999999' })).status, 413);
		assert.equal((await send(message(), { CONTENT_LENGTH: '' })).status, 400);
		assert.equal((await send(message(), { HTTP_IDEMPOTENCY_KEY: 'k' })).status, 200);
		assert.equal(await rows(site), 1);
	});
});

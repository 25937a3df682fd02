// Limits over processes, what they count, and what the services tell an administrator.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startSite } from './lib/site.js';
import { startTwin } from './lib/twin.js';
import { httpGet, metric, metrics, parseMetrics } from './lib/metrics.js';
import { until, within } from './lib/deadline.js';

const POLL = '/api/realtime/poll';
const direct = { direct: true };
const sidecarOnly = { poll: false, web: false };

// A socket that was let in, or how it was closed.
async function enter(site, user) {
	const s = await site.connect(user, direct);
	s.send({ type: 'ping' });
	const how = await Promise.race([s.nextText().then(() => 'in', () => 'out'), s.closed.then(() => 'out')]);
	return how === 'in' ? s : s.waitClosed();
}

const isIn = (s) => s.ws !== undefined;

test('limit.poll_per_s holds over two processes that share run_dir', async (t) => {
	const site = await startSite(t, { ws: false, conf: ['limit.poll_per_s = 1'] });
	const twin = await startTwin(site, { ws: false });
	// Two seconds' worth at once, wherever they are asked.
	assert.equal((await site.poll('alice')).status, 200);
	assert.equal((await twin.poll('alice')).status, 200);
	const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 ? site : twin).poll('alice')));
	const limited = answers.filter((a) => a.status !== 200);
	assert.ok(limited.length >= 7, `${limited.length} of 10 were refused`);
	for (const a of limited) {
		assert.deepEqual([a.status, a.json.code], [429, 'rate_limited']);
		assert.equal(a.headers['content-type'], 'application/problem+json');
		assert.match(a.headers['retry-after'], /^[1-9]\d*$/);
		assert.ok(Number(a.headers['retry-after']) <= 2);
	}
	// Others are not concerned; after the time that was named it is let in again.
	assert.equal((await twin.poll('bob')).status, 200);
	await until(async () => {
		const a = await twin.poll('alice');
		return a.status === 200;
	}, 'it is served again');
	// A new process finds the bucket as it is.
	await until(async () => (await site.poll('carol')).status === 429, 'carol used up hers');
	await twin.poller.stop('SIGKILL');
	await site.poller.stop();
	await site.startPoll();
	const after = await Promise.all(Array.from({ length: 6 }, () => site.poll('carol')));
	assert.ok(after.filter((a) => a.status === 429).length >= 3);
	const { text } = await site.request('GET', '/api/realtime/metrics');
	assert.ok(parseMetrics(text).sidewire_rate_limited_total.value >= 10);
});

test('limit.poll_per_s = 0 limits nothing', async (t) => {
	const site = await startSite(t, { ws: false, conf: ['limit.poll_per_s = 0'] });
	const answers = await Promise.all(Array.from({ length: 100 }, () => site.poll('alice')));
	assert.deepEqual([...new Set(answers.map((a) => a.status))], [200]);
});

test('ws.max_per_user holds over two sidecars, and outlives a kill -9', async (t) => {
	const site = await startSite(t, { ...sidecarOnly, conf: ['ws.max_per_user = 3'] });
	const twin = await startTwin(site, { poll: false, web: false });
	const open = [await enter(site, 'alice'), await enter(twin, 'alice'), await enter(site, 'alice')];
	assert.ok(open.every(isIn));
	for (const where of [site, twin])
		assert.deepEqual(await enter(where, 'alice'), { code: 4429, reason: 'Too many requests' });
	assert.ok(isIn(await enter(twin, 'bob')), 'others are not concerned');
	assert.equal(await metric(site, 'ws_refused'), 2);
	assert.equal(await metric(site, 'connections'), 4);
	assert.equal(await metric(site, 'ws_sessions'), 2);
	// One leaves, one may come.
	await open[0].close();
	const again = await until(async () => {
		const s = await enter(twin, 'alice');
		return isIn(s) && s;
	}, 'there is room again');
	// Killed without a word: its two are not counted any more, its users' and in all.
	await twin.sidecar.stop('SIGKILL');
	assert.equal((await again.waitClosed()).code, 1006);
	await until(async () => (await metric(site, 'connections')) === 1, 'only the living are counted');
	const more = [];
	await until(async () => {
		const s = await enter(site, 'alice');
		if (isIn(s))
			more.push(s);
		return more.length === 2;
	}, 'two may come');
	assert.equal((await enter(site, 'alice')).code, 4429);
	assert.equal((await metrics(site)).sidewire_sidecar_processes.value, 1);
	// All of them killed: the next one begins at nothing.
	await site.sidecar.stop('SIGKILL');
	await site.startSidecar();
	assert.equal(await metric(site, 'connections'), 0);
	for (let i = 0; i < 3; i++)
		assert.ok(isIn(await enter(site, 'alice')));
	assert.equal((await enter(site, 'alice')).code, 4429);
});

test('ws.max_connections: more are sent away with 1013', async (t) => {
	const site = await startSite(t, { ...sidecarOnly, conf: ['ws.max_connections = 3'] });
	const open = [await enter(site, 'alice'), await enter(site, 'bob')];
	// One that has not said who it is counts.
	const waiting = await site.connect(undefined, { ...direct, protocols: ['sidewire.v1'] });
	assert.ok(open.every(isIn));
	assert.deepEqual(await enter(site, 'carol'), { code: 1013, reason: 'Overloaded' });
	assert.equal((await httpGet(site, '/readyz')).status, 200, 'plain HTTP is not concerned');
	await waiting.close();
	const s = await until(async () => {
		const one = await enter(site, 'carol');
		return isIn(one) && one;
	}, 'there is room again');
	await site.post('lobby', 'bob', 'hello');
	for (const one of [...open, s])
		assert.equal((await one.until('NEW_MESSAGE')).payload.content, 'hello');
});

test('limit.frame_per_s: who sends too many frames is closed with 4429', async (t) => {
	const site = await startSite(t, { ...sidecarOnly, conf: ['limit.frame_per_s = 5'] });
	const calm = await site.connect('bob', direct);
	const s = await site.connect('alice', direct);
	for (let i = 0; i < 10; i++)
		s.send({ type: 'ping' });
	for (let i = 0; i < 10; i++)
		await s.until('pong');		// a burst of two seconds
	for (let i = 0; i < 50; i++)
		s.send(i % 2 ? { type: 'ping' } : 'no JSON');
	assert.deepEqual(await s.waitClosed(), { code: 4429, reason: 'Too many requests' });
	assert.ok(s.all.length < 40, 'not all of them were answered');
	await calm.drain();
	assert.equal(await metric(site, 'rate_limited'), 1);
	// A new connection starts anew.
	await (await site.connect('alice', direct)).drain();
});

test('/metrics: Prometheus text, counters that grow with what they count', async (t) => {
	const site = await startSite(t, { conf: ['limit.poll_per_s = 1', 'ws.max_message = 256'] });
	const a = await httpGet(site, '/metrics');
	assert.equal(a.status, 200);
	assert.equal(a.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
	assert.equal(a.headers['cache-control'], 'no-store');
	const before = parseMetrics(a.text);
	for (const [name, m] of Object.entries(before)) {
		assert.match(name, /^sidewire_[a-z_]+$/);
		assert.equal(m.type === 'counter', name.endsWith('_total'), name);
	}
	// Both sides print the same counters of all processes.
	const fromPoll = async () => parseMetrics((await site.request('GET', '/api/realtime/metrics')).text);
	const counters = (all) => Object.keys(all).filter((n) => n.endsWith('_total')).sort();
	assert.deepEqual(counters(await fromPoll()), counters(before));
	assert.equal(before.sidewire_poll_processes.value, 1);
	assert.equal(before.sidewire_sidecar_processes.value, 1);

	const s = await site.connect('carol', direct);
	await site.post('lobby', 'bob', 'one');
	await site.post('lobby', 'bob', 'two');
	await site.post('vault', 'bob', 'not for carol');
	await s.until('NEW_MESSAGE');
	await s.until('NEW_MESSAGE');
	s.send('no JSON');
	await s.drain();
	const seen = s.all.length - 1;		// but for the pong
	const big = await site.connect('carol', direct);
	big.send('x'.repeat(257));
	assert.equal((await big.waitClosed()).code, 1009);
	const bad = await site.connect(undefined, { ...direct, token: 'x' });
	await bad.waitClosed();
	const lost = await site.connect('carol', { ...direct, params: { lastTimestamp: 'garbage' } });
	await lost.drain();
	const first = await site.poll('alice');
	await site.poll('alice', { lastTimestamp: first.json.timestamp });
	assert.equal((await site.poll('alice')).status, 429);
	await site.request('GET', POLL, { token: 'x' });
	await site.request('GET', '/api/realtime/nowhere');
	await s.close();
	await lost.close();

	let after;
	await until(async () => {
		after = await metrics(site);
		return after.sidewire_ws_sessions.value === 0;
	}, 'all have left');
	const grew = (name) => after[`sidewire_${name}_total`].value - before[`sidewire_${name}_total`].value;
	const table = { ws_opened: 3, ws_closed: 3, ws_too_large: 1, ws_ignored: 1, auth_failures: 2, resets: 1, polls: 2,
		rate_limited: 1, requests_bad: 1, ws_refused: 0, ws_slow: 0, commit_failures: 0, pruned: 0, ws_frames_in: 3 };
	for (const [name, n] of Object.entries(table))
		assert.equal(grew(name), n, name);
	assert.ok(grew('ws_events') >= seen, 'ws_events');
	assert.ok(grew('tail_events') >= 3 && grew('tail_batches') >= 1);
	assert.ok(grew('poll_events') >= 2 && grew('requests') >= 5 && grew('commits') >= 1);
	for (const name of counters(after))
		assert.ok(after[name].value >= before[name].value, `${name} never falls`);
	assert.equal(after.sidewire_database_up.value, 1);
	assert.ok(Math.abs(after.sidewire_head_timestamp_seconds.value - Date.now() / 1000) < 600);
	// A held poll is seen while it is held.  Nobody's presence is still on its way.
	await until(async () => (await site.sql('SELECT is_online FROM users WHERE id = \'alice\'')) === '1', 'alice is online');
	const now = (await site.poll('carol')).json.timestamp;
	const waiting = site.poll('carol', { lastTimestamp: now, timeout: 20, rooms: 'none' });
	await until(async () => (await fromPoll()).sidewire_held_requests.value === 1, 'one is held');
	await site.post('lobby', 'bob', 'not for it');
	await site.must('publish', 'WAKE', '{}', '--user', 'carol');
	assert.equal((await waiting).status, 200);
	await until(async () => (await fromPoll()).sidewire_held_requests.value === 0, 'none is held');
	// Counters outlive the processes.
	await site.sidecar.stop();
	await site.startSidecar();
	assert.equal((await metrics(site)).sidewire_ws_opened_total.value, after.sidewire_ws_opened_total.value);
});

test('the metrics of the FastCGI side are for loopback or a token with the scope', async (t) => {
	const site = await startSite(t, { ws: false });
	const foreign = { 'X-Forwarded-For': '203.0.113.7' };
	const ask = (token, headers = {}) => site.request('GET', '/api/realtime/metrics', { token, headers });
	assert.equal((await ask()).status, 200);
	assert.equal((await ask(undefined, foreign)).status, 401);
	const no = await ask(site.token('alice'), foreign);
	assert.deepEqual([no.status, no.json.code], [403, 'forbidden_scope']);
	assert.match(no.headers['www-authenticate'], /error="insufficient_scope", scope="metrics"/);
	assert.equal((await ask(site.token('alice', { scope: 'publish metrics' }), foreign)).status, 200);
	assert.equal((await ask(site.token('alice', { scope: 'metricsx' }), foreign)).status, 403);
});

test('/healthz, /readyz, and 404 elsewhere', async (t) => {
	const site = await startSite(t, sidecarOnly);
	for (const [path_, text] of [['/healthz', 'ok\n'], ['/readyz', 'ready\n']]) {
		const a = await httpGet(site, path_);
		assert.deepEqual([a.status, a.text, a.headers['cache-control']], [200, text, 'no-store']);
		assert.equal(a.headers['content-type'], 'text/plain; charset=utf-8');
		const head = await httpGet(site, path_, { method: 'HEAD' });
		assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', String(text.length)]);
		assert.equal((await httpGet(site, `${path_}?x=1`)).status, 200);
	}
	for (const path_ of ['/', '/health', '/healthz/', '/metrics/x', '/api/realtime/poll', '/favicon.ico', `/${'x'.repeat(2000)}`]) {
		const a = await httpGet(site, path_);
		assert.deepEqual([a.status, a.json?.code], [404, 'not_found'], path_.slice(0, 50));
		assert.equal(a.headers['content-type'], 'application/problem+json');
	}
	for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
		assert.ok((await httpGet(site, '/healthz', { method }).catch(() => ({ status: 400 }))).status >= 400, method);
	// One that asks for the socket without an upgrade is told what is missing.
	const plain = await httpGet(site, '/ws');
	assert.deepEqual([plain.status, plain.json.code], [400, 'bad_request']);
	assert.equal((await httpGet(site, '/healthz')).status, 200);
});

test('/readyz follows the database: 503 while it is away, 200 when it is back', async (t) => {
	const site = await startSite(t, sidecarOnly);
	const s = await site.connect('alice', direct);
	const away = path.join(site.dir, 'away');
	fs.mkdirSync(away);
	const files = () => fs.readdirSync(site.dir).filter((f) => f.startsWith('sidewire.db'));
	for (const f of files())
		fs.renameSync(path.join(site.dir, f), path.join(away, f));
	const gone = await until(async () => {
		const a = await httpGet(site, '/readyz');
		return a.status === 503 && a;
	}, 'not ready');
	assert.match(gone.text, /database/);
	assert.equal((await httpGet(site, '/healthz')).status, 200, 'alive all the same');
	assert.equal((await metrics(site)).sidewire_database_up.value, 0);
	assert.deepEqual(files(), [], 'no empty one was made in its place');
	for (const f of fs.readdirSync(away))
		fs.renameSync(path.join(away, f), path.join(site.dir, f));
	await until(async () => (await httpGet(site, '/readyz')).status === 200, 'ready again');
	assert.equal((await metrics(site)).sidewire_database_up.value, 1);
	await site.post('lobby', 'bob', 'back');
	// Who was connected is still, or was asked to come back with its cursor.
	if (s.end === undefined)
		await Promise.race([s.until('NEW_MESSAGE').catch(() => {}), s.closed]);
	const t2 = await site.connect('alice', direct);
	await site.post('lobby', 'bob', 'and live');
	assert.equal((await t2.until('NEW_MESSAGE', (m) => m.payload.content === 'and live')).payload.senderId, 'bob');
	assert.equal(site.sidecar.how, undefined);
});

test('the lines that operators grep for', async (t) => {
	const site = await startSite(t, { conf: ['log.level = debug'] });
	const s = await site.connect('alice', { headers: { 'X-Forwarded-For': '198.51.100.9' } });
	s.send({ type: 'ping' });
	await s.nextText();
	await site.poll('bob', { lastMessageId: 'm-1 \u2028x' });
	await site.poll('bob');
	await s.close();
	await site.sidecar.saw(/ \[WebSocket\] User alice connected ip=127\.0\.0\.1 total=1\n/);
	await site.sidecar.saw(/ \[WebSocket\] Heartbeat from user alice\n/);
	await site.sidecar.saw(/ \[WebSocket\] User alice disconnected code=1000 seconds=\d+\n/);
	await site.poller.saw(/ \[LongPoll\] User bob polling, lastMessageId: m-1 \u2028x\n/);
	await site.poller.saw(/ \[LongPoll\] User bob polling, lastMessageId: *\n/);
	for (const p of [site.sidecar, site.poller]) {
		for (const line of p.log.trimEnd().split('\n'))
			assert.match(line, /^(<\d>|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (ws-sidecar|fcgi-poll)\[\d+\]: )/);
	}
});

test('at level info each request is silent, connections are not; at error neither is told', async (t) => {
	const site = await startSite(t);
	const s = await site.connect('alice', direct);
	s.send({ type: 'ping' });
	await s.nextText();
	await s.close();
	await site.poll('bob');
	await site.sidecar.saw(/User alice disconnected/);
	assert.match(site.sidecar.log, /\[WebSocket\] User alice connected/);
	assert.doesNotMatch(site.sidecar.log, /Heartbeat/);
	assert.doesNotMatch(site.poller.log, /polling/);
	await site.sidecar.stop();
	const quiet = site.start('ws-sidecar', site.sidecar.child.spawnfile, ['-c', site.conf], { env: { SIDEWIRE_LOG_LEVEL: 'error' } });
	await until(async () => (await httpGet(site, '/readyz')).status === 200, 'it serves');
	const again = await site.connect('alice', direct);
	await again.drain();
	await again.close();
	await until(async () => (await metric(site, 'ws_sessions')) === 0, 'it left');
	quiet.kill();
	await within(quiet.ended, 'it ends');
	assert.equal(quiet.log, '');
});

// Programs end at any moment, and nobody who comes back with his cursor misses anything.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BIN, startSite } from './lib/site.js';
import { until, within } from './lib/deadline.js';
import { dice } from './lib/dice.js';

const ROWS = 500;
const LONG_MS = 120000;

const stats = async (site) => JSON.parse(await site.must('stats', '--json'));
const pause = (ms) => new Promise((r) => setTimeout(r, ms));

// A client that resumes: got holds the texts of its messages; ready: it has a position.
class Follower {
	constructor(name) {
		this.name = name;
		this.got = [];
		this.broken = 0;
		this.isDone = false;
		this.ready = new Promise((r) => { this.isReady = r; });
	}

	take(event) {
		if (event.type !== 'NEW_MESSAGE')
			return;
		this.got.push(event.payload.content);
		this.isDone = event.payload.content === 'end';
	}
}

// Polls with a cursor made by next(answer): what of an answer to send with the next request.
async function followByPoll(site, f, params, next) {
	let cursor = params.first;
	while (!f.isDone) {
		let a;
		try {
			a = await site.poll('carol', { ...params.more, ...cursor }, { timeout: 30000 });
		} catch {
			a = { status: 0 };
		}
		if (a.status !== 200) {
			f.broken++;
			assert.ok([0, 500, 502, 503, 504].includes(a.status), `${f.name}: ${a.status} ${a.text}`);
			await pause(20);	// a client's back-off
			continue;
		}
		assert.equal(a.json.reset, undefined, `${f.name}: reset`);
		for (const event of a.json.events)
			f.take(event);
		cursor = next(a.json, cursor);
		f.isReady();
	}
}

async function followBySocket(site, f, params, next) {
	let cursor = params.first;
	while (!f.isDone) {
		let s;
		try {
			s = await site.connect('carol', { direct: params.direct, params: cursor,
				protocols: params.protocols });
			if (f.got.length === 0 && params.protocols === undefined) {
				for (const m of await s.drain()) {
					f.take(m);
					cursor = next(m, cursor);
				}
				f.isReady();
			}
			for (;;) {
				const m = await s.next();
				f.take(m);
				if (m.type === 'sync')
					f.isReady();
				cursor = next(m, cursor);
				if (f.isDone)
					return;
			}
		} catch {
			f.broken++;
			await pause(20);
		}
	}
}

const byTimestamp = (answer) => ({ lastTimestamp: answer.timestamp });
const byMessage = (answer, old) => (answer.events.length > 0 ?
	{ lastMessageId: answer.events.at(-1).payload.id } : old);
const bySocket = (m, old) => (m.timestamp ? { lastTimestamp: m.timestamp } :
	m.type === 'sync' ? { lastTimestamp: m.payload.timestamp } : old);
const bySocketMessage = (m, old) => (m.type === 'NEW_MESSAGE' ? { lastMessageId: m.payload.id } : old);

test('kill -9 of anything at any moment: everyone gets everything once, in order', async (t) => {
	const seed = Date.now() % 1000000;
	const roll = dice(seed);
	t.diagnostic(`seed ${seed}`);
	const site = await startSite(t, { conf: ['limit.poll_per_s = 0', 'poll.max_wait_s = 5',
		'db.synchronous = normal'] });
	const start = { lastTimestamp: (await site.poll('carol')).json.timestamp };
	const polls = [
		[{ more: {}, first: start }, byTimestamp],
		[{ more: { timeout: 5 }, first: start }, byTimestamp],
		[{ more: { timeout: 5, limit: 3, client: 'tab-3' }, first: start }, byTimestamp],
		[{ more: { timeout: 5 }, first: { lastMessageId: '' } }, byMessage],
		[{ more: {}, first: { lastMessageId: '' } }, byMessage],
	];
	const sockets = [
		[{ first: start }, bySocket],
		[{ first: start, direct: true }, bySocket],
		[{ first: start, direct: true }, bySocketMessage],
		[{ first: start, protocols: ['sidewire.v1'] }, bySocket],
		[{ first: start, protocols: ['sidewire.v1'], direct: true }, bySocket],
	];
	const all = [];
	const follow = (how, name, [params, next]) => {
		const f = new Follower(name);
		f.end = how(site, f, params, next);
		f.end.catch(() => {});		// told below
		all.push(f);
	};
	polls.forEach((p, i) => follow(followByPoll, `poll ${i}`, p));
	sockets.forEach((p, i) => follow(followBySocket, `socket ${i}`, p));
	await within(Promise.all(all.map((f) => f.ready)), 'everyone has a position');

	let isWriting = true;
	const writer = (async () => {
		for (let i = 0; i < ROWS; i++)
			await site.post(i % 10 === 0 ? 'vault' : 'lobby', 'bob', `m${i}`);
		isWriting = false;
	})();
	const killed = { sidecar: 0, poller: 0, lighttpd: 0 };
	const again = { sidecar: () => site.startSidecar(), poller: () => site.startPoll(),
		lighttpd: () => site.startLighttpd() };
	while (isWriting || Math.min(...Object.values(killed)) === 0) {
		const victim = Object.keys(killed)[roll(3)];
		await pause(roll(200));
		await site[victim].stop('SIGKILL');
		killed[victim]++;
		await again[victim]();
	}
	await writer;
	await site.post('lobby', 'bob', 'end');
	await within(Promise.all(all.map((f) => f.end)), 'everyone reads the last message', LONG_MS)
		.catch((error) => {
			const state = all.map((f) => `${f.name}: ${f.got.length} ${f.got.at(-1)} broken ${f.broken}`);
			throw new Error(`${error.message}\n${state.join('\n')}`);
		});
	// carol is no member of the vault.
	const want = [...Array(ROWS).keys()].filter((i) => i % 10 !== 0).map((i) => `m${i}`);
	for (const f of all)
		assert.deepEqual(f.got, [...want, 'end'], f.name);
	t.diagnostic(`killed ${JSON.stringify(killed)}, broken ${all.map((f) => f.broken)}`);
	assert.equal((await site.must('check')).match(/FAIL/), null);
});

test('SIGTERM: held polls are answered, sockets told to come back, exit 0', async (t) => {
	const site = await startSite(t);
	const s = await site.connect('bob');
	await site.poll('carol');
	await until(async () => await site.sql('SELECT group_concat(id) FROM users WHERE is_online') === 'bob,carol',
		'both are online');
	const { timestamp } = (await site.poll('carol')).json;
	const held = site.poll('carol', { lastTimestamp: timestamp, timeout: 25 });
	await until(async () => (await stats(site)).held_requests >= 1, 'the poll is held');
	assert.deepEqual(await site.poller.stop(), { code: 0, signal: null });
	const answer = await held;
	assert.equal(answer.status, 200);
	assert.deepEqual(answer.json, { events: [], timestamp });
	assert.deepEqual(await site.sidecar.stop(), { code: 0, signal: null });
	const end = await s.waitClosed();
	assert.equal(end.code, 1001);
	assert.match(end.reason, /^retry=\d+/);
	assert.ok(!fs.existsSync(site.pollSocket), 'the socket is taken away');
});

test('SIGUSR1 says that it restarts', async (t) => {
	const site = await startSite(t, { poll: false, web: false });
	const s = await site.connect('bob', { direct: true });
	assert.deepEqual(await site.sidecar.stop('SIGUSR1'), { code: 0, signal: null });
	assert.equal((await s.waitClosed()).code, 1012);
});

test('the run_dir is removed while they run, and when they start', async (t) => {
	const site = await startSite(t);
	fs.rmSync(path.join(site.dir, 'run'), { recursive: true });
	assert.equal((await site.poll('alice')).status, 200);
	const s = await site.connect('alice');
	await site.post('lobby', 'bob', 'one');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'one');
	await site.must('stats');
	for (const victim of ['poller', 'sidecar'])
		await site[victim].stop('SIGKILL');
	await site.startPoll();
	await site.startSidecar();
	assert.equal((await site.poll('alice')).status, 200);
	await site.connect('alice');
	assert.equal((await stats(site)).polls_total, 1);	// counted anew
});

test('started before the database is there, and after', async (t) => {
	const site = await startSite(t, { poll: false, ws: false, web: false, populate: false });
	for (const name of ['ws-sidecar', 'fcgi-poll']) {
		const p = site.start(name, path.join(BIN, name), ['-c', site.conf]);
		assert.equal((await within(p.ended, `${name} ends`)).code, 1);
		assert.match(p.log, /no such database; run: sidewire init/);
	}
	await site.populate();
	await site.startSidecar();
	await site.startPoll();
	const s = await site.connect('carol', { direct: true });
	await site.must('init');	// again, while they run
	await site.post('lobby', 'bob', 'served');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'served');
});

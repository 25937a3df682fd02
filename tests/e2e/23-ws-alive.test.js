// Dead peers, slow readers, and a server that goes away.

import test, { describe } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { BIN, startSite } from './lib/site.js';
import { startTwin } from './lib/twin.js';
import { OP, frame, raw, text } from './lib/raw.js';
import { httpGet, metric } from './lib/metrics.js';
import { until, within } from './lib/deadline.js';

const only = { poll: false, web: false };
const url = (site, user = 'alice', params = {}) =>
	`/ws?${new URLSearchParams({ token: site.token(user), ...params })}`;
const plain = { direct: true };

describe('silence', { concurrency: true }, () => {
	const quick = { ...only, conf: ['ws.ping_s = 1', 'ws.hangup_s = 1'] };

	test('the server pings after silence and hangs up on who never answers', async (t) => {
		const site = await startSite(t, quick);
		const s = await raw(site, site.wsPort).upgrade(url(site));
		const since = Date.now();
		const ping = await s.frame();
		assert.equal(ping.opcode, OP.PING);
		assert.ok(Date.now() - since > 500, 'not at once');
		await s.waitEnd();
		assert.ok(Date.now() - since > 1500, 'not before its time');
		assert.equal(await s.frame(), null, 'the dead are told nothing');
		await until(async () => (await metric(site, 'ws_sessions')) === 0, 'it is forgotten');
		await site.sidecar.saw(/User alice disconnected code=1006/);
	});

	test('one that is half closed or does not read is hung up on as well', async (t) => {
		const site = await startSite(t, quick);
		const half = await raw(site, site.wsPort).upgrade(url(site));
		half.tcp.end();
		const deaf = await raw(site, site.wsPort).upgrade(url(site, 'bob'));
		deaf.tcp.pause();
		await until(async () => (await metric(site, 'ws_sessions')) === 0, 'both are forgotten');
	});

	test('who answers pings, speaks or sends anything at all stays', async (t) => {
		const site = await startSite(t, quick);
		const browser = await site.connect('alice', plain);	// answers pings by itself
		const speaker = await raw(site, site.wsPort).upgrade(url(site, 'bob'));
		const ponger = await raw(site, site.wsPort).upgrade(url(site, 'carol'));
		const beats = [setInterval(() => speaker.write(text({ type: 'ping' })), 600),
			setInterval(() => ponger.write(frame(OP.PONG, 'x')), 600)];
		t.after(() => beats.forEach(clearInterval));
		await until(() => browser.pings >= 4, 'four pings');
		assert.deepEqual([browser.end, speaker.isEnded, ponger.isEnded], [undefined, undefined, undefined]);
		assert.equal(await metric(site, 'ws_sessions'), 3);
		// Silent now.
		beats.forEach(clearInterval);
		await Promise.all([speaker.waitEnd(), ponger.waitEnd()]);
		assert.equal(browser.end, undefined);
	});
});

describe('a slow reader', { concurrency: true }, () => {
	test('is closed with 4408 and comes back without loss, while others are served', async (t) => {
		const N = 4000;
		const site = await startSite(t, only);
		const slow = await raw(site, site.wsPort).upgrade(url(site, 'carol'));
		slow.tcp.pause();
		const fast = await site.connect('bob', plain);
		await fast.drain();
		await site.sql(`WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${N})
			INSERT INTO messages(id, room_id, sender_id, content)
			SELECT 'm' || i, 'lobby', 'alice', printf('%d:', i) || hex(zeroblob(4096)) FROM n`);
		const number = (m) => parseInt(m.payload.content, 10);
		for (let i = 1; i <= N; i++)
			assert.equal(number(await fast.until('NEW_MESSAGE')), i);
		// Thirty seconds without progress are the contract's; others are served all the while.
		let served = 0;
		await until(async () => {
			await site.post('lobby', 'alice', `live ${++served}`);
			await fast.until('NEW_MESSAGE', (m) => m.payload.content === `live ${served}`);
			return (await metric(site, 'ws_slow')) === 1;
		}, 'the slow one is noticed', 60000);
		// What is in the buffers is whole; behind it stands the reason.
		slow.tcp.resume();
		const got = [];
		let last;
		for (;;) {
			const f = await slow.frame();
			assert.notEqual(f, null, 'a close frame comes first');
			if (f.opcode === OP.CLOSE) {
				assert.equal(f.data.readUInt16BE(), 4408);
				break;
			}
			if (f.opcode !== OP.TEXT)
				continue;
			const m = JSON.parse(f.data);
			last = m.timestamp;
			if (m.type === 'NEW_MESSAGE')
				got.push(m.payload.id);
		}
		slow.destroy();
		assert.ok(got.length > 0 && got.length < N, `${got.length} were on the way`);
		const again = await site.connect('carol', { ...plain, params: { lastTimestamp: last } });
		while (got.length < N)
			got.push((await again.until('NEW_MESSAGE')).payload.id);
		assert.deepEqual(got, Array.from({ length: N }, (_, i) => `m${i + 1}`));
		for (let i = 1; i <= served; i++)
			assert.equal((await again.until('NEW_MESSAGE')).payload.content, `live ${i}`);
		assert.equal(fast.end, undefined);
		await site.sidecar.saw(/User carol disconnected code=4408/);
	});

	test('that takes its data, if slowly, stays', async (t) => {
		const N = 2000;
		const site = await startSite(t, only);
		const s = await raw(site, site.wsPort).upgrade(url(site, 'carol'));
		s.tcp.pause();
		await site.sql(`WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${N})
			INSERT INTO messages(id, room_id, sender_id, content)
			SELECT 'm' || i, 'lobby', 'alice', hex(zeroblob(4096)) FROM n`);
		let count = 0;
		// Reads one packet, rests, reads the next.
		const rest = setInterval(() => s.tcp.resume(), 2);
		t.after(() => clearInterval(rest));
		s.tcp.on('data', () => s.tcp.pause());
		while (count < N) {
			const f = await within(s.frame(), 'more', 20000);
			assert.notEqual(f, null);
			count += f.opcode === OP.TEXT && JSON.parse(f.data).type === 'NEW_MESSAGE';
		}
		assert.equal(await metric(site, 'ws_slow'), 0);
	});

	test('hears the pings between its data', async (t) => {
		const N = 1000;
		const site = await startSite(t, { ...only, conf: ['ws.ping_s = 1', 'ws.hangup_s = 4'] });
		const s = await raw(site, site.wsPort).upgrade(url(site, 'carol'));
		s.tcp.pause();
		await site.sql(`WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${N})
			INSERT INTO messages(id, room_id, sender_id, content)
			SELECT 'm' || i, 'lobby', 'alice', hex(zeroblob(4096)) FROM n`);
		const rest = setInterval(() => s.tcp.resume(), 100);
		t.after(() => clearInterval(rest));
		s.tcp.on('data', () => s.tcp.pause());
		let count = 0;
		let pings = 0;
		while (count < N) {
			const f = await within(s.frame(), 'more', 20000);
			assert.notEqual(f, null, `hung up on after ${count} and ${pings} pings`);
			if (f.opcode === OP.PING) {
				pings++;
				s.write(frame(OP.PONG, f.data));
			}
			count += f.opcode === OP.TEXT && JSON.parse(f.data).type === 'NEW_MESSAGE';
		}
		assert.ok(pings > 0);
	});
});

// Everybody is told, whatever he is doing; nobody new gets in; the exit is clean.
for (const [signal, code] of [['SIGTERM', 1001], ['SIGINT', 1001], ['SIGUSR1', 1012]]) {
	test(`${signal} closes every socket with ${code} and says when to come back`, async (t) => {
		const site = await startSite(t, only);
		const v1 = { ...plain, protocols: ['sidewire.v1'] };
		const sockets = await Promise.all([site.connect('alice', plain), site.connect('bob', v1),
			site.connect(undefined, v1), ...Array.from({ length: 15 }, () => site.connect('carol', plain))]);
		// One that does not answer the close frame does not hold the end up for long.
		const deaf = await raw(site, site.wsPort).upgrade(url(site, 'bob'));
		const mute = raw(site, site.wsPort);
		mute.write('GET /ws HTTP/1.1\r\n');
		site.sidecar.kill(signal);
		const retries = new Set();
		for (const s of sockets) {
			const end = await s.waitClosed();
			assert.equal(end.code, code);
			const m = end.reason.match(/^retry=(\d+)$/);
			assert.ok(m && Number(m[1]) >= 1 && Number(m[1]) <= 60, end.reason);
			retries.add(m[1]);
		}
		assert.ok(retries.size > 1, 'not all at the same moment');
		assert.deepEqual((await deaf.closeFrame()).code, code);
		// Draining: no new connections.
		await assert.rejects(site.connect('alice', plain));
		await assert.rejects(httpGet(site, '/readyz'));
		deaf.destroy();
		mute.destroy();
		assert.deepEqual(await within(site.sidecar.ended, 'it ends'), { code: 0, signal: null });
		assert.match(site.sidecar.log, new RegExp(`draining .*code=${code}`));
		// And nothing was lost for who comes back.
		await site.post('lobby', 'bob', 'meanwhile');
		const seen = await site.sql('SELECT max(id) - 1 FROM events');
		const at = new Date(Math.floor(Number(seen) / 1000)).toISOString().slice(0, 20) + seen.slice(-6) + 'Z';
		await site.startSidecar();
		const again = await site.connect('carol', { ...plain, params: { lastTimestamp: at } });
		assert.equal((await again.until('NEW_MESSAGE')).payload.content, 'meanwhile');
	});
}

test('who never answers the close does not keep it from ending; a second signal ends it at once', async (t) => {
	const site = await startSite(t, only);
	const deaf = await raw(site, site.wsPort).upgrade(url(site));
	site.sidecar.kill('SIGTERM');
	assert.equal((await deaf.closeFrame()).code, 1001);
	assert.deepEqual(await within(site.sidecar.ended, 'the drain is bounded'), { code: 0, signal: null });
	await deaf.waitEnd();
	await site.startSidecar();
	const other = await raw(site, site.wsPort).upgrade(url(site));
	site.sidecar.kill('SIGTERM');
	assert.equal((await other.closeFrame()).code, 1001);
	site.sidecar.kill('SIGTERM');
	assert.deepEqual(await within(site.sidecar.ended, 'the second signal'), { code: 0, signal: null });
});

test('two sidecars on one port: the next serves before the first has gone', async (t) => {
	const site = await startSite(t, only);
	const first = site.sidecar;
	const before = await site.connect('alice', plain);
	await site.startSidecar();
	assert.equal(first.how, undefined, 'both live');
	first.kill('SIGUSR1');
	assert.equal((await before.waitClosed()).code, 1012);
	assert.deepEqual(await within(first.ended, 'the first ends'), { code: 0, signal: null });
	const after = await site.connect('alice', plain);
	await site.post('lobby', 'bob', 'still here');
	assert.equal((await after.until('NEW_MESSAGE')).payload.content, 'still here');
});

test('a port that another program has is refused with a word', async (t) => {
	const site = await startSite(t, only);
	const twin = site.start('ws-sidecar', path.join(BIN, 'ws-sidecar'), ['-c', site.conf],
		{ env: { SIDEWIRE_WS_LISTEN: `127.0.0.1:${await occupied(t)}` } });
	const how = await within(twin.ended, 'it gives up');
	assert.equal(how.code, 1);
	assert.match(twin.log, /ws\.listen: .*another program serves/);
	// And the one that serves goes on.
	const s = await site.connect('alice', plain);
	assert.deepEqual(await s.drain(), []);
	// The same for a unix socket, but one that nobody answers on is replaced.
	const sock = path.join(site.dir, 'ws.sock');
	const env = { SIDEWIRE_WS_LISTEN: sock };
	const one = await site.startSidecar({ env });
	const two = site.start('ws-sidecar', path.join(BIN, 'ws-sidecar'), ['-c', site.conf], { env });
	assert.equal((await within(two.ended, 'it gives up')).code, 1);
	assert.match(two.log, /another program serves/);
	await one.stop('SIGKILL');
	const three = await site.startSidecar({ env });
	await three.stop();
});

async function occupied(t) {
	const server = net.createServer();
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.after(() => server.close());
	return server.address().port;
}

test('two sidecars on ports of their own serve the same log', async (t) => {
	const site = await startSite(t, only);
	const twin = await startTwin(site, { poll: false, web: false });
	const [a, b] = [await site.connect('alice', plain), await twin.connect('carol', plain)];
	await site.post('lobby', 'bob', 'to both');
	assert.equal((await a.until('NEW_MESSAGE')).payload.content, 'to both');
	const m = await b.until('NEW_MESSAGE');
	assert.equal(m.payload.content, 'to both');
	await twin.sidecar.stop();
	assert.equal((await b.waitClosed()).code, 1001);
	await site.post('lobby', 'bob', 'moved');
	const moved = await site.connect('carol', { ...plain, params: { lastTimestamp: m.timestamp } });
	assert.equal((await moved.until('NEW_MESSAGE')).payload.content, 'moved');
});

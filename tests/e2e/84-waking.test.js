// What wakes the services: a commit of anybody, also where the kernel does not tell of it,
// and nothing else, however many clients are idle.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BIN, startSite } from './lib/site.js';
import { run } from './lib/process.js';
import { until } from './lib/deadline.js';
import { Poller, contents, head, metricIs, settle } from './lib/poller.js';
import { metric as sidecarMetric } from './lib/metrics.js';
import { Crowd } from './lib/crowd.js';

// --- without inotify ---

// Runs a command in a namespace of its own that gives no inotify instances, as the system
// does where others have used them up.
const BLIND = ['-Ur', 'sh', '-c', 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$0" "$@"'];
const mayBlind = (await run('unshare', [...BLIND, 'true'])).code === 0;

const inotifies = (pid) => fs.readdirSync(`/proc/${pid}/fd`)
	.filter((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`).includes('inotify')).length;

async function startBlind(site, name, ready) {
	const p = site.start(name, 'unshare', [...BLIND, path.join(BIN, name), '-c', site.conf]);
	await p.saw(ready);
	assert.equal(inotifies(p.pid), 0, `${name} has no inotify`);
	return p;
}

// Rows of another process, each of which must reach a held poll and a socket.
async function assertNoticed(t, site) {
	await settle(site, 'carol');
	const p = new Poller(site, 'carol');
	p.cursor = await head(site);
	const s = await site.connect('carol');
	const times = [];
	for (let i = 0; i < 20; i++) {
		const polled = p.walk((q) => q.contents.length > i, `row ${i}`, { timeout: 25 });
		await metricIs(site, 'poll_held_here', (n) => n === 1, 'the poll is held');
		await site.post('lobby', 'bob', `row ${i}`);
		const written = process.hrtime.bigint();
		assert.equal((await s.until('NEW_MESSAGE')).payload.content, `row ${i}`);
		await polled;
		times.push(Number(process.hrtime.bigint() - written) / 1e6);
	}
	assert.deepEqual(p.contents, Array.from(times, (_, i) => `row ${i}`));
	times.sort((a, b) => a - b);
	t.diagnostic(`from the writer's end to both: median ${times[10].toFixed(1)} ms, longest ${times[19].toFixed(1)} ms`);
	// The floor is 500 ms at most, a hold lasts 22 s at least: nothing came by its end.
	assert.ok(times[19] < 5000, `${times[19]} ms`);
}

test('a commit by another process is noticed where there is inotify', async (t) => {
	const site = await startSite(t, { conf: ['limit.poll_per_s = 0'] });
	assert.ok(inotifies(site.poller.pid) === 1 && inotifies(site.sidecar.pid) === 1);
	await assertNoticed(t, site);
});

const skip = mayBlind ? false : 'no user namespaces here, so inotify cannot be taken away';
test('and where there is none', { skip }, async (t) => {
	const site = await startSite(t, { poll: false, ws: false, web: false, conf: ['limit.poll_per_s = 0'] });
	site.poller = await startBlind(site, 'fcgi-poll', /ready/);
	site.sidecar = await startBlind(site, 'ws-sidecar', /ready/);
	await site.startLighttpd();
	await assertNoticed(t, site);
	assert.equal(inotifies(site.poller.pid) + inotifies(site.sidecar.pid), 0);
});

// --- idle ---

const IDLE = 1000;
const SPAN_MS = 5000;

// Times that the threads of the process have waited for something so far.
function waits(pid) {
	let sum = 0;
	for (const task of fs.readdirSync(`/proc/${pid}/task`)) {
		const status = fs.readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
		sum += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)[1]);
	}
	return sum;
}

// How often each service woke up in a span of nothing.
async function wakeUps(site) {
	const pids = [site.poller.pid, site.sidecar.pid];
	const before = pids.map(waits);
	await new Promise((r) => setTimeout(r, SPAN_MS));
	return pids.map((pid, i) => waits(pid) - before[i]);
}

test('idle clients wake nobody up', async (t) => {
	// Pings are for each socket to pay, and here nobody is to speak.
	const site = await startSite(t, { web: false, conf: ['limit.poll_per_s = 0', 'ws.max_per_user = 10000',
		'ws.ping_s = 3600', 'poll.max_wait_s = 300', 'presence.ttl_s = 3600'] });
	await site.startLighttpd('server.max-fds = 4096\nserver.max-connections = 1500');
	await settle(site, 'alice', 'bob', 'carol');
	const none = await wakeUps(site);

	const sockets = [];
	while (sockets.length < IDLE)
		sockets.push(...await Promise.all(Array.from({ length: 100 }, (_, i) =>
			site.connect(['alice', 'bob', 'carol'][i % 3], { direct: true }))));
	const crowd = new Crowd(site);
	await crowd.grow(IDLE);
	const at = await head(site);
	for (const c of crowd.clients)
		c.cursor = at;
	await crowd.ask({ timeout: 300 });
	await metricIs(site, 'poll_held_here', (n) => n === IDLE, 'all polls are held');
	await until(async () => await sidecarMetric(site, 'ws_opened') === IDLE, 'all sockets are open');
	const many = await wakeUps(site);

	const perS = (n) => (n * 1000 / SPAN_MS).toFixed(1);
	t.diagnostic(`wake-ups per second with 0 and ${IDLE} clients: fcgi-poll ${perS(none[0])}, ${perS(many[0])}; ` +
		`ws-sidecar ${perS(none[1])}, ${perS(many[1])}`);
	for (let i = 0; i < 2; i++)
		assert.ok(many[i] <= none[i] * 2 + IDLE / 20, `${none[i]} without clients, ${many[i]} with ${IDLE}`);

	// They were all alive.
	await site.post('lobby', 'bob', 'wake up');
	for (const a of await crowd.answers('the event comes'))
		assert.deepEqual(contents(a.json.events), ['wake up']);
	await Promise.all(sockets.map(async (s) =>
		assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'wake up')));
});

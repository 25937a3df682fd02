// Thousands of polls held by four workers, behind each web server that can hold cheaply:
// what they cost, and what ends them.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { DEPLOY, startSite } from './lib/site.js';
import { until } from './lib/deadline.js';
import { checkAnswer, contents, head, metric, metricIs, settle } from './lib/poller.js';
import { Crowd, holdAll } from './lib/crowd.js';
import { descriptorLimit, nginxPath, startNginx } from './lib/servers.js';

const USERS = ['alice', 'bob', 'carol'];
const LIMIT = await descriptorLimit();

// The limits that a file of deploy/ proposes in its comments, within what may be had.
function hints(name) {
	const lines = fs.readFileSync(path.join(DEPLOY, name), 'utf8').match(/^# server\.(max-fds|max-connections|listen-backlog) = \d+$/gm);
	assert.equal(lines.length, 3);
	return lines.map((l) => l.slice(2).replace(/(max-fds = )(\d+)/, (_, key, n) => key + Math.min(n, LIMIT))).join('\n');
}

// n: how many are to be held; perHold: descriptors that each takes of the web server's
// limit, which is each process' own.  lighttpd stops accepting at 9/10 of server.max-fds.
const SERVERS = {
	lighttpd: {
		n: 8000, perHold: 2 / 0.9,
		start: (site) => site.startLighttpd(`${hints('lighttpd/sidewire.conf')}
server.max-keep-alive-requests = 100000
server.max-keep-alive-idle = 120`),
	},
	nginx: {
		n: 10000, perHold: 1.2, skip: !nginxPath(),
		start: (site, n) => startNginx(site, { workers: 2, connections: Math.min(LIMIT, 2 * n) - 50 }),
	},
};

// Started with its configuration, all users online, and nothing on its way.
async function startBehind(t, server, n, conf = []) {
	const site = await startSite(t, { ws: false, web: false, conf: ['limit.poll_per_s = 0', ...conf] });
	await server.start(site, n);
	await settle(site, ...USERS);
	return site;
}

const held = (site) => metric(site, 'poll_held_here');
const isHeld = (site, n) => metricIs(site, 'poll_held_here', (v) => v === n, `${n} polls are held`);

// Everybody starts at the newest event.
async function startCrowd(site, n) {
	const crowd = new Crowd(site);
	await crowd.grow(n, USERS);
	const at = await head(site);
	for (const c of crowd.clients)
		c.cursor = at;
	return crowd;
}

function pssKiB(pid) {
	return Number(/^Pss: +(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
}

const isSanitized = (pid) => /libasan|libtsan/.test(fs.readFileSync(`/proc/${pid}/maps`, 'utf8'));
const threads = (pid) => Number(/^Threads:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

for (const [name, server] of Object.entries(SERVERS)) {
	const options = { skip: server.skip };

	test(`${name}: four workers hold thousands, and one row answers each once`, options, async (t) => {
		// The test's own end of each connection, and some to spare, are within the limit too.
		const n = Math.min(server.n, Math.floor((LIMIT - 1000) / server.perHold));
		if (n < server.n)
			t.diagnostic(`ulimit -Hn is ${LIMIT}: ${n} polls instead of ${server.n}`);
		const site = await startBehind(t, server, n);
		const before = threads(site.poller.pid);
		const crowd = await startCrowd(site, n);
		const empty = pssKiB(site.poller.pid);
		await holdAll(crowd, { timeout: 300 }, { held: () => held(site) });
		await isHeld(site, n);
		const each = (pssKiB(site.poller.pid) - empty) / n;
		t.diagnostic(`${n} held: ${each.toFixed(2)} KiB each`);
		// A sanitizer keeps books of its own about each allocation.
		assert.ok(each <= 2 || isSanitized(site.poller.pid), `${each} KiB`);
		assert.equal(threads(site.poller.pid), before, 'a held poll takes no thread');

		await site.post('lobby', 'alice', 'for all');
		const positions = new Set();
		for (const a of await crowd.answers('the event comes')) {
			assert.equal(a.status, 200, a.text);
			assert.deepEqual(contents(a.json.events), ['for all']);
			assert.equal(a.json.events.length, 1);
			positions.add(a.json.timestamp);
		}
		assert.equal(positions.size, 1);
		checkAnswer(crowd.clients[0].answers.at(-1));
		await isHeld(site, 0);

		// All come back at once, as clients do, and nobody gets it again: they wait, on the
		// same connections, until the service ends.
		await crowd.ask({ timeout: 300 });
		await isHeld(site, n);
		const how = site.poller.stop();
		const [position] = positions;
		for (const a of await crowd.answers('the service ends'))
			assert.deepEqual([a.status, a.json], [200, { events: [], timestamp: position }], a.text);
		assert.deepEqual(await how, { code: 0, signal: null });
	});

	test(`${name}: held polls are answered at 0.9 to 1.0 of their time-out`, options, async (t) => {
		const site = await startBehind(t, server, 500);
		const crowd = await startCrowd(site, 500);
		await crowd.ask({ timeout: 2.5 });
		const times = [];
		for (const a of await crowd.answers('the time is over')) {
			assert.deepEqual([a.status, a.json.events], [200, []], a.text);
			times.push(a.ms);
		}
		times.sort((a, b) => a - b);
		// Not before; how long after is the machine's affair.
		assert.ok(times[0] > 2240, `${times[0]}`);
		assert.ok(times.at(-1) < 10000, `${times.at(-1)}`);
		// Spread, so that they do not come back all at once.
		assert.ok(times.at(-1) - times[0] > 100, `${times[0]} to ${times.at(-1)}`);
		assert.equal(await metric(site, 'polls_expired'), 500);
	});

	test(`${name}: clients who go away are given up`, options, async (t) => {
		const site = await startBehind(t, server, 400);
		const crowd = await startCrowd(site, 400);
		// lighttpd watches a client from the second request of its connection on.
		await crowd.ask();
		await crowd.answers('a first answer');
		await crowd.ask({ timeout: 300 });
		await isHeld(site, 400);
		crowd.leave(150);
		await metricIs(site, 'polls_abandoned', (v) => v === 150, '150 are abandoned');
		await isHeld(site, 250);
		await site.post('lobby', 'bob', 'for the rest');
		for (const a of await crowd.answers('the event comes'))
			assert.deepEqual(contents(a.json.events), ['for the rest']);
		assert.equal(crowd.clients.length, 250);
		await isHeld(site, 0);
	});

	test(`${name}: never more than poll.max_held`, options, async (t) => {
		const site = await startBehind(t, server, 200, ['poll.max_held = 50']);
		const crowd = await startCrowd(site, 80);
		for (let round = 1; round <= 3; round++) {
			await crowd.ask({ timeout: 300 });
			await until(() => crowd.waiting.length === 50, '30 are answered at once');
			assert.equal(await held(site), 50);
			assert.equal(await metric(site, 'polls_refused_hold'), 30 * round);
			assert.equal(await metric(site, 'polls_held'), 50 * round);
			for (const c of crowd.clients.filter((c) => !c.isWaiting))
				assert.deepEqual(checkAnswer(c.answers.at(-1)).events, []);
			// Those whom it answers make room, and those beyond hear of it by asking again.
			const late = crowd.clients.filter((c) => !c.isWaiting);
			await site.post('lobby', 'bob', `round ${round}`);
			await crowd.answers('the event comes');
			await crowd.ask({}, { clients: late });
			for (const a of await crowd.answers('the others ask'))
				assert.deepEqual(contents(checkAnswer(a).events), [`round ${round}`]);
			await isHeld(site, 0);
		}
	});
}

// Web servers that keep their connections to fcgi-poll: an idle one pins no thread, so
// many more clients than threads are served, again and again.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { startSite } from './lib/site.js';
import { checkAnswer, contents, head, metric, metricIs, settle } from './lib/poller.js';
import { Crowd } from './lib/crowd.js';
import { apachePath, hasApacheModule, nginxPath, shareSite, startApache, startNginx } from './lib/servers.js';

const USERS = ['alice', 'bob', 'carol'];
const CLIENTS = 64;
const conf = ['limit.poll_per_s = 0', 'poll.threads = 4'];
const PROXY = ['proxy', 'proxy_fcgi', 'proxy_http'];

// Connections that fcgi-poll has accepted: of its sockets, those that the listening one
// shares its name with.
function connections(site) {
	const mine = new Set(fs.readdirSync(`/proc/${site.poller.pid}/fd`).map((fd) => {
		try {
			return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${site.poller.pid}/fd/${fd}`))?.[1];
		} catch {
			return undefined;	// it is closed by now
		}
	}));
	return fs.readFileSync('/proc/net/unix', 'utf8').split('\n').map((line) => line.trim().split(/\s+/))
		.filter(([, , , flags, , , inode, name]) => name === site.pollSocket && mine.has(inode) && flags === '00000000')
		.map(([, , , , , , inode]) => inode);
}

// Rounds of polls in which all take part, and each waits for all.
async function serveAll(crowd, rounds) {
	const before = crowd.clients.map((c) => c.answers.length);
	for (let round = 0; round < rounds; round++) {
		await crowd.ask();
		for (const a of await crowd.answers(`round ${round}: all are served`))
			assert.deepEqual(checkAnswer(a).events, []);
	}
	assert.deepEqual(crowd.clients.map((c, i) => c.answers.length - before[i]), Array(CLIENTS).fill(rounds));
}

async function startCrowd(site, options) {
	await settle(site, ...USERS);
	const crowd = new Crowd(site, options);
	await crowd.grow(CLIENTS, USERS);
	const at = await head(site);
	for (const c of crowd.clients)
		c.cursor = at;
	return crowd;
}

// Among them the same connections, and they are there when nothing goes on.
async function assertKept(site, crowd) {
	const before = connections(site);
	assert.ok(before.length > 4, `${before.length} idle connections, more than threads`);
	await crowd.ask();
	await crowd.answers('once more');
	const again = connections(site);
	assert.ok(again.some((inode) => before.includes(inode)), 'connections are used again');
	return before.length;
}

test('nginx keeps 64 connections: 64 of 64 are served', { skip: !nginxPath() }, async (t) => {
	const site = await startSite(t, { ws: false, web: false, conf });
	await startNginx(site);
	const crowd = await startCrowd(site);
	// All at once, so that there are as many connections as clients.
	await crowd.ask({ timeout: 300 });
	await metricIs(site, 'poll_held_here', (n) => n === CLIENTS, 'all are held');
	await site.post('lobby', 'bob', 'first');
	for (const a of await crowd.answers('the event comes'))
		assert.deepEqual(contents(checkAnswer(a).events), ['first']);
	await serveAll(crowd, 20);
	assert.equal(await assertKept(site, crowd), CLIENTS);
	// On the kept connections a poll waits, and is given up when its client goes.
	await crowd.ask({ timeout: 300 });
	await metricIs(site, 'poll_held_here', (n) => n === CLIENTS, 'all are held again');
	crowd.leave(10);
	await metricIs(site, 'polls_abandoned', (n) => n === 10, '10 are given up');
	await site.post('lobby', 'bob', 'second');
	for (const a of await crowd.answers('the event comes'))
		assert.deepEqual(contents(checkAnswer(a).events), ['second']);
	assert.equal(await metric(site, 'poll_held_here'), 0);
});

test('Apache keeps its connections (enablereuse): 64 of 64 are served',
	{ skip: !apachePath() || !PROXY.every(hasApacheModule) }, async (t) => {
	const site = await startSite(t, { poll: false, ws: false, web: false, conf: [...conf, 'poll.apache_max_held = 64'] });
	const user = await shareSite(site);
	await site.startPoll({ uid: user.uid, gid: user.gid });
	await startApache(site, 'sidewire-proxy-fcgi.conf', { user, modules: PROXY, edit: (text) => {
		assert.match(text, /^\tProxySet .*enablereuse=on$/m);
		return text;
	} });
	// Their own connections are new ones, for Apache may close one that waits for a request.
	const crowd = await startCrowd(site, { isKept: false });
	await crowd.ask({ timeout: 300 });
	await metricIs(site, 'poll_held_here', (n) => n === CLIENTS, 'all are held');
	await site.post('lobby', 'bob', 'first');
	for (const a of await crowd.answers('the event comes'))
		assert.deepEqual(contents(checkAnswer(a).events), ['first']);
	await serveAll(crowd, 20);
	await assertKept(site, crowd);
});

// Behind Apache a held poll takes a thread of the server's, or one of its processes:
// none is held there but by the administrator's choice, and the server stays usable.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startSite } from './lib/site.js';
import { until } from './lib/deadline.js';
import { Poller, checkAnswer, contents, head, metric, metricIs, settle } from './lib/poller.js';
import { Crowd } from './lib/crowd.js';
import { apacheLog, apachePath, hasApacheModule, shareSite, startApache } from './lib/servers.js';
import * as fcgi from './lib/fastcgi.js';

const conf = ['limit.poll_per_s = 0'];
const told = (log) => log.split('polls are answered at once, for Apache would spend a thread').length - 1;
const needs = (...modules) => ({ skip: !apachePath() || !modules.every(hasApacheModule) });
const PROXY = ['proxy', 'proxy_fcgi', 'proxy_http'];
const withoutWait = (text) => {
	assert.match(text, /^FcgidInitialEnv SIDEWIRE_POLL_MAX_WAIT_S 0$/m);
	return text.replace(/^FcgidInitialEnv SIDEWIRE_POLL_MAX_WAIT_S 0$/m, '');
};

// An Apache that starts fcgi-poll by itself.
async function startFcgid(t, edit = (text) => text) {
	const site = await startSite(t, { conf, poll: false, ws: false, web: false });
	const user = await shareSite(site);
	await startApache(site, 'sidewire-fcgid.conf', { user, edit, modules: ['fcgid', 'proxy', 'proxy_http'] });
	await settle(site, 'alice', 'bob', 'carol');
	return site;
}

// An Apache in front of an fcgi-poll that listens by itself.
async function startProxied(t, { more = [], edit } = {}) {
	const site = await startSite(t, { conf: [...conf, ...more], poll: false, ws: false, web: false });
	const user = await shareSite(site);
	await site.startPoll({ uid: user.uid, gid: user.gid });
	await startApache(site, 'sidewire-proxy-fcgi.conf', { user, edit, modules: PROXY });
	fs.writeFileSync(path.join(site.dir, 'www/page.txt'), 'a page\n', { mode: 0o644 });
	await settle(site, 'alice', 'bob', 'carol');
	return site;
}

const pollsOf = async (site, n) => {
	const crowd = new Crowd(site, { isKept: false });
	await crowd.grow(n);
	const at = (await site.poll('alice')).json.timestamp;
	for (const c of crowd.clients)
		c.cursor = at;
	return crowd;
};

async function assertUsable(site) {
	assert.equal((await site.request('GET', '/page.txt')).text, 'a page\n');
}

test('who is asked by Apache, whatever the way, does not wait by default', async (t) => {
	const site = await startSite(t, { conf, ws: false, web: false });
	const ask = async (url, more) => {
		const c = await fcgi.Connection.open(site.pollSocket);
		const a = await c.ask(fcgi.get(url, site.token('carol'), more));
		c.close();
		return a;
	};
	const at = checkAnswer(await ask('/api/realtime/poll')).timestamp;
	const hidden = { SERVER_SOFTWARE: 'none of your business', CONTEXT_DOCUMENT_ROOT: '/var/www' };
	let last = at;
	for (const server of [{ SERVER_SOFTWARE: 'Apache/2.4.62 (Debian)' }, { SERVER_SOFTWARE: 'Apache' }, hidden]) {
		last = checkAnswer(await ask(`/api/realtime/poll?timeout=300&lastTimestamp=${last}`, server)).timestamp;
		assert.equal((await ask('/api/realtime/status', server)).json.max_wait_s, 0);
	}
	assert.equal((await ask('/api/realtime/status')).json.max_wait_s, 25);
	assert.equal(told(site.poller.log), 1);
	// One that never wanted to wait is no reason to tell.
	await site.poller.stop();
	await site.startPoll();
	checkAnswer(await ask('/api/realtime/poll', { SERVER_SOFTWARE: 'Apache' }));
	assert.equal(told(site.poller.log), 0);
});

test('mod_fcgid: answered at once without a word in its configuration', needs('fcgid'), async (t) => {
	const site = await startFcgid(t, withoutWait);
	assert.equal((await site.request('GET', '/api/realtime/status')).json.max_wait_s, 0);
	const crowd = await pollsOf(site, 40);
	for (let round = 0; round < 3; round++) {
		await crowd.ask({ timeout: 300 });
		for (const a of await crowd.answers('nobody waits'))
			checkAnswer(a);
	}
	assert.equal(await metric(site, 'polls_held'), 0);
	await until(() => told(apacheLog(site)) > 0, 'the log says why');
});

test('mod_fcgid: a few wait by configuration, the others are answered', needs('fcgid'), async (t) => {
	const site = await startFcgid(t, (text) => {
		const line = /^# {3}(FcgidInitialEnv SIDEWIRE_POLL_APACHE_MAX_HELD 4)$/m;
		assert.match(text, line);
		return withoutWait(text).replace(line, '$1');
	});
	const p = new Poller(site, 'carol');
	await p.once();
	const walk = p.walk((q) => q.contents.includes('end'), 'the end', { timeout: 20 });
	// Counters are shared: another process of ours tells of the one that holds.
	await metricIs(site, 'polls_held', (n) => n > 0, 'a poll is held');
	const crowd = await pollsOf(site, 8);
	await crowd.ask({ timeout: 300 });
	await until(() => crowd.waiting.length === 3, 'all but four are answered', 20000);
	await metricIs(site, 'polls_refused_hold', (n) => n >= 5, 'and counted');
	await site.post('lobby', 'bob', 'end');
	await walk;
	assert.deepEqual(p.contents, ['end']);
	await crowd.answers('the others who waited');
});

test('mod_proxy_fcgi: more pollers than threads, and nothing stops', needs(...PROXY), async (t) => {
	// Debian's limit is 150; here 50 threads, and three times as many clients.
	const site = await startProxied(t, { edit: (text) => `${text}\nThreadsPerChild 25\nMaxRequestWorkers 50\n` });
	assert.equal((await site.request('GET', '/api/realtime/status')).json.max_wait_s, 0);
	const crowd = await pollsOf(site, 150);
	for (let round = 0; round < 3; round++) {
		await crowd.ask({ timeout: 25 });
		// Long before a held one would have been answered.
		await assertUsable(site);
		for (const a of await crowd.answers('nobody waits', { ms: 20000 }))
			checkAnswer(a);
	}
	assert.equal(await metric(site, 'polls_held'), 0);
	assert.equal(told(site.poller.log), 1);
});

test('mod_proxy_fcgi: a few wait by configuration, and nothing stops', needs(...PROXY), async (t) => {
	const site = await startProxied(t, { more: ['poll.apache_max_held = 20'],
		edit: (text) => `${text}\nThreadsPerChild 25\nMaxRequestWorkers 50\n` });
	assert.equal((await site.request('GET', '/api/realtime/status')).json.max_wait_s, 25);
	const crowd = await pollsOf(site, 150);
	const at = await head(site);
	for (const c of crowd.clients)
		c.cursor = at;
	await crowd.ask({ timeout: 25 });
	await until(() => crowd.waiting.length === 20, '130 are answered at once', 20000);
	assert.equal(await metric(site, 'poll_held_here'), 20);
	assert.equal(await metric(site, 'polls_refused_hold'), 130);
	await assertUsable(site);
	const waiting = crowd.waiting;
	await site.post('lobby', 'bob', 'for those who wait');
	for (const a of await crowd.answers('the event comes', { clients: waiting }))
		assert.deepEqual(contents(checkAnswer(a).events), ['for those who wait']);
	assert.equal(told(site.poller.log), 0);
	assert.deepEqual(await site.poller.stop(), { code: 0, signal: null });
});

test('Apache with plain CGI: answered at once', needs('cgid', 'alias'), async (t) => {
	const site = await startSite(t, { conf: [...conf, 'poll.apache_max_held = 100'], poll: false, ws: false, web: false });
	const script = path.join(site.dir, 'realtime.cgi');
	fs.writeFileSync(script, `#!/bin/sh\nexec ${site.dir}/bin/fcgi-poll -c ${site.conf}\n`, { mode: 0o755 });
	const user = await shareSite(site);
	await startApache(site, 'sidewire-fcgid.conf', { user, modules: ['cgid', 'alias'], edit: () => `
ScriptSock ${site.dir}/cgid.sock
ScriptAlias /api/realtime ${script}
<Location "/api/realtime">
	CGIPassAuth On
	Require all granted
</Location>
LogFormat "%m %U %>s" sidewire
` });
	assert.equal((await site.request('GET', '/api/realtime/status')).json.max_wait_s, 0);
	await settle(site, 'alice', 'bob', 'carol');
	const crowd = await pollsOf(site, 20);
	await crowd.ask({ timeout: 300 });
	for (const a of await crowd.answers('nobody waits'))
		checkAnswer(a);
});

// The folder for shared hosting, uploaded into a home: Apache as hosts have it, run by the
// user himself (there is no suexec here), with .htaccess alone in his hands.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startSite, BIN, DEPLOY } from './lib/site.js';
import { run, running } from './lib/process.js';
import { until } from './lib/deadline.js';
import { Poller } from './lib/poller.js';
import { apacheLog, apachePath, hasApacheModule, shareSite, startUsersApache } from './lib/servers.js';

const needs = (...modules) => ({ skip: !apachePath() || !['rewrite', 'setenvif', ...modules].every(hasApacheModule) });

// Uploads, as SFTP does: only the one mode that the README asks for is set.
async function upload(t) {
	const site = await startSite(t, { poll: false, ws: false, web: false, populate: false });
	const folder = path.join(DEPLOY, 'shared-hosting');
	site.home = path.join(site.dir, 'home');
	fs.cpSync(folder, site.home, { recursive: true });
	fs.mkdirSync(path.join(site.home, 'sidewire/bin'));
	for (const name of ['fcgi-poll', 'sidewire', 'ws-sidecar'])
		fs.copyFileSync(path.join(BIN, name), path.join(site.home, 'sidewire/bin', name));
	for (const name of fs.readdirSync(site.home, { recursive: true })) {
		if (fs.statSync(path.join(site.home, name)).isFile())
			fs.chmodSync(path.join(site.home, name), name.endsWith('.fcgi') ? 0o755 : 0o644);
	}
	site.db = path.join(site.home, 'sidewire/sidewire.db');
	site.conf = path.join(site.home, 'sidewire/sidewire.conf');
	fs.rmSync(path.join(site.dir, 'jwt.key'));
	site.user = await shareSite(site);
	return site;
}

const status = (site) => site.request('GET', '/api/realtime/status');

// As the user, whose files they are.
const fill = async (site) => {
	site.key = fs.readFileSync(path.join(site.home, 'sidewire/jwt.key'), 'utf8');
	const r = await run('sqlite3', [site.db, `
		INSERT INTO users(id, name) VALUES ('bob', 'Bob'), ('carol', 'Carol');
		INSERT INTO rooms(id, name, created_by) VALUES ('lobby', 'Lobby', 'bob');`],
	{ uid: site.user.uid, gid: site.user.gid });
	assert.deepEqual([r.code, r.err], [0, '']);
};

async function serves(site) {
	const first = await status(site);
	assert.equal(first.status, 200, `${first.text} ${apacheLog(site)}`);
	assert.deepEqual([first.json.longpolling_available, first.json.max_wait_s], [true, 0]);
	for (const name of ['jwt.key', 'sidewire.conf', 'sidewire.db'])
		assert.equal(fs.statSync(path.join(site.home, 'sidewire', name)).mode & 0o077, 0, `${name} is for the user alone`);
	await fill(site);
	assert.match(site.key, /^[0-9a-f]{64}$/);
	const p = new Poller(site, 'carol');
	await p.once();
	const id = await site.post('lobby', 'bob', 'Grüße');
	await p.walk((q) => q.contents.length === 1, 'the message', { timeout: 20 });
	assert.deepEqual(p.contents, ['Grüße']);
	const a = await site.poll('carol', { lastMessageId: id, limit: 5 });
	assert.deepEqual([a.status, a.json.events.length], [200, 0]);
	const sent = await site.request('POST', '/api/realtime/send', { token: site.token('carol'),
		body: JSON.stringify({ type: 'send', payload: { roomId: 'lobby', content: 'back' } }),
		headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'k' } });
	assert.equal(sent.status, 201, sent.text);
	assert.equal((await site.request('GET', '/api/realtime/poll')).json.code, 'missing_token');
	assert.equal((await site.request('GET', '/api/realtime/history?roomId=lobby', { token: site.token('bob') })).json.messages.length, 2);
	// The key is not among what is served.
	for (const file of ['/sidewire/jwt.key', '/../sidewire/jwt.key', '/api/realtime/../../../sidewire/jwt.key'])
		assert.ok([400, 403, 404].includes((await site.request('GET', file)).status), file);
}

async function stop(site) {
	await site.apache.stop();
	await until(() => running(site.home).length === 0, 'everything ends with Apache');
}

test('mod_fcgid: the first request sets it up, polls and sends work', needs('fcgid'), async (t) => {
	const site = await upload(t);
	await startUsersApache(site, ['fcgid']);
	await serves(site);
	assert.ok(running(path.join(site.home, 'sidewire/sidewire.conf')).length > 0, 'it stays');
	await stop(site);
});

test('plain CGI: the same without a process that stays', needs('cgid'), async (t) => {
	const site = await upload(t);
	await startUsersApache(site, ['cgid']);
	// Many first requests at once make one key and one database.
	const all = await Promise.all(Array.from({ length: 6 }, () => status(site)));
	assert.ok(all.some((a) => a.status === 200), apacheLog(site));
	await until(() => fs.existsSync(path.join(site.home, 'sidewire/ready')), 'it is set up');
	await serves(site);
	assert.deepEqual(fs.readdirSync(path.join(site.home, 'sidewire')).filter((name) => /\.\d+$/.test(name)), []);
	assert.equal(running(path.join(site.home, 'sidewire/sidewire.conf')).length, 0, 'nothing stays');
	await stop(site);
});

test('mod_fcgid: the program has a sidecar kept, which outlives Apache', needs('fcgid', 'proxy', 'proxy_wstunnel'), async (t) => {
	const site = await upload(t);
	const keep = (...args) => run(path.join(site.home, 'sidewire/bin/sidewire'), ['-c', site.conf, 'keep', ...args],
		{ uid: site.user.uid, gid: site.user.gid });
	t.after(() => fs.existsSync(site.conf) && keep('--stop'));
	fs.writeFileSync(path.join(site.home, 'sidewire/keep'), '');
	const setup = path.join(site.home, 'sidewire/setup.sh');
	fs.writeFileSync(setup, fs.readFileSync(setup, 'utf8').replace('8081', String(site.wsPort)));
	const lines = fs.readFileSync(path.join(site.home, 'public_html/websocket.htaccess'), 'utf8');
	fs.writeFileSync(path.join(site.home, 'public_html/.htaccess'), lines.replace('8081', String(site.wsPort)));
	await startUsersApache(site, ['fcgid', 'proxy', 'proxy_wstunnel']);
	assert.equal((await status(site)).status, 200, apacheLog(site));
	await fill(site);
	await until(async () => (await status(site)).json.websocket_available, 'the sidecar runs');
	const s = await site.connect('carol');
	await site.post('lobby', 'bob', 'by socket');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'by socket');
	await s.close();
	await site.apache.stop();
	await until(() => running(site.conf).every((pid) => !fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('fcgi-poll')),
		'the polls end with Apache');
	const direct = await site.connect('carol', { direct: true });
	await direct.close();
	assert.match((await keep()).out, /^already running/);
	assert.equal((await keep('--stop')).out, 'stopped\n');
	assert.equal(running(site.home).length, 0);
});

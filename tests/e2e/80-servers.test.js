// The same site behind each web server, and each way of starting fcgi-poll.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startSite, BIN } from './lib/site.js';
import { Process, run } from './lib/process.js';
import { until, within } from './lib/deadline.js';
import { Poller, checkAnswer, contents, ofType } from './lib/poller.js';
import { apacheLog, apachePath, hasApacheModule, nginxPath, shareSite, spawnFcgiPath,
	startApache, startLighttpdWith, startNginx } from './lib/servers.js';
import { get, parseCgi } from './lib/fastcgi.js';

const conf = ['limit.poll_per_s = 0', 'cors.origins = https://a.example'];
const nothing = { conf, poll: false, ws: false, web: false };
const README = fs.readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const FCGI_POLL = path.join(BIN, 'fcgi-poll');

// What must come through any of them: token, query, status, headers, methods, a long body.
async function exercise(site, { waits }) {
	const token = site.token('carol');
	const status = await site.request('GET', '/api/realtime/status');
	assert.equal(status.status, 200, status.text);
	assert.equal(status.json.longpolling_available, true);
	assert.equal(status.json.max_wait_s > 0, waits);
	const refused = await site.request('GET', '/api/realtime/poll');
	assert.deepEqual([refused.status, refused.json.code], [401, 'missing_token']);
	assert.match(refused.headers['www-authenticate'], /^Bearer /);

	const p = new Poller(site, 'carol');
	const first = await p.once();
	assert.deepEqual(ofType(first.events, 'ROOM_CREATED').map((e) => e.payload.id), ['lobby', 'vault']);
	const id = await site.post('lobby', 'bob', 'Grüße & "mehr" +%41');
	await p.walk((q) => q.contents.length === 1, 'the message', { timeout: 20 });
	assert.deepEqual(p.contents, ['Grüße & "mehr" +%41']);
	await site.post('vault', 'bob', 'secret');
	const big = 'ä0'.repeat(150000);
	await run('sqlite3', [site.db], { input: `INSERT INTO messages(room_id, sender_id, content) VALUES ('lobby', 'bob', '${big}');` });
	await p.walk((q) => q.contents.length === 2, 'the long message', { timeout: 20 });
	assert.equal(p.contents[1], big);
	assert.deepEqual(contents(checkAnswer(await site.poll('carol', { lastMessageId: id, limit: 1 })).events), [big]);
	if (waits) {
		await until(async () => {
			const { timestamp } = await p.once();
			const held = site.poll('carol', { lastTimestamp: timestamp, timeout: 20 });
			await site.post('lobby', 'bob', 'while it waits');
			return contents(checkAnswer(await held).events).includes('while it waits');
		}, 'a held poll is answered by a row');
	} else {
		const a = await site.poll('carol', { lastTimestamp: p.cursor, timeout: 300 });
		assert.deepEqual(contents(checkAnswer(a).events), []);
	}

	const history = await site.request('GET', `/api/realtime/history?roomId=lobby&before=${id}`, { token });
	assert.deepEqual(history.json.messages, []);
	for (const [method, url, want, options] of [
		['GET', '/history?roomId=vault', 403, { token }], ['GET', '/nothing', 404, { token }],
		['POST', '/poll', 405, { token, body: '{}', headers: { 'Content-Length': 2 } }],
		['GET', '/poll?limit=0', 400, { token }], ['OPTIONS', '/poll', 204, { headers: { Origin: 'https://a.example' } }],
		['HEAD', '/poll', 200, { token, headers: { Origin: 'https://a.example' } }],
	]) {
		const a = await site.request(method, `/api/realtime${url}`, options);
		assert.equal(a.status, want, `${method} ${url}: ${a.text}`);
		assert.equal(a.headers['cache-control'], 'no-store', `${method} ${url}`);
		assert.equal(a.headers['x-content-type-options'], 'nosniff');
		assert.match(a.headers.vary, /Authorization, ?Origin/);
		if (options.headers?.Origin)
			assert.equal(a.headers['access-control-allow-origin'], 'https://a.example');
		if (method === 'HEAD')
			assert.equal(a.text, '');
		if (want >= 400)
			assert.equal(a.json.status, want);
	}
	// Both ways: a key, a duplicate, a list that is no short body.
	const post = (frame) => site.request('POST', '/api/realtime/send', { token, body: JSON.stringify(frame),
		headers: { 'Content-Type': 'application/json', 'Idempotency-Key': Array.isArray(frame) ? '' : '"k"' } });
	const say = (content) => ({ type: 'send', payload: { roomId: 'lobby', content } });
	const sent = await post(say('Grüße zurück'));
	assert.deepEqual([sent.status, sent.json.payload.key], [201, 'k'], sent.text);
	const again = await post(say('Grüße zurück'));
	assert.deepEqual([again.status, again.json.payload.id], [200, sent.json.payload.id]);
	assert.equal(await site.sql(`SELECT content FROM messages WHERE id = '${again.json.payload.id}'`), 'Grüße zurück');
	const both = await post([say('x'.repeat(50000)), { type: 'typing', payload: { roomId: 'lobby', on: true } }]);
	assert.deepEqual([both.status, both.json?.[0].type, both.json?.[1]], [200, 'ack', null], both.text.slice(0, 300));
	// Many at once.
	const many = await Promise.all(Array.from({ length: 40 }, (_, i) =>
		site.poll(['alice', 'bob', 'carol'][i % 3], { lastMessageId: id, limit: 20 })));
	for (const a of many)
		assert.ok(contents(checkAnswer(a).events).includes(big));
}

// Processes that were started with something of this site on their command line.
function processesOf(site) {
	return fs.readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
		try {
			return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(site.dir);
		} catch {
			return false;	// it has ended
		}
	});
}

// --- lighttpd ---

test('lighttpd, fcgi-poll listening by itself', async (t) => {
	const site = await startSite(t, { conf });
	await exercise(site, { waits: true });
	// A token in a URL is not in the access log.
	const s = await site.connect('carol');
	await s.close();
	await site.lighttpd.stop();
	const log = fs.readFileSync(path.join(site.dir, 'access.log'), 'utf8');
	assert.match(log, /\/ws/);
	assert.doesNotMatch(log, /eyJ/);
});

test('lighttpd starts fcgi-poll (bin-path)', async (t) => {
	const site = await startSite(t, nothing);
	await startLighttpdWith(site, `
server.modules += ( "mod_fastcgi" )
fastcgi.server = ( "/api/realtime/" => ((
	"bin-path" => "${FCGI_POLL} -c ${site.conf}",
	"socket" => "${site.dir}/spawned.sock",
	"max-procs" => 1,
	"check-local" => "disable"
)) )`);
	await exercise(site, { waits: true });
	await site.lighttpd.stop();
	await until(() => processesOf(site).length === 0, 'fcgi-poll ends with lighttpd');
});

test('lighttpd starts fcgi-poll for each request (mod_cgi)', async (t) => {
	const site = await startSite(t, nothing);
	const script = path.join(site.dir, 'realtime.cgi');
	fs.writeFileSync(script, `#!/bin/sh\nexec ${FCGI_POLL} -c ${site.conf}\n`, { mode: 0o755 });
	await startLighttpdWith(site, `
server.modules += ( "mod_alias", "mod_cgi" )
alias.url = ( "/api/realtime" => "${script}" )
cgi.assign = ( ".cgi" => "" )`);
	await exercise(site, { waits: false });
});

test('spawn-fcgi starts fcgi-poll', async (t) => {
	const site = await startSite(t, nothing);
	site.poller = site.start('fcgi-poll', spawnFcgiPath(),
		['-n', '-s', site.pollSocket, '-b', '1024', '--', FCGI_POLL, '-c', site.conf]);
	await site.poller.saw(/"descriptor 0"/);
	await site.startLighttpd();
	await exercise(site, { waits: true });
	assert.deepEqual(await site.poller.stop(), { code: 0, signal: null });
});

// --- nginx ---

test('nginx: polls and sockets, and no token in a log', { skip: !nginxPath() }, async (t) => {
	const site = await startSite(t, { conf, web: false });
	await startNginx(site);
	await exercise(site, { waits: true });
	const refused = site.socket(undefined, { token: 'x.y.z' });
	assert.equal((await refused.waitClosed()).code, 1008);
	const s = await site.connect('bob');
	await site.post('vault', 'alice', 'over the socket');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'over the socket');
	await s.close();
	// What a client asks to upgrade to is not passed on, and no other path leads there.
	const odd = await site.connect('bob', { headers: { Upgrade: 'h2c' } }).catch((error) => error);
	assert.ok(odd.status === undefined || odd.status >= 400, `${odd.status}`);
	assert.equal((await site.request('GET', '/ws/more')).status, 404);
	// Without the sidecar a token in a URL is not told to anybody either.
	await site.sidecar.stop();
	await assert.rejects(site.connect('carol'), (error) => error.status === 502);
	await site.nginx.stop();
	const log = fs.readFileSync(path.join(site.dir, 'access.log'), 'utf8');
	assert.match(log, /"GET \/ws HTTP\/1\.1" 502/);
	assert.match(log, /"GET \/api\/realtime\/poll HTTP\/1\.1" 200/);
	for (const name of ['access.log', 'nginx.log'])
		assert.doesNotMatch(fs.readFileSync(path.join(site.dir, name), 'utf8'), /eyJ/, name);
});

// --- no server at all: CGI from a shell ---

async function cgi(site, env, options = {}) {
	const r = await run(FCGI_POLL, options.args ?? ['-c', site.conf], { env, ...options });
	return { ...r, ...parseCgi(r.out) };
}

test('plain CGI: a request in the environment, the answer on standard output', async (t) => {
	const site = await startSite(t, nothing);
	const token = site.token('carol');
	const first = await cgi(site, get('/api/realtime/poll', token));
	assert.equal(first.code, 0, first.err);
	assert.match(first.out, /^Status: 200 OK\r\nContent-Type: application\/json\r\n/);
	assert.equal(Number(first.headers['content-length']), Buffer.byteLength(first.text));
	assert.equal(checkAnswer(first).events.length, 2);
	// It never waits.
	await site.post('lobby', 'bob', 'one');
	const later = await cgi(site, get(`/api/realtime/poll?timeout=300&lastTimestamp=${first.json.timestamp}`, token));
	assert.deepEqual(contents(checkAnswer(later).events), ['one']);
	const empty = await cgi(site, get(`/api/realtime/poll?timeout=300&lastTimestamp=${later.json.timestamp}`, token));
	assert.deepEqual(checkAnswer(empty).events, []);
	// A poll is a sign of life, here too.
	assert.equal(await site.sql("SELECT is_online FROM users WHERE id = 'carol'"), '1');
	for (const [env, status] of [
		[get('/api/realtime/poll'), 401], [get('/api/realtime/poll', 'x.y.z'), 401], [get('/nothing', token), 404],
		[get('/api/realtime/poll?limit=x', token), 400],
		[get('/api/realtime/poll', token, { REQUEST_METHOD: 'POST' }), 405],
		[get('/api/realtime/poll', token, { REQUEST_METHOD: 'HEAD' }), 200],
		[get('/api/realtime/poll', token, { REQUEST_METHOD: 'OPTIONS' }), 204],
		[get('/api/realtime/poll', undefined, { REDIRECT_HTTP_AUTHORIZATION: `Bearer ${token}` }), 200],
		[get('', token, { SCRIPT_NAME: '/cgi-bin/realtime', PATH_INFO: '/api/realtime/poll' }), 200],
		[get('/api/realtime/history?roomId=vault', token), 403], [get('/api/realtime/status'), 200],
	]) {
		const a = await cgi(site, env);
		assert.deepEqual([a.code, a.status], [0, status], a.out);
		assert.equal(a.text === '', ['HEAD', 'OPTIONS'].includes(env.REQUEST_METHOD));
	}
	// SIDEWIRE_CONF instead of an argument, and a single key by the environment.
	const byEnv = await cgi(site, { ...get('/api/realtime/poll', token), SIDEWIRE_CONF: site.conf }, { args: [] });
	assert.equal(byEnv.status, 200);
	const none = await cgi(site, { ...get('/api/realtime/poll', token), SIDEWIRE_CONF: '/nowhere.conf' }, { args: [] });
	assert.deepEqual([none.status, none.json.code], [503, 'busy']);
	assert.match(none.err, /nowhere\.conf/);
	const noDb = await cgi(site, { ...get('/api/realtime/poll', token), SIDEWIRE_DATABASE: '/nowhere/x.db' });
	assert.equal(noDb.status, 503);
	assert.ok(noDb.headers['retry-after']);
	assert.doesNotMatch(noDb.text, /nowhere/, 'what is wrong is for the log');
	// Counters that cannot be shared are no reason to refuse.
	const noRun = await cgi(site, { ...get('/api/realtime/poll', token), SIDEWIRE_RUN_DIR: '/proc/nowhere' });
	assert.equal(noRun.status, 200);
	assert.match(noRun.err, /not shared/);
});

test('started by hand without a socket it says what to do', async (t) => {
	const site = await startSite(t, nothing);
	const r = await run(FCGI_POLL, ['-c', site.conf], { env: { SIDEWIRE_POLL_LISTEN: '' } });
	assert.equal(r.code, 2);
	assert.match(r.err, /nothing to listen on/);
	assert.equal((await run(FCGI_POLL, ['-c', site.conf, '-n'])).code, 0);
	assert.equal((await run(FCGI_POLL, ['-x'])).code, 2);
});

// --- Apache with mod_fcgid ---

const apache = { skip: !apachePath() || !hasApacheModule('fcgid') };
const PROXIES = {
	proxy_http: (text) => text,
	proxy_wstunnel: (text) => text.replace(/ProxyPass "http:(.*)" upgrade=websocket/, 'ProxyPass "ws:$1"'),
};

async function startBehindApache(t, { proxy = 'proxy_http', edit = (text) => text } = {}) {
	const site = await startSite(t, nothing);
	const user = await shareSite(site);
	await site.startSidecar({ uid: user.uid, gid: user.gid });
	await startApache(site, 'sidewire-fcgid.conf', { user, edit: (text) => edit(PROXIES[proxy](text)),
		modules: ['fcgid', 'proxy', proxy] });
	return site;
}

// The sidecar first: Apache waits for its tunnels.
async function stopApache(site) {
	await site.sidecar.stop();
	await site.apache.stop();
	await until(() => processesOf(site).length === 0, 'every fcgi-poll ends with Apache');
	assert.doesNotMatch(apacheLog(site), /Sanitizer|runtime error:|exit\(.*core/);
}

test('Apache with mod_fcgid: polls', apache, async (t) => {
	const site = await startBehindApache(t);
	await exercise(site, { waits: false });
	assert.match((await site.request('GET', '/api/realtime/metrics')).text, /^sidewire_polls_total [1-9]/m);
	assert.deepEqual((await site.request('GET', '/api/realtime/status')).json,
		{ websocket_available: true, longpolling_available: true, recommended: 'websocket', max_wait_s: 0 });
	await stopApache(site);
});

const proxied = ['proxy', 'proxy_fcgi', 'proxy_http'];
test('Apache with mod_proxy_fcgi: polls and sockets', { skip: !apachePath() || !proxied.every(hasApacheModule) }, async (t) => {
	const site = await startSite(t, nothing);
	const user = await shareSite(site);
	await site.startPoll({ uid: user.uid, gid: user.gid });
	await site.startSidecar({ uid: user.uid, gid: user.gid });
	await startApache(site, 'sidewire-proxy-fcgi.conf', { user, modules: proxied });
	await exercise(site, { waits: false });
	const s = await site.connect('bob');
	await site.post('vault', 'alice', 'over the socket');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'over the socket');
	await s.close();
	assert.deepEqual(await site.poller.stop(), { code: 0, signal: null });
	await stopApache(site);
	const log = fs.readFileSync(path.join(site.dir, 'access.log'), 'utf8');
	assert.match(log, /"GET \/ws HTTP/);
	assert.doesNotMatch(log, /eyJ/, 'no token in the log');
});

for (const proxy of Object.keys(PROXIES)) {
	const skip = apache.skip || !hasApacheModule(proxy);
	test(`Apache: both scripts of the README, the socket by mod_${proxy}`, { skip }, async (t) => {
		const site = await startBehindApache(t, { proxy });
		const here = (text) => text.replaceAll('localhost:8080', `localhost:${site.webPort}`);
		const [first, later] = README.split('\n').filter((l) => l.startsWith('curl ')).map(here);
		const curl = async (line, env = {}) => {
			const r = await run('sh', ['-c', line], { env: { TOKEN: site.token('alice'), ID: '', TS: '', ...env } });
			return JSON.parse(r.out);
		};
		const state = await curl(first);
		assert.deepEqual(ofType(state.events, 'ROOM_CREATED').map((e) => e.payload.id), ['lobby', 'vault']);

		const script = here(/```python\n([^]*?)```/.exec(README)[1]);
		const python = new Process('python', '/usr/bin/python3', ['-u', '-c', script], { env: { TOKEN: site.token('alice') } });
		t.after(() => python.stop('SIGKILL'));
		const line = (pattern) => until(() => {
			if (python.how)
				throw new Error(python.log);
			return pattern.test(python.out);
		}, `the script prints ${pattern}`);
		await line(/^\{"type": ?"pong"\}\n/);
		// The insert of the README.
		const insert = /sqlite3 build\/demo\/sidewire\.db ("INSERT[^]*?")\n/.exec(README)[1];
		const r = await run('sh', ['-c', `sqlite3 '${site.db}' ${insert}`]);
		assert.deepEqual([r.code, r.err], [0, '']);
		await line(/"NEW_MESSAGE".*"content":"Hello"/);
		const next = await until(async () => {
			const a = await curl(later, { TS: state.timestamp });
			return ofType(a.events, 'NEW_MESSAGE').length > 0 && a;
		}, 'the row arrives');
		assert.deepEqual(contents(next.events), ['Hello']);
		assert.deepEqual(contents((await curl(later, { ID: next.events.at(-1).payload.id, TS: next.timestamp })).events), []);

		// Refusals come through, and the sidecar's goodbye.
		const bad = site.socket(undefined, { token: 'x.y.z' });
		assert.equal((await bad.waitClosed()).code, 1008);
		const s = await site.connect('bob', { params: { lastTimestamp: state.timestamp } });
		assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'Hello');
		await s.close();
		await stopApache(site);
		await within(python.ended, 'the script ends with its socket');
		assert.doesNotMatch(fs.readFileSync(path.join(site.dir, 'access.log'), 'utf8'), /eyJ/, 'no token in the log');
	});
}

test('Apache without CGIPassAuth: the answer says what is missing', apache, async (t) => {
	const site = await startBehindApache(t, { edit: (text) => {
		assert.match(text, /^\tCGIPassAuth On$/m);
		return text.replace(/^\tCGIPassAuth On$/m, '');
	} });
	const a = await site.poll('carol');
	assert.deepEqual([a.status, a.json.code], [401, 'missing_token']);
	assert.match(a.json.detail, /CGIPassAuth On/);
	assert.match(a.headers['www-authenticate'], /^Bearer /);
	await stopApache(site);
});

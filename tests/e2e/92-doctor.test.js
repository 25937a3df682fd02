// sidewire doctor: a run in which all is well, and each check made to fail; what is about
// the way from outside behind real web servers.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { BIN, freePort, startSite } from './lib/site.js';
import { run } from './lib/process.js';
import { Shell } from './lib/shell.js';
import { apachePath, hasApacheModule, nginxPath, shareSite, startApache, startNginx } from './lib/servers.js';

const conf = ['ws.max_connections = 100', 'poll.max_held = 100'];
const nothing = { conf, poll: false, ws: false, web: false };

// Runs it; { code, of }: of(check) is that check's lines, of() all of them.
async function doctor(site, args = [], options = {}) {
	const r = await run(path.join(BIN, 'sidewire'), ['-c', site.conf, 'doctor', '--json', ...args], options);
	assert.equal(r.err, '');
	const all = JSON.parse(r.out);
	const sum = (result) => all.checks.filter((c) => c.result === result).length;
	for (const result of ['ok', 'warn', 'fail', 'skip'])
		assert.equal(all[result], sum(result), result);
	assert.equal(r.code, all.warn + all.fail > 0 ? 1 : 0, r.out);
	return { code: r.code, all: all.checks, of: (check) => all.checks.filter((c) => c.check === check) };
}

// The check's only line says this.
async function says(site, check, result, pattern, args, options) {
	const found = (await doctor(site, args, options)).of(check);
	const lines = found.filter((c) => c.result === result && pattern.test(c.text));
	assert.equal(lines.length, 1, `${check}: ${JSON.stringify(found)}`);
	if (result === 'fail' || result === 'warn')
		assert.match(lines[0].todo, /\w/, 'what to do');
}

const url = (site, port = site.webPort) => `http://127.0.0.1:${port}`;
const unlogged = ['--log', '/nowhere/access.log'];
const short = ['--wait', '1', '--user', 'alice'];
const none = ['--wait', '0'];

// A server of the test's own, gone with it.
async function listen(t, server) {
	const port = await freePort();
	const open = new Set();
	server.on('connection', (s) => open.add(s.on('close', () => open.delete(s))));
	await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
	t.after(() => {
		server.close();
		for (const s of open)
			s.destroy();
	});
	return port;
}

// A proxy between the doctor and the site: edit(request, response) may change the answer's
// status and headers, then what is held back is let go.
function proxy(t, site, edit) {
	const server = http.createServer((req, res) => {
		const up = http.request({ ...site.web, method: req.method, path: req.url, headers: req.headers }, (answer) => {
			const chunks = [];
			answer.on('data', (d) => chunks.push(d));
			answer.on('end', async () => {
				await edit(req, answer);
				res.writeHead(answer.statusCode, answer.headers);
				res.end(Buffer.concat(chunks));
			});
		});
		up.on('error', () => res.destroy());
		res.on('close', () => up.destroy());
		req.pipe(up);
	});
	server.on('upgrade', (req, socket) => socket.destroy());	// what is of the socket is not asked here
	return listen(t, server);
}

test('all is well behind lighttpd', async (t) => {
	const site = await startSite(t, { conf });
	const log = path.join(site.dir, 'access.log');
	const r = await doctor(site, [url(site), ...short, '--log', log, '--account', 'root']);
	const rest = r.all.filter((c) => c.result !== 'ok');
	assert.deepEqual(rest, []);
	assert.equal(r.code, 0);
	for (const check of ['configuration', 'key', 'key-mode', 'database', 'run_dir', 'files', 'sharing', 'file-system', 'schema',
		'clock', 'version', 'descriptors', 'route', 'tls', 'authorization', 'exposed', 'cors', 'date', 'sidecar', 'buffering',
		'hold', 'socket', 'h2c', 'idle', 'logs'])
		assert.ok(r.of(check).length > 0, check);
	// For people: a line each, and the sum.
	const text = (await site.must('doctor', url(site), '--wait', '0')).split('\n');
	assert.equal(text.length, r.all.length + 1);
	for (const line of text.slice(0, -1))
		assert.match(line, /^(ok|skip) {2,4}[a-z_0-9-]+ +\S/);
	assert.match(text.at(-1), /^\d+ ok, 0 warn, 0 fail, \d+ skip$/);
});

test('called wrongly', async (t) => {
	const site = await startSite(t, { ...nothing, populate: false });
	for (const args of [['a', 'b'], ['--user', 'alice'], ['--wait', 'long', 'http://localhost'], ['--log'],
		['--wait', '601', 'http://localhost']]) {
		const r = await site.command('doctor', ...args);
		assert.equal(r.code, 2, args.join(' '));
		assert.match(r.err, /usage: sidewire \[-c FILE\] doctor/);
	}
	await says(site, 'database', 'fail', /no such database; run: sidewire init/);
});

test('keys', async (t) => {
	const site = await startSite(t, nothing);
	const key = path.join(site.dir, 'jwt.key');
	const weak = (text) => fs.writeFileSync(key, text);
	for (const [text, pattern] of [['short', /32 bytes/], ['a'.repeat(64), /can be guessed/],
		['abc'.repeat(30), /can be guessed/], ['0123456789abcdefghijklmnopqrstuvwxyz', /can be guessed/],
		[`${site.key}-change-me`, /a word that is tried first/]]) {
		weak(text);
		await says(site, 'key', 'fail', pattern);
	}
	weak(site.key);
	for (const [mode, result, pattern] of [[0o644, 'fail', /everybody may read/], [0o602, 'fail', /everybody may write/],
		[0o660, 'warn', /its group may write/], [0o640, 'ok', /mode 640/]]) {
		fs.chmodSync(key, mode);
		await says(site, 'key-mode', result, pattern);
	}
	weak('0123456789abcdef0123456789abcde8');
	site.writeConf(['jwt.algorithm = HS512']);
	fs.writeFileSync(key, site.key.slice(0, 48));
	await says(site, 'key', 'warn', /48 bytes, and this algorithm wants 64/);
	assert.ok(!(await doctor(site)).all.some((c) => c.text.includes(site.key.slice(0, 20))), 'the key is not told');
});

test('modes of the files, and who shares them', async (t) => {
	const site = await startSite(t, { conf, web: false });
	await says(site, 'sharing', 'ok', /^2 that use/);
	fs.chmodSync(site.db, 0o644);
	await says(site, 'files', 'warn', /may read all messages/);
	fs.chmodSync(site.db, 0o606);
	await says(site, 'files', 'fail', /everybody may write/);
	fs.chmodSync(site.db, 0o660);
	await says(site, 'files', 'fail', /-wal: mode \d+, the database 660/);
	for (const end of ['-wal', '-shm'])
		fs.chmodSync(site.db + end, 0o660);
	await says(site, 'files', 'ok', /agree/);
	fs.chmodSync(site.dir, 0o777);
	await says(site, 'files', 'fail', /everybody may write/);
	fs.chmodSync(site.dir, 0o700);
	await says(site, 'sharing', 'fail', /no such account: nobody-of-that-name/, ['--account', 'nobody-of-that-name']);
	if (process.getuid() !== 0)
		return;		// what follows needs other users
	await says(site, 'sharing', 'fail', /account nobody cannot use .*sidewire-e2e-/, ['--account', 'nobody']);
	fs.chownSync(`${site.db}-wal`, 0, 65534);
	await says(site, 'files', 'fail', /-wal: of group 65534, the database of group 0/);
	fs.chownSync(`${site.db}-wal`, 0, 0);
});

test('a service that may not use what its neighbours may', { skip: process.getuid() !== 0 }, async (t) => {
	const site = await startSite(t, { conf, poll: false, ws: false, web: false });
	const user = await shareSite(site);
	await site.startPoll({ uid: user.uid, gid: user.gid });
	await says(site, 'sharing', 'ok', /^1 that use/);
	fs.chownSync(site.db, 0, 0);
	fs.chmodSync(site.db, 0o600);
	await says(site, 'sharing', 'fail', /fcgi-poll, process \d+ of user \d+, cannot use .*sidewire\.db$/);
	fs.chownSync(site.db, user.uid, user.gid);
});

test('schema, clock, descriptors', async (t) => {
	const site = await startSite(t, { conf: ['ws.max_connections = 100', 'poll.max_held = 100'], poll: false, web: false });
	await says(site, 'clock', 'ok', /./);
	await says(site, 'descriptors', 'ok', /enough/);
	site.writeConf(['ws.max_connections = 1000000']);
	await run('prlimit', ['--pid', String(site.sidecar.pid), '--nofile=1000:1000']);
	await says(site, 'descriptors', 'warn', /may open 1000 files, and ws\.max_connections wants 1000064/);
	await site.sidecar.stop();
	await says(site, 'descriptors', 'skip', /no service runs/);
	const ahead = (Date.now() + 3600e3) * 1000;
	await site.sql(`INSERT INTO events(id, type) VALUES (${ahead}, 'X')`);
	await says(site, 'clock', 'warn', /3\d\d\d s ahead/);
	await site.sql("UPDATE sw_meta SET value = '99' WHERE key = 'version'");
	const r = await doctor(site);
	assert.equal(r.of('database')[0].result, 'fail');
	assert.equal(r.of('schema')[0].result, 'skip');
});

test('a database that is not in WAL mode, a run_dir that cannot be read', async (t) => {
	const site = await startSite(t, { ...nothing, conf: ['db.busy_ms = 0'] });
	await says(site, 'run_dir', 'skip', /no service has made it yet/);
	await site.sql('PRAGMA journal_mode = DELETE');
	const shell = new Shell(site);
	await shell.run('BEGIN; SELECT count(*) FROM users;');
	await says(site, 'schema', 'warn', /not in WAL mode/);
	await shell.close();
	await says(site, 'schema', 'ok', /in WAL mode/);
	fs.mkdirSync(path.join(site.dir, 'run'));
	fs.symlinkSync('/dev/null', path.join(site.dir, 'run/sidewire.shm'));
	await says(site, 'run_dir', 'fail', /symbolic links/);
});

// A directory before the others of PATH, with dpkg-query in it.
function fakeDpkg(site, script) {
	const dir = path.join(site.dir, 'fake');
	fs.mkdirSync(dir, { recursive: true });
	fs.writeFileSync(path.join(dir, 'dpkg-query'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
	return { env: { PATH: `${dir}:${process.env.PATH}` } };
}

// No test can mount NFS: a library before libc says that all is on it.
test('a database on a network file system', async (t) => {
	const site = await startSite(t, nothing);
	await says(site, 'file-system', 'ok', /of this machine/);
	const [source, library] = ['nfs.c', 'nfs.so'].map((f) => path.join(site.dir, f));
	fs.writeFileSync(source, `#include <string.h>
#include <sys/vfs.h>
int statfs(const char *path, struct statfs *ret) { (void)path; memset(ret, 0, sizeof(*ret)); ret->f_type = 0x6969; return 0; }
`);
	const built = await run('gcc', ['-shared', '-fPIC', '-o', library, source]);
	assert.equal(built.code, 0, built.err);
	const env = { LD_PRELOAD: library, ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` };
	await says(site, 'file-system', 'fail', /sidewire\.db: is on NFS/, [], { env });
});

test('versions with known holes', async (t) => {
	const site = await startSite(t, nothing);
	const old = fakeDpkg(site, 'echo 1.10.2-1');
	await says(site, 'version', 'fail', /^libjwt0 1\.10\.2-1: CVE-2024-25189.*mended in 1\.10\.2-1\+deb12u1/, [], old);
	await says(site, 'version', 'ok', /^libjwt0 1\.10\.2-1\+deb12u1: has the fix/, [],
		fakeDpkg(site, 'echo 1.10.2-1+deb12u1'));
	await says(site, 'version', 'ok', /^libwebsockets17 4\.1\.6-3: CVE-2025-11677.*refuses every Upgrade/, [],
		fakeDpkg(site, 'echo 4.1.6-3'));
	await says(site, 'version', 'ok', /^libsqlite3-0 3\.40\.1-2: .*walresetbug\); make backups/, [],
		fakeDpkg(site, 'echo 3.40.1-2'));
	await says(site, 'version', 'ok', /^libsqlite3-0 3\.53\.1-1: has the fix/, [], fakeDpkg(site, 'echo 3.53.1-1'));
	await says(site, 'version', 'skip', /^libjwt0: not installed/, [], fakeDpkg(site, 'exit 1'));
});

test('the way: nothing there, or something else', async (t) => {
	const site = await startSite(t, nothing);
	const port = await freePort();
	await says(site, 'route', 'fail', /connect/i, [url(site, port), ...none]);
	await says(site, 'route', 'fail', /give a URL/, ['ftp://localhost/', ...none]);
	await site.startLighttpd();
	await says(site, 'route', 'fail', /status: 503/, [url(site), ...none]);
	const other = await listen(t, http.createServer((req, res) => res.end('hello')));
	await says(site, 'route', 'fail', /status: 200, and not from fcgi-poll/, [url(site, other), ...none]);
});

test('https: the certificate must fit', async (t) => {
	const site = await startSite(t, { conf });
	const [key, cert] = ['tls.key', 'tls.crt'].map((f) => path.join(site.dir, f));
	const made = await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days',
		'2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']);
	assert.equal(made.code, 0, made.err);
	const port = await listen(t, tls.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, (s) => {
		const up = net.connect(site.webPort, '127.0.0.1');
		for (const [a, b] of [[s, up], [up, s]])
			a.on('error', () => b.destroy()).on('close', () => b.destroy()).pipe(b);
	}));
	await says(site, 'route', 'fail', /certificate/i, [`https://localhost:${port}`, ...none]);
	const trusted = [`https://localhost:${port}`, '--ca', cert];
	await says(site, 'tls', 'ok', /localhost/, [...trusted, ...none]);
	const r = await doctor(site, [...trusted, ...short, ...unlogged]);
	for (const check of ['hold', 'buffering', 'socket', 'idle', 'h2c'])
		assert.equal(r.of(check)[0].result, 'ok', JSON.stringify(r.of(check)));
});

test('lighttpd: files given out, tokens in logs, headers added, no sidecar', async (t) => {
	const site = await startSite(t, { conf, ws: false, web: false });
	await site.startLighttpd(`server.modules += ( "mod_setenv" )
		setenv.set-response-header = ( "Access-Control-Allow-Origin" => "*" )
		server.document-root := "${path.dirname(site.dir)}"`);
	const access = path.join(site.dir, 'lighttpd.conf');
	const all = [url(site), '--wait', '15', '--log', path.join(site.dir, 'access.log')];
	await site.post('lobby', 'bob', 'so that there is something in -wal');
	const r = await doctor(site, all);
	const exposed = r.of('exposed').map((c) => c.text.split(' at ')[1]);
	const at = `${url(site)}/${path.basename(site.dir)}/`;
	assert.deepEqual(exposed, [`${at}sidewire.db`, `${at}sidewire.db-wal`, `${at}jwt.key`]);
	assert.match(r.of('cors')[0].text, /a page of any origin may poll \(\*\)/);
	assert.equal(r.of('cors')[0].result, 'fail');
	assert.equal(r.of('sidecar')[0].result, 'warn');
	assert.equal(r.of('socket')[0].result, 'fail');
	assert.match(r.of('socket')[0].text, /the handshake is answered 503/);
	assert.equal(r.of('logs')[0].result, 'ok');
	// The server's own format prints the query.
	await site.lighttpd.stop();
	fs.writeFileSync(access, fs.readFileSync(access, 'utf8') +
		'accesslog.format := "%h %V %u %t \\"%r\\" %>s %b"\n');
	site.lighttpd = site.start('lighttpd', '/usr/sbin/lighttpd', ['-D', '-f', access]);
	await site.answers(site.web);
	await says(site, 'logs', 'fail', /access\.log holds tokens/, all);
	await says(site, 'logs', 'skip', /\/nowhere\/access\.log, say, cannot be read/, [url(site), ...none, ...unlogged]);
	await says(site, 'logs', 'skip', /none of 1 logs/, [url(site), ...none, '--log', access]);
});

test('cors: an origin that is allowed must get through', async (t) => {
	const site = await startSite(t, { conf: [...conf, 'cors.origins = https://shop.example.org'], ws: false });
	await says(site, 'cors', 'ok', /https:\/\/shop\.example\.org may poll/, [url(site), ...none]);
	await says(site, 'tls', 'warn', /in the clear/, [`http://0.0.0.0:${site.webPort}`, ...none]);
	const closed = await proxy(t, site, (req, answer) => {
		if (req.method === 'OPTIONS')
			answer.statusCode = 405;
	});
	await says(site, 'cors', 'fail', /OPTIONS is answered 405/, [url(site, closed), ...none]);
	const twice = await proxy(t, site, (req, answer) => {
		const name = 'access-control-allow-origin';
		if (answer.headers[name])
			answer.headers[name] = [answer.headers[name], '*'];
	});
	await says(site, 'cors', 'fail', /2 headers allow/, [url(site, twice), ...none]);
});

test("the web server's clock", async (t) => {
	const site = await startSite(t, { conf, ws: false });
	let date = new Date(Date.now() - 600e3).toUTCString();
	const port = await proxy(t, site, (req, answer) => { answer.headers.date = date; });
	await says(site, 'date', 'fail', /differs from this one by -(599|600|601) s/, [url(site, port), ...none]);
	date = 'yesterday';
	await says(site, 'date', 'skip', /does not tell/, [url(site, port), ...none]);
});

test('holds and silences that the way cuts, and answers that it keeps', { skip: !nginxPath() }, async (t) => {
	const site = await startSite(t, { conf, web: false });
	await startNginx(site, { edit: (s) => s.replace('fastcgi_read_timeout 75s', 'fastcgi_read_timeout 1s')
		.replace('proxy_read_timeout 75s', 'proxy_read_timeout 1s') });
	const r = await doctor(site, [url(site), '--wait', '4', '--user', 'alice', ...unlogged]);
	assert.match(r.of('hold')[0].text, /held for 4 s was cut after 1\.\d s: answered 504/);
	assert.match(r.of('idle')[0].text, /a silent socket was cut after [01]\.\d s/);
	assert.deepEqual([r.of('hold')[0].result, r.of('idle')[0].result], ['fail', 'fail']);
	assert.equal(r.of('h2c')[0].result, 'ok');
	const slow = await proxy(t, site, (req) => {
		if (req.url.includes('timeout=20'))		// the poll that an event shall reach
			return new Promise((resolve) => setTimeout(resolve, 2000));
	});
	const kept = await doctor(site, [url(site, slow), '--wait', '0', '--user', 'alice']);
	assert.equal(kept.of('buffering')[0].result, 'fail');
	assert.match(kept.of('buffering')[0].text, /took \d{4} ms/);
});

test('nginx: what a client asks to upgrade to is passed on', { skip: !nginxPath() }, async (t) => {
	const site = await startSite(t, { conf, web: false });
	await says(site, 'route', 'fail', /./, [url(site), ...none]);
	await startNginx(site, { edit: (s) => s.replace('Upgrade websocket', 'Upgrade $http_upgrade') });
	await says(site, 'h2c', 'warn', /passed on to ws-sidecar, which refused it/, [url(site), ...none]);
	await site.sidecar.stop();
	await says(site, 'h2c', 'skip', /no sidecar runs/, [url(site), ...none]);
	await says(site, 'socket', 'fail', /answered 502/, [url(site), ...none]);
});

test('Apache: Authorization stripped, nothing held', { skip: !apachePath() ||
	!['proxy', 'proxy_fcgi', 'proxy_http'].every(hasApacheModule) }, async (t) => {
	const site = await startSite(t, { conf, poll: false, ws: false, web: false });
	const user = await shareSite(site);
	await site.startPoll({ uid: user.uid, gid: user.gid });
	await site.startSidecar({ uid: user.uid, gid: user.gid });
	const modules = ['proxy', 'proxy_fcgi', 'proxy_http', 'authz_core'];
	await startApache(site, 'sidewire-proxy-fcgi.conf', { user, modules });
	const good = await doctor(site, [url(site), ...short, '--log', path.join(site.dir, 'access.log')]);
	assert.deepEqual(good.all.filter((c) => c.result !== 'ok').map((c) => [c.check, c.result]),
		[['buffering', 'skip'], ['hold', 'skip']]);
	assert.match(good.of('hold')[0].text, /Apache, lets none be held/);
	await site.apache.stop();
	await startApache(site, 'sidewire-proxy-fcgi.conf', { user, modules, edit: (s) => s.replace(/^\s*CGIPassAuth On$/m, '') });
	const r = await doctor(site, [url(site), ...none]);
	assert.equal(r.of('authorization')[0].result, 'fail');
	assert.match(r.of('authorization')[0].text, /stripped/);
});

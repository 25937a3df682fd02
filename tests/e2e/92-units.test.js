// The units of systemd: how much they would let happen, whether they parse, and the programs
// as they start them, by a socket that was passed.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startSite, BIN, DEPLOY } from './lib/site.js';
import { run } from './lib/process.js';
import { until } from './lib/deadline.js';
import { Poller } from './lib/poller.js';
import { shareSite } from './lib/servers.js';

const UNITS = path.join(DEPLOY, 'systemd');
const SERVICES = { 'sidewire-poll': 'fcgi-poll', 'sidewire-ws': 'ws-sidecar' };
const unit = (name) => fs.readFileSync(path.join(UNITS, name), 'utf8');
const values = (text, key) => [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'mg'))].map((m) => m[1]);

async function must(command, args) {
	const r = await run(command, args);
	assert.equal(r.code, 0, `${command} ${args.join(' ')}: ${r.out}${r.err}`);
	return r.out;
}

test('the units parse and expose little', async (t) => {
	const site = await startSite(t, { poll: false, ws: false, web: false, populate: false });
	for (const name of fs.readdirSync(UNITS).filter((n) => /\.(service|socket)$/.test(n))) {
		const text = unit(name).replaceAll('/usr/local/bin', BIN).replace(/^Documentation=.*\n/m, '');
		fs.writeFileSync(path.join(site.dir, name), text);
	}
	for (const name of Object.keys(SERVICES)) {
		const said = await run('systemd-analyze', ['verify', `${site.dir}/${name}.service`, `${site.dir}/${name}.socket`]);
		assert.deepEqual([said.code, said.err.split('\n').filter((line) => line.includes('sidewire'))], [0, []]);
		// In tenths: fails above 2.0.
		await must('systemd-analyze', ['security', '--offline=true', '--threshold=20', `${site.dir}/${name}.service`]);
	}
});

// The system calls that a unit allows: sets are named by systemd itself.
async function allowedCalls(text) {
	const lines = (await must('systemd-analyze', ['--no-pager', 'syscall-filter'])).split('\n');
	const sets = {};
	let now;
	for (const line of lines) {
		if (line.startsWith('@'))
			now = sets[line.trim()] = [];
		else if (/^ +[@a-z]/.test(line))
			now?.push(line.trim());
	}
	const expand = (word) => (word.startsWith('@') ? sets[word].flatMap(expand) : [word]);
	const allowed = new Set(expand('@default'));
	for (const filter of values(text, 'SystemCallFilter')) {
		const words = filter.replace('~', '').split(' ').flatMap(expand);
		for (const call of words)
			filter.startsWith('~') ? allowed.delete(call) : allowed.add(call);
	}
	return allowed;
}

// Starts a program of a unit with a socket that is passed, under strace and with a supervisor
// that listens; where is the path or port of the socket.
function activate(site, name, where, env, user) {
	const program = SERVICES[name];
	const [, ...args] = values(unit(`${name}.service`), 'ExecStart')[0]
		.replace('/etc/sidewire/sidewire.conf', site.conf).split(' ');
	// The variables of systemd are for the process that it starts, so strace is beside it (-D).
	return site.start(program, 'systemd-socket-activate', ['-l', where,
		...Object.entries(env).map(([k, v]) => `--setenv=${k}=${v}`),
		'strace', '-D', '-f', '-qq', '-o', `${site.dir}/${program}.strace`, path.join(BIN, program), ...args], { uid: user.uid, gid: user.gid });
}

// What the supervisor is told, line by line.
function supervise(site, user) {
	const socket = path.join(site.dir, 'notify.sock');
	const p = site.start('supervisor', '/usr/bin/python3', ['-u', '-c', `
import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound")
while True:
    print(s.recv(1000).decode())
`, socket], { uid: user.uid, gid: user.gid });
	return { p, socket, heard: (what) => until(() => p.out.includes(what), `the supervisor hears ${what}`) };
}

function callsOf(site, program) {
	const text = fs.readFileSync(`${site.dir}/${program}.strace`, 'utf8');
	const at = text.indexOf('READY=1');
	assert.ok(at > 0, `${program} was not traced`);
	return { text, calls: [...new Set([...text.matchAll(/^\d+ +([a-z_0-9]+)\(/mg)].map((m) => m[1]))] };
}

test('both programs live by the socket that is passed, within what the units allow', async (t) => {
	const site = await startSite(t, { poll: false, ws: false, web: false, conf: ['poll.max_wait_s = 20'] });
	// The unit's socket, not the configuration's.
	fs.writeFileSync(site.conf, fs.readFileSync(site.conf, 'utf8').replace(/^(poll|ws)\.listen.*\n/mg, ''));
	const user = await shareSite(site);	// SQLite has root give files away
	const supervisor = supervise(site, user);
	await supervisor.heard('bound');
	// Under a sanitizer: leaks cannot be looked for beside strace.
	const env = { NOTIFY_SOCKET: supervisor.socket, WATCHDOG_USEC: '400000', ASAN_OPTIONS: 'detect_leaks=0' };
	const poll = activate(site, 'sidewire-poll', site.pollSocket, env, user);
	const ws = activate(site, 'sidewire-ws', `127.0.0.1:${site.wsPort}`, env, user);
	await poll.saw(/Listening on/);
	await ws.saw(/Listening on/);
	await site.startLighttpd();

	const p = new Poller(site, 'carol');
	await p.once();
	const s = await site.connect('bob');
	// Others' presence may answer a held poll too.
	const held = p.walk((q) => q.contents.length === 1, 'the message', { timeout: 20 });
	await site.post('lobby', 'alice', 'for both');
	await held;
	assert.deepEqual(p.contents, ['for both']);
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'for both');
	s.send({ type: 'send', key: 'k', payload: { roomId: 'lobby', content: 'back' } });
	await s.until('ack');
	const sent = await site.request('POST', '/api/realtime/send', { token: site.token('carol'),
		body: JSON.stringify({ type: 'send', payload: { roomId: 'lobby', content: 'and back' } }),
		headers: { 'Content-Type': 'application/json' } });
	assert.equal(sent.status, 201, sent.text);
	await until(() => supervisor.p.out.split('WATCHDOG=1').length > 3, 'both say that they live');
	await s.close();
	await ws.stop();
	await poll.stop();
	await until(() => supervisor.p.out.split('STOPPING=1').length > 2, 'both say that they end');
	assert.equal(supervisor.p.out.split('READY=1').length, 3);

	for (const [name, program] of Object.entries(SERVICES)) {
		const { text, calls } = callsOf(site, program);
		const allowed = await allowedCalls(unit(`${name}.service`));
		// The first is the program's own start.
		assert.deepEqual(calls.filter((call) => !allowed.has(call)), [], program);
		const families = values(unit(`${name}.service`), 'RestrictAddressFamilies')[0].split(' ');
		for (const [, family] of text.matchAll(/ socket\((AF_[A-Z0-9]+)/g))
			assert.ok(families.includes(family), `${program} makes a socket of ${family}`);
		assert.doesNotMatch(text, /PROT_WRITE\|PROT_EXEC/, 'MemoryDenyWriteExecute');
	}
});

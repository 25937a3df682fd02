// `sidewire keep`: one sidecar that stays, without a supervisor.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startSite, BIN } from './lib/site.js';
import { running } from './lib/process.js';
import { until } from './lib/deadline.js';

// A site with a keeper that is ended with it.
async function startKept(t, options = {}) {
	let site;
	t.after(async () => {
		if (fs.existsSync(site.conf))
			await site.command('keep', '--stop');
	});
	site = await startSite(t, { poll: false, ws: false, web: false, ...options });
	site.runDir = path.join(site.dir, 'run');
	site.log = () => fs.readFileSync(path.join(site.runDir, 'keep.log'), 'utf8');
	site.keeper = () => Number(fs.readFileSync(path.join(site.runDir, 'keep.lock'), 'utf8'));
	site.pids = () => [...site.log().matchAll(/started sidecar pid=(\d+)/g)].map((m) => Number(m[1]));
	site.serves = () => until(async () => {
		const s = await site.connect('bob', { direct: true }).catch(() => undefined);
		return s && s.close().then(() => true);
	}, 'a socket opens');
	return site;
}

const lives = (pid) => {
	try {
		return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
	} catch {
		return false;
	}
};
const session = (pid) => fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')[3];
const sidecars = (site) => running(site.conf).filter((pid) =>
	fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('ws-sidecar'));

test('it survives its starter, with nothing of him, and there is one', async (t) => {
	const site = await startKept(t);
	// A starter with a session, a descriptor and a secret of his own, like a request.
	const secret = path.join(site.dir, 'secret');
	fs.writeFileSync(secret, '');
	const starter = site.start('starter', 'sh', ['-c', `exec 7<${secret}; "$0" -c "$1" keep; echo "exit $?"`,
		path.join(BIN, 'sidewire'), site.conf], { env: { HTTP_AUTHORIZATION: 'Bearer x.y.z', SIDEWIRE_LOG_LEVEL: 'debug' } });
	assert.deepEqual(await starter.ended, { code: 0, signal: null });	// its output is closed too
	assert.match(starter.out, /^started; the log is .*keep\.log\nexit 0\n$/);
	await site.serves();

	const keeper = site.keeper();
	const [sidecar] = site.pids();
	for (const pid of [keeper, sidecar]) {
		const fds = fs.readdirSync(`/proc/${pid}/fd`).map((fd) => {
			try {
				return fs.readlinkSync(`/proc/${pid}/fd/${fd}`);
			} catch {
				return '';	// closed meanwhile
			}
		});
		assert.ok(!fds.includes(secret), `${pid} has ${fds}`);
		assert.notEqual(session(pid), session('self'));
		const env = fs.readFileSync(`/proc/${pid}/environ`, 'utf8');
		assert.match(env, /SIDEWIRE_LOG_LEVEL=debug/);
		assert.doesNotMatch(env, /x\.y\.z/);
	}
	assert.ok(!fs.readlinkSync(`/proc/${sidecar}/fd/0`).includes('pipe'));
	// The lock is the keeper's alone.
	assert.equal(fs.readdirSync(`/proc/${sidecar}/fd`).filter((fd) =>
		fs.readlinkSync(`/proc/${sidecar}/fd/${fd}`).endsWith('keep.lock')).length, 0);

	const second = await site.command('keep');
	assert.deepEqual([second.code, second.out], [0, `already running, pid ${keeper}\n`]);
	const quiet = await site.command('keep', '--quiet');
	assert.deepEqual([quiet.code, quiet.out, quiet.err], [0, '', '']);
	assert.equal(sidecars(site).length, 1);

	assert.equal(await site.must('keep', '--stop'), 'stopped');
	assert.ok(!lives(keeper) && !lives(sidecar));
	assert.equal(await site.must('keep', '--stop'), 'not running');
});

test('many at once are one', async (t) => {
	const site = await startKept(t);
	const all = await Promise.all(Array.from({ length: 12 }, () => site.command('keep')));
	assert.deepEqual(all.map((r) => r.code), Array(12).fill(0));
	assert.equal(all.filter((r) => r.out.startsWith('started')).length, 1);
	assert.equal(all.filter((r) => r.out.startsWith('already running')).length, 11);
	await site.serves();
	assert.equal(sidecars(site).length, 1);
});

test('a sidecar that is killed comes back; SIGHUP starts it anew; SIGTERM ends both', async (t) => {
	const site = await startKept(t);
	await site.must('keep');
	await site.serves();
	const keeper = site.keeper();
	process.kill(site.pids()[0], 'SIGKILL');
	await until(() => site.pids().length === 2, 'another is started');
	await site.serves();
	assert.match(site.log(), /sidecar ended pid=\d+ signal=9 again_in_ms=500/);
	process.kill(keeper, 'SIGHUP');
	await until(() => site.pids().length === 3, 'it is started anew');
	await site.serves();
	assert.equal(site.keeper(), keeper);
	assert.equal(sidecars(site).length, 1);
	process.kill(keeper, 'SIGTERM');
	await until(() => !lives(keeper) && running(site.conf).length === 0, 'both end');
	assert.match(site.log(), /sidecar stopped pid=\d+\n.*stopped\n$/);
});

test('a keeper that is killed takes its sidecar along, and the next one starts', async (t) => {
	const site = await startKept(t);
	await site.must('keep');
	await site.serves();
	process.kill(site.keeper(), 'SIGKILL');
	await until(() => running(site.conf).length === 0, 'the sidecar ends too');
	assert.match(await site.must('keep'), /^started/);
	await site.serves();
	assert.equal(sidecars(site).length, 1);
});

test('a sidecar that cannot start is tried again, more and more seldom', async (t) => {
	const site = await startKept(t);
	const program = path.join(site.dir, 'broken');
	fs.writeFileSync(program, '#!/bin/sh\necho it is broken >&2\nexit 3\n', { mode: 0o755 });
	await site.must('keep', '--program', program);
	await until(() => site.pids().length >= 3, 'it is tried three times');
	assert.deepEqual([...site.log().matchAll(/status=3 again_in_ms=(\d+)/g)].slice(0, 2).map((m) => m[1]), ['500', '1000']);
	assert.match(site.log(), /it is broken/);
	assert.equal(await site.must('keep', '--stop'), 'stopped');

	// What can be known before is said to the starter.
	const none = await site.command('keep', '--program', path.join(site.dir, 'nothing'));
	assert.deepEqual([none.code, none.out], [1, '']);
	assert.match(none.err, /nothing: No such file/);
	const odd = await site.command('keep', 'now');
	assert.equal(odd.code, 2);
});

test('the log does not grow for ever', async (t) => {
	const site = await startKept(t);
	fs.mkdirSync(site.runDir, { recursive: true });
	const log = path.join(site.runDir, 'keep.log');
	fs.writeFileSync(log, 'old line\n'.repeat(130000));
	await site.must('keep');
	await until(() => fs.statSync(log).size < 100000 && site.pids().length === 1, 'it is moved');
	assert.equal(fs.readFileSync(`${log}.1`, 'utf8'), 'old line\n'.repeat(130000));
});

test('--foreground: for another supervisor', async (t) => {
	const site = await startKept(t);
	const p = site.start('keep', path.join(BIN, 'sidewire'), ['-c', site.conf, 'keep', '--foreground']);
	await p.saw(/started sidecar[^]*ready listen/);
	assert.equal(site.keeper(), p.pid);
	assert.deepEqual(await p.stop(), { code: 0, signal: null });
	assert.equal(running(site.conf).length, 0);
});

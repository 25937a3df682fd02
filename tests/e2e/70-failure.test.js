// What is wrong is said in one line that helps, and what can go on goes on.

import test from 'node:test';
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { BIN, startSite } from './lib/site.js';
import { Shell } from './lib/shell.js';
import { run } from './lib/process.js';
import { until } from './lib/deadline.js';

const PROGRAMS = ['fcgi-poll', 'ws-sidecar', 'sidewire'];
const SERVICES = PROGRAMS.slice(0, 2);
const nothing = { poll: false, ws: false, web: false };
const direct = { direct: true };

// Whoever runs the tests as root tries rights as somebody else.
const UID = process.getuid() === 0 ? 65534 : process.getuid();

// Runs a program that cannot start to its end: { code, err }.
// Few connections, so that the limit of open files needs no word.
const attempt = (site, name, { env, ...options } = {}, args = ['-c', site.conf]) =>
	run(path.join(BIN, name), name === 'sidewire' ? [...args, 'user', 'list'] : args,
		{ ...options, env: { SIDEWIRE_WS_MAX_CONNECTIONS: '50', ...env } });

// All three must refuse: exit 1, and one line that matches.
async function refuses(site, pattern, options, programs = PROGRAMS) {
	for (const name of programs) {
		const r = await attempt(site, name, options);
		assert.equal(r.code, 1, `${name}: ${r.code} ${r.err}`);
		assert.match(r.err, pattern, name);
		assert.match(r.err, /^[^\n]+\n$/, `${name}: one line`);
	}
}

// Files of the site as another user may use them.
function give(site, uid) {
	fs.chmodSync(site.dir, 0o755);
	if (process.getuid() !== 0)
		return;
	for (const file of ['jwt.key', 'sidewire.db'])
		fs.chownSync(path.join(site.dir, file), uid, uid);
}

test('databases that cannot be used', async (t) => {
	const cases = [
		['missing', () => {}, /sidewire\.db: no such database; run: sidewire init/],
		['garbage', (db) => fs.writeFileSync(db, crypto.randomBytes(8192)), /sidewire\.db: is not a SQLite database/],
		['text', (db) => fs.writeFileSync(db, 'hello\n'), /sidewire\.db: is not a SQLite database/],
		['empty', (db) => fs.writeFileSync(db, ''), /sidewire\.db: has no Sidewire schema; run: sidewire init/],
		['directory', (db) => fs.mkdirSync(db), /sidewire\.db: is a directory/],
		['of a site', (db, site) => site.sql('CREATE TABLE users(id TEXT, name TEXT)'),
			/sidewire\.db: has no Sidewire schema; run: sidewire init/],
		['newer', async (db, site) => {
			await site.must('init');
			await site.sql("UPDATE sw_meta SET value = '99' WHERE key = 'version'");
		}, /its schema is of version 99.*install the newer program/],
		['table gone', async (db, site) => {
			await site.must('init');
			await site.sql('DROP TABLE messages');
		}, /table messages is missing; run: sidewire init/],
		['column renamed', async (db, site) => {
			await site.must('init');
			await site.sql('ALTER TABLE users RENAME COLUMN bio TO biography');
		}, /table users lacks bio; run: ALTER TABLE users ADD COLUMN bio TEXT/],
	];
	for (const [name, prepare, pattern] of cases) {
		await t.test(name, async (st) => {
			const site = await startSite(st, { ...nothing, populate: false });
			await prepare(site.db, site);
			await refuses(site, pattern);
		});
	}
});

test('databases that may not be written', async (t) => {
	const cases = [
		['file', (site) => fs.chmodSync(site.db, 0o444), /sidewire\.db: Permission denied; the user that runs/],
		['unreadable', (site) => fs.chmodSync(site.db, 0), /sidewire\.db: Permission denied/],
		['directory', (site) => fs.chmodSync(site.dir, 0o555), /sidewire-e2e-\w+: Permission denied; the user that runs/],
	];
	for (const [name, prepare, pattern] of cases) {
		await t.test(name, async (st) => {
			const site = await startSite(st, { ...nothing, populate: false });
			await site.must('init');
			fs.mkdirSync(path.join(site.dir, 'run'));
			fs.chmodSync(path.join(site.dir, 'run'), 0o777);
			give(site, UID);
			fs.mkdirSync(path.join(site.dir, 'sockets'), { mode: 0o777 });
			fs.chmodSync(path.join(site.dir, 'sockets'), 0o777);
			site.pollSocket = path.join(site.dir, 'sockets', 'poll.sock');
			site.writeConf();
			give(site, UID);
			prepare(site);
			try {
				await refuses(site, pattern, { uid: UID, gid: UID });
			} finally {
				fs.chmodSync(site.dir, 0o755);
			}
		});
	}
});

test('keys that cannot be used', async (t) => {
	const pem = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 })
		.publicKey.export({ type: 'spki', format: 'pem' });
	const cases = [
		['missing', (file) => fs.rmSync(file), /jwt\.key: No such file/],
		['empty', (file) => fs.writeFileSync(file, ''), /jwt\.key: is empty/],
		['too short', (file) => fs.writeFileSync(file, 'a'.repeat(31)), /jwt\.key: .*32 bytes.*openssl rand/],
		['PEM for HMAC', (file) => fs.writeFileSync(file, pem), /jwt\.key: is a PEM, but jwt\.algorithm is an HMAC/],
		['HMAC for RS256', (file, site) => fs.appendFileSync(site.conf, 'jwt.algorithm = RS256\n'),
			/jwt\.key: is not a public key in PEM/],
	];
	for (const [name, prepare, pattern] of cases) {
		await t.test(name, async (st) => {
			const site = await startSite(st, nothing);
			prepare(path.join(site.dir, 'jwt.key'), site);
			await refuses(site, pattern, undefined, SERVICES);
			for (const args of [['token', 'alice'], ['check']]) {
				const r = await site.command(...args);
				assert.equal(r.code, 1);
				assert.match(r.out + r.err, pattern);
			}
		});
	}
});

test('a run_dir that cannot be made', async (t) => {
	const site = await startSite(t, nothing);
	for (const [dir, pattern, options] of [
		[`${site.dir}/no/such/run`, /cannot make directory .*no such file.*set run_dir/i],
		[`${site.conf}/run`, /sidewire\.conf\/run: Not a directory/],
		[site.conf, /cannot open directory .*sidewire\.conf: Not a directory/],
		[`${site.dir}/theirs/run`, /theirs\/run: Permission denied.*run_dir/, { uid: UID, gid: UID }],
	]) {
		site.writeConf();
		fs.writeFileSync(site.conf, fs.readFileSync(site.conf, 'utf8').replace(/^run_dir.*$/m, `run_dir = ${dir}`));
		if (options) {
			fs.mkdirSync(`${site.dir}/theirs`, { mode: 0o555 });
			give(site, UID);
			if (process.getuid() === 0)
				fs.chownSync(site.dir, UID, UID);
		}
		await refuses(site, pattern, options, SERVICES);
		if (!options && !dir.includes('no/such')) {
			const r = await site.command('check');
			assert.match(r.out, /run_dir +FAIL/);
			assert.equal(r.code, 1);
		}
	}
});

test('addresses that are taken', async (t) => {
	const site = await startSite(t, { web: false });
	await refuses(site, /poll\.sock: another program serves this socket already/, undefined, ['fcgi-poll']);
	// The one that was there serves on.
	assert.equal(fs.statSync(site.pollSocket).isSocket(), true);
	await site.connect('alice', direct);
	await site.poller.stop('SIGKILL');
	assert.ok(fs.existsSync(site.pollSocket), 'a stale socket is left');
	await site.startPoll();
	await site.poller.stop();
	fs.writeFileSync(site.pollSocket, 'precious');
	await refuses(site, /poll\.sock: there is a file that is no socket/, undefined, ['fcgi-poll']);
	assert.equal(fs.readFileSync(site.pollSocket, 'utf8'), 'precious');
	// The same for a sidecar on a unix socket.
	await site.sidecar.stop();
	const file = path.join(site.dir, 'ws.sock');
	fs.writeFileSync(site.conf, fs.readFileSync(site.conf, 'utf8').replace(/^ws\.listen.*$/m, `ws.listen = ${file}`));
	await site.startSidecar();
	await refuses(site, /ws\.sock: another program serves this socket already/, undefined, ['ws-sidecar']);
	await site.sidecar.stop('SIGKILL');
	assert.ok(fs.existsSync(file));
	await site.startSidecar();
	await site.sidecar.stop();
	// A port that a program of somebody else's has.
	const other = net.createServer().listen(site.wsPort, '127.0.0.1');
	t.after(() => other.close());
	await until(() => other.listening, 'it listens');
	site.writeConf();
	await refuses(site, /ws\.listen: .*already/, undefined, ['ws-sidecar']);
});

test('configuration: FILE:LINE: KEY: WHY', async (t) => {
	const site = await startSite(t, nothing);
	const good = fs.readFileSync(site.conf, 'utf8');
	const line = good.split('\n').length;
	const cases = [
		['ws.lisen = 127.0.0.1:1', /ws\.lisen: no such key, did you mean ws\.listen\?/],
		['colour = red', /colour: no such key/],
		['poll.threads = 0', /poll\.threads: 0 is not within 1\.\.256/],
		['poll.threads = many', /poll\.threads: "many" is not a whole number/],
		['poll.threads = 99999999999999999999', /poll\.threads: .*not within/],
		['log.level = loud', /log\.level: "loud" is not one of: error warning info debug/],
		['database = /else/where', /database: is set twice, first in line 1/],
		['ws.path = ws', /ws\.path: "ws" does not start with/],
		['cors.origins = example.org', /cors\.origins: /],
		['just words', /"just words" is not KEY = VALUE/],
	];
	for (const [text, why] of cases) {
		fs.writeFileSync(site.conf, `${good}${text}\n`);
		const pattern = new RegExp(`sidewire\\.conf:${line}: ${why.source}`);
		await refuses(site, pattern);
		for (const name of SERVICES) {
			const r = await attempt(site, name, undefined, ['-n', '-c', site.conf]);
			assert.equal(r.code, 1);
			assert.match(r.err, pattern);
		}
	}
	fs.rmSync(site.conf);
	await refuses(site, /sidewire\.conf: .*(no such file|cannot)/i);
});

test('-n looks and does not serve; wrong calls exit with 2', async (t) => {
	const site = await startSite(t, { ...nothing, populate: false });
	for (const name of SERVICES) {
		const r = await attempt(site, name, undefined, ['-n', '-c', site.conf]);
		assert.equal(r.code, 0, r.err);
		assert.equal(r.err, '');
		const h = await attempt(site, name, undefined, ['-h']);
		assert.equal(h.code, 0);
		assert.match(h.out, /usage: .*-c/);
		for (const args of [['-x'], ['-c'], ['-c', site.conf, 'extra']]) {
			const w = await attempt(site, name, undefined, args);
			assert.equal(w.code, 2, `${name} ${args}`);
			assert.match(w.err, /usage:/);
		}
	}
	assert.deepEqual(fs.readdirSync(site.dir).sort(), ['jwt.key', 'sidewire.conf']);
});

test('the environment wins over the file, and is looked at as closely', async (t) => {
	const site = await startSite(t, nothing);
	for (const [env, pattern] of [
		[{ SIDEWIRE_LOG_LEVEL: 'loud' }, /environment: SIDEWIRE_LOG_LEVEL: "loud" is not one of/],
		[{ SIDEWIRE_WS_LISEN: 'x' }, /environment: SIDEWIRE_WS_LISEN: no such key, did you mean SIDEWIRE_WS_LISTEN\?/],
		[{ SIDEWIRE_DATABASE: `${site.dir}/else.db` }, /else\.db: no such database/],
	])
		await refuses(site, pattern, { env });
	const env = { SIDEWIRE_CONF: site.conf };
	const r = await run(path.join(BIN, 'sidewire'), ['user', 'list'], { env });
	assert.equal(r.code, 0, r.err);
	assert.match(r.out, /^alice /m);
	for (const name of SERVICES)
		assert.equal((await attempt(site, name, { env }, ['-n'])).code, 0);
});

test('the site holds the write lock: reading goes on, and what waited comes', async (t) => {
	const site = await startSite(t, { conf: ['db.busy_ms = 200'] });
	const { timestamp } = (await site.poll('carol')).json;
	const carol = await site.connect('carol');
	await carol.drain();
	const shell = new Shell(site);
	// The presence of those who came may be on its way to the disk.
	await shell.run('.timeout 10000\nBEGIN EXCLUSIVE;');
	const answer = await site.poll('carol', { lastTimestamp: timestamp });
	assert.equal(answer.status, 200);
	assert.ok(answer.json.events.every((e) => e.type === 'USER_UPDATE'));
	assert.equal((await site.poll('bob')).status, 200);
	const alice = await site.connect('alice');
	await alice.drain();
	const posted = await site.command('post', 'lobby', 'bob', 'refused');
	assert.equal(posted.code, 1);
	assert.match(posted.err, /another program holds the write lock; try again/);
	await shell.run("INSERT INTO messages(id, room_id, sender_id, content) VALUES ('m1', 'lobby', 'bob', 'at last');");
	const early = (await site.poll('carol', { lastTimestamp: timestamp })).json;
	assert.ok(early.events.every((e) => e.type !== 'NEW_MESSAGE'), 'not before the commit');
	const held = site.poll('carol', { lastTimestamp: early.timestamp, timeout: 20 });
	await shell.run('COMMIT;');
	await shell.close();
	for (const s of [carol, alice])
		assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'at last');
	let got = (await held).json;
	while (!got.events.some((e) => e.type === 'NEW_MESSAGE'))
		got = (await site.poll('carol', { lastTimestamp: got.timestamp, timeout: 20 })).json;
	// Presence had to wait, and was not forgotten.
	await until(async () => await site.sql("SELECT sum(is_online) FROM users WHERE id IN ('alice', 'carol')") === '2',
		'both are online');
	for (const p of [site.poller, site.sidecar])
		assert.equal(p.how, undefined, `${p.name} lives`);
});

test('a full disk: readers go on, and writers when there is room', async (t) => {
	const disk = fs.mkdtempSync(path.join(os.tmpdir(), 'sidewire-disk-'));
	t.after(async () => {
		await run('umount', ['-l', disk]);	// fails where nothing was mounted
		fs.rmSync(disk, { recursive: true, force: true });
	});
	const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'none', disk]);
	if (mounted.code !== 0) {
		t.skip('may not mount a file system');
		return;
	}
	const site = await startSite(t, { ...nothing, populate: false });
	site.db = path.join(disk, 'site.db');
	site.writeConf();
	await site.populate();
	await site.startPoll();
	await site.startSidecar();
	await site.startLighttpd();
	const { timestamp } = (await site.poll('carol')).json;
	const s = await site.connect('carol');
	await site.post('lobby', 'bob', 'before');
	await s.until('NEW_MESSAGE');
	const fill = fs.openSync(path.join(disk, 'fill'), 'w');
	for (let step = 65536; step >= 1; step = step > 1 ? Math.floor(step / 16) : 0) {
		try {
			for (;;)
				fs.writeSync(fill, Buffer.alloc(step));
		} catch (error) {
			assert.equal(error.code, 'ENOSPC');
		}
	}
	fs.closeSync(fill);
	// Some room is left in what SQLite has already: the site writes until it is used.
	let refused;
	for (let i = 0; i < 200 && refused === undefined; i++)
		refused = await site.post('lobby', 'bob', 'x'.repeat(20000)).then(() => undefined, (e) => e.message);
	assert.match(refused, /full/);
	const r = await site.command('post', 'lobby', 'bob', 'y'.repeat(20000));
	assert.equal(r.code, 1);
	assert.match(r.err, /the disk is full/);
	const answer = await site.poll('carol', { lastTimestamp: timestamp, limit: 1 });
	assert.equal(answer.status, 200);
	assert.equal(answer.json.events.length, 1);
	assert.equal((await site.poll('alice')).status, 200);
	(await site.connect('alice')).send({ type: 'ping' });
	fs.rmSync(path.join(disk, 'fill'));
	await site.post('lobby', 'bob', 'after');
	await s.until('NEW_MESSAGE', (m) => m.payload.content === 'after');
	await until(async () => await site.sql("SELECT is_online FROM users WHERE id = 'alice'") === '1',
		'presence is written after all');
	assert.doesNotMatch(await site.must('check'), /FAIL/);
});

test("the site's migration rebuilds messages while everything runs", async (t) => {
	const site = await startSite(t);
	const s = await site.connect('carol');
	await site.post('lobby', 'bob', 'before');
	await s.until('NEW_MESSAGE');
	const { timestamp } = (await site.poll('carol')).json;
	const triggers = () => site.sql("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'messages'");
	const had = await triggers();
	assert.notEqual(had, '0');
	for (const extra of ['pinned', 'edited']) {
		await site.sql(`BEGIN;
			CREATE TABLE messages_new (id TEXT PRIMARY KEY, room_id TEXT NOT NULL, sender_id TEXT NOT NULL,
				sender_name TEXT, sender_avatar TEXT, content TEXT NOT NULL, type TEXT DEFAULT 'text',
				timestamp TEXT DEFAULT CURRENT_TIMESTAMP, ${extra} INTEGER DEFAULT 0);
			INSERT INTO messages_new(id, room_id, sender_id, sender_name, sender_avatar, content, type, timestamp)
				SELECT id, room_id, sender_id, sender_name, sender_avatar, content, type, timestamp FROM messages;
			DROP TABLE messages;
			ALTER TABLE messages_new RENAME TO messages;
			COMMIT;`);
		await until(async () => await triggers() === had, 'the triggers come back');
		await site.post('lobby', 'bob', extra);
		assert.equal((await s.until('NEW_MESSAGE')).payload.content, extra);
	}
	await until(() => /triggers were missing and have been put back/.test(site.poller.log + site.sidecar.log),
		'the log says so');
	const got = (await site.poll('carol', { lastTimestamp: timestamp })).json.events;
	assert.deepEqual(got.filter((e) => e.type === 'NEW_MESSAGE').map((e) => e.payload.content), ['pinned', 'edited']);
	assert.equal(await site.sql('SELECT count(*) FROM messages'), '3');
	// Renamed away instead of dropped, the triggers go along and must not stay there.
	await site.sql(`BEGIN; ALTER TABLE messages RENAME TO messages_old;
		CREATE TABLE messages AS SELECT * FROM messages_old; COMMIT;`);
	await until(async () => await triggers() === had, 'the triggers come back again');
	await site.post('lobby', 'bob', 'and again');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'and again');
	await site.sql("INSERT INTO messages_old(id, room_id, sender_id, content) VALUES ('o', 'lobby', 'bob', 'old')");
	await site.post('lobby', 'bob', 'end');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'end');
});

// What follows a backup's return: new clients are served, old cursors are told.
async function servesBackup(site, lost) {
	const reset = async (params) => (await site.poll('carol', params)).json.reset;
	await until(async () => await reset({ lastMessageId: lost }) === 'unknown', 'the lost message is unknown');
	// Ids go on from the clock, so that the log soon overtakes what was lost: an hour it does not.
	const ahead = new Date(Date.now() + 3600000).toISOString();
	assert.equal(await reset({ lastTimestamp: ahead }), 'ahead');
	const state = (await site.poll('carol', { lastTimestamp: ahead })).json;
	assert.ok(state.events.some((e) => e.type === 'ROOM_CREATED'));
	assert.equal(await reset({ lastTimestamp: state.timestamp }), undefined);
	const s = await site.connect('carol');
	await site.post('lobby', 'bob', 'in the restored one');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'in the restored one');
	const got = (await site.poll('carol', { lastTimestamp: state.timestamp })).json.events;
	assert.deepEqual(got.filter((e) => e.type === 'NEW_MESSAGE').map((e) => e.payload.content),
		['in the restored one']);
	await until(async () => await site.sql("SELECT is_online FROM users WHERE id = 'carol'") === '1',
		'presence is written to the restored one');
}

test('a backup is restored', async (t) => {
	const ways = {
		'while stopped': async (site, backup) => {
			for (const p of [site.sidecar, site.poller])
				await p.stop();
			for (const end of ['-wal', '-shm'])
				fs.rmSync(site.db + end, { force: true });
			fs.renameSync(backup, site.db);
			await site.startPoll();
			await site.startSidecar();
		},
		'in place while running': async (site, backup) => {
			site.watching = await site.connect('bob');
			const r = await run('sqlite3', ['-cmd', '.timeout 10000', site.db, `.restore '${backup}'`]);
			assert.equal(r.code, 0, r.err);
		},
		'by another file while running': async (site, backup) => {
			const watching = await site.connect('bob');
			for (const end of ['-wal', '-shm'])
				fs.rmSync(site.db + end, { force: true });
			fs.renameSync(backup, site.db);
			await Promise.all([site.poller.saw(/database was replaced, reading the new one/),
				site.sidecar.saw(/database was replaced, reading the new one/)]);
			assert.equal((await watching.waitClosed()).code, 1012);
		},
	};
	for (const [name, restore] of Object.entries(ways)) {
		await t.test(name, async (st) => {
			const site = await startSite(st);
			await site.post('lobby', 'bob', 'kept');
			const backup = path.join(site.dir, 'backup.db');
			await site.sql(`VACUUM INTO '${backup}'`);
			const lost = await site.post('lobby', 'bob', 'lost');
			await restore(site, backup);
			await servesBackup(site, lost);
			await site.watching?.until('NEW_MESSAGE', (m) => m.payload.content === 'in the restored one');
			assert.equal(await site.sql("SELECT group_concat(content) FROM messages"), 'kept,in the restored one');
			assert.doesNotMatch(await site.must('check'), /FAIL/);
		});
	}
});

test('what was pruned is told as expired', async (t) => {
	const site = await startSite(t, { conf: ['events.keep_rows = 5'] });
	const first = (await site.poll('carol')).json.timestamp;
	const id = await site.post('lobby', 'bob', 'm0');
	for (let i = 1; i < 10; i++)
		await site.post('lobby', 'bob', `m${i}`);
	const middle = (await site.poll('carol')).json.timestamp;
	await site.must('prune');
	assert.equal(await site.sql('SELECT count(*) <= 6 FROM events'), '1');
	const old = (await site.poll('carol', { lastTimestamp: first })).json;
	assert.equal(old.reset, 'expired');
	assert.ok(old.events.some((e) => e.type === 'ROOM_CREATED'));
	assert.equal((await site.poll('carol', { lastTimestamp: middle })).json.reset, undefined);
	assert.match((await site.poll('carol', { lastMessageId: id })).json.reset, /expired|unknown/);
	assert.equal(await site.sql('SELECT count(*) FROM messages'), '10');
	// On a socket of the newer kind: the same word and the state.
	const s = await site.connect('carol', { protocols: ['sidewire.v1'], params: { lastTimestamp: first } });
	const sync = await s.until('sync');
	assert.equal(sync.payload.reset, 'expired');
});

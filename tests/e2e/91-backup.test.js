// sidewire backup and restore, while services run and the site writes.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BIN, startSite } from './lib/site.js';
import { run } from './lib/process.js';
import { Shell } from './lib/shell.js';
import { until } from './lib/deadline.js';

const nothing = { poll: false, ws: false, web: false };

async function ask(file, sql) {
	const r = await run('sqlite3', ['-readonly', `file:${file}?immutable=1`, sql]);
	assert.equal(r.code, 0, r.err);
	return r.out.trim();
}

async function fails(site, pattern, ...args) {
	const r = await site.command(...args);
	assert.equal(r.code, 1, `${args.join(' ')}: ${r.out}`);
	assert.match(r.err, pattern);
	assert.equal(r.out, '');
}

const left = (site) => fs.readdirSync(site.dir).filter((f) => /\.db\.[A-Za-z0-9]{6}$|copy.*-(wal|shm|journal)$/.test(f));

test('a copy under write load is of one moment, and complete up to it', async (t) => {
	const site = await startSite(t, { conf: ['limit.poll_per_s = 0'], ws: false });
	// Pairs in one transaction, and rows whose ids a vacuum would change.
	await site.sql(`CREATE TABLE pairs (n INTEGER, half INTEGER); CREATE TABLE loose (t TEXT);
		INSERT INTO loose(rowid, t) VALUES (7, 'seven'), (70, 'seventy')`);
	const shell = new Shell(site);
	let isDone = false, n = 0;
	const writer = (async () => {
		while (!isDone) {
			n++;
			await shell.run(`.timeout 10000\nBEGIN IMMEDIATE; INSERT INTO pairs VALUES (${n}, 0);
				INSERT INTO messages(id, room_id, sender_id, content) VALUES ('m${n}', 'lobby', 'bob', 'n${n}');
				INSERT INTO pairs VALUES (${n}, 1); COMMIT;`);
		}
	})();
	for (let i = 0; i < 5; i++) {
		await until(() => n > 5 * i, 'the writer writes');
		const before = n - 1;	// committed for certain
		const copy = path.join(site.dir, `copy${i}.db`);
		const { timestamp } = JSON.parse(await site.must('backup', copy, '--json'));
		const after = n;
		assert.equal(fs.statSync(copy).mode & 0o777, 0o600);
		assert.equal(await ask(copy, 'PRAGMA integrity_check'), 'ok');
		const [top, rows, events] = (await ask(copy, `SELECT max(n), count(*), (SELECT count(*) FROM events
			WHERE type = 'NEW_MESSAGE') FROM pairs`)).split('|').map(Number);
		assert.ok(top >= before && top <= after, `${before} <= ${top} <= ${after}`);
		assert.equal(rows, 2 * top);
		assert.equal(events, top);
		assert.equal(await ask(copy, 'SELECT group_concat(rowid) FROM loose'), '7,70');
		assert.equal(await ask(copy, 'SELECT max(id) FROM events'), String(
			BigInt(Date.parse(`${timestamp.slice(0, 19)}Z`)) * 1000n + BigInt(timestamp.slice(20, 26))));
	}
	isDone = true;
	await writer;
	assert.deepEqual(left(site), []);
});

test('what a backup refuses changes nothing', async (t) => {
	const site = await startSite(t, nothing);
	const copy = path.join(site.dir, 'copy.db');
	fs.writeFileSync(copy, 'mine');
	await fails(site, /copy\.db: is there already; --replace/, 'backup', copy);
	assert.equal(fs.readFileSync(copy, 'utf8'), 'mine');
	for (const end of ['', '-wal'])
		await fails(site, /is of the database itself/, 'backup', '--replace', site.db + end);
	fs.linkSync(site.db, path.join(site.dir, 'same.db'));
	await fails(site, /is of the database itself/, 'backup', '--replace', path.join(site.dir, 'same.db'));
	await fails(site, /No such file/, 'backup', path.join(site.dir, 'no/copy.db'));
	await fails(site, /File name too long|No such/, 'backup', path.join(site.dir, 'x'.repeat(300)));
	await site.must('backup', '--replace', copy);
	assert.equal(await ask(copy, 'SELECT count(*) FROM users'), '3');
	assert.deepEqual(left(site), []);
	const r = await run('sh', ['-c', 'ulimit -f 8; trap "" XFSZ; exec "$0" "$@"', path.join(BIN, 'sidewire'),
		'-c', site.conf, 'backup', path.join(site.dir, 'full.db')]);
	assert.equal(r.code, 1);
	assert.deepEqual(left(site), []);
	assert.ok(!fs.existsSync(path.join(site.dir, 'full.db')));
});

test('restored while services run: cursors are valid or reset, and all go on', async (t) => {
	const site = await startSite(t);
	await site.post('lobby', 'bob', 'kept');
	const old = (await site.poll('carol')).json.timestamp;
	await site.post('lobby', 'bob', 'kept too');
	const copy = path.join(site.dir, 'copy.db');
	await site.must('backup', copy);
	const carol = await site.connect('carol');
	const bob = await site.connect('bob');
	const lost = await site.post('lobby', 'bob', 'lost');
	await site.sql("INSERT INTO room_members(room_id, user_id) VALUES ('vault', 'carol')");
	await site.post('vault', 'alice', 'for members');
	await carol.until('NEW_MESSAGE', (m) => m.payload.content === 'for members');
	const shell = new Shell(site);	// a program of the site, in the middle of reading
	await shell.run('BEGIN; SELECT count(*) FROM messages;');
	await site.must('restore', copy);
	await shell.close();
	// What the backup holds is read on from an old cursor; what it does not is reset.
	const got = (await site.poll('carol', { lastTimestamp: old })).json;
	assert.equal(got.reset, undefined);
	assert.deepEqual(got.events.filter((e) => e.type === 'NEW_MESSAGE').map((e) => e.payload.content), ['kept too']);
	await until(async () => (await site.poll('carol', { lastMessageId: lost })).json.reset === 'unknown', 'reset');
	const ahead = new Date(Date.now() + 3600000).toISOString();
	assert.equal((await site.poll('carol', { lastTimestamp: ahead })).json.reset, 'ahead');
	// Who was no member then is none again.
	await site.post('vault', 'alice', 'after');
	await site.post('lobby', 'bob', 'new');
	await bob.until('NEW_MESSAGE', (m) => m.payload.content === 'new');
	await carol.until('NEW_MESSAGE', (m) => m.payload.content === 'new');
	assert.ok(!carol.all.some((text) => text.includes('"after"')));
	assert.equal(await site.sql("SELECT group_concat(content, '|') FROM (SELECT content FROM messages ORDER BY rowid)"),
		'kept|kept too|after|new');
	assert.doesNotMatch(await site.must('check'), /FAIL/);
	assert.equal(await site.sql('PRAGMA journal_mode'), 'wal');
});

test('killed within a restore or a backup: what was there is there', async (t) => {
	const site = await startSite(t, nothing);
	await site.sql(`CREATE TABLE bulk (n INTEGER PRIMARY KEY, b BLOB); INSERT INTO bulk
		WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 8000) SELECT n, randomblob(4000) FROM c`);
	const copy = path.join(site.dir, 'copy.db');
	await site.must('backup', copy);
	await site.sql('DELETE FROM bulk WHERE n % 2; PRAGMA wal_checkpoint(TRUNCATE)');
	const reader = new Shell(site);		// so that -wal stays, and holds what restore writes
	await reader.run('SELECT count(*) FROM users;');
	const size = (file) => (fs.existsSync(file) ? fs.statSync(file).size : 0);
	const begin = (...args) => site.start('sidewire', path.join(BIN, 'sidewire'), ['-c', site.conf, ...args]);
	const restore = begin('restore', copy);
	await until(() => size(`${site.db}-wal`) > 1 << 20 || restore.how, 'it writes');
	await restore.stop('SIGKILL');
	assert.equal(await site.sql('PRAGMA integrity_check'), 'ok');
	// Nearly always the old; all of the new where it was faster than the signal.
	assert.ok(['4000', '8000'].includes(await site.sql('SELECT count(*) FROM bulk')));
	const next = path.join(site.dir, 'next.db');
	const backup = begin('backup', next);
	await until(() => fs.readdirSync(site.dir).some((f) => f.startsWith('next.db.') && size(path.join(site.dir, f)) > 1 << 20) ||
		backup.how, 'it writes');
	await backup.stop('SIGKILL');
	assert.ok(!fs.existsSync(next) || backup.how.code === 0, 'no half of a copy has the name');
	await site.must('backup', '--replace', next);
	await site.must('restore', copy);
	assert.equal(await site.sql('SELECT count(*), max(length(b)) FROM bulk'), '8000|4000');
	await reader.close();
});

test('restored into nothing, without one of our triggers, and what is refused', async (t) => {
	const site = await startSite(t, { ...nothing, conf: ['db.busy_ms = 100'] });
	await site.post('lobby', 'bob', 'kept');
	const copy = path.join(site.dir, 'copy.db');
	await site.must('backup', copy);
	await site.post('lobby', 'bob', 'more');
	const has = async (n) => assert.equal(await site.sql('SELECT count(*) FROM messages'), String(n));
	const bytes = fs.readFileSync(copy);
	const bad = path.join(site.dir, 'bad.db');
	const refuse = async (content, pattern) => {
		fs.writeFileSync(bad, content);
		await fails(site, pattern, 'restore', bad);
		await has(2);
	};
	await refuse('no database at all, but long enough to be looked at'.repeat(100), /not a database/);
	await refuse(Buffer.concat([bytes.subarray(0, 8192), Buffer.alloc(bytes.length - 8192)]), /damaged|malformed/);
	await refuse('', /no Sidewire schema/);
	await fails(site, /No such file/, 'restore', path.join(site.dir, 'none.db'));
	await fails(site, /is of the database itself/, 'restore', site.db);
	fs.writeFileSync(bad, bytes);
	fs.writeFileSync(`${bad}-wal`, 'something');
	await fails(site, /has a -wal beside it/, 'restore', bad);
	fs.rmSync(`${bad}-wal`);
	const edit = async (sql) => assert.equal((await run('sqlite3', [bad, `PRAGMA journal_mode = DELETE; ${sql}`])).code, 0);
	await edit("UPDATE sw_meta SET value = '99' WHERE key = 'version'");
	await fails(site, /of schema version 99/, 'restore', bad);
	const shell = new Shell(site);
	await shell.run('BEGIN IMMEDIATE;');
	await fails(site, /locked/, 'restore', copy);
	await shell.close();
	await has(2);
	// A damaged database is not written over: it may be all there is.
	await edit("UPDATE sw_meta SET value = '2' WHERE key = 'version'; DROP TRIGGER sw_messages_insert");
	for (const end of ['-wal', '-shm'])
		fs.rmSync(site.db + end, { force: true });
	fs.writeFileSync(site.db, 'broken'.repeat(1000));
	await fails(site, /move it away with its -wal and -shm/, 'restore', bad);
	fs.rmSync(site.db);
	assert.match(await site.must('restore', bad), /bad\.db: up to \d{4}-/);
	await has(1);
	assert.doesNotMatch(await site.must('check'), /FAIL/);
	await site.post('lobby', 'bob', 'an event again');
	assert.equal(await site.sql("SELECT count(*) FROM events WHERE type = 'NEW_MESSAGE'"), '2');
});

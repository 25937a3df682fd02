// Rows of programs that know nothing of Sidewire, in parallel: PHP (PDO), Python, the sqlite3
// shell.  They reach every poller and every socket once and in order; what is rolled back
// reaches nobody.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startSite } from './lib/site.js';
import { run } from './lib/process.js';
import { Poller, checkAnswer, ofType, settle } from './lib/poller.js';

const N = 30;	// transactions of each writer

const PHP = `<?php
$db = new PDO('sqlite:' . $argv[1], null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_TIMEOUT => 30]);
$one = $db->prepare('INSERT INTO messages(id, room_id, sender_id, sender_name, content) VALUES (?, ?, ?, ?, ?)');
for ($i = 0; $i < ${N}; $i++) {
	$one->execute(["php-$i-a", 'lobby', 'bob', 'Bob', "Grüße aus PHP \\u{1F418}"]);
	$db->exec('BEGIN IMMEDIATE');
	$one->execute(["php-$i-b", 'lobby', 'bob', 'Bob', 'b']);
	$one->execute(["php-$i-c", 'vault', 'bob', 'Bob', 'c']);
	if ($i % 3 == 0) {
		$db->exec('ROLLBACK');
		continue;
	}
	$db->exec('COMMIT');
}
`;

const PYTHON = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
insert = "INSERT INTO messages(id, room_id, sender_id, content) VALUES (?, ?, ?, ?)"
for i in range(${N}):
    db.execute("BEGIN IMMEDIATE")
    db.executemany(insert, [(f"python-{i}-{k}", "lobby", "alice", "Zeile %d" % k) for k in range(4)])
    db.execute("ROLLBACK" if i % 4 == 1 else "COMMIT")
    try:
        with db:
            db.execute("BEGIN IMMEDIATE")
            db.execute(insert, (f"python-{i}-x", "lobby", "alice", "x"))
            db.execute(insert, (f"python-{i}-x", "lobby", "alice", "the same id again"))
    except sqlite3.IntegrityError:
        pass
`;

// A savepoint, a statement of several rows, one that fails in its middle, REPLACE.
const SHELL = ['.timeout 30000'].concat(Array.from({ length: N }, (_, i) => `
INSERT INTO messages(id, room_id, sender_id, content) VALUES
	('shell-${i}-a', 'lobby', 'bob', 'a'), ('shell-${i}-b', 'vault', 'bob', 'b'), ('shell-${i}-c', 'lobby', 'bob', 'c');
INSERT OR IGNORE INTO messages(id, room_id, sender_id, content) VALUES ('shell-${i}-a', 'lobby', 'bob', 'ignored');
INSERT INTO messages(id, room_id, sender_id, content) VALUES ('shell-${i}-d', 'lobby', 'bob', 'd'), ('shell-${i}-a', 'lobby', 'bob', 'fails');
BEGIN IMMEDIATE;
INSERT INTO messages(id, room_id, sender_id, content) VALUES ('shell-${i}-e', 'lobby', 'bob', 'e');
SAVEPOINT inner;
INSERT INTO messages(id, room_id, sender_id, content) VALUES ('shell-${i}-f', 'lobby', 'bob', 'f');
ROLLBACK TO inner;
INSERT INTO messages(id, room_id, sender_id, content) SELECT 'shell-${i}-g' || value, 'lobby', 'bob', 'g' FROM json_each('[1,2,3]');
COMMIT;`)).join('\n');

// What each writer commits, in its order.
const EXPECTED = {
	php: (i) => [`php-${i}-a`, ...(i % 3 === 0 ? [] : [`php-${i}-b`, `php-${i}-c`])],
	python: (i) => (i % 4 === 1 ? [] : [0, 1, 2, 3].map((k) => `python-${i}-${k}`)),
	shell: (i) => [...'abce', 'g1', 'g2', 'g3'].map((k) => `shell-${i}-${k}`),
};
const IN_VAULT = /^(php-\d+-c|shell-\d+-b)$/;
const all = (writer) => Array.from({ length: N }, (_, i) => EXPECTED[writer](i)).flat();

test('rows of PHP, Python and a shell at once reach everybody, once and in order', async (t) => {
	const site = await startSite(t, { conf: ['limit.poll_per_s = 0'] });
	fs.writeFileSync(path.join(site.dir, 'writer.php'), PHP);
	fs.writeFileSync(path.join(site.dir, 'writer.py'), PYTHON);
	await settle(site, 'alice', 'bob', 'carol');

	const start = checkAnswer(await site.poll('carol')).timestamp;
	const isEnd = (e) => e.payload.id === 'end';
	const readers = [];		// { user, what, ids: a promise of the message ids in the order they came }
	for (const [user, timeout] of [['alice', 20], ['bob', 0], ['carol', 20], ['carol', 0.5]]) {
		const p = new Poller(site, user, { timeout, limit: 50 });
		await p.once({ timeout: 0 });
		readers.push({ user, what: `poll ${timeout}`, ids: () => p.walk((q) => q.events.some(isEnd), 'the end comes')
			.then(() => ofType(p.events, 'NEW_MESSAGE').map((e) => e.payload.id)) });
	}
	for (const [user, direct] of [['alice', true], ['bob', false], ['carol', true], ['carol', false]]) {
		const s = await site.connect(user, { direct });
		readers.push({ user, what: 'socket', ids: async () => {
			const ids = [];
			while (ids.at(-1) !== 'end') {
				const e = await s.next('the end');
				if (e.type === 'NEW_MESSAGE')
					ids.push(e.payload.id);
			}
			assert.deepEqual(ofType(await s.drain(), 'NEW_MESSAGE'), []);
			return ids;
		} });
	}

	const reading = Promise.all(readers.map((r) => r.ids()));
	reading.catch(() => {});
	const [php, python, shell] = await Promise.all([
		run('php', [path.join(site.dir, 'writer.php'), site.db]),
		run('/usr/bin/python3', [path.join(site.dir, 'writer.py'), site.db]),
		run('sqlite3', [site.db], { input: SHELL }),
	]);
	assert.deepEqual([php.code, php.out, python.code, python.err], [0, '', 0, '']);
	assert.equal((shell.err.match(/UNIQUE constraint failed/g) ?? []).length, N, shell.err);
	await site.post('lobby', 'bob', 'end', 'end');
	const got = await reading;

	const log = (await site.sql("SELECT entity_id FROM events WHERE type = 'NEW_MESSAGE' ORDER BY id")).split('\n');
	for (const writer of Object.keys(EXPECTED))
		assert.deepEqual(log.filter((id) => id.startsWith(`${writer}-`)), all(writer), writer);
	assert.equal(log.length, Object.keys(EXPECTED).flatMap(all).length + 1);
	readers.forEach(({ user, what }, i) => {
		const want = user === 'carol' ? log.filter((id) => !IN_VAULT.test(id)) : log;
		assert.deepEqual(got[i], want, `${user}, ${what}`);
	});
	// And from the log, afterwards, in one walk.
	const late = new Poller(site, 'carol', { limit: 9 });
	late.cursor = start;
	await late.walk((q) => q.events.some(isEnd), 'the end comes');
	assert.deepEqual(ofType(late.events, 'NEW_MESSAGE').map((e) => e.payload.id), log.filter((id) => !IN_VAULT.test(id)));
});

test('a transaction that stays open delays its rows, and nothing is skipped for it', async (t) => {
	const site = await startSite(t, { web: true, conf: ['limit.poll_per_s = 0'] });
	await settle(site, 'carol');
	const p = new Poller(site, 'carol');
	await p.once();
	const s = await site.connect('carol');
	const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
insert = "INSERT INTO messages(id, room_id, sender_id, content) VALUES (?, 'lobby', 'bob', 'x')"
db.execute("BEGIN IMMEDIATE")
db.execute(insert, ("slow-1",))
print("open", file=sys.stderr, flush=True)
sys.stdin.readline()
db.execute(insert, ("slow-2",))
db.execute("COMMIT")
`;
	const writer = site.start('writer', '/usr/bin/python3', ['-c', script, site.db], { stdin: 'pipe' });
	await writer.saw(/open/);
	for (let i = 0; i < 5; i++)
		assert.deepEqual(ofType((await p.once()).events, 'NEW_MESSAGE'), [], 'not committed, not there');
	// Another writer waits for the lock meanwhile.
	const other = site.post('lobby', 'bob', 'y', 'other');
	writer.child.stdin.end('go\n');
	await other;
	assert.equal((await writer.ended).code, 0);
	await p.walk((q) => q.events.some((e) => e.payload.id === 'other'), 'the other', { timeout: 10 });
	const want = ['slow-1', 'slow-2', 'other'];
	assert.deepEqual(ofType(p.events, 'NEW_MESSAGE').map((e) => e.payload.id), want);
	const ids = [];
	while (ids.length < 3)
		ids.push((await s.until('NEW_MESSAGE')).payload.id);
	assert.deepEqual(ids, want);
});

// What no event tells of: rights that change while our triggers are away, and a log that is
// an earlier one all at once.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startSite } from './lib/site.js';
import { run } from './lib/process.js';
import { Shell } from './lib/shell.js';

// Whoever is first puts the triggers back; the other is told by the schema's version.
const told = /rights are read anew/;

// What bob hears on a socket and by a held poll after the change.
async function hearsNoMore(site, room, change) {
	const bob = await site.connect('bob');
	await site.post(room, 'alice', 'before');
	await bob.until('NEW_MESSAGE', (m) => m.payload.content === 'before');
	const { timestamp } = (await site.poll('bob')).json;
	await change();
	await Promise.all([site.poller, site.sidecar].map((p) => p.saw(told)));
	const held = site.poll('bob', { lastTimestamp: timestamp, timeout: 20 });
	await site.post(room, 'alice', 'secret');
	await site.post('lobby', 'carol', 'for all');
	const seen = [];
	await bob.until('NEW_MESSAGE', (m) => {
		seen.push(m.payload.content);
		return m.payload.content === 'for all';
	});
	assert.deepEqual(seen, ['for all']);
	assert.ok(!(await held).json.events.some((e) => e.payload.content === 'secret'));
}

test('a block that came with a migration holds', async (t) => {
	const site = await startSite(t);
	await hearsNoMore(site, 'lobby', () => site.sql(`BEGIN;
		CREATE TABLE relationships_new AS SELECT * FROM user_relationships;
		INSERT INTO relationships_new(id, user_id, target_id, relationship_type)
			VALUES ('x', 'bob', 'alice', 'blocked');
		DROP TABLE user_relationships;
		ALTER TABLE relationships_new RENAME TO user_relationships;
		COMMIT;`));
});

test('a membership that a backup restored in place took away is gone', async (t) => {
	const site = await startSite(t);
	const backup = path.join(site.dir, 'backup.db');
	await site.sql("DELETE FROM room_members WHERE user_id = 'bob'");
	await site.sql(`VACUUM INTO '${backup}'`);
	await site.sql("INSERT INTO room_members(room_id, user_id) VALUES ('vault', 'bob')");
	await hearsNoMore(site, 'vault', async () => {
		const r = await run('sqlite3', ['-cmd', '.timeout 10000', site.db, `.restore '${backup}'`]);
		assert.equal(r.code, 0, r.err);
	});
});

// -wal and -shm of the old file are in their places, and a program of the site opens the new
// one first: our locks on -shm must outlive the closing of the old file.
test('a backup is moved over the database', async (t) => {
	const site = await startSite(t);
	await site.post('lobby', 'bob', 'kept');
	for (let i = 0; i < 8; i++)
		await site.poll('carol');
	const backup = path.join(site.dir, 'backup.db');
	await site.sql(`.backup '${backup}'`);
	await site.sql('PRAGMA wal_checkpoint(TRUNCATE)');
	const services = [site.poller, site.sidecar];
	services.forEach((p) => p.kill('SIGSTOP'));
	fs.renameSync(backup, site.db);
	const shell = new Shell(site);
	await shell.run('SELECT count(*) FROM users;');
	services.forEach((p) => p.kill('SIGCONT'));
	await Promise.all(services.map((p) => p.saw(/database was replaced, reading the new one/)));
	const s = await site.connect('carol');
	await shell.close();
	for (const p of services) {
		const shm = fs.statSync(`${site.db}-shm`).ino;
		const locks = fs.readFileSync('/proc/locks', 'utf8').split('\n');
		assert.ok(locks.some((l) => l.includes(` ${p.pid} `) && l.endsWith(`:${shm} 128 128`)), `${p.name} holds -shm`);
	}
	const polls = [];
	for (let i = 0; i < 20; i++) {
		polls.push(site.poll('carol'));
		await site.post('lobby', 'bob', `m${i}`);
		await s.until('NEW_MESSAGE', (m) => m.payload.content === `m${i}`);
	}
	for (const answer of await Promise.all(polls))
		assert.equal(answer.status, 200);
	assert.equal(await site.sql('SELECT count(*) FROM messages'), '21');
	assert.equal(await site.sql('PRAGMA integrity_check'), 'ok');
});

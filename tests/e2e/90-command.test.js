// The administrator's command: every subcommand, its exit code, its --json.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BIN, startSite } from './lib/site.js';
import { run } from './lib/process.js';
import { until, within } from './lib/deadline.js';

const nothing = { poll: false, ws: false, web: false };
const bare = { ...nothing, populate: false };
const COMMANDS = ['init', 'attach', 'detach', 'check', 'doctor', 'token', 'user', 'room', 'member', 'post', 'publish', 'tail', 'revoke', 'stats', 'prune', 'backup', 'restore', 'conns', 'keep'];

const json = async (site, ...args) => JSON.parse(await site.must(...args, '--json'));

// Must fail with this code and a message on stderr alone.
async function fails(site, code, pattern, ...args) {
	const r = await site.command(...args);
	assert.equal(r.code, code, `sidewire ${args.join(' ')}: ${r.code} ${r.out} ${r.err}`);
	assert.match(r.err, pattern, args.join(' '));
	assert.equal(r.out, '', args.join(' '));
}

const input = (site, text, ...args) =>
	run(path.join(BIN, 'sidewire'), ['-c', site.conf, ...args], { input: text });

test('help for everything, and usage errors', async (t) => {
	const site = await startSite(t, bare);
	const list = await run(path.join(BIN, 'sidewire'), ['help']);
	assert.equal(list.code, 0);
	assert.equal((await run(path.join(BIN, 'sidewire'), ['-h'])).out, list.out);
	assert.equal((await run(path.join(BIN, 'sidewire'), ['--help'])).out, list.out);
	const found = [...list.out.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map((m) => m[1]);
	assert.deepEqual(found.sort(), [...COMMANDS].sort());
	for (const name of COMMANDS) {
		const h = await run(path.join(BIN, 'sidewire'), ['help', name]);
		assert.equal(h.code, 0);
		assert.match(h.out, new RegExp(`^sidewire ${name} - .+\\n\\n {2}sidewire \\[-c FILE\\] ${name}`));
		assert.equal((await run(path.join(BIN, 'sidewire'), [name, '--help'])).out, h.out);
		if (name !== 'init' && name !== 'check')	// these have no options
			await fails(site, 2, new RegExp(`^sidewire ${name}: --colour: no such option.+\nusage: `), name, '--colour');
	}
	for (const name of ['init', 'attach', 'detach', 'check', 'stats', 'conns', 'prune', 'tail'])
		await fails(site, 2, /takes (no arguments|options only)[^]*usage: sidewire/, name, 'extra');
	const wrong = (...args) => fails(site, 2, new RegExp(`^sidewire ${args[0]}: .+\nusage: sidewire`), ...args);
	for (const args of [['post', 'lobby', 'alice'], ['publish', 'TYPE'], ['token'], ['token', 'a', 'b'],
		['post', 'lobby', 'alice', 'x', '--id', 'y'], ['token', 'alice', '--ttl', '0'],
		['token', 'alice', '--ttl', 'long'], ['prune', '--keep-rows', '-1'], ['tail', '--after', 'yesterday'],
		['publish', 'T', '{}', '--room', 'r', '--user', 'u'], ['publish', 'T', '{}', '--ttl'],
		['user'], ['room', 'list', '--email', 'x']])
		await wrong(...args);
	await site.must('init');	// these look at the database first
	for (const args of [['user', 'add'], ['user', 'sing', 'x'], ['room', 'add'], ['member', 'add', 'r']])
		await wrong(...args);
	const unknown = await run(path.join(BIN, 'sidewire'), ['sing']);
	assert.equal(unknown.code, 2);
	assert.match(unknown.err, /no command "sing"/);
	assert.equal((await run(path.join(BIN, 'sidewire'), [])).code, 2);
	assert.equal((await run(path.join(BIN, 'sidewire'), ['help', 'sing'])).code, 2);
});

test('users, rooms, members, posts', async (t) => {
	const site = await startSite(t, bare);
	await site.must('init');
	assert.equal(await site.must('user', 'list', '--json'), '[]');
	assert.equal(await site.must('user', 'add', 'Alice', '--id', 'alice', '--email', 'a@example.org'), 'alice');
	const { id } = await json(site, 'user', 'add', 'Bob "the" <b>');
	assert.match(id, /^\S+$/);
	await fails(site, 1, /it is there already: choose another --id/, 'user', 'add', 'Alice', '--id', 'alice');
	await fails(site, 1, /too long|plain text/, 'user', 'add', 'Long', '--id', 'x'.repeat(300));
	await fails(site, 1, /empty/, 'user', 'add', 'Nobody', '--id', '');
	const users = await json(site, 'user', 'list');
	assert.deepEqual(users.find((u) => u.id === 'alice'),
		{ id: 'alice', name: 'Alice', online: false, email: 'a@example.org' });
	assert.deepEqual(users.find((u) => u.id === id), { id, name: 'Bob "the" <b>', online: false, email: null });
	const text = (await site.must('user', 'list')).split('\n');
	assert.match(text[0], /^id +name +online +email$/);
	assert.match(text.find((l) => l.startsWith('alice')), /^alice +Alice +no +a@example\.org$/);
	// What users call themselves cannot command a terminal.
	await site.sql("INSERT INTO users(id, name) VALUES ('evil', char(27) || '[2J' || char(10) || 'x')");
	assert.match(await site.must('user', 'list'), /^evil +\?\[2J\?x /m);

	assert.equal(await site.must('room', 'add', 'Lobby', '--id', 'lobby'), 'lobby');
	assert.deepEqual(await json(site, 'room', 'add', 'Vault', '--id', 'vault', '--private', '--creator', 'alice'),
		{ id: 'vault' });
	await fails(site, 1, /no such user: nobody/, 'room', 'add', 'X', '--creator', 'nobody');
	assert.deepEqual((await json(site, 'room', 'list')).sort((a, b) => (a.id < b.id ? -1 : 1)), [
		{ id: 'lobby', name: 'Lobby', private: false, createdBy: null },
		{ id: 'vault', name: 'Vault', private: true, createdBy: 'alice' },
	]);
	assert.deepEqual(await json(site, 'member', 'list', 'vault'), [{ userId: 'alice', name: 'Alice' }]);
	await fails(site, 1, /room vault is private and \S+ is not a member/, 'post', 'vault', id, 'hello');
	await fails(site, 1, /no such room: attic/, 'post', 'attic', id, 'hello');
	await fails(site, 1, /no such user: nobody/, 'post', 'lobby', 'nobody', 'hello');
	assert.equal(await site.sql('SELECT count(*) FROM messages'), '0');
	await site.must('member', 'add', 'vault', id);
	await site.must('member', 'add', 'vault', id);		// twice is once
	assert.equal((await json(site, 'member', 'list', 'vault')).length, 2);
	const posted = await json(site, 'post', 'vault', id, 'in the vault', '--type', 'note');
	assert.equal(await site.sql(`SELECT content, type, sender_name FROM messages WHERE id = '${posted.id}'`),
		'in the vault|note|Bob "the" <b>');
	await site.must('member', 'delete', 'vault', id);
	await fails(site, 1, /no such member of the room/, 'member', 'delete', 'vault', id);
	await fails(site, 1, /no such room or user/, 'member', 'add', 'attic', 'alice');
	await fails(site, 1, /no such room: attic/, 'member', 'list', 'attic');

	assert.equal((await input(site, 'line one\nline two', 'post', 'lobby', 'alice', '-')).code, 0);
	assert.equal(await site.sql("SELECT content FROM messages WHERE room_id = 'lobby'"), 'line one\nline two');
	const nul = await input(site, 'a\0b', 'post', 'lobby', 'alice', '-');
	assert.equal(nul.code, 1);
	assert.match(nul.err, /NUL/);
	const long = await input(site, 'x'.repeat(70000), 'post', 'lobby', 'alice', '-');
	assert.equal(long.code, 1);
	assert.match(long.err, /longer than 65536 bytes/);

	await site.must('room', 'delete', 'vault');
	await fails(site, 1, /no such room: vault/, 'room', 'delete', 'vault');
	await site.must('user', 'delete', id);
	await fails(site, 1, /no such user/, 'user', 'delete', id);
});

test('token: good for the services, and for whom there is', async (t) => {
	const site = await startSite(t);
	const token = await site.must('token', 'alice', '--ttl', '100', '--scope', 'metrics');
	assert.equal((await site.request('GET', '/api/realtime/poll', { token })).status, 200);
	assert.equal((await site.request('GET', '/api/realtime/metrics', { token })).status, 200);
	const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
	assert.equal(claims.sub, 'alice');
	assert.equal(claims.scope, 'metrics');
	assert.ok(Math.abs(claims.exp - Date.now() / 1000 - 100) < 60);
	await fails(site, 1, /no such user: nobody \(--any signs all the same\)/, 'token', 'nobody');
	const any = (await json(site, 'token', 'nobody', '--any')).token;
	assert.equal((await site.request('GET', '/api/realtime/poll', { token: any })).status, 401);
});

test('publish', async (t) => {
	const site = await startSite(t, { poll: false, web: false });
	const [alice, bob, carol] = await Promise.all(
		['alice', 'bob', 'carol'].map((u) => site.connect(u, { direct: true })));
	const { timestamp } = await json(site, 'publish', 'ORDER', '{"n":1}', '--user', 'alice');
	const m = await alice.until('ORDER');
	assert.deepEqual(m, { type: 'ORDER', payload: { n: 1 }, timestamp });
	assert.equal((await site.must('publish', 'VAULT', '{}', '--room', 'vault')).length, timestamp.length);
	const big = JSON.stringify({ text: 'ü'.repeat(10000) });
	assert.equal((await input(site, big, 'publish', 'ALL', '-')).code, 0);
	assert.equal((await carol.until('ALL')).payload.text.length, 10000);
	await bob.until('VAULT');
	await bob.until('ALL');
	assert.deepEqual(carol.all.filter((text) => /"(ORDER|VAULT)"/.test(text)), []);
	assert.deepEqual(bob.all.filter((text) => /"ORDER"/.test(text)), []);
	const before = await site.sql('SELECT count(*) FROM events');
	for (const payload of ['{', '[1]', '7', '', '"text"', '{"a":1} x', '{"a":NaN}'])
		await fails(site, 1, /payload a JSON object/, 'publish', 'T', payload);
	await fails(site, 1, /the type/, 'publish', '', '{}');
	await fails(site, 1, /no such user: nobody/, 'publish', 'T', '{}', '--user', 'nobody');
	await fails(site, 1, /no such room: attic/, 'publish', 'T', '{}', '--room', 'attic');
	assert.equal(await site.sql('SELECT count(*) FROM events'), before);
});

test('tail --once: the log as it is, or what a user may see', async (t) => {
	const site = await startSite(t, nothing);
	await site.post('lobby', 'bob', 'open');
	await site.post('vault', 'bob', 'secret');
	await site.must('publish', 'ORDER', '{"n":1}', '--user', 'alice');
	const after = ['--after', '2000-01-01T00:00:00Z', '--once'];
	const all = (await site.must('tail', ...after, '--json')).split('\n').map((l) => JSON.parse(l));
	const last = all.slice(-3);
	assert.deepEqual(last.map((e) => [e.roomId, e.userId, e.actorId, e.event.type]), [
		['lobby', null, 'bob', 'NEW_MESSAGE'], ['vault', null, 'bob', 'NEW_MESSAGE'], [null, 'alice', null, 'ORDER']]);
	const text = await site.must('tail', ...after);
	assert.match(text, /^to room vault: \{"type":"NEW_MESSAGE".*secret/m);
	assert.match(text, /^to user alice: \{"type":"ORDER"/m);
	assert.match(text, /^to all: \{"type":"USER_JOINED"/m);
	for (const [user, want] of [['alice', ['open', 'secret', 1]], ['bob', ['open', 'secret']], ['carol', ['open']]]) {
		const seen = (await site.must('tail', '--user', user, ...after)).split('\n').map((l) => JSON.parse(l));
		assert.deepEqual(seen.filter((e) => /NEW_MESSAGE|ORDER/.test(e.type))
			.map((e) => e.payload.content ?? e.payload.n), want, user);
	}
	assert.equal(await site.must('tail', '--once'), '');
	const rest = (await site.must('tail', '--after', last[1].event.timestamp, '--once')).split('\n');
	assert.equal(rest.length, 1);
	await fails(site, 1, /no such user: nobody/, 'tail', '--user', 'nobody', '--once');
});

test('tail follows until it is interrupted', async (t) => {
	const site = await startSite(t, nothing);
	const follow = (name, ...args) => site.start(name, path.join(BIN, 'sidewire'), ['-c', site.conf, 'tail', ...args]);
	const every = follow('tail', '--json');
	const hers = follow('tail of carol', '--user', 'carol');
	// It tells from its start on: when that is, a message that is told says.
	const hello = (p) => until(async () => {
		await site.post('lobby', 'bob', 'hello');
		return p.out.includes('hello');
	}, `${p.name} follows`);
	await hello(every);
	await hello(hers);
	for (let i = 0; i < 5; i++)
		await site.post(i === 2 ? 'vault' : 'lobby', 'bob', `m${i}`);
	const texts = (p) => p.out.split('\n').filter((l) => /"m\d"/.test(l)).map((l) => /"(m\d)"/.exec(l)[1]);
	await until(() => texts(every).length === 5 && texts(hers).includes('m4'), 'both tell all');
	assert.deepEqual(texts(every), ['m0', 'm1', 'm2', 'm3', 'm4']);
	assert.deepEqual(texts(hers), ['m0', 'm1', 'm3', 'm4']);
	for (const p of [every, hers]) {
		const how = await p.stop('SIGINT');
		assert.ok(how.signal === 'SIGINT' || how.code === 0, JSON.stringify(how));
		assert.equal(p.log, '');
	}
	// A file in place of another: said, not followed silently for ever.
	const other = follow('tail');
	await hello(other);
	const copy = path.join(site.dir, 'copy.db');
	await site.sql(`VACUUM INTO '${copy}'`);
	for (const end of ['-wal', '-shm'])
		fs.rmSync(site.db + end, { force: true });
	fs.renameSync(copy, site.db);
	assert.equal((await within(other.ended, 'tail ends')).code, 1);
	assert.match(other.log, /was replaced; start again/);
});

test('stats, prune, check', async (t) => {
	const site = await startSite(t);
	await site.poll('alice');
	await site.connect('alice');
	// What her coming writes is written.
	await until(async () => await site.sql("SELECT is_online FROM users WHERE id = 'alice'") === '1', 'alice is online');
	const stats = await json(site, 'stats');
	assert.equal(stats.polls_total, 1);
	assert.equal(stats.connections, 1);
	assert.equal(stats.poll_processes, 1);
	assert.equal(stats.sidecar_processes, 1);
	assert.equal(stats.events_rows, Number(await site.sql('SELECT count(*) FROM events')));
	const text = await site.must('stats', '--prometheus');
	const table = await site.must('stats');
	assert.match(text, /^# TYPE sidewire_polls_total counter\nsidewire_polls_total 1$/m);
	for (const name of Object.keys(stats))
		assert.match(text, new RegExp(`^sidewire_${name} `, 'm'));
	for (const [name, value] of Object.entries(stats))
		assert.match(table, new RegExp(`^ *${name === 'events_oldest_seconds' ? '[0-9.]+' : value}  ${name} +[A-Z]`, 'm'));
	assert.match(table, new RegExp(`^fcgi-poll, process ${site.poller.pid}: 0 held requests$`, 'm'));
	assert.match(table, new RegExp(`^ws-sidecar, process ${site.sidecar.pid}: 1 connections$`, 'm'));
	for (let i = 0; i < 20; i++)
		await site.post('lobby', 'bob', `m${i}`);
	const had = Number(await site.sql('SELECT count(*) FROM events'));
	assert.deepEqual(await json(site, 'prune'), { removed: 0, keys: 0 });
	const { removed } = await json(site, 'prune', '--keep-rows', '10');
	const left = Number(await site.sql('SELECT count(*) FROM events'));
	assert.equal(removed, had - left);
	assert.ok(left >= 10 && left <= 11, `${left} are left`);
	await site.sql(`INSERT INTO sw_sends(id, user_id, key, digest, message_id)
		VALUES (1, 'bob', 'old', 1, 'x'), (9e15, 'bob', 'new', 1, 'y')`);
	assert.match(await site.must('prune', '--keep-seconds', '0'), /^removed \d+ events and 1 keys of sends$/);
	assert.equal(await site.sql('SELECT group_concat(key) FROM sw_sends'), 'new');
	assert.equal(await site.sql('SELECT count(*) FROM events'), '1');
	assert.equal(await site.sql('SELECT count(*) FROM messages'), '20');

	const good = (await site.must('check')).split('\n');
	assert.deepEqual(good.map((l) => l.split(/ +/).slice(0, 2).join(' ')), ['configuration ok', 'key ok',
		'run_dir ok', 'database ok', 'schema ok', 'integrity ok']);
	fs.writeFileSync(path.join(site.dir, 'jwt.key'), 'short');
	const bad = await site.command('check');
	assert.equal(bad.code, 1);
	assert.match(bad.out, /^key +FAIL .*32 bytes/m);
	assert.match(bad.out, /^integrity +ok/m);
});

test('conns: who, how, since when; never a token', async (t) => {
	const site = await startSite(t);
	assert.equal(await site.must('conns', '--json'), '[]');
	const before = Date.now();
	await site.poll('alice');
	await site.connect('bob');
	const second = await site.connect('bob');
	const carol = await site.connect('carol');
	const rows = async () => JSON.parse(await site.must('conns', '--json'));
	await until(async () => (await rows()).length === 3, 'all three are seen');
	const [alice, bob] = await rows();
	const pid = String(site.sidecar.pid);
	assert.deepEqual({ ...alice, since: null }, { userId: 'alice', name: 'Alice', transport: 'poll', sockets: null, since: null,
		process: null });
	assert.deepEqual({ ...bob, since: null }, { userId: 'bob', name: 'Bob', transport: 'websocket', sockets: '2', since: null,
		process: pid });
	for (const { since } of [alice, bob])
		assert.ok(Date.parse(since) >= before - 1000 && Date.parse(since) <= Date.now() + 1000, since);
	second.ws.terminate();
	carol.ws.terminate();
	await until(async () => (await rows()).some((r) => r.userId === 'carol' && r.transport === 'leaving'), 'carol leaves');
	await until(async () => (await rows()).some((r) => r.userId === 'bob' && r.sockets === '1'), 'one socket is left');
	assert.match(await site.must('conns'), /^userId +name +transport +sockets +since +process\nalice +Alice +poll +- +\d{4}-/);
	await site.sidecar.stop('SIGKILL');
	assert.equal((await rows()).find((r) => r.userId === 'bob').sockets, '0');
});

test('check makes nothing that the services could not use', async (t) => {
	const site = await startSite(t, bare);
	await site.must('init');
	const r = await site.command('check');
	assert.equal(r.code, 0, r.out);
	assert.ok(!fs.existsSync(path.join(site.dir, 'run')));
});

// The statements that would make the database again.
const dump = (site) => site.sql('.dump');
// Tables and rows of a site from before, with what it calls its own.
const SITE = `
	CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE, password_hash TEXT,
		avatar TEXT, is_online BOOLEAN DEFAULT 0, bio TEXT, karma INTEGER DEFAULT 7);
	CREATE TABLE rooms (id INTEGER PRIMARY KEY, name TEXT, is_private BOOLEAN DEFAULT 0, password_hash TEXT,
		created_by INTEGER REFERENCES users(id), description TEXT);
	CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, room_id INTEGER REFERENCES rooms(id),
		sender_id INTEGER REFERENCES users(id), sender_name TEXT, sender_avatar TEXT, content TEXT, type TEXT
		DEFAULT 'text', timestamp DATETIME DEFAULT CURRENT_TIMESTAMP);
	CREATE TABLE orders (id INTEGER PRIMARY KEY, what BLOB);
	CREATE INDEX messages_by_sender ON messages(sender_id);
	CREATE TRIGGER own AFTER INSERT ON orders BEGIN UPDATE users SET karma = karma + 1; END;
	INSERT INTO users(id, name, email) VALUES (1, 'Ann', 'a@x'), (2, 'Ben', NULL);
	INSERT INTO rooms(id, name, is_private, created_by) VALUES (10, 'Hall', 0, 1), (11, 'Den', 1, 2);
	INSERT INTO messages(room_id, sender_id, content) VALUES (10, 1, 'first'), (11, 2, x'00ff'), (10, 2, NULL);
	INSERT INTO orders(what) VALUES (x'0102');`;

test('init: a new file, and twice is once', async (t) => {
	const site = await startSite(t, bare);
	assert.match(await site.must('init'), /sidewire\.db: made \d+ tables, indexes and triggers$/);
	const first = await dump(site);
	assert.match(await site.must('init'), /nothing to do$/);
	assert.equal(await dump(site), first);
	assert.equal(fs.statSync(site.db).mode & 0o007, 0, 'not for everybody');
	assert.doesNotMatch(await site.must('check'), /FAIL/);
});

test("init: a site's tables keep their rows and definitions", async (t) => {
	const site = await startSite(t, bare);
	await site.sql(SITE);
	const mine = (await dump(site)).split(/;\n/);
	await site.must('init');
	const after = await dump(site);
	for (const statement of mine)
		assert.ok(after.includes(statement), `kept: ${statement}`);
	await site.must('init');
	assert.equal(await dump(site), after);
	await site.startSidecar();
	const ann = await site.connect('1', { direct: true });
	await site.sql("INSERT INTO messages(room_id, sender_id, sender_name, content) VALUES (10, 2, 'Ben', 'hello')");
	const m = await ann.until('NEW_MESSAGE');
	assert.deepEqual([m.payload.id, m.payload.roomId, m.payload.senderId, m.payload.content], ['4', '10', '2', 'hello']);
	// The creator of a private room is in it.
	assert.deepEqual(await json(site, 'member', 'list', '11'), [{ userId: '2', name: 'Ben' }]);
	assert.deepEqual(await json(site, 'member', 'list', '10'), [{ userId: '1', name: 'Ann' }]);
	assert.equal((await site.must('post', '11', '2', 'from the command')).length > 0, true);
	await fails(site, 1, /room 11 is private and 1 is not a member/, 'post', '11', '1', 'x');
});

test('init: tables that lack columns are named, and nothing is changed', async (t) => {
	const site = await startSite(t, bare);
	await site.sql(`CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, avatar TEXT);
		CREATE TABLE messages (id INTEGER PRIMARY KEY, room_id INTEGER, content TEXT);
		INSERT INTO users(name) VALUES ('Ann')`);
	const before = await dump(site);
	const r = await site.command('init');
	assert.equal(r.code, 1);
	assert.match(r.err, /table users lacks is_online, bio; run: ALTER TABLE users ADD COLUMN is_online /);
	assert.match(r.err, /table messages lacks sender_id, /);
	assert.equal(await dump(site), before);
	// What it says to run is what is needed.
	await site.sql([...r.err.matchAll(/ALTER TABLE [^;]+;/g)].map((m) => m[0]).join('\n'));
	await site.must('init');
	assert.doesNotMatch(await site.must('check'), /FAIL/);
	assert.equal(await site.sql('SELECT name, is_online FROM users'), 'Ann|0');
	// A view where a table should be, and a table of the site's with a name of ours.
	for (const [sql, pattern] of [
		['CREATE VIEW rooms AS SELECT 1 AS id', /rooms is not an ordinary table/],
		['CREATE TABLE events (id INTEGER PRIMARY KEY, title TEXT)', /table events lacks .*Sidewire needs this name/],
	]) {
		const other = await startSite(t, bare);
		await other.sql(sql);
		const had = await dump(other);
		await fails(other, 1, pattern, 'init');
		assert.equal(await dump(other), had);
	}
});

test('init while the services run and the site writes', async (t) => {
	const site = await startSite(t, { poll: false, web: false });
	const s = await site.connect('carol', { direct: true });
	await s.drain();
	let isDone = false;
	const writer = (async () => {
		for (let i = 0; i < 50; i++)
			await site.post('lobby', 'bob', `m${i}`);
		isDone = true;
	})();
	while (!isDone)
		assert.match(await site.must('init'), /nothing to do$/);
	await writer;
	for (let i = 0; i < 50; i++)
		assert.equal((await s.until('NEW_MESSAGE')).payload.content, `m${i}`);
	assert.equal(s.end, undefined);
});

test('stdout that takes nothing is a failure', async (t) => {
	const site = await startSite(t, nothing);
	const full = fs.openSync('/dev/full', 'w');
	t.after(() => fs.closeSync(full));
	for (const args of [['user', 'list'], ['help'], ['stats']]) {
		const r = await run('sh', ['-c', 'exec "$@" >/dev/full', 'sh', path.join(BIN, 'sidewire'), '-c', site.conf, ...args]);
		assert.equal(r.code, 1, args.join(' '));
		assert.match(r.err, /stdout: No space left/);
	}
});

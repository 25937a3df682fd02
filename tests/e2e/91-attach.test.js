// A site whose tables have other names: `sidewire attach` with the maps of docs/maps, the real
// services beside it, and `detach`.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startSite } from './lib/site.js';
import { until } from './lib/deadline.js';

const MAPS = fileURLToPath(new URL('../../docs/maps', import.meta.url));
const bare = { poll: false, ws: false, web: false, populate: false };

const POSTS = `(post_id INTEGER PRIMARY KEY AUTOINCREMENT,
	board INTEGER NOT NULL REFERENCES boards(board_id), author INTEGER NOT NULL REFERENCES members(member_id),
	subject TEXT NOT NULL, body TEXT NOT NULL, ip TEXT NOT NULL, posted INTEGER NOT NULL)`;
const FORUM = `
CREATE TABLE members (member_id INTEGER PRIMARY KEY AUTOINCREMENT, nick VARCHAR(40) NOT NULL UNIQUE,
	mail TEXT NOT NULL, pass TEXT NOT NULL, joined INTEGER NOT NULL);
CREATE TABLE boards (board_id INTEGER PRIMARY KEY, title TEXT NOT NULL,
	visibility TEXT NOT NULL DEFAULT 'all', owner INTEGER);
CREATE TABLE board_access (board INTEGER NOT NULL, member INTEGER NOT NULL, granted INTEGER, PRIMARY KEY (board, member));
CREATE TABLE posts ${POSTS};
CREATE TABLE ignores (who INTEGER NOT NULL, whom INTEGER NOT NULL, kind INTEGER NOT NULL DEFAULT 2);
CREATE VIEW recent AS SELECT * FROM boards;
INSERT INTO members(nick, mail, pass, joined) VALUES ('Ann', 'ann@example.org', 'x', 1), ('Ben', 'ben@example.org', 'x', 2),
	('Cleo', 'cleo@example.org', 'x', 3);
INSERT INTO boards VALUES (1, 'General', 'all', 1), (2, 'Staff', 'staff', 1);
INSERT INTO board_access VALUES (2, 1, 0), (2, 2, 0);
INSERT INTO posts(board, author, subject, body, ip, posted) VALUES (1, 1, 'Hello', 'First', '10.0.0.1', 1700000000);`;
const SHOP = `
CREATE TABLE customer ("customer no" INTEGER PRIMARY KEY, given TEXT NOT NULL, family TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 0);
CREATE TABLE orders (number TEXT PRIMARY KEY, customer INTEGER NOT NULL, status TEXT NOT NULL DEFAULT 'new', total REAL);
CREATE TABLE news (id INTEGER PRIMARY KEY, title TEXT);
INSERT INTO customer VALUES (7, 'Ida', 'Berg', 0), (8, 'Per', 'Holm', 0);
INSERT INTO orders VALUES ('0012', 7, 'new', 12.5), ('12', 8, 'new', 1);`;

// A site with this schema; nothing of Sidewire's is in it yet.
async function foreign(t, schema) {
	const site = await startSite(t, { ...bare, conf: ['presence.grace_s = 1'] });
	await site.sql(schema);
	return site;
}

// All that the database holds.  An AUTOINCREMENT of ours leaves SQLite's own table behind.
const dump = async (site) => (await site.sql('.dump')).replace(/.*sqlite_sequence.*\n/g, '');

function writeMap(site, text) {
	const file = path.join(site.dir, 'site.map');
	fs.writeFileSync(file, text);
	return file;
}

const forumMap = fs.readFileSync(path.join(MAPS, 'forum.map'), 'utf8');

async function startAll(site) {
	await site.startPoll();
	await site.startSidecar();
	await site.startLighttpd();
}

const write = (site, board, author, body) => site.sql(`INSERT INTO posts(board, author, subject, body, ip, posted)
	VALUES (${board}, ${author}, 's', '${body}', '::1', 1750000000) RETURNING post_id`);

test('a forum: polls, sockets, sends, presence, members, blocks', async (t) => {
	const site = await foreign(t, FORUM);
	await site.must('attach', '--map', path.join(MAPS, 'forum.map'));
	await site.must('check');
	await startAll(site);
	const from = (await site.poll('1')).json.timestamp;
	const ben = await site.connect('2', { direct: true, protocols: ['sidewire.v1'] });
	const cleo = await site.connect('3', { direct: true, protocols: ['sidewire.v1'] });
	await ben.until('sync');
	await cleo.until('sync');

	// A row of the site's own, to a poll and to sockets, with names and times as they are there.
	const id = await write(site, 1, 1, 'from the forum');
	const told = { id, roomId: '1', senderId: '1', senderName: 'Ann', senderAvatar: '', content: 'from the forum',
		type: 'text', timestamp: '2025-06-15T15:06:40.000Z' };
	for (const s of [ben, cleo])
		assert.deepEqual((await s.until('NEW_MESSAGE')).payload, told);
	const poll = await site.poll('1', { lastTimestamp: from, timeout: 10 });
	assert.deepEqual(poll.json.events.filter((e) => e.type === 'NEW_MESSAGE').map((e) => e.payload), [told]);

	// A private board is for its members, and a new one is let in.
	await write(site, 2, 1, 'staff only');
	assert.equal((await ben.until('NEW_MESSAGE')).payload.content, 'staff only');
	await site.sql('INSERT INTO board_access VALUES (2, 3, 0)');
	assert.deepEqual((await cleo.until('ROOM_JOINED')).payload, { roomId: '2', userId: '3' });
	await write(site, 2, 1, 'welcome');
	assert.equal((await cleo.until('NEW_MESSAGE')).payload.content, 'welcome');

	// A client sends: the row is the forum's, with what the map gives besides.
	cleo.send({ type: 'send', payload: { key: 'k1', roomId: '1', content: 'I send' } });
	const ack = (await cleo.until('ack')).payload;
	const sent = (await ben.until('NEW_MESSAGE', (e) => e.payload.senderId === '3')).payload;
	assert.deepEqual([sent.id, sent.senderName, sent.content], [ack.id, 'Cleo', 'I send']);
	const [row, posted] = (await site.sql(`SELECT board, author, subject, body, ip || ',' || posted FROM posts WHERE post_id = ${ack.id}`)).split(',');
	assert.equal(row, '1|3|I send|I send|0.0.0.0');
	assert.ok(Math.abs(Number(posted) - Date.parse(ack.timestamp) / 1000) < 2, posted);
	const again = await site.request('POST', '/api/realtime/send', { token: site.token('3'),
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify({ type: 'send', payload: { key: 'k1', roomId: '1', content: 'I send' } }) });
	assert.deepEqual([again.json.payload.id, again.json.payload.duplicate], [ack.id, true]);
	const history = await site.request('GET', '/api/realtime/history?roomId=1', { token: site.token('1') });
	assert.deepEqual(history.json.messages.map((m) => m.content), ['First', 'from the forum', 'I send']);

	// Who is online, which the forum does not keep; who is ignored.
	const online = (await site.poll('1')).json.events.filter((e) => e.type === 'USER_UPDATE' && e.payload.isOnline);
	assert.deepEqual(online.map((e) => e.payload.name).sort(), ['Ben', 'Cleo']);
	await cleo.close();
	assert.deepEqual((await ben.until('USER_LEFT')).payload, { userId: '3' });
	await site.sql('INSERT INTO ignores(who, whom) VALUES (2, 1)');
	assert.deepEqual((await ben.until('USER_UPDATE', (e) => e.payload.blocked.length > 0)).payload.blocked, ['1']);
	await write(site, 1, 1, 'unheard');
	await write(site, 1, 3, 'heard');
	assert.equal((await ben.until('NEW_MESSAGE')).payload.content, 'heard');

	// The forum rebuilds its table: its rows are told all the same.
	await site.sql(`BEGIN; CREATE TABLE new_posts ${POSTS}; INSERT INTO new_posts SELECT * FROM posts; DROP TABLE posts;
		ALTER TABLE new_posts RENAME TO posts; COMMIT;`);
	await until(async () => Number(await site.sql("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'posts'")) === 4,
		'the triggers are back');
	await write(site, 1, 3, 'after the migration');
	assert.equal((await ben.until('NEW_MESSAGE')).payload.content, 'after the migration');
});

test('services that run notice another map, and say what to do', async (t) => {
	const site = await foreign(t, FORUM);
	const map = writeMap(site, forumMap);
	await site.must('attach', '--map', map);
	await site.startPoll();
	await site.must('attach', '--map', writeMap(site, forumMap.replace('users.email = mail\n', '')));
	await site.poller.saw(/attached or detached meanwhile: start this program again/);
});

test('a dry run shows the SQL and changes nothing; detach leaves the site as it was', async (t) => {
	const site = await foreign(t, FORUM);
	const before = await dump(site);
	const map = path.join(MAPS, 'forum.map');
	const shown = await site.must('attach', '--map', map, '--dry-run');
	assert.match(shown, /CREATE TRIGGER IF NOT EXISTS sw_messages_insert AFTER INSERT ON "posts"\n/);
	assert.match(shown, /CREATE TEMP VIEW sw_users AS/);
	assert.equal(await dump(site), before);

	await site.must('attach', '--map', map);
	await site.must('check');
	const attached = await dump(site);
	await site.must('attach', '--map', map);
	assert.equal(await dump(site), attached, 'a second time changes nothing');
	// Another map takes the place of the first.
	await site.must('attach', '--map', writeMap(site, forumMap.split('\n').filter((l) => !/^(user_rel|room_members|rooms\.is_private)/.test(l)).join('\n')));
	await site.must('check');
	assert.equal(await site.sql("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('ignores', 'board_access')"), '0');
	assert.match(await site.must('member', 'list', '2'), /Ann/, 'the owner, in a table of ours');

	await site.must('detach');
	const check = await site.command('check');
	assert.match(check.out, /database +FAIL .*no Sidewire schema/);
	assert.equal(await site.sql("SELECT count(*) FROM sqlite_master WHERE name LIKE 'sw^_%' ESCAPE '^' AND tbl_name IN ('members', 'posts', 'boards')"), '0');
	await site.must('attach', '--map', map);
	await site.must('detach', '--purge');
	assert.equal(await dump(site), before);
	const gone = await site.command('detach');
	assert.deepEqual([gone.code, gone.out], [1, '']);
	assert.match(gone.err, /no Sidewire schema/);
});

test('what the site has not is named, all of it, and nothing is changed', async (t) => {
	const site = await foreign(t, FORUM);
	const before = await dump(site);
	const refused = async (map, ...patterns) => {
		const r = await site.command('attach', '--map', writeMap(site, map));
		assert.deepEqual([r.code, r.out], [1, ''], r.err);
		for (const pattern of patterns)
			assert.match(r.err, pattern);
		assert.match(r.err, /nothing was changed\n$/);
		assert.equal(await dump(site), before);
	};
	const swap = (...pairs) => pairs.reduce((map, [a, b]) => {
		assert.ok(map.includes(a), a);
		return map.replace(a, b);
	}, forumMap);
	await refused(swap(['users.name = nick', 'users.name = nickname'], ['messages.content = body', 'messages.content = text'],
		['rooms = boards', 'rooms = forums']),
	/users\.name: table members has no column nickname/, /messages\.content: table posts has no column text/, /rooms: there is no table forums/);
	await refused(swap(['rooms = boards', 'rooms = recent']), /recent is not an ordinary table/);
	await refused(swap(["visibility <> 'all'", "visible <> 'all'"]), /rooms\.is_private: no such column: s\.visible/);
	await refused(swap(["visibility <> 'all'", 'length(visibility, 2)']), /rooms\.is_private: wrong number of arguments/);
	await refused(swap(["visibility <> 'all'", 'min(visibility)']), /rooms\.is_private: misuse of aggregate/);
	await refused(swap(["visibility <> 'all'", "(SELECT 1 FROM members)"]), /line \d+: rooms\.is_private: .*"SELECT/);
	await refused(swap(["visibility <> 'all'", "visibility -> 'x'"]), /JSON has no place/);
	await refused(swap(["visibility <> 'all'", 'load_extension(visibility)']), /not one of the functions that cannot fail: "load_extension/);
	await refused(swap(['messages = posts', 'messages = events']), /"events" is a name that Sidewire or SQLite needs/);
	await refused(swap(['messages = posts', 'messages = sw_posts']), /"sw_posts" is a name/);
	await refused(swap(["messages.insert.ip = '0.0.0.0'\n", '']), /messages: posts\.ip must have a value: messages\.insert\.ip = VALUE/);
	await refused(swap(['users.id = member_id', 'users.id = joined']), /users\.id: members\.joined has no index/);
	await refused(swap(['messages.id = post_id', 'messages.id = posted']), /posts\.posted has no index/);
	await refused(swap(['messages.content = body\n', '']), /messages\.content: is missing/);
	await refused(`${forumMap}nonsense\nusers.shoes = nick\nhats = x\n`, /nonsense: NAME = VALUE/, /users has no such column/, /hats: no such key/);
	await refused(`${forumMap}event.BOARD = boards\nevent.BOARD.id = board_id\n`, /whom is it for/, /payload = COLUMN, \.\.\. is missing/);
	await refused(`${forumMap}event.NEW_MESSAGE = boards\n`, /a type that Sidewire has itself/);
	await site.sql('CREATE TABLE Events (id INTEGER PRIMARY KEY, what TEXT); CREATE TABLE sw_stuff (x)');
	const clash = await site.command('attach', '--map', path.join(MAPS, 'forum.map'));
	assert.equal(clash.code, 1);
	assert.match(clash.err, /Events: Sidewire needs this name[^]*sw_stuff: Sidewire needs this name/);
	assert.match((await site.command('attach', '--map', '/no/such/map')).err, /No such file/);
	assert.equal((await site.command('attach')).code, 2);
});

test('a shop: rows become events of its own, told to whom they are for', async (t) => {
	const site = await foreign(t, SHOP);
	await site.must('attach', '--map', path.join(MAPS, 'shop.map'));
	await startAll(site);
	const from = (await site.poll('7')).json.timestamp;
	const ida = await site.connect('7', { direct: true });
	const per = await site.connect('8', { direct: true });
	await site.sql("UPDATE orders SET total = 13 WHERE number = '0012'");
	await site.sql("UPDATE orders SET status = 'shipped' WHERE number = '0012'");
	await site.sql("UPDATE orders SET total = 14 WHERE number = '0012'; INSERT INTO news(title) VALUES ('Sale')");
	const order = await ida.until('ORDER_SHIPPED');
	assert.deepEqual({ ...order.payload, sum: 0 }, { number: '0012', status: 'shipped', sum: 0 });
	assert.deepEqual((await ida.until('NEWS')).payload, { id: 1, title: 'Sale' });
	assert.deepEqual((await per.until('NEWS')).payload, { id: 1, title: 'Sale' });
	const own = (e) => ['ORDER_SHIPPED', 'NEWS'].includes(e.type);
	assert.deepEqual((await site.poll('7', { lastTimestamp: from })).json.events.filter(own).map((e) => e.payload),
		[{ number: '0012', status: 'shipped', sum: 14 }, { id: 1, title: 'Sale' }]);
	assert.deepEqual((await site.poll('8', { lastTimestamp: from })).json.events.filter(own).map((e) => e.type), ['NEWS']);
	assert.equal(await site.sql('SELECT count(*) FROM events WHERE payload IS NOT NULL'), '0');
	// An order that is another's since is told to neither: not to whom it was for.
	await site.sql("UPDATE orders SET customer = 8 WHERE number = '0012'");
	assert.deepEqual((await site.poll('7', { lastTimestamp: from })).json.events.filter(own).map((e) => e.type), ['NEWS']);
	const online = await site.sql('SELECT group_concat("customer no") FROM customer WHERE active');
	assert.equal(online, '7,8');
	ida.send({ type: 'send', payload: { roomId: 'main', content: 'x' } });
	assert.equal((await ida.until('error')).payload.code, 'not_found');
});

test('a site of users and one table of messages has one room', async (t) => {
	const site = await foreign(t, `
		CREATE TABLE people (name TEXT PRIMARY KEY) WITHOUT ROWID;
		CREATE TABLE wall (id TEXT PRIMARY KEY, who TEXT NOT NULL, said TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
		INSERT INTO people VALUES ('ann'), ('ben');`);
	await site.must('attach', '--map', writeMap(site, ['users = people', 'users.id = name', 'users.name = upper(name)', 'messages = wall',
		'messages.id = id', 'messages.sender_id = who', 'messages.content = said', 'messages.timestamp = unix_ms(at_ms)',
		'room = wall'].join('\n')));
	const before = Date.now();
	const id = await site.must('post', 'wall', 'ann', 'written');
	const [who, said, at] = (await site.sql(`SELECT who, said, at_ms FROM wall WHERE id = '${id}'`)).split('|');
	assert.deepEqual([who, said], ['ann', 'written']);
	assert.ok(Number(at) >= before - 1 && Number(at) <= Date.now() + 1, at);
	const [event] = (await site.must('tail', '--user', 'ben', '--after', '2000-01-01T00:00:00Z', '--once', '--json')).split('\n').map((l) => JSON.parse(l));
	assert.deepEqual([event.payload.roomId, event.payload.senderName, event.payload.timestamp], ['wall', 'ANN', new Date(Number(at)).toISOString()]);
	assert.match(await site.must('room', 'list'), /^wall +wall +no/m);
	const added = await site.command('room', 'add', 'Another');
	assert.equal(added.code, 1);
	assert.match(added.err, /the site has no rooms|plain text/);
});

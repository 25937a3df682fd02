// The socket as existing front ends know it: token in the URL, ping and pong, live events.

import test from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { startSite } from './lib/site.js';
import { run } from './lib/process.js';

const only = { poll: false, web: false };

test('ping is answered by exactly pong, and nothing comes before it', async (t) => {
	const site = await startSite(t, only);
	const s = await site.connect('alice', { direct: true });
	s.send({ type: 'ping' });
	assert.equal(await s.nextText(), '{"type":"pong"}');
	s.send({ type: 'ping', payload: { n: [1, 'ä'] } });
	assert.deepEqual(await s.next(), { type: 'pong', payload: { n: [1, 'ä'] } });
	s.send('this is not JSON');
	s.send('"nor an object"');
	s.send('{"type":7}');
	s.send('{"type":"unheard-of"}');
	s.send(Buffer.from([1, 2, 3]));
	s.send({ type: 'ping' });
	assert.equal(await s.nextText(), '{"type":"pong"}');
});

test('the script of the contract works as printed', async (t) => {
	const site = await startSite(t, only);
	const script = `
import asyncio, json, sys, websockets
async def main(url, token):
    async with websockets.connect(url + "?token=" + token) as ws:
        await ws.send(json.dumps({"type": "ping"})); print(await ws.recv())
asyncio.run(main(sys.argv[1], sys.argv[2]))
`;
	const r = await run('/usr/bin/python3', ['-c', script, `ws://127.0.0.1:${site.wsPort}/ws`, site.token('alice')]);
	assert.equal(r.err, '');
	assert.equal(r.out, '{"type":"pong"}\n');
});

test('a row of any program reaches every socket that may see it, once', async (t) => {
	const site = await startSite(t, only);
	const [alice, bob, carol] = await Promise.all(
		['alice', 'bob', 'carol'].map((u) => site.connect(u, { direct: true })));
	for (const s of [alice, bob, carol])
		await s.drain();
	const id = await site.post('lobby', 'bob', 'Grüße "an" <alle> \u{1F600}');
	await site.post('vault', 'alice', 'secret');
	await site.post('lobby', 'bob', 'end');
	for (const [s, want] of [[alice, 3], [bob, 3], [carol, 2]]) {
		const got = [];
		while (got.at(-1)?.payload.content !== 'end') {
			const m = await s.next();
			if (m.type === 'NEW_MESSAGE')
				got.push(m);
		}
		assert.equal(got.length, want);
		assert.deepEqual(Object.keys(got[0]), ['type', 'payload', 'timestamp']);
		assert.equal(got[0].payload.id, id);
		assert.equal(got[0].payload.content, 'Grüße "an" <alle> \u{1F600}');
		assert.match(got[0].timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
		const order = got.map((m) => m.timestamp);
		assert.deepEqual(order, [...order].sort());
		assert.deepEqual((await s.drain()).filter((m) => m.type === 'NEW_MESSAGE'), []);
	}
});

test('with a cursor what was missed comes first, then live events', async (t) => {
	const site = await startSite(t, only);
	const first = await site.connect('carol', { direct: true });
	const m1 = await site.post('lobby', 'bob', 'one');
	const seen = await first.until('NEW_MESSAGE');
	await first.close();
	await site.post('lobby', 'bob', 'two');
	await site.post('lobby', 'bob', 'three');
	for (const params of [{ lastTimestamp: seen.timestamp }, { lastMessageId: m1 },
		{ lastMessageId: 'no such id', lastTimestamp: seen.timestamp.replace('Z', '+00:00') }]) {
		const again = await site.connect('carol', { direct: true, params });
		assert.equal((await again.until('NEW_MESSAGE')).payload.content, 'two');
		assert.equal((await again.until('NEW_MESSAGE')).payload.content, 'three');
		assert.deepEqual((await again.drain()).filter((m) => m.type === 'NEW_MESSAGE'), []);
		await again.close();
	}
	// A cursor that cannot be resumed: live events only.
	const lost = await site.connect('carol', { direct: true, params: { lastTimestamp: 'garbage' } });
	assert.deepEqual((await lost.drain()).filter((m) => m.type === 'NEW_MESSAGE'), []);
	await site.post('lobby', 'bob', 'four');
	assert.equal((await lost.until('NEW_MESSAGE')).payload.content, 'four');
});

test('rooms narrows room events and never widens', async (t) => {
	const site = await startSite(t, only);
	const s = await site.connect('carol', { direct: true, params: { rooms: 'vault,attic' } });
	await site.post('lobby', 'bob', 'not asked for');
	await site.post('vault', 'bob', 'not allowed');
	await site.sql("INSERT INTO rooms(id, name) VALUES ('attic', 'Attic')");
	await site.post('attic', 'bob', 'this one');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'this one');
	assert.deepEqual((await s.drain()).filter((m) => m.type === 'NEW_MESSAGE'), []);
});

test('who is removed from a private room gets nothing that commits after it', async (t) => {
	const site = await startSite(t, only);
	const bob = await site.connect('bob', { direct: true });
	await site.post('vault', 'alice', 'before');
	assert.equal((await bob.until('NEW_MESSAGE')).payload.content, 'before');
	await site.sql(`DELETE FROM room_members WHERE room_id = 'vault' AND user_id = 'bob';
		INSERT INTO messages(room_id, sender_id, content) VALUES ('vault', 'alice', 'after');`);
	await site.post('lobby', 'alice', 'end');
	assert.deepEqual((await bob.until('ROOM_LEFT')).payload, { roomId: 'vault', userId: 'bob' });
	assert.equal((await bob.until('NEW_MESSAGE')).payload.content, 'end');
	await site.must('member', 'add', 'vault', 'bob');
	assert.equal((await bob.until('ROOM_JOINED')).payload.roomId, 'vault');
	await site.post('vault', 'alice', 'welcome back');
	assert.equal((await bob.until('NEW_MESSAGE')).payload.content, 'welcome back');
});

test('blocked users are not heard', async (t) => {
	const site = await startSite(t, only);
	const alice = await site.connect('alice', { direct: true });
	await site.sql(`INSERT INTO user_relationships(user_id, target_id, relationship_type)
		VALUES ('alice', 'bob', 'blocked'), ('alice', 'carol', 'favorite')`);
	const me = await alice.until('USER_UPDATE', (m) => m.payload.blocked.length > 0);
	assert.deepEqual(me.payload.blocked, ['bob']);
	assert.deepEqual(me.payload.favorites, ['carol']);
	assert.equal(me.payload.email, 'alice@example.org');
	await site.post('lobby', 'bob', 'unheard');
	await site.post('lobby', 'carol', 'heard');
	assert.equal((await alice.until('NEW_MESSAGE')).payload.content, 'heard');
	await site.sql("UPDATE users SET bio = 'new' WHERE id = 'carol'");
	const other = await alice.until('USER_UPDATE', (m) => m.payload.id === 'carol' && m.payload.bio === 'new');
	assert.equal(other.payload.email, '');
	assert.deepEqual(other.payload.blocked, []);
});

test('edits, deletions, rooms and users are events of their own', async (t) => {
	const site = await startSite(t, only);
	const s = await site.connect('carol', { direct: true });
	await s.drain();
	const id = await site.post('lobby', 'bob', 'draft');
	await s.until('NEW_MESSAGE');
	await site.sql(`UPDATE messages SET content = 'final' WHERE id = '${id}'`);
	assert.equal((await s.until('MESSAGE_UPDATED')).payload.content, 'final');
	await site.sql(`DELETE FROM messages WHERE id = '${id}'`);
	assert.deepEqual((await s.until('MESSAGE_DELETED')).payload, { id, roomId: 'lobby' });
	await site.sql("INSERT INTO rooms(id, name, is_private, created_by) VALUES ('r', 'R', 1, 'bob')");
	assert.deepEqual((await s.until('ROOM_CREATED')).payload,
		{ id: 'r', name: 'R', isPrivate: true, createdBy: 'bob', description: '' });
	await site.sql("UPDATE rooms SET description = 'd' WHERE id = 'r'");
	assert.equal((await s.until('ROOM_UPDATED')).payload.description, 'd');
	await site.sql("DELETE FROM rooms WHERE id = 'r'");
	assert.deepEqual((await s.until('ROOM_DELETED')).payload, { roomId: 'r' });
	await site.sql("INSERT INTO users(id, name, email) VALUES ('dave', 'Dave', 'd@example.org')");
	assert.deepEqual((await s.until('USER_JOINED')).payload, { id: 'dave', name: 'Dave', email: '', avatar: '',
		isOnline: false, bio: '', favorites: [], blocked: [] });
	await site.must('publish', 'ORDER', '{"n":1}', '--user', 'carol');
	assert.deepEqual((await s.until('ORDER')).payload, { n: 1 });
});

test('a database in a path with spaces, reached through a link', async (t) => {
	const site = await startSite(t, { ...only, ws: false });
	await run('mkdir', [path.join(site.dir, 'a b')]);
	await run('ln', ['-s', path.join(site.dir, 'a b'), path.join(site.dir, 'link')]);
	site.db = path.join(site.dir, 'link', 'site.db');
	site.writeConf();
	await site.populate();
	await site.startSidecar();
	const s = await site.connect('carol', { direct: true });
	site.db = path.join(site.dir, 'a b', 'site.db');
	await site.post('lobby', 'bob', 'through the link');
	assert.equal((await s.until('NEW_MESSAGE')).payload.content, 'through the link');
});

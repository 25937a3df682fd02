// The example site without a script: what a visitor may do, what he may not, and that rows
// of a site that knows nothing of Sidewire are events.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { BIN, DEPLOY, freePort } from './lib/site.js';
import { Visitor, startExampleSite } from './lib/example.js';
import { Process, run, running } from './lib/process.js';
import { request } from './lib/http.js';
import { until, within } from './lib/deadline.js';
import { ofType } from './lib/poller.js';

const SITE = path.join(DEPLOY, 'example-site');

// What stands between the first start and the next end.
const between = (text, start, end) => text.slice(text.indexOf(start), text.indexOf(end, text.indexOf(start)));
const messagesOf = (page) => between(page.text, '<ol class="messages"', '</ol>');
const markupOf = (page) => page.text.replace(/<script type="application\/json"[^]*?<\/script>/, '');
const alertOf = (page) => /<p class="error" role="alert">([^<]*)/.exec(page.text)?.[1];

// The visitor's events since a position, as his own token gives them.
async function eventsSince(site, visitor, cursor) {
	const query = cursor ? `?lastTimestamp=${cursor}` : '';
	const { status, text, json } = await site.request('GET', `/api/realtime/poll${query}`, { token: await visitor.token() });
	assert.equal(status, 200, text);
	return json;
}

test('reading and writing by forms; Sidewire tells of it', async (t) => {
	const site = await startExampleSite(t);
	const alice = new Visitor(site), bob = new Visitor(site);
	const door = await alice.get();
	assert.match(door.text, /<h1>Sign in<\/h1>/);
	assert.match(door.headers['content-security-policy'], /default-src 'none'; script-src 'self'/);
	assert.match(door.headers['set-cookie'][0], /HttpOnly; SameSite=Lax/);
	const room = await alice.signIn('alice');
	assert.match(messagesOf(room), /Welcome to the lobby/);
	await bob.signIn('Bob');
	const { timestamp } = await eventsSince(site, bob);

	// Written, changed, deleted.
	const written = await alice.submit({ do: 'message', room: 'lobby', content: ' Line one\r\nline two ' });
	assert.match(messagesOf(written), /<p class="text">Line one\nline two<\/p>/);
	const [, id] = /id="m-([0-9a-f]+)">(?:(?!id="m-)[^])*Line one/.exec(messagesOf(written));
	const editing = await alice.get(`/?room=lobby&edit=${id}`);
	assert.match(editing.text, /<textarea name="content"[^>]*>Line one\nline two<\/textarea>/);
	assert.match(messagesOf(await alice.submit({ do: 'edit', id, content: 'Changed' })), /Changed<\/p><span class="mark">edited/);
	let news = await eventsSince(site, bob, timestamp);
	assert.deepEqual(news.events.map((e) => [e.type, e.payload.content]).filter(([type]) => type.includes('MESSAGE')),
		[['NEW_MESSAGE', 'Changed'], ['MESSAGE_UPDATED', 'Changed']]);
	assert.doesNotMatch(messagesOf(await alice.submit({ do: 'delete', id })), /Changed/);
	news = await eventsSince(site, bob, news.timestamp);
	assert.deepEqual(ofType(news.events, 'MESSAGE_DELETED').map((e) => e.payload), [{ id, roomId: 'lobby' }]);

	// Somebody else's message is not to be changed.
	const theirs = await site.post('lobby', 'carol', 'mine');
	for (const fields of [{ do: 'edit', id: theirs, content: 'x' }, { do: 'delete', id: theirs }])
		assert.equal(alertOf(await alice.submit(fields)), 'That is not yours to change.');
	assert.equal(await site.sql(`SELECT content FROM messages WHERE id = '${theirs}'`), 'mine');

	// A room, a profile.
	const made = await alice.submit({ do: 'create', name: 'Garden', description: 'What grows' });
	assert.match(made.text, /<h1>Garden<\/h1>/);
	assert.match(made.text, /Nobody has said anything here yet/);
	await alice.submit({ do: 'profile', name: 'Alicia', bio: 'Tea', avatar: 'red' });
	news = await eventsSince(site, bob, news.timestamp);
	assert.deepEqual(ofType(news.events, 'ROOM_CREATED').map((e) => e.payload.name), ['Garden']);
	assert.deepEqual(ofType(news.events, 'USER_UPDATE').map((e) => [e.payload.name, e.payload.avatar]).at(-1), ['Alicia', 'red']);

	// Pages of a long room.
	await site.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
		INSERT INTO messages(room_id, sender_id, sender_name, content) SELECT 'workshop', 'bob', 'Bob', 'number ' || i FROM n`);
	const numbers = (page) => [...messagesOf(page).matchAll(/number (\d+)/g)].map((m) => Number(m[1]));
	let page = await alice.get('/?room=workshop');
	let seen = numbers(page);
	for (let older; (older = /href="\.\/(\?room=workshop&amp;before=[0-9a-f]+)"/.exec(between(page.text, 'class="older">', '</p>'))); ) {
		page = await alice.get(`/${older[1].replace('&amp;', '&')}`);
		seen = [...numbers(page), ...seen];
	}
	assert.deepEqual(seen, Array.from({ length: 120 }, (_, i) => i + 1));
});

test('what a form must not do', async (t) => {
	const site = await startExampleSite(t);
	const alice = new Visitor(site);
	await alice.signIn('Alice');
	const count = () => site.sql('SELECT count(*) FROM messages');
	const before = await count();
	const good = { do: 'message', room: 'lobby', content: 'hello' };
	for (const [fields, headers, status] of [
		[{ ...good, csrf: '' }, {}, 403], [{ ...good, csrf: '0'.repeat(32) }, {}, 403],
		[good, { Origin: 'https://evil.example' }, 403], [{ ...good, do: 'system' }, {}, 404], [{ ...good, do: '' }, {}, 404],
		[{ ...good, room: 'nowhere' }, {}, 404], [{ ...good, content: ' \n ' }, {}, 422], [{ ...good, content: 'x'.repeat(4001) }, {}, 422],
		[{ do: 'create', name: 'x'.repeat(61) }, {}, 422], [{ do: 'profile', name: 'bob', bio: '', avatar: 'red' }, {}, 422],
		[{ do: 'profile', name: 'Alice', bio: '', avatar: 'url(//evil.example)' }, {}, 422], [{ do: 'block', user: 'alice' }, {}, 403],
	]) {
		const answer = await alice.post(fields, { Accept: 'application/json', ...headers });
		assert.equal(answer.status, status, JSON.stringify(fields));
		assert.equal(typeof answer.json.error, 'string');
	}
	assert.equal((await alice.request('GET', '/action.php?do=sign-out', { headers: { Accept: 'application/json' } })).status, 405);
	const stranger = new Visitor(site);
	await stranger.get();
	assert.equal((await stranger.post(good, { Accept: 'application/json' })).status, 401);
	for (const url of ['/token.php', '/state.php'])
		assert.equal((await stranger.request('GET', url)).status, 401);
	assert.equal(await count(), before);
	// Nothing but pages and the client is served.
	for (const url of ['/../src/base.php', '/src/base.php', '/schema.sql', '/sidewire/../jwt.key', '/%2e%2e/seed.php'])
		assert.ok((await stranger.request('GET', url)).status >= 400, url);

	// Text stays text, also in the data that the script begins with.
	const name = '<i>"Eve\'s</i>', text = '</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;';
	const eve = new Visitor(site);
	await eve.signIn(name);
	await eve.submit({ do: 'create', name: '<u>room', description: '"><svg onload=alert(3)>' });
	const page = await eve.submit({ do: 'message', room: 'lobby', content: text });
	assert.doesNotMatch(page.text, /<i>|<u>|<svg onload|<img src=x|<script>/);
	const data = JSON.parse(/<script type="application\/json" id="start">([^]*?)<\/script>/.exec(page.text)[1]);
	assert.equal(data.page.messages.at(-1).content, text);
	assert.equal(data.state.me.name, name);
	assert.doesNotMatch((await alice.get('/?room=lobby')).text, /<i>|<img src=x/);
});

test('who is let in: private rooms, blocks, passwords', async (t) => {
	const site = await startExampleSite(t);
	const alice = new Visitor(site), bob = new Visitor(site), carol = new Visitor(site);
	await alice.signIn('Alice');
	await bob.signIn('Bob');
	await carol.signIn('Carol');

	const made = await alice.submit({ do: 'create', name: 'Attic', private: '1' });
	const [, attic] = /\?room=([0-9a-f]{32})" data-room="[0-9a-f]+" aria-current/.exec(made.text);
	await alice.submit({ do: 'message', room: attic, content: 'between us' });
	const history = async (visitor) => site.request('GET', `/api/realtime/history?roomId=${attic}`, { token: await visitor.token() });
	assert.doesNotMatch((await carol.get()).text, /Attic/);
	assert.equal((await carol.get(`/?room=${attic}`)).status, 404);
	assert.equal((await carol.get(`/?page=room&id=${attic}`)).status, 404);
	for (const action of ['message', 'join', 'read', 'leave', 'invite'])
		assert.equal((await carol.post({ do: action, room: attic, content: 'x', name: 'Carol' }, { Accept: 'application/json' })).status, 404);
	assert.equal((await history(carol)).status, 403);
	await alice.submit({ do: 'invite', room: attic, name: 'carol' });
	assert.match(messagesOf(await carol.get(`/?room=${attic}`)), /between us/);
	assert.equal((await history(carol)).json.messages[0].content, 'between us');
	await carol.submit({ do: 'leave', room: attic });
	assert.equal((await history(carol)).status, 403);

	// Unread, read, blocked.
	await alice.get('/?room=lobby');
	await bob.submit({ do: 'message', room: 'lobby', content: 'from Bob' });
	await carol.submit({ do: 'message', room: 'lobby', content: 'from Carol' });
	const unread = async () => (await alice.request('GET', '/state.php')).json.rooms.find((r) => r.id === 'lobby').unread.length;
	assert.equal(await unread(), 2);
	await alice.post({ do: 'block', user: 'bob' });
	assert.equal(await unread(), 1);
	const lobby = await alice.get('/?room=lobby');
	assert.match(messagesOf(lobby), /from Carol/);
	assert.doesNotMatch(messagesOf(lobby), /from Bob/);
	assert.equal(await unread(), 0);
	await alice.submit({ do: 'unblock', user: 'bob' });
	assert.match(messagesOf(await alice.get('/?room=lobby')), /from Bob/);

	// A name with a password is its owner's; ten wrong ones are enough.
	await bob.submit({ do: 'profile', name: 'Bob', bio: '', avatar: 'blue', password: 'correct horse' });
	const thief = new Visitor(site);
	await thief.get();
	const guess = (password) => thief.post({ do: 'sign-in', name: 'BOB', password }, { Accept: 'application/json' });
	assert.equal((await guess('')).status, 403);
	await site.sql("INSERT INTO failed_sign_ins SELECT name, at FROM failed_sign_ins, generate_series(1, 9)");
	assert.equal((await guess('correct horse')).status, 429);
	await site.sql('DELETE FROM failed_sign_ins');
	const old = thief.csrf;
	assert.equal((await guess('correct horse')).status, 200);
	assert.match((await thief.get()).text, /<h1>Lobby<\/h1>/);
	assert.notEqual(thief.csrf, old);
	await thief.submit({ do: 'sign-out' });
	assert.equal((await thief.request('GET', '/token.php')).status, 401);
});

test('two languages, one table', async (t) => {
	const site = await startExampleSite(t);
	for (const [accept, lang] of [['zh-TW,zh;q=0.9,en;q=0.8', 'zh-TW'], ['en-GB,zh;q=0.5', 'en'], ['zh;q=0.3, en;q=0.7', 'en'],
		['fr, zh-Hant-HK;q=0.2', 'zh-TW'], ['fr', 'en'], ['', 'en']]) {
		const { text } = await new Visitor(site, { 'Accept-Language': accept }).get();
		assert.match(text, new RegExp(`<html lang="${lang}"`), accept);
	}
	const mei = new Visitor(site, { 'Accept-Language': 'en' });
	await mei.signIn('美玲');
	const page = await mei.submit({ do: 'look', lang: 'zh-TW', theme: 'dark', room: 'teahouse' });
	assert.match(page.text, /<html lang="zh-TW" data-theme="dark">/);
	assert.match(page.text, /<h1>茶館<\/h1>/);
	assert.match(page.text, /傳訊息到 茶館/);
	assert.doesNotMatch(markupOf(page), /Your rooms|Send|Online/);

	// Each string is there in both, and is used.
	const { strings } = JSON.parse(/id="start">([^]*?)<\/script>/.exec(page.text)[1]);
	const sources = ['src', 'public', 'public/js'].flatMap((dir) => fs.readdirSync(path.join(SITE, dir))
		.filter((name) => /\.(php|js)$/.test(name)).map((name) => fs.readFileSync(path.join(SITE, dir, name), 'utf8')));
	const used = sources.map((s) => s.replace(/const STRINGS = \[[^]*?\n\];/, '')).join('\n');
	for (const [key, text] of Object.entries(strings)) {
		assert.ok(text.length > 0, key);
		assert.ok(used.includes(`'${key}'`) || /^(theme|colour|status)_/.test(key), `${key} is used`);
	}
	for (const [, key] of used.matchAll(/\be?t\('([a-z_]+)'/g))
		assert.ok(key in strings, `${key} is in the table`);
	for (const [, key] of used.matchAll(/(?:new Refusal\(|Refusal\(')'?(error_[a-z_]+)/g))
		assert.ok(key in strings, `${key} is in the table`);
});

test('the site makes its database once', async (t) => {
	const site = await startExampleSite(t);
	const again = await run('php-cgi', ['-q', path.join(SITE, 'seed.php')], { env: { SITE_DATABASE: site.db } });
	assert.equal(again.code, 2);
	assert.equal(await site.sql("SELECT value FROM sw_meta WHERE key = 'members'"), 'site');
	assert.equal(await site.sql('SELECT count(*) FROM users'), '5');
});

test('make run: the site, both services and the tokens; Ctrl-C ends all of it', async (t) => {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'sidewire-run-'));
	t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
	const [port, wsPort] = [await freePort(), await freePort()];
	const start = () => {
		const p = new Process('run.sh', path.join(SITE, 'run.sh'), [BIN],
			{ env: { PORT: port, WS_PORT: wsPort, DEMO_DIR: path.join(dir, 'demo') } });
		t.after(() => p.stop('SIGTERM'));
		return p;
	};
	const end = async (p) => {
		assert.deepEqual(await p.stop('SIGINT'), { code: 0, signal: null }, p.log);
		await until(() => running(dir).length === 0, 'all its processes are gone');
	};
	const first = start();
	await until(() => /Ctrl-C ends it/.test(first.out) || first.how, 'it says how to use it');
	assert.match(first.out, new RegExp(`The example site runs: http://localhost:${port}/\n`), first.log);
	const web = { host: '127.0.0.1', port };
	assert.match((await request(web, 'GET', '/')).text, /Sign in/);
	assert.ok(running(`SITE_DATABASE=${dir}`).length > 0, 'PHP runs');
	assert.equal((await request(web, 'GET', '/sidewire/sidewire.js')).headers['content-type'], 'text/javascript; charset=utf-8');
	assert.equal((await request(web, 'GET', '/api/realtime/status')).json.websocket_available, true);
	// The lines that it prints, as they are.
	const [, insert] = /^ {2}(sqlite3 .*)$/m.exec(first.out);
	assert.equal((await run('sh', ['-c', insert])).code, 0);
	const exports = [...first.out.matchAll(/^ {2}(export \w+=\S+)$/gm)].map((m) => m[1]).join('\n');
	const [, curl] = /^ {2}(curl .*\/poll")$/m.exec(first.out);
	const { events } = JSON.parse((await run('sh', ['-c', `${exports}\n${curl}`])).out);
	assert.ok(ofType(events, 'ROOM_CREATED').some((e) => e.payload.name === '茶館'));
	await end(first);

	// Again with what is there.
	const second = start();
	await until(() => /Ctrl-C ends it/.test(second.out) || second.how, 'it starts again');
	const alice = new Visitor({ webPort: port, request: (method, url, options) => request(web, method, url, options) });
	assert.match(messagesOf(await alice.signIn('Alice')), /Hello from a shell/);
	await end(second);

	// Not with another's database.
	fs.rmSync(path.join(dir, 'demo', 'sidewire.db'));
	assert.equal((await run('sqlite3', [path.join(dir, 'demo', 'sidewire.db'), 'CREATE TABLE users(id)'])).code, 0);
	const third = start();
	assert.deepEqual(await within(third.ended, 'it refuses'), { code: 1, signal: null });
	assert.match(third.log, /is not the example site's/);
});

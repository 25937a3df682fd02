// The example site and the client library in real Chromium.  Screenshots are left in
// tests/screenshots.

import test from 'node:test';
import assert from 'node:assert/strict';
import { startExampleSite } from './lib/example.js';
import { Browser, agrees, hasStatus, launch, shoot, shows, texts, write } from './lib/browser.js';
import { until } from './lib/deadline.js';

let chromium;
test.before(async () => { chromium = await launch(); });
test.after(() => chromium.close());

async function start(t, options) {
	const site = await startExampleSite(t, options);
	return { site, browser: new Browser(t, chromium, site) };
}

// A process of its own writes, one row after the other, until it is told to end.
function startWriter(site, room = 'lobby') {
	let isOn = true, n = 0;
	const done = (async () => {
		while (isOn)
			await site.post(room, 'carol', `row ${++n}`);
	})();
	done.catch(() => {});	// a test that failed has taken the database away
	return { get count() { return n; }, stop: () => { isOn = false; return done; } };
}

const person = (page, id) => page.locator(`[data-person="${id}"]`);
const isOnline = (page, id) => page.waitForSelector(`[data-list="online"] [data-person="${id}"]`);
const room = (page, name) => page.locator('.room-list a', { hasText: name });
const badge = (page, name) => room(page, name).locator('.badge [aria-hidden]');

// Opens a card, lets `fill` do something in it, and submits its form.
async function card(page, opener, button, fill = () => {}) {
	await opener.click();
	const dialog = page.locator('dialog[open]');
	await dialog.waitFor();
	await fill(dialog);
	await dialog.getByRole('button', { name: button, exact: true }).click();
	await dialog.waitFor({ state: 'hidden' });
}

test('two users: both ways, typing, presence, edits, unread', async (t) => {
	const { site, browser } = await start(t, { conf: ['presence.grace_s = 1', 'presence.ttl_s = 3'] });
	const alice = await browser.signIn('Alice');
	const bob = await browser.signIn('Bob');
	await Promise.all([isOnline(alice, 'bob'), isOnline(bob, 'alice')]);
	await write(alice, 'Hello <b>Bob</b> & all');
	await shows(bob, 'Hello <b>Bob</b> & all');
	await bob.locator('#write').pressSequentially('Hi');
	await alice.waitForSelector('#typing:has-text("Bob is writing…")');
	await bob.press('#write', 'Enter');
	await shows(alice, 'Hi');
	await until(async () => await alice.textContent('#typing') === '', 'nobody writes any more');
	await Promise.all([agrees(site, alice), agrees(site, bob)]);

	// The last own message by the arrow, changed, then deleted.
	await bob.press('#write', 'ArrowUp');
	await bob.locator('.edit-form textarea').fill('Hi, Alice');
	await bob.keyboard.press('Enter');
	await shows(alice, 'Hi, Alice');
	assert.equal(await alice.locator('.msg', { hasText: 'Hi, Alice' }).locator('.mark').textContent(), 'edited');
	await agrees(site, bob);
	await bob.locator('.msg', { hasText: 'Hi, Alice' }).hover();
	await bob.locator('.msg', { hasText: 'Hi, Alice' }).getByRole('button', { name: 'Delete' }).click();
	await alice.waitForSelector('.msg.gone:has-text("This message was deleted.")');
	await Promise.all([agrees(site, alice), agrees(site, bob)]);

	// What is unread elsewhere is counted, once, and read when it is looked at; over a reload too.
	const n = Number(await badge(alice, 'Workshop').textContent());
	await site.post('workshop', 'bob', 'one more');
	await until(async () => Number(await badge(alice, 'Workshop').textContent()) === n + 1, 'it is counted');
	await alice.reload();
	await hasStatus(alice, 'websocket');
	assert.equal(Number(await badge(alice, 'Workshop').textContent()), n + 1);
	await room(alice, 'Workshop').click();
	await shows(alice, 'one more');
	assert.match(alice.url(), /\?room=workshop$/);
	assert.equal(await badge(alice, 'Workshop').count(), 0);
	await until(async () => await site.sql(`SELECT seq = (SELECT max(rowid) FROM messages WHERE room_id = 'workshop')
		FROM room_reads WHERE user_id = 'alice' AND room_id = 'workshop'`) === '1', 'the site knows that it was read');
	await alice.goBack();
	await agrees(site, alice);

	await bob.context().close();
	await alice.waitForSelector('[data-list="offline"] [data-person="bob"]');
});

test('the sidecar goes and comes while a third writes: nothing lost, nothing twice', async (t) => {
	const { site, browser } = await start(t);
	const alice = await browser.signIn('Alice');
	const bob = await browser.signIn('Bob');
	for (const signal of ['SIGTERM', 'SIGKILL']) {
		const writer = startWriter(site);
		await until(() => writer.count >= 3, 'the third writes');
		let began = Date.now();
		await site.sidecar.stop(signal);
		await Promise.all([alice, bob].map((page) => hasStatus(page, 'polling')));
		t.diagnostic(`polling ${Date.now() - began} ms after ${signal} (4 s is what is promised)`);
		const at = writer.count;
		await write(alice, `by POST after ${signal}`);
		await shows(bob, `by POST after ${signal}`);
		await until(() => writer.count >= at + 5, 'the third writes on');
		if (signal === 'SIGTERM')
			await shoot(alice, 'polling');
		began = Date.now();
		await site.startSidecar();
		await Promise.all([alice, bob].map((page) => hasStatus(page, 'websocket', 60000)));
		t.diagnostic(`by WebSocket ${Date.now() - began} ms after its return (15 s is what is promised)`);
		await write(bob, `by WebSocket after ${signal}`);
		await shows(alice, `by WebSocket after ${signal}`);
		await writer.stop();
		await Promise.all([agrees(site, alice), agrees(site, bob)]);
	}
});

test('polling by wish, and back', async (t) => {
	const { site, browser } = await start(t);
	const alice = await browser.signIn('Alice');
	const writer = startWriter(site);
	for (const status of ['polling', 'websocket', 'polling', 'websocket']) {
		await alice.click('.switch');
		await hasStatus(alice, status);
		const at = writer.count;
		await write(alice, `${status} at ${at}`);
		await until(() => writer.count > at + 2, 'the third writes');
	}
	await writer.stop();
	await agrees(site, alice);
});

test('tabs share one connection, and take it over', async (t) => {
	const { site, browser } = await start(t);
	const first = await browser.signIn('Alice');
	const second = await browser.open(first.context());
	const third = await browser.open(first.context(), '?room=workshop');
	assert.deepEqual([first, second, third].map((page) => page.sockets), [1, 0, 0]);
	await write(second, 'from the second tab');
	await write(first, 'from the first tab');
	await Promise.all([agrees(site, first), agrees(site, second)]);
	// What one switches and reads is switched and read in all.
	await third.click('.switch');
	await Promise.all([first, second, third].map((page) => hasStatus(page, 'polling')));
	await until(() => first.locator('#polling').isChecked(), 'the switch is set there too');
	await third.click('.switch');
	await Promise.all([first, second, third].map((page) => hasStatus(page, 'websocket')));
	assert.equal(await badge(first, 'Backstage').count(), 1);
	await room(third, 'Backstage').click();
	await badge(first, 'Backstage').waitFor({ state: 'detached' });
	assert.deepEqual([second, third].map((page) => page.sockets), [0, 0]);

	const writer = startWriter(site);
	await until(() => writer.count >= 3, 'the third writes');
	await first.close();
	await until(() => second.sockets + third.sockets === 1, 'another tab has opened a socket');
	await Promise.all([hasStatus(second, 'websocket'), hasStatus(third, 'websocket')]);
	await write(third, 'from the third tab');
	await writer.stop();
	await agrees(site, second);
	await room(third, 'Lobby').click();
	await agrees(site, third);
	assert.equal(second.sockets + third.sockets, 1);
});

test('a message that was not sent outlives a reload, and is sent once', async (t) => {
	const { site, browser } = await start(t);
	const alice = await browser.signIn('Alice');
	await site.sidecar.stop();
	await site.poller.stop();
	await hasStatus(alice, 'offline');
	await write(alice, 'kept');
	await write(alice, 'kept as well');
	await alice.fill('#write', 'a draft');
	await alice.waitForSelector('.msg.pending:has-text("kept as well")');
	await alice.reload();
	await alice.waitForSelector('.msg.pending:has-text("kept as well")');
	assert.equal(await alice.inputValue('#write'), 'a draft');
	assert.equal(await alice.textContent('#unsent'), '2 unsent');
	assert.equal(await site.sql("SELECT count(*) FROM messages WHERE content LIKE 'kept%'"), '0');
	await site.startPoll();
	await site.startSidecar();
	const held = await agrees(site, alice, 'lobby', 60000);
	assert.deepEqual(held.slice(-2), ['kept', 'kept as well']);
});

test('offline and back', async (t) => {
	const { site, browser } = await start(t);
	const alice = await browser.signIn('Alice');
	await alice.context().setOffline(true);
	await hasStatus(alice, 'offline');
	await write(alice, 'written offline');
	await alice.waitForSelector('.msg.pending:has-text("Waiting for a connection")');
	await site.post('lobby', 'carol', 'meanwhile');
	await shoot(alice, 'offline');
	await alice.context().setOffline(false);
	const held = await agrees(site, alice, 'lobby', 60000);
	assert.deepEqual(held.slice(-2), ['meanwhile', 'written offline']);
});

test('away for longer than events are kept', async (t) => {
	const { site, browser } = await start(t);
	const alice = await browser.signIn('Alice');
	await alice.context().setOffline(true);
	await hasStatus(alice, 'offline');
	await site.sql(`INSERT INTO rooms(id, name) VALUES ('cellar', 'Cellar');
		UPDATE messages SET content = 'another text', type = 'edited' WHERE content LIKE 'It is. Seven%';
		DELETE FROM messages WHERE content LIKE 'It is shorter%'`);
	await site.post('lobby', 'bob', 'in the meantime');
	await site.must('prune', '--keep-rows', '1');
	assert.equal(await site.sql('SELECT count(*) FROM events'), '1');
	await alice.context().setOffline(false);
	await shows(alice, 'in the meantime');
	await agrees(site, alice);
	await room(alice, 'Cellar').waitFor();
	await site.post('lobby', 'bob', 'live again');
	await shows(alice, 'live again');
});

test('tokens are renewed before they end; a sign-out is told', async (t) => {
	// The server warns 60 s before the end: each token is good for some seconds of quiet.
	const { site, browser } = await start(t, { ttl: 63 });
	const alice = await browser.signIn('Alice');
	const asked = [];
	alice.on('request', (request) => request.url().endsWith('/token.php') && asked.push(request));
	await until(() => asked.length >= 2, 'two more tokens were asked for');
	await shows(alice, await site.post('lobby', 'bob', 'with a later token') && 'with a later token');
	assert.equal(alice.sockets, 1, 'one socket all the time');

	// Signed out elsewhere: the next token is not given.
	await alice.context().clearCookies();
	await site.must('revoke', 'alice');
	await hasStatus(alice, 'ended');
	assert.match(await alice.textContent('.toast'), /You are signed out\./);
	await write(alice, 'into the void');
	await alice.waitForSelector('.msg.failed');
	await agrees(site, await browser.signIn('Bob'));
});

test('a private room, an invitation, a farewell', async (t) => {
	const { site, browser } = await start(t);
	const alice = await browser.signIn('Alice');
	const carol = await browser.signIn('Carol');
	await card(alice, alice.getByRole('link', { name: 'New room' }), 'Create room', async (dialog) => {
		await dialog.getByLabel('Name of the room').fill('Attic');
		await dialog.getByLabel('Private: only people who are invited').check();
	});
	await alice.waitForSelector('h1:has-text("Attic")');
	await alice.waitForSelector('.empty:has-text("Nobody has said anything here yet.")');
	const id = new URL(alice.url()).searchParams.get('room');
	await write(alice, 'before you came');
	await agrees(site, alice, id);
	// What comes after it has come: the room and its message were not told.
	await site.post('lobby', 'alice', 'to all');
	await shows(carol, 'to all');
	assert.equal(await room(carol, 'Attic').count(), 0);
	assert.doesNotMatch(await carol.content(), /before you came/);

	await card(alice, alice.locator('.info'), 'Invite', (dialog) => dialog.getByLabel('Name of a person').fill('carol'));
	await room(carol, 'Attic').click();
	await shows(carol, 'before you came');
	await write(carol, 'thank you');
	await shows(alice, 'thank you');
	await card(carol, carol.locator('.info'), 'Leave room');
	await carol.waitForSelector('.toast:has-text("You are no longer in “Attic”.")');
	assert.equal(await room(carol, 'Attic').count(), 0);
	await write(alice, 'now she is gone');
	await agrees(site, alice, id);
	await site.post('lobby', 'alice', 'to all again');
	await shows(carol, 'to all again');
	assert.doesNotMatch(await carol.content(), /now she is gone/);
});

test('an answer of the site that is older than what was told meanwhile', async (t) => {
	const { site, browser } = await start(t);
	const carol = await browser.signIn('Carol');
	let release;
	const held = new Promise((resolve) => { release = resolve; });
	let n = 0;
	await carol.route('**/state.php', async (route) => {
		const response = await route.fetch();
		n += 1;
		await held;
		await route.fulfill({ response });
	});
	const enter = (id) => site.sql(`INSERT INTO room_members(room_id, user_id) VALUES ('${id}', 'carol')`);
	await enter('teahouse');
	await until(() => n === 1, 'the page has asked, and has no answer');
	await enter('backstage');
	await site.post('workshop', 'bob', 'news');
	await site.post('lobby', 'bob', 'all of it was told');
	await shows(carol, 'all of it was told');
	const before = Number(await badge(carol, 'Workshop').textContent());
	release();
	await carol.waitForSelector('[data-list="mine"] a:has-text("Backstage")');
	await carol.waitForSelector('[data-list="mine"] a:has-text("茶館")');
	assert.equal(Number(await badge(carol, 'Workshop').textContent()), before);
});

test('who is blocked is neither read nor seen', async (t) => {
	const { site, browser } = await start(t);
	const alice = await browser.signIn('Alice');
	const bob = await browser.signIn('Bob');
	await write(bob, 'can you hear me');
	await shows(alice, 'can you hear me');
	await card(alice, person(alice, 'bob').locator('a'), 'Block');
	await until(async () => !(await texts(alice)).includes('can you hear me'), 'what he wrote is hidden');
	assert.match(await person(alice, 'bob').textContent(), /Blocked/);
	await bob.locator('#write').pressSequentially('and now?');
	await bob.press('#write', 'Enter');
	await site.post('lobby', 'carol', 'from Carol');
	await shows(alice, 'from Carol');
	assert.ok(!(await texts(alice)).includes('and now?'));
	assert.doesNotMatch(await alice.textContent('#typing'), /Bob/);
	await agrees(site, bob);
	await card(alice, person(alice, 'bob').locator('a'), 'Unblock');
	await shows(alice, 'and now?');
	await agrees(site, alice);
});

test('scrolling back through a long room', async (t) => {
	const { site, browser } = await start(t);
	await site.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 180)
		INSERT INTO messages(room_id, sender_id, sender_name, content) SELECT 'lobby', 'bob', 'Bob', 'number ' || i FROM n`);
	const alice = await browser.signIn('Alice');
	assert.equal((await texts(alice)).length, 50);
	const log = alice.locator('#log');
	// To the top, where a message is; where that is after older ones have come.
	const top = (id) => alice.locator(`#${id}`).evaluate((li) => li.offsetTop - li.closest('#log').scrollTop);
	while (!await alice.locator('.older').isHidden()) {
		const [id, before] = await log.evaluate((box) => {
			const li = box.querySelector('.msg');
			box.scrollTop = 0;
			return [li.id, li.offsetTop];
		});
		await until(async () => (await alice.locator('.msg').first().getAttribute('id')) !== id, 'older ones come');
		assert.ok(Math.abs(await top(id) - before) < 60, 'what is looked at stays where it is');
	}
	await log.evaluate((box) => { box.scrollTop = 0; });
	await agrees(site, alice);
	// What is new does not take the reader away, and is told.
	await site.post('lobby', 'bob', 'while you read');
	await alice.waitForSelector('.newest:not([hidden])');
	assert.ok(await log.evaluate((box) => box.scrollTop) < 400);
	await alice.click('.newest');
	assert.ok(await log.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight) < 80);
});

test('without JavaScript: reading and writing', async (t) => {
	const { site, browser } = await start(t);
	const dora = await browser.signIn('Dora', { javaScriptEnabled: false }, null);
	assert.match(await dora.textContent('.main'), /JavaScript is off/);
	const bob = await browser.signIn('Bob');
	await dora.fill('#write', 'by a form');
	await dora.click('.send');
	await dora.waitForSelector('.msg:has-text("by a form")');
	await shows(bob, 'by a form');
	await write(bob, 'I see you');
	await agrees(site, bob);
	await dora.reload();
	assert.equal(await dora.locator('.msg').last().locator('.text').textContent(), 'I see you');
	assert.ok(await dora.locator('.msg').last().isVisible());
	await dora.click('.new-room');
	await dora.fill('#room-name', 'Plain');
	await dora.click('.main-button');
	await dora.waitForSelector('h1:has-text("Plain")');
	await room(bob, 'Plain').waitFor();
	await shoot(dora, 'no-script');
});

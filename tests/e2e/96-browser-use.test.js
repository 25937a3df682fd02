// The example site as people use it: by keyboard, on a phone, by ear, in the dark, in both
// languages.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startExampleSite } from './lib/example.js';
import { Browser, agrees, hasStatus, launch, shoot, shows, texts, write } from './lib/browser.js';
import { audit } from './lib/audit.js';
import { until } from './lib/deadline.js';

const SCREENSHOT = fileURLToPath(new URL('../../docs/screenshot.png', import.meta.url));
const PHONE = { viewport: { width: 360, height: 720 }, hasTouch: true, isMobile: true };

let chromium;
test.before(async () => { chromium = await launch(); });
test.after(() => chromium.close());

async function start(t) {
	const site = await startExampleSite(t);
	return { site, browser: new Browser(t, chromium, site) };
}

// What has the focus: its name, and whether one sees it.
const focused = (page) => page.evaluate(() => {
	const node = document.activeElement, style = getComputedStyle(node);
	return { id: node.id, room: node.dataset.room, text: (node.getAttribute('aria-label') ?? node.textContent).trim(), name: node.localName,
		isShown: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2) || style.opacity === '0' || Boolean(node.closest('.composer')) };
});

// Presses Tab until what has the focus is what is looked for; each stop must be visible.
async function tabTo(page, is, key = 'Tab') {
	for (let i = 0; i < 60; i++) {
		await page.keyboard.press(key);
		const at = await focused(page);
		if (at.name !== 'body')
			assert.ok(at.isShown, `the focus is seen on ${JSON.stringify(at)}`);
		if (is(at))
			return at;
	}
	throw new Error('it was not reached');
}

async function checks(page, what) {
	const { found, checked } = await page.evaluate(audit);
	assert.deepEqual(found, [], what);
	assert.ok(checked > 3, `${what}: ${checked} contrasts`);
}

test('by keyboard alone', async (t) => {
	const { site, browser } = await start(t);
	const context = await browser.context();
	const page = await browser.open(context, '', null);
	await page.keyboard.type('Alice');
	await page.keyboard.press('Enter');
	await hasStatus(page, 'websocket');

	// The skip link is first, and leads to where one writes.
	assert.equal((await tabTo(page, () => true)).text, 'Skip to writing a message');
	assert.ok(await page.locator('.skip').isVisible());
	await page.keyboard.press('Enter');
	await until(async () => (await focused(page)).id === 'write', 'one writes');
	await page.keyboard.type('first line');
	await page.keyboard.press('Shift+Enter');
	await page.keyboard.type('second line');
	await page.keyboard.press('Enter');
	await shows(page, 'first line\nsecond line');
	assert.equal(await page.inputValue('#write'), '');

	// An input method's Enter is its own.
	await page.keyboard.type('ni hao');
	await page.evaluate(() => document.querySelector('#write').dispatchEvent(
		new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true })));
	assert.equal(await page.inputValue('#write'), 'ni hao');
	await page.fill('#write', '');

	// Change the last message; leave it.
	await page.keyboard.press('ArrowUp');
	await until(async () => (await focused(page)).text === 'Edit your message', 'it is changed');
	await page.keyboard.press('Escape');
	assert.equal((await focused(page)).id, 'write');
	assert.equal(await page.locator('.edit-form').count(), 0);

	// A room, a dialog, and back to where one was.
	await tabTo(page, (at) => at.room === 'workshop', 'Shift+Tab');
	await page.keyboard.press('Enter');
	await page.waitForSelector('h1:has-text("Workshop")');
	assert.equal((await focused(page)).id, 'write');
	await tabTo(page, (at) => at.text === 'New room', 'Shift+Tab');
	await page.keyboard.press('Enter');
	await until(async () => (await focused(page)).id === 'room-name', 'the name is asked for');
	await page.keyboard.press('Escape');
	await page.waitForSelector('dialog[open]', { state: 'detached' });
	assert.equal((await focused(page)).text, 'New room');
	await page.keyboard.press('Enter');
	await page.waitForSelector('dialog[open]');
	await page.keyboard.type('By hand');
	await page.keyboard.press('Enter');
	await page.waitForSelector('h1:has-text("By hand")');

	// The switch.
	await tabTo(page, (at) => at.id === 'polling');
	await page.keyboard.press('Space');
	await hasStatus(page, 'polling');
	await agrees(site, page, new URL(page.url()).searchParams.get('room'));
});

test('on a phone: drawers, and nothing beside the page', async (t) => {
	const { site, browser } = await start(t);
	const page = await browser.signIn('Alice', PHONE);
	await write(page, 'Donaudampfschifffahrtsgesellschaftskapitän'.repeat(6));
	await site.sql(`UPDATE rooms SET name = '${'Workshop'.repeat(7)}' WHERE id = 'workshop'`);
	await page.locator('.room-list a', { hasText: 'WorkshopWorkshop' }).waitFor({ state: 'attached' });
	for (const width of [360, 320]) {
		await page.setViewportSize({ width, height: 640 });
		assert.ok(await page.evaluate(() => document.scrollingElement.scrollWidth <= innerWidth), `no wider than ${width}`);
	}
	await page.setViewportSize(PHONE.viewport);
	const menu = page.locator('.menu');
	assert.equal(await page.locator('#rooms').isVisible(), false);
	await menu.tap();
	await page.locator('#rooms').waitFor();
	assert.equal(await menu.getAttribute('aria-expanded'), 'true');
	await until(() => page.evaluate(() => document.querySelector('#rooms').contains(document.activeElement)), 'the focus is in it');
	await checks(page, 'the drawer');
	await page.keyboard.press('Escape');
	await page.locator('#rooms').waitFor({ state: 'hidden' });
	assert.equal(await menu.getAttribute('aria-expanded'), 'false');
	assert.ok(await menu.evaluate((node) => node === document.activeElement), 'the focus is back');
	await menu.tap();
	await page.locator('.room-list a', { hasText: 'WorkshopWorkshop' }).tap();
	await page.locator('#rooms').waitFor({ state: 'hidden' });
	await shows(page, 'Can it be heard outside?');
	await page.locator('.crowd').tap();
	await page.locator('#people').waitFor();
	await page.touchscreen.tap(20, 400);
	await page.locator('#people').waitFor({ state: 'hidden' });

	// Without a script the drawers are links.
	const plain = await browser.signIn('Bob', { ...PHONE, javaScriptEnabled: false, reducedMotion: 'reduce' }, null);
	await plain.locator('.menu').tap();
	await plain.locator('#rooms').waitFor();
	await plain.locator('.room-list a', { hasText: '茶館' }).tap();
	await plain.waitForSelector('h1:has-text("茶館")');
	assert.equal(await plain.locator('#rooms').isVisible(), false);
});

test('by ear, and with weak eyes', async (t) => {
	const { site, browser } = await start(t);
	for (const colorScheme of ['light', 'dark']) {
		const context = await browser.context({ colorScheme });
		const page = await browser.open(context, '', null);
		await checks(page, `the door, ${colorScheme}`);
		await page.fill('#name', 'Alice');
		await page.click('.main-button');
		await hasStatus(page, 'websocket');
		const bob = await browser.signIn('Bob', { colorScheme });
		await site.sql("INSERT OR IGNORE INTO user_relationships(user_id, target_id, relationship_type) VALUES ('alice', 'wei', 'blocked')");
		await page.locator('[data-person="wei"]', { hasText: 'Blocked' }).waitFor();
		await bob.locator('#write').pressSequentially('Hm');
		await page.waitForSelector('#typing:has-text("Bob")');
		await page.locator('.msg.own').first().hover();
		await checks(page, `the chat, ${colorScheme}`);
		await page.keyboard.press('ArrowUp');
		for (const [link, name] of [['.new-room', 'New room'], ['.me', 'Your profile'], ['.info', 'Lobby'], ['[data-person="bob"] a', 'Bob']]) {
			await page.locator(link).click();
			await page.locator('dialog[open] h1', { hasText: name }).waitFor();
			await checks(page, `${name}, ${colorScheme}`);
			await page.keyboard.press('Escape');
		}
		await page.click('.switch');
		await hasStatus(page, 'polling');
		await checks(page, `polling, ${colorScheme}`);
		await page.click('.switch');
		await hasStatus(page, 'websocket');
		await page.context().setOffline(true);
		await hasStatus(page, 'offline');
		await write(page, 'waits');
		await page.waitForSelector('.msg.pending');
		await checks(page, `offline, ${colorScheme}`);
		await page.context().close();
	}

	// New messages are read out, one each; old ones and a room that is opened are not.
	const page = await browser.signIn('Alice');
	const tree = page.getByRole('log', { name: 'Messages in Lobby' });
	assert.equal(await tree.getAttribute('aria-live'), 'polite');
	await page.evaluate(() => {
		window.added = [];
		new MutationObserver((records) => {
			for (const node of records.flatMap((r) => [...r.addedNodes]))
				if (node.nodeType === 1 && node.matches('li') && !node.closest('[aria-busy]'))
					window.added.push(node.querySelector('.text')?.textContent ?? node.textContent);
		}).observe(document.querySelector('#log'), { childList: true, subtree: true });
	});
	await site.post('lobby', 'carol', 'said once');
	await shows(page, 'said once');
	await site.post('lobby', 'carol', 'and once more');
	await shows(page, 'and once more');
	await page.locator('.room-list a', { hasText: '茶館' }).click();
	await shows(page, '今天喝的是高山烏龍，很香。');
	assert.deepEqual(await page.evaluate(() => window.added), ['said once', 'and once more']);
	for (const [role, name] of [['navigation', 'Rooms'], ['complementary', 'People'], ['group', 'Connection']])
		assert.equal(await page.getByRole(role, { name }).count(), 1, name);
	assert.equal(await page.getByRole('switch', { name: 'Polling only' }).count(), 1);
	assert.equal(await page.getByRole('status').textContent(), 'Live by WebSocket');
	assert.equal(await page.getByRole('textbox', { name: 'Write to 茶館' }).count(), 1);
});

test('language and theme by their switches; how it looks', async (t) => {
	const { site, browser } = await start(t);
	const alice = await browser.signIn('Alice', { deviceScaleFactor: 1 });
	const mei = await browser.signIn('美玲', { ...PHONE, deviceScaleFactor: 2, colorScheme: 'dark', locale: 'zh-TW' });
	const bob = await browser.signIn('Bob');
	await write(mei, '我帶鳳梨酥！');
	await shows(alice, '我帶鳳梨酥！');
	await write(alice, 'Wonderful. See you all on Thursday, then.');
	await shows(mei, 'Wonderful. See you all on Thursday, then.');
	await bob.locator('#write').pressSequentially('Sixteen chairs');
	await alice.waitForSelector('#typing:has-text("Bob is writing…")');
	await alice.mouse.move(700, 20);
	const file = await shoot(alice, 'desktop-light');
	assert.ok(fs.statSync(file).size < 200000, 'a small file');
	if (process.env.SCREENSHOT)
		fs.copyFileSync(file, SCREENSHOT);
	await shoot(mei, 'phone-dark-zh');
	await mei.locator('.menu').tap();
	await mei.locator('#rooms').waitFor();
	await until(() => mei.evaluate(() => document.getAnimations().length === 0), 'the drawer is open');
	await shoot(mei, 'phone-drawer');
	assert.equal(await mei.getAttribute('html', 'lang'), 'zh-TW');

	await alice.selectOption('[name="theme"]', 'dark');
	const ground = () => alice.evaluate(() => getComputedStyle(document.querySelector('.main')).backgroundColor);
	const dark = await ground();
	await shoot(alice, 'desktop-dark');
	await alice.locator('.me').click();
	await alice.locator('dialog[open]').waitFor();
	await shoot(alice, 'profile-dark');
	await alice.keyboard.press('Escape');
	await until(async () => (await alice.context().cookies()).some((c) => c.name === 'theme' && c.value === 'dark'), 'it is kept');
	await alice.reload();
	await hasStatus(alice, 'websocket');
	assert.equal(await ground(), dark);
	await alice.selectOption('[name="theme"]', 'light');
	assert.notEqual(await ground(), dark);
	await alice.selectOption('[name="lang"]', 'zh-TW');
	await alice.waitForSelector('html[lang="zh-TW"] .side h2:has-text("你的聊天室")');
	await hasStatus(alice, 'websocket');
	assert.equal(await alice.textContent('#status'), '即時連線：WebSocket');
	assert.ok((await texts(alice)).includes('我帶鳳梨酥！'));
	await shoot(alice, 'desktop-zh');
	await agrees(site, alice);
});

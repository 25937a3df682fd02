// Real Chromium on the example site: users in contexts of their own, what a page shows, and
// that no page complained.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { DEADLINE_MS, until } from './deadline.js';

const SHOTS = fileURLToPath(new URL('../../screenshots', import.meta.url));
const ARGS = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
	'--disable-component-update', '--disable-sync', '--font-render-hinting=none'];

// One for a test file; the profile is new and goes with it.
export function launch() {
	return chromium.launch({
		executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
		args: [...ARGS, ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
	});
}

// A browser for a test: users are signed in in contexts of their own.
export class Browser {
	#browser;
	#site;
	#complaints = [];
	#contexts = [];

	constructor(t, browser, site) {
		this.#browser = browser;
		this.#site = site;
		t.after(async () => {
			for (const context of this.#contexts)
				await context.close();
			assert.deepEqual(this.#complaints, []);
		});
	}

	get url() { return `http://127.0.0.1:${this.#site.webPort}/`; }

	async context(options = {}) {
		const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light',
			locale: 'en-GB', timezoneId: 'UTC', ...options });
		context.setDefaultTimeout(DEADLINE_MS);
		context.on('page', (page) => this.#watch(page));
		this.#contexts.push(context);
		return context;
	}

	#watch(page) {
		page.sockets = 0;	// ever opened
		page.on('websocket', () => { page.sockets += 1; });
		page.on('pageerror', (error) => this.#complaints.push(String(error.stack)));
		page.on('console', (message) => {
			if (/Content Security Policy|Refused to/.test(message.text()))
				this.#complaints.push(message.text());
		});
	}

	// A page of a context at a path, once its connection has this status (null: do not wait).
	async open(context, where = '', status = 'websocket') {
		const page = await context.newPage();
		await page.goto(this.url + where);
		if (status)
			await hasStatus(page, status);
		return page;
	}

	async signIn(name, options = {}, status = 'websocket') {
		const context = await this.context(options);
		const page = await context.newPage();
		await page.goto(this.url);
		await page.fill('#name', name);
		await page.click('.main-button');
		await page.waitForSelector('#messages');
		if (status)
			await hasStatus(page, status);
		return page;
	}
}

export const hasStatus = (page, status, timeout = DEADLINE_MS) =>
	page.waitForSelector(`#line[data-status="${status}"]`, { timeout });

// The messages that the page shows, top to bottom.
export const texts = (page) => page.$$eval('#messages .msg:not(.gone) .text', (all) => all.map((p) => p.textContent));

export const shows = (page, text) =>
	until(async () => (await texts(page)).includes(text), `the page shows ${text}`);

export async function write(page, text) {
	await page.fill('#write', text);
	await page.press('#write', 'Enter');
}

const LEAST = 500;	// messages that a page keeps of a long room

// Waits until the page shows exactly what the room holds, each once and in order; of a long
// one the newest.
export async function agrees(site, page, room = 'lobby', ms = DEADLINE_MS) {
	let shown, held;
	try {
		await until(async () => {
			held = JSON.parse(await site.sql(`SELECT json_group_array(content) FROM
				(SELECT content FROM messages WHERE room_id = '${room}' ORDER BY rowid)`));
			shown = await texts(page);
			if (shown.length >= LEAST)
				held = held.slice(-shown.length);
			return held.join('\n') === shown.join('\n') && await page.locator('.pending, .failed').count() === 0;
		}, 'page and room agree', ms);
	} catch {
		assert.deepEqual(shown, held);
		throw new Error('something is pending in the page');
	}
	return held;
}

// Kept by the run, to be looked at.
export async function shoot(page, name) {
	fs.mkdirSync(SHOTS, { recursive: true });
	const file = path.join(SHOTS, `${name}.png`);
	await page.screenshot({ path: file, animations: 'disabled', caret: 'hide' });
	return file;
}

// The example site's idea of a room, fed by the page, by history and by events that overtake
// each other at random: at the end it holds what the server holds, each once and in order.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Room } from '../../deploy/example-site/public/js/room.js';

const PAGE = 7;
const RUNS = Number(process.env.TEST_RUNS ?? 2000);

// A generator of numbers below n (mulberry32).
function dice(seed) {
	return (n) => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
		t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) % n;
	};
}

// The server's room: rows, the log of what was done to them, and pages as history gives them.
class Server {
	rows = [];
	log = [];
	#n = 0;

	add(senderId = 'bob', key) {
		const row = { id: `m${++this.#n}`, senderId, content: `${this.#n}`, type: 'text', ...(key && { key }) };
		this.rows.push(row);
		this.log.push((room) => room.add({ ...row }));
		return row;
	}

	edit(row) {
		Object.assign(row, { content: `${row.content}!`, type: 'edited' });
		const { id, content, type } = row;
		this.log.push((room) => room.change({ id, content, type }));
	}

	remove(row) {
		this.rows.splice(this.rows.indexOf(row), 1);
		this.log.push((room) => room.remove(row.id));
	}

	page(before) {
		const end = before === undefined ? this.rows.length : this.rows.findIndex((r) => r.id === before);
		const first = Math.max(0, end - PAGE);
		return end < 0 ? null : { messages: this.rows.slice(first, end).map(({ key, ...r }) => ({ ...r })), more: first > 0 };
	}
}

function play(seed) {
	const roll = dice(seed), server = new Server();
	for (let i = roll(20); i > 0; i--)
		server.add();
	const room = new Room({ id: 'r', name: 'R' });
	let told = server.log.length;		// events up to here were handled
	if (roll(2) === 0)
		room.fill(server.page(), room.ask());		// the page as the site printed it
	else
		told = roll(told + 1);
	const answers = [];
	let asked = 0, prepending = false;
	// Events are less than a page behind when it is asked for.
	const ask = () => {
		while (server.log.length - told >= PAGE)
			server.log[told++](room);
		const moment = room.ask(), page = server.page();
		answers.push(() => room.fill(page, moment));
	};
	const back = () => {
		const { oldest } = room, page = server.page(oldest);
		if (prepending || !room.hasMore || oldest === undefined || page === null)
			return;
		prepending = true;
		answers.push(() => {
			room.prepend(page, oldest);
			prepending = false;
		});
	};
	const steps = [
		() => server.add(),
		() => server.rows.length && server.edit(server.rows[roll(server.rows.length)]),
		() => server.rows.length && server.remove(server.rows[roll(server.rows.length)]),
		() => told < server.log.length && server.log[told++](room),
		() => told < server.log.length && server.log[told++](room),
		() => answers.length && answers.splice(roll(answers.length), 1)[0](),
		back,
		() => { if (asked++ < 2) ask(); },
		() => {
			// One's own: shown at once, known again by its key.
			const key = `k${roll(1e9)}`;
			room.outgoing.push({ key, content: key });
			server.add('me', key);
		},
	];
	for (let i = 0; i < 60; i++)
		steps[roll(steps.length)]();
	if (!room.isLoaded)
		ask();
	while (told < server.log.length || answers.length > 0) {
		if (answers.length === 0 || (told < server.log.length && roll(2) === 0))
			server.log[told++](room);
		else
			answers.splice(roll(answers.length), 1)[0]();
	}
	return { room, server };
}

test('whatever overtakes what, nothing is lost and nothing is twice', () => {
	for (let seed = 1; seed <= RUNS; seed++) {
		const { room, server } = play(seed);
		const shown = room.messages.filter((m) => !m.isGone).map((m) => `${m.id}:${m.content}:${m.type}`);
		const held = server.rows.map((r) => `${r.id}:${r.content}:${r.type}`);
		assert.equal(new Set(room.messages.map((m) => m.id)).size, room.messages.length, `seed ${seed}: each once`);
		assert.deepEqual(shown, held.slice(held.length - shown.length), `seed ${seed}: the newest, in order`);
		assert.ok(room.hasMore || shown.length === held.length, `seed ${seed}: there is more, and it says so`);
		assert.deepEqual(room.outgoing, [], `seed ${seed}: nothing is on its way`);
	}
});

test('a room that goes on and on is kept short', () => {
	const room = new Room({ id: 'r', name: 'R' });
	room.fill({ messages: [], more: false }, room.ask());
	let most = 0;
	for (let i = 1; i <= 5000; i++) {
		room.add({ id: `${i}`, senderId: 'bob', content: '' });
		room.trim();
		most = Math.max(most, room.messages.length);
	}
	assert.ok(most <= 1000 && room.messages.length >= 500);
	assert.equal(room.messages.at(-1).id, '5000');
	assert.equal(room.hasMore, true);
	assert.equal(Number(room.oldest), 5001 - room.messages.length);
});

test('one who is blocked is forgotten, one message at a time is found', () => {
	const room = new Room({ id: 'r', name: 'R' });
	for (const [id, senderId] of [['a', 'bob'], ['b', 'carol'], ['c', 'bob']])
		assert.equal(room.add({ id, senderId, content: id }), true);
	assert.equal(room.add({ id: 'a', senderId: 'bob', content: 'a' }), false);
	room.forget('bob');
	assert.deepEqual(room.messages.map((m) => m.id), ['b']);
});

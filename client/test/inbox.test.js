// The inbox: one cursor, each event once and in order, whatever streams bring and drop.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Inbox, WAITING_MAX } from '../inbox.js';
import { dice, settle } from './lib/clock.js';
import { position } from './lib/server.js';

const event = (n) => ({ type: 'E', payload: { n }, timestamp: position(n) });

function inbox(cursor = position(1), more = {}) {
	const got = { events: [], states: [], behind: 0, taken: [] };
	const box = new Inbox(cursor, {
		event: (e) => { got.events.push(e.payload.n); },
		state: (s) => { got.states.push(s.timestamp); },
		taken: (item) => { got.taken.push(item.at); },
		behind: () => { got.behind++; },
		...more,
	});
	return { box, got };
}

test('the cursor advances only after the handler, which may be a promise', async () => {
	let release;
	const seen = [];
	const { box } = inbox(position(1), { event: (e) => {
		seen.push([e.payload.n, box.cursor]);
		return new Promise((resolve) => { release = resolve; });
	} });
	const s = box.open();
	s.event(event(2));
	s.event(event(3));
	await settle();
	assert.deepEqual(seen, [[2, position(1)]], 'one at a time');
	assert.equal(box.cursor, position(1));
	release();
	await settle();
	assert.deepEqual(seen, [[2, position(1)], [3, position(2)]]);
	release();
	await settle();
	assert.equal(box.cursor, position(3));
});

test('a position before the cursor changes nothing, one after it moves it', async () => {
	const { box } = inbox();
	const s = box.open();
	s.position(position(9));
	s.position(position(4));
	await settle();
	assert.equal(box.cursor, position(9));
});

test('two streams at once: what one brought the other does not bring again', async () => {
	const { box, got } = inbox();
	const a = box.open(), b = box.open();
	[2, 3, 5].forEach((n) => a.event(event(n)));
	[2, 3].forEach((n) => b.event(event(n)));
	await settle();
	b.event(event(5));
	b.event(event(7));
	await settle();
	a.event(event(7));
	await settle();
	assert.deepEqual(got.events, [2, 3, 5, 7]);
});

test('a second state is passed over, and its stream waits until the gap is filled', async () => {
	const { box, got } = inbox('');
	const a = box.open(), b = box.open();
	a.state([], position(5), position(5), 'first');
	await settle();
	b.state([], position(8), position(9), 'first');
	[10, 11].forEach((n) => b.event(event(n)));
	await settle();
	assert.deepEqual(got.states, [position(5)]);
	assert.deepEqual(got.events, []);
	assert.ok(box.isBehind);
	assert.equal(got.behind, 1);
	const fill = box.open();
	[6, 9].forEach((n) => fill.event(event(n)));
	fill.end();
	await fill.drained;
	await settle();
	assert.deepEqual(got.events, [6, 9, 10, 11]);
	assert.ok(!box.isBehind);
});

test('an empty state whose position is not known waits for all that came with it', async () => {
	const { box, got } = inbox('');
	const a = box.open(), b = box.open();
	a.state([], position(5), position(5), 'first');
	await settle();
	b.state([], '', position(9), 'first');
	[9, 10].forEach((n) => b.event(event(n)));
	const fill = box.open();
	[6, 7].forEach((n) => fill.event(event(n)));
	await settle();
	assert.deepEqual(got.events, [6, 7]);
	[8, 9].forEach((n) => fill.event(event(n)));
	await settle();
	assert.deepEqual(got.events, [6, 7, 8, 9, 10]);
	// The first of all: news begin where they begin.
	const alone = inbox('');
	const s = alone.box.open();
	s.state([], '', position(9), 'first');
	s.event(event(9));
	await settle();
	assert.deepEqual([alone.got.states, alone.got.events], [[''], [9]]);
});

test('a reset back in the log: who was asked for elsewhere begins anew', async () => {
	const { box, got } = inbox(position(900));
	let stale = 0;
	const a = box.open(), b = box.open({ onStale: () => { stale++; } });
	a.state([], position(20), position(20), 'ahead');
	a.event(event(21));
	await settle();
	assert.equal(stale, 1);
	b.event(event(901));
	await settle();
	assert.deepEqual([got.states, got.events, box.cursor], [[position(20)], [21], position(21)]);
	assert.ok(!box.isBehind);
});

test('a stream that brings more than can wait is given up', async () => {
	const { box, got } = inbox(position(1), { event: () => new Promise(() => {}) });
	let stale = 0;
	const s = box.open({ onStale: () => { stale++; } });
	for (let n = 2; n < WAITING_MAX + 4; n++)
		s.event(event(n));
	await settle();
	assert.ok(stale > 0);
	assert.equal(s.items.length <= 3, true, 'and holds nothing');
	assert.deepEqual(got.taken.length, 0);
});

test('what was ended is handled to its end, what was closed is not', async () => {
	const { box, got } = inbox();
	const a = box.open();
	a.event(event(2));
	a.end();
	await a.drained;
	const b = box.open();
	b.event(event(3));
	b.close();
	await settle();
	assert.deepEqual(got.events, [2]);
	box.close();
	box.open().event(event(4));
	await settle();
	assert.deepEqual(got.events, [2]);
});

// Streams that begin where the cursor was, end anywhere, and bring what the log holds from
// their base on, at any pace: what was handled is the log from the first state on.
function stream(box, log, roll, head) {
	const from = box.cursor;
	const s = { stream: null, at: from, isOpen: true };
	s.stream = box.open({ onStale: () => { s.isOpen = false; } });
	if (from === '') {
		s.stream.state([], head(), head(), 'first');
		s.at = head();
	}
	s.step = () => {
		const next = log.filter((e) => e.timestamp > s.at).slice(0, 1 + Math.floor(roll() * 3));
		next.forEach((e) => s.stream.event(e));
		s.at = next.at(-1)?.timestamp ?? s.at;
		if (roll() < 0.3 && next.length > 0)
			s.stream.position(s.at);
	};
	return s;
}

test('random streams: exactly once and in order', async (t) => {
	const seed = Number(process.env.TEST_SEED ?? Date.now() % 1000000);
	t.diagnostic(`TEST_SEED=${seed}`);
	for (let round = 0; round < 60; round++) {
		const roll = dice(seed + round), log = [event(1)];
		const head = () => log.at(-1).timestamp;
		const { box, got } = inbox('', { event: async (e) => {
			if (roll() < 0.3)
				await settle();
			got.events.push(e.payload.n);
		} });
		let streams = [];
		for (let step = 0; step < 300; step++) {
			const what = roll();
			if (what < 0.3)
				log.push(event(log.at(-1).payload.n + 1 + Math.floor(roll() * 4)));
			else if (what < 0.4 && streams.length < 4)
				streams.push(stream(box, log, roll, head));
			else if (what < 0.45 && streams.length > 0)
				streams.splice(Math.floor(roll() * streams.length), 1)[0].stream[roll() < 0.5 ? 'end' : 'close']();
			else if (streams.length > 0)
				streams[Math.floor(roll() * streams.length)].step();
			streams = streams.filter((s) => s.isOpen);
			if (roll() < 0.3)
				await settle();
		}
		do {
			await settle();
			const last = stream(box, log, roll, head);
			for (let i = 0; i < 300; i++)
				last.step();
			last.stream.end();
			await last.stream.drained;
			for (let i = 0; i < 100; i++)
				await settle();
		} while (box.cursor < head());
		assert.equal(got.states.length, 1);
		assert.deepEqual(got.events, log.filter((e) => e.timestamp > got.states[0]).map((e) => e.payload.n), `round ${round}`);
	}
});

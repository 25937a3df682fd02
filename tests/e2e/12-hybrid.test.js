// Clients that change between poll, held poll and socket with one cursor, while another
// process writes and both services are restarted: everything once, in order, nothing else.

import test from 'node:test';
import assert from 'node:assert/strict';
import { startSite } from './lib/site.js';
import { until } from './lib/deadline.js';
import { dice } from './lib/dice.js';
import { checkAnswer, settle } from './lib/poller.js';

class Hybrid {
	constructor(site, user, roll) {
		Object.assign(this, { site, user, roll, got: [], used: { poll: 0, held: 0, socket: 0, failed: 0 }, isDone: false });
	}

	async start() {
		this.cursor = checkAnswer(await this.site.poll(this.user)).timestamp;
	}

	#take(events) {
		for (const e of events) {
			if (e.type === 'NEW_MESSAGE')
				this.got.push({ id: e.payload.id, room: e.payload.roomId, sender: e.payload.senderId, at: e.timestamp });
			if (e.payload.id === 'end')
				this.isDone = true;
		}
	}

	async #poll(params) {
		const a = await this.site.poll(this.user, { lastTimestamp: this.cursor, ...params });
		if (a.status === 502 || a.status === 503 || a.status === 500)
			throw new Error('the service is away');
		const body = checkAnswer(a);
		assert.equal(body.reset, undefined, `${this.user} resumes at ${this.cursor}`);
		this.#take(body.events);
		this.cursor = body.timestamp;
	}

	// Reads a number of events from a socket, which may break off.
	async #socket(direct, count) {
		const s = this.site.socket(this.user, { params: { lastTimestamp: this.cursor }, direct });
		try {
			await s.open();
			for (let i = 0; i < count && !this.isDone; i++) {
				const e = await s.next('an event');
				this.#take([e]);
				this.cursor = e.timestamp;
			}
		} finally {
			s.ws.terminate();
		}
	}

	async step() {
		const how = ['poll', 'held', 'socket', 'socket'][this.roll(4)];
		this.used[how]++;
		try {
			if (how === 'socket')
				await this.#socket(this.roll(2) === 0, 1 + this.roll(30));
			else
				await this.#poll({ ...(how === 'held' ? { timeout: 1 + this.roll(3) } : {}), limit: 1 + this.roll(40) });
		} catch (error) {
			if (error.code === 'ERR_ASSERTION')
				throw error;
			this.used.failed++;
		}
	}

	run() {
		return until(async () => {
			await this.step();
			return this.isDone;
		}, `${this.user} comes to the end`, 60000);
	}
}

test('one cursor over all transports: exactly once, in order, with the rights', async (t) => {
	const site = await startSite(t, { conf: ['limit.poll_per_s = 0', 'presence.grace_s = 1', 'ws.max_per_user = 100'] });
	const seed = Number(process.env.TEST_SEED ?? Date.now() % 1000000);
	t.diagnostic(`TEST_SEED=${seed}`);
	const roll = dice(seed);
	await site.sql(`
		INSERT INTO users(id, name) VALUES ('dave', 'Dave'), ('erin', 'Erin');
		INSERT INTO rooms(id, name, is_private, created_by) VALUES ('attic', 'Attic', 0, 'bob'), ('den', 'Den', 1, 'carol');
		INSERT INTO room_members(room_id, user_id) VALUES ('den', 'dave');
		INSERT INTO user_relationships(user_id, target_id, relationship_type) VALUES ('bob', 'carol', 'blocked')`);
	const users = ['alice', 'bob', 'carol', 'dave', 'erin'];
	const members = { vault: ['alice', 'bob'], den: ['carol', 'dave'] };
	const maySee = (user, m) => (members[m.room] ?? users).includes(user) && !(user === 'bob' && m.sender === 'carol');
	await settle(site, ...users);

	const clients = [...users, 'alice', 'carol'].map((u, i) => new Hybrid(site, u, dice(seed + i + 1)));
	for (const c of clients)
		await c.start();
	let restarts = 0;
	const write = async () => {
		for (let n = 0, batch = 0; n < 400; batch++) {
			const rows = [];
			for (let k = 1 + roll(8); k > 0; k--, n++)
				rows.push(`('h${n}', '${['lobby', 'attic', 'vault', 'den'][roll(4)]}', '${users[roll(5)]}', 'x')`);
			await site.sql(`INSERT INTO messages(id, room_id, sender_id, content) VALUES ${rows.join()}`);
			if (batch % 25 === 12) {
				await site.poller.stop(restarts % 2 ? 'SIGKILL' : 'SIGTERM');
				await site.startPoll();
				restarts++;
			}
			if (batch % 25 === 24) {
				await site.sidecar.stop(restarts % 2 ? 'SIGTERM' : 'SIGKILL');
				await site.startSidecar();
				restarts++;
			}
		}
		await site.post('lobby', 'alice', 'end', 'end');
	};
	await Promise.all([write(), ...clients.map((c) => c.run())]);
	assert.ok(restarts >= 4, `${restarts} restarts`);

	const log = (await site.sql(`SELECT e.entity_id, m.room_id, m.sender_id FROM events e
		JOIN messages m ON m.id = e.entity_id WHERE e.type = 'NEW_MESSAGE' ORDER BY e.id`)).split('\n')
		.map((line) => line.split('|')).map(([id, room, sender]) => ({ id, room, sender }));
	assert.equal(log.length, new Set(log.map((m) => m.id)).size);
	for (const c of clients) {
		const want = log.filter((m) => maySee(c.user, m)).map((m) => m.id);
		assert.ok(want.length > 100, `${c.user} sees ${want.length}`);
		assert.deepEqual(c.got.map((m) => m.id), want, `${c.user} ${JSON.stringify(c.used)}`);
		for (let i = 1; i < c.got.length; i++)
			assert.ok(c.got[i].at > c.got[i - 1].at);
	}
	const total = clients.reduce((sum, c) => ({ poll: sum.poll + c.used.poll, held: sum.held + c.used.held,
		socket: sum.socket + c.used.socket }), { poll: 0, held: 0, socket: 0 });
	assert.ok(total.poll > 0 && total.held > 0 && total.socket > 0, JSON.stringify(total));
	t.diagnostic(JSON.stringify({ ...total, failed: clients.reduce((n, c) => n + c.used.failed, 0) }));
});

test('the position of a poll, of an event and of an id are good on the other transport', async (t) => {
	const site = await startSite(t, { conf: ['limit.poll_per_s = 0'] });
	await settle(site, 'carol');
	let cursor = checkAnswer(await site.poll('carol')).timestamp;
	const first = await site.post('lobby', 'bob', 'one');
	const s = await site.connect('carol', { params: { lastTimestamp: cursor } });
	const one = await s.until('NEW_MESSAGE');
	assert.equal(one.payload.id, first);
	await s.close();
	await site.post('lobby', 'bob', 'two');
	for (const params of [{ lastTimestamp: one.timestamp }, { lastMessageId: first }]) {
		const a = checkAnswer(await site.poll('carol', { ...params, timeout: 10 }));
		assert.deepEqual(a.events.map((e) => e.payload.content).filter(Boolean), ['two']);
		cursor = a.timestamp;
		// The very same text on both.
		const again = await site.connect('carol', { params });
		assert.deepEqual(await again.until('NEW_MESSAGE'), a.events.find((e) => e.type === 'NEW_MESSAGE'));
		await again.close();
	}
});

// The promise: clients that cut and change their transport at random, writers of all kinds,
// programs that end at any moment.  Every acknowledged message is there; every client that may
// see it has it once and in order; what was repeated is there once.
//
// CHAOS_CLIENTS, CHAOS_MESSAGES and CHAOS_KILLS set the size (the second test has half of it),
// CHAOS_SEED repeats a run in kind: who does what is chosen by the seed, when it happens is not.

import test from 'node:test';
import assert from 'node:assert/strict';
import { startSite } from './lib/site.js';
import { until, within } from './lib/deadline.js';
import { dice, oneOf } from './lib/dice.js';
import { Foreign } from './lib/foreign.js';
import { Ledger } from './lib/ledger.js';
import { Mover } from './lib/mover.js';
import { Page, PageSender } from './lib/page.js';
import { checkAnswer, contents } from './lib/poller.js';
import { Roamer } from './lib/roamer.js';
import { Sender } from './lib/sender.js';
import { Supervisor } from './lib/supervisor.js';
import { Town } from './lib/town.js';
import { checkExact, checkRights, checkWrites, readLog } from './lib/verdict.js';

const number = (name, initial) => Number(process.env[name] ?? initial);
const SEED = number('CHAOS_SEED', Date.now() % 1000000);
const CLIENTS = number('CHAOS_CLIENTS', 200);
const MESSAGES = number('CHAOS_MESSAGES', 2000);
const KILLS = number('CHAOS_KILLS', 30);
const STILL_MS = 60000;		// nothing moves for so long: it hangs
const CONF = ['limit.poll_per_s = 0', 'limit.send_per_s = 0', 'limit.frame_per_s = 0', 'ws.max_per_user = 1000',
	'presence.grace_s = 3'];
const LIGHTTPD = 'server.max-fds = 4096\nserver.max-connections = 2000';

const KINDS = [
	{ kind: 'hybrid' },
	{ kind: 'hybrid', isOverlapping: true },
	{ kind: 'id' },
	{ kind: 'plain' },
	{ kind: 'hybrid', isNarrow: true },
	{ kind: 'hybrid', isSteady: true },
	{ kind: 'plain', isOverlapping: true },
	{ kind: 'hybrid', isLate: true },
	{ kind: 'hybrid', isSleepy: true },
	{ kind: 'id', isSleepy: true },
	{ kind: 'page' },
	{ kind: 'page', isSteady: true },
];

// Rows of other programs; frames by socket, by POST, by both and by the client library; some one
// by one, some many at once.
const WRITERS = [
	{ language: 'php' }, { language: 'python' }, { language: 'shell' },
	{ language: 'php' }, { language: 'python' },
	{ kind: 'socket', atOnce: 1 }, { kind: 'socket', atOnce: 8 }, { kind: 'socket', atOnce: 30 },
	{ kind: 'post', atOnce: 1 }, { kind: 'post', atOnce: 20 },
	{ kind: 'either', atOnce: 1 }, { kind: 'either', atOnce: 3 }, { kind: 'either', atOnce: 10 },
	{ kind: 'page', atOnce: 1 }, { kind: 'page', atOnce: 5 },
	{ kind: 'keyless', atOnce: 2 },
];

// Everything of a run.  seed, clients, messages: its size.
class Chaos {
	constructor(site, town, { seed, clients, messages }) {
		Object.assign(this, { site, town });
		const roll = dice(seed + 1);
		this.ledger = new Ledger((item) => this.prompt.filter((r) => this.maySee(r, item)).length);
		this.roamers = Array.from({ length: clients }, (_, i) => {
			const { isNarrow, isLate, ...kind } = KINDS[i % KINDS.length];
			const user = town.users[i % town.users.length];
			const rooms = isNarrow ? ['open0', ...town.rooms.filter((r) => r !== 'open0' && roll(2) === 0)].join() : undefined;
			const Kind = kind.kind === 'page' ? Page : Roamer;
			return new Kind(site, this.ledger, { name: `c${i}`, user, token: this.token(user),
				roll: dice(seed * 1000 + i), rooms, ...kind, joinsAt: isLate ? roll(messages) : 0 });
		});
		this.prompt = this.roamers.filter((r) => r.isPrompt);
		this.foreign = [];
		this.writers = WRITERS.map((how, i) => this.#writer(how, i, seed));
		// Those who write one at a time have less to write.
		const turns = this.writers.flatMap((w) => (w.atOnce === 1 ? [w] : [w, w, w]));
		for (let i = 0; i < messages; i++)
			this.#plan(turns[i % turns.length], roll);
	}

	token(user) { return this.site.token(user, { exp: Math.floor(Date.now() / 1000) + 4 * 3600 }); }

	// But for the membership.
	mayHear({ user, rooms }, { room, sender }) {
		return (rooms?.split(',').includes(room) ?? true) && !this.town.hasBlocked(user, sender);
	}

	maySee(roamer, item) { return this.mayHear(roamer, item) && this.town.isIn(roamer.user, item.room); }

	#writer(how, i, seed) {
		const user = this.town.writers[i];
		const who = { name: `w${i}`, user, token: this.token(user), roll: dice(seed * 2000 + i), ...how };
		if (how.kind)
			return new (how.kind === 'page' ? PageSender : Sender)(this.site, this.ledger, who);
		const w = new Foreign(this.site, this.ledger, who);
		this.foreign.push(w);
		return w;
	}

	// Sizes are mostly those of talk, now and then those of a page.
	#plan(writer, roll) {
		const fill = roll(100) === 0 ? roll(12000) : roll(300);
		const name = `${writer.name}-${writer.items.length}`;
		writer.items.push(this.ledger.add(name, { sender: writer.user, key: writer.key?.(name), fill,
			room: oneOf(roll, this.town.openTo(writer.user)) }));
	}

	// How many of its items a writer may have written by now.
	#free(writer) { return Math.floor(this.ledger.share * writer.items.length); }

	async #write(writer) {
		const { items, roll } = writer;
		for (let n = 0; n < items.length;) {
			await this.ledger.when(() => n < this.#free(writer));
			const batch = items.slice(n, Math.min(this.#free(writer), n + 1 + roll(writer.atOnce)));
			await writer.commit(batch);
			n += batch.length;
		}
	}

	// Rejects when nothing moves any more.
	async #moving(work, what) {
		const { ledger } = this;
		let isOver = false;
		const end = work.finally(() => { isOver = true; });
		end.catch(() => {});
		while (!isOver) {
			const { given, handled } = ledger;
			const moved = until(() => isOver || ledger.given !== given || ledger.handled !== handled, what, STILL_MS);
			await Promise.race([end, moved]).catch((error) => {
				throw error.message.startsWith('deadline') ? this.#stuck(error) : error;
			});
		}
		return end;
	}

	#stuck(error) {
		const { share, given, acked, due, handled } = this.ledger;
		const late = this.roamers.filter((r) => !r.isDone).sort((a, b) => (a.at < b.at ? -1 : 1)).slice(0, 5);
		return new Error([error.message, JSON.stringify({ share, given, acked, due, handled }),
			...late.map((r) => `${r.describe()}: ${r.got.length}\n  ${r.history()}`)].join('\n'));
	}

	// Writes everything; after each of the shares a program ends, when a random part of it is
	// acknowledged and a random part of that was handled (which is not known with a mover).
	async #storm(supervisor, kills, roll, mover) {
		const moving = mover?.run(this.ledger.items.size);
		const writing = Promise.all([moving, ...this.writers.map((w) => this.#write(w))]);
		writing.catch(() => {});
		for (let k = 1; k <= kills; k++) {
			const before = this.ledger.given;
			this.ledger.release(k / (kills + 1));
			const free = this.writers.reduce((sum, w) => sum + this.#free(w), 0);
			const given = before + roll(free - before + 1);
			const part = mover || roll(4) === 0 ? 0 : roll(95) / 100;
			await Promise.race([writing, this.ledger.when((l) => l.given >= given && l.handled >= part * l.due)]);
			await supervisor.strike();
		}
		this.ledger.release(1);
		await writing;
	}

	// Returns the supervisor.  After a failure nothing of it goes on.
	async run(kills, roll, mover) {
		try {
			return await this.#run(kills, roll, mover);
		} catch (error) {
			this.ledger.stop();
			for (const one of this.roamers)
				one.stop();
			for (const one of this.writers)
				void one.close();
			await this.storm?.catch(() => {});
			throw error;
		}
	}

	async #run(kills, roll, mover) {
		const failed = Promise.race(this.roamers.map((r) => r.failed));
		failed.catch(() => {});
		const readers = Promise.all(this.roamers.map((r) => r.run()));
		readers.catch(() => {});
		await Promise.race([failed, within(Promise.all(this.prompt.map((r) => r.ready)),
			'everyone has a position', STILL_MS)]);
		const supervisor = new Supervisor(this.site, { roll, more: LIGHTTPD, programs: this.foreign });
		this.storm = this.#storm(supervisor, kills, roll, mover);
		await Promise.race([failed, this.#moving(this.storm, 'a message is written or read')]);
		await Promise.race([failed, this.#moving(Promise.all(this.roamers.map((r) => r.ready)), 'the last client comes')]);
		const end = this.ledger.add('end', { sender: 'mayor', room: 'open0' });
		await this.site.post('open0', 'mayor', end.content, 'end');
		this.ledger.ack(end);
		await this.#moving(readers, 'a client comes nearer to the end');
		for (const w of this.writers)
			await w.close();
		return supervisor;
	}
}

// A site with a town in it, and a run of this size there.
async function begin(t, { seed, clients, messages, kills, privateRooms = 8 }) {
	t.diagnostic(`CHAOS_SEED=${SEED}: ${clients} clients, ${messages} messages, ${kills} kills`);
	const site = await startSite(t, { conf: CONF, web: false });
	const town = new Town({ seed, users: WRITERS.length + Math.ceil(clients / 2), writers: WRITERS.length,
		privateRooms });
	await site.sql(town.sql());
	await site.startLighttpd(LIGHTTPD);
	return new Chaos(site, town, { seed, clients, messages });
}

// What both tests look at when all have come to the end; returns the log.
async function look(t, { site, ledger, roamers, writers }, supervisor, since) {
	const log = await readLog(site, ledger);
	await checkWrites(site, ledger, log, writers);
	for (const r of roamers) {
		const body = checkAnswer(await site.poll(r.user, { lastTimestamp: r.at }));
		assert.deepEqual([body.reset, contents(body.events)], [undefined, []], `${r.describe()} is at the end`);
	}
	const told = (f) => writers.reduce((n, w) => n + (w[f] ?? 0), 0);
	const visits = roamers.flatMap((r) => r.visits);
	t.diagnostic(`${Math.round((Date.now() - since) / 1000)} s; ended ${JSON.stringify(supervisor.ended)}; ` +
		`${visits.length} visits, ${visits.reduce((n, v) => n + v.dropped, 0)} events again where they overlap`);
	t.diagnostic(`${ledger.acked} of ${ledger.items.size} messages acknowledged; sends: ${told('repeated')} repeated, ` +
		`${told('duplicates')} acknowledged again, ${told('refused')} refused`);
	assert.equal((await site.must('check')).match(/FAIL/), null);
	// What was counted by programs that were killed is taken back.
	const { resets_total: resets } = await until(async () => {
		const s = JSON.parse(await site.must('stats', '--json'));
		return s.connections === 0 && s.held_requests === 0 && s.poll_processes === 1 && s.sidecar_processes === 1 && s;
	}, 'nothing is open');
	assert.equal(resets, 0);
	return log;
}

test('everyone has everything once and in order, whatever ends', async (t) => {
	const chaos = await begin(t, { seed: SEED, clients: CLIENTS, messages: MESSAGES, kills: KILLS });
	const since = Date.now();
	const supervisor = await chaos.run(KILLS, dice(SEED + 2));
	const log = await look(t, chaos, supervisor, since);
	let checked = 0;
	for (const r of chaos.roamers)
		checked += checkExact(r, log, (one, item) => chaos.maySee(one, item));
	t.diagnostic(`${checked} deliveries checked`);
	assert.ok(checked > 0);
	if (KILLS >= 4)		// they take turns
		for (const name of ['ws-sidecar', 'fcgi-poll', 'lighttpd', 'writer'])
			assert.ok(supervisor.ended[name] > 0, `${name} was killed`);
});

test('who is removed gets nothing of what comes then, and nobody anything twice', async (t) => {
	const size = { clients: Math.ceil(CLIENTS / 2), messages: Math.ceil(MESSAGES / 2), kills: Math.ceil(KILLS / 2) };
	const chaos = await begin(t, { seed: SEED + 1, ...size, privateRooms: 4 });
	const { site, ledger, town } = chaos;
	const mover = new Mover(site, ledger, town, town.users.slice(WRITERS.length), dice(SEED + 3));
	const since = Date.now();
	const supervisor = await chaos.run(size.kills, dice(SEED + 4), mover);
	const log = await look(t, chaos, supervisor, since);
	const sum = { handled: 0, sure: 0 };
	for (const r of chaos.roamers) {
		const { handled, sure } = checkRights(r, log, town, mover.joins, (one, item) => chaos.mayHear(one, item));
		sum.handled += handled;
		sum.sure += sure;
	}
	t.diagnostic(`${mover.changes} changes of membership; ${sum.handled} deliveries checked, ${sum.sure} had to be`);
	assert.ok(mover.changes > 0 && sum.sure > 0);
});

// A client that writes: `send` frames over a socket, by POST, or over both.  What is not
// acknowledged is repeated with the same key on whatever transport comes next, until it is.

import { request } from './http.js';
import { within } from './deadline.js';
import { Wire } from './wire.js';
import { oneOf } from './dice.js';

const ANSWER_MS = 60000;
const BACK_OFF_MS = 50;
const AWAY = [0, 500, 502, 503, 504];
const PASSING = ['busy', 'overloaded', 'draining'];
const WAYS = {
	socket: ['direct', 'proxied'],
	post: ['post'],
	either: ['direct', 'proxied', 'post', 'both'],
	// Without a key nothing is remembered, so this one never repeats.
	keyless: ['direct', 'post'],
};

const pause = (ms) => new Promise((r) => setTimeout(r, ms));

export class Sender {
	constructor(site, ledger, { name, user, token, roll, kind, atOnce }) {
		Object.assign(this, { site, ledger, name, user, token, roll, kind, atOnce, items: [] });
		this.repeated = 0;
		this.duplicates = 0;
		this.refused = 0;	// for a passing reason: order is not promised then
		this.failures = 0;
	}

	key(name) { return this.kind === 'keyless' ? undefined : `key of ${name}`; }

	#frame({ key, room, content }) {
		return { type: 'send', payload: { key, roomId: room, content } };
	}

	// Takes an answer's frame; whether it settled the item.
	#answer(item, frame) {
		const p = frame.payload;
		if (frame.type === 'ack') {
			if (p.key !== item.key || typeof p.duplicate !== 'boolean')
				throw new Error(`${this.name}: ${item.name} has the ack ${JSON.stringify(frame)}`);
			this.duplicates += p.duplicate;
			this.ledger.ack(item, p);
			return true;
		}
		if (frame.type !== 'error' || !PASSING.includes(p.code))
			throw new Error(`${this.name}: ${item.name} has the answer ${JSON.stringify(frame)}`);
		this.refused++;
		return false;
	}

	async commit(items) {
		let open = items;
		while (open.length > 0 && !this.ledger.isStopped) {
			const way = oneOf(this.roll, WAYS[this.kind]);
			if (way === 'both')
				await Promise.all([this.#post(open), this.#socket(open, 'direct')]);
			else if (way === 'post')
				await this.#post(open);
			else
				await this.#socket(open, way);
			open = open.filter((item) => !item.isSure);
			if (this.kind === 'keyless') {
				open.forEach(() => this.ledger.giveUp());
				return;
			}
			if (open.length > 0) {
				this.repeated += open.length;
				this.failures++;
				await pause(this.roll(BACK_OFF_MS << Math.min(this.failures, 4)));
			} else {
				this.failures = 0;
			}
		}
	}

	async #post(items) {
		const frames = items.map((item) => this.#frame(item));
		const isList = items.length > 1 || this.roll(4) === 0;
		const abort = new AbortController();
		const timer = this.roll(10) === 0 ? setTimeout(() => abort.abort(), this.roll(30)) : undefined;
		let answer;
		try {
			answer = await request(this.site.web, 'POST', '/api/realtime/send', { signal: abort.signal,
				headers: { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json' },
				body: JSON.stringify(isList ? frames : frames[0]), timeout: ANSWER_MS });
		} catch (error) {
			if (/^deadline/.test(error.message))
				throw error;
			return;
		} finally {
			clearTimeout(timer);
		}
		if (AWAY.includes(answer.status) || answer.json === undefined)
			return;
		if (answer.status !== 200 && !(answer.status === 201 && !isList))
			throw new Error(`${this.name}: POST is answered by ${answer.status} ${answer.text}`);
		const answers = isList ? answer.json : [answer.json];
		if (answers.length !== items.length)
			throw new Error(`${this.name}: ${items.length} frames, ${answers.length} answers`);
		items.forEach((item, i) => this.#answer(item, answers[i]));
		if (!isList && answer.json.payload.duplicate !== (answer.status === 200))
			throw new Error(`${this.name}: ${answer.status} ${answer.text}`);
	}

	// Sends over the socket that is open, or over a new one; resolves when all are answered, or
	// the socket ended.
	#socket(items, way) {
		const done = new Promise((resolve, reject) => { this.turn = { resolve, reject, left: new Set(items) }; });
		this.cutAfter = this.roll(10) === 0 ? this.roll(items.length) : Infinity;
		if (!this.wire || this.wire.isOver)
			this.#connect(way);
		else
			this.#flush();
		return within(done, `${this.name} is answered`, ANSWER_MS);
	}

	#flush() {
		for (const item of this.turn.left) {
			if (this.roll(4) === 0)		// nothing answers that
				this.wire.send({ type: 'typing', payload: { roomId: item.room, on: this.roll(2) === 0 } });
			this.wire.send(this.#frame(item));
		}
		if (this.cutAfter === 0)
			this.wire.cut({ reset: this.roll(2) === 0 });
	}

	#connect(way) {
		const port = way === 'proxied' ? this.site.webPort : this.site.wsPort;
		const isV1 = this.roll(3) > 0;
		this.wire = new Wire(port, `/ws?${new URLSearchParams({ token: this.token })}`,
			isV1 ? { protocol: 'sidewire.v1' } : {}, {
				open: () => this.#flush(),
				text: (text) => {
					try {
						this.#hear(JSON.parse(text));
					} catch (error) {
						this.turn.reject(error);
					}
				},
				end: (why) => {
					if (/^broken|^closed (1002|1003|1007|1008|1009|1011|44)|^HTTP 4/.test(why))
						this.turn.reject(new Error(`${this.name}: socket ${why}`));
					this.turn.resolve();
				},
			});
	}

	#hear(frame) {
		if (frame.type !== 'ack' && frame.type !== 'error')
			return;
		const key = frame.type === 'ack' ? frame.payload.key : frame.payload.ref;
		// Without a key, answers come in the order of the frames.
		const item = [...this.turn.left].find((i) => i.key === key);
		if (item === undefined)
			throw new Error(`${this.name}: nobody waits for ${JSON.stringify(frame)}`);
		this.turn.left.delete(item);
		this.#answer(item, frame);
		if (--this.cutAfter === 0)
			this.wire.cut();
		else if (this.turn.left.size === 0)
			this.turn.resolve();
	}

	close() { this.wire?.cut(); }
}

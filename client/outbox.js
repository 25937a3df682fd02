// What this page sends: one at a time and in order, each with a key that makes it safe to
// repeat, again until the server has answered, and over a reload too.

import { Backoff } from './backoff.js';
import { SidewireError } from './problem.js';
import { newId } from './env.js';

const ENTRIES_MAX = 500;
const KEPT_MS = 23 * 3600000;	// the server knows a key for 24 hours
const STEP_MAX_MS = 15000;
const NAME = 'sidewire:outbox:';

export class Outbox {
	#env;
	#name;
	#carry;
	#on;
	#backoff;
	#entries = [];		// { frame, at, resolve, reject }; at: when it was written
	#isLooping = false;
	#isClosed = false;
	#wakeUp = () => {};

	// user: whose.  carry(frame) resolves to the answering payload or rejects with a
	// SidewireError; on.sent(ack), on.unsent({ key, error }).
	constructor(env, user, carry, on) {
		this.#env = env;
		this.#name = NAME + user;
		this.#carry = carry;
		this.#on = on;
		this.#backoff = new Backoff(env, STEP_MAX_MS);
		this.#restore();
	}

	// What is not acknowledged, oldest first: { key, roomId, content, type }.
	get pending() { return this.#entries.map((e) => ({ ...e.frame.payload })); }

	// Resolves to { key, id, timestamp, duplicate } once it is committed.
	send({ key = newId(this.#env.random), roomId, content, type = 'text' }) {
		return new Promise((resolve, reject) => {
			if (this.#entries.length >= ENTRIES_MAX)
				throw new SidewireError({ code: 'outbox_full', status: 400, detail: 'Too much is unsent.' });
			if (this.#entries.some((e) => e.frame.payload.key === key))
				throw new SidewireError({ code: 'key_reused', status: 422, detail: 'This key is in use.' });
			const frame = { type: 'send', payload: { key, roomId, content, type } };
			JSON.stringify(frame);		// throws here, not with each attempt
			this.#entries.push({ frame, at: this.#env.clock.now(), resolve, reject });
			this.#store();
			void this.#run();
		});
	}

	// A way has opened: not only after the back-off.
	wake() {
		this.#wakeUp();
		void this.#run();
	}

	// What is unsent stays stored for the next page.
	close() {
		this.#isClosed = true;
		this.#wakeUp();
		for (const { reject } of this.#entries)
			reject(new SidewireError({ code: 'closed', detail: 'The connection was closed; it is sent later.' }));
		this.#entries = [];
	}

	#restore() {
		try {
			for (const { frame, at } of JSON.parse(this.#env.storage.getItem(this.#name) ?? '[]'))
				if (typeof frame.payload.key === 'string' && typeof at === 'number')
					this.#entries.push({ frame, at, resolve: () => {}, reject: () => {} });
		} catch {
			// Not ours, or of another version.
		}
	}

	#store() {
		try {
			if (this.#entries.length > 0)
				this.#env.storage.setItem(this.#name, JSON.stringify(this.#entries.map(({ frame, at }) => ({ frame, at }))));
			else
				this.#env.storage.removeItem(this.#name);
		} catch {
			// A full storage: it is kept for the life of the page.
		}
	}

	async #run() {
		if (this.#isLooping)
			return;
		this.#isLooping = true;
		while (this.#entries.length > 0 && !this.#isClosed)
			await this.#first();
		this.#isLooping = false;
	}

	async #first() {
		const entry = this.#entries[0];
		try {
			if (this.#env.clock.now() - entry.at > KEPT_MS)
				throw new SidewireError({ code: 'stale', status: 400, detail: 'Unsent for a day.' });
			const ack = await this.#carry(entry.frame);
			this.#backoff.worked();
			this.#settle(entry, () => {
				entry.resolve(ack);
				this.#on.sent(ack);
			});
		} catch (error) {
			if (this.#isClosed)
				return;
			if (error.isPassing)
				await this.#pause(this.#backoff.next(error.retryAfterMs), error.retryAfterMs > 0);
			else
				this.#settle(entry, () => {
					entry.reject(error);
					this.#on.unsent({ key: entry.frame.payload.key, error });
				});
		}
	}

	#settle(entry, tell) {
		if (this.#isClosed)
			return;
		this.#entries.shift();
		this.#store();
		tell();
	}

	// isAdvised: the server named the time; nothing shortens it but the end.
	#pause(ms, isAdvised) {
		const { clock } = this.#env;
		return new Promise((resolve) => {
			const timer = clock.setTimeout(resolve, ms);
			this.#wakeUp = () => {
				if (isAdvised && !this.#isClosed)
					return;
				clock.clearTimeout(timer);
				resolve();
			};
		});
	}
}

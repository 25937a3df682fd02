// What is to be written, how far the writers may go, what was acknowledged.

import assert from 'node:assert/strict';

// item: { name, sender, room, key, content, acks, isSure }; its content begins with its name.
// key: undefined where the writer is no client.
export class Ledger {
	// audienceOf(item): how many of the readers count() it.
	constructor(audienceOf) {
		this.audienceOf = audienceOf;
		this.items = new Map();
		this.share = 0;		// of each writer's items that may be written, 0 to 1
		this.acked = 0;
		this.given = 0;		// acknowledged or given up
		this.due = 0;		// deliveries of what was acknowledged
		this.handled = 0;	// those that the readers counted
		this.waiting = [];
		this.isStopped = false;
	}

	add(name, { sender, room, key, fill = 0 }) {
		const content = `${name}: ${'xä€'[fill % 3].repeat(fill)}`;
		const item = { name, sender, room, key, content, acks: [], isSure: false };
		this.items.set(name, item);
		return item;
	}

	// The item of a NEW_MESSAGE's payload; throws where it is not what was written.
	match({ content, roomId, senderId }) {
		const item = this.items.get(content.slice(0, content.indexOf(':')));
		assert.ok(item, `nobody wrote ${content.slice(0, 60)}`);
		assert.ok(item.content === content, `${item.name} has another content, of ${content.length}`);
		assert.deepEqual([roomId, senderId], [item.room, item.sender], item.name);
		return item;
	}

	// ack: a frame's payload; none where another program told that it committed.
	ack(item, ack) {
		if (ack)
			item.acks.push(ack);
		if (item.isSure)
			return;
		item.isSure = true;
		this.acked++;
		this.given++;
		this.due += this.audienceOf(item);
		this.#wake();
	}

	// Nobody will ever know whether it is there.
	giveUp() {
		this.given++;
		this.#wake();
	}

	// A delivery was handled.
	count() {
		this.handled++;
		this.#wake();
	}

	release(share) {
		this.share = share;
		this.#wake();
	}

	#wake() {
		for (let i = this.waiting.length - 1; i >= 0; i--) {
			if (this.waiting[i].test(this))
				this.waiting.splice(i, 1)[0].resolve();
		}
	}

	// Resolves as soon as test(ledger) holds; rejects when everything is stopped.
	when(test) {
		if (this.isStopped)
			return Promise.reject(new Error('stopped'));
		return test(this) ? Promise.resolve() :
			new Promise((resolve, reject) => { this.waiting.push({ test, resolve, reject }); });
	}

	// A failure: nobody goes on.
	stop() {
		this.isStopped = true;
		for (const { reject } of this.waiting.splice(0))
			reject(new Error('stopped'));
	}
}

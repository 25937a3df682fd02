// The tab that holds the connection, as the others see it: it tells them what comes, item
// by item in the log's order, and carries their frames.

const PRESENT_MS = 150000;	// a tab says hello every 30 s, a hidden one every minute

export class Leader {
	#ctx;
	#send;
	#on;
	#tabs = new Map();	// id -> { isVisible, at }
	#n = 0;			// of the last item
	#isAnnounced = false;	// with a position

	// on.status(), on.carry(frame), on.say(frame), on.seen(): somebody looks again.
	constructor(ctx, send, on) {
		this.#ctx = ctx;
		this.#send = send;
		this.#on = on;
		this.#announce();
	}

	// Ids come from one position on: after `base` the others get everything from us.
	#announce(isReset = false, to = undefined) {
		const base = this.#ctx.inbox.passed;
		this.#isAnnounced = this.#isAnnounced || base !== '';
		this.#send({ kind: 'lead', to, n: this.#n, base, isReset, status: this.#on.status() });
	}

	// The inbox is about to handle this.
	taken({ event, state, at }) {
		if (state)
			this.#isAnnounced = false;
		if (!this.#isAnnounced)
			this.#announce(state !== undefined && state.reason !== 'first');
		else
			this.#send({ kind: 'item', n: ++this.#n, event, at });
	}

	tellStatus() { this.#send({ kind: 'status', status: this.#on.status() }); }

	get hasOthers() { return this.#present().length > 0; }
	get hasVisible() { return this.#present().some((tab) => tab.isVisible); }

	#present() {
		const now = this.#ctx.env.clock.now();
		for (const [id, tab] of this.#tabs)
			if (now - tab.at >= PRESENT_MS)
				this.#tabs.delete(id);
		return [...this.#tabs.values()];
	}

	receive(message) {
		if (message.kind === 'hello')
			this.#greet(message);
		else if (message.kind === 'left')
			this.#tabs.delete(message.from);
		else if (message.kind === 'say')
			this.#on.say(message.frame);
		else if (message.kind === 'ask')
			void this.#ask(message);
	}

	#greet({ from, isVisible }) {
		const isNews = isVisible && !this.hasVisible;
		this.#tabs.set(from, { isVisible, at: this.#ctx.env.clock.now() });
		this.#announce(false, from);
		if (isNews)
			this.#on.seen();
	}

	async #ask({ from, frame }) {
		const { key } = frame.payload;
		try {
			this.#send({ kind: 'answer', to: from, key, frame: { type: 'ack', payload: await this.#on.carry(frame) } });
		} catch ({ code, status, detail, retryAfterMs }) {
			this.#send({ kind: 'answer', to: from, key,
				frame: { type: 'error', payload: { code, status, detail, retryAfterMs } } });
		}
	}
}

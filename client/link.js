// The connection of a tab that holds one: both ways at once in the beginning and whenever
// the socket was lost, then what works, the socket before the polls.

import { Dialer } from './dialer.js';

const PATIENCE_MS = 3000;	// for a socket, before polls begin
const SPREAD_MS = 1000;		// within which those who lost their sockets together ask
const PONG_MS = 4000;		// after sleep

export class Link {
	#ctx;
	#poller;
	#dialer;
	#on;
	#timer;
	#isOn = false;
	#isPolling = false;		// by wish

	// on.changed(): status did; on.refused(problem).
	constructor(ctx, poller, on) {
		this.#ctx = ctx;
		this.#poller = poller;
		this.#on = on;
		this.#dialer = new Dialer(ctx, {
			useful: () => this.#useful(),
			lost: (wasUseful) => this.#lost(wasUseful),
			refused: (problem) => on.refused(problem),
		});
	}

	get status() {
		if (!this.#isOn)
			return 'offline';
		return this.#dialer.isUseful ? 'websocket' : this.#poller.isWorking ? 'polling' : 'offline';
	}

	get isOn() { return this.#isOn; }

	start() {
		this.#isOn = true;
		this.#begin(0);
	}

	stop() {
		this.#isOn = false;
		this.#ctx.env.clock.clearTimeout(this.#timer);
		this.#dialer.stop();
		this.#poller.idle();
	}

	// "polling": no socket is tried; "both" again.
	use(which) {
		if ((which === 'polling') === this.#isPolling)
			return;
		this.#isPolling = which === 'polling';
		if (this.#isOn) {
			this.#dialer.stop();
			this.#begin(0);
			this.#on.changed();
		}
	}

	// Another narrowing by rooms.  A live socket is told; what was asked for by the old one
	// in any other way is asked for again, so that no answer to it moves the cursor.
	subscribe(rooms) {
		if (this.#dialer.isUseful && !this.#ctx.inbox.isBehind) {
			this.#dialer.socket.say({ type: 'subscribe', payload: { rooms } });
			return;
		}
		this.#dialer.stop();
		this.#ctx.inbox.clear();
		this.#begin(0);
		this.#poller.wake(0);
	}

	// A poll that is younger than pollMs may still be answered.
	wake(pollMs = PONG_MS) {
		this.#dialer.wake(PONG_MS);
		if (!this.#dialer.isUseful)
			this.#poller.wake(pollMs);
	}

	// The socket, while it is useful.
	get socket() { return this.#dialer.isUseful ? this.#dialer.socket : null; }

	#begin(spreadMs) {
		const { clock, random } = this.#ctx.env;
		clock.clearTimeout(this.#timer);
		this.#poller.once(random() * spreadMs);
		if (this.#isPolling)
			this.#poller.start();
		else
			this.#timer = clock.setTimeout(() => this.#poller.start(), PATIENCE_MS);
		if (!this.#isPolling)
			this.#dialer.start();
	}

	#useful() {
		this.#ctx.env.clock.clearTimeout(this.#timer);
		this.#poller.idle();
		this.#on.changed();
	}

	#lost(wasUseful) {
		if (wasUseful)
			this.#begin(SPREAD_MS);
		else
			this.#poller.start();
		this.#on.changed();
	}
}

// Opens sockets until one is useful, and again when it is lost: after a back-off, not while
// the way is known to be blocked.

import { Backoff } from './backoff.js';
import { closeAdviceMs } from './problem.js';
import { Socket } from './socket.js';

const STEP_MAX_MS = 10000;	// between attempts: it is back soon after the server is
const SILENT_MAX = 3;		// sockets that open and carry nothing: something blocks them
const BLOCKED_MS = 300000;	// how long that is believed, over reloads too

export class Dialer {
	#ctx;
	#on;
	#backoff;
	#timer = null;
	#silent = 0;
	#isOn = false;
	#notBefore = 0;		// by the server's advice
	socket = null;

	// on.useful(), on.lost(wasUseful), on.refused(reason).
	constructor(ctx, on) {
		this.#ctx = ctx;
		this.#on = on;
		this.#backoff = new Backoff(ctx.env, STEP_MAX_MS);
	}

	get isUseful() { return this.socket?.isUseful ?? false; }

	start() {
		if (this.#isOn)
			return;
		this.#isOn = Boolean(this.#ctx.env.WebSocket && this.#ctx.wsUrl);
		if (this.#isOn)
			this.#plan(0);
		else
			this.#on.lost(false);
	}

	stop() {
		this.#isOn = false;
		this.#ctx.env.clock.clearTimeout(this.#timer);
		this.#timer = null;
		this.socket?.close();
	}

	// The page was asleep: is the socket still there?
	wake(ms) {
		if (!this.#isOn)
			return;
		this.socket?.ping(ms);
		if (!this.socket && this.#ctx.env.clock.now() >= this.#notBefore)
			this.#plan(0);
	}

	get #blockedName() { return `sidewire:blocked:${this.#ctx.wsUrl}`; }

	// Milliseconds for which no socket is worth trying.
	get #blockedMs() {
		const { storage, clock } = this.#ctx.env;
		try {
			const left = Number(storage.getItem(this.#blockedName) ?? 0) - clock.now();
			return left > 0 && left <= BLOCKED_MS ? left : 0;
		} catch {
			return 0;
		}
	}

	#block() {
		this.#silent = 0;
		try {
			this.#ctx.env.storage.setItem(this.#blockedName, String(this.#ctx.env.clock.now() + BLOCKED_MS));
		} catch {
			// A full storage, or none: it is tried sooner.
		}
	}

	#plan(ms) {
		const { clock } = this.#ctx.env;
		const blocked = this.#blockedMs;
		clock.clearTimeout(this.#timer);
		this.#timer = null;
		if (blocked > 0)
			this.#on.lost(false);
		if (ms > 0 || blocked > 0)
			this.#timer = clock.setTimeout(() => this.#attempt(), Math.max(ms, blocked));
		else
			this.#attempt();
	}

	#attempt() {
		this.#timer = null;
		const socket = new Socket(this.#ctx, {
			useful: () => this.#useful(),
			error: (problem) => this.#ctx.report(problem),
			closed: (how) => this.#closed(socket, how),
		});
		this.socket = socket;
	}

	#useful() {
		this.#backoff.worked();
		this.#on.useful();
	}

	#closed(socket, { code, reason, wasUseful, token, error }) {
		this.socket = null;
		if (!this.#isOn)
			return;
		this.#count(socket, code);
		if (error?.isFinal || (code === 1008 && !this.#ctx.token.refuse(token))) {
			this.#isOn = false;
			this.#on.refused(error ?? { code: 'invalid_token', status: 401, detail: reason });
			return;
		}
		// 4408: we were slow, not the server.
		const adviceMs = closeAdviceMs(reason);
		this.#notBefore = this.#ctx.env.clock.now() + adviceMs;
		this.#plan(this.#backoff.next(adviceMs, code === 4408 || code === 1008));
		this.#on.lost(wasUseful);
	}

	#count(socket, code) {
		if (socket.isHeard)
			this.#silent = 0;
		else if (socket.isOpen && code === 1006)
			this.#silent++;
		// A token that is too long for a first frame is no better the next time.
		if (this.#silent >= SILENT_MAX || (code === 1009 && !socket.isHeard))
			this.#block();
	}
}

// One WebSocket from its opening to its end (docs/protocol.md, section 3): authenticated by
// its first frame, useful from its first sync on, watched for signs of life.

const SUBPROTOCOL = 'sidewire.v1';
const OPEN_MS = 10000;		// to open, and then to each sign of life until it is useful
const IDLE_MS = 25000;		// of silence, after which it is pinged
const PONG_MS = 10000;		// for an answer to that
const STATE_TYPES = ['ROOM_CREATED', 'USER_UPDATE'];

// The state's events all bear its position; news may follow before the sync.
function giveState(stream, events, upTo, reason) {
	const at = events[0]?.timestamp ?? upTo;
	const isNews = (e) => e.timestamp !== at || !STATE_TYPES.includes(e.type);
	const n = events.some(isNews) ? events.findIndex(isNews) : events.length;
	stream.state(events.slice(0, n), n > 0 || events.length === 0 ? at : '', upTo, reason);
	events.slice(n).forEach((event) => stream.event(event));
}

export class Socket {
	#ctx;
	#on;
	#ws = null;
	#token;
	#stream;
	#first = [];		// events before the first sync
	#timer;
	#heardAt;
	#pingedAt = null;
	#asked = new Map();	// key of a frame -> { frame, resolve, reject }
	isOpen = false;		// the handshake was done
	isHeard = false;	// a frame came
	isUseful = false;	// what was missed has come

	// on.useful(), on.error(problem), on.closed({ code, reason, wasUseful, token }):
	// code 0 where we gave it up, 1006 where the network did.
	constructor(ctx, on) {
		this.#ctx = ctx;
		this.#on = on;
		this.#heardAt = ctx.env.clock.now();
		this.#stream = ctx.inbox.open({ onStale: () => this.close() });
		void this.#begin();
	}

	async #begin() {
		try {
			this.#token = await this.#ctx.token.get();
		} catch (error) {
			this.#end({ code: 0, reason: '', error });
			return;
		}
		if (this.#stream === null)
			return;		// closed meanwhile
		this.#heardAt = this.#ctx.env.clock.now();
		this.#watch();
		try {
			this.#ws = new this.#ctx.env.WebSocket(this.#url(), [SUBPROTOCOL]);
		} catch (error) {
			this.#end({ code: 1006, reason: '', error });
			return;
		}
		this.#ws.onopen = () => this.#opened();
		this.#ws.onmessage = (message) => this.#heard(message.data);
		this.#ws.onclose = (close) => this.#end({ code: close.code, reason: close.reason ?? '' });
		this.#ws.onerror = () => {};	// a close follows
	}

	// The token is never in it: URLs end up in logs.
	#url() {
		const url = new URL(this.#ctx.wsUrl);
		if (this.#stream.from !== '')
			url.searchParams.set('lastTimestamp', this.#stream.from);
		if (this.#ctx.rooms)
			url.searchParams.set('rooms', this.#ctx.rooms.join());
		return url.href;
	}

	#opened() {
		this.isOpen = true;
		this.#heardAt = this.#ctx.env.clock.now();
		if (this.#ws.protocol === SUBPROTOCOL)
			this.#write({ type: 'auth', payload: { token: this.#token } });
		else
			this.#end({ code: 1006, reason: '' });	// something between us and the server
	}

	#heard(text) {
		this.isHeard = true;
		this.#heardAt = this.#ctx.env.clock.now();
		this.#pingedAt = null;
		let frame;
		try {
			frame = JSON.parse(text);
		} catch {
			return;
		}
		if (frame === null || typeof frame !== 'object')
			return;
		if (typeof frame.timestamp !== 'string')
			this.#answer(frame.type, frame.payload ?? {});
		else if (this.isUseful)
			this.#stream.event(frame);
		else
			this.#first.push(frame);
	}

	#answer(type, payload) {
		if (type === 'sync')
			this.#synced(payload);
		else if (type === 'auth_ok')
			this.#ctx.token.prove(this.#token);
		else if (type === 'auth_expiring')
			void this.#renew();
		else if (type === 'ack' || type === 'error')
			this.#settle(type, payload);
	}

	#settle(type, payload) {
		const key = type === 'ack' ? payload.key : payload.ref;
		const asked = this.#asked.get(key);
		this.#asked.delete(key);
		if (asked)
			asked.resolve({ type, payload });
		else if (type === 'error')
			this.#on.error(payload);
	}

	// The first one ends the state or what was missed; which of them, it tells itself.
	#synced({ timestamp, reset }) {
		const stream = this.#stream, isFirst = !this.isUseful;
		if (typeof timestamp !== 'string')
			return;
		if (isFirst) {
			const isState = reset !== undefined || stream.from === '';
			const first = this.#first;
			this.#first = [];
			this.isUseful = true;
			if (isState)
				giveState(stream, first, timestamp, reset ?? 'first');
			else
				first.forEach((event) => stream.event(event));
		}
		stream.position(timestamp);
		if (isFirst && this.#stream !== null)	// else it was too much
			this.#on.useful();
	}

	async #renew() {
		try {
			const token = await this.#ctx.token.renew();
			if (this.#stream === null || token === this.#token)
				return;
			this.#token = token;
			this.#write({ type: 'auth', payload: { token } });
		} catch {
			// The server closes when the old one ends, and another is asked for then.
		}
	}

	// Asks for a sign of life within ms.
	ping(ms) {
		const now = this.#ctx.env.clock.now();
		if (!this.isUseful) {
			if (now - this.#heardAt >= ms)
				this.close();		// from before the sleep: a new one is sooner there
			return;
		}
		this.#pingedAt = now;
		this.#write({ type: 'ping' });
		this.#watch(ms);
	}

	#watch(pongMs = PONG_MS) {
		const { clock } = this.#ctx.env;
		this.#heardAt = Math.min(this.#heardAt, clock.now());	// the clock may be set back
		const due = this.#pingedAt !== null ? this.#pingedAt + pongMs
			: this.#heardAt + (this.isUseful ? IDLE_MS : OPEN_MS);
		clock.clearTimeout(this.#timer);
		this.#timer = clock.setTimeout(() => {
			if (this.#pingedAt === null && clock.now() < this.#heardAt + (this.isUseful ? IDLE_MS : OPEN_MS))
				this.#watch();		// heard of meanwhile
			else if (this.#pingedAt !== null || !this.isUseful)
				this.#end({ code: 1006, reason: '' });
			else
				this.ping(PONG_MS);
		}, Math.max(due - clock.now(), 0));
	}

	#write(frame) {
		try {
			this.#ws.send(JSON.stringify(frame));
		} catch {
			// It is closing: its end is told by itself.
		}
	}

	// A frame without an answer.
	say(frame) { this.#write(frame); }

	// Sends a frame that has payload.key: resolves to its ack or error frame, rejects when
	// the socket ends before.
	ask(frame) {
		return new Promise((resolve, reject) => {
			this.#asked.set(frame.payload.key, { frame, resolve, reject });
			this.#write(frame);
		});
	}

	close() { this.#end({ code: 0, reason: '' }); }

	// Nobody answers any more.  1009 is for the longest frame; the others are only lost.
	#forget(how) {
		const size = ({ frame }) => new TextEncoder().encode(JSON.stringify(frame)).length;
		const asked = [...this.#asked.values()];
		if (how.code === 1009)
			asked.sort((a, b) => size(b) - size(a));
		asked.forEach(({ reject }, i) => reject(how.code === 1009 && i > 0 ? { ...how, code: 1006 } : how));
	}

	#end(how) {
		if (this.#stream === null)
			return;
		const stream = this.#stream, wasUseful = this.isUseful;
		this.#stream = null;
		this.#ctx.env.clock.clearTimeout(this.#timer);
		if (this.#ws) {
			this.#ws.onopen = this.#ws.onmessage = this.#ws.onclose = null;
			this.#ws.close();
		}
		// What came before the end is good; what a stale stream holds is dropped already.
		stream.end();
		this.isUseful = false;
		this.#forget(how);
		this.#on.closed({ ...how, wasUseful, token: this.#token });
	}
}

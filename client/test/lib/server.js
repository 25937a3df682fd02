// A model of the server, as docs/protocol.md describes it: a log, sockets, polls, sends.
// What the way to it does wrong is told by `ws` and `http`.

const SECOND = 1000000;

// The n-th position.
export function position(n) {
	const at = new Date(1764520000000 + Math.floor(n / SECOND) * 1000).toISOString();
	return at.replace('.000Z', `.${String(n % SECOND).padStart(6, '0')}Z`);
}

const isFor = (user, rooms) => (e) => (e.user === undefined || e.user === user) &&
	(e.room === undefined || rooms === null || rooms.includes(e.room));

export class Server {
	log = [];			// { event, room, user }
	n = 1;				// the newest position
	oldest = 0;			// before it cursors are expired
	rooms = ['lobby'];
	ws = 'up';			// up, refused, hang, silent; or a close { code, reason }
	http = 'up';			// up, refused, hang; or an answer { status, headers, body }
	isHolding = true;
	refused = new Set();		// tokens
	sockets = new Set();
	held = new Set();
	keys = new Map();
	counts = { polls: 0, held: 0, opened: 0, sends: 0, posts: 0 };
	asked = [];			// URLs and what came with them
	heard = [];			// frames, { by, frame }
	latency = () => 10;

	constructor(clock) { this.clock = clock; }

	get head() { return position(this.n); }

	// --- the log ---

	append(type, payload, { room, user } = {}) {
		this.n += 1 + (this.n * 7) % 5;		// positions have gaps
		const event = { type, payload, timestamp: this.head };
		this.log.push({ event, room, user });
		this.#pump();
		return event;
	}

	post(content, room = 'lobby', more = {}) {
		return this.append('NEW_MESSAGE', { id: `m${this.n}`, roomId: room, content, ...more }, { room });
	}

	// What a user may see after a position.
	after(at, user, rooms = null) {
		let from = 0, to = this.log.length;
		while (from < to) {
			const middle = (from + to) >> 1;
			if (this.log[middle].event.timestamp > at)
				to = middle;
			else
				from = middle + 1;
		}
		return this.log.slice(from).filter(isFor(user, rooms)).map((e) => e.event);
	}

	state() {
		return this.rooms.map((id) => ({ type: 'ROOM_CREATED', payload: { id }, timestamp: this.head }));
	}

	// Why a cursor cannot be resumed, or undefined.
	#reset(at) {
		if (!/^\d{4}-.*Z$/.test(at))
			return 'unknown';
		if (at > this.head)
			return 'ahead';
		return at < position(this.oldest) ? 'expired' : undefined;
	}

	// { events, timestamp, reset } for a cursor or none.
	answer(at, user, rooms, limit = Infinity) {
		const reset = at === null ? undefined : this.#reset(at);
		if (at === null || reset)
			return { events: this.state(), timestamp: this.head, ...(reset && { reset }) };
		const events = this.after(at, user, rooms);
		return events.length > limit ? { events: events.slice(0, limit), timestamp: events[limit - 1].timestamp, more: true }
			: { events, timestamp: this.head };
	}

	#pump() {
		for (const socket of this.sockets)
			this.clock.setTimeout(() => socket.pump(), this.latency());
		for (const poll of this.held)
			this.clock.setTimeout(() => poll.look(), this.latency());
	}

	user(token) {
		if (!token || this.refused.has(token))
			return null;
		return JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).sub;
	}

	// --- sending ---

	// The answering frame.
	take(user, { type, payload }) {
		if (type !== 'send')
			return null;
		this.counts.sends++;
		const name = `${user} ${payload.key}`, body = JSON.stringify(payload);
		const known = this.keys.get(name);
		if (known)
			return known.body === body ? { type: 'ack', payload: { ...known.ack, duplicate: true } }
				: this.#error('key_reused', 422, payload.key);
		const problem = this.judge?.(payload);
		if (problem)
			return { type: 'error', payload: { ref: payload.key, ...problem } };
		const event = this.post(payload.content, payload.roomId, { key: payload.key, senderId: user });
		const ack = { key: payload.key, id: event.payload.id, timestamp: event.timestamp, duplicate: false };
		this.keys.set(name, { body, ack });
		return { type: 'ack', payload: ack };
	}

	#error(code, status, ref) { return { type: 'error', payload: { code, status, ref, title: code, detail: code } }; }

	// --- HTTP ---

	fetch(url, options) {
		this.asked.push({ url, ...options });
		const { signal } = options;
		return new Promise((resolve, reject) => {
			const stop = () => reject(Object.assign(new Error('aborted'), { name: 'AbortError' }));
			if (signal?.aborted)
				return stop();
			signal?.addEventListener('abort', stop);
			const http = this.http;
			if (http === 'hang')
				return undefined;
			this.clock.setTimeout(() => {
				if (http === 'refused')
					reject(new TypeError('fetch failed'));
				else if (http === 'up')
					this.#serve(new URL(url), options, (...answer) => this.clock.setTimeout(() =>
						(this.http === 'lost' ? reject(new TypeError('lost')) : resolve(this.#response(...answer))), this.latency()));
				else
					resolve(this.#response(http.status, http.body ?? {}, http.headers));
			}, this.latency());
			return undefined;
		});
	}

	#response(status, body, headers = {}) {
		return { status, ok: status >= 200 && status < 300, headers: new Map(Object.entries(headers)),
			json: async () => JSON.parse(JSON.stringify(body)) };
	}

	#serve(url, options, answer) {
		const user = this.user(options.headers.Authorization.replace('Bearer ', ''));
		if (user === null)
			answer(401, { code: 'token_expired', status: 401, detail: 'The token has expired.' });
		else if (url.pathname.endsWith('/send'))
			this.#send(user, JSON.parse(options.body), answer);
		else
			this.#poll(user, url.searchParams, options.signal, answer);
	}

	#send(user, frame, answer) {
		this.counts.posts++;
		this.heard.push({ by: 'post', frame });
		const a = this.take(user, frame);
		if (a === null)
			answer(204, null);
		else if (a.type === 'ack')
			answer(a.payload.duplicate ? 200 : 201, a);
		else
			answer(a.payload.status, a.payload, a.payload.retryAfterMs ? { 'Retry-After': String(a.payload.retryAfterMs / 1000) } : {});
	}

	#poll(user, params, signal, answer) {
		this.counts.polls++;
		const at = params.get('lastTimestamp'), rooms = params.get('rooms')?.split(',') ?? null;
		const wait = Number(params.get('timeout') ?? 0) * 1000;
		const now = this.answer(at, user, rooms, Number(params.get('limit') ?? 100));
		if (wait === 0 || !this.isHolding || at === null || now.events.length > 0 || now.reset) {
			answer(200, now);
			return;
		}
		this.counts.held++;
		const poll = {
			look: () => {
				const news = this.answer(at, user, rooms);
				if (this.held.has(poll) && (news.events.length > 0 || news.reset))
					poll.end(news);
			},
			end: (news) => {
				if (!this.held.delete(poll))
					return;
				this.clock.clearTimeout(poll.timer);
				if (this.http.status)
					answer(this.http.status, this.http.body, this.http.headers);
				else if (this.http === 'up')
					answer(200, news ?? this.answer(at, user, rooms));
			},
		};
		this.held.add(poll);
		signal?.addEventListener('abort', () => this.held.delete(poll));
		poll.timer = this.clock.setTimeout(() => poll.end(), wait * 0.95);
	}

	// --- sockets ---

	// The server's and the network's side of a WebSocket.
	accept(ws, url, protocols) {
		this.counts.opened++;
		this.asked.push({ url });
		const { ws: how } = this;
		if (how === 'hang')
			return;
		this.clock.setTimeout(() => {
			if (how === 'refused') {
				ws.lose();
				return;
			}
			const socket = new ServerSocket(this, ws, new URL(url).searchParams);
			ws.opened(socket, protocols[0]);
			if (how === 'silent')
				socket.isDead = true;
			else if (how !== 'up')
				socket.close(how.code, how.reason);
		}, this.latency());
	}

	// Every socket breaks, as when the process is killed.
	cut() {
		for (const socket of [...this.sockets])
			socket.lose();
	}
}

class ServerSocket {
	#server;
	#ws;
	#user = null;
	#at = '';
	#next = 0;			// frames arrive in order
	isDead = false;			// nothing arrives any more, on either side

	constructor(server, ws, params) {
		this.#server = server;
		this.#ws = ws;
		this.from = params.get('lastTimestamp');
		this.rooms = params.get('rooms')?.split(',') ?? null;
		server.sockets.add(this);
	}

	#later(call) {
		this.#next = Math.max(this.#next, this.#server.clock.mono + this.#server.latency());
		this.#server.clock.setTimeout(() => {
			if (!this.isDead)
				call();
		}, this.#next - this.#server.clock.mono);
	}

	write(frame) { this.#later(() => this.#ws.message(JSON.stringify(frame))); }

	close(code, reason) {
		this.#server.sockets.delete(this);
		this.#later(() => this.#ws.ended(code, reason));
	}

	lose() {
		this.#server.sockets.delete(this);
		this.#ws.ended(1006, '');
	}

	// The client hung up.
	gone() { this.#server.sockets.delete(this); }

	receive(text) {
		const frame = JSON.parse(text);
		this.#server.clock.setTimeout(() => {
			if (!this.isDead && this.#server.sockets.has(this))
				this.#dispatch(frame);
		}, this.#server.latency());
	}

	#dispatch(frame) {
		const server = this.#server;
		server.heard.push({ by: 'socket', frame });
		if (frame.type === 'ping') {
			this.write({ type: 'pong' });
		} else if (frame.type === 'auth') {
			this.#auth(frame.payload.token);
		} else if (frame.type === 'bye') {
			this.close(1000, '');
		} else if (frame.type === 'subscribe') {
			this.rooms = frame.payload.rooms;
			this.write({ type: 'sync', payload: { timestamp: this.#at } });
		} else {
			const answer = server.take(this.#user, frame);
			if (answer && !server.isAckLost)
				this.write(answer);
		}
	}

	#auth(token) {
		const server = this.#server, user = server.user(token);
		if (user === null) {
			this.close(1008, 'Token expired');
			return;
		}
		this.write({ type: 'auth_ok', payload: { expiresAt: '2099-01-01T00:00:00.000000Z' } });
		if (this.#user !== null)
			return;
		this.#user = user;
		const { events, timestamp, reset } = server.answer(this.from, user, this.rooms);
		events.forEach((e) => this.write(e));
		this.#at = timestamp;
		this.write({ type: 'sync', payload: { timestamp, ...(reset && { reset }) } });
	}

	// Sends what is new; sometimes where there is nothing to send, the position.
	pump() {
		const server = this.#server;
		if (this.#user === null || !server.sockets.has(this))
			return;
		const events = server.after(this.#at, this.#user, this.rooms);
		events.forEach((e) => this.write(e));
		if (events.length === 0 && server.head > this.#at)
			this.write({ type: 'sync', payload: { timestamp: server.head } });
		this.#at = server.head;
	}
}

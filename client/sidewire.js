// Sidewire in a page: connect() and what it returns.  README.md tells how to use it,
// index.d.ts what each part takes and gives, inbox.js why nothing is lost or given twice.

import { Backoff } from './backoff.js';
import { Carrier } from './carrier.js';
import { surroundings, newId } from './env.js';
import { Follower } from './follower.js';
import { Inbox } from './inbox.js';
import { Leader } from './leader.js';
import { Link } from './link.js';
import { Outbox } from './outbox.js';
import { Poller } from './poller.js';
import { SidewireError } from './problem.js';
import { Tabs } from './tabs.js';
import { Token, userOf } from './token.js';

const OWN = ['state', 'status', 'auth', 'error', 'sent', 'unsent'];
const TYPING_MS = 4000;		// the server shows it for 10 s

function checkRooms(rooms) {
	if (rooms !== null && !(Array.isArray(rooms) && rooms.length > 0 && rooms.every((r) => typeof r === 'string')))
		throw new TypeError('rooms must be null, for all, or a list of at least one id');
	return rooms;
}

class Connection {
	#ctx;
	#share;
	#handlers = new Map();		// name -> Set of functions
	#poller;
	#link;
	#carrier;
	#outbox = null;
	#user = '';
	#tabs = null;
	#leader = null;
	#follower = null;
	#listeners = [];
	#status = 'offline';
	#typing = new Map();		// room -> when it was told
	#isClosed = false;
	#started;			// or ended before
	#tellEnded;
	#startTimer;

	constructor({ url, wsUrl, token, getToken, rooms = null, cursor = '', share = true, env }) {
		const around = surroundings(env);
		const base = (url ?? around.location?.origin ?? '').replace(/\/$/, '');
		const ctx = this.#ctx = {
			env: around,
			id: newId(around.random),
			pollUrl: `${base}/api/realtime/poll`,
			sendUrl: `${base}/api/realtime/send`,
			wsUrl: wsUrl === undefined ? `${base}/ws`.replace(/^http/, 'ws') : wsUrl,
			rooms: checkRooms(rooms),
			token: new Token(token, getToken, around.clock, (error) => this.#report(error)),
			isHidden: () => !this.#isVisible() && !this.#leader?.hasVisible,
			report: (problem) => this.#report(problem instanceof Error ? problem : new SidewireError(problem)),
		};
		[ctx.pollUrl, ctx.wsUrl || ctx.pollUrl].forEach((address) => new URL(address));	// throws where it is none
		this.#share = share && Tabs.isPossible(around);
		ctx.inbox = new Inbox(cursor, {
			event: (event) => this.#event(event),
			state: (state) => this.#tell('state', state),
			taken: (item) => this.#leader?.taken(item),
			behind: () => this.#poller.fill(),
		});
		const on = { changed: () => this.#changed(), refused: (problem) => this.#over(problem) };
		this.#poller = new Poller(ctx, on);
		this.#link = new Link(ctx, this.#poller, on);
		this.#carrier = new Carrier(ctx, () => ({
			socket: this.#link.socket,
			tab: this.#follower?.status === 'websocket' ? this.#follower : null,
		}));
		const ended = new Promise((resolve) => { this.#tellEnded = resolve; });
		this.#started = Promise.race([this.#start(), ended]);
	}

	get status() { return this.#status; }
	get cursor() { return this.#ctx.inbox.cursor; }
	get pending() { return this.#outbox?.pending ?? []; }

	on(name, handler) {
		const all = this.#handlers.get(name) ?? new Set();
		this.#handlers.set(name, all.add(handler));
		return () => void all.delete(handler);
	}

	send(message) {
		const sent = this.#started.then(() => {
			if (this.#isClosed)
				throw new SidewireError({ code: 'closed', detail: 'The connection is closed.' });
			return this.#outbox.send(message);
		});
		sent.catch(() => {});	// "unsent" tells it too
		return sent;
	}

	typing(roomId, on = true) {
		const now = this.#ctx.env.clock.now(), last = this.#typing.get(roomId);
		if (this.#isClosed || this.#outbox === null || (on ? Math.abs(now - last) < TYPING_MS : last === undefined))
			return;
		if (on)
			this.#typing.set(roomId, now);
		else
			this.#typing.delete(roomId);
		this.#carrier.say({ type: 'typing', payload: { roomId, on } });
	}

	subscribe(rooms) {
		this.#ctx.rooms = checkRooms(rooms);
		if (this.#isClosed || this.#outbox === null)
			return;
		if (this.#tabs === null) {
			this.#link.subscribe(rooms);
			return;
		}
		this.#leave();		// others of this site share with those who want the same
		this.#ctx.inbox.clear();
		this.#join();
	}

	use(which) {
		this.#link.use(which);
		this.#tabs?.send({ kind: 'use', which });
	}

	close() {
		if (this.#isClosed)
			return;
		if (this.#status !== 'offline' && this.#follower === null && !this.#leader?.hasOthers)
			this.#bye();
		this.#end();
	}

	// The user goes, on each way that made him present.
	#bye() {
		this.#link.socket?.say({ type: 'bye' });
		if (this.#poller.isPresent)
			this.#carrier.post({ type: 'bye' }, true).catch(() => {});
	}

	async #start() {
		const { env, token } = this.#ctx;
		const backoff = new Backoff(env, 30000);
		// Handlers that are set after connect() returned miss nothing.
		await this.#pause(0);
		while (!this.#isClosed) {
			try {
				this.#user = userOf(await token.get());
				break;
			} catch (error) {
				if (error.isFinal) {
					this.#over(error);
					return;
				}
				await this.#pause(backoff.next(error.retryAfterMs));
			}
		}
		if (this.#isClosed)
			return;
		this.#outbox = new Outbox(env, this.#user, (frame) => this.#carry(frame), {
			sent: (ack) => this.#tell('sent', ack),
			unsent: (failure) => this.#tell('unsent', failure),
		});
		this.#listen();
		this.#join();
		this.#outbox.wake();
	}

	// Goes on for ever where the connection is closed meanwhile.
	#pause(ms) {
		return new Promise((resolve) => { this.#startTimer = this.#ctx.env.clock.setTimeout(resolve, ms); });
	}

	// --- tabs ---

	#join() {
		if (!this.#share) {
			this.#link.start();
			return;
		}
		const { pollUrl, rooms, env, id } = this.#ctx;
		const name = `sidewire:${JSON.stringify([pollUrl, this.#user, rooms && [...rooms].sort()])}`;
		this.#tabs = new Tabs(env, name, id, {
			lead: () => this.#lead(),
			follow: () => this.#follow(),
			message: (message) => this.#message(message),
		});
		this.#tabs.start();
	}

	#leave() {
		this.#tabs?.close();
		this.#tabs = null;
		this.#follower?.stop();
		this.#follower = this.#leader = null;
		this.#link.stop();
		this.#changed();
	}

	#lead() {
		const tabs = this.#tabs;
		this.#follower?.stop();
		this.#follower = null;
		this.#leader = new Leader(this.#ctx, (message) => tabs.send(message), {
			status: () => this.#link.status,
			carry: (frame) => this.#carrier.ask(frame),
			say: (frame) => this.#carrier.say(frame),
			seen: () => this.#link.wake(),
		});
		this.#link.start();
		this.#changed();
	}

	#follow() {
		this.#leader = null;
		this.#link.stop();
		const tabs = this.#tabs;
		this.#follower = new Follower(this.#ctx, (message) => tabs.send(message), {
			changed: () => this.#changed(),
			reset: () => this.#poller.once(),
			silent: () => tabs.steal(),
			isVisible: () => this.#isVisible(),
		});
		this.#changed();
	}

	#message(message) {
		if (message.kind === 'use')
			this.#link.use(message.which);
		else
			(this.#leader ?? this.#follower)?.receive(message);
	}

	// --- the page ---

	#isVisible() { return this.#ctx.env.document?.visibilityState !== 'hidden'; }

	#listen() {
		const { window, document } = this.#ctx.env;
		const listen = (target, name, call) => {
			target?.addEventListener?.(name, call);
			this.#listeners.push(() => target?.removeEventListener?.(name, call));
		};
		const wake = () => this.#wake();
		listen(document, 'visibilitychange', () => (this.#isVisible() ? this.#wake() : this.#follower?.hello()));
		listen(window, 'online', wake);
		listen(window, 'offline', () => this.#wake(0));
		// A page that is kept for "back" must hold no connection, and may not come back.
		listen(window, 'pagehide', () => this.#leave());
		listen(window, 'pageshow', ({ persisted }) => {
			if (this.#isAway)
				this.#join();
			else if (persisted)
				this.#wake();
		});
	}

	get #isAway() { return this.#share ? this.#tabs === null : !this.#link.isOn; }

	#wake(pollMs) {
		if (this.#follower)
			this.#follower.hello();
		else
			this.#link.wake(pollMs);
	}

	// --- what the page is told ---

	// Handlers run one after the other; what they throw is reported and the event counts as
	// handled, for it would fail again.
	async #tell(name, value) {
		for (const handler of [...this.#handlers.get(name) ?? []]) {
			if (this.#isClosed && name !== 'status' && name !== 'auth')
				return;
			try {
				await handler(value);
			} catch (error) {
				this.#report(error);
			}
		}
	}

	async #event(event) {
		if (!OWN.includes(event.type) && event.type !== '*')
			await this.#tell(event.type, event);
		await this.#tell('*', event);
	}

	#report(error) {
		const handlers = [...this.#handlers.get('error') ?? []];
		if (handlers.length === 0)
			console.error(error);
		for (const handler of handlers)
			(async () => handler(error))().catch((unheard) => console.error(unheard));
	}

	#changed() {
		const status = this.#isClosed ? 'offline' : this.#follower?.status ?? this.#link.status;
		if (status === this.#status)
			return;
		this.#status = status;
		this.#leader?.tellStatus();
		void this.#tell('status', status);
		if (status !== 'offline')
			this.#outbox?.wake();
	}

	// --- the end ---

	async #carry(frame) {
		try {
			return await this.#carrier.ask(frame);
		} catch (error) {
			if (error.status === 401)
				this.#over(error);
			throw error;
		}
	}

	#over(problem) {
		if (this.#isClosed)
			return;
		this.#end();
		void this.#tell('auth', { code: problem.code, status: problem.status, detail: problem.detail });
	}

	#end() {
		this.#isClosed = true;
		this.#ctx.env.clock.clearTimeout(this.#startTimer);
		this.#ctx.token.close();
		this.#tellEnded();
		this.#listeners.forEach((remove) => remove());
		this.#leave();
		this.#poller.stop();
		this.#ctx.inbox.close();
		this.#outbox?.close();
	}
}

export function connect(options) {
	return new Connection(options);
}

export { newId as newKey, SidewireError };

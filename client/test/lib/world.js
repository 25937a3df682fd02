// What a browser gives to pages, made of objects that a test owns: sockets and requests to
// a model server, locks and channels between tabs, each tab's storage and events.

import { Clock, dice } from './clock.js';
import { Server } from './server.js';
import { connect } from '../../sidewire.js';

export const ORIGIN = 'https://site.example';

export function tokenOf(sub, n = 0) {
	const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
	return `${part({ alg: 'none' })}.${part({ sub, n })}.s`;
}

export class Storage {
	items = new Map();
	getItem(name) { return this.items.get(name) ?? null; }
	setItem(name, text) {
		if (this.isFull)
			throw new Error('QuotaExceededError');
		this.items.set(name, text);
	}
	removeItem(name) { this.items.delete(name); }
}

// Web Locks: a queue by name.
class Locks {
	#held = new Map();
	#queues = new Map();

	request(name, options, call) {
		return new Promise((resolve, reject) => {
			const aborted = () => Object.assign(new Error('aborted'), { name: 'AbortError' });
			const entry = { call, resolve, reject };
			const queue = this.#queues.get(name) ?? [];
			this.#queues.set(name, queue);
			if (options.steal) {
				this.#held.get(name)?.reject(aborted());
				this.#grant(name, entry);
				return;
			}
			queue.push(entry);
			options.signal?.addEventListener('abort', () => {
				const i = queue.indexOf(entry);
				if (i >= 0) {
					queue.splice(i, 1);
					reject(aborted());
				}
			});
			queueMicrotask(() => this.#next(name));
		});
	}

	#next(name) {
		const entry = !this.#held.has(name) && this.#queues.get(name).shift();
		if (entry)
			this.#grant(name, entry);
	}

	async #grant(name, entry) {
		this.#held.set(name, entry);
		entry.resolve(await entry.call());
		if (this.#held.get(name) === entry) {
			this.#held.delete(name);
			this.#next(name);
		}
	}
}

function channelClass(world) {
	const all = new Map();
	return class Channel {
		constructor(name) {
			this.name = name;
			this.peers = all.get(name) ?? new Set();
			all.set(name, this.peers.add(this));
		}

		postMessage(message) {
			if (!this.peers.has(this))
				throw new Error('InvalidStateError');
			const data = JSON.parse(JSON.stringify(message));
			for (const peer of this.peers)
				if (peer !== this)
					world.clock.setTimeout(() => peer.peers.has(peer) && !world.loses?.(data) && peer.onmessage?.({ data }), 1);
		}

		close() { this.peers.delete(this); }
	};
}

function socketClass(world, tab) {
	return class FakeSocket {
		protocol = '';
		readyState = 0;
		#peer = null;

		constructor(url, protocols) {
			tab.sockets.push(this);
			world.server.accept(this, url, protocols);
		}

		send(text) {
			if (this.readyState !== 1)
				throw new Error('InvalidStateError');
			this.#peer.receive(text);
		}

		close() {
			this.readyState = 3;
			world.clock.setTimeout(() => this.#peer?.gone(), world.server.latency());
		}

		opened(peer, protocol) {
			if (this.readyState === 3)
				return peer.gone();
			this.#peer = peer;
			this.readyState = 1;
			this.protocol = protocol;
			return this.onopen?.({});
		}

		message(data) {
			if (this.readyState === 1)
				this.onmessage?.({ data });
		}

		ended(code, reason) {
			if (this.readyState !== 3) {
				this.readyState = 3;
				this.onclose?.({ code, reason });
			}
		}

		lose() { this.ended(1006, ''); }
	};
}

// One page: its own storage and events, the world's locks, channels and server.
export class Tab {
	sockets = [];
	window = new EventTarget();
	document = Object.assign(new EventTarget(), { visibilityState: 'visible' });

	constructor(world, storage = new Storage()) {
		Object.assign(this, { world, storage });
		const { clock, server, locks, Channel, random } = world;
		this.env = {
			clock, random, storage, locks: world.hasTabs ? locks : undefined, BroadcastChannel: Channel,
			window: this.window, document: this.document, location: { origin: ORIGIN },
			WebSocket: socketClass(world, this), fetch: (...args) => server.fetch(...args),
		};
	}

	// A connection that keeps what it was told: events, states, statuses, errors, ends, sent, unsent.
	connect(options = {}) {
		const live = connect({ token: tokenOf('alice'), ...options, env: { ...this.env, ...options.env } });
		const told = { events: [], states: [], statuses: [], errors: [], ends: [], sent: [], unsent: [] };
		live.on('*', (e) => void told.events.push(e));
		live.on('state', (s) => void told.states.push(s));
		live.on('status', (s) => void told.statuses.push(s));
		live.on('error', (e) => void told.errors.push(e));
		live.on('auth', (e) => void told.ends.push(e));
		live.on('sent', (e) => void told.sent.push(e));
		live.on('unsent', (e) => void told.unsent.push(e));
		this.world.open.push(live);
		return Object.assign(this, { live, ...told });
	}

	contents() { return this.events.filter((e) => e.type === 'NEW_MESSAGE').map((e) => e.payload.content); }

	show(is) {
		this.document.visibilityState = is ? 'visible' : 'hidden';
		this.document.dispatchEvent(new Event('visibilitychange'));
	}

	tell(name, more = {}) { this.window.dispatchEvent(Object.assign(new Event(name), more)); }
}

export class World {
	open = [];
	hasTabs;

	constructor({ tabs = false, seed = 1 } = {}) {
		this.clock = new Clock();
		this.random = dice(seed);
		this.server = new Server(this.clock);
		this.locks = new Locks();
		this.Channel = channelClass(this);
		this.hasTabs = tabs;
	}

	tab(storage) { return new Tab(this, storage); }

	pass(ms) { return this.clock.pass(ms); }
	until(test, what, ms) { return this.clock.until(test, what, ms); }

	// Closes everything; what remains of timers would be a leak, and so would a token in a
	// URL (a JSON object in base64 begins with eyJ).
	async end() {
		this.server.http = this.server.ws = 'up';
		for (const live of this.open)
			live.close();
		await this.pass(60000);
		if (!this.clock.isEmpty)
			throw new Error('timers are left');
		if (this.server.asked.some(({ url }) => url.includes('eyJ')))
			throw new Error('a token in a URL');
	}
}

// A world for test t, ended with it.
export function world(t, options) {
	const w = new World(options);
	t.after(() => w.end());
	return w;
}

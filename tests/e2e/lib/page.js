// The client library as reader and as writer: a page that is reloaded at random, and lets go
// of its socket and takes it up again.

import WebSocket from 'ws';
import { connect } from '../../../client/sidewire.js';
import { oneOf } from './dice.js';
import { Reader } from './reader.js';

const STAY_MS = 6000;		// at most, until it is reloaded

function open(site, { token, rooms, cursor, storage }) {
	return connect({ url: `http://127.0.0.1:${site.webPort}`, token, cursor, rooms: rooms?.split(',') ?? null,
		share: false, env: { WebSocket, ...(storage ? { storage } : {}) } });
}

export class Page extends Reader {
	constructor(site, ledger, { isSteady = false, ...who }) {
		super(site, ledger, who);
		this.isSteady = isSteady;
	}

	async walk() {
		await this.comes();
		while (!this.isDone)
			await this.#load(this.visit('page'));
	}

	stop() {
		super.stop();
		this.leave?.('done');
	}

	#take(event, visit) {
		const at = event.timestamp;
		if (this.isDone)
			return;
		if (!(at > this.at))
			throw this.wrong(`${event.type} ${event.payload.id} of ${at} is not after ${this.at}`, visit);
		this.at = visit.at = at;
		visit.events++;
		if (event.type === 'NEW_MESSAGE')
			this.keep(event, visit);
	}

	#state({ reason, timestamp }, visit) {
		if (this.at !== undefined)
			throw this.wrong(`state: ${reason}`, visit);
		this.at = this.firstAt = timestamp;
		this.isReady();
	}

	// From loading the page to leaving it.
	#load(visit) {
		const live = open(this.site, { ...this, cursor: this.at });
		live.on('*', (event) => this.#take(event, visit));
		live.on('state', (state) => this.#state(state, visit));
		live.on('error', (error) => this.wrong(`error ${error.stack}`, visit));
		live.on('auth', (problem) => this.wrong(`auth ${JSON.stringify(problem)}`, visit));
		live.on('status', (status) => { visit.way += ` ${status}`; });
		const timers = this.isSteady ? [] : [
			setTimeout(() => live.use('polling'), this.roll(STAY_MS)),
			setTimeout(() => live.use('both'), this.roll(STAY_MS)),
			setTimeout(() => this.leave('left'), this.roll(STAY_MS)),
		];
		return new Promise((resolve) => {
			this.leave = (why) => {
				timers.forEach(clearTimeout);
				visit.end = why;
				// At the end it is within a handler, where the cursor is not yet after the event.
				if (!this.isDone && live.cursor !== '') {
					if (live.cursor < this.at)
						this.wrong(`its cursor ${live.cursor} is before ${this.at}`, visit);
					this.at = live.cursor;
				}
				live.close();
				resolve();
			};
		});
	}
}

// Storage that outlives a page.
function storage() {
	const items = new Map();
	return { getItem: (name) => items.get(name) ?? null, setItem: (name, text) => void items.set(name, text),
		removeItem: (name) => void items.delete(name) };
}

export class PageSender {
	constructor(site, ledger, { name, user, token, roll, atOnce }) {
		Object.assign(this, { site, ledger, name, user, token, roll, atOnce, items: [], kind: 'page' });
		this.storage = storage();
		this.left = new Map();		// key -> item that is not acknowledged
		this.repeated = 0;
		this.duplicates = 0;
	}

	key(name) { return `key of ${name}`; }

	// Resolves when everything is acknowledged, after as many reloads as it takes.
	async commit(items) {
		for (const item of items)
			this.left.set(item.key, item);
		if (!this.live)
			this.#load();
		const done = new Promise((resolve, reject) => { this.turn = { resolve, reject }; });
		this.#send();
		const timer = this.roll(4) === 0 ? setTimeout(() => this.#reload(), this.roll(100)) : undefined;
		await done;
		clearTimeout(timer);
		this.live.use(oneOf(this.roll, ['both', 'both', 'polling']));
	}

	#load() {
		this.live = open(this.site, this);
		this.live.on('sent', (ack) => this.#sent(ack));
		for (const name of ['unsent', 'auth', 'error'])
			this.live.on(name, (what) => this.turn.reject(new Error(`${this.name}: ${name} ${JSON.stringify(what)}`)));
	}

	// The outbox of the page before is sent by itself; what had not come so far is sent here.
	#reload() {
		this.repeated += this.left.size;
		this.live.close();
		this.#load();
		this.#send();
	}

	#send() {
		for (const { key, room, content } of this.left.values()) {
			this.live.send({ key, roomId: room, content }).catch((error) => {
				if (!['closed', 'key_reused'].includes(error.code))
					this.turn.reject(error);
			});
		}
	}

	#sent(ack) {
		const item = this.left.get(ack.key);
		if (!item)
			this.turn.reject(new Error(`${this.name}: sent twice: ${JSON.stringify(ack)}`));
		this.left.delete(ack.key);
		this.duplicates += ack.duplicate;
		this.ledger.ack(item, ack);
		if (this.left.size === 0)
			this.turn.resolve();
	}

	close() { this.live?.close(); }
}

// A client that changes its transport and cuts its connections at random, with one cursor.
//
// The cursor is what a client holds who advances it after handling: the position of the last
// event or `sync`, or of the last answer; a client of the kind `id` knows the last message's
// id alone.  One visit follows the other, or overlaps it (isOverlapping): then what is not
// after the cursor has been handled already.  Within a visit events must rise in any case.

import http from 'node:http';
import { request } from './http.js';
import { oneOf } from './dice.js';
import { Reader } from './reader.js';
import { Wire } from './wire.js';

const ANSWER_MS = 60000;
const BACK_OFF_MS = 50;
const BACK_OFF_MAX_MS = 800;
const STAY_MS = 4000;		// at most, of those who move by themselves

const POLLS = ['poll', 'held', 'held'];
const WAYS = {
	hybrid: [...POLLS, 'legacy', 'legacy direct', 'v1', 'v1 direct', 'v1 auth', 'v1 auth direct'],
	plain: [...POLLS, 'legacy', 'legacy direct'],
	id: [...POLLS, 'legacy', 'legacy direct'],
};
// What a client reads as "the service is away".
const AWAY = [0, 500, 502, 503, 504];
const agent = new http.Agent({ keepAlive: true });

const pause = (ms) => new Promise((r) => setTimeout(r, ms));

export class Roamer extends Reader {
	// kind: hybrid, plain (no subprotocol) or id; isSteady: it moves only when it is cut off.
	constructor(site, ledger, { isOverlapping = false, isSteady = false, ...who }) {
		super(site, ledger, who);
		Object.assign(this, { isOverlapping, isSteady });
		this.open = new Set();	// functions that cut what is open
		this.failures = 0;	// in a row
	}

	describe() {
		return `${super.describe()}${this.isOverlapping ? ', overlapping' : ''}${this.isSteady ? ', steady' : ''}`;
	}

	stop() {
		super.stop();
		for (const cut of this.open)
			cut();
	}

	// --- what it handles ---

	#position(visit, at) {
		if (at > visit.at)
			visit.at = at;
		if (at > this.at)
			this.at = at;
	}

	#take(event, visit) {
		const at = event.timestamp;
		if (this.isDone)
			return;
		if (!(at > visit.at))
			throw this.wrong(`${event.type} ${event.payload.id} of ${at} is not after ${visit.at}`, visit);
		visit.at = at;
		if (at <= this.at) {
			if (!this.isOverlapping)
				throw this.wrong(`${event.type} of ${at} was handled at ${this.at}`, visit);
			visit.dropped++;
			return;
		}
		visit.events++;
		this.at = at;
		if (event.type !== 'NEW_MESSAGE')
			return;
		this.messageId = event.payload.id;
		this.messageAt = at;
		this.keep(event, visit);
	}

	// --- its way ---

	async #begin() {
		await this.comes();
		while (this.at === undefined) {
			const visit = this.#visit(this.kind === 'hybrid' && this.roll(2) ? 'v1' : 'poll');
			await this[visit.way === 'v1' ? 'firstState' : 'firstPoll'](visit);
			await this.#rest();
		}
		this.firstAt = this.at;
		this.messageAt = this.at;
		this.isReady();
	}

	async firstPoll(visit) {
		const body = await this.#ask(visit, this.kind === 'id' ? { lastMessageId: '' } : {});
		if (body === null)
			return;
		if (this.kind === 'id')
			this.messageId = body.events.at(-1).payload.id;
		visit.end = 'first state';
		this.at = body.timestamp;
	}

	firstState(visit) {
		return this.#connect(visit, {}, (frame, wire) => {
			if (frame.type !== 'sync')
				return;
			this.at = frame.payload.timestamp;
			wire.cut();
		});
	}

	#visit(way) {
		// Who resumes by a message's id gets again what is no message and came after it.
		if (this.kind === 'id')
			this.at = this.messageAt;
		return this.visit(way);
	}

	async walk() {
		await this.#begin();
		let older = null;
		while (!this.isDone) {
			const visit = this.#visit(oneOf(this.roll, WAYS[this.kind]));
			const done = POLLS.includes(visit.way) ? this.#polls(visit) : this.#socket(visit);
			const settled = done.catch((error) => this.fail(error));
			await (this.isOverlapping ? Promise.race([settled, visit.ripe]) : settled);
			await older;		// never more than two at once
			older = settled;
			if (!visit.isRipe)
				await this.#rest();
			if (this.isSleepy && this.roll(3) === 0)
				await this.sleep();
		}
		await older;
	}

	// A client's back-off, after failures in a row.
	async #rest() {
		if (this.failures > 0 && !this.isDone)
			await pause(this.roll(Math.min(BACK_OFF_MAX_MS, BACK_OFF_MS << this.failures)));
	}

	// Calls cut when the visit has been long enough; returns what ends the waiting.  An overlapping
	// client begins its next visit first.
	#limit(visit, cut) {
		const over = () => {
			if (visit.isRipe)
				return;
			visit.isRipe = true;
			visit.ripen();
			if (this.isOverlapping)
				linger = setTimeout(cut, this.roll(300));
			else
				cut();
		};
		let linger;
		const timer = this.isSteady ? undefined : setTimeout(over, this.roll(STAY_MS));
		this.open.add(cut);
		const end = () => {
			clearTimeout(timer);
			clearTimeout(linger);
			this.open.delete(cut);
			visit.ripen();
		};
		return { over, end };
	}

	#cursor() {
		if (this.kind === 'id')
			return { lastMessageId: this.messageId };
		return { lastTimestamp: this.at,
			...(this.messageId && this.roll(5) === 0 ? { lastMessageId: this.messageId } : {}) };
	}

	#query(params) {
		return new URLSearchParams({ ...params, ...(this.rooms ? { rooms: this.rooms } : {}) });
	}

	// --- polling ---

	// A poll's body; null where the service is away or the client cut it.
	async #ask(visit, params, signal) {
		let answer;
		try {
			answer = await request(this.site.web, 'GET', `/api/realtime/poll?${this.#query(params)}`,
				{ headers: { Authorization: `Bearer ${this.token}` }, signal, timeout: ANSWER_MS,
					agent: this.roll(2) ? agent : false });
		} catch (error) {
			if (/^deadline/.test(error.message))
				throw this.wrong(error.message, visit);
			visit.end = signal?.aborted ? 'cut' : error.code;
			if (!signal?.aborted)
				this.failures++;
			return null;
		}
		if (answer.status !== 200) {
			if (!AWAY.includes(answer.status))
				throw this.wrong(`${answer.status} ${answer.text}`, visit);
			visit.end = `HTTP ${answer.status}`;
			this.failures++;
			return null;
		}
		if (answer.json === undefined) {	// lighttpd had sent the head when fcgi-poll died
			visit.end = 'a torn answer';
			this.failures++;
			return null;
		}
		if (answer.json.reset !== undefined)
			throw this.wrong(`reset ${answer.json.reset}`, visit);
		this.failures = 0;
		return answer.json;
	}

	async #polls(visit) {
		const abort = new AbortController();
		const limit = this.#limit(visit, () => abort.abort());
		const more = this.roll(2) ? { client: this.name } : {};
		try {
			for (let n = 1 + this.roll(20); n > 0 && !this.isDone && !abort.signal.aborted; n--) {
				const body = await this.#ask(visit, { ...this.#cursor(), ...more,
					...(visit.way === 'held' ? { timeout: 1 + this.roll(5) } : {}),
					...(this.roll(3) === 0 ? { limit: 1 + this.roll(60) } : {}) }, abort.signal);
				if (body === null)
					return;
				if (!this.#answer(body, visit))
					return;
			}
			visit.end = 'left';
		} finally {
			limit.end();
		}
	}

	// Handles an answer, sometimes not to its end; whether to go on.
	#answer(body, visit) {
		const isTorn = this.kind !== 'id' && !this.isSteady && body.events.length > 1 && this.roll(10) === 0;
		const events = isTorn ? body.events.slice(0, this.roll(body.events.length)) : body.events;
		for (const event of events) {
			if (event.type === 'SYNC' && event.timestamp === undefined)
				this.#sync(event, body, visit);
			else
				this.#take(event, visit);
		}
		if (isTorn) {
			visit.end = `ended after ${events.length} of ${body.events.length}`;
			return false;
		}
		const last = body.events.at(-1);
		if (this.kind !== 'id') {
			if (body.timestamp < visit.at)
				throw this.wrong(`the answer's position ${body.timestamp} is before its events`, visit);
			this.#position(visit, body.timestamp);
		} else if (last && last.type !== 'SYNC' && last.type !== 'NEW_MESSAGE') {
			throw this.wrong(`the answer ends in ${last.type}`, visit);
		}
		return true;
	}

	#sync(event, body, visit) {
		if (this.kind !== 'id' || event.payload.id !== body.timestamp)
			throw this.wrong(`SYNC ${event.payload.id}`, visit);
		this.messageId = event.payload.id;
		this.messageAt = event.payload.id;
		this.#position(visit, event.payload.id);
	}

	// --- the socket ---

	#socket(visit) {
		const roll = this.roll;
		let left = roll(4) === 0 ? roll(3) : roll(400);
		let limit;
		const done = this.#connect(visit, this.#cursor(), (frame, wire) => {
			if (frame.timestamp !== undefined)
				this.#take(frame, visit);
			else if (frame.type === 'sync')
				this.#position(visit, frame.payload.timestamp);
			if (--left <= 0 && !this.isSteady)
				limit.over();
			else if (!this.isSteady && roll(500) === 0)
				this.#stall(wire);
		}, (wire) => {
			limit = this.#limit(visit, () => this.#leave(wire, visit));
		});
		return done.finally(() => limit.end());
	}

	// Reads nothing for a while.
	#stall(wire) {
		wire.pause();
		setTimeout(() => wire.resume(), this.roll(1500));
	}

	#leave(wire, visit) {
		const how = this.isDone ? 0 : this.roll(4);
		if (how === 0 || !wire.isOpen)
			wire.cut();
		else if (how === 1)
			wire.cut({ reset: true });
		else if (how === 2 && visit.way.startsWith('v1')) {
			wire.send({ type: 'bye' });		// what comes until the server closes counts
			setTimeout(() => wire.cut(), this.roll(1000));
		} else {
			wire.close();
		}
	}

	// Opens a socket; handle(frame, wire) gets what comes.  Resolves at its end.
	#connect(visit, params, handle, opened = () => {}) {
		const { way } = visit;
		const isV1 = way.startsWith('v1'), byFrame = way.includes('auth');
		const port = way.endsWith('direct') ? this.site.wsPort : this.site.webPort;
		const query = this.#query({ ...(byFrame ? {} : { token: this.token }), ...params });
		return new Promise((resolve, reject) => {
			const wire = new Wire(port, `/ws?${query}`, isV1 ? { protocol: 'sidewire.v1' } : {}, {
				open: () => {
					if (byFrame)
						wire.send({ type: 'auth', payload: { token: this.token } });
				},
				text: (text) => {
					try {
						const frame = JSON.parse(text);
						this.#check(frame, visit, isV1);
						handle(frame, wire);
					} catch (error) {
						reject(error);
						wire.cut();
					}
				},
				end: (why) => {
					visit.end = why;
					this.failures = wire.isOpen ? 0 : this.failures + 1;
					if (/^broken|^closed (1002|1003|1007|1008|1009|1011|44)|^HTTP 4/.test(why))
						reject(this.wrong(`socket ${why}`, visit));
					resolve();
				},
			});
			opened(wire);
		});
	}

	// What may never come.
	#check(frame, visit, isV1) {
		const known = ['sync', 'auth_ok', 'auth_expiring'];
		if (frame.timestamp === undefined && !(isV1 && known.includes(frame.type)))
			throw this.wrong(`unexpected ${JSON.stringify(frame).slice(0, 200)}`, visit);
		if (frame.payload.reset)
			throw this.wrong(`reset ${frame.payload.reset}`, visit);
	}
}

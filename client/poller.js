// Polls: held ones in a row while it is the way to get events, single ones to fill a gap
// that another way cannot (docs/protocol.md, section 2).

import { Backoff } from './backoff.js';
import { SidewireError, isRefusal, problemOf } from './problem.js';

const HOLD_S = 25;		// that the server is asked to hold a poll for
const LATE_MS = 10000;		// beyond that there is no answer any more
const QUICK_MS = 1000;		// an empty answer sooner than this: the server does not hold
const PACE_MS = 3000;		// between polls then
const HIDDEN_MS = 30000;	// between polls of a page that nobody sees; under presence.ttl_s
				// even where hidden pages' timers run once a minute
const PRESENT_MS = 75000;	// for which a poll makes its user present (presence.ttl_s)
const STEP_MAX_MS = 30000;	// between attempts
const LIMIT = 500;

export class Poller {
	#ctx;
	#on;
	#backoff;
	#mode = 'idle';			// idle: gaps alone; on: all the time; off: never again
	#isAsked = false;		// once, whatever the mode
	#isLooping = false;
	#abort = null;			// of the poll on its way
	#began = -Infinity;		// when it was sent
	#wakeUp = () => {};		// ends the pause
	#notBefore = 0;			// by the server's advice
	isWorking = false;		// the last poll was answered

	// on.changed(): isWorking did; on.refused(problem).
	constructor(ctx, on) {
		this.#ctx = ctx;
		this.#on = on;
		this.#backoff = new Backoff(ctx.env, STEP_MAX_MS);
	}

	// Polls on and on.
	start() {
		this.#mode = 'on';
		this.#run(0);
	}

	// Polls once, after ms.
	once(ms = 0) {
		this.#isAsked = true;
		this.#run(ms);
	}

	// A stream waits for events that it does not bring.
	fill() {
		this.#wakeUp();
		this.#run(0);
	}

	// Another way is useful.
	idle() {
		this.#mode = 'idle';
		this.#isAsked = false;
		this.#again();
		this.#work(false);
	}

	stop() {
		this.#mode = 'off';
		this.#isAsked = false;
		this.#again();
	}

	// The page was asleep, or is looked at again: what is on its way for ms may be lost.
	wake(ms) {
		if (this.#abort !== null && this.#ctx.env.clock.now() - this.#began < ms)
			return;
		this.#isAsked = this.#isAsked || this.#mode === 'on';	// answered at once
		this.#again();
	}

	// Whether the server takes its user as present because of a poll.
	get isPresent() { return this.#ctx.env.clock.now() - this.#began < PRESENT_MS; }

	get #isWanted() {
		return this.#mode !== 'off' && (this.#mode === 'on' || this.#isAsked || this.#ctx.inbox.isBehind);
	}

	#work(is) {
		if (this.isWorking !== is) {
			this.isWorking = is;
			this.#on.changed();
		}
	}

	// Ends a pause or a poll; the loop goes on if it is wanted.
	#again() {
		this.#abort?.abort();
		this.#wakeUp();
		this.#run(0);
	}

	async #run(ms) {
		if (this.#isLooping)
			return;
		this.#isLooping = true;
		for (let pause = ms; this.#isWanted;) {
			await this.#pause(pause);
			if (this.#isWanted)
				pause = await this.#once();
		}
		this.#isLooping = false;
	}

	#pause(ms) {
		if (!(ms > 0))
			return undefined;
		const { clock } = this.#ctx.env;
		return new Promise((resolve) => {
			const timer = clock.setTimeout(resolve, ms);
			this.#wakeUp = () => {
				if (clock.now() < this.#notBefore && this.#mode !== 'off')
					return;
				clock.clearTimeout(timer);
				resolve();
			};
		});
	}

	// One poll; returns the milliseconds to the next.
	async #once() {
		const { inbox, env } = this.#ctx;
		const wasBehind = inbox.isBehind;
		const isHeld = this.#mode === 'on' && this.isWorking && !this.#isAsked && !wasBehind &&
			!this.#ctx.isHidden();
		const began = this.#began = env.clock.now();
		const abort = this.#abort = new AbortController();
		let token, stream;
		try {
			token = await this.#ctx.token.get();
			stream = inbox.open();
			const answer = await this.#request(abort, token, stream.from, isHeld ? HOLD_S : 0);
			this.#ctx.token.prove(token);
			this.#give(stream, answer);
			await stream.drained;
			this.#backoff.worked();
			this.#work(this.#mode === 'on' || this.#isAsked);
			this.#isAsked = false;
			if (abort.signal.aborted)
				return 0;
			return this.#pace(answer, inbox.cursor !== stream.from, wasBehind || (isHeld && env.clock.now() - began < QUICK_MS));
		} catch (error) {
			stream?.close();
			// Given up by ourselves: the loop looks what is wanted now.
			return abort.signal.aborted && !abort.isLate ? 0 : this.#failed(error, token);
		} finally {
			this.#abort = null;
		}
	}

	async #request(abort, token, from, hold) {
		const { env, pollUrl, rooms, id } = this.#ctx;
		const timer = env.clock.setTimeout(() => {
			abort.isLate = true;
			abort.abort();
		}, hold * 1000 + LATE_MS);
		const query = new URLSearchParams({ ...(from && { lastTimestamp: from }), timeout: hold, limit: LIMIT,
			client: id, ...(rooms && { rooms: rooms.join() }) });
		try {
			const response = await env.fetch(`${pollUrl}?${query}`, { cache: 'no-store', signal: abort.signal,
				headers: { Authorization: `Bearer ${token}` } });
			if (response.status !== 200)
				throw await problemOf(response, env.clock.now());
			const answer = await response.json();
			if (typeof answer?.timestamp !== 'string' || !Array.isArray(answer.events))
				throw new SidewireError({ title: 'Not an answer to a poll' });
			if (abort.signal.aborted)
				throw new SidewireError({ title: 'Given up' });
			return answer;
		} finally {
			env.clock.clearTimeout(timer);
		}
	}

	#give(stream, { events, timestamp, reset }) {
		if (reset !== undefined || stream.from === '')
			stream.state(events, timestamp, timestamp, reset ?? 'first');
		else
			events.forEach((event) => stream.event(event));
		stream.position(timestamp);
		stream.end();
	}

	// isMoved: the cursor; what only repeats itself (something between us and the server
	// keeps answers) is not asked for at once.
	#pace({ events, more }, isMoved, isQuick) {
		const hasNews = more || events.length > 0;
		if (hasNews && isMoved)
			return 0;
		if (isQuick || hasNews)
			return PACE_MS * (0.5 + this.#ctx.env.random());
		return this.#mode === 'on' && this.#ctx.isHidden() ? HIDDEN_MS : 0;
	}

	#failed(error, token) {
		this.#work(false);
		if (!isRefusal(error)) {
			if (error?.isPassing === false)
				this.#ctx.report(error);	// nobody else would tell why it does not work
			const adviceMs = error?.retryAfterMs ?? 0;
			this.#notBefore = this.#ctx.env.clock.now() + adviceMs;
			return this.#backoff.next(adviceMs);
		}
		if (error.status === 401 && !error.isFinal && this.#ctx.token.refuse(token))
			return 0;
		this.#mode = 'off';
		this.#isAsked = false;
		this.#on.refused(error);
		return 0;
	}
}

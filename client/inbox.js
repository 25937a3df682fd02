// One cursor over all transports: every event is handled once, in order, whichever way it
// came, and however many ways are open at once.
//
// What a transport brings is a stream: the items of one answer to a poll, of one socket,
// of another tab.  A stream is opened at a position, its base, and brings in the log's
// order every event after it that this user may see, and positions.  So an item at
// position p says: everything of the log in (base, p] has come by this stream before.
// The server narrows by rooms the same way on each, and judges access at delivery.
//
// Claim: everything up to the cursor has been handled, once.  It holds in the beginning.
// An item at p is looked at when all before it of the same stream have been, and only
// while the stream's base is not after the cursor.  An event of the log up to p is then
// either not after the base, so not after the cursor, and handled; or it was an earlier
// item of this stream, and was handled or found to be at or before the cursor, which
// means handled.  So with the item at p handled the cursor may be set to p, whatever
// other streams still hold; and what they hold up to p is dropped when its turn comes.
// Nothing is handled twice, as only what lies after the cursor is, and the cursor rises.
//
// A stream may begin with the present state instead, because it was asked for without a
// cursor or with one that cannot be resumed (a reset).  Its base is then the state's
// position.  The state is handled if the cursor is still where the stream was asked from.
// Otherwise another stream has moved on: the state is passed over, and the stream waits
// until the cursor has come to its base by other ways (isBehind asks for a poll).
//
// Positions have a fixed width: they compare as text.  "" is before all of them.

export const WAITING_MAX = 10000;	// items of a stream; one that has more is given up

class Stream {
	#inbox;

	constructor(inbox, from, onStale) {
		this.#inbox = inbox;
		this.from = from;	// where it was asked from
		this.base = from;	// after which it is complete
		this.items = [];
		this.onStale = onStale;
		this.isEnded = false;
		this.drained = new Promise((resolve) => { this.resolve = resolve; });
	}

	event(event) { this.#add({ event, at: event.timestamp }); }
	position(at) { this.#add({ at }); }

	// The present state as events, at a position; what was committed from there up to upTo
	// follows.  at: "" where the state is empty and its position not known.  reason: of the
	// reset, or "first".
	state(events, at, upTo, reason) { this.#add({ state: { events, timestamp: at, reason }, at, upTo }); }

	// Nothing more comes.  drained resolves when all of it was handled or dropped.
	end() {
		this.isEnded = true;
		this.#inbox.run();
	}

	// Drops what waits.
	close() { this.#inbox.drop(this); }

	#add(item) {
		if (this.items.push(item) > WAITING_MAX)
			this.onStale();
		else
			this.#inbox.run();
	}
}

export class Inbox {
	#streams = new Set();
	#on;
	#isRunning = false;
	#isClosed = false;
	cursor;			// up to here all is handled
	passed;			// up to here all was told to on.taken

	// on.event(event), on.state(state): the handlers, which may return promises;
	// on.taken(item): an item is about to be handled; on.behind(): a stream waits.
	constructor(cursor, on) {
		this.cursor = this.passed = cursor;
		this.#on = on;
	}

	// A stream asked for at the cursor; or, with a base, one that is complete from there.
	// onStale is called when it was given up: ask again.
	open({ base = this.cursor, onStale = () => {} } = {}) {
		const stream = new Stream(this, base, () => {
			this.drop(stream);
			onStale();
		});
		this.#streams.add(stream);
		if (this.#isClosed)
			this.drop(stream);
		else if (this.isBehind)
			this.#on.behind();
		return stream;
	}

	// Whether a stream cannot go on before events come by another way.
	get isBehind() {
		return [...this.#streams].some((s) => s.base > this.cursor);
	}

	// What waits is not wanted any more.
	clear() {
		for (const stream of this.#streams)
			this.drop(stream);
	}

	close() {
		this.#isClosed = true;
		this.clear();
	}

	drop(stream) {
		stream.items = [];
		this.#streams.delete(stream);
		stream.resolve();
	}

	async run() {
		if (this.#isRunning)
			return;
		this.#isRunning = true;
		await null;		// until all that came together is here
		for (let stream; (stream = this.#next()) !== undefined;)
			await this.#take(stream, stream.items.shift());
		this.#isRunning = false;
	}

	#next() {
		for (const stream of this.#streams) {
			if (stream.items.length > 0 && (stream.items[0].state || stream.base <= this.cursor))
				return stream;
			if (stream.items.length === 0 && stream.isEnded)
				this.drop(stream);
		}
		return undefined;
	}

	async #take(stream, item) {
		if (item.state)
			await this.#takeState(stream, item);
		else if (item.at > this.cursor)
			await this.#handle(item, () => item.event && this.#on.event(item.event));
	}

	async #takeState(stream, item) {
		if (stream.from !== this.cursor) {
			stream.base = item.at || item.upTo;
			if (stream.isEnded)
				this.drop(stream);	// an answer to a poll: the next one asks from the cursor
			else if (this.isBehind)
				this.#on.behind();
			return;
		}
		// Back in the log, after a backup was restored: others were asked for elsewhere.
		if (item.at < this.cursor)
			for (const other of [...this.#streams].filter((s) => s !== stream))
				other.onStale();
		stream.base = item.at;
		await this.#handle(item, () => this.#on.state(item.state));
	}

	async #handle(item, call) {
		this.passed = item.at;
		this.#on.taken(item);
		await call();
		this.cursor = item.at;
	}
}

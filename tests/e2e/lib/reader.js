// Who is to have every message once and in order: what it handled, and on which visit to the
// server.  How it reads is another file's: walk().

// One stay on a transport.
class Visit {
	constructor(index, way, at) {
		Object.assign(this, { index, way, from: at, at, events: 0, dropped: 0, end: 'under way' });
		this.since = Math.round(performance.now());
		this.ripe = new Promise((r) => { this.ripen = r; });
		this.isRipe = false;
	}

	toString() {
		return `#${this.index} ${this.way} at ${this.since} ms from ${this.from}: ${this.events} events` +
			`${this.dropped ? ` and ${this.dropped} again` : ''} to ${this.at}, ${this.end}`;
	}
}

export class Reader {
	// kind and name are for reports; rooms: what it narrows itself to; joinsAt: how much the
	// writers have done before it comes; isSleepy: it is away for long now and then.
	constructor(site, ledger, { name, user, token, roll, kind, rooms, joinsAt = 0, isSleepy = false }) {
		Object.assign(this, { site, ledger, name, user, token, roll, kind, rooms, joinsAt, isSleepy });
		this.got = [];		// items in the order they were handled
		this.gotIn = [];	// the index of the visit
		this.gotAt = [];	// performance.now()
		this.visits = [];
		this.isDone = false;
		this.ready = new Promise((r) => { this.isReady = r; });
		this.failed = new Promise((_, reject) => { this.fail = reject; });
		this.failed.catch(() => {});
	}

	describe() {
		return `${this.name} of ${this.user}, ${this.kind}${this.rooms ? `, only ${this.rooms}` : ''}` +
		`${this.isSleepy ? ', sleepy' : ''}`;
	}

	// The visits around that of an index, a line each.
	history(index = this.visits.length - 1, around = 4) {
		return this.visits.slice(Math.max(0, index - around), index + around).join('\n  ');
	}

	// at: the position where it stands.
	visit(way) {
		const visit = new Visit(this.visits.length, way, this.at);
		this.visits.push(visit);
		return visit;
	}

	run() { return Promise.race([this.walk(), this.failed]); }

	stop() { this.isDone = true; }

	// Whether it keeps up, so that its deliveries are counted on.
	get isPrompt() { return this.joinsAt === 0 && !this.isSleepy; }

	// Away until some of what is unwritten yet is written.
	async sleep() {
		const { given, items } = this.ledger;
		const until = given + this.roll(Math.max(1, items.size - given));
		await this.ledger.when((l) => l.given >= until);
	}

	comes() { return this.ledger.when((l) => l.given >= this.joinsAt); }

	// Ends the run with this report; returns it to be thrown.
	wrong(what, visit) {
		const error = new Error(`${this.describe()}: ${what}, after ${this.got.length} messages, the last ` +
			`${this.got.at(-1)?.name}\n  ${this.history(visit?.index)}`);
		this.fail(error);
		return error;
	}

	// Handles a NEW_MESSAGE.
	keep({ payload }, visit) {
		let item;
		try {
			item = this.ledger.match(payload);
		} catch (error) {
			throw this.wrong(error.message, visit);
		}
		if (payload.key !== (payload.senderId === this.user ? item.key : undefined))
			throw this.wrong(`${item.name} comes with the key ${payload.key}`, visit);
		this.got.push(item);
		this.gotIn.push(visit.index);
		this.gotAt.push(performance.now());
		if (this.isPrompt)
			this.ledger.count();
		if (item.name === 'end')
			this.stop();
	}
}

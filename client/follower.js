// A tab that gets its events from the one that holds the connection.  For the inbox that is
// one more stream, complete from the position that the leader named.

const HELLO_MS = 30000;
const ANSWER_MS = 4000;		// a leader that does not answer is suspended

export class Follower {
	#ctx;
	#send;
	#on;
	#leader = null;
	#stream = null;
	#n = 0;
	#asked = new Map();	// key -> { resolve, reject }
	#helloTimer;
	#deadline = null;
	status = 'offline';

	// on.changed(): status did; on.reset(): ask the server yourself; on.silent(): no leader
	// answers; on.isVisible().
	constructor(ctx, send, on) {
		this.#ctx = ctx;
		this.#send = send;
		this.#on = on;
		this.hello();
	}

	// Asks for a sign of life.
	hello() {
		const { clock } = this.#ctx.env;
		const isVisible = this.#on.isVisible();
		clock.clearTimeout(this.#helloTimer);
		this.#helloTimer = clock.setTimeout(() => this.hello(), HELLO_MS);
		clock.clearTimeout(this.#deadline);
		if (isVisible)
			this.#deadline = clock.setTimeout(() => this.#on.silent(), ANSWER_MS);
		this.#send({ kind: 'hello', isVisible });
	}

	stop() {
		const { clock } = this.#ctx.env;
		clock.clearTimeout(this.#helloTimer);
		clock.clearTimeout(this.#deadline);
		this.#leave();
	}

	// As a socket's.
	say(frame) { this.#send({ kind: 'say', frame }); }
	ask(frame) {
		return new Promise((resolve, reject) => {
			this.#asked.set(frame.payload.key, { resolve, reject });
			this.#send({ kind: 'ask', frame });
		});
	}

	receive(message) {
		if (message.kind === 'lead')
			this.#lead(message);
		else if (message.kind === 'answer')
			this.#answer(message);
		else if (message.from === this.#leader)
			this.#fromLeader(message);
	}

	#lead({ from, n, base, isReset, status }) {
		this.#ctx.env.clock.clearTimeout(this.#deadline);
		const isNew = from !== this.#leader;
		if (isNew || isReset)
			this.#leave();
		this.#leader = from;
		if (this.#stream === null && base !== '') {
			this.#n = n;
			this.#stream = this.#ctx.inbox.open({ base, onStale: () => this.#lose() });
		}
		if (isReset)
			this.#on.reset();
		this.#setStatus(status);
		if (isNew)
			this.#send({ kind: 'hello', isVisible: this.#on.isVisible() });	// it may not know us
	}

	#fromLeader(message) {
		this.#ctx.env.clock.clearTimeout(this.#deadline);
		if (message.kind === 'item') {
			this.#item(message);
		} else if (message.kind === 'status') {
			this.#setStatus(message.status);
		} else if (message.kind === 'gone') {
			this.#leave();
			this.hello();		// to the next, who may be there already
		}
	}

	#item({ n, event, at }) {
		if (this.#stream === null)
			return;
		if (n !== ++this.#n)
			this.#lose();		// some were not delivered, while we were suspended
		else if (event)
			this.#stream.event(event);
		else
			this.#stream.position(at);
	}

	#answer({ key, frame }) {
		this.#asked.get(key)?.resolve(frame);
		this.#asked.delete(key);
	}

	// The stream has a hole, or is of no use: begins anew.
	#lose() {
		const stream = this.#stream;
		this.#stream = null;
		stream?.end();
		this.hello();
	}

	#leave() {
		this.#leader = null;
		this.#stream?.end();	// what came is good
		this.#stream = null;
		for (const { reject } of this.#asked.values())
			reject({ code: 0 });
		this.#asked.clear();
	}

	#setStatus(status) {
		if (status !== this.status) {
			this.status = status;
			this.#on.changed();
		}
	}
}

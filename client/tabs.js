// The tabs of one user on one site: a Web Lock says which of them holds the connection, and
// a BroadcastChannel carries what comes by it to the others.  A tab begins as a follower
// and leads when it gets the lock: at once, when the leader closes, or by taking it from
// one that is suspended and answers nobody.

export class Tabs {
	#env;
	#name;
	#id;
	#on;
	#channel = null;
	#queue = null;		// aborts our place in the lock's queue
	#release = null;	// gives the lock back; null: we do not hold it
	#isClosed = false;

	// on.lead(), on.follow(): our part from now on; on.message(message).
	constructor(env, name, id, on) {
		this.#env = env;
		this.#name = name;
		this.#id = id;
		this.#on = on;
	}

	// Without locks or channels each tab is alone; some places have them and deny their use.
	static isPossible(env) {
		if (!env.locks)
			return false;
		try {
			new env.BroadcastChannel('sidewire').close();
			return true;
		} catch {
			return false;
		}
	}

	start() {
		this.#channel = new this.#env.BroadcastChannel(this.#name);
		this.#channel.onmessage = ({ data }) => {
			if (!this.#isClosed && (data.to === undefined || data.to === this.#id))
				this.#on.message(data);
		};
		this.#on.follow();
		this.#wait();
	}

	// To all others, or to one: { kind, … }.
	send(message) {
		if (!this.#isClosed)
			this.#channel.postMessage({ ...message, from: this.#id });
	}

	// Takes the lock from whoever has it.
	steal() {
		this.#queue.abort();
		this.#request({ steal: true });
	}

	close() {
		if (this.#isClosed)
			return;
		this.send({ kind: this.#release ? 'gone' : 'left' });
		this.#isClosed = true;
		this.#queue.abort();
		this.#release?.();
		this.#channel.close();
	}

	#wait() {
		this.#queue = new AbortController();
		this.#request({ signal: this.#queue.signal });
	}

	async #request(options) {
		let isHeld = false;
		try {
			await this.#env.locks.request(this.#name, options, () => {
				isHeld = true;
				return this.#hold();
			});
		} catch (error) {
			if (this.#isClosed)
				return;
			if (isHeld) {			// another took it
				this.#release = null;
				this.send({ kind: 'gone' });
				this.#on.follow();
				this.#wait();
			} else if (error?.name !== 'AbortError') {
				void this.#hold();	// no locks in this place: each for itself
			}
		}
	}

	#hold() {
		if (this.#isClosed)
			return undefined;
		const held = new Promise((resolve) => { this.#release = resolve; });
		this.#on.lead();
		return held;
	}
}

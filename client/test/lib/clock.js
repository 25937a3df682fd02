// A clock that the test turns.  Between two timers all promises get their turn.

export class Clock {
	#timers = [];		// sorted by time, then by order
	#n = 0;
	#now = 1800000000000;
	#offset = 0;

	now() { return this.#now + this.#offset; }
	get mono() { return this.#now; }

	// Somebody sets the clock; timers do not mind.
	set(ms) { this.#offset += ms; }

	setTimeout(call, ms) {
		const timer = { at: this.#now + Math.max(Number(ms) || 0, 0), n: this.#n++, call };
		let i = this.#timers.length;
		while (i > 0 && this.#timers[i - 1].at > timer.at)
			i--;
		this.#timers.splice(i, 0, timer);
		return timer;
	}

	clearTimeout(timer) {
		const i = this.#timers.indexOf(timer);
		if (i >= 0)
			this.#timers.splice(i, 1);
	}

	// All that is due within ms, one after the other.
	async pass(ms) {
		const end = this.#now + ms;
		await settle();
		while (this.#timers.length > 0 && this.#timers[0].at <= end) {
			const timer = this.#timers.shift();
			this.#now = Math.max(this.#now, timer.at);
			timer.call();
			await settle();
		}
		this.#now = Math.max(this.#now, end);
	}

	// Time goes on and nothing runs, as in a machine that sleeps.
	sleep(ms) { this.#now += ms; }

	get isEmpty() { return this.#timers.length === 0; }

	// Passes time in small steps until test() holds; throws after ms.
	async until(test, what, ms = 60000) {
		const end = this.#now + ms;
		await settle();
		while (!test()) {
			if (this.#now >= end)
				throw new Error(`not within ${ms} ms: ${what}`);
			await this.pass(5);
		}
	}
}

// Until every promise that can go on has done so.
export function settle() {
	return new Promise((resolve) => { setImmediate(resolve); });
}

// Numbers from 0 up to 1, the same ones for the same seed.
export function dice(seed) {
	let state = seed >>> 0;
	return () => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return ((state >>> 8) ^ (state & 255) << 16) / 2 ** 24;
	};
}

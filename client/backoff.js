// How long to wait before the next attempt: full jitter, a number between nothing and a
// step that doubles up to its cap, so that those who were cut off together do not come
// back together.  What the server advises is waited for first.

const STABLE_MS = 30000;	// what worked for this long starts anew

export class Backoff {
	#clock;
	#random;
	#base;
	#cap;
	#failures = 0;
	#since = null;

	// Milliseconds of the first step and of the longest one.
	constructor({ clock, random }, cap, base = 1000) {
		this.#clock = clock;
		this.#random = random;
		this.#base = base;
		this.#cap = cap;
	}

	// It works, from now on or as before.
	worked() {
		this.#since ??= this.#clock.now();
	}

	// It failed: the milliseconds to wait.  isAtOnce: not at all, the first time.
	next(adviceMs = 0, isAtOnce = false) {
		if (this.#since !== null && this.#clock.now() - this.#since >= STABLE_MS)
			this.#failures = 0;
		this.#since = null;
		const step = Math.min(this.#cap, this.#base * 2 ** Math.min(this.#failures++, 30));
		return isAtOnce && this.#failures === 1 ? 0 : adviceMs + this.#random() * step;
	}
}

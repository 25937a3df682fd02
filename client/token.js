// The token of this page: asked for once for all who need it, again when it was refused,
// and never used again after that.

import { SidewireError } from './problem.js';

const LATE_MS = 30000;		// getToken that takes longer has failed

// The claims of a JWT, unverified: they only tell tabs and stored messages of one user
// from those of another.
function claimsOf(token) {
	try {
		const text = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
		return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text), (c) => c.charCodeAt(0))));
	} catch {
		return {};
	}
}

// The user that a token names, "" if it cannot be read.
export function userOf(token) {
	return String(claimsOf(token).sub ?? '');
}

const ending = (code, detail) => Object.assign(new SidewireError({ code, status: 401, detail }), { isFinal: true });

export class Token {
	#getToken;
	#clock;
	#report;
	#timer;
	#value;
	#user;			// whose; unknown before the first
	#refused = null;	// the last one that a server did not take
	#isLast = false;	// the one in use, or the next, came after a refusal
	#asking = null;

	// report(error): what getToken threw.
	constructor(token, getToken, clock, report) {
		if (token !== undefined && typeof token !== 'string')
			throw new TypeError('token must be a string');
		if (!token && typeof getToken !== 'function')
			throw new TypeError('connect() needs a token or getToken');
		this.#value = token ?? '';
		this.#user = token ? userOf(token) : undefined;
		this.#getToken = getToken;
		this.#clock = clock;
		this.#report = report;
	}

	// The token to use.  Rejects when there is none: a SidewireError with isFinal when
	// there will be none, one that is passing when getToken failed.
	async get() {
		return this.#value || this.#ask();
	}

	// A new one before the old one ends; without getToken the old one.
	async renew() {
		return this.#getToken ? this.#ask() : this.#value;
	}

	// A server refused this one.  False: there is no other to be tried.
	refuse(token) {
		if (token !== this.#value)
			return true;		// it has been replaced meanwhile
		this.#refused = token;
		this.#value = '';
		if (!this.#getToken || this.#isLast)
			return false;
		this.#isLast = true;
		return true;
	}

	// A server took this one.
	prove(token) {
		if (token === this.#value)
			this.#isLast = false;
	}

	close() { this.#clock.clearTimeout(this.#timer); }

	#ask() {
		this.#asking ??= this.#fetch().finally(() => { this.#asking = null; });
		return this.#asking;
	}

	// What getToken throws is the site's: its properties are not those of our errors.
	async #call() {
		const late = new Promise((_, reject) => {
			this.#timer = this.#clock.setTimeout(() => reject(new Error('getToken did not answer.')), LATE_MS);
		});
		try {
			return this.#getToken ? await Promise.race([this.#getToken(), late]) : null;
		} catch (error) {
			const failure = new SidewireError({ detail: String(error?.message ?? error), retryAfterMs: error?.retryAfterMs }, error);
			this.#report(error instanceof Error ? error : failure);
			throw failure;
		} finally {
			this.close();
		}
	}

	async #fetch() {
		const token = await this.#call();
		if (typeof token !== 'string' || token === '')
			throw ending('missing_token', 'There is no token.');
		if (token === this.#refused)
			throw ending('invalid_token', 'The same token came again.');
		// What the page holds is of the first one's user.
		this.#user ??= userOf(token);
		if (userOf(token) !== this.#user)
			throw ending('invalid_token', 'The new token is of another user.');
		this.#value = token;
		return token;
	}
}

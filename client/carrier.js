// Brings a frame to the server by the way there is: the socket of this tab, that of the tab
// which holds the connection, or POST (docs/protocol.md, sections 3 and 5).

import { SidewireError, problemOf } from './problem.js';

const LATE_MS = 15000;		// an answer that takes longer is asked for again

// Whether a problem is the server's word on the frame, or as good: not that of a portal, or
// of a web server without the service behind it, which may let the same through later.
const isWord = ({ isOurs, isPassing, status }) => isOurs || isPassing || status === 401 || status === 413;

export class Carrier {
	#ctx;
	#ways;

	// ways(): { socket, tab } as they are now; what is not there is null.
	constructor(ctx, ways) {
		this.#ctx = ctx;
		this.#ways = ways;
	}

	// Resolves to the payload of the ack; rejects with a SidewireError.
	async ask(frame) {
		const { socket, tab } = this.#ways();
		const way = socket ?? tab;
		const answer = way ? await this.#bySocket(way, frame) : await this.post(frame);
		if (answer?.type !== 'ack')
			throw new SidewireError(answer?.payload ?? {});
		return answer.payload;
	}

	// Sends what nobody waits for.
	say(frame) {
		const { socket, tab } = this.#ways();
		const way = socket ?? tab;
		if (way)
			way.say(frame);
		else
			this.post(frame).catch(() => {});
	}

	async #bySocket(way, frame) {
		const { clock } = this.#ctx.env;
		let timer;
		const late = new Promise((_, reject) => {
			timer = clock.setTimeout(() => reject(new SidewireError({ detail: 'No answer.' })), LATE_MS);
		});
		try {
			return await Promise.race([way.ask(frame), late]);
		} catch (error) {
			if (error.code === 1009)
				throw new SidewireError({ code: 'too_large', status: 413, detail: 'The message is too long.' });
			throw error instanceof SidewireError ? error : new SidewireError({ detail: 'The socket was lost.' });
		} finally {
			clock.clearTimeout(timer);
		}
	}

	// Resolves to the answer's frame, null where there is none.  isLast: the page may be gone
	// before it comes; a beacon could not carry the token.
	async post(frame, isLast = false) {
		const { env, token } = this.#ctx;
		for (;;) {
			const abort = new AbortController();
			const timer = env.clock.setTimeout(() => abort.abort(), LATE_MS);
			try {
				const bearer = await token.get();
				const response = await this.#fetch(frame, bearer, abort.signal, isLast);
				if (response.ok) {
					token.prove(bearer);
					return response.status === 204 ? null : await response.json();
				}
				const problem = await problemOf(response, env.clock.now());
				if (problem.status !== 401 || isLast || !token.refuse(bearer))
					throw isWord(problem) ? problem : new SidewireError({ detail: problem.message });
			} catch (error) {
				throw error instanceof SidewireError ? error : new SidewireError({ detail: String(error?.message ?? error) });
			} finally {
				env.clock.clearTimeout(timer);
			}
		}
	}

	#fetch(frame, bearer, signal, isLast) {
		return this.#ctx.env.fetch(this.#ctx.sendUrl, {
			method: 'POST',
			headers: { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json' },
			body: JSON.stringify(frame), cache: 'no-store', keepalive: isLast, signal,
		});
	}
}

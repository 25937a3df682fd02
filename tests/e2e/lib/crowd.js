// Hundreds or thousands of clients, each of which polls again and again from where it is;
// whatever comes on a connection is kept, asked for or not.

import net from 'node:net';
import { until, within } from './deadline.js';

const WAVE = 250;	// connections opened, or polls sent, in one go

// The body of a whole answer and where it ends in the bytes; null where it is not all there.
// Apache sends chunks, for it does not trust lengths that programs tell.
function body(head, bytes, at) {
	if (!/\r\ntransfer-encoding: *chunked/i.test(head)) {
		const end = at + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
		return bytes.length < end ? null : { content: bytes.subarray(at, end), end };
	}
	const chunks = [];
	for (;;) {
		const eol = bytes.indexOf('\r\n', at);
		const size = parseInt(bytes.toString('latin1', at, eol), 16);
		if (eol < 0 || bytes.length < eol + 2 + size + 2)
			return null;
		at = eol + 2 + size + 2;
		if (size === 0)
			return { content: Buffer.concat(chunks), end: at };
		chunks.push(bytes.subarray(eol + 2, at - 2));
	}
}

class Client {
	constructor(crowd, user) {
		Object.assign(this, { crowd, user, answers: [], asked: 0, cursor: undefined });
		this.#connect();
	}

	#connect() {
		const tcp = net.connect({ port: this.crowd.site.webPort, host: '127.0.0.1', noDelay: true });
		this.rest = null;
		this.isClosed = false;
		this.tcp = tcp;
		this.opened = new Promise((resolve, reject) => {
			tcp.on('connect', resolve);
			tcp.on('error', reject);
		});
		this.opened.catch(() => {});
		tcp.on('data', (d) => this.#take(d));
		tcp.on('close', () => {
			if (this.tcp !== tcp)
				return;
			this.isClosed = true;
			this.crowd.wake();
		});
	}

	get isWaiting() { return !this.isClosed && this.answers.length < this.asked; }

	ask(path) {
		const { isKept, tokens } = this.crowd;
		if (!isKept && this.asked > 0)
			this.#connect();
		this.asked++;
		this.askedAt = process.hrtime.bigint();
		this.tcp.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.get(this.user)}\r\n` +
			`Connection: ${isKept ? 'keep-alive' : 'close'}\r\n\r\n`);
	}

	#take(data) {
		this.rest = this.rest === null ? data : Buffer.concat([this.rest, data]);
		while (this.rest !== null) {
			const at = this.rest.indexOf('\r\n\r\n');
			if (at < 0)
				return;
			const head = this.rest.toString('latin1', 0, at);
			const found = body(head, this.rest, at + 4);
			if (found === null)
				return;
			this.rest = found.end < this.rest.length ? this.rest.subarray(found.end) : null;
			this.#answered(Number(head.slice(9, 12)), found.content.toString('utf8'));
		}
	}

	#answered(status, text) {
		const answer = { status, text, ms: Number(process.hrtime.bigint() - this.askedAt) / 1e6 };
		if (text.startsWith('{'))
			answer.json = JSON.parse(text);
		if (status === 200 && answer.json?.timestamp)
			this.cursor = answer.json.timestamp;
		this.answers.push(answer);
		this.crowd.wake();
	}
}

export class Crowd {
	// isKept: each client keeps its connection; else it opens a new one for each poll.
	constructor(site, { isKept = true } = {}) {
		Object.assign(this, { site, isKept, clients: [], tokens: new Map(), wake: () => {} });
		site.sockets.push({ ws: { terminate: () => this.close() } });
	}

	// Opens n more connections, as these users in turn.
	async grow(n, users = ['alice', 'bob', 'carol']) {
		for (const user of users)
			this.tokens.set(user, this.site.token(user));
		for (let left = n; left > 0; left -= WAVE) {
			const wave = Array.from({ length: Math.min(left, WAVE) }, (_, i) => new Client(this, users[i % users.length]));
			this.clients.push(...wave);
			await within(Promise.all(wave.map((c) => c.opened)), 'connections open');
		}
	}

	// Each of these sends one poll from its cursor; between(n) is waited for whenever WAVE
	// more have been sent, n in all.
	async ask(params = {}, { clients = this.clients, between = async () => {} } = {}) {
		for (let i = 0; i < clients.length; i++) {
			const c = clients[i];
			const query = new URLSearchParams({ ...(c.cursor ? { lastTimestamp: c.cursor } : {}), ...params });
			c.ask(`/api/realtime/poll?${query}`);
			if ((i + 1) % WAVE === 0 || i + 1 === clients.length)
				await between(i + 1);
		}
	}

	// Whoever still waits for an answer on an open connection.
	get waiting() { return this.clients.filter((c) => c.isWaiting); }

	// Waits until every one of these has its answers; the last of each.
	async answers(what, { clients = this.clients, ms = 60000 } = {}) {
		await within((async () => {
			for (let at = 0; at < clients.length;) {
				if (!clients[at].isWaiting)
					at++;
				else
					await new Promise((r) => { this.wake = r; });
			}
		})(), what, ms);
		return clients.map((c) => {
			if (c.answers.length !== c.asked)
				throw new Error(`${what}: ${c.user} has ${c.answers.length} answers to ${c.asked} polls`);
			return c.answers.at(-1);
		});
	}

	// n who wait go away.
	leave(n) {
		for (const c of this.waiting.slice(0, n))
			c.tcp.destroy();
		this.clients = this.clients.filter((c) => !c.tcp.destroyed);
	}

	close() {
		for (const c of this.clients)
			c.tcp.destroy();
		this.clients = [];
	}
}

// Asks, and paces itself so that no more than step are on their way to being held; returns
// when all are.  How many are held is asked of the metrics on their own connection.
export async function holdAll(crowd, params, { step = 1000, clients = crowd.clients, held }) {
	await crowd.ask(params, { clients, between: async (n) => {
		await until(async () => await held() >= n - (n === clients.length ? 0 : step), `${n} polls are held`, 60000);
	} });
}

// A WebSocket client that keeps what came and lets a test wait for it.

import WebSocket from 'ws';
import { within } from './deadline.js';

export class Socket {
	constructor(url, { protocols = [], headers = {}, ...options } = {}) {
		this.inbox = [];
		this.all = [];
		this.pings = 0;
		this.waiting = null;
		this.ws = new WebSocket(url, protocols, { headers, perMessageDeflate: false, ...options });
		this.opened = new Promise((resolve, reject) => {
			this.ws.on('open', () => resolve(this));
			this.ws.on('error', reject);
			this.ws.on('unexpected-response', (_req, res) => {
				let text = '';
				res.on('data', (d) => { text += d; });
				res.on('end', () => reject(Object.assign(new Error(`HTTP ${res.statusCode}`),
					{ status: res.statusCode, headers: res.headers, text })));
			});
		});
		this.opened.catch(() => {});
		this.closed = new Promise((resolve) => {
			this.ws.on('close', (code, reason) => {
				this.end = { code, reason: reason.toString() };
				resolve(this.end);
				this.waiting?.();
			});
		});
		this.ws.on('ping', () => { this.pings++; });
		this.ws.on('message', (data, isBinary) => {
			const text = isBinary ? data : data.toString('utf8');
			this.all.push(text);
			this.inbox.push(text);
			this.waiting?.();
		});
	}

	open() { return within(this.opened, 'WebSocket opens'); }

	send(frame) {
		this.ws.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
	}

	// The next message as text.
	async nextText(what = 'a message', ms = undefined) {
		await within((async () => {
			while (this.inbox.length === 0) {
				if (this.end)
					throw new Error(`closed ${JSON.stringify(this.end)} before ${what}`);
				await new Promise((r) => { this.waiting = r; });
			}
		})(), `${what} on the socket`, ms);
		return this.inbox.shift();
	}

	async next(what, ms) { return JSON.parse(await this.nextText(what, ms)); }

	// Reads on until a message of this type, which is returned; others are passed over.
	async until(type, test = () => true) {
		for (;;) {
			const m = await this.next(type);
			if (m.type === type && test(m))
				return m;
		}
	}

	// What came so far, up to the answer of a ping: nothing else is on its way.
	async drain() {
		const mark = `drain-${Math.random()}`;
		this.send({ type: 'ping', payload: mark });
		const got = [];
		for (;;) {
			const m = await this.next('pong');
			if (m.type === 'pong' && m.payload === mark)
				return got;
			got.push(m);
		}
	}

	async close(code = 1000) {
		this.ws.close(code);
		return within(this.closed, 'WebSocket closes');
	}

	waitClosed(ms) { return within(this.closed, 'the server closes the socket', ms); }
}

// A TCP connection that speaks HTTP and RFC 6455 byte by byte, also wrongly.

import net from 'node:net';
import crypto from 'node:crypto';
import { within } from './deadline.js';

export const OP = { CONT: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

// The text of a handshake.  headers: added or, with null, left out; names as they are sent.
export function handshake(path, { headers = {}, method = 'GET', version = 'HTTP/1.1' } = {}) {
	const all = {
		Host: 'localhost', Upgrade: 'websocket', Connection: 'Upgrade',
		'Sec-WebSocket-Key': crypto.randomBytes(16).toString('base64'), 'Sec-WebSocket-Version': '13',
		...headers,
	};
	const lines = Object.entries(all).filter(([, v]) => v !== null).map(([k, v]) => `${k}: ${v}\r\n`);
	return `${method} ${path} ${version}\r\n${lines.join('')}\r\n`;
}

// One frame of a client.  mask: false sends it bare; length: what the header says instead.
export function frame(opcode, payload = '', { fin = true, mask = true, rsv = 0, length } = {}) {
	const data = Buffer.from(payload);
	const n = BigInt(length ?? data.length);
	const size = n < 126n ? 0 : n <= 0xffffn ? 2 : 8;
	const head = Buffer.alloc(2 + size);
	head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode;
	head[1] = (mask ? 0x80 : 0) | (size === 0 ? Number(n) : size === 2 ? 126 : 127);
	if (size === 2)
		head.writeUInt16BE(Number(n), 2);
	if (size === 8)
		head.writeBigUInt64BE(n, 2);
	if (!mask)
		return Buffer.concat([head, data]);
	const key = crypto.randomBytes(4);
	return Buffer.concat([head, key, data.map((b, i) => b ^ key[i % 4])]);
}

export const text = (value, options) =>
	frame(OP.TEXT, typeof value === 'string' ? value : JSON.stringify(value), options);

export function closeFrame(code, reason = '') {
	const data = Buffer.alloc(2 + Buffer.byteLength(reason));
	data.writeUInt16BE(code);
	data.write(reason, 2);
	return frame(OP.CLOSE, data);
}

export class Raw {
	constructor(port) {
		this.chunks = [];
		this.size = 0;
		this.tcp = net.connect({ port, host: '127.0.0.1', noDelay: true });
		this.tcp.setNoDelay(true);
		this.tcp.on('data', (d) => {
			this.chunks.push(d);
			this.size += d.length;
			this.waiting?.();
		});
		this.tcp.on('error', (error) => { this.error = error; });	// a reset is one way to end
		this.ended = new Promise((resolve) => {
			const end = () => {
				this.isEnded = true;
				this.waiting?.();
				resolve();
			};
			this.tcp.on('end', end);
			this.tcp.on('close', end);
		});
	}

	write(data) {
		if (!this.isEnded && this.tcp.writable)
			this.tcp.write(data);
	}

	// Each byte in a packet of its own.
	async trickle(data) {
		for (const byte of Buffer.from(data))
			await new Promise((resolve) => this.tcp.write(Buffer.of(byte), resolve));
	}

	// n bytes, taken off the input; null at the end of it.
	async take(n, what) {
		await within((async () => {
			while (this.size < n && !this.isEnded)
				await new Promise((r) => { this.waiting = r; });
		})(), what);
		if (this.size < n)
			return null;
		const all = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
		this.chunks = [all.subarray(n)];
		this.size = all.length - n;
		return all.subarray(0, n);
	}

	// The head of an HTTP answer: { status, headers, text }; null if the connection ended instead.
	async head() {
		let seen = '';
		while (!seen.endsWith('\r\n\r\n')) {
			const byte = await this.take(1, 'an answer to the handshake');
			if (byte === null)
				return seen === '' ? null : { status: 0, headers: {}, text: seen };
			seen += byte.toString('latin1');
		}
		const [first, ...lines] = seen.trimEnd().split('\r\n');
		const headers = Object.fromEntries(lines.map((l) => {
			const at = l.indexOf(':');
			return [l.slice(0, at).toLowerCase(), l.slice(at + 1).trim()];
		}));
		return { status: Number(first.split(' ')[1]), headers, text: seen };
	}

	// A whole HTTP answer with its body, which is read to its Content-Length.
	async answer() {
		const head = await this.head();
		if (head === null)
			return null;
		const body = await this.take(Number(head.headers['content-length'] ?? 0), 'a body');
		return { ...head, body: body?.toString('utf8') };
	}

	// Shakes hands and returns itself.
	async upgrade(path, options) {
		this.write(handshake(path, options));
		const head = await this.head();
		if (head?.status !== 101)
			throw new Error(`no upgrade: ${head?.text}`);
		this.accepted = head;
		return this;
	}

	// The next frame: { fin, rsv, opcode, mask, data }; null at the end.
	async frame() {
		const head = await this.take(2, 'a frame');
		if (head === null)
			return null;
		let n = head[1] & 0x7f;
		if (n >= 126) {
			const more = await this.take(n === 126 ? 2 : 8, 'a frame length');
			n = n === 126 ? more.readUInt16BE() : Number(more.readBigUInt64BE());
		}
		const data = await this.take(n, 'a frame body');
		if (data === null)
			return null;
		return { fin: head[0] >> 7, rsv: head[0] >> 4 & 7, opcode: head[0] & 15, mask: head[1] >> 7, data };
	}

	// The next message as text, however many other frames of control come before.
	async text() {
		for (;;) {
			const f = await this.frame();
			if (f === null)
				return null;
			if (f.opcode === OP.CLOSE)
				throw new Error(`closed ${f.data.length < 2 ? '' : f.data.readUInt16BE()} ${f.data.subarray(2)}`);
			if (f.opcode === OP.TEXT)
				return f.data.toString('utf8');
		}
	}

	// Reads on to the server's close frame: { code, reason }; null if it hung up without one.
	async closeFrame() {
		for (;;) {
			const f = await this.frame();
			if (f === null)
				return null;
			if (f.opcode === OP.CLOSE)
				return f.data.length < 2 ? { code: 1005, reason: '' } :
					{ code: f.data.readUInt16BE(), reason: f.data.subarray(2).toString('utf8') };
		}
	}

	waitEnd(what = 'the server hangs up', ms) { return within(this.ended, what, ms); }

	destroy() { this.tcp.destroy(); }
}

// A raw connection that is gone when the site stops.
export function raw(site, port) {
	const r = new Raw(port);
	site.sockets.push({ ws: { terminate: () => r.destroy() } });
	return r;
}

// What a web server says to fcgi-poll, record by record.

import net from 'node:net';
import { within } from './deadline.js';

export const BEGIN = 1, ABORT = 2, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, STDERR = 7, GET_VALUES = 9;

export function record(type, id, content = Buffer.alloc(0), padding = 0) {
	const body = Buffer.from(content);
	const h = Buffer.from([1, type, id >> 8, id & 255, body.length >> 8, body.length & 255, padding, 0]);
	return Buffer.concat([h, body, Buffer.alloc(padding)]);
}

function size(n) {
	if (n < 128)
		return Buffer.from([n]);
	const b = Buffer.alloc(4);
	b.writeUInt32BE((n | 0x80000000) >>> 0);
	return b;
}

export function nameValues(env) {
	return Buffer.concat(Object.entries(env).flatMap(([name, value]) => {
		const n = Buffer.from(name), v = Buffer.from(String(value));
		return [size(n.length), size(v.length), n, v];
	}));
}

export const begin = (id, keep) => record(BEGIN, id, [0, 1, keep ? 1 : 0, 0, 0, 0, 0, 0]);

// A whole request.  keep: FCGI_KEEP_CONN.
export function request(id, env, { keep = false, body = '' } = {}) {
	const stream = (type, content) => {
		const records = [];
		for (let at = 0; at < content.length; at += 65535)
			records.push(record(type, id, content.subarray(at, at + 65535), 3));
		return [...records, record(type, id)];
	};
	return Buffer.concat([begin(id, keep), ...stream(PARAMS, nameValues(env)), ...stream(STDIN, Buffer.from(body))]);
}

// The environment of a GET.
export function get(url, token, more = {}) {
	return {
		REQUEST_METHOD: 'GET', REQUEST_URI: url, QUERY_STRING: url.split('?')[1] ?? '',
		SCRIPT_NAME: url.split('?')[0], SERVER_SOFTWARE: 'test', SERVER_PROTOCOL: 'HTTP/1.1',
		REMOTE_ADDR: '127.0.0.1', GATEWAY_INTERFACE: 'CGI/1.1',
		...(token ? { HTTP_AUTHORIZATION: `Bearer ${token}` } : {}), ...more,
	};
}

// Headers and body as a CGI program prints them.
export function parseCgi(text) {
	const [head, ...rest] = text.split('\r\n\r\n');
	const body = rest.join('\r\n\r\n');
	const headers = Object.fromEntries(head.split('\r\n').map((line) => {
		const colon = line.indexOf(':');
		return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
	}));
	let json;
	try {
		json = JSON.parse(body);
	} catch {
		json = undefined;
	}
	return { status: parseInt(headers.status ?? '200', 10), headers, text: body, json };
}

// One connection to where: { path } of a unix socket, or { host, port }.
export class Connection {
	constructor(where) {
		this.socket = net.connect(where);
		this.rest = Buffer.alloc(0);
		this.answers = [];		// { id, kind, out } of END_REQUEST records
		this.output = new Map();
		this.wake = () => {};
		this.closed = new Promise((resolve) => this.socket.on('close', () => {
			this.isClosed = true;
			resolve();
			this.wake();
		}));
		this.socket.on('error', () => {});
		this.socket.on('data', (d) => this.#take(d));
	}

	static async open(where) {
		const c = new Connection(where);
		await within(new Promise((resolve, reject) => {
			c.socket.on('connect', resolve);
			c.socket.on('error', reject);
		}), 'FastCGI connects');
		return c;
	}

	#take(data) {
		this.rest = Buffer.concat([this.rest, data]);
		while (this.rest.length >= 8) {
			const [, type, idHigh, idLow] = this.rest;
			const id = idHigh << 8 | idLow, len = this.rest.readUInt16BE(4);
			const end = 8 + len + this.rest[6];
			if (this.rest.length < end)
				return;
			const content = this.rest.subarray(8, 8 + len);
			this.rest = this.rest.subarray(end);
			if (type === STDOUT) {
				this.output.set(id, [...this.output.get(id) ?? [], content]);
			} else if (type === END) {
				const text = Buffer.concat(this.output.get(id) ?? []).toString('utf8');
				this.output.delete(id);
				this.answers.push({ id, appStatus: content.readUInt32BE(0), protocolStatus: content[4],
					...parseCgi(text) });
				this.wake();
			}
		}
	}

	write(bytes) { this.socket.write(bytes); }

	// The next finished request.
	async answer(what = 'an answer') {
		return within((async () => {
			while (this.answers.length === 0) {
				if (this.isClosed)
					throw new Error(`FastCGI connection closed before ${what}`);
				await new Promise((r) => { this.wake = r; });
			}
			return this.answers.shift();
		})(), what);
	}

	async ask(env, options = {}) {
		const id = options.id ?? 1;
		this.write(request(id, env, options));
		const a = await this.answer(env.REQUEST_URI.slice(0, 100));
		if (a.id !== id)
			throw new Error(`answer to ${a.id} instead of ${id}`);
		return a;
	}

	close() { this.socket.destroy(); }
	waitClosed() { return within(this.closed, 'FastCGI connection closes'); }
}

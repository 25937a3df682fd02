// A WebSocket client that costs little: a callback for each message, no promises; for
// tests with hundreds of clients.  A frame that no server may send ends it as broken.

import net from 'node:net';
import { OP, closeFrame, frame, handshake, text } from './raw.js';

export class Wire {
	// on.open(), on.text(string), on.end(why): end comes once and last.  why: 'cut' by cut(),
	// 'close' by close(), 'closed CODE REASON', 'HTTP STATUS', 'broken: WHY', or what the system says.
	constructor(port, path, { protocol, headers = {} }, on) {
		this.on = on;
		this.rest = Buffer.alloc(0);
		this.parts = [];	// of a message in several frames
		this.isOpen = false;
		this.isOver = false;
		this.tcp = net.connect({ port, host: '127.0.0.1', noDelay: true });
		const more = protocol ? { 'Sec-WebSocket-Protocol': protocol } : {};
		this.tcp.write(handshake(path, { headers: { ...more, ...headers } }));
		this.tcp.on('data', (d) => this.#take(d));
		this.tcp.on('error', (error) => this.#end(error.code));
		this.tcp.on('end', () => this.#end('hung up'));
		this.tcp.on('close', () => this.#end('hung up'));
	}

	#end(why) {
		if (this.isOver)
			return;
		this.isOver = true;
		this.tcp.destroy();
		this.on.end(why);
	}

	#take(data) {
		if (this.isOver)
			return;
		this.rest = this.rest.length > 0 ? Buffer.concat([this.rest, data]) : data;
		if (!this.isOpen && !this.#head())
			return;
		let at = 0;
		try {
			for (let n = 1; n > 0 && !this.isOver; at += n)
				n = this.#frame(at);
		} catch (error) {
			this.#end(`broken: ${error.message}`);
		}
		this.rest = this.rest.subarray(at);
	}

	// Whether the answer to the handshake is complete and good.
	#head() {
		const end = this.rest.indexOf('\r\n\r\n');
		if (end < 0)
			return false;
		const status = this.rest.toString('latin1', 9, 12);
		if (status !== '101') {
			this.#end(`HTTP ${status}`);
			return false;
		}
		this.rest = this.rest.subarray(end + 4);
		this.isOpen = true;
		this.on.open();
		return true;
	}

	// Handles the frame that begins at an offset; its size, or 0 where it is not whole.
	#frame(at) {
		const b = this.rest;
		if (b.length - at < 2)
			return 0;
		let n = b[at + 1], head = 2;
		if (n === 126) {
			head = 4;
			if (b.length - at < head)
				return 0;
			n = b.readUInt16BE(at + 2);
		} else if (n === 127) {
			head = 10;
			if (b.length - at < head)
				return 0;
			n = Number(b.readBigUInt64BE(at + 2));
		} else if (n > 127) {
			throw new Error('a masked frame of the server');
		}
		if (b.length - at < head + n)
			return 0;
		this.#act(b[at], b.subarray(at + head, at + head + n));
		return head + n;
	}

	#act(first, data) {
		const opcode = first & 15;
		if ((first & 0x70) !== 0)
			throw new Error(`reserved bits in a frame: ${first}`);
		if (opcode === OP.PING)
			this.tcp.write(frame(OP.PONG, data));
		else if (opcode === OP.CLOSE)
			this.#end(data.length < 2 ? 'closed' : `closed ${data.readUInt16BE()} ${data.toString('utf8', 2)}`);
		else if (opcode === OP.TEXT || opcode === OP.CONT)
			this.#text(first, data);
		else if (opcode !== OP.PONG)
			throw new Error(`a frame of opcode ${opcode}`);
	}

	#text(first, data) {
		const isWhole = (first & 0x80) !== 0;
		if (((first & 15) === OP.CONT) !== (this.parts.length > 0))
			throw new Error('a message within another one');
		if (isWhole && this.parts.length === 0) {
			this.on.text(data.toString('utf8'));
			return;
		}
		this.parts.push(Buffer.from(data));
		if (isWhole) {
			const whole = Buffer.concat(this.parts).toString('utf8');
			this.parts = [];
			this.on.text(whole);
		}
	}

	send(value) {
		if (!this.isOver)
			this.tcp.write(text(value));
	}

	// Reads nothing until resume(): the server has to keep what it has.
	pause() { this.tcp.pause(); }
	resume() { this.tcp.resume(); }

	// Ends it at once; reset: by an RST.
	cut({ reset = false } = {}) {
		if (reset && !this.isOver && this.tcp.connecting === false)
			this.tcp.resetAndDestroy();
		this.#end('cut');
	}

	// Says good-bye by a close frame and listens no more.
	close(code = 1000) {
		if (this.isOver)
			return;
		if (this.isOpen)
			this.tcp.end(closeFrame(code));
		this.isOver = true;
		this.tcp.removeAllListeners('data');
		this.tcp.resume();
		if (!this.isOpen)
			this.tcp.destroy();
		this.on.end('close');
	}
}

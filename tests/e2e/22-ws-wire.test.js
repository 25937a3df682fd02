// The socket byte by byte: handshakes, frames and closings as other stacks and attackers write them.

import test, { describe } from 'node:test';
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { startSite } from './lib/site.js';
import { until } from './lib/deadline.js';
import { metric, httpGet } from './lib/metrics.js';
import { OP, closeFrame, frame, handshake, raw, text } from './lib/raw.js';

const PING = { type: 'ping' };
const PONG = '{"type":"pong"}';
const url = (site, user = 'alice', claims = {}) => `/ws?token=${site.token(user, claims)}`;
// Both ways to the sidecar, by name.
const ways = (site) => [['directly', site.wsPort], ['lighttpd', site.webPort]];

// A token of this many bytes, or one or two more: not every length can be had. Valid but for that.
function tokenOf(site, size) {
	let pad = 0;
	let token;
	do {
		token = site.token('alice', { pad: 'x'.repeat(pad) });
		pad += Math.max(1, Math.floor((size - token.length) / 2));
	} while (token.length < size);
	return token;
}

// The server answers somebody else.
async function lives(site) {
	const s = await site.connect('bob', { direct: true });
	await s.drain();
	await s.close();
	assert.equal((await httpGet(site, '/healthz')).status, 200);
}

test('the handshake is that of RFC 6455, and nothing is negotiated that was not asked for', async (t) => {
	const site = await startSite(t, { poll: false });
	for (const [way, port] of ways(site)) {
		const key = crypto.randomBytes(16).toString('base64');
		const s = await raw(site, port).upgrade(url(site), { headers: { 'Sec-WebSocket-Key': key,
			'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, x-webkit-deflate-frame' } });
		const { headers } = s.accepted;
		assert.equal(headers['sec-websocket-accept'], crypto.createHash('sha1')
			.update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64'), way);
		assert.equal(headers.upgrade.toLowerCase(), 'websocket');
		assert.equal(headers.connection.toLowerCase(), 'upgrade');
		assert.equal(headers['sec-websocket-extensions'], undefined);
		assert.equal(headers['sec-websocket-protocol'], undefined);
		s.write(text(PING));
		const f = await s.frame();
		assert.deepEqual({ ...f, data: f.data.toString() },
			{ fin: 1, rsv: 0, opcode: OP.TEXT, mask: 0, data: PONG });
	}
	// Names and values as other stacks write them.
	for (const headers of [
		{ Upgrade: 'WebSocket', Connection: 'keep-alive, Upgrade' },
		{ Upgrade: null, upgrade: 'websocket', Connection: null, connection: 'upgrade' },
		{ 'Sec-WebSocket-Extensions': 'foo; bar=1', Cookie: 'a=b; c=d', 'X-Empty': '' },
	]) {
		const s = await raw(site, site.wsPort).upgrade(url(site), { headers });
		s.write(text(PING));
		assert.equal(await s.text(), PONG);
	}
});

test('messages in pieces, frames among them, one byte at a time', async (t) => {
	const site = await startSite(t, { poll: false });
	for (const [way, port] of ways(site)) {
		const s = raw(site, port);
		await s.trickle(handshake(url(site)));
		assert.equal((await s.head()).status, 101, way);
		await s.trickle(text(PING));
		assert.equal(await s.text(), PONG);
		// Three fragments with control frames between them.
		s.write(frame(OP.TEXT, '{"type":"pi', { fin: false }));
		s.write(frame(OP.PING, 'between'));
		s.write(frame(OP.CONT, '', { fin: false }));
		s.write(frame(OP.PONG));
		s.write(frame(OP.CONT, 'ng","payload":"ü'.slice(0, -1), { fin: false }));
		// A character cut in two.
		s.write(frame(OP.CONT, Buffer.from([0xc3]), { fin: false }));
		s.write(frame(OP.CONT, Buffer.from([0xbc, ...Buffer.from('"}')])));
		// The answers to the two pings, in either order.
		const answers = [await s.frame(), await s.frame()].sort((x, y) => y.opcode - x.opcode);
		assert.deepEqual(answers.map((f) => [f.opcode, f.data.toString()]),
			[[OP.PONG, 'between'], [OP.TEXT, '{"type":"pong","payload":"ü"}']]);
		// One byte a fragment, and several frames in one packet.
		for (const [i, byte] of Buffer.from(JSON.stringify(PING)).entries())
			s.write(frame(i === 0 ? OP.TEXT : OP.CONT, Buffer.of(byte), { fin: i === 14 }));
		s.write(Buffer.concat([1, 2, 3].map((payload) => text({ ...PING, payload }))));
		s.write(frame(OP.TEXT, '{"type":"ping"}'.padEnd(65536)));
		assert.equal(await s.text(), PONG);
		for (const n of [1, 2, 3])
			assert.equal(await s.text(), `{"type":"pong","payload":${n}}`);
		assert.equal(await s.text(), PONG);
	}
});

test('control frames: pings are answered, a close is answered with its code', async (t) => {
	const site = await startSite(t, { poll: false });
	for (const [way, port] of ways(site)) {
		for (const [sent, code] of [[closeFrame(1000), 1000], [closeFrame(1001, 'leaving'), 1001],
			[closeFrame(4999), 4999], [frame(OP.CLOSE), 1005]]) {
			const s = await raw(site, port).upgrade(url(site));
			for (const payload of ['', 'x'.repeat(125), 'y']) {
				s.write(frame(OP.PONG, 'unasked'));
				s.write(frame(OP.PING, payload));
				const f = await s.frame();
				assert.deepEqual([f.opcode, f.data.toString()], [OP.PONG, payload], way);
			}
			s.write(sent);
			const end = await s.closeFrame();
			assert.ok(end !== null, `${way}: a close frame answers ${code}`);
			assert.equal(end.code, code, way);
			await s.waitEnd();
		}
	}
	await until(async () => (await metric(site, 'ws_sessions')) === 0, 'the server forgets them');
});

// More sockets than the server writes to in a turn.  Some do not read while they are sent more than the kernel takes, so
// that libwebsockets has a part of it; and all ping, so that it has frames of its own to send.
test('whole frames, each event once and in order, whoever sends them', async (t) => {
	const EVENTS = 240;
	const site = await startSite(t, { poll: false, web: false, conf: ['ws.max_per_user = 1000'] });
	const open = (user, n) => Promise.all(Array.from({ length: n }, () =>
		raw(site, site.wsPort).upgrade(url(site, user))));
	const [many, late] = [await open('carol', 280), await open('bob', 10)];
	late.forEach((s) => s.tcp.pause());
	// Every fourth is long, and not for carol; in several commits.
	const insert = (from, to) => site.sql(`WITH RECURSIVE n(i) AS (VALUES (${from}) UNION ALL SELECT i + 1 FROM n
		WHERE i < ${to}) INSERT INTO messages(id, room_id, sender_id, content)
		SELECT 'm' || i, iif(i % 4 = 0, 'vault', 'lobby'), 'alice',
		printf('%d:', i) || hex(zeroblob((i % 4 = 0) * 10000 + i % 7)) FROM n`);
	const want = (user) => Array.from({ length: EVENTS }, (_, i) => i).filter((i) => user === 'bob' || i % 4 !== 0)
		.map((i) => `${i}:${'00'.repeat((i % 4 === 0) * 10000 + i % 7)}`);
	const listen = async (s, user) => {
		const wanted = want(user);
		let pongs = 0;
		let n = 0;
		while (n < wanted.length || pongs === 0) {
			const f = await s.frame();
			assert.ok(f !== null && f.fin === 1 && f.rsv === 0 && f.mask === 0);
			if (f.opcode === OP.PONG) {
				assert.equal(f.data.toString(), 'between');
				pongs++;
			} else if (f.opcode === OP.PING) {
				s.write(frame(OP.PONG, f.data));
			} else {
				assert.equal(f.opcode, OP.TEXT);
				const m = JSON.parse(f.data);
				if (m.type === 'NEW_MESSAGE')
					assert.equal(m.payload.content, wanted[n++]);
			}
		}
	};
	const listening = many.map((s) => listen(s, 'carol'));
	for (let i = 0; i < EVENTS; i += 40) {
		await insert(i, i + 39);
		[...many, ...late].forEach((s) => s.write(frame(OP.PING, 'between')));
	}
	await Promise.all(listening);
	late.forEach((s) => s.tcp.resume());
	await Promise.all(late.map((s) => listen(s, 'bob')));
	await lives(site);
});

// libwebsockets hangs up on some without a close frame, which RFC 6455 section 7.1.7 allows.
test('frames that RFC 6455 forbids end the connection', async (t) => {
	const site = await startSite(t, { poll: false });
	const euro = Buffer.from('€');
	const table = [
		['reserved bit 1', frame(OP.TEXT, '{}', { rsv: 4 }), 1002],
		['reserved bit 2', frame(OP.TEXT, '{}', { rsv: 2 }), 1002],
		['reserved bit 3', frame(OP.TEXT, '{}', { rsv: 1 }), 1002],
		['reserved bit of a ping', frame(OP.PING, '', { rsv: 4 }), 1002],
		['reserved data opcode', frame(3, '{}'), 1002],
		['reserved control opcode', frame(11, ''), 1002],
		['ping of 126 bytes', frame(OP.PING, 'x'.repeat(126)), 'end'],
		['ping in pieces', frame(OP.PING, 'x', { fin: false }), 1002],
		['continuation of nothing', frame(OP.CONT, '{}'), 1002],
		['text within text', Buffer.concat([frame(OP.TEXT, '{', { fin: false }), text(PING)]), 1002],
		['length over 63 bits', Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5]), 'end'],
		['a close of one byte', frame(OP.CLOSE, 'x'), 1005],
		['a close code of 999', closeFrame(999), 1002],
		['a close code of 1005', closeFrame(1005), 1002],
		['a close code of 1016', closeFrame(1016), 1002],
		['bad UTF-8', frame(OP.TEXT, Buffer.from([0x7b, 0xff, 0x7d])), 1007],
		['a surrogate', frame(OP.TEXT, Buffer.from([0xed, 0xa0, 0x80])), 1007],
		['an overlong form', frame(OP.TEXT, Buffer.from([0xc0, 0xaf])), 1007],
		['half a character at the end', frame(OP.TEXT, euro.subarray(0, 2)), 1007],
		['bad UTF-8 in a later piece', Buffer.concat([frame(OP.TEXT, '{', { fin: false }),
			frame(OP.CONT, Buffer.of(0xfe))]), 1007],
		['bad UTF-8 in a close', frame(OP.CLOSE, Buffer.from([0x03, 0xe8, 0xff])), 'end'],
	];
	const wrong = [];
	for (const [what, bytes, code] of table) {
		const s = await raw(site, site.wsPort).upgrade(url(site));
		s.write(bytes);
		// What comes behind it is not served any more.
		s.write(text({ ...PING, payload: what }));
		const seen = [];
		for (;;) {
			const f = await s.frame().catch((e) => ({ opcode: -1, data: Buffer.from(String(e)) }));
			if (f === null || f.opcode === -1 || f.opcode === OP.CLOSE) {
				seen.push(f === null ? 'end' : f.opcode === -1 ? 'nothing' : f.data.length >= 2 ? f.data.readUInt16BE() : 1005);
				break;
			}
			seen.push(f.data.toString());
		}
		s.destroy();
		if (seen.length !== 1 || seen[0] !== code)
			wrong.push([what, code, seen]);
	}
	await lives(site);
	assert.deepEqual(wrong, []);
	// The library does not tell a frame without a mask from others (ws-sidecar(8), BUGS): it does no harm.
	const bare = await raw(site, site.wsPort).upgrade(url(site));
	bare.write(Buffer.concat([frame(OP.PING, 'x', { mask: false }), frame(OP.CLOSE, '', { mask: false })]));
	await bare.waitEnd();
	await lives(site);
});

test('a message over ws.max_message is refused with 1009, in one piece or many', async (t) => {
	const site = await startSite(t, { poll: false, conf: ['ws.max_message = 1000'] });
	for (const [way, port] of ways(site)) {
		const s = await raw(site, port).upgrade(url(site));
		s.write(frame(OP.TEXT, '{"type":"ping"}'.padEnd(1000)));
		assert.equal(await s.text(), PONG, way);
		s.write(frame(OP.TEXT, '{"type":"ping"}'.padEnd(1001)));
		assert.equal((await s.closeFrame()).code, 1009, way);
		const binary = await raw(site, port).upgrade(url(site));
		binary.write(frame(OP.BINARY, 'x'.repeat(1001)));
		assert.equal((await binary.closeFrame()).code, 1009, way);
		const pieces = await raw(site, port).upgrade(url(site));
		pieces.write(frame(OP.TEXT, '{', { fin: false }));
		for (let i = 0; i < 10; i++)
			pieces.write(frame(OP.CONT, ' '.repeat(100), { fin: false }));
		assert.equal((await pieces.closeFrame()).code, 1009, way);
		// One that announces far more than it sends takes no memory, and is told once it is over.
		const huge = await raw(site, port).upgrade(url(site));
		huge.write(frame(OP.TEXT, ' '.repeat(1001), { length: 0x7fffffffffffffffn }));
		assert.equal((await huge.closeFrame())?.code, 1009, way);
	}
	await lives(site);
	assert.equal(await metric(site, 'ws_too_large'), 8);
});

test('answers are as long as ws.max_message lets them be', async (t) => {
	const site = await startSite(t, { poll: false, web: false, conf: ['ws.max_message = 16777216'] });
	const s = await raw(site, site.wsPort).upgrade(url(site));
	const ping = text({ type: 'ping', payload: 'x'.repeat(7 << 20) });
	for (let i = 0; i < 3; i++)
		s.write(ping);
	for (let i = 0; i < 3; i++)
		assert.equal(JSON.parse(await s.text()).payload.length, 7 << 20);
});

test('what is no WebSocket handshake gets no socket', async (t) => {
	const site = await startSite(t, { poll: false });
	// The library must not see these upgrades.
	for (const value of ['h2c', 'H2C', 'foo', 'websocket, h2c', 'h2c, websocket', 'websocket/13', 'websockets', 'TLS/1.2',
		'x'.repeat(5000), 'raw', 'mqtt']) {
		const s = raw(site, site.wsPort);
		s.write(handshake(url(site), { headers: { Upgrade: value, 'HTTP2-Settings': 'AAMAAABkAARAAAAAAAIAAAAA' } }));
		const head = await s.head();
		assert.ok(head === null || head.status === 403, `Upgrade: ${value.slice(0, 20)}: ${head?.text}`);
		await s.waitEnd();
	}
	await lives(site);
	// The same in a plain request, as curl --http2 makes it, and HTTP/2 by prior knowledge.
	for (const bytes of [
		handshake('/healthz', { headers: { Upgrade: 'h2c', Connection: 'Upgrade, HTTP2-Settings', 'HTTP2-Settings': 'AAMA',
			'Sec-WebSocket-Key': null, 'Sec-WebSocket-Version': null } }),
		'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
	]) {
		const s = raw(site, site.wsPort);
		s.write(bytes);
		const head = await s.head();
		assert.ok(head === null || head.status >= 400 || (head.status === 200 && head.headers.upgrade === undefined), head?.text);
	}
	await lives(site);
	// Anything but an upgrade; lighttpd does not even pass some of them on.
	for (const [what, headers, options] of [
		['no key', { 'Sec-WebSocket-Key': null }],
		['no version', { 'Sec-WebSocket-Version': null }],
		['an old version', { 'Sec-WebSocket-Version': '8' }],
		['another version', { 'Sec-WebSocket-Version': '113' }],
		['no Upgrade', { Upgrade: null }],
		['no Connection', { Connection: null }],
		['neither', { Upgrade: null, Connection: null }],
		['Connection: close', { Connection: 'close' }],
		['POST', {}, { method: 'POST' }],
		['HEAD', {}, { method: 'HEAD' }],
		['PUT', {}, { method: 'PUT' }],
		['no Host', { Host: null }],
	]) {
		for (const [way, port] of ways(site)) {
			const s = raw(site, port);
			s.write(handshake(url(site), { headers, ...options }));
			s.tcp.end();
			const head = await s.head();
			assert.ok(head === null || head.status >= 400, `${what}, ${way}: ${head?.text}`);
			if (way === 'directly' && what.endsWith('version'))
				assert.deepEqual([head.status, head.headers['sec-websocket-version']], [400, '13']);
			await s.waitEnd();
		}
	}
	await lives(site);
});

test('another path is 404, a page of another site 403', async (t) => {
	const site = await startSite(t, { poll: false });
	for (const path of ['/', '/wss', '/ws/', '/ws/x', '/WS', '/healthz']) {
		const s = raw(site, site.wsPort);
		s.write(handshake(`${path}?token=${site.token('alice')}`));
		const a = await s.answer();
		assert.equal(a.status, 404, path);
		assert.equal(JSON.parse(a.body).code, 'not_found');
		await s.waitEnd();
	}
	for (const [way, port] of ways(site)) {
		const own = `localhost:${port}`;
		for (const [origin, status] of [['https://evil.example', 403], ['null', 403], ['http://localhost', 403],
			[`http://${own}.evil.example`, 403], [`http://${own}`, 101], [`https://${own}`, 101], [null, 101]]) {
			const s = raw(site, port);
			s.write(handshake(url(site), { headers: { Host: own, Origin: origin } }));
			const a = await s.answer();
			assert.equal(a.status, status, `${way}: ${origin}`);
			if (status === 403) {
				assert.equal(a.headers['content-type'], 'application/problem+json');
				assert.equal(JSON.parse(a.body).code, 'origin_denied');
			}
		}
	}
	await lives(site);
});

test('ws.origins names the pages, and * is all of them', async (t) => {
	const site = await startSite(t, { poll: false, web: false, ws: false,
		conf: ['ws.origins = https://www.example.org http://localhost:3000', 'ws.path = /deep/socket'] });
	await site.startSidecar();
	const tries = async (table) => {
		for (const [origin, status] of table) {
			const s = raw(site, site.wsPort);
			s.write(handshake(url(site).replace('/ws', '/deep/socket'), { headers: { Origin: origin } }));
			assert.equal((await s.answer()).status, status, origin);
			s.destroy();
		}
	};
	await tries([['https://www.example.org', 101], ['http://localhost:3000', 101], ['http://www.example.org', 403],
		['http://localhost', 403], [null, 101]]);
	await site.sidecar.stop();
	site.writeConf(['ws.origins = *', 'ws.path = /deep/socket']);
	await site.startSidecar();
	await tries([['https://evil.example', 101], ['null', 101]]);
	assert.equal(site.sidecar.how, undefined);
});

test('long tokens, in the URL and in the header', async (t) => {
	const site = await startSite(t, { poll: false, web: false });
	await site.startLighttpd('server.max-request-field-size = 16384');
	for (const [way, port] of ways(site)) {
		for (const size of [4095, 4096, 8000, 8192]) {
			const token = tokenOf(site, size);
			for (const [path, headers] of [[`/ws?token=${token}`, {}], ['/ws', { Authorization: `Bearer ${token}` }]]) {
				const s = await raw(site, port).upgrade(path, { headers });
				s.write(text(PING));
				assert.equal(await s.text(), PONG, `${way}: ${size} bytes`);
			}
		}
		for (const size of [8193, 9000, 12000]) {
			const s = raw(site, port);
			s.write(handshake(`/ws?token=${tokenOf(site, size)}`));
			assert.equal((await s.head())?.status, 101, `${way}: ${size} bytes`);
			assert.deepEqual(await s.closeFrame(), { code: 1008, reason: 'Invalid token' });
		}
	}
	for (const size of [16384, 20000, 100000]) {
		const s = raw(site, site.wsPort);
		s.write(handshake(`/ws?token=${'x'.repeat(size)}`));
		const head = await s.head();
		assert.ok(head === null || head.status >= 400, `${size} bytes: ${head?.status}`);
		await s.waitEnd();
	}
	const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`X-${i}`, 'yyyyyyyyyyyyyyyy']));
	const s = raw(site, site.wsPort);
	s.write(handshake(url(site), { headers: many }));
	const head = await s.head();
	assert.ok(head === null || head.status === 101 || head.status >= 400);
	await lives(site);
});

describe('who is slow with the request', { concurrency: true }, () => {
	for (const [what, send] of [
		['says nothing', async () => {}],
		['stops within a header', async (s) => s.write('GET /ws HTTP/1.1\r\nHost: localh')],
		['sends a header a second', async (s, isOver) => {
			s.write('GET /ws HTTP/1.1\r\n');
			for (let i = 0; !isOver(); i++) {
				s.write(`X-${i}: 1\r\n`);
				await new Promise((r) => setTimeout(r, 1000));
			}
		}],
	]) {
		test(`who ${what} is dropped, on an otherwise silent server`, async (t) => {
			const site = await startSite(t, { poll: false, web: false });
			const s = raw(site, site.wsPort);
			const sending = send(s, () => s.isEnded);
			await s.waitEnd('the server drops it', 40000);
			await sending;
			assert.equal(s.size, 0, 'without an answer');
			await lives(site);
		});
	}
});

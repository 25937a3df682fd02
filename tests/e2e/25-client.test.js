// The client library against the real services: Node's fetch, the package ws as WebSocket.

import test, { describe } from 'node:test';
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { connect } from '../../client/sidewire.js';
import { startSite } from './lib/site.js';
import { until } from './lib/deadline.js';
import { settle } from './lib/poller.js';

// A page of this user that keeps what it is told.
function page(t, site, user, options = {}) {
	const live = connect({ url: `http://127.0.0.1:${site.webPort}`, getToken: () => site.token(user),
		env: { WebSocket }, ...options });
	const p = { live, events: [], states: [], statuses: [], errors: [], ends: [] };
	for (const [name, list] of [['*', p.events], ['state', p.states], ['status', p.statuses], ['error', p.errors], ['auth', p.ends]])
		live.on(name, (value) => void list.push(value));
	p.messages = () => p.events.filter((e) => e.type === 'NEW_MESSAGE').map((e) => e.payload.content);
	p.becomes = (status, ms) => until(() => live.status === status, `${user} is on ${status}, not ${p.statuses}`, ms);
	t.after(() => live.close());
	return p;
}

// Storage of a tab, which outlives a page.
class Storage {
	items = new Map();
	getItem(name) { return this.items.get(name) ?? null; }
	setItem(name, text) { this.items.set(name, text); }
	removeItem(name) { this.items.delete(name); }
}

const logged = async (site) => (await site.sql(`SELECT m.content FROM events e JOIN messages m ON m.id = e.entity_id
	WHERE e.type = 'NEW_MESSAGE' ORDER BY e.id`)).split('\n');

describe('the client library', { concurrency: 3 }, () => {
	test('the state, then a socket; a message of another program', async (t) => {
		const site = await startSite(t, { conf: ['presence.grace_s = 3600'] });
		await settle(site, 'alice');
		const p = page(t, site, 'carol');
		await p.becomes('websocket');
		await until(() => p.states.length === 1, 'the state');
		assert.equal(p.states[0].reason, 'first');
		assert.deepEqual(p.states[0].events.filter((e) => e.type === 'ROOM_CREATED').map((e) => e.payload.id).sort(), ['lobby', 'vault']);
		await site.post('vault', 'alice', 'not for carol');
		await site.post('lobby', 'alice', 'hello');
		await until(() => p.messages().length > 0, 'the message');
		assert.deepEqual(p.messages(), ['hello']);
		assert.equal(p.live.cursor, p.events.at(-1).timestamp);
		assert.deepEqual([p.errors, p.ends], [[], []]);
		p.live.close();
		await until(async () => await site.sql("SELECT is_online FROM users WHERE id = 'carol'") === '0', 'offline without grace');
	});

	test('the sidecar is killed and comes back while another process writes: nothing lost or doubled', async (t) => {
		const site = await startSite(t, { conf: ['limit.poll_per_s = 0'] });
		const pages = ['alice', 'bob', 'carol'].map((user) => page(t, site, user));
		for (const p of pages) {
			await p.becomes('websocket');
			await until(() => p.states.length === 1, 'the state');
		}
		let n = 0, isWriting = true;
		const write = (async () => {
			while (isWriting)
				await site.post('lobby', 'bob', `m${n++}`);
		})();
		const ways = { websocket: 0, polling: 0 };
		for (const signal of ['SIGKILL', 'SIGTERM']) {
			await site.sidecar.stop(signal);
			const from = Date.now();
			for (const p of pages)
				await p.becomes('polling', 4000 - (Date.now() - from));
			const before = pages.map((p) => p.messages().length);
			await until(() => pages.every((p, i) => p.messages().length > before[i] + 5), 'messages come by polls');
			pages.forEach(() => ways.polling++);
			await site.startSidecar();
			for (const p of pages)
				await p.becomes('websocket', 15000);
			pages.forEach(() => ways.websocket++);
		}
		// And the other way round: polls away, the socket stays.
		await site.poller.stop('SIGKILL');
		const before = pages[0].messages().length;
		await until(() => pages[0].messages().length > before + 5, 'messages come by socket');
		await site.startPoll();
		isWriting = false;
		await write;
		await site.post('lobby', 'bob', 'end');
		const want = await logged(site);
		for (const p of pages) {
			await until(() => p.messages().at(-1) === 'end', 'the end');
			assert.deepEqual(p.messages(), want);
			assert.equal(p.states.length, 1, 'never a reset');
			assert.deepEqual(p.ends, []);
		}
		assert.deepEqual(ways, { websocket: 6, polling: 6 });
	});

	test('polls alone: held, and a slow handler', async (t) => {
		const site = await startSite(t, { ws: false });
		const p = page(t, site, 'carol', { wsUrl: null });
		const order = [];
		p.live.on('NEW_MESSAGE', async (e) => {
			order.push(`begins ${e.payload.content}`);
			await new Promise((resolve) => { setImmediate(resolve); });
			order.push(`ends ${e.payload.content}`);
		});
		await p.becomes('polling');
		await until(async () => (await site.request('GET', '/api/realtime/status')).json.longpolling_available, 'status');
		await site.post('lobby', 'alice', 'a');
		await site.post('lobby', 'alice', 'b');
		await until(() => p.messages().length === 2, 'both');
		assert.deepEqual(order, ['begins a', 'ends a', 'begins b', 'ends b']);
	});

	test('a token that ends: another is asked for, on either transport', async (t) => {
		const site = await startSite(t, { conf: ['jwt.leeway_s = 0'] });
		const now = () => Math.floor(Date.now() / 1000);
		for (const wsUrl of [undefined, null]) {
			let asked = 0;
			const p = page(t, site, 'carol', { wsUrl, getToken: () => {
				asked++;
				return site.token('carol', { exp: now() + (asked < 3 ? 2 : 3600) });
			} });
			await p.becomes(wsUrl === null ? 'polling' : 'websocket');
			await until(() => asked >= 3, 'three tokens', 30000);
			await site.post('lobby', 'alice', `later ${wsUrl}`);
			await until(() => p.messages().includes(`later ${wsUrl}`), 'the message');
			assert.deepEqual(p.ends, []);
			p.live.close();
		}
		const refused = page(t, site, 'carol', { getToken: () => site.token('nobody', { n: Math.random() }) });
		await until(() => refused.ends.length === 1, 'the end');
		assert.deepEqual([refused.ends[0].status, refused.live.status], [401, 'offline']);
	});

	test('a cursor that is too old gives the state again', async (t) => {
		const site = await startSite(t);
		for (const wsUrl of [undefined, null]) {
			const p = page(t, site, 'carol', { cursor: '2001-01-01T00:00:00.000000Z', wsUrl });
			await until(() => p.states.length === 1, 'the state');
			assert.equal(p.states[0].reason, 'expired');
			await p.becomes(wsUrl === null ? 'polling' : 'websocket');
			await site.post('lobby', 'alice', 'news');
			await until(() => p.messages().length === 1, 'the message');
			assert.equal(p.states.length, 1);
			p.live.close();
		}
	});

	test('rooms: narrowed, and changed on a live socket', async (t) => {
		const site = await startSite(t);
		await site.sql("INSERT INTO rooms(id, name) VALUES ('attic', 'Attic')");
		const p = page(t, site, 'alice', { rooms: ['attic'] });
		await p.becomes('websocket');
		await site.post('lobby', 'bob', 'no');
		await site.post('attic', 'bob', 'one');
		await until(() => p.messages().length === 1, 'one');
		const { cursor } = p.live;
		p.live.subscribe(['lobby', 'vault']);
		// The server's sync says that it has heard; a message then is certain to be narrowed anew.
		await until(async () => {
			await site.post('vault', 'bob', 'probe');
			return p.messages().includes('probe');
		}, 'narrowed anew');
		await site.post('attic', 'bob', 'no');
		await site.post('lobby', 'bob', 'end');
		await until(() => p.messages().at(-1) === 'end', 'the end');
		assert.deepEqual(p.messages().filter((c) => c !== 'probe'), ['one', 'end']);
		assert.ok(p.live.cursor > cursor);
	});

	for (const way of ['websocket', 'polling']) {
		test(`send: acknowledged, seen with its key by the sender alone, refused where one is no member (${way})`, async (t) => {
			const site = await startSite(t);
			const wsUrl = way === 'polling' ? null : undefined;
			const [alice, carol] = [page(t, site, 'alice', { wsUrl }), page(t, site, 'carol', { wsUrl })];
			await Promise.all([alice.becomes(way), carol.becomes(way)]);
			await until(() => alice.states.length + carol.states.length === 2, 'both states');
			const ack = await carol.live.send({ roomId: 'lobby', content: 'hello', key: 'my-key' });
			assert.deepEqual([ack.key, ack.duplicate], ['my-key', false]);
			for (const [p, key] of [[alice, undefined], [carol, 'my-key']]) {
				await until(() => p.messages().length === 1, 'the message');
				const event = p.events.find((e) => e.type === 'NEW_MESSAGE');
				assert.deepEqual([event.payload.id, event.timestamp, event.payload.key], [ack.id, ack.timestamp, key]);
			}
			await assert.rejects(carol.live.send({ roomId: 'vault', content: 'x' }), { code: 'forbidden_room', status: 403 });
			await assert.rejects(carol.live.send({ roomId: 'nowhere', content: 'x' }), { code: 'not_found', status: 404 });
			assert.deepEqual([carol.live.pending, carol.ends, carol.live.status], [[], [], way]);
			carol.live.typing('lobby');
			await until(() => alice.events.some((e) => e.type === 'TYPING'), 'typing');
			const { payload } = alice.events.find((e) => e.type === 'TYPING');
			assert.deepEqual([payload.roomId, payload.userId, payload.on], ['lobby', 'carol', true]);
		});
	}

	test('a message over the limit is refused on a socket, and the next is sent', async (t) => {
		const site = await startSite(t, { conf: ['ws.max_message = 1024'] });
		const p = page(t, site, 'carol');
		await p.becomes('websocket');
		await assert.rejects(p.live.send({ roomId: 'lobby', content: 'x'.repeat(2000) }), { code: 'too_large', status: 413 });
		await p.live.send({ roomId: 'lobby', content: 'short' });
		assert.equal(await site.sql('SELECT group_concat(content) FROM messages'), 'short');
	});

	test('sends while both services are killed, and over a reload: each exists once', async (t) => {
		const site = await startSite(t, { conf: ['limit.send_per_s = 0', 'limit.poll_per_s = 0'] });
		const storage = new Storage(), env = { WebSocket, storage };
		let p = page(t, site, 'carol', { env });
		const reader = page(t, site, 'alice');
		await Promise.all([p.becomes('websocket'), reader.becomes('websocket')]);
		await until(() => reader.states.length === 1, 'the state');
		const want = [], acks = [];
		const send = (n) => {
			for (let i = 0; i < n; i++) {
				const content = `s${want.length}`;
				want.push(content);
				p.live.send({ roomId: 'lobby', content }).then((ack) => acks.push(ack), () => {});
			}
		};
		const kill = [() => site.sidecar.stop('SIGKILL'), () => site.startSidecar(), () => site.poller.stop('SIGKILL'), () => site.startPoll()];
		for (const step of kill) {
			send(8);
			await step();
			send(4);
			await until(() => acks.length > want.length - 8, 'acks');
		}
		// A reload with unsent messages.
		await site.sidecar.stop('SIGKILL');
		await site.poller.stop('SIGKILL');
		send(5);
		await until(() => p.live.status === 'offline', 'offline');
		p.live.close();
		p = page(t, site, 'carol', { env });
		await until(() => p.live.pending.length >= 5, 'the unsent are known');
		await site.startSidecar();
		await site.startPoll();
		await until(() => p.live.pending.length === 0, 'all are sent', 60000);
		assert.deepEqual(await logged(site), want, 'each once, in order');
		await until(() => reader.messages().length >= want.length, 'all are read');
		assert.deepEqual(reader.messages(), want);
		assert.equal(storage.items.size, 0);
	});

	test('a revoked user: it ends and says so', async (t) => {
		const site = await startSite(t);
		// The site gives tokens from before.
		const iat = Math.floor(Date.now() / 1000) - 60;
		const pages = [undefined, null].map((wsUrl) => {
			let n = 0;
			return page(t, site, 'carol', { wsUrl, getToken: () => site.token('carol', { iat, n: n++ }) });
		});
		await Promise.all([pages[0].becomes('websocket'), pages[1].becomes('polling')]);
		await site.must('revoke', 'carol');
		for (const p of pages) {
			await until(() => p.ends.length === 1, 'the end');
			assert.deepEqual([p.ends[0].status, p.live.status], [401, 'offline']);
		}
	});
});

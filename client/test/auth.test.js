// Tokens: refused ones are replaced once, then it ends and says so.

import test from 'node:test';
import assert from 'node:assert/strict';
import { tokenOf, world } from './lib/world.js';

// getToken that gives token 1, 2, …; `asked` counts.
function tokens(more = {}) {
	const t = { asked: 0, getToken: async () => tokenOf('alice', ++t.asked), ...more };
	return t;
}

test('getToken is asked once for both ways', async (t) => {
	const w = world(t), k = tokens(), tab = w.tab().connect({ token: undefined, getToken: k.getToken });
	await w.until(() => tab.live.status === 'websocket', 'websocket');
	assert.equal(k.asked, 1);
});

for (const way of ['socket', 'poll']) {
	const only = (server) => { server[way === 'socket' ? 'http' : 'ws'] = 'refused'; };

	test(`a refused token is replaced once, and that works (${way})`, async (t) => {
		const w = world(t), { server } = w, k = tokens();
		only(server);
		server.refused.add(tokenOf('alice', 1));
		const tab = w.tab().connect({ token: undefined, getToken: k.getToken });
		await w.until(() => tab.live.status !== 'offline', 'it works', 2000);
		assert.equal(k.asked, 2);
		// Later it ends as well, and may be replaced again.
		server.refused.add(tokenOf('alice', 2));
		[...server.sockets].forEach((s) => s.close(1008, 'Token expired'));
		await w.pass(60000);
		assert.equal(k.asked, 3);
		assert.notEqual(tab.live.status, 'offline');
		assert.deepEqual(tab.ends, []);
	});

	test(`a second refusal ends it (${way})`, async (t) => {
		const w = world(t), { server } = w, k = tokens();
		only(server);
		server.user = () => null;
		const tab = w.tab().connect({ token: undefined, getToken: k.getToken });
		await w.pass(1000);
		const { length } = server.asked;
		assert.equal(k.asked, 2);
		assert.deepEqual([tab.ends.length, tab.ends[0].status, tab.live.status], [1, 401, 'offline']);
		assert.match(tab.ends[0].detail, /expired/i);
		await w.pass(600000);
		assert.equal(server.asked.length, length, 'it stopped');
		assert.equal(tab.ends.length, 1);
	});

	test(`without getToken, or with the same token again, it ends at once (${way})`, async (t) => {
		for (const options of [{ token: tokenOf('alice') }, { token: undefined, getToken: () => tokenOf('alice') }]) {
			const w = world(t), { server } = w;
			only(server);
			server.user = () => null;
			const tab = w.tab().connect(options);
			await w.pass(30000);
			assert.equal(tab.ends.length, 1);
			assert.ok(server.asked.filter((a) => a.url.includes(way === 'socket' ? '/ws' : '/poll')).length === 1);
		}
	});
}

test('getToken: nothing ends it, a failure is tried again', async (t) => {
	const w = world(t);
	for (const nothing of [null, undefined, '', 7]) {
		const tab = w.tab().connect({ token: undefined, getToken: () => nothing });
		await w.pass(1000);
		assert.equal(tab.ends.length, 1, String(nothing));
	}
	let fails = 3;
	const tab = w.tab().connect({ token: undefined, getToken: async () => {
		if (fails-- > 0)
			throw new Error('the site is away');
		return tokenOf('alice');
	} });
	await w.until(() => tab.live.status === 'websocket', 'websocket', 30000);
	assert.deepEqual([tab.ends.length, tab.errors.length], [0, 3]);
	// As later, when the token has to be replaced.
	fails = 2;
	w.server.refused.add(tokenOf('alice'));
	let n = 0;
	const other = w.tab().connect({ getToken: async () => {
		if (n++ < 2)
			throw new Error('the site is away');
		return tokenOf('alice', 2);
	} });
	await w.until(() => other.live.status === 'websocket', 'websocket', 30000);
	assert.deepEqual(other.ends, []);
});

test('getToken: whatever it throws is told, and is no word of the server', async (t) => {
	for (const failure of [Object.assign(new Error('HTTP 401'), { status: 401 }), { status: 403, isOurs: true }, null, 'away']) {
		const w = world(t), { server } = w;
		let asked = 0;
		const tab = w.tab().connect({ token: undefined, getToken: async () => {
			if (++asked === 1 || asked > 500)
				return asked === 1 ? tokenOf('alice') : null;
			throw failure;
		} });
		await w.until(() => tab.live.status === 'websocket', 'websocket');
		server.refused.add(tokenOf('alice'));
		[...server.sockets].forEach((s) => s.close(1008, 'Token expired'));
		await w.pass(60000);
		assert.ok(asked > 3 && asked < 60, `asked ${asked} times`);
		assert.deepEqual([tab.ends.length, tab.errors.length], [0, asked - 1]);
	}
});

test('getToken that never answers is told after 30 s, and asked again', async (t) => {
	const w = world(t), { server } = w;
	let asked = 0;
	const tab = w.tab().connect({ token: undefined, getToken: () => (++asked === 2 ? new Promise(() => {}) : tokenOf('alice', asked)) });
	await w.until(() => tab.live.status === 'websocket', 'websocket');
	server.refused.add(tokenOf('alice', 1));
	[...server.sockets].forEach((s) => s.close(1008, 'Token expired'));
	await w.pass(29000);
	assert.deepEqual([asked, tab.errors.length], [2, 0]);
	await w.until(() => tab.live.status === 'websocket', 'websocket', 60000);
	assert.deepEqual([asked, tab.errors.length, tab.ends.length], [3, 1, 0]);
});

test('both ways refused at once ask for one token; a POST that is refused too', async (t) => {
	const w = world(t), { server } = w, k = tokens();
	server.refused.add(tokenOf('alice', 1));
	const tab = w.tab().connect({ token: undefined, getToken: async () => {
		const token = await k.getToken();
		await new Promise((resolve) => { w.clock.setTimeout(resolve, 100); });
		return token;
	} });
	await w.until(() => tab.live.status === 'websocket', 'websocket', 5000);
	assert.equal(k.asked, 2);
	tab.live.use('polling');
	await w.pass(5000);
	server.refused.add(tokenOf('alice', 2));
	const sent = tab.live.send({ roomId: 'lobby', content: 'one' });
	await w.pass(1000);
	await sent;
	assert.equal(k.asked, 3);
	assert.deepEqual(tab.ends, []);
});

test('a token of another user ends it: the page is not his', async (t) => {
	for (const first of [undefined, tokenOf('alice', 1)]) {
		const w = world(t), { server } = w, names = first ? ['bob'] : ['alice', 'bob'];
		const tab = w.tab().connect({ token: first, getToken: () => tokenOf(names.shift() ?? 'bob', 1) });
		await w.until(() => tab.live.status === 'websocket', 'websocket');
		[...server.sockets].forEach((s) => s.close(1008, 'Token expired'));
		await w.pass(5000);
		assert.match(tab.ends[0].detail, /another user/);
		assert.ok(!server.asked.some((a) => a.headers?.Authorization.includes(tokenOf('bob', 1))), 'and it was used nowhere');
		assert.equal(server.heard.filter((h) => h.frame.type === 'auth').length, 1);
	}
});

test('auth_expiring: a new token on the same socket', async (t) => {
	const w = world(t), { server } = w, k = tokens();
	const tab = w.tab().connect({ token: undefined, getToken: k.getToken });
	await w.until(() => tab.live.status === 'websocket', 'websocket');
	[...server.sockets][0].write({ type: 'auth_expiring', payload: { expiresAt: '2099-01-01T00:00:00.000000Z' } });
	await w.pass(100);
	const auths = server.heard.filter((h) => h.frame.type === 'auth').map((h) => h.frame.payload.token);
	assert.deepEqual(auths, [tokenOf('alice', 1), tokenOf('alice', 2)]);
	assert.equal(server.counts.opened, 1);
});

test('403 ends it where it is the server\'s word, not a stranger\'s', async (t) => {
	const w = world(t), { server } = w;
	server.ws = 'refused';
	server.http = { status: 403, body: { page: 'please log in to this hotel' } };
	const guest = w.tab().connect();
	await w.pass(60000);
	assert.equal(guest.ends.length, 0);
	server.http = { status: 403, body: { code: 'origin_denied', status: 403, detail: 'Not from there.' } };
	const denied = w.tab().connect();
	await w.pass(2000);
	assert.deepEqual(denied.ends, [{ code: 'origin_denied', status: 403, detail: 'Not from there.' }]);
});

test('a token that is too long for a frame: blocked at once, polls go on', async (t) => {
	const w = world(t), { server } = w;
	server.ws = { code: 1009, reason: '' };
	const tab = w.tab().connect();
	await w.pass(60000);
	assert.equal(server.counts.opened, 1);
	assert.equal(tab.live.status, 'polling');
});

test('something that takes the subprotocol away counts as blocked', async (t) => {
	const w = world(t), { server } = w;
	const accept = server.accept.bind(server);
	server.accept = (ws, url) => accept(ws, url, ['']);
	const tab = w.tab().connect();
	await w.pass(60000);
	assert.equal(server.counts.opened, 3);
	assert.equal(tab.live.status, 'polling');
	assert.deepEqual(server.heard, [], 'and is not told the token');
});

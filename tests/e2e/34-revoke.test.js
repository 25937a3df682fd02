// Tokens that live: refreshed without reconnecting, revoked, of users who go.

import test, { describe } from 'node:test';
import assert from 'node:assert/strict';
import { startSite } from './lib/site.js';
import { metric } from './lib/metrics.js';
import { settle } from './lib/poller.js';
import { until } from './lib/deadline.js';

const now = () => Math.floor(Date.now() / 1000);
const message = { type: 'send', payload: { roomId: 'lobby', content: 'x' } };
const WITHIN_MS = 5000;		// far less than anything else would take to end them

// A poll that is held: { ended }, a promise of its answer and of when it came.
async function hold(site, user, token) {
	const { json } = await site.poll(user, {}, { token });
	const held = await metric(site, 'polls_held');
	const ended = site.poll(user, { lastTimestamp: json.timestamp, timeout: '20', rooms: 'none' }, { token })
		.then((answer) => ({ answer, at: Date.now() }));
	await until(async () => await metric(site, 'polls_held') > held, 'it is held');
	return { ended };
}

function checkRevoked(answer) {
	assert.equal(answer.status, 401, answer.text);
	assert.equal(answer.json.code, 'revoked');
	assert.match(answer.headers['www-authenticate'], /^Bearer .*error="invalid_token"/);
}

describe('revocation', { concurrency: 2 }, () => {
	test('sidewire revoke ends sockets and held polls at once, and refuses older tokens', async (t) => {
		const site = await startSite(t);
		await settle(site, 'alice', 'bob');
		const old = site.token('alice', { iat: now() - 10 });
		const sockets = [await site.connect(undefined, { token: old }),
			await site.connect(undefined, { token: site.token('alice'), protocols: ['sidewire.v1'] })];
		const bob = await site.connect('bob');
		const held = await hold(site, 'alice', old);
		const began = Date.now();
		const out = await site.must('revoke', 'alice');
		assert.match(out, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
		for (const s of sockets)
			assert.deepEqual(await s.waitClosed(), { code: 1008, reason: 'Revoked' });
		assert.ok(Date.now() - began < WITHIN_MS, 'sockets end at once');
		const { answer, at } = await held.ended;
		checkRevoked(answer);
		assert.ok(at - began < WITHIN_MS, 'held polls end at once');
		// Nobody gets an event of it, and nobody else is touched.
		assert.deepEqual((await bob.drain()).filter((m) => m.type !== 'USER_LEFT' && m.type !== 'USER_UPDATE'), []);
		// The old tokens, and those that do not say when they were issued, on every way in.
		for (const token of [old, site.token('alice'), site.token('alice', { iat: now() - 3600 })]) {
			checkRevoked(await site.poll('alice', {}, { token }));
			checkRevoked(await site.request('GET', '/api/realtime/history?roomId=lobby', { token }));
			checkRevoked(await site.request('POST', '/api/realtime/send', { token, body: JSON.stringify(message),
				headers: { 'Content-Type': 'application/json' } }));
			const s = await site.connect(undefined, { token });
			assert.deepEqual(await s.waitClosed(), { code: 1008, reason: 'Revoked' });
		}
		// A newer one is good.
		const fresh = site.token('alice', { iat: now() + 2 });
		assert.equal((await site.poll('alice', {}, { token: fresh })).status, 200);
		const again = await site.connect(undefined, { token: fresh });
		again.send({ type: 'ping' });
		await again.until('pong');
		// Restarted, both services know it still.
		await site.poller.stop();
		await site.sidecar.stop();
		await site.startPoll();
		await site.startSidecar();
		checkRevoked(await site.poll('alice', {}, { token: old }));
		assert.equal((await (await site.connect(undefined, { token: old })).waitClosed()).reason, 'Revoked');
		assert.ok(await metric(site, 'revoked') >= 9);
		// Lifted, what has not expired is good again.
		await site.must('revoke', 'alice', '--lift');
		assert.equal((await site.poll('alice', {}, { token: old })).status, 200);
		assert.equal((await site.command('revoke', 'alice', '--lift')).code, 1);
	});

	test('a token that is used again and again is refused as well', async (t) => {
		const site = await startSite(t, { ws: false });
		const token = site.token('carol', { iat: now() });
		for (let i = 0; i < 8; i++)
			assert.equal((await site.poll('carol', {}, { token })).status, 200);
		await site.must('revoke', 'carol');
		for (let i = 0; i < 8; i++)
			checkRevoked(await site.poll('carol', {}, { token }));
		const fresh = site.token('carol', { iat: now() + 2 });
		for (let i = 0; i < 8; i++) {
			assert.equal((await site.poll('carol', {}, { token: fresh })).status, 200);
			checkRevoked(await site.poll('carol', {}, { token }));
		}
	});

	test('a deleted user is out at once, and one who is made from tokens stays revoked', async (t) => {
		const site = await startSite(t, { conf: ['auth.provision = yes'] });
		const token = site.token('dora', { iat: now(), name: 'Dora' });
		assert.equal((await site.poll('dora', {}, { token })).status, 200);
		const s = await site.connect(undefined, { token });
		await settle(site, 'dora');
		await site.must('revoke', 'dora');
		assert.equal((await s.waitClosed()).reason, 'Revoked');
		await site.must('user', 'delete', 'dora');
		// The old token does not make her anew.
		checkRevoked(await site.poll('dora', {}, { token }));
		assert.equal((await (await site.connect(undefined, { token })).waitClosed()).reason, 'Revoked');
		assert.equal(await site.sql("SELECT count(*) FROM users WHERE id = 'dora'"), '0');
		const fresh = site.token('dora', { iat: now() + 2, name: 'Dora' });
		assert.equal((await site.poll('dora', {}, { token: fresh })).status, 200);
		assert.equal(await site.sql("SELECT name FROM users WHERE id = 'dora'"), 'Dora');
	});

	test('deleting a row ends sockets and held polls', async (t) => {
		const site = await startSite(t);
		await settle(site, 'carol');
		const s = await site.connect('carol');
		const held = await hold(site, 'carol', site.token('carol'));
		const began = Date.now();
		await site.sql("DELETE FROM users WHERE id = 'carol'");
		assert.deepEqual(await s.waitClosed(), { code: 1008, reason: 'Revoked' });
		checkRevoked((await held.ended).answer);
		assert.ok(Date.now() - began < WITHIN_MS);
		assert.ok(await metric(site, 'revoked') >= 2);
	});

	test('what a site publishes does not revoke, whatever it calls itself', async (t) => {
		const site = await startSite(t, { poll: false, web: false });
		const s = await site.connect('alice', { direct: true });
		await site.must('publish', 'TOKENS_REVOKED', '{}', '--user', 'alice');
		assert.equal((await s.until('TOKENS_REVOKED')).type, 'TOKENS_REVOKED');
		s.send({ type: 'ping' });
		await s.until('pong');
	});

	test('the command says what is wrong', async (t) => {
		const site = await startSite(t, { poll: false, ws: false, web: false });
		for (const args of [['nobody'], [''], ['x'.repeat(129), '--any']])
			assert.equal((await site.command('revoke', ...args)).code, 1, args.join());
		for (const args of [[], ['alice', 'bob'], ['alice', '--all']])
			assert.equal((await site.command('revoke', ...args)).code, 2, args.join());
		assert.match((await site.must('revoke', 'nobody', '--any', '--json')), /^\{"timestamp":".*Z"\}$/);
	});
});

test('auth on the socket prolongs it; a revoked or foreign token ends it', async (t) => {
	const site = await startSite(t, { poll: false, web: false });
	const v1 = async (token) => {
		const s = await site.connect(undefined, { direct: true, protocols: ['sidewire.v1'], token });
		await s.until('sync');
		return s;
	};
	const s = await v1(site.token('alice', { exp: now() + 3 }));
	const exp = now() + 3600;
	s.send({ type: 'auth', payload: { token: site.token('alice', { exp, iat: now() }) } });
	const ok = await s.until('auth_ok');
	assert.equal(ok.payload.expiresAt, new Date(exp * 1000).toISOString().replace('.000Z', '.000000Z'));
	// Past the end of the first token it is there, and the same connection.
	const witness = await v1(site.token('alice', { exp: now() + 3 }));
	assert.equal((await witness.waitClosed()).reason, 'Token expired');
	assert.equal((await (async () => {
		s.send(message);
		return s.until('ack');
	})()).payload.duplicate, false);
	// Revoked, she comes back with a new token; an old one does not prolong that.
	await site.must('revoke', 'alice');
	assert.equal((await s.waitClosed()).reason, 'Revoked');
	const fresh = await v1(site.token('alice', { iat: now() + 2 }));
	fresh.send({ type: 'auth', payload: { token: site.token('alice', { iat: now() - 5 }) } });
	assert.equal((await fresh.until('error')).payload.code, 'revoked');
	assert.deepEqual(await fresh.waitClosed(), { code: 1008, reason: 'Revoked' });
	const other = await v1(site.token('alice', { iat: now() + 2 }));
	other.send({ type: 'auth', payload: { token: site.token('bob', { iat: now() + 2 }) } });
	assert.equal((await other.until('error')).payload.code, 'invalid_token');
	assert.deepEqual(await other.waitClosed(), { code: 1008, reason: 'Invalid token' });
});

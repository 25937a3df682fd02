// POST publish: any event of the site's own, to everyone, a room or a user, by scope.

import test, { describe } from 'node:test';
import assert from 'node:assert/strict';
import { startSite } from './lib/site.js';
import { metric, settle } from './lib/poller.js';
import { cgi } from './lib/cgi.js';

const POSITION = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

function publish(site, body, { sub = 'the-site', scope = 'publish', headers = {}, ...claims } = {}) {
	return site.request('POST', '/api/realtime/publish', { token: site.token(sub, { scope, ...claims }),
		headers: { 'Content-Type': 'application/json', ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body) });
}

function checkProblem(answer, status, code) {
	assert.deepEqual([answer.status, answer.json?.code], [status, code], answer.text);
	assert.match(answer.headers['content-type'], /^application\/problem\+json/);
}

describe('publish', { concurrency: 2 }, () => {
	test('to everyone, a room, a user; on both transports, with its timestamp', async (t) => {
		const site = await startSite(t);
		await settle(site, 'alice', 'bob', 'carol');
		const sockets = Object.fromEntries(await Promise.all(['alice', 'bob', 'carol'].map(
			async (user) => [user, await site.connect(user)])));
		const from = (await site.poll('carol')).json.timestamp;
		const sent = [];
		for (const [type, audience] of [['ORDER', {}], ['FOR_VAULT', { roomId: 'vault' }], ['FOR_CAROL', { userId: 'carol' }],
			['NEW_MESSAGE', { roomId: 'lobby', userId: null }], ['TYPE with "quotes" \u00e9', {}]]) {
			const payload = { n: 1.50, big: 12345678901234, text: 'a/b \u{1f600}', list: [null, true, {}] };
			const answer = await publish(site, { type, payload, ...audience });
			assert.equal(answer.status, 201, answer.text);
			assert.deepEqual(Object.keys(answer.json), ['timestamp']);
			assert.match(answer.json.timestamp, POSITION);
			sent.push({ type, payload, timestamp: answer.json.timestamp });
		}
		const [order, vault, carols, message, quotes] = sent;
		const want = { alice: [order, vault, message, quotes], bob: [order, vault, message, quotes],
			carol: [order, carols, message, quotes] };
		for (const [user, events] of Object.entries(want))
			for (const event of events)
				assert.deepEqual(await sockets[user].next(), event);
		assert.deepEqual((await site.poll('carol', { lastTimestamp: from })).json.events, want.carol);
		assert.equal(await metric(site, 'published'), 5);
	});

	test('only with the scope; a user\'s own token has it not', async (t) => {
		const site = await startSite(t, { ws: false });
		const event = { type: 'T', payload: {} };
		for (const scope of ['', 'publisher', 'metrics', 'PUBLISH']) {
			const answer = await publish(site, event, { scope });
			checkProblem(answer, 403, 'forbidden_scope');
			assert.match(answer.headers['www-authenticate'], /error="insufficient_scope", scope="publish"/);
		}
		checkProblem(await publish(site, event, { exp: 1 }), 401, 'token_expired');
		checkProblem(await site.request('POST', '/api/realtime/publish', { body: '{}' }), 401, 'missing_token');
		assert.equal((await publish(site, event, { scope: 'metrics publish other' })).status, 201);
		// Revoked, it is refused.
		await site.must('revoke', 'the-site', '--any');
		checkProblem(await publish(site, event), 401, 'revoked');
		assert.equal((await publish(site, event, { iat: Math.floor(Date.now() / 1000) + 2 })).status, 201);
	});

	test('what is wrong is said, and nothing is written', async (t) => {
		const site = await startSite(t, { ws: false });
		const before = await site.sql('SELECT count(*) FROM events');
		for (const body of ['', '{', '[]', '7', 'null', {}, { type: 'T' }, { payload: {} }, { type: '', payload: {} },
			{ type: 'T', payload: [] }, { type: 'T', payload: 'x' }, { type: 'T', payload: null },
			{ type: 'T', payload: {}, roomId: 'lobby', userId: 'carol' }, { type: 'T', payload: {}, roomId: '' },
			{ type: 'T', payload: {}, userId: {} }, { type: 'T', payload: {}, ttl: -1 }, { type: 'T', payload: {}, ttl: '5' },
			'{"type":"T","payload":{"n":Infinity}}', `{"type":"T","payload":{"a":${'['.repeat(50)}${']'.repeat(50)}}}`])
			checkProblem(await publish(site, body), 400, 'bad_request');
		checkProblem(await publish(site, { type: 'T', payload: {}, roomId: 'attic' }), 404, 'not_found');
		checkProblem(await publish(site, { type: 'T', payload: {}, userId: 'nobody' }), 404, 'not_found');
		checkProblem(await publish(site, { type: 'T', payload: { a: 'x'.repeat(65536) } }), 413, 'too_large');
		checkProblem(await publish(site, { type: 'T'.repeat(129), payload: {} }), 413, 'too_large');
		checkProblem(await publish(site, { type: 'T', payload: {} }, { headers: { 'Content-Type': 'text/json' } }), 415, 'media_type');
		checkProblem(await site.request('GET', '/api/realtime/publish', {}), 405, 'method');
		assert.equal(await site.sql('SELECT count(*) FROM events'), before);
		assert.equal(await metric(site, 'publish_refused'), 19 + 4);
	});

	test('with a ttl it is for who comes in time', async (t) => {
		const site = await startSite(t, { ws: false });
		await settle(site, 'carol');
		const from = (await site.poll('carol')).json.timestamp;
		assert.equal((await publish(site, { type: 'SOON_OVER', payload: {}, ttl: 60 })).status, 201);
		const types = async () => (await site.poll('carol', { lastTimestamp: from })).json.events.map((e) => e.type);
		assert.deepEqual(await types(), ['SOON_OVER']);
		await site.sql("UPDATE events SET expires_at = expires_at - 60000000 WHERE type = 'SOON_OVER'");
		assert.deepEqual(await types(), []);
	});

	test('as plain CGI, and beside the command', async (t) => {
		const site = await startSite(t, { poll: false, ws: false, web: false });
		const answer = await cgi(site, '/api/realtime/publish', 'x',
			{ HTTP_AUTHORIZATION: `Bearer ${site.token('site', { scope: 'publish' })}` }, '{"type":"BY_CGI","payload":{"a":1}}');
		assert.equal(answer.status, 201);
		const command = JSON.parse(await site.must('publish', 'BY_COMMAND', '{"a":1}', '--json'));
		assert.ok(command.timestamp > answer.json.timestamp);
		assert.equal(await site.sql("SELECT group_concat(type || payload) FROM events WHERE type LIKE 'BY%'"),
			'BY_CGI{"a":1},BY_COMMAND{"a":1}');
	});
});

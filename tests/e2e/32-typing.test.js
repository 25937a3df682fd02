// `typing`: to sockets and pollers of the room, for ten seconds, never replayed, coalesced, limited.

import test, { describe } from 'node:test';
import assert from 'node:assert/strict';
import { startSite } from './lib/site.js';
import { until } from './lib/deadline.js';
import { metric, settle } from './lib/poller.js';

const typing = (on, roomId = 'lobby') => ({ type: 'typing', payload: { roomId, on } });
const typed = (events) => events.filter((e) => e.type === 'TYPING').map((e) => e.payload);

async function v1(site, user) {
	const s = await site.connect(user, { protocols: ['sidewire.v1'] });
	await s.until('sync');
	return s;
}

// All notes of the log, in order: [room, on].
const notes = async (site) => (await site.sql("SELECT room_id || ' ' || json_extract(payload, '$.on') FROM events WHERE type = 'TYPING' ORDER BY id"))
	.split('\n').filter(Boolean);

describe('typing', { concurrency: 2 }, () => {
	test('the room hears of it on both transports, its author does not', async (t) => {
		const site = await startSite(t);
		await settle(site, 'alice', 'bob', 'carol');
		const [alice, bob, carol] = [await v1(site, 'alice'), await v1(site, 'bob'), await v1(site, 'carol')];
		const from = (await site.poll('bob')).json.timestamp;
		const held = site.poll('bob', { lastTimestamp: from, timeout: '20' });
		carol.send(typing(true));
		const payload = { roomId: 'lobby', userId: 'carol', on: true };
		assert.deepEqual((await alice.until('TYPING')).payload, payload);
		assert.deepEqual((await bob.until('TYPING')).payload, payload);
		assert.deepEqual(typed((await held).json.events), [payload]);
		carol.send(typing(false));
		assert.deepEqual((await alice.until('TYPING')).payload, { ...payload, on: false });
		// No answer, no echo; to one who blocked her nothing either.
		assert.deepEqual((await carol.drain()).map((m) => m.type), []);
		await site.sql(`INSERT INTO user_relationships(user_id, target_id, relationship_type) VALUES ('bob', 'carol', 'blocked')`);
		await bob.until('USER_UPDATE');
		carol.send(typing(true));
		await alice.until('TYPING');
		assert.deepEqual(typed(await bob.drain()), []);
		// A private room's stays with its members.
		bob.send(typing(true, 'vault'));
		assert.equal((await alice.until('TYPING')).payload.roomId, 'vault');
		assert.deepEqual(typed(await carol.drain()), []);
	});

	test('it is over after ten seconds, and is not told again', async (t) => {
		const site = await startSite(t, { ws: false });
		await settle(site, 'bob', 'carol');
		const from = (await site.poll('bob')).json.timestamp;
		const answer = await site.request('POST', '/api/realtime/send', { token: site.token('carol'),
			headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(typing(true)) });
		assert.equal(answer.status, 204);
		assert.deepEqual(typed((await site.poll('bob', { lastTimestamp: from })).json.events).length, 1);
		assert.equal(await site.sql("SELECT expires_at - id BETWEEN 9000000 AND 10100000 FROM events WHERE type = 'TYPING'"), '1');
		// As if ten seconds had passed.
		await site.sql("UPDATE events SET expires_at = expires_at - 10000000 WHERE type = 'TYPING'");
		const late = (await site.poll('bob', { lastTimestamp: from })).json;
		assert.deepEqual(typed(late.events), []);
		assert.ok(late.timestamp > from, 'the position moves past it');
		// Nor is it part of the present state.
		assert.deepEqual(typed((await site.poll('bob')).json.events), []);
	});

	test('the same note is written once, over all connections of the user', async (t) => {
		const site = await startSite(t, { conf: ['limit.send_per_s = 0', 'limit.frame_per_s = 0'] });
		const [one, two] = [await v1(site, 'carol'), await v1(site, 'carol')];
		for (let i = 0; i < 50; i++) {
			one.send(typing(true));
			two.send(typing(true));
		}
		await one.drain();
		await two.drain();
		one.send(typing(false));
		await until(async () => (await notes(site)).length === 2, 'both notes are written');
		assert.deepEqual(await notes(site), ['lobby 1', 'lobby 0']);
		assert.equal(await metric(site, 'typing_coalesced'), 99);
		assert.equal(await metric(site, 'typing'), 2);
	});

	test('notes are limited as messages are, and refused where one may not write', async (t) => {
		const site = await startSite(t, { conf: ['limit.send_per_s = 1'] });
		const s = await v1(site, 'carol');
		for (let i = 0; i < 10; i++)
			s.send(typing(i % 2 === 0));
		assert.equal((await s.until('error')).payload.code, 'rate_limited');
		await s.drain();
		const bob = await v1(site, 'alice');
		for (const [frame, code] of [[typing(true, 'attic'), 'not_found'], [typing('yes'), 'bad_request'],
			[{ type: 'typing', payload: { on: true } }, 'bad_request'], [{ type: 'typing' }, 'bad_request']]) {
			bob.send(frame);
			assert.equal((await bob.until('error')).payload.code, code);
		}
		// Refused, it is not taken for said.
		const carol = await v1(site, 'carol');
		await until(async () => {
			carol.send(typing(true, 'vault'));
			return (await carol.until('error')).payload.code === 'forbidden_room';
		}, 'there is a token again');
		assert.ok((await notes(site)).every((n) => n.startsWith('lobby ')));
	});
});

// Who is online: first and last connection, grace, ttl, several processes, restarts.

import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { startSite } from './lib/site.js';
import { startTwin } from './lib/twin.js';
import { cgi } from './lib/cgi.js';
import { until } from './lib/deadline.js';

const SLACK_MS = 500;	// of the clocks that both sides of a comparison were read from
const LATE_MS = 60000;	// a dead sidecar is noticed within ttl, or 10 s, and a sweep
const sockets = { poll: false, web: false };
const direct = { direct: true };

// What the log tells of a user's presence: [{ type, ms }], oldest first.
async function told(site, user) {
	const rows = await site.sql(`SELECT type, id FROM events
		WHERE actor_id = '${user}' AND entity_id IS NULL AND room_id IS NULL ORDER BY id`);
	return rows.split('\n').filter(Boolean).map((row) => {
		const [type, id] = row.split('|');
		return { type, ms: Number(id) / 1000 };
	});
}

const types = async (site, user) => (await told(site, user)).map((e) => e.type).join(' ');

// Waits until the log tells exactly this of a user: 'came left came'.
async function tells(site, user, what, ms) {
	const want = what.replaceAll('came', 'USER_UPDATE').replaceAll('left', 'USER_LEFT');
	await until(async () => await types(site, user) === want, `${user}: ${what}`, ms);
	return told(site, user);
}

const isOnline = (site, user) => site.sql(`SELECT is_online FROM users WHERE id = '${user}'`);

// A visit whose end comes later than whatever began before it and lasts as long.
async function visit(site, user = 'bob') {
	const before = await types(site, user);
	const s = await site.connect(user, direct);
	await until(async () => await types(site, user) === `${before} USER_UPDATE`.trim(), `${user} comes`);
	await s.close();
	await until(async () => await types(site, user) === `${before} USER_UPDATE USER_LEFT`.trim(),
		`${user} goes`, LATE_MS);
}

// Nearly all of it is waiting, so they wait together.
describe('presence', { concurrency: 5 }, () => {
	test('the first connection is told to others, not to oneself', async (t) => {
		const site = await startSite(t, sockets);
		const carol = await site.connect('carol', direct);
		await tells(site, 'carol', 'came');
		assert.equal(await isOnline(site, 'alice'), '0');
		const alice = await site.connect('alice', direct);
		const m = await carol.until('USER_UPDATE', (e) => e.payload.id === 'alice');
		assert.equal(m.payload.isOnline, true);
		assert.equal(m.payload.email, '');
		assert.equal(await isOnline(site, 'alice'), '1');
		await site.post('lobby', 'bob', 'after it');
		await alice.until('NEW_MESSAGE');
		assert.deepEqual(alice.all.filter((text) => text.includes('USER_')), []);
		assert.deepEqual(carol.all.filter((text) => text.includes('"id":"carol"')), []);
	});

	test('the last connection that goes counts, after the grace', async (t) => {
		const grace = 2;
		const site = await startSite(t, { ...sockets, conf: [`presence.grace_s = ${grace}`] });
		const carol = await site.connect('carol', direct);
		const tab = await site.connect('alice', direct);
		const other = await site.connect('alice', direct);
		await tells(site, 'alice', 'came');
		await tab.close();
		await visit(site);
		assert.equal(await types(site, 'alice'), 'USER_UPDATE');
		assert.equal(await isOnline(site, 'alice'), '1');
		const at = Date.now();
		await other.close();
		const left = (await tells(site, 'alice', 'came left'))[1];
		assert.ok(left.ms >= at + grace * 1000 - SLACK_MS, `left ${left.ms - at} ms after the close`);
		const m = await carol.until('USER_LEFT', (e) => e.payload.userId === 'alice');
		assert.deepEqual(m.payload, { userId: 'alice' });
		assert.equal(await isOnline(site, 'alice'), '0');
	});

	test('back within the grace nobody is told', async (t) => {
		const site = await startSite(t, { ...sockets, conf: ['presence.grace_s = 4'] });
		const carol = await site.connect('carol', direct);
		let alice = await site.connect('alice', direct);
		await carol.until('USER_UPDATE', (e) => e.payload.id === 'alice');
		for (let i = 0; i < 5; i++) {
			await alice.close();
			alice = await site.connect('alice', direct);
		}
		await visit(site);
		await carol.until('USER_LEFT', (e) => e.payload.userId === 'bob');
		assert.equal(await types(site, 'alice'), 'USER_UPDATE');
		assert.equal(carol.all.filter((text) => /"(id|userId)":"alice"/.test(text)).length, 1);
		// A connection that breaks is one that goes.
		alice.ws.terminate();
		await tells(site, 'alice', 'came left');
	});

	test('bye needs no grace', async (t) => {
		const site = await startSite(t, { ...sockets, conf: ['presence.grace_s = 3600'] });
		const tab = await site.connect('alice', direct);
		const other = await site.connect('alice', direct);
		await tells(site, 'alice', 'came');
		tab.send({ type: 'bye' });
		assert.equal((await tab.waitClosed()).code, 1000);
		// The other one is here still: his word later, in the same log, comes first.
		const bob = await site.connect('bob', direct);
		await tells(site, 'bob', 'came');
		bob.send({ type: 'bye' });
		await tells(site, 'bob', 'came left');
		assert.equal(await types(site, 'alice'), 'USER_UPDATE');
		other.send({ type: 'bye' });
		await tells(site, 'alice', 'came left');
	});

	test('a poll keeps its user online for the ttl', async (t) => {
		const ttl = 3;
		const site = await startSite(t, { ws: false, conf: [`presence.ttl_s = ${ttl}`] });
		const at = Date.now();
		assert.equal((await site.poll('alice')).status, 200);
		const [came, left] = await tells(site, 'alice', 'came left');
		assert.ok(left.ms >= at + ttl * 1000 - SLACK_MS, `left ${left.ms - at} ms after the poll`);
		assert.ok(came.ms < left.ms);
		// Polling on he stays; the other's only poll is the clock.
		let position = (await site.poll('alice')).json.timestamp;
		await tells(site, 'alice', 'came left came');
		await site.poll('bob');
		await until(async () => {
			position = (await site.poll('alice', { lastTimestamp: position })).json.timestamp;
			return await types(site, 'bob') === 'USER_UPDATE USER_LEFT';
		}, 'bob goes');
		assert.equal(await types(site, 'alice'), 'USER_UPDATE USER_LEFT USER_UPDATE');
		// The first poll of another shows who is here.
		const state = (await site.poll('carol')).json.events.filter((e) => e.type === 'USER_UPDATE');
		assert.deepEqual(state.map((e) => e.payload.id), ['alice']);
	});

	test('polls and sockets count together', async (t) => {
		const site = await startSite(t, { conf: ['presence.ttl_s = 3', 'presence.grace_s = 1'] });
		const alice = await site.connect('alice');
		await tells(site, 'alice', 'came');
		await site.poll('alice');
		await site.poll('bob');
		await tells(site, 'bob', 'came left');		// the ttl is over for both
		assert.equal(await types(site, 'alice'), 'USER_UPDATE');
		let position = (await site.poll('alice')).json.timestamp;
		await alice.close();
		const s = await site.connect('bob');
		await tells(site, 'bob', 'came left came');
		await s.close();
		await until(async () => {			// the grace is over for both
			position = (await site.poll('alice', { lastTimestamp: position })).json.timestamp;
			return await types(site, 'bob') === 'USER_UPDATE USER_LEFT USER_UPDATE USER_LEFT';
		}, 'bob goes again');
		assert.equal(await types(site, 'alice'), 'USER_UPDATE');
		await tells(site, 'alice', 'came left');	// the last poll's ttl
	});

	test('two sidecars and two fcgi-polls count together', async (t) => {
		const site = await startSite(t, { conf: ['presence.ttl_s = 4', 'presence.grace_s = 1'] });
		const twin = await startTwin(site);
		const here = await site.connect('alice');
		const there = await twin.connect('alice');
		await tells(site, 'alice', 'came');
		await here.close();
		await visit(site);
		assert.equal(await types(site, 'alice'), 'USER_UPDATE');
		assert.equal((await twin.poll('alice')).status, 200);
		await there.close();
		await visit(twin);
		assert.equal(await types(site, 'alice'), 'USER_UPDATE');
		await tells(site, 'alice', 'came left');
		// Polls at either are polls at both.
		let at = 0, position = (await site.poll('alice')).json.timestamp;
		await tells(site, 'alice', 'came left came');
		await site.poll('carol');
		await until(async () => {
			at++;
			position = (await [site, twin][at % 2].poll('alice', { lastTimestamp: position })).json.timestamp;
			return await types(site, 'carol') === 'USER_UPDATE USER_LEFT';
		}, 'carol goes');
		assert.equal(await types(site, 'alice'), 'USER_UPDATE USER_LEFT USER_UPDATE');
	});

	test('a sidecar that was killed: its users go, when nobody takes them over', async (t) => {
		const ttl = 1;	// below the heartbeat's rhythm: the living must not be taken for dead
		const site = await startSite(t, { conf: [`presence.ttl_s = ${ttl}`] });
		const alice = await site.connect('alice');
		await tells(site, 'alice', 'came');
		const [, first] = (await site.sql('SELECT id, seen_at FROM sw_instances')).split('|');
		await until(async () => Number(await site.sql('SELECT seen_at FROM sw_instances')) > Number(first),
			'the heartbeat goes on');
		assert.equal(await types(site, 'alice'), 'USER_UPDATE');
		await site.sidecar.stop('SIGKILL');
		await alice.waitClosed();
		const seen = Number(await site.sql('SELECT seen_at FROM sw_instances'));
		const left = (await tells(site, 'alice', 'came left', LATE_MS))[1];
		assert.ok(left.ms >= seen + ttl * 1000 - SLACK_MS, `left ${left.ms - seen} ms after the heartbeat`);
		assert.equal(await site.sql('SELECT count(*) FROM sw_instances'), '0');
		assert.equal(await site.sql('SELECT count(*) FROM sw_leases'), '0');
	});

	for (const signal of ['SIGKILL', 'SIGTERM']) {
		test(`a new sidecar after ${signal}: who comes back within the grace was never away`, async (t) => {
			const grace = 6;
			const site = await startSite(t, { ...sockets, conf: [`presence.grace_s = ${grace}`] });
			const [alice, bob] = [await site.connect('alice', direct), await site.connect('bob', direct)];
			await tells(site, 'alice', 'came');
			await tells(site, 'bob', 'came');
			const at = Date.now();
			await site.sidecar.stop(signal);
			const ends = [await alice.waitClosed(), await bob.waitClosed()];
			if (signal === 'SIGTERM')
				assert.deepEqual(ends.map((e) => e.code), [1001, 1001]);
			await site.startSidecar();
			await site.connect('alice', direct);
			const left = (await tells(site, 'bob', 'came left', LATE_MS))[1];
			assert.ok(left.ms >= at + grace * 1000 - SLACK_MS, `bob left ${left.ms - at} ms later`);
			assert.equal(await types(site, 'alice'), 'USER_UPDATE');
			assert.equal(await isOnline(site, 'alice'), '1');
			assert.equal(await site.sql('SELECT count(*) FROM sw_instances'), '1');
		});
	}

	test('a new fcgi-poll: who goes on polling was never away', async (t) => {
		const site = await startSite(t, { ws: false, conf: ['presence.ttl_s = 5'] });
		const position = (await site.poll('alice')).json.timestamp;
		await site.poll('bob');
		await tells(site, 'bob', 'came');
		await site.poller.stop();
		await site.startPoll();
		await until(async () => {
			await site.poll('alice', { lastTimestamp: position });
			return await types(site, 'bob') === 'USER_UPDATE USER_LEFT';
		}, 'bob goes');
		assert.equal(await types(site, 'alice'), 'USER_UPDATE');
	});

	test('a poll over CGI counts', async (t) => {
		const ttl = 3;
		const site = await startSite(t, { poll: false, web: false, ws: false, conf: [`presence.ttl_s = ${ttl}`] });
		const at = Date.now();
		assert.equal((await cgi(site, '/api/realtime/poll', 'alice')).status, 200);
		assert.equal(await types(site, 'alice'), 'USER_UPDATE');
		// Nothing of ours runs between two requests: another's poll does the sweeping.
		const left = await until(async () => {
			await cgi(site, '/api/realtime/poll', 'bob');
			return (await told(site, 'alice'))[1];
		}, 'alice goes');
		assert.equal(left.type, 'USER_LEFT');
		assert.ok(left.ms >= at + ttl * 1000 - SLACK_MS, `left ${left.ms - at} ms after the poll`);
		assert.equal(await types(site, 'bob'), 'USER_UPDATE');
	});

	test('whom the site set online is left alone', async (t) => {
		const site = await startSite(t, { ...sockets, conf: ['presence.grace_s = 0'] });
		await site.sql("UPDATE users SET is_online = 1 WHERE id = 'carol'");
		await visit(site, 'alice');
		await site.sidecar.stop();
		await site.startSidecar();
		await visit(site, 'alice');
		assert.equal(await isOnline(site, 'carol'), '1');
		assert.equal(await types(site, 'carol'), 'USER_UPDATE');
		// Once he was here he is one of ours.
		await site.connect('carol', direct).then((s) => s.close());
		await tells(site, 'carol', 'came left');
	});

	test('whom the site set offline stays so until he comes anew', async (t) => {
		const site = await startSite(t, { conf: ['presence.grace_s = 1', 'presence.ttl_s = 3'] });
		const carol = await site.connect('carol');
		const alice = await site.connect('alice');
		await tells(site, 'alice', 'came');
		await site.sql("UPDATE users SET is_online = 0 WHERE id = 'alice'");
		await carol.until('USER_LEFT', (e) => e.payload.userId === 'alice');
		const tab = await site.connect('alice');
		await site.poll('alice');
		await site.poll('bob');				// written after the poll before it
		await tells(site, 'bob', 'came left');
		await visit(site);				// and after the socket before it
		assert.equal(await isOnline(site, 'alice'), '0');
		assert.equal(await types(site, 'alice'), 'USER_UPDATE USER_LEFT');
		await alice.close();
		await tab.close();
		await visit(site);
		assert.equal(await types(site, 'alice'), 'USER_UPDATE USER_LEFT');
		await site.connect('alice');
		await tells(site, 'alice', 'came left came');
		assert.equal(await isOnline(site, 'alice'), '1');
	});
});

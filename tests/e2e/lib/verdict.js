// What every client must have, from the database, beside what it had.

import assert from 'node:assert/strict';

const at = (us) => `${new Date(Number(us / 1000n)).toISOString().slice(0, 20)}${String(us % 1000000n).padStart(6, '0')}Z`;

// The log in its order: { at, type, item, user, room }; item: that of a NEW_MESSAGE.
export async function readLog(site, ledger) {
	const text = await site.sql(`SELECT e.id, e.type, coalesce(e.user_id, ''), e.entity_id, m.id IS NOT NULL,
			m.room_id, m.sender_id, substr(m.content, 1, instr(m.content, ':') - 1)
		FROM events e LEFT JOIN messages m ON e.type = 'NEW_MESSAGE' AND m.id = e.entity_id
		WHERE e.type IN ('NEW_MESSAGE', 'ROOM_JOINED', 'ROOM_LEFT') ORDER BY e.id`);
	return text.split('\n').map((line) => {
		const [id, type, user, entity, isThere, room, sender, name] = line.split('|');
		const e = { at: at(BigInt(id)), type, user, room: entity };
		if (type !== 'NEW_MESSAGE')
			return e;
		assert.equal(isThere, '1', `a message of the log is not in the table: ${line}`);
		const item = ledger.items.get(name);
		assert.ok(item, `nobody wrote ${line}`);
		assert.deepEqual([room, sender], [item.room, item.sender], line);
		return { ...e, id: entity, room, item };
	});
}

// What was acknowledged is there once, with the id and place that the acknowledgement gave;
// what was not is there at most once.  The messages of who waits for an answer have his order.
export async function checkWrites(site, ledger, log, writers) {
	const messages = log.filter((e) => e.item);
	const rows = Number(await site.sql('SELECT count(*) FROM messages'));
	assert.equal(rows, messages.length, 'every row has one event');
	const place = new Map();
	for (const e of messages) {
		assert.ok(!place.has(e.item), `${e.item.name} is there twice: ${place.get(e.item)?.at} and ${e.at}`);
		place.set(e.item, e);
	}
	for (const item of ledger.items.values()) {
		const e = place.get(item);
		assert.ok(e !== undefined || !item.isSure, `${item.name} was acknowledged and is not there`);
		for (const ack of item.acks)
			assert.deepEqual([ack.id, ack.timestamp], [e.id, e.at], item.name);
		const firsts = item.acks.filter((ack) => !ack.duplicate).length;
		assert.ok(firsts <= 1, `${item.name} was acknowledged as new ${firsts} times`);
	}
	// Who goes on without an answer may be overtaken by himself on another way.
	for (const w of writers.filter((one) => !one.refused && one.kind !== 'keyless')) {
		const all = w.items.map((item) => place.get(item));
		all.forEach((e, i) => assert.ok(i === 0 || e.at > all[i - 1].at, `${e.item.name} is before ${all[i - 1]?.item.name}`));
	}
}

// The first place where a list is not what it must be, told with what its client did there.
function tell(roamer, log, want, first) {
	const { got } = roamer;
	const name = (item) => item?.name ?? 'nothing';
	const place = (item) => log.find((e) => e.item === item)?.at ?? 'nowhere';
	const has = new Set(got), may = new Set(want);
	const kind = first >= got.length || (may.has(got[first]) && !has.has(want[first])) ? 'missed' :
		!may.has(got[first]) ? 'must not have' : got.indexOf(got[first]) < first ? 'has again' : 'has out of order';
	const item = kind === 'missed' ? want[first] : got[first];
	return `${roamer.describe()} ${kind} ${name(item)} of ${place(item)}: its message ${first} of ` +
		`${want.length} (${got.length} handled) is ${name(got[first])}, not ${name(want[first])} of ` +
		`${place(want[first])}; the one before is ${name(got[first - 1])} of ${place(got[first - 1])}, handled on ` +
		`visit #${roamer.gotIn[first - 1]}, the next on #${roamer.gotIn[first]}\n  ` +
		roamer.history(roamer.gotIn[first - 1] ?? 0, 6);
}

// Exactly what it may see, once and in order.  Returns how many.
export function checkExact(roamer, log, maySee) {
	const want = log.filter((e) => e.item && e.at > roamer.firstAt && maySee(roamer, e.item)).map((e) => e.item);
	const { got } = roamer;
	for (let i = 0; i < Math.max(want.length, got.length); i++)
		if (want[i] !== got[i])
			throw new Error(tell(roamer, log, want, i));
	return want.length;
}

// The membership of one user, from the log: for each message of a private room whether it
// must be handled, and from when (performance.now()) it may; Infinity: never.
function rightsOf(user, town, log, joins) {
	const changes = new Map(town.privateRooms.map((room) => [room, []]));
	for (const e of log)
		if (!e.item && e.user === user && changes.has(e.room))
			changes.get(e.room).push({ at: e.at, isIn: e.type === 'ROOM_JOINED' });
	for (const [room, list] of changes) {
		const began = joins.get(`${user} ${room}`) ?? [];
		const ins = list.filter((c) => c.isIn);
		assert.ok(ins.length >= began.length, `${user} joined ${room}`);
		ins.forEach((c, i) => { c.began = began[i - (ins.length - began.length)] ?? 0; });
	}
	return ({ room }, place) => {
		const list = changes.get(room);
		if (!list)
			return { isSure: true, from: 0 };
		const next = list.findIndex((c) => c.at > place);
		const later = next < 0 ? [] : list.slice(next), now = list.at(next < 0 ? -1 : next - 1);
		const isIn = (next !== 0 && now?.isIn) ?? false;
		return { isSure: isIn && !later.some((c) => !c.isIn),
			from: isIn ? 0 : later.find((c) => c.isIn)?.began ?? Infinity };
	};
}

// Where membership changes: nothing of the time between a removal and the next joining, unless
// handled after that had begun; nothing twice; in order; and all that it could see to the end.
// maySee: but for the membership.  Returns { handled, sure }.
export function checkRights(roamer, log, town, joins, maySee) {
	const rights = rightsOf(roamer.user, town, log, joins);
	const order = new Map();
	log.forEach((e, i) => e.item && order.set(e.item, i));
	const where = (i) => `${roamer.describe()}: its message ${i}, ${roamer.got[i].name} of ` +
		`${log[order.get(roamer.got[i])].room} at ${log[order.get(roamer.got[i])].at}, on visit #${roamer.gotIn[i]}`;
	const fail = (i, what) => { throw new Error(`${where(i)}, ${what}\n  ${roamer.history(roamer.gotIn[i], 6)}`); };
	roamer.got.forEach((item, i) => {
		if (i > 0 && order.get(item) <= order.get(roamer.got[i - 1]))
			fail(i, `is not after ${roamer.got[i - 1].name}`);
		const e = log[order.get(item)];
		if (e.at <= roamer.firstAt || !maySee(roamer, item) || roamer.gotAt[i] < rights(item, e.at).from)
			fail(i, 'is not for it');
	});
	const has = new Set(roamer.got);
	let sure = 0;
	for (const e of log) {
		if (!e.item || e.at <= roamer.firstAt || !maySee(roamer, e.item) || !rights(e.item, e.at).isSure)
			continue;
		if (!has.has(e.item)) {
			const i = roamer.got.findIndex((item) => log[order.get(item)].at > e.at);
			throw new Error(`${roamer.describe()} missed ${e.item.name} of ${e.room} at ${e.at}, before ${where(i)}` +
				`\n  ${roamer.history(roamer.gotIn[i], 6)}`);
		}
		sure++;
	}
	return { handled: roamer.got.length, sure };
}

// A client that polls with a cursor, checks each answer's form and keeps what came.

import assert from 'node:assert/strict';
import { until } from './deadline.js';

const POSITION = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

// What every 200 of a poll looks like; returns the body.
export function checkAnswer(answer) {
	assert.equal(answer.status, 200, answer.text);
	const { events, timestamp, more, reset, ...rest } = answer.json;
	assert.deepEqual(rest, {}, 'nothing else is in an answer');
	assert.match(timestamp, POSITION);
	assert.ok(more === undefined || more === true, 'more is true or absent');
	assert.ok(reset === undefined || ['unknown', 'expired', 'ahead'].includes(reset));
	let last = '';
	for (const event of events) {
		if (event.type === 'SYNC' && event.timestamp === undefined) {
			assert.equal(event, events.at(-1), 'SYNC is the last');
			assert.deepEqual(event, { type: 'SYNC', payload: { id: timestamp } });
			continue;
		}
		assert.deepEqual(Object.keys(event), ['type', 'payload', 'timestamp']);
		assert.match(event.timestamp, POSITION);
		assert.ok(event.timestamp <= timestamp, 'the position is not behind its events');
		assert.ok(reset !== undefined || event.timestamp >= last, 'events rise');
		last = event.timestamp;
	}
	return answer.json;
}

export const ofType = (events, type) => events.filter((e) => e.type === type);
export const contents = (events) => ofType(events, 'NEW_MESSAGE').map((e) => e.payload.content);

export class Poller {
	constructor(site, user, params = {}) {
		Object.assign(this, { site, user, params, events: [], cursor: undefined });
	}

	// One request from where it is; returns the body.
	async once(params = {}) {
		const cursor = this.cursor === undefined ? {} : { lastTimestamp: this.cursor };
		const body = checkAnswer(await this.site.poll(this.user, { ...cursor, ...this.params, ...params }));
		this.cursor = body.timestamp;
		this.events.push(...body.events);
		return body;
	}

	// Polls on until test(this) holds.
	walk(test, what, params = {}) {
		return until(async () => {
			if (test(this))
				return true;
			await this.once(params);
			return test(this);
		}, `${this.user}: ${what}`);
	}

	// Messages so far, by content.
	get contents() { return contents(this.events); }
}

// A counter or gauge by its name in the metrics; 0 where it is not printed.
export async function metric(site, name) {
	const { text } = await site.request('GET', '/api/realtime/metrics');
	const line = text.match(new RegExp(`^sidewire_${name}(_total)? (\\d+)$`, 'm'));
	return line ? Number(line[2]) : 0;
}

export function metricIs(site, name, test, what = name) {
	return until(async () => test(await metric(site, name)), what);
}

// Polls once as each user and waits until all are online, so that no presence is on its way.
export async function settle(site, ...users) {
	for (const user of users)
		assert.equal((await site.poll(user)).status, 200);
	const list = users.map((u) => `'${u}'`).join();
	await until(async () => Number(await site.sql(
		`SELECT count(*) FROM users WHERE is_online AND id IN (${list})`)) === users.length, 'users are online');
}

// The log's newest position as a timestamp, once fcgi-poll has read so far: a poll is never
// answered by less afterwards.  For a site without sidecar whose fcgi-poll was not restarted.
export async function head(site) {
	const [id, n] = (await site.sql('SELECT max(id), count(*) FROM events')).split('|');
	await metricIs(site, 'tail_events', (seen) => seen >= Number(n) - site.logged, 'the log is read');
	const us = BigInt(id);
	return `${new Date(Number(us / 1000n)).toISOString().slice(0, 20)}${String(us % 1000000n).padStart(6, '0')}Z`;
}

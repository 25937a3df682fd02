// Metrics: what the programs tell, docs/metrics.md and the dashboard agree.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { DEPLOY, startSite } from './lib/site.js';
import { request } from './lib/http.js';

const DOCS = path.join(DEPLOY, '../docs/metrics.md');

// name -> { type, help } of Prometheus text; what has a label is a mistake.
function parse(text) {
	const found = new Map();
	for (const line of text.trimEnd().split('\n')) {
		const [, word, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
		if (word)
			found.set(name, { ...found.get(name), [word.toLowerCase()]: rest });
		else
			assert.match(line, /^sidewire_[a-z_]+ [0-9.eE+-]+$/, line);
	}
	return found;
}

async function all(t) {
	const site = await startSite(t);
	await site.poll('alice');
	await site.connect('bob');
	const texts = [(await request({ host: '127.0.0.1', port: site.wsPort }, 'GET', '/metrics')).text,
		(await site.request('GET', '/api/realtime/metrics')).text, `${await site.must('stats', '--prometheus')}\n`];
	return { site, texts, told: new Map(texts.flatMap((text) => [...parse(text)])) };
}

test('docs/metrics.md has every metric, as it is told, and no other', async (t) => {
	const { told } = await all(t);
	const rows = fs.readFileSync(DOCS, 'utf8').split('\n').filter((l) => l.startsWith('| `sidewire_'))
		.map((l) => l.split('|').slice(1, -1).map((c) => c.trim()));
	const documented = new Map(rows.map((cells) => [cells[0].replaceAll('`', ''),
		{ help: cells.at(-1), type: cells.length === 3 ? 'counter' : 'gauge' }]));
	assert.deepEqual([...documented.keys()].sort(), [...told.keys()].sort());
	for (const [name, what] of told)
		assert.deepEqual(documented.get(name), what, name);
	for (const [name, unit] of rows)
		assert.ok(unit.length > 0 && unit !== '1', `${name} has a unit`);
});

test('the dashboard is JSON, and asks for metrics that there are', async (t) => {
	const { told } = await all(t);
	const board = JSON.parse(fs.readFileSync(path.join(DEPLOY, 'grafana/sidewire.json'), 'utf8'));
	assert.ok(board.panels.length > 10);
	assert.equal(new Set(board.panels.map((p) => p.id)).size, board.panels.length);
	const variables = board.templating.list.map((v) => v.name);
	for (const { title, targets } of board.panels) {
		assert.ok(targets.length > 0, title);
		for (const { expr } of targets) {
			const names = expr.match(/sidewire_[a-z_]+/g);
			assert.ok(names?.length > 0, `${title}: ${expr}`);
			for (const name of names)
				assert.ok(told.has(name), `${title}: ${name}`);
			// A counter is only of use by its rate, a gauge never.
			for (const name of names)
				assert.equal(/rate\(/.test(expr), told.get(name).type === 'counter', expr);
			for (const [, variable] of expr.matchAll(/\$(job|source)/g))
				assert.ok(variables.includes(variable));
		}
	}
});

test('counts outlive the processes, and a user is never named', async (t) => {
	const { site, texts } = await all(t);
	for (const text of texts)
		assert.doesNotMatch(text, /alice|bob|lobby|eyJ/);
	const value = async (name) => JSON.parse(await site.must('stats', '--json'))[name];
	assert.equal(await value('polls_total'), 1);
	await site.poller.stop('SIGKILL');
	await site.sidecar.stop('SIGKILL');
	assert.equal(await value('polls_total'), 1);
	assert.equal(await value('ws_opened_total'), 1);
	assert.equal(await value('connections'), 0);
	assert.equal(await value('poll_processes'), 0);
	await site.startPoll();
	await site.poll('alice');
	assert.equal(await value('polls_total'), 2);
});

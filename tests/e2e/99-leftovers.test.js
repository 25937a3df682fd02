// What a test started is gone after it: processes, sockets, files.  (Other test files
// may be running; it looks for its own.)

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BIN, startSite } from './lib/site.js';
import { startTwin } from './lib/twin.js';
import { running } from './lib/process.js';
import { until } from './lib/deadline.js';

test('a site leaves nothing', async (t) => {
	let site, held;
	await t.test('with everything in use', async (st) => {
		site = await startSite(st);
		await startTwin(site);
		await site.connect('alice');
		const { timestamp } = (await site.poll('carol')).json;
		held = site.poll('carol', { lastTimestamp: timestamp, timeout: 25 });
		await site.post('lobby', 'bob', 'x');
		site.start('sidewire', path.join(BIN, 'sidewire'), ['-c', site.conf, 'tail']);
		assert.ok(running(site.dir).length >= 7);
	});
	await held.catch(() => {});
	await until(() => running(site.dir).length === 0, 'all its processes are gone');
	assert.ok(!fs.existsSync(site.dir));
	for (const p of site.processes) {
		if (!['sidewire', 'lighttpd'].includes(p.name))
			assert.deepEqual(p.how, { code: 0, signal: null }, `${p.name}: ${p.log}`);
	}
});

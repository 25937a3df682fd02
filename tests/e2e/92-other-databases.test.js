// What docs/other-databases.md offers to a site whose rows are elsewhere: publishing in PHP and in
// Python, as it stands there.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startSite } from './lib/site.js';
import { run } from './lib/process.js';

const DOCUMENT = fs.readFileSync(fileURLToPath(new URL('../../docs/other-databases.md', import.meta.url)), 'utf8');

// The function and the call of a language, with the paths of this site.
function snippets(site, language) {
	const all = [...DOCUMENT.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map((m) => m[1]);
	assert.equal(all.length, 2, language);
	const there = all[0].replaceAll('/etc/sidewire/jwt.key', path.join(site.dir, 'jwt.key'))
		.replaceAll('http://localhost/', `http://127.0.0.1:${site.webPort}/`);
	assert.ok(!there.includes('localhost') && !there.includes('/etc/'), language);
	return [there, all[1]];
}

const LANGUAGES = {
	php: {
		command: 'php',
		before: '$customer = "carol"; $db = new class { function commit() { echo "committed\n"; } };\n',
		after: `sidewire_publish('NEWS', []);
sidewire_publish('IN_VAULT', ['text' => "Gr\u{fc}\u{df}e \\"x\\""], ['roomId' => 'vault']);
try { sidewire_publish('LOST', [], ['roomId' => 'nowhere']); } catch (RuntimeException $e) { echo $e->getMessage(); }
`,
		refused: /^committed\nsidewire: \{.*"status":404/,
	},
	python: {
		command: '/usr/bin/python3',
		before: 'customer = "carol"\nclass connection:\n    commit = lambda: print("committed")\n',
		after: `sidewire_publish("NEWS", {})
sidewire_publish("IN_VAULT", {"text": "Gr\u{fc}\u{df}e \\"x\\""}, roomId="vault")
try:
    sidewire_publish("LOST", {}, roomId="nowhere")
except urllib.error.HTTPError as e:
    print(e.code)
`,
		refused: /^committed\n404\n$/,
	},
};

for (const [language, { command, before, after, refused }] of Object.entries(LANGUAGES)) {
	test(`publishing in ${language}`, async (t) => {
		const site = await startSite(t, { ws: false });
		const from = (await site.poll('carol')).json.timestamp;
		const [definition, call] = snippets(site, language);
		const file = path.join(site.dir, 'publish');
		fs.writeFileSync(file, [definition, before, call, after].join('\n'));
		const r = await run(command, [file]);
		assert.deepEqual([r.code, r.err], [0, ''], r.out);
		assert.match(r.out, refused);
		const order = { type: 'ORDER_SHIPPED', payload: { order: 17 } };
		const news = { type: 'NEWS', payload: {} };
		const vault = { type: 'IN_VAULT', payload: { text: 'Gr\u{fc}\u{df}e "x"' } };
		const published = async (user) => (await site.poll(user, { lastTimestamp: from })).json.events
			.filter((e) => !e.type.startsWith('USER_')).map(({ type, payload }) => ({ type, payload }));
		assert.deepEqual(await published('carol'), [order, news]);
		assert.deepEqual(await published('alice'), [news, vault]);
	});
}

test('a user of a site that is elsewhere is known by his token', async (t) => {
	const lines = [...DOCUMENT.matchAll(/^ {3}(auth\.provision = .*)$/gm)].map((m) => m[1]);
	assert.equal(lines.length, 1);
	const site = await startSite(t, { ws: false, conf: lines });
	const token = site.token('4711', { name: 'Dora' });
	const first = await site.request('GET', '/api/realtime/poll', { token });
	assert.equal(first.status, 200);
	const from = first.json.timestamp;
	const [definition] = snippets(site, 'php');
	fs.writeFileSync(path.join(site.dir, 'publish'), `${definition}\nsidewire_publish('HELLO', ['n' => 1], ['userId' => '4711']);\n`);
	assert.deepEqual(await run('php', [path.join(site.dir, 'publish')]).then((r) => [r.code, r.out + r.err]), [0, '']);
	const next = await site.request('GET', `/api/realtime/poll?lastTimestamp=${from}`, { token });
	assert.deepEqual(next.json.events.filter((e) => e.type === 'HELLO').map((e) => e.payload), [{ n: 1 }]);
});

// What the README offers to paste into one's own site, pasted into one.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startSite } from './lib/site.js';
import { launch } from './lib/browser.js';
import { run } from './lib/process.js';
import { until } from './lib/deadline.js';
import { contents } from './lib/poller.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const README = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');

// The snippet of a language that holds a text, with a site's paths.
function snippet(site, language, part) {
	const all = [...README.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map((m) => m[1]).filter((s) => s.includes(part));
	assert.equal(all.length, 1, `one ${language} snippet with ${part}`);
	return all[0].replaceAll('/etc/sidewire/jwt.key', path.join(site.dir, 'jwt.key')).replaceAll('/var/lib/sidewire/sidewire.db', site.db);
}

test('a page, a token and a row in PHP', async (t) => {
	const site = await startSite(t, { web: false });
	await site.startLighttpd(`
server.modules += ( "mod_alias", "mod_fastcgi" )
mimetype.assign = ( ".html" => "text/html", ".js" => "text/javascript" )
static-file.exclude-extensions = ( ".php" )
alias.url = ( "/sidewire/" => "${path.join(ROOT, 'client')}/" )
fastcgi.server = ( ".php" => (( "bin-path" => "${(await run('sh', ['-c', 'command -v php-cgi'])).out.trim()}",
	"socket" => "${site.dir}/php.sock", "max-procs" => 1,
	"bin-environment" => ( "PHP_FCGI_CHILDREN" => "0" ) )) )
`);
	const put = (name, text) => fs.writeFileSync(path.join(site.dir, 'www', name), text);
	put('page.html', snippet(site, 'html', 'connect('));
	put('token.php', snippet(site, 'php', 'hash_hmac'));
	put('row.php', snippet(site, 'php', 'INSERT'));
	put('login.php', `<?php session_save_path('${site.dir}'); session_start(); $_SESSION['user_id'] = 'alice';`);
	put('.user.ini', `session.save_path = ${site.dir}\n`);

	const chromium = await launch();
	t.after(() => chromium.close());
	const page = await chromium.newPage();
	const url = `http://127.0.0.1:${site.webPort}`;
	const status = (text) => page.waitForSelector(`#status:has-text("${text}")`);
	await page.goto(`${url}/page.html`);
	await status('signed out: There is no token.');
	await page.goto(`${url}/login.php`);
	await page.goto(`${url}/page.html`);
	await status('websocket');
	assert.equal((await site.request('GET', '/row.php')).status, 200);
	await page.getByText('Bob: Hello from PHP').waitFor();
	await page.getByLabel('Message').fill('and back');
	await page.getByRole('button', { name: 'Send' }).click();
	await page.getByText('Alice: and back').waitFor();
	await until(async () => await site.sql("SELECT count(*) FROM messages WHERE content = 'and back' AND sender_id = 'alice'") === '1', 'it is a row');
});

test('a token and a row in Python', async (t) => {
	const site = await startSite(t, { ws: false });
	const script = `${snippet(site, 'python', 'sidewire_token')}\nprint(sidewire_token("alice"))\n${snippet(site, 'python', 'import sqlite3')}`;
	const { timestamp } = (await site.poll('alice')).json;
	const { code, out, err } = await run('/usr/bin/python3', ['-c', script]);
	assert.deepEqual([code, err], [0, '']);
	const news = await site.request('GET', `/api/realtime/poll?lastTimestamp=${timestamp}`, { token: out.trim() });
	assert.deepEqual(contents(news.json.events), ['Hello from Python']);
});

// The example site with Sidewire beside it, and a visitor who has cookies and no script.

import fs from 'node:fs';
import path from 'node:path';
import { DEPLOY, lighttpdPath, startSite } from './site.js';
import { run } from './process.js';

const SITE = path.join(DEPLOY, 'example-site');

// The site's lighttpd as deploy/example-site has it.  ttl: seconds that its tokens live.
export async function startExampleSite(t, { conf = [], ttl = 3600 } = {}) {
	const site = await startSite(t, { conf, poll: false, ws: false, web: false, populate: false });
	const seeded = await run('php-cgi', ['-q', path.join(SITE, 'seed.php')], { env: { SITE_DATABASE: site.db } });
	if (seeded.code !== 0)
		throw new Error(`seed.php: ${seeded.err}`);
	await site.must('init');
	fs.mkdirSync(path.join(site.dir, 'sessions'));
	const php = (await run('sh', ['-c', 'command -v php-cgi'])).out.trim();
	fs.writeFileSync(path.join(site.dir, 'sidewire-lighttpd.conf'), fs.readFileSync(path.join(DEPLOY, 'lighttpd/sidewire.conf'), 'utf8')
		.replaceAll('/run/sidewire/poll.sock', site.pollSocket).replaceAll('8081', String(site.wsPort)));
	fs.writeFileSync(path.join(site.dir, 'lighttpd.conf'), fs.readFileSync(path.join(SITE, 'lighttpd.conf'), 'utf8')
		.replaceAll('%SITE%', SITE).replaceAll('%CLIENT%', path.join(DEPLOY, '../client')).replaceAll('%PHP%', php)
		.replaceAll('%DIR%', site.dir).replaceAll('%PORT%', String(site.webPort)).replaceAll('%TTL%', String(ttl)));
	await site.startPoll();
	await site.startSidecar();
	site.lighttpd = site.start('lighttpd', lighttpdPath(), ['-D', '-f', path.join(site.dir, 'lighttpd.conf')]);
	await site.answers(site.web);
	return site;
}

// A browser without JavaScript: cookies, pages, forms.
export class Visitor {
	#site;
	#cookies = new Map();

	constructor(site, headers = {}) {
		this.#site = site;
		this.headers = headers;
	}

	async request(method, url, { body, headers = {} } = {}) {
		const cookie = [...this.#cookies].map(([k, v]) => `${k}=${v}`).join('; ');
		const answer = await this.#site.request(method, url, { body,
			headers: { Host: `127.0.0.1:${this.#site.webPort}`, ...this.headers, ...(cookie && { Cookie: cookie }), ...headers } });
		for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
			const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
			this.#cookies.set(name, value);
		}
		return answer;
	}

	// The page, and what its forms need kept.
	async get(url = '/') {
		const page = await this.request('GET', url);
		this.csrf = /name="csrf" value="([0-9a-f]+)"/.exec(page.text)?.[1] ?? this.csrf;
		return page;
	}

	// Sends a form as a browser does; the answer is not followed.
	post(fields, headers = {}) {
		const body = new URLSearchParams({ csrf: this.csrf, ...fields }).toString();
		return this.request('POST', '/action.php', { body,
			headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(body), ...headers } });
	}

	// Sends a form and returns the page that follows.
	async submit(fields) {
		const answer = await this.post(fields);
		if (answer.status !== 303)
			throw new Error(`${JSON.stringify(fields)}: ${answer.status} ${answer.text}`);
		return this.get(new URL(answer.headers.location, 'http://x/').href.replace('http://x', '').replace(/#.*/, ''));
	}

	async signIn(name, password = '') {
		await this.get();
		return this.submit({ do: 'sign-in', name, password });
	}

	async token() { return (await this.request('GET', '/token.php')).json.token; }
}

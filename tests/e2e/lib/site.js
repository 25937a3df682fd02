// A whole site of its own for one test: directory, ports, database, web server and both
// services; at the end everything is stopped, looked over and removed.

import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import crypto from 'node:crypto';
import { Process, run } from './process.js';
import { request } from './http.js';
import { Socket } from './socket.js';
import { until } from './deadline.js';
import { BIN, ROOT } from './programs.js';

export { BIN };
export const DEPLOY = path.join(ROOT, 'deploy');

// A port that is free now.
export function freePort() {
	return new Promise((resolve, reject) => {
		const server = net.createServer();
		server.on('error', reject);
		server.listen(0, '127.0.0.1', () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
}

export function lighttpdPath() {
	return ['/usr/sbin/lighttpd', '/usr/bin/lighttpd'].find((p) => fs.existsSync(p)) ?? 'lighttpd';
}

// The claims as an HS256 token, signed by hand: what a site does in its own language.
export function signToken(key, claims, header = { alg: 'HS256', typ: 'JWT' }) {
	const b64 = (v) => Buffer.from(JSON.stringify(v)).toString('base64url');
	const head = `${b64(header)}.${b64(claims)}`;
	return `${head}.${crypto.createHmac('sha256', key).update(head).digest('base64url')}`;
}

export class Site {
	constructor(dir) {
		this.dir = dir;
		this.db = path.join(dir, 'sidewire.db');
		this.conf = path.join(dir, 'sidewire.conf');
		this.pollSocket = path.join(dir, 'poll.sock');
		this.key = crypto.randomBytes(32).toString('hex');
		this.processes = [];
	}

	writeConf(extra = []) {
		fs.writeFileSync(path.join(this.dir, 'jwt.key'), this.key, { mode: 0o600 });
		fs.writeFileSync(this.conf, [
			`database = ${this.db}`,
			`run_dir = ${this.dir}/run`,
			`jwt.key_file = ${this.dir}/jwt.key`,
			`poll.listen = ${this.pollSocket}`,
			`ws.listen = 127.0.0.1:${this.wsPort}`,
			...extra, ''].join('\n'));
	}

	// --- the database, as other programs use it ---

	// Runs SQL in the sqlite3 shell; returns its output.
	async sql(text) {
		const r = await run('sqlite3', ['-bail', '-cmd', '.timeout 10000', this.db, text]);
		if (r.code !== 0)
			throw new Error(`sqlite3: ${r.err}`);
		return r.out.trim();
	}

	async command(...args) { return run(path.join(BIN, 'sidewire'), ['-c', this.conf, ...args]); }

	async must(...args) {
		const r = await this.command(...args);
		if (r.code !== 0)
			throw new Error(`sidewire ${args.join(' ')}: ${r.code} ${r.err}`);
		return r.out.trim();
	}

	// Users alice, bob, carol; rooms lobby (public) and vault (private: alice, bob).
	// logged: the events that this made.
	async populate() {
		await this.must('init');
		this.logged = Number(await this.sql(`
			INSERT INTO users(id, name, email) VALUES ('alice', 'Alice', 'alice@example.org'),
				('bob', 'Bob', 'bob@example.org'), ('carol', 'Carol', 'carol@example.org');
			INSERT INTO rooms(id, name, created_by) VALUES ('lobby', 'Lobby', 'alice');
			INSERT INTO rooms(id, name, is_private, created_by) VALUES ('vault', 'Vault', 1, 'alice');
			INSERT INTO room_members(room_id, user_id) VALUES ('vault', 'bob');
			SELECT count(*) FROM events;`));
	}

	// Writes a message as any program would; its id.
	async post(room, sender, content, id = crypto.randomUUID()) {
		const q = (s) => `'${String(s).replaceAll("'", "''")}'`;
		await this.sql(`INSERT INTO messages(id, room_id, sender_id, sender_name, content)
			VALUES (${q(id)}, ${q(room)}, ${q(sender)}, ${q(sender)}, ${q(content)})`);
		return id;
	}

	token(user, claims = {}) {
		return signToken(this.key, { sub: user, exp: Math.floor(Date.now() / 1000) + 3600, ...claims });
	}

	// --- processes ---

	start(name, command, args, options) {
		const p = new Process(name, command, args, { cwd: this.dir, ...options });
		this.processes.push(p);
		return p;
	}

	async startPoll(options) {
		this.poller = this.start('fcgi-poll', path.join(BIN, 'fcgi-poll'), ['-c', this.conf], options);
		await this.poller.saw(/ready|serving/);
		return this.poller;
	}

	async startSidecar(options) {
		this.sidecar = this.start('ws-sidecar', path.join(BIN, 'ws-sidecar'), ['-c', this.conf], options);
		await this.sidecar.saw(/ready/);
		return this.sidecar;
	}

	// more: lines of configuration, for all of the server.
	async startLighttpd(more = '') {
		const include = fs.readFileSync(path.join(DEPLOY, 'lighttpd/sidewire.conf'), 'utf8')
			.replaceAll('/run/sidewire/poll.sock', this.pollSocket).replaceAll('8081', String(this.wsPort));
		fs.writeFileSync(path.join(this.dir, 'sidewire-lighttpd.conf'), include);
		fs.mkdirSync(path.join(this.dir, 'www'), { recursive: true });
		fs.writeFileSync(path.join(this.dir, 'lighttpd.conf'), `
server.document-root = "${this.dir}/www"
server.bind = "127.0.0.1"
server.port = ${this.webPort}
server.errorlog = "${this.dir}/lighttpd.log"
server.modules = ( "mod_accesslog" )
accesslog.filename = "${this.dir}/access.log"
${more}
include "${this.dir}/sidewire-lighttpd.conf"
`);
		this.lighttpd = this.start('lighttpd', lighttpdPath(), ['-D', '-f', path.join(this.dir, 'lighttpd.conf')]);
		await this.answers({ host: '127.0.0.1', port: this.webPort });
	}

	async answers(target) {
		await until(async () => (await request(target, 'GET', '/')).status > 0, 'the web server answers');
	}

	// --- requests ---

	get web() { return { host: '127.0.0.1', port: this.webPort }; }

	request(method, url, { token, headers = {}, ...options } = {}) {
		const auth = token ? { Authorization: `Bearer ${token}` } : {};
		return request(this.web, method, url, { headers: { ...auth, ...headers }, ...options });
	}

	// GET poll as a user; params: an object, or undefined for a first request.
	poll(user, params = {}, options = {}) {
		const query = new URLSearchParams(params).toString();
		return this.request('GET', `/api/realtime/poll${query ? `?${query}` : ''}`,
			{ token: user && this.token(user), ...options });
	}

	// A socket as a user, not yet open.  direct: on the sidecar's own port.
	socket(user, { params = {}, direct = false, token, ...options } = {}) {
		const query = new URLSearchParams(user || token ? { token: token ?? this.token(user), ...params } : params);
		const port = direct ? this.wsPort : this.webPort;
		const s = new Socket(`ws://127.0.0.1:${port}/ws?${query}`, options);
		this.sockets.push(s);
		return s;
	}

	async connect(user, options) { return this.socket(user, options).open(); }

	async stop() {
		for (const s of this.sockets ?? [])
			s.ws.terminate();
		for (const p of [...this.processes].reverse())
			await p.stop(p.name === 'apache' ? 'SIGTERM' : undefined);
		for (const p of this.processes)
			p.check();
		fs.rmSync(this.dir, { recursive: true, force: true });
	}
}

// Starts a site for test t.  conf: more lines of configuration; poll, ws, web: false
// leaves that part out.
export async function startSite(t, { conf = [], poll = true, ws = true, web = true, populate = true } = {}) {
	const site = new Site(fs.mkdtempSync(path.join(os.tmpdir(), 'sidewire-e2e-')));
	site.sockets = [];
	t.after(() => site.stop());
	site.wsPort = await freePort();
	site.webPort = await freePort();
	site.writeConf(conf);
	if (populate)
		await site.populate();
	if (poll)
		await site.startPoll();
	if (ws)
		await site.startSidecar();
	if (web)
		await site.startLighttpd();
	return site;
}

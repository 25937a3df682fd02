// Web servers in front of a site, beside the lighttpd of site.js: each in the site's
// directory and on its port.

import fs from 'node:fs';
import path from 'node:path';
import { BIN, DEPLOY, lighttpdPath } from './site.js';
import { run } from './process.js';
import { until } from './deadline.js';

const MODULES = '/usr/lib/apache2/modules';

const executable = (name) => [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/bin']
	.map((dir) => path.join(dir, name)).find((p) => fs.existsSync(p));
export const apachePath = () => executable('apache2');
export const nginxPath = () => executable('nginx');
export const spawnFcgiPath = () => executable('spawn-fcgi');
export const hasApacheModule = (name) => fs.existsSync(path.join(MODULES, `mod_${name}.so`));

// Debian's user of web servers: needed where we are root, for Apache refuses to serve as root.
async function webUser() {
	if (process.getuid() !== 0)
		return undefined;
	const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, 'www-data'])));
	return { uid: Number(uid.out), gid: Number(gid.out), name: 'www-data' };
}

function chownAll(dir, { uid, gid }) {
	fs.lchownSync(dir, uid, gid);
	for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
		const name = path.join(dir, entry.name);
		if (entry.isDirectory())
			chownAll(name, { uid, gid });
		else
			fs.lchownSync(name, uid, gid);
	}
}

// Gives everything to the web server's user; later processes with the returned options
// (uid, gid) run as that user too.
export async function shareSite(site) {
	const user = await webUser();
	if (!user)
		return {};
	chownAll(site.dir, user);
	return user;
}

// The command with as many descriptors as the hard limit allows.
export const unlimited = (command, args) =>
	['sh', ['-c', 'ulimit -n "$(ulimit -Hn)" && exec "$0" "$@"', command, ...args]];

// Descriptors that a process may have.
export async function descriptorLimit() {
	const { out } = await run('sh', ['-c', 'ulimit -Hn']);
	return out.trim() === 'unlimited' ? Infinity : Number(out);
}

// Starts a lighttpd with these lines.
export async function startLighttpdWith(site, lines) {
	fs.mkdirSync(path.join(site.dir, 'www'), { recursive: true });
	fs.writeFileSync(path.join(site.dir, 'lighttpd.conf'), `
server.document-root = "${site.dir}/www"
server.bind = "127.0.0.1"
server.port = ${site.webPort}
server.errorlog = "${site.dir}/lighttpd.log"
${lines}
`);
	site.lighttpd = site.start('lighttpd', lighttpdPath(), ['-D', '-f', path.join(site.dir, 'lighttpd.conf')]);
	await site.answers(site.web);
}

// An nginx of its own with deploy/nginx as it stands, but for paths and port.  edit changes
// the text of each of its files; workers and connections are nginx' own limits.
export async function startNginx(site, { edit = (s) => s, workers = 1, connections = 1024 } = {}) {
	fs.mkdirSync(path.join(site.dir, 'www'), { recursive: true });
	for (const name of ['sidewire-http.conf', 'sidewire.conf']) {
		const text = fs.readFileSync(path.join(DEPLOY, 'nginx', name), 'utf8')
			.replaceAll('/run/sidewire/poll.sock', site.pollSocket).replaceAll('8081', String(site.wsPort))
			.replaceAll('/var/log/nginx', site.dir);
		fs.writeFileSync(path.join(site.dir, `nginx-${name}`), edit(text));
	}
	const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
		.map((what) => `${what}_temp_path ${site.dir}/nginx-${what};`);
	// reuseport: the kernel gives each worker its share.
	fs.writeFileSync(path.join(site.dir, 'nginx.conf'), `
${process.getuid() === 0 ? 'user root root;' : ''}
daemon off;
pid ${site.dir}/nginx.pid;
error_log ${site.dir}/nginx.log info;
worker_processes ${workers};
events { worker_connections ${connections}; }
http {
${temporary.join('\n')}
access_log off;
keepalive_requests 100000;
include ${site.dir}/nginx-sidewire-http.conf;
server {
	listen 127.0.0.1:${site.webPort} reuseport backlog=4096;
	root ${site.dir}/www;
	include ${site.dir}/nginx-sidewire.conf;
}
}
`);
	site.nginx = site.start('nginx', ...unlimited(nginxPath(),
		['-e', path.join(site.dir, 'nginx.log'), '-c', path.join(site.dir, 'nginx.conf')]));
	await site.answers(site.web);
}

// An Apache of its own with deploy/apache/NAME as it stands, but for paths and port.  edit
// changes the include's text; modules are those that Debian calls so.
export async function startApache(site, name, { edit = (s) => s, modules = [], user = {} } = {}) {
	const bin = path.join(site.dir, 'bin');
	fs.mkdirSync(bin, { recursive: true });
	fs.mkdirSync(path.join(site.dir, 'www'), { recursive: true });
	fs.mkdirSync(path.join(site.dir, 'fcgid'), { recursive: true });
	fs.copyFileSync(path.join(BIN, 'fcgi-poll'), path.join(bin, 'fcgi-poll'));
	const text = fs.readFileSync(path.join(DEPLOY, 'apache', name), 'utf8');
	const include = text.replaceAll('/usr/local/bin/fcgi-poll', path.join(bin, 'fcgi-poll'))
		.replaceAll('/etc/sidewire/sidewire.conf', site.conf).replaceAll('/run/sidewire/poll.sock', site.pollSocket)
		.replaceAll('8081', String(site.wsPort));
	fs.writeFileSync(path.join(site.dir, 'sidewire-apache.conf'), edit(include));
	// Shared libraries of Debian's build have no need to be loaded twice.
	const load = [...new Set(['mpm_event', 'authz_core', 'unixd', ...modules])]
		.filter((m) => hasApacheModule(m)).map((m) => `LoadModule ${m}_module ${MODULES}/mod_${m}.so`);
	fs.writeFileSync(path.join(site.dir, 'apache.conf'), `
ServerRoot "${site.dir}"
ServerName localhost
Listen 127.0.0.1:${site.webPort}
PidFile "${site.dir}/apache.pid"
DefaultRuntimeDir "${site.dir}"
Mutex file:${site.dir}
${load.join('\n')}
${user.name ? `User ${user.name}\nGroup ${user.name}` : ''}
ErrorLog "${site.dir}/apache.log"
DocumentRoot "${site.dir}/www"
StartServers 1
${modules.includes('fcgid') ? `FcgidIPCDir "${site.dir}/fcgid"\nFcgidProcessTableFile "${site.dir}/fcgid.shm"` : ''}
Include "${site.dir}/sidewire-apache.conf"
CustomLog "${site.dir}/access.log" sidewire
`);
	if (user.uid !== undefined)
		chownAll(site.dir, user);
	site.apache = site.start('apache', apachePath(), ['-f', path.join(site.dir, 'apache.conf'), '-DFOREGROUND']);
	try {
		await site.answers(site.web);
	} catch (error) {
		throw new Error(`${error.message}; ${site.apache.log} ${apacheLog(site)}`);
	}
}

export const apacheLog = (site) => fs.readFileSync(path.join(site.dir, 'apache.log'), 'utf8');

// Waits for a line of Apache's error log.
export const apacheSaid = (site, pattern) => until(() => pattern.test(apacheLog(site)), `Apache says ${pattern}`);

// An Apache as shared hosts have it, run by the user of the site: SITE/home/public_html is the
// document root, and what he may decide he decides in .htaccess.
export async function startUsersApache(site, modules) {
	const load = ['mpm_event', 'authz_core', 'mime', 'rewrite', 'setenvif', ...modules]
		.filter((m) => hasApacheModule(m)).map((m) => `LoadModule ${m}_module ${MODULES}/mod_${m}.so`);
	fs.mkdirSync(path.join(site.dir, 'fcgid'));
	fs.writeFileSync(path.join(site.dir, 'apache.conf'), `
ServerRoot "${site.dir}"
ServerName localhost
Listen 127.0.0.1:${site.webPort}
PidFile "${site.dir}/apache.pid"
DefaultRuntimeDir "${site.dir}"
Mutex file:${site.dir}
${load.join('\n')}
ErrorLog "${site.dir}/apache.log"
TypesConfig /dev/null
DocumentRoot "${site.home}/public_html"
StartServers 1
${modules.includes('fcgid') ? `FcgidIPCDir "${site.dir}/fcgid"\nFcgidProcessTableFile "${site.dir}/fcgid.shm"` : ''}
${modules.includes('cgid') ? `ScriptSock "${site.dir}/cgid.sock"` : ''}
<Directory "/">
	AllowOverride None
	Require all denied
</Directory>
<Directory "${site.home}/public_html">
	Options Indexes SymLinksIfOwnerMatch
	AllowOverride FileInfo AuthConfig Limit Indexes Options=ExecCGI,Indexes,MultiViews,SymLinksIfOwnerMatch
	Require all granted
</Directory>
`);
	if (site.user.uid !== undefined)
		chownAll(site.dir, site.user);
	site.apache = site.start('apache', apachePath(), ['-f', path.join(site.dir, 'apache.conf'), '-DFOREGROUND'],
		{ uid: site.user.uid, gid: site.user.gid });
	await site.answers(site.web);
}

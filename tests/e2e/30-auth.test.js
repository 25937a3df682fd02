// Tokens: every way to be wrong, on both transports from one table; algorithms, rotation, provisioning.

import test from 'node:test';
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { BIN, signToken, startSite } from './lib/site.js';
import { metric } from './lib/metrics.js';
import { run } from './lib/process.js';
import { until } from './lib/deadline.js';

const now = () => Math.floor(Date.now() / 1000);
const b64 = (v) => Buffer.from(typeof v === 'string' ? v : JSON.stringify(v)).toString('base64url');
const POLL = '/api/realtime/poll';

// What each refusal is on the two transports.
const MISSING = { code: 'missing_token', reason: 'Authentication required' };
const INVALID = { code: 'invalid_token', reason: 'Invalid token' };
const EXPIRED = { code: 'token_expired', reason: 'Token expired' };
const REVOKED = { code: 'revoked', reason: 'Revoked' };

// Sends the token both ways and over both transports: both say the same.
async function refused(site, token, { code, reason }, what) {
	for (const way of ['header', 'url']) {
		const options = way === 'header' ? { direct: true, headers: { Authorization: `Bearer ${token}` } } :
			{ direct: true, params: { token } };
		const s = await site.connect(undefined, options);
		assert.deepEqual(await s.waitClosed(), { code: 1008, reason }, `${what}, socket, ${way}`);
		assert.deepEqual(s.all, [], `${what}: nothing is sent before`);
	}
	const a = await site.request('GET', POLL, { token });
	assert.deepEqual([a.status, a.json?.code], [401, code], `${what}, poll: ${a.text}`);
	assert.equal(a.headers['content-type'], 'application/problem+json');
	assert.deepEqual(Object.keys(a.json), ['type', 'title', 'status', 'detail', 'code']);
	assert.match(a.headers['www-authenticate'], /^Bearer realm="[^"]*", error="invalid_token"$/, what);
}

async function accepted(site, token, what) {
	const a = await site.request('GET', POLL, { token });
	assert.equal(a.status, 200, `${what}, poll: ${a.text}`);
	for (const options of [{ params: { token } }, { headers: { Authorization: `Bearer ${token}` } }]) {
		const s = await site.connect(undefined, { direct: true, ...options });
		s.send({ type: 'ping' });
		assert.equal(await s.nextText(), '{"type":"pong"}', what);
		await s.close();
	}
}

const flip = (token, at) => {
	const i = at < 0 ? token.length + at : at;
	return token.slice(0, i) + (token[i] === 'A' ? 'B' : 'A') + token.slice(i + 1);
};

test('every way to be wrong is refused the same on both transports', async (t) => {
	const site = await startSite(t, { conf: ['jwt.issuer = https://example.org', 'jwt.audience = chat', 'jwt.leeway_s = 5',
		'limit.poll_per_s = 0'] });
	const { publicKey, privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
	const pem = publicKey.export({ type: 'spki', format: 'pem' });
	const base = () => ({ sub: 'alice', iss: 'https://example.org', aud: 'chat', exp: now() + 1000 });
	const good = (claims = {}, header) => signToken(site.key, { ...base(), ...claims }, header);
	const without = (name) => {
		const { [name]: _, ...rest } = base();
		return signToken(site.key, rest);
	};
	const hmac = (alg, hash, claims = base()) => {
		const text = `${b64({ alg, typ: 'JWT' })}.${b64(claims)}`;
		return `${text}.${crypto.createHmac(hash, site.key).update(text).digest('base64url')}`;
	};
	const unsigned = (alg) => `${b64({ alg, typ: 'JWT' })}.${b64(base())}.`;
	const rs256 = () => {
		const text = `${b64({ alg: 'RS256', typ: 'JWT' })}.${b64(base())}`;
		return `${text}.${crypto.sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`;
	};
	await site.sql("INSERT INTO users(id, name, email) VALUES ('gone', 'Gone', 'g@example.org'); DELETE FROM users WHERE id = 'gone'");
	const token = good();
	const [head, body, sig] = token.split('.');
	const table = [
		['alg none', unsigned('none'), INVALID],
		['alg none without the last dot', unsigned('none').slice(0, -1), INVALID],
		['alg nOnE', unsigned('nOnE'), INVALID],
		['alg NONE with a signature', `${unsigned('NONE')}${sig}`, INVALID],
		['alg empty', `${b64({ alg: '' })}.${body}.${sig}`, INVALID],
		['no alg', `${b64({ typ: 'JWT' })}.${body}.${sig}`, INVALID],
		['alg of another type', `${b64({ alg: 7 })}.${body}.${sig}`, INVALID],
		['HS512 with our secret', hmac('HS512', 'sha512'), INVALID],
		['HS384 with our secret', hmac('HS384', 'sha384'), INVALID],
		['hs256 in small letters', hmac('hs256', 'sha256'), INVALID],
		['RS256', rs256(), INVALID],
		['a foreign secret', signToken('y'.repeat(64), base()), INVALID],
		['an empty secret', signToken('', base()), INVALID],
		['a public key as secret', signToken(pem, base()), INVALID],
		['a critical extension', good({}, { alg: 'HS256', crit: ['b64'], b64: false }), INVALID],
		['expired', good({ exp: now() - 10 }), EXPIRED],
		['expired long ago', good({ exp: 1 }), EXPIRED],
		['negative exp', good({ exp: -1 }), EXPIRED],
		['not yet valid', good({ nbf: now() + 100 }), INVALID],
		['issued in the future', good({ iat: now() + 100 }), INVALID],
		['no exp', without('exp'), INVALID],
		['exp as text', good({ exp: String(now() + 100) }), INVALID],
		['exp null', good({ exp: null }), INVALID],
		['exp true', good({ exp: true }), INVALID],
		['exp an object', good({ exp: {} }), INVALID],
		['nbf as text', good({ nbf: '0' }), INVALID],
		['iat as text', good({ iat: 'now' }), INVALID],
		['no issuer', without('iss'), INVALID],
		['wrong issuer', good({ iss: 'https://evil.example' }), INVALID],
		['issuer a prefix', good({ iss: 'https://example.org/' }), INVALID],
		['issuer a list', good({ iss: ['https://example.org'] }), INVALID],
		['no audience', without('aud'), INVALID],
		['wrong audience', good({ aud: 'shop' }), INVALID],
		['audience list without us', good({ aud: ['shop', 'chat2'] }), INVALID],
		['audience an object', good({ aud: { chat: 1 } }), INVALID],
		['no sub', without('sub'), INVALID],
		['sub empty', good({ sub: '' }), INVALID],
		['sub null', good({ sub: null }), INVALID],
		['sub a list', good({ sub: ['alice'] }), INVALID],
		['sub with a NUL', good({ sub: 'alice\0x' }), INVALID],
		['sub with a line feed', good({ sub: 'alice\nx' }), INVALID],
		['sub of 129 bytes', good({ sub: 'x'.repeat(129) }), INVALID],
		['unknown user', good({ sub: 'mallory' }), REVOKED],
		['the name instead of the id', good({ sub: 'Alice' }), REVOKED],
		['deleted user', good({ sub: 'gone' }), REVOKED],
		['claims no object', signToken(site.key, ['alice']), INVALID],
		['claims no JSON', (() => {
			const text = `${head}.${b64('{"sub":"alice",')}`;
			return `${text}.${crypto.createHmac('sha256', site.key).update(text).digest('base64url')}`;
		})(), INVALID],
		['signature cut', token.slice(0, -1), INVALID],
		['signature cut by half', `${head}.${body}.${sig.slice(0, 20)}`, INVALID],
		['no signature', `${head}.${body}.`, INVALID],
		['two parts', `${head}.${body}`, INVALID],
		['four parts', `${token}.${sig}`, INVALID],
		['a bit of the header', flip(token, 5), INVALID],
		['a bit of the claims', flip(token, head.length + 10), INVALID],
		['a bit of the signature', flip(token, -10), INVALID],
		['the unused bits of the signature', `${head}.${body}.${sig.slice(0, -1)}${sig.at(-1) === 'B' ? 'C' : 'B'}`, INVALID],
		['padding', `${head}.${body}.${sig}=`, INVALID],
		['base64 of the other alphabet', `${head}.${body}.${sig.slice(0, -2)}+/`, INVALID],
		['a word', 'x', INVALID],
		['dots', '..', INVALID],
		['undefined', 'undefined', INVALID],
		['over 8 KiB', good({ pad: 'x'.repeat(6200) }), INVALID],
	];
	assert.ok(table.at(-1)[1].length > 8192);
	await site.lighttpd.stop();
	await site.startLighttpd('server.max-request-field-size = 16384');
	for (const [what, bad, want] of table)
		await refused(site, bad, want, what);
	// Counted, all of them.
	assert.ok(await metric(site, 'auth_failures') >= table.filter(([, , w]) => w !== REVOKED).length * 3);
	for (const [what, claims] of [['plain', {}], ['several audiences', { aud: ['shop', 'chat'] }],
		['exp with a fraction', { exp: now() + 1000.5 }], ['far away', { exp: 1e15 }], ['nbf and iat within leeway',
			{ nbf: now() + 2, iat: now() + 2 }], ['unknown claims', { foo: [{}], name: null, scope: 7 }]])
		await accepted(site, good(claims), what);
	await accepted(site, good({}, { alg: 'HS256', kid: 'x' }), 'other header fields');
});

test('no token at all', async (t) => {
	const site = await startSite(t);
	const a = await site.request('GET', POLL);
	assert.deepEqual([a.status, a.json.code], [401, MISSING.code]);
	assert.match(a.headers['www-authenticate'], /^Bearer realm="[^"]*"$/, 'no error code where no token was');
	for (const options of [{}, { params: { token: '' } }, { params: { lastTimestamp: 'x' } }]) {
		const s = await site.connect(undefined, { direct: true, ...options });
		assert.deepEqual(await s.waitClosed(), { code: 1008, reason: MISSING.reason });
	}
	for (const Authorization of ['Basic YTpi', 'Bearer', 'Bearer ', 'Token x', `Bearer ${site.token('alice')} x`, 'Bearer a,b']) {
		const poll = await site.request('GET', POLL, { headers: { Authorization } });
		assert.equal(poll.status, 401, Authorization);
		const s = await site.connect(undefined, { direct: true, headers: { Authorization } });
		assert.equal((await s.waitClosed()).code, 1008, Authorization);
	}
	for (const scheme of ['bearer', 'BEARER'])
		assert.equal((await site.request('GET', POLL,
			{ headers: { Authorization: `${scheme} ${site.token('alice')}` } })).status, 200);
	// The poll does not take tokens from the URL, where they would be logged.
	assert.equal((await site.request('GET', `${POLL}?token=${site.token('alice')}`)).status, 401);
	// Through the web server, the header works for the socket.
	const s = await site.connect(undefined, { headers: { Authorization: `Bearer ${site.token('alice')}` } });
	s.send({ type: 'ping' });
	assert.equal(await s.nextText(), '{"type":"pong"}');
});

test('who is removed is out at once, on both transports', async (t) => {
	const site = await startSite(t);
	const s = await site.connect('carol', { direct: true });
	const held = site.poll('carol', { lastTimestamp: (await site.poll('carol')).json.timestamp, timeout: 20 });
	const other = await site.connect('alice', { direct: true });
	await site.must('user', 'delete', 'carol');
	assert.deepEqual(await s.waitClosed(), { code: 1008, reason: 'Revoked' });
	const last = await held;
	if (last.status === 200)
		assert.deepEqual((await site.poll('carol', { lastTimestamp: last.json.timestamp })).json.code, 'revoked');
	else
		assert.deepEqual([last.status, last.json.code], [401, 'revoked']);
	await refused(site, site.token('carol'), REVOKED, 'removed');
	assert.equal((await other.until('USER_LEFT')).payload.userId, 'carol');
	assert.equal(other.end, undefined);
});

test('two keys while they are changed: the old one is accepted, a third is not', async (t) => {
	const site = await startSite(t, { poll: false, ws: false, web: false });
	const old = crypto.randomBytes(48).toString('hex');
	fs.writeFileSync(path.join(site.dir, 'old.key'), `${old}\n`, { mode: 0o600 });
	fs.appendFileSync(site.conf, `jwt.previous_key_file = ${site.dir}/old.key\n`);
	await site.startPoll();
	await site.startSidecar();
	await site.startLighttpd();
	const claims = { sub: 'alice', exp: now() + 1000 };
	await accepted(site, site.token('alice'), 'the new key');
	await accepted(site, signToken(old, claims), 'the old key');
	await refused(site, signToken(`${old}\n`, claims), INVALID, 'the old key with its newline');
	await refused(site, signToken(crypto.randomBytes(32), claims), INVALID, 'a third key');
	await refused(site, signToken(old, { ...claims, exp: 1 }), EXPIRED, 'expired by the old key');
});

// Keys made by another program, as sites do; the service knows the public half only.
for (const [alg, make] of [
	['RS256', () => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 })],
	['ES256', () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' })],
]) {
	test(`${alg}, end to end`, async (t) => {
		const site = await startSite(t, { poll: false, ws: false, web: false, populate: false });
		const pair = make();
		const sign = (claims, { key = pair.privateKey, header = { alg, typ: 'JWT' } } = {}) => {
			const text = `${b64(header)}.${b64(claims)}`;
			return `${text}.${crypto.sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
		};
		site.key = pair.publicKey.export({ type: 'spki', format: 'pem' });
		site.writeConf([`jwt.algorithm = ${alg}`]);
		await site.populate();
		await site.startPoll();
		await site.startSidecar();
		await site.startLighttpd();
		const claims = { sub: 'alice', exp: now() + 1000 };
		const token = sign(claims);
		await accepted(site, token, alg);
		await accepted(site, token, `${alg}, remembered`);
		await refused(site, signToken(site.key, claims), INVALID, 'the public key as HMAC secret');
		await refused(site, signToken(site.key, claims, { alg }), INVALID, `the same, called ${alg}`);
		await refused(site, sign(claims, { key: make().privateKey }), INVALID, 'another key');
		await refused(site, sign({ ...claims, exp: 1 }), EXPIRED, 'expired');
		await refused(site, flip(token, -20), INVALID, 'a flipped bit');
		await refused(site, token.slice(0, -4), INVALID, 'cut');
		await refused(site, `${b64({ alg: 'none' })}.${b64(claims)}.`, INVALID, 'none');
		const { privateKey } = crypto.generateKeyPairSync(...(alg === 'RS256' ? ['ec', { namedCurve: 'P-256' }] :
			['rsa', { modulusLength: 2048 }]));
		const other = alg === 'RS256' ? 'ES256' : 'RS256';
		await refused(site, sign(claims, { key: privateKey, header: { alg: other } }), INVALID, other);
		// The command has no private key here; with one it signs what the services accept.
		const cannot = await site.command('token', 'alice');
		assert.notEqual(cannot.code, 0);
		const both = path.join(site.dir, 'both.pem');
		fs.writeFileSync(both, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) + site.key, { mode: 0o600 });
		const made = await run(path.join(BIN, 'sidewire'),
			['-c', site.conf, 'token', 'alice'], { env: { SIDEWIRE_JWT_KEY_FILE: both } });
		assert.equal(made.code, 0, made.err);
		await accepted(site, made.out.trim(), 'signed by the command');
	});
}

test('keys that are none refuse to start', async (t) => {
	const site = await startSite(t, { poll: false, ws: false, web: false, populate: false });
	const { privateKey, publicKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
	const pem = publicKey.export({ type: 'spki', format: 'pem' });
	for (const [what, key, lines] of [
		['empty', '', []],
		['31 bytes', 'x'.repeat(31), []],
		['a PEM as secret', pem, ['jwt.algorithm = HS256']],
		['a secret as public key', 'x'.repeat(64), ['jwt.algorithm = RS256']],
		['RSA for ES256', pem, ['jwt.algorithm = ES256']],
		['a private key alone', privateKey.export({ type: 'pkcs8', format: 'pem' }), ['jwt.algorithm = RS256']],
	]) {
		site.key = key;
		site.writeConf(lines);
		for (const program of ['fcgi-poll', 'ws-sidecar']) {
			const r = await run(path.join(BIN, program), ['-n', '-c', site.conf]);
			assert.equal(r.code, 1, `${what}: ${program}`);
			assert.match(r.err, /jwt\.key/, what);
			for (const line of key.split('\n').filter((l) => l.length > 20 && !l.startsWith('-----')))
				assert.ok(!r.err.includes(line), 'the key is not shown');
		}
	}
});

test('auth.provision makes the user of a good token, on either transport', async (t) => {
	const site = await startSite(t, { conf: ['auth.provision = yes'] });
	const watcher = await site.connect('alice', { direct: true });
	const token = (sub, more) => site.token(sub, { name: `Name of ${sub}`, avatar: 'https://example.org/a.png', ...more });
	const s = await site.connect(undefined, { direct: true, token: token('new-1') });
	s.send({ type: 'ping' });
	assert.deepEqual(await s.until('pong'), { type: 'pong' });	// her own joining may come first
	const joined = await watcher.until('USER_JOINED');
	assert.deepEqual([joined.payload.id, joined.payload.name, joined.payload.avatar],
		['new-1', 'Name of new-1', 'https://example.org/a.png']);
	assert.equal((await site.request('GET', POLL, { token: token('new-2') })).status, 200);
	assert.equal((await watcher.until('USER_JOINED')).payload.id, 'new-2');
	// By an auth frame; at the same moment many times; without a name.
	const v1 = await site.connect(undefined, { direct: true, protocols: ['sidewire.v1'] });
	v1.send({ type: 'auth', payload: { token: token('new-3') } });
	assert.equal((await v1.next()).type, 'auth_ok');
	await v1.until('sync');
	const many = await Promise.all([1, 2, 3, 4, 5].map(() => site.connect(undefined, { direct: true, token: token('new-4') })));
	await Promise.all([many.map((m) => m.drain()), site.request('GET', POLL, { token: token('new-4') })].flat());
	const bare = await site.connect('new-5', { direct: true });
	await bare.drain();
	// A pong may come before the user is made.
	const made = [1, 2, 3, 4].map((n) => `new-${n}:Name of new-${n}`).concat(['new-5:new-5']).join(' ');
	await until(async () => await site.sql("SELECT group_concat(id || ':' || name, ' ') FROM (SELECT * FROM users WHERE id LIKE 'new-%' ORDER BY id)") === made,
		'all are made, once');
	// A bad token makes nobody.
	await refused(site, token('new-6', { exp: 1 }), EXPIRED, 'expired');
	assert.equal(await site.sql("SELECT count(*) FROM users WHERE id = 'new-6'"), '0');
	// Who exists is not overwritten.
	await accepted(site, token('bob'), 'bob');
	assert.equal(await site.sql("SELECT name FROM users WHERE id = 'bob'"), 'Bob');
});

test('no log shows a token, neither ours nor the web server\'s', async (t) => {
	const site = await startSite(t, { conf: ['log.level = debug'] });
	const good = site.token('alice');
	const bad = `${site.token('bob').slice(0, -6)}xxxxxx`;
	const expired = site.token('bob', { exp: 1 });
	for (const token of [good, bad, expired]) {
		for (const direct of [true, false]) {
			for (const options of [{ token }, { headers: { Authorization: `Bearer ${token}` } }]) {
				const s = await site.connect(undefined, { direct, ...options });
				if (token === good)
					await s.drain();
				else
					await s.waitClosed();
			}
			const v1 = await site.connect(undefined, { direct, protocols: ['sidewire.v1'] });
			v1.send({ type: 'auth', payload: { token } });
			await (token === good ? v1.until('sync') : v1.waitClosed());
		}
		await site.request('GET', POLL, { token });
		await site.request('GET', `${POLL}?token=${token}`);
		await assert.rejects(site.socket(undefined, { params: { token, limit: 'bad' }, direct: true }).open());
		await site.request('GET', `/elsewhere?token=${token}`);
	}
	for (const s of site.sockets)
		s.ws.terminate();
	await site.lighttpd.stop();
	await site.sidecar.stop();
	await site.poller.stop();
	await until(() => /GET \/ws|"GET/.test(fs.readFileSync(path.join(site.dir, 'access.log'), 'utf8')), 'the access log is written');
	const logs = { sidecar: site.sidecar.log, poller: site.poller.log, web: site.lighttpd.log };
	for (const name of ['access.log', 'lighttpd.log'])
		logs[name] = fs.readFileSync(path.join(site.dir, name), 'utf8');
	assert.match(logs['access.log'], /\/ws/);
	for (const [name, text] of Object.entries(logs)) {
		for (const token of [good, bad, expired]) {
			for (const part of token.split('.').slice(1))
				assert.ok(!text.includes(part.slice(0, 30)), `${name} shows a part of a token`);
		}
		assert.ok(!text.includes(site.key));
	}
});

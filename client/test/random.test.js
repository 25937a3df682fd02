// The promise: whatever happens to sockets, polls, tabs and time, every tab handles every
// event that its user may see once and in order, and what was sent exists once.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Storage, tokenOf, world } from './lib/world.js';

const STEPS = Number(process.env.TEST_STEPS ?? 1500);
const MODES = ['up', 'up', 'up', 'refused', 'hang', 'silent'];

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

class Chaos {
	tabs = [];
	gone = [];		// tabs that were closed
	sent = [];		// { key, promise }
	n = 0;
	epoch = 0;		// tokens from before it are refused

	constructor(w) {
		Object.assign(this, { w, server: w.server });
		const user = this.server.user.bind(this.server);
		this.server.user = (token) => (Number(token && claims(token).n) < this.epoch ? null : user(token));
		this.roll = (n) => Math.floor(w.random() * n);
	}

	get any() { return this.tabs[this.roll(this.tabs.length)]; }

	open(storage = new Storage()) {
		const { w } = this, tab = w.tab(storage);
		tab.user = this.roll(3) === 0 ? 'bob' : 'alice';
		const slow = this.roll(3) === 0;
		tab.connect({ token: undefined, getToken: () => tokenOf(tab.user, this.epoch) });
		// Refused twice in a row, because another epoch began in between: the page signs in again.
		tab.live.on('auth', () => this.replace(tab));
		tab.live.on('*', () => slow && this.roll(4) === 0 &&
			new Promise((resolve) => { w.clock.setTimeout(resolve, this.roll(300)); }));
		this.tabs.push(tab);
	}

	replace(tab) {
		if (!this.tabs.includes(tab))
			return;
		this.tabs.splice(this.tabs.indexOf(tab), 1);
		this.gone.push(tab);
		this.open(this.roll(2) ? tab.storage : undefined);
	}

	async write() {
		const { server } = this;
		for (let k = 1 + this.roll(6); k > 0; k--)
			if (this.roll(4) === 0)
				server.append('ALERT', { n: this.n++ }, { user: ['alice', 'bob', 'carol'][this.roll(3)] });
			else
				server.post(`w${this.n++}`);
	}

	send() {
		const tab = this.any, key = `key${this.n++}`;
		const entry = { key, user: tab.user };
		tab.live.send({ roomId: 'lobby', content: key, key })
			.then((ack) => { entry.ack = ack; }, (error) => { entry.error = error; });
		this.sent.push(entry);
	}

	network() {
		const { server } = this;
		switch (this.roll(8)) {
		case 0: server.ws = MODES[this.roll(MODES.length)]; break;
		case 1: server.http = ['up', 'up', 'refused', 'hang', 'lost', { status: 503, body: {}, headers: { 'Retry-After': '1' } }][this.roll(6)]; break;
		case 2: server.cut(); break;
		case 3: [...server.sockets].forEach((s) => { s.isDead ||= this.roll(3) === 0; }); break;
		case 4: [...server.sockets].forEach((s) => this.roll(2) && s.close([1001, 1012, 1013, 4408][this.roll(4)], 'retry=1')); break;
		case 5: server.isAckLost = this.roll(3) === 0; break;
		case 6: server.judge = this.roll(3) ? null : () => this.roll(2) && { code: 'busy', status: 503, retryAfterMs: 300 }; break;
		case 7:
			this.epoch++;
			[...server.sockets].forEach((s) => this.roll(2) && s.close(1008, 'Token expired'));
		}
	}

	page() {
		const tab = this.any;
		switch (this.roll(7)) {
		case 0: tab.show(this.roll(2) === 0); break;
		case 1: tab.tell('online'); break;
		case 2: tab.tell('pagehide'); this.w.clock.setTimeout(() => tab.tell('pageshow', { persisted: true }), this.roll(2000)); break;
		case 3: tab.live.use(['polling', 'both', 'both'][this.roll(3)]); break;
		case 4: this.w.loses = this.roll(2) ? null : () => this.roll(10) === 0; break;
		case 5: this.w.clock.sleep(this.roll(20000)); break;
		case 6:
			if (this.tabs.length > 1 && this.roll(2)) {
				tab.live.close();
				this.replace(tab);	// a reload, by whoever signs in now
			} else if (this.tabs.length < 5) {
				this.open();
			}
		}
	}

	async step() {
		const what = this.roll(10);
		if (what < 4)
			await this.write();
		else if (what < 6)
			this.send();
		else if (what < 8)
			this.network();
		else
			this.page();
		await this.w.pass([0, 7, 50, 400, 3000][this.roll(5)]);
	}

	// Everything works again, until everybody has everything.
	async settle() {
		const { w, server } = this;
		Object.assign(server, { ws: 'up', http: 'up', isAckLost: false, judge: null });
		w.loses = null;
		server.cut();
		this.tabs.forEach((tab) => { tab.show(true); tab.live.use('both'); });
		server.post('end');
		await w.until(() => this.tabs.every((tab) => tab.live.cursor === server.head && tab.live.pending.length === 0),
			`${this.tabs.map((tab) => `${tab.live.status} ${tab.live.cursor} ${tab.live.pending.length}`)} reach ${server.head}`, 900000);
	}

	check() {
		const { server } = this;
		for (const tab of [...this.tabs, ...this.gone]) {
			const got = tab.events.map((e) => e.timestamp);
			assert.ok(tab.states.length <= 1, 'one state, no reset');
			const from = tab.states[0]?.timestamp ?? server.head;
			const want = server.after(from, tab.user).map((e) => e.timestamp);
			assert.deepEqual(got, this.gone.includes(tab) ? want.slice(0, got.length) : want);
		}
		const keys = server.log.map((e) => e.event.payload.key).filter(Boolean);
		assert.equal(new Set(keys).size, keys.length, 'no message twice');
		for (const { key, ack, error } of this.sent) {
			assert.ok(ack || error?.code === 'closed', `${key}: ${error}`);
			assert.ok(!ack || keys.includes(key), `${key} was acknowledged`);
		}
	}
}

for (const tabs of [false, true]) {
	test(`${STEPS} random steps (${tabs ? 'tabs that share' : 'each for itself'}): exactly once, in order`, async (t) => {
		const seed = Number(process.env.TEST_SEED ?? Date.now() % 1000000);
		t.diagnostic(`TEST_SEED=${seed}`);
		const w = world(t, { tabs, seed }), chaos = new Chaos(w);
		w.server.latency = () => chaos.roll(4) === 0 ? chaos.roll(500) : chaos.roll(20);
		for (let i = 0; i < 3; i++)
			chaos.open();
		for (let i = 0; i < STEPS; i++)
			await chaos.step();
		await chaos.settle();
		chaos.check();
		const by = (how) => w.server.heard.filter((h) => h.by === how && h.frame.type === 'send').length;
		const { opened, polls, held } = w.server.counts;
		assert.ok(Math.min(opened, held, polls - held, by('socket'), by('post')) > STEPS / 100, 'every way was used');
		t.diagnostic(JSON.stringify({ events: w.server.log.length, ...w.server.counts, socket: by('socket'), post: by('post'),
			tabs: chaos.tabs.length + chaos.gone.length }));
	});
}

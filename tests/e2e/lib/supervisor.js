// Ends the programs of a site at moments that a dice chooses and starts them again at once,
// as a supervisor does.

import { oneOf } from './dice.js';

// more: lines of configuration for lighttpd.
export class Supervisor {
	constructor(site, { roll, more = '', programs = [] }) {
		this.roll = roll;
		this.turns = [];
		this.programs = programs;	// { kill() } that start again by themselves
		this.ended = { 'ws-sidecar': 0, 'fcgi-poll': 0, lighttpd: 0, writer: 0, 'while draining': 0, 'while starting': 0 };
		this.victims = {
			'ws-sidecar': { get: () => site.sidecar, start: () => site.startSidecar() },
			'fcgi-poll': { get: () => site.poller, start: () => site.startPoll() },
			lighttpd: { get: () => site.lighttpd, start: () => site.startLighttpd(more) },
		};
	}

	// By turns, in an order of chance.
	#next() {
		if (this.turns.length === 0)
			this.turns = [...Object.keys(this.victims), ...(this.programs.length > 0 ? ['writer'] : [])];
		return this.turns.splice(this.roll(this.turns.length), 1)[0];
	}

	// One or several programs at once; resolves when all of them serve again.
	async strike() {
		const names = [this.#next()];
		if (this.roll(6) === 0)
			names.push(...Object.keys(this.victims).filter((name) => !names.includes(name)));
		await Promise.all(names.map((name) => this.#end(name)));
	}

	async #end(name) {
		this.ended[name]++;
		if (name === 'writer') {
			oneOf(this.roll, this.programs).kill();
			return;
		}
		const { get, start } = this.victims[name];
		const p = get();
		if (this.roll(4) === 0) {
			this.ended['while draining']++;
			p.kill(name === 'ws-sidecar' && this.roll(2) === 0 ? 'SIGUSR1' : 'SIGTERM');
			await Promise.race([p.ended, new Promise((r) => setTimeout(r, this.roll(60)))]);
		}
		await p.stop('SIGKILL');
		if (this.roll(8) === 0) {
			this.ended['while starting']++;
			start().catch(() => {});	// it is not to come so far
			await new Promise((r) => setTimeout(r, this.roll(40)));
			await get().stop('SIGKILL');
		}
		await start();
	}
}

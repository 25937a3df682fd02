// A child process with its stderr kept, and ended for certain.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { until, within } from './deadline.js';

// What must never be seen on the stderr of a program of ours.
const BROKEN = /AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed|stack smashing/;

export class Process {
	constructor(name, command, args, options = {}) {
		this.name = name;
		this.log = '';
		this.out = '';
		this.child = spawn(command, args, {
			stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe', ...(options.extra ?? [])],
			cwd: options.cwd,
			uid: options.uid,
			gid: options.gid,
			env: { ...process.env, ...options.env },
		});
		this.child.stderr.on('data', (d) => { this.log += d; });
		this.child.stdout.on('data', (d) => { this.out += d; });
		this.ended = new Promise((resolve) => {
			this.child.on('error', (error) => resolve({ error }));
			this.child.on('close', (code, signal) => resolve({ code, signal }));
		});
		this.ended.then((how) => { this.how = how; });
	}

	get pid() { return this.child.pid; }

	// Waits until a line of stderr matches; throws at once where it ended before.
	async saw(pattern) {
		await until(() => pattern.test(this.log) || this.how, `${this.name} says ${pattern}; it said: ${this.log}`);
		if (!pattern.test(this.log))
			throw new Error(`${this.name} ended (${JSON.stringify(this.how)}): ${this.log}`);
	}

	kill(signal = 'SIGTERM') { this.child.kill(signal); }

	// Ends it and returns how it ended.
	async stop(signal = 'SIGTERM') {
		if (!this.how)
			this.child.kill(signal);
		try {
			await within(this.ended, `${this.name} ends on ${signal}; ${this.log}`);
		} catch (error) {
			this.child.kill('SIGKILL');
			await this.ended;
			throw error;
		}
		return this.how;
	}

	// Throws if a sanitizer or an assertion spoke.
	check() {
		if (BROKEN.test(this.log))
			throw new Error(`${this.name}: ${this.log}`);
	}
}

// Runs to the end: { code, out, err }.
export async function run(command, args, options = {}) {
	const p = new Process(command, command, args, { ...options, stdin: 'pipe' });
	p.child.stdin.on('error', () => {});
	p.child.stdin.end(options.input ?? '');
	const how = await within(p.ended, `${command} ${args.join(' ')}`);
	p.check();
	return { code: how.code, signal: how.signal, out: p.out, err: p.log + (how.error ?? '') };
}

// Processes that have the text among their arguments or in their environment.
export function running(text) {
	const has = (pid, file) => {
		try {
			return fs.readFileSync(`/proc/${pid}/${file}`, 'utf8').includes(text);
		} catch {
			return false;	// it has just ended, or is not ours to look into
		}
	};
	return fs.readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid &&
		(has(pid, 'cmdline') || has(pid, 'environ')));
}

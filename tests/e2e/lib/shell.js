// A sqlite3 shell that stays: a program of the site with an open transaction.

import crypto from 'node:crypto';
import { Process } from './process.js';
import { until } from './deadline.js';

export class Shell {
	constructor(site) {
		this.process = new Process('sqlite3', 'sqlite3', [site.db], { stdin: 'pipe' });
		this.process.child.stdin.on('error', () => {});
		site.processes.push(this.process);
	}

	// Runs SQL to its end; rejects where the shell complained.
	async run(sql) {
		const mark = crypto.randomUUID();
		const from = this.process.log.length;
		this.process.child.stdin.write(`${sql}\n.print ${mark}\n`);
		await until(() => this.process.out.includes(mark), `sqlite3 runs ${sql}`);
		const said = this.process.log.slice(from);
		if (said !== '')
			throw new Error(`sqlite3: ${said}`);
	}

	close() {
		this.process.child.stdin.end();
		return this.process.ended;
	}
}

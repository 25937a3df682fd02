// Lets users join and leave private rooms while messages are written, several at a time.

import { oneOf } from './dice.js';
import { Shell } from './shell.js';

export class Mover {
	constructor(site, ledger, town, users, roll) {
		Object.assign(this, { site, ledger, roll, users, rooms: town.privateRooms });
		this.members = new Map([...town.members].map(([room, set]) => [room, new Set(set)]));
		this.joins = new Map();		// 'user room' -> when each joining began, in their order
		this.changes = 0;
	}

	// One transaction of up to ten changes.
	async #change(shell) {
		const all = new Map();
		for (let n = 1 + this.roll(10); n > 0; n--)
			all.set(`${oneOf(this.roll, this.users)} ${oneOf(this.roll, this.rooms)}`, performance.now());
		const sql = [...all].map(([pair, began]) => {
			const [user, room] = pair.split(' ');
			if (this.members.get(room).delete(user))
				return `DELETE FROM room_members WHERE room_id = '${room}' AND user_id = '${user}';`;
			this.members.get(room).add(user);
			this.joins.set(pair, [...this.joins.get(pair) ?? [], began]);
			return `INSERT INTO room_members(room_id, user_id) VALUES ('${room}', '${user}');`;
		});
		await shell.run(`BEGIN IMMEDIATE;\n${sql.join('\n')}\nCOMMIT;`);
		this.changes += all.size;
	}

	// Goes on until as many messages were written; a change after every few of them.
	async run(messages) {
		const shell = new Shell(this.site);
		await shell.run('.timeout 30000');
		while (this.ledger.given < messages) {
			const next = Math.min(messages, this.ledger.given + 1 + this.roll(6));
			await this.ledger.when((l) => l.given >= next);
			await this.#change(shell);
		}
		await shell.close();
	}
}

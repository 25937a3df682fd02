// Users, rooms, members and blocks in a number that a test asks for, and who may see what.

import { dice } from './dice.js';

const quote = (s) => `'${String(s).replaceAll("'", "''")}'`;
const values = (rows) => rows.map((row) => `(${row.map(quote).join()})`).join();

export class Town {
	// The first of the users write.  The same for the same seed.
	constructor({ seed, users, writers, publicRooms = 3, privateRooms = 8 }) {
		const roll = dice(seed);
		this.users = Array.from({ length: users }, (_, i) => `u${i}`);
		this.writers = this.users.slice(0, writers);
		this.publicRooms = Array.from({ length: publicRooms }, (_, i) => `open${i}`);
		this.privateRooms = Array.from({ length: privateRooms }, (_, i) => `shut${i}`);
		this.members = new Map(this.privateRooms.map((room) => [room,
			new Set(this.users.filter(() => roll(3) === 0))]));
		// Every writer has a private room to write to, and every such room a writer.
		this.writers.forEach((user, i) => this.members.get(this.privateRooms[i % privateRooms]).add(user));
		this.blocks = new Map(this.users.map((user) => [user, new Set(roll(8) === 0 ?
			this.writers.filter((w) => w !== user && roll(4) === 0) : [])]));
	}

	get rooms() { return [...this.publicRooms, ...this.privateRooms]; }

	// Where a user may write.
	openTo(user) {
		return [...this.publicRooms, ...this.privateRooms.filter((room) => this.members.get(room).has(user))];
	}

	isIn(user, room) { return this.members.get(room)?.has(user) ?? true; }

	hasBlocked(user, sender) { return this.blocks.get(user).has(sender); }

	// The rooms' creator is a user who does nothing else; a creator is a member.
	sql() {
		const members = [...this.members].flatMap(([room, set]) => [...set].map((user) => [room, user]));
		const blocks = [...this.blocks].flatMap(([user, set]) => [...set].map((target) => [user, target, 'blocked']));
		return `BEGIN;
			INSERT INTO users(id, name) VALUES ${values(['mayor', ...this.users].map((u) => [u, `User ${u}`]))};
			INSERT INTO rooms(id, name, is_private, created_by) VALUES
				${values(this.publicRooms.map((r) => [r, r, 0, 'mayor']))},
				${values(this.privateRooms.map((r) => [r, r, 1, 'mayor']))};
			INSERT INTO room_members(room_id, user_id) VALUES ${values(members)};
			${blocks.length > 0 ? `INSERT INTO user_relationships(user_id, target_id, relationship_type)
				VALUES ${values(blocks)};` : ''}
			COMMIT;`;
	}
}

// A room as the page holds it.  Messages come by three ways, the page itself, history and
// events, in any order; each is held once.

const UNLOADED_MAX = 200;	// messages kept of a room that was not opened yet

export class Room {
	messages = [];		// in the log's order; { id, key, senderId, …, isGone, touched }
	outgoing = [];		// ours on their way: { key, content, timestamp, id, mark, why }
	unread = new Set();	// ids
	isLoaded = false;
	hasMore = false;
	#gone = new Set();
	#touches = 0;		// counts what events told

	constructor(info) {
		this.update(info);
	}

	update({ id, name, description, isPrivate, createdBy, isMember = this.isMember ?? false }) {
		Object.assign(this, { id, name, description, isPrivate, createdBy, isMember });
	}

	// Call before history is asked for, and hand the result to fill().
	get moment() { return this.#touches; }

	find(id) { return this.messages.find((m) => m.id === id); }

	// A message that an event brought.  True: it was not here before.
	add(message) {
		const isNew = this.#put(message);
		this.outgoing = this.outgoing.filter((o) => !(message.key && o.key === message.key) && o.id !== message.id);
		return isNew;
	}

	#put(message) {
		const known = this.find(message.id);
		if (known || this.#gone.has(message.id))
			return false;
		this.messages.push({ ...message, touched: ++this.#touches });
		if (!this.isLoaded && this.messages.length > UNLOADED_MAX)
			this.messages.shift();
		return true;
	}

	change(message) {
		const known = this.find(message.id);
		if (known)
			Object.assign(known, message, { touched: ++this.#touches });
	}

	remove(id) {
		const known = this.find(id);
		this.#gone.add(id);
		this.unread.delete(id);
		if (known)
			Object.assign(known, { isGone: true, content: '', touched: ++this.#touches });
	}

	// The newest page of history, asked for at a moment.  What events told since then is
	// newer than the page; what is older than the page stays if the two meet.
	fill({ messages, more }, moment) {
		const held = new Map(this.messages.map((m) => [m.id, m]));
		const inPage = new Set(messages.map((m) => m.id));
		const meets = this.messages.findIndex((m) => inPage.has(m.id));
		const older = this.isLoaded && meets > 0 ? this.messages.slice(0, meets) : [];
		const newer = this.messages.filter((m) => m.touched > moment && !inPage.has(m.id) && !older.includes(m));
		const isTold = (m) => held.get(m.id)?.touched > moment;
		this.hasMore = older.length > 0 ? this.hasMore : more;
		this.messages = [...older, ...messages.filter((m) => !this.#gone.has(m.id) || held.has(m.id))
			.map((m) => (isTold(m) || held.get(m.id)?.isGone ? held.get(m.id) : { ...m, touched: 0 })), ...newer];
		this.outgoing = this.outgoing.filter((o) => !o.id || !inPage.has(o.id));
		this.isLoaded = true;
	}

	// A page of history before the oldest message.
	prepend({ messages, more }) {
		const held = new Set(this.messages.map((m) => m.id));
		this.messages = [...messages.filter((m) => !held.has(m.id) && !this.#gone.has(m.id))
			.map((m) => ({ ...m, touched: 0 })), ...this.messages];
		this.hasMore = more;
	}

	// Somebody's messages are not shown any more.
	forget(senderId) {
		this.messages = this.messages.filter((m) => m.senderId !== senderId);
	}

	// Everything but the unsent is asked for again when it is opened.
	unload() {
		this.messages = [];
		this.isLoaded = false;
		this.hasMore = false;
	}
}

// A room as the page holds it.  Messages come by three ways, the page itself, history and
// events, in any order; each is held once.

const UNLOADED_MAX = 200;	// messages kept of a room that was not opened yet
const SHOWN_MAX = 1000;		// of one whose newest are looked at; half of them are kept
const CHANGES_MAX = 500;	// remembered

export class Room {
	messages = [];		// in the log's order; { id, key, senderId, …, isGone, touched }
	outgoing = [];		// ours on their way: { key, content, timestamp, id, mark, why }
	unread = new Set();	// ids; never again what was
	#read = new Set();
	#fresh = new Set();	// of the unread: told since the site was asked what is
	isLoaded = false;
	hasMore = false;
	#gone = new Set();
	#changed = new Map();	// id -> what an event last told of it
	#touches = 0;		// counts what events told
	#asked = 0;		// counts what history was asked for,
	#filled = 0;		// and the last of these that was answered

	constructor(info) {
		this.update(info);
	}

	update({ id, name, description, isPrivate, createdBy, isMember = this.isMember ?? false }) {
		Object.assign(this, { id, name, description, isPrivate, createdBy, isMember });
	}

	// Call before the newest page is asked for, and hand the result to fill().
	ask() { return { touches: this.#touches, n: ++this.#asked }; }

	// The message from which older ones are asked for.
	get oldest() { return this.messages.find((m) => !m.isGone)?.id; }

	// --- what is unread ---

	setUnread(id) {
		this.unread.add(id);
		this.#fresh.add(id);
	}

	// All of it was read.
	read() {
		this.unread.forEach((id) => this.#read.add(id));
		this.unread.clear();
		this.#fresh.clear();
	}

	// Call before the site is asked, and hand what it knows to takeUnread().
	askUnread() { this.#fresh.clear(); }

	takeUnread(ids) {
		this.unread = new Set([...ids, ...this.#fresh].filter((id) => !this.#read.has(id) && !this.#gone.has(id)));
	}

	// --- messages ---

	find(id) { return this.messages.find((m) => m.id === id); }

	// A message that an event brought.  True: it was not here before.
	add(message) {
		const isNew = this.#put(message);
		this.outgoing = this.outgoing.filter((o) => !(message.key && o.key === message.key) && o.id !== message.id);
		return isNew;
	}

	#put(message) {
		if (this.find(message.id) || this.#gone.has(message.id))
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
		// An answer that is on its way may not know of it.
		this.#changed.delete(message.id);
		this.#changed.set(message.id, message);
		if (this.#changed.size > CHANGES_MAX)
			this.#changed.delete(this.#changed.keys().next().value);
	}

	remove(id) {
		const known = this.find(id);
		this.#gone.add(id);
		this.unread.delete(id);
		if (known)
			Object.assign(known, { isGone: true, content: '', touched: ++this.#touches });
	}

	// The newest page of history, asked for at a moment.  What events told since then is
	// newer than the page, as long as they are less than a page behind; what is older than
	// the page stays if the two meet.
	fill({ messages, more }, { touches, n }) {
		if (n < this.#filled)
			return;		// a later answer was here first
		this.#filled = n;
		const held = new Map(this.messages.map((m) => [m.id, m]));
		const inPage = new Set(messages.map((m) => m.id));
		const meets = this.messages.findIndex((m) => inPage.has(m.id));
		const older = meets > 0 ? this.messages.slice(0, meets) : [];
		const newer = this.messages.filter((m) => m.touched > touches && !inPage.has(m.id) && !older.includes(m));
		this.hasMore = this.isLoaded && older.length > 0 ? this.hasMore : more;
		this.messages = [...older, ...this.#known(messages, held, touches), ...newer];
		this.outgoing = this.outgoing.filter((o) => !o.id || !inPage.has(o.id));
		this.isLoaded = true;
	}

	// The messages of a page, as events may have told more of them.
	#known(messages, held, touches) {
		return messages.filter((m) => !this.#gone.has(m.id) || held.has(m.id)).map((m) => {
			const here = held.get(m.id);
			return here && (here.isGone || here.touched > touches) ? here
				: { ...m, ...this.#changed.get(m.id), touched: here?.touched ?? 0 };
		});
	}

	// A page of history before the message that was the oldest when it was asked for.
	prepend({ messages, more }, oldest) {
		const at = this.messages.findIndex((m) => m.id === oldest);
		if (at < 0 || this.messages.slice(0, at).some((m) => !m.isGone))
			return;		// it does not belong here any more
		const held = new Map(this.messages.map((m) => [m.id, m]));
		this.messages = [...this.#known(messages.filter((m) => !held.has(m.id)), held, 0), ...this.messages];
		this.hasMore = more;
	}

	// Nobody looks at the oldest: history has them.
	trim() {
		if (this.messages.length <= SHOWN_MAX)
			return;
		this.messages = this.messages.slice(-SHOWN_MAX / 2);
		this.hasMore = true;
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

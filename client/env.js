// What the library needs of the world around it.  Everything comes through here, so that
// tests own time, network, storage, locks, channels and the page's events.

// A storage for where there is none, or where the browser denies it.
function memory() {
	const items = new Map();
	return {
		getItem: (name) => items.get(name) ?? null,
		setItem: (name, text) => void items.set(name, text),
		removeItem: (name) => void items.delete(name),
	};
}

function sessionStorageOf(world) {
	try {
		return world.sessionStorage ?? memory();
	} catch {
		return memory();
	}
}

// The surroundings of this page, or of a program under Node; given replaces parts of them.
export function surroundings(given = {}) {
	const world = globalThis;
	return {
		WebSocket: world.WebSocket,
		fetch: (...args) => world.fetch(...args),
		clock: {
			now: () => Date.now(),		// milliseconds
			setTimeout: (call, ms) => world.setTimeout(call, ms),
			clearTimeout: (timer) => world.clearTimeout(timer),
		},
		random: Math.random,			// 0 up to 1
		storage: sessionStorageOf(world),
		locks: world.navigator?.locks,		// Web Locks
		BroadcastChannel: world.BroadcastChannel,
		window: world.window,
		document: world.document,
		location: world.location,
		...given,
	};
}

// 32 hexadecimal digits, unique among a user's keys and tabs.
export function newId(random = Math.random) {
	const bytes = new Uint8Array(16);
	if (random === Math.random && globalThis.crypto?.getRandomValues)
		globalThis.crypto.getRandomValues(bytes);
	else
		bytes.forEach((_, i) => { bytes[i] = Math.floor(random() * 256); });
	return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

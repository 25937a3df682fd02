// What sidewire.js exports.  README.md tells how it is meant.

export type Status = 'websocket' | 'polling' | 'offline';

/** An event of the log (docs/protocol.md, section 1). */
export interface Event<Payload = any> {
	type: string;
	payload: Payload;
	/** Its place in the log: opaque, compares as text. */
	timestamp: string;
}

/** The present state, to replace what the page holds. */
export interface State {
	/** Every room as ROOM_CREATED, every user online as USER_UPDATE. */
	events: Event[];
	timestamp: string;
	/** first: nothing was held; else why the cursor could not be resumed. */
	reason: 'first' | 'unknown' | 'expired' | 'ahead';
}

export interface Message {
	roomId: string;
	content: string;
	/** "text" where it is absent. */
	type?: string;
	/** Of newKey(); one is made where it is absent. */
	key?: string;
}

export interface Ack {
	key: string;
	id: string;
	timestamp: string;
	/** It had been sent before. */
	duplicate: boolean;
}

/** The surroundings that tests and programs may replace, each by an object of the same kind. */
export interface Env {
	WebSocket: any;
	fetch: (url: string, options: any) => Promise<any>;
	clock: { now(): number; setTimeout(call: () => void, ms: number): any; clearTimeout(timer: any): void };
	random: () => number;
	storage: { getItem(name: string): string | null; setItem(name: string, text: string): void; removeItem(name: string): void };
	locks: any;
	BroadcastChannel: any;
	window: any;
	document: any;
	location: { origin: string };
}

export interface Options {
	/** Of the site; /api/realtime/ and /ws are below it.  This page's origin where it is absent. */
	url?: string;
	/** Of the socket, where it is elsewhere; null: none is tried. */
	wsUrl?: string | null;
	/** The user's JWT, or a function that gets one. */
	token?: string;
	/** Asked at the start, before a token ends and when one was refused; nothing: signed out. */
	getToken?: () => string | null | undefined | Promise<string | null | undefined>;
	/** Narrows room events to these; null: all that the user may see. */
	rooms?: string[] | null;
	/** Where an earlier page that kept its state has stopped. */
	cursor?: string;
	/** Whether the tabs of this user share one connection; true where it is absent. */
	share?: boolean;
	env?: Partial<Env>;
}

export declare class SidewireError extends Error {
	constructor(problem: { code?: string; status?: number; title?: string; detail?: string; retryAfterMs?: number });
	/** As in the protocol, section 4; also unavailable, outbox_full, stale, closed. */
	code: string;
	/** HTTP's, 0 where there was no answer. */
	status: number;
	detail: string;
	retryAfterMs: number;
	get isPassing(): boolean;
}

export interface Connection {
	readonly status: Status;
	/** All up to here was handled. */
	readonly cursor: string;
	/** What was sent and is not acknowledged, oldest first. */
	readonly pending: Required<Message>[];

	/** A handler may return a promise: the next event waits for it.  Returns what removes it. */
	on(name: 'state', handler: (state: State) => unknown): () => void;
	on(name: 'status', handler: (status: Status) => unknown): () => void;
	on(name: 'auth', handler: (problem: { code: string; status: number; detail: string }) => unknown): () => void;
	on(name: 'error', handler: (error: any) => unknown): () => void;
	on(name: 'sent', handler: (ack: Ack) => unknown): () => void;
	on(name: 'unsent', handler: (failure: { key: string; error: SidewireError }) => unknown): () => void;
	/** The type of an event, or "*" for every event. */
	on(name: string, handler: (event: Event) => unknown): () => void;

	/** Resolves once the message is committed; rejects when it never will be. */
	send(message: Message): Promise<Ack>;
	typing(roomId: string, on?: boolean): void;
	subscribe(rooms: string[] | null): void;
	/** "polling": no socket is used; "both": what works. */
	use(which: 'polling' | 'both'): void;
	close(): void;
}

export declare function connect(options: Options): Connection;
export declare function newKey(): string;

// The chat: the site's data, what Sidewire tells, and the parts that show it.

import { connect, newKey } from '../sidewire/sidewire.js';
import { Composer } from './composer.js';
import { $ } from './html.js';
import { PeopleList, RoomList, Typing } from './lists.js';
import { Log } from './log.js';
import { Cards, Drawers, Line, say, watchLook } from './panels.js';
import { Room } from './room.js';
import { act, getHistory, getState, getToken } from './site.js';
import { start, t } from './text.js';

document.documentElement.classList.add('js');

const me = start.state.me;
const rooms = new Map(), people = new Map(), blocked = new Set();
let open = null;		// the room
let hasEnded = false;

// --- Sidewire: the third of the three lines ---

const live = connect({
	url: new URL('.', location.href).href,
	getToken: async () => {
		const token = await getToken();
		setTimeout(markOutgoing);	// what an earlier page had not sent is known with the user
		return token;
	},
});

// --- the other tabs of this user ---

const tabs = 'BroadcastChannel' in window ? new BroadcastChannel(`site:${me.id}`) : null;
tabs?.addEventListener('message', ({ data }) => {
	if ('isPollingOnly' in data)
		line.isPollingOnly = data.isPollingOnly;
	rooms.get(data.read)?.read();
	drawRooms();
});

// --- the parts ---

const roomList = new RoomList(), peopleList = new PeopleList(), typing = new Typing(), drawers = new Drawers();
const line = new Line({
	use: (isPollingOnly) => {
		live.use(isPollingOnly ? 'polling' : 'both');
		tabs?.postMessage({ isPollingOnly });
	},
});
const log = new Log(me, {
	older: async () => {
		const room = open;
		const { oldest } = room;
		try {
			room.prepend(await getHistory(room.id, oldest), oldest);
		} catch (error) {
			say(error.message);
		}
		if (room === open)
			log.show(room);
	},
	retry: (o) => {
		open.outgoing = open.outgoing.filter((other) => other !== o);
		send(open, o.content);
	},
	discard: (o) => {
		open.outgoing = open.outgoing.filter((other) => other !== o);
		log.show(open);
	},
	edit: (id, content) => attempt({ do: 'edit', id, content }),
	remove: (id) => attempt({ do: 'delete', id }),
	seen: () => markRead(),
});
const composer = new Composer({
	send: (text) => send(open, text),
	typing: (isOn) => open && live.typing(open.id, isOn),
	editLast: () => log.editLast(),
});
new Cards({ done: arrive, leaves: () => live.close(), failed: (error) => say(error.message) });
watchLook();

// --- drawing ---

function drawRooms() { roomList.draw(rooms, open); }
function drawPeople() { peopleList.draw(people, me, blocked); }
function drawLine() { line.set(hasEnded ? 'ended' : hasStatus ? live.status : 'connecting', live.pending.length); }
let hasStatus = false;		// else it is on its way for the first time
setTimeout(() => {
	hasStatus = true;
	drawLine();
}, 5000);

function drawHead() {
	$('.head h1').textContent = open?.name ?? t('no_room');
	$('.head .about').textContent = open?.description ?? '';
	$('.head .info').hidden = open === null;
	$('.head .info').href = `./?page=room&id=${encodeURIComponent(open?.id ?? '')}`;
	$('#log').setAttribute('aria-label', t('messages', { room: open?.name ?? '' }));
	$('.join').hidden = open === null || open.isMember;
	$('.join input[name="room"]').value = open?.id ?? '';
}

// --- the site's data ---

async function attempt(fields) {
	try {
		return await act(fields);
	} catch (error) {
		say(error.message);
		return null;
	}
}

function takeState(state) {
	Object.assign(me, state.me);
	takeBlocked(new Set(state.blocked));
	for (const p of state.people)
		people.set(p.id, { ...p, isOnline: people.get(p.id)?.isOnline ?? p.isOnline });
	const here = new Set(state.rooms.map((r) => r.id));
	for (const room of [...rooms.values()])
		if (!here.has(room.id))
			drop(room, 'left_room');
	for (const info of state.rooms) {
		const room = rooms.get(info.id) ?? new Room(info);
		room.update(info);
		room.takeUnread(info.unread);
		if (room === open && isLookedAt())
			room.read();
		rooms.set(info.id, room);
	}
	drawAll();
}

function drawAll() {
	drawRooms();
	drawPeople();
	drawHead();
	if (open)
		log.show(open);
}

// Asks the site again.  What Sidewire tells meanwhile may be newer than the answer: then
// once more.
let refreshing = null, isOutdated = false;
function refresh() {
	isOutdated = true;
	refreshing ??= (async () => {
		while (isOutdated) {
			isOutdated = false;
			rooms.forEach((room) => room.askUnread());
			takeState(await getState());
		}
	})().catch((error) => say(error.message)).finally(() => { refreshing = null; });
	return refreshing;
}
live.on('*', ({ type, payload }) => {
	if (type.startsWith('ROOM_') || (type === 'USER_UPDATE' && payload.id === me.id))
		isOutdated = true;
});

function drop(room, why) {
	rooms.delete(room.id);
	if (room !== open)
		return;
	const next = [...rooms.values()].find((r) => r.isMember) ?? [...rooms.values()].find((r) => !r.isPrivate) ?? null;
	say(t(why, { room: room.name }));
	enter(next);
}

// --- rooms ---

async function load(room) {
	const moment = room.ask();
	try {
		room.fill(await getHistory(room.id), moment);
	} catch (error) {
		say(error.message);
	}
	if (room === open)
		log.show(room, true);
}

function enter(room, isNew = true) {
	open = room;
	typing.clear();
	const url = room ? `./?room=${encodeURIComponent(room.id)}` : './';
	if (isNew)
		history.pushState(null, '', url);
	drawHead();
	drawRooms();
	composer.show(room);
	if (!room)
		return;
	log.show(room);
	if (!room.isLoaded)
		void load(room);
}

document.addEventListener('click', (event) => {
	const link = event.target.closest?.('a[data-room]');
	if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0)
		return;
	const room = rooms.get(link.dataset.room);
	if (!room)
		return;
	event.preventDefault();
	drawers.close(false);
	enter(room);
	// A tap on a phone does not want its keyboard.
	if (matchMedia('(hover: hover)').matches)
		composer.focus();
});
addEventListener('popstate', () => {
	const room = rooms.get(new URLSearchParams(location.search).get('room'));
	if (room)
		enter(room, false);
});

// Where a form leads.
async function arrive(to) {
	await refresh();
	const id = new URL(to, location.href).searchParams.get('room');
	if (id && rooms.get(id) && rooms.get(id) !== open)
		enter(rooms.get(id));
}

$('.join').addEventListener('submit', async (event) => {
	event.preventDefault();
	if (await attempt({ do: 'join', room: open.id }) !== null)
		await refresh();
	composer.focus();
});

// --- reading ---

const isLookedAt = () => document.visibilityState === 'visible' && log.isAtEnd;
let readTimer = null;
function markRead() {
	if (!open || document.visibilityState !== 'visible')
		return;
	const room = open, last = room.messages.findLast((m) => !m.isGone);
	if (room.unread.size > 0) {
		room.read();
		drawRooms();
	}
	if (!last || !room.isMember || room.readUpTo === last.id)
		return;
	room.readUpTo = last.id;
	clearTimeout(readTimer);
	readTimer = setTimeout(() => {
		tabs?.postMessage({ read: room.id });
		act({ do: 'read', room: room.id, id: last.id }).catch(() => { room.readUpTo = null; });
	}, 500);
}
document.addEventListener('visibilitychange', () => isLookedAt() && markRead());

// --- writing ---

function send(room, content, key = newKey()) {
	const o = { key, content, timestamp: new Date().toISOString(), mark: hasEnded ? 'failed' : 'pending',
		why: hasEnded ? t('session_over') : undefined };
	room.outgoing.push(o);
	if (room === open) {
		log.show(room);
		log.toEnd();
	}
	if (hasEnded)
		return;
	live.typing(room.id, false);
	live.send({ key, roomId: room.id, content }).catch(() => {});	// "sent" and "unsent" tell it
	markOutgoing();
}

// What is on its way, as the library knows it: also what an earlier page had not sent.
function markOutgoing() {
	for (const { key, roomId, content } of live.pending) {
		const room = rooms.get(roomId);
		if (room && !room.outgoing.some((o) => o.key === key))
			room.outgoing.push({ key, content, timestamp: new Date().toISOString(), mark: 'pending' });
	}
	const why = live.status === 'offline' ? 'waiting' : undefined;
	for (const room of rooms.values())
		for (const o of room.outgoing)
			if (o.mark === 'pending')
				o.why = why;
	if (open)
		log.show(open);
	drawLine();
}

function outgoing(key) {
	for (const room of rooms.values())
		for (const o of room.outgoing)
			if (o.key === key)
				return [room, o];
	return [null, {}];
}

live.on('sent', ({ key, id }) => {
	const [room, o] = outgoing(key);
	Object.assign(o, { id, mark: undefined });
	if (room?.find(id))		// the event was here first
		room.outgoing = room.outgoing.filter((other) => other !== o);
	markOutgoing();
});
live.on('unsent', ({ key, error }) => {
	Object.assign(outgoing(key)[1], { mark: 'failed', why: error.message });
	markOutgoing();
});

// --- what Sidewire tells ---

live.on('status', () => {
	hasStatus = true;
	markOutgoing();
});
live.on('auth', () => {
	hasEnded = true;
	drawLine();
	say(t('session_over'), ['./', t('sign_in')]);
});
live.on('error', (error) => console.warn(error));

// The present state: who is online is all that it alone knows; the rest is asked for again,
// after its position, so that nothing falls between.
live.on('state', ({ events }) => {
	const online = new Map(events.filter((e) => e.type === 'USER_UPDATE').map((e) => [e.payload.id, e.payload]));
	for (const [id, p] of online)
		people.set(id, { ...people.get(id), ...p });
	for (const [id, p] of people)
		p.isOnline = online.has(id);
	for (const room of rooms.values())
		if (room !== open)
			room.unload();
	drawPeople();
	void refresh();
	if (open)
		void load(open);
});

live.on('NEW_MESSAGE', ({ payload }) => {
	const room = rooms.get(payload.roomId);
	if (!room || blocked.has(payload.senderId) || !room.add(payload))
		return;
	if (room === open) {
		typing.set(payload.senderName, false);
		const isSeen = isLookedAt();
		if (isSeen)
			room.trim();
		else if (payload.senderId !== me.id)
			room.setUnread(payload.id);
		log.show(room);
		if (isSeen)
			markRead();
	} else {
		room.trim();
		if (payload.senderId !== me.id)
			room.setUnread(payload.id);
	}
	drawRooms();
});
live.on('MESSAGE_UPDATED', ({ payload }) => {
	rooms.get(payload.roomId)?.change(payload);
	if (payload.roomId === open?.id)
		log.show(open);
});
live.on('MESSAGE_DELETED', ({ payload }) => {
	rooms.get(payload.roomId)?.remove(payload.id);
	if (payload.roomId === open?.id)
		log.show(open);
	drawRooms();
});
live.on('TYPING', ({ payload }) => {
	const name = people.get(payload.userId)?.name;
	if (name && payload.roomId === open?.id && payload.userId !== me.id && !blocked.has(payload.userId))
		typing.set(name, payload.on);
});

live.on('ROOM_CREATED', ({ payload }) => {
	if (!payload.isPrivate && !rooms.has(payload.id))
		rooms.set(payload.id, new Room(payload));
	drawRooms();
});
live.on('ROOM_UPDATED', ({ payload }) => {
	rooms.get(payload.id)?.update(payload);
	const room = rooms.get(payload.id);
	if (room?.isPrivate && !room.isMember)
		drop(room, 'left_room');
	drawRooms();
	drawHead();
});
live.on('ROOM_DELETED', ({ payload }) => {
	const room = rooms.get(payload.roomId);
	if (room)
		drop(room, 'room_gone');
	drawRooms();
});
live.on('ROOM_JOINED', () => void refresh());	// events do not wait for it
live.on('ROOM_LEFT', ({ payload }) => {
	const room = rooms.get(payload.roomId);
	if (!room)
		return;
	room.isMember = false;
	if (room.isPrivate)
		drop(room, 'left_room');
	drawRooms();
	drawHead();
});

function takePerson({ payload }) {
	const p = { ...people.get(payload.id), ...payload };
	if (payload.id !== me.id) {
		people.set(p.id, p);
		drawPeople();
		return;
	}
	people.set(p.id, { ...p, isOnline: true });
	Object.assign(me, { name: p.name, avatar: p.avatar });
	$('.me .name').textContent = me.name;
	$('.me .avatar').className = `avatar c-${me.avatar}`;
	takeBlocked(new Set(payload.blocked));
	drawPeople();
}

function takeBlocked(now) {
	const isLifted = [...blocked].some((id) => !now.has(id));
	for (const id of now)
		rooms.forEach((room) => room.forget(id));
	blocked.clear();
	now.forEach((id) => blocked.add(id));
	if (isLifted)
		rooms.forEach((room) => room.unload());	// what they wrote is in the history again
	if (open && isLifted)
		void load(open);
	else if (open)
		log.show(open);
}
live.on('USER_JOINED', takePerson);
live.on('USER_UPDATE', takePerson);
live.on('USER_LEFT', ({ payload }) => {
	const p = people.get(payload.userId);
	if (p)
		p.isOnline = false;
	drawPeople();
});

// --- begin ---

takeState(start.state);
{
	const room = rooms.get(start.open);
	if (room) {
		room.fill(start.page, room.ask());
		history.replaceState(null, '', `./?room=${encodeURIComponent(room.id)}`);
		enter(room, false);
	} else {
		composer.show(null);
	}
	markOutgoing();
}

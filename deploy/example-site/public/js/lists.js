// The rooms on one side, the people on the other, who is writing, and how many are unread.

import { $, arrange, avatar, el, icon } from './html.js';
import { t } from './text.js';

const TYPING_MS = 10000;	// the protocol's life of TYPING

export class RoomList {
	#lists = { mine: $('[data-list="mine"]'), others: $('[data-list="others"]') };
	#nodes = new Map();		// id -> { node, look }

	constructor() {
		Object.values(this.#lists).forEach((list) => list.replaceChildren());
	}

	draw(rooms, open) {
		const wanted = { mine: [], others: [] };
		let total = 0;
		for (const room of rooms.values()) {
			const n = room.isMember ? room.unread.size : 0;
			if (room.isMember || !room.isPrivate)
				wanted[room.isMember ? 'mine' : 'others'].push(this.#item(room, n, room === open));
			total += n;
		}
		arrange(this.#lists.mine, wanted.mine);
		arrange(this.#lists.others, wanted.others);
		$('.side .none').hidden = wanted.mine.length > 0;
		$('.dot-unread').hidden = total === 0;
		document.title = `${total > 0 ? `(${total}) ` : ''}${open ? `${open.name} · ` : ''}${t('site')}`;
	}

	#item(room, n, isOpen) {
		const look = JSON.stringify([room.name, room.isPrivate, n, isOpen]);
		const drawn = this.#nodes.get(room.id) ?? { node: el('li'), look: '' };
		if (drawn.look !== look) {
			const link = drawn.node.firstElementChild ??
				drawn.node.appendChild(el('a', { href: `./?room=${encodeURIComponent(room.id)}`, 'data-room': room.id }));
			link.className = n > 0 ? 'has-unread' : '';
			if (isOpen)
				link.setAttribute('aria-current', 'page');
			else
				link.removeAttribute('aria-current');
			link.replaceChildren(icon(room.isPrivate ? 'lock' : 'hash'), el('span', { class: 'name' }, room.name),
				...(n > 0 ? [el('span', { class: 'badge' }, el('span', { 'aria-hidden': 'true' }, n > 99 ? '99+' : n),
					el('span', { class: 'hide' }, t('unread', { n })))] : []));
			drawn.look = look;
		}
		this.#nodes.set(room.id, drawn);
		return drawn.node;
	}
}

export class PeopleList {
	#lists = { online: $('[data-list="online"]'), offline: $('[data-list="offline"]') };
	#nodes = new Map();

	constructor() {
		Object.values(this.#lists).forEach((list) => list.replaceChildren());
	}

	draw(people, me, blocked) {
		const wanted = { online: [], offline: [] };
		for (const p of [...people.values()].sort((a, b) => a.name.localeCompare(b.name)))
			wanted[p.isOnline || p.id === me.id ? 'online' : 'offline'].push(this.#item(p, p.id === me.id, blocked.has(p.id)));
		for (const which of ['online', 'offline']) {
			const list = this.#lists[which], section = list.closest('section');
			arrange(list, wanted[which]);
			section.hidden = wanted[which].length === 0;
			$('.count', section).textContent = wanted[which].length;
		}
	}

	#item(p, isMe, isBlocked) {
		const look = JSON.stringify([p.name, p.avatar, isMe, isBlocked]);
		const drawn = this.#nodes.get(p.id) ?? { node: el('li', { 'data-person': p.id }), look: '' };
		if (drawn.look !== look) {
			drawn.node.replaceChildren(el('a', { href: `./?page=person&id=${encodeURIComponent(p.id)}`, 'data-dialog': true },
				avatar(p.name, p.avatar), el('span', { class: 'name' }, p.name),
				isMe && el('span', { class: 'soft' }, `(${t('you')})`), isBlocked && el('span', { class: 'soft' }, t('blocked'))));
			drawn.look = look;
		}
		this.#nodes.set(p.id, drawn);
		return drawn.node;
	}
}

// Who is writing in the open room.
export class Typing {
	#line = $('#typing');
	#writers = new Map();	// name -> timer
	clear() {
		for (const name of [...this.#writers.keys()])
			this.set(name, false);
	}

	set(name, isOn) {
		clearTimeout(this.#writers.get(name));
		this.#writers.delete(name);
		if (isOn)
			this.#writers.set(name, setTimeout(() => this.set(name, false), TYPING_MS));
		const [a, b, c] = this.#writers.keys();
		this.#line.textContent = c ? t('typing_many') : b ? t('typing_two', { a, b }) : a ? t('typing_one', { a }) : '';
	}
}

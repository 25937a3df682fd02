// The messages of the open room.

import { $, arrange, avatar, el } from './html.js';
import { dayOf, fullTimeOf, t, timeOf } from './text.js';

const GROUP_MS = 5 * 60000;	// messages of one person within it are shown as one
const NEAR_PX = 80;		// from the end: what is new is scrolled to

export class Log {
	#box = $('#log');
	#list = $('#messages');
	#older = $('.older');
	#newest = $('.newest');
	#on;
	#me;
	#room = null;
	#nodes = new WeakMap();		// message -> { node, look }
	#editing = null;		// id
	#isLoading = false;

	// on: { older(), retry(o), discard(o), edit(id, text), remove(id), seen() }
	constructor(me, on) {
		this.#me = me;
		this.#on = on;
		this.#list.replaceChildren();	// what the site printed is drawn anew, in local time
		this.#box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
		this.#older.addEventListener('click', (event) => {
			event.preventDefault();
			this.#more();
		});
		this.#newest.addEventListener('click', () => this.toEnd());
		new ResizeObserver(() => this.#wasAtEnd && this.toEnd()).observe(this.#box);
	}

	#wasAtEnd = true;
	get isAtEnd() { return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < NEAR_PX; }

	toEnd() {
		this.#box.scrollTop = this.#box.scrollHeight;
		this.#newest.hidden = true;
		this.#wasAtEnd = true;
		this.#on.seen();
	}

	// isQuiet: what comes is not news, and is not read out.
	show(room, isQuiet = false) {
		const isOther = room !== this.#room;
		this.#room = room;
		this.#editing = isOther ? null : this.#editing;
		const stay = !isOther && !this.#wasAtEnd;
		const from = this.#box.scrollHeight - this.#box.scrollTop, last = this.#list.lastElementChild;
		const first = this.#list.querySelector('.msg');
		if (isOther || isQuiet)
			this.#box.setAttribute('aria-busy', 'true');
		this.#draw();
		if (!stay)
			this.toEnd();
		else if (this.#list.querySelector('.msg') !== first)
			this.#box.scrollTop = this.#box.scrollHeight - from;	// older ones came: stay at what is looked at
		else if (this.#list.lastElementChild !== last)
			this.#newest.hidden = false;
		if (isOther || isQuiet)
			requestAnimationFrame(() => this.#box.removeAttribute('aria-busy'));
	}

	// --- editing ---

	get isEditing() { return this.#editing !== null; }

	edit(id) {
		this.#editing = id;
		this.#draw();
		const field = $('.edit-form textarea', this.#list);
		field?.focus();
		field?.setSelectionRange(field.value.length, field.value.length);
		field?.parentElement.scrollIntoView({ block: 'nearest' });
	}

	editLast() {
		const last = this.#room?.messages.findLast((m) => m.senderId === this.#me.id && !m.isGone);
		if (last)
			this.edit(last.id);
	}

	#endEdit() {
		this.#editing = null;
		this.#draw();
		$('#write').focus();
	}

	// --- scrolling ---

	#scrolled() {
		this.#wasAtEnd = this.isAtEnd;
		if (this.#wasAtEnd && !this.#newest.hidden) {
			this.#newest.hidden = true;
			this.#on.seen();
		}
		if (this.#box.scrollTop < 200)
			this.#more();
	}

	async #more() {
		if (this.#isLoading || !this.#room?.hasMore)
			return;
		this.#isLoading = true;
		const link = this.#older.firstElementChild;
		link.textContent = t('loading');
		this.#box.setAttribute('aria-busy', 'true');
		await this.#on.older();
		link.textContent = t('older');
		requestAnimationFrame(() => this.#box.removeAttribute('aria-busy'));
		this.#isLoading = false;
	}

	// --- drawing ---

	#draw() {
		const room = this.#room, wanted = [];
		let before = null;
		for (const m of [...room.messages, ...room.outgoing]) {
			const day = dayOf(m.timestamp);
			if (before === null || dayOf(before.timestamp) !== day)
				wanted.push(this.#day(m, day));
			const sender = m.senderId ?? this.#me.id;
			const isCont = before !== null && dayOf(before.timestamp) === day && (before.senderId ?? this.#me.id) === sender &&
				new Date(m.timestamp) - new Date(before.timestamp) < GROUP_MS;
			wanted.push(this.#message(m, isCont));
			before = m;
		}
		arrange(this.#list, wanted);
		this.#older.hidden = !room.hasMore;
		$('.empty').hidden = wanted.length > 0 || !room.isLoaded;
	}

	#days = new WeakMap();
	#day(message, text) {
		const node = this.#days.get(message) ?? el('li', { class: 'day' }, '');
		this.#days.set(message, node);
		if (node.textContent !== text)
			node.textContent = text;
		return node;
	}

	#message(m, isCont) {
		const isOwn = (m.senderId ?? this.#me.id) === this.#me.id;
		const isEdited = this.#editing !== null && this.#editing === m.id && !m.isGone;
		const look = JSON.stringify([m.content, m.type, m.mark, m.why, m.isGone, m.senderName, m.senderAvatar, isEdited]);
		let drawn = this.#nodes.get(m);
		if (!drawn || (drawn.look !== look && !(isEdited && drawn.isEdited))) {
			const inside = [avatar(m.senderName ?? this.#me.name, m.senderAvatar ?? this.#me.avatar),
				el('div', { class: 'said' }, this.#by(m), ...(isEdited ? [this.#form(m)] : this.#said(m, isOwn)))];
			const node = drawn?.node ?? el('li', { id: m.id ? `m-${m.id}` : false, 'data-key': m.key ?? false,
				tabindex: isOwn && '-1' });	// a tap shows what can be done with it
			node.replaceChildren(...inside);
			drawn = { node, look, isEdited };
			this.#nodes.set(m, drawn);
		}
		drawn.node.className = ['msg', isOwn && 'own', isCont && 'cont', m.isGone && 'gone', m.mark].filter(Boolean).join(' ');
		return drawn.node;
	}

	#by(m) {
		const time = el('time', { datetime: m.timestamp, title: fullTimeOf(m.timestamp) }, timeOf(m.timestamp));
		return el('p', { class: 'by' }, el('a', { class: 'who', 'data-dialog': true,
			href: `./?page=person&id=${encodeURIComponent(m.senderId ?? this.#me.id)}` }, m.senderName ?? this.#me.name), time);
	}

	#said(m, isOwn) {
		const button = (text, call) => el('button', { type: 'button', class: 'quiet', onclick: call }, t(text));
		const text = el('p', { class: 'text' }, m.isGone ? t('deleted') : m.content);
		if (m.mark === 'failed')
			return [text, el('p', { class: 'mark' }, t('not_sent', { why: m.why }),
				button('retry', () => this.#on.retry(m)), button('discard', () => this.#on.discard(m)))];
		if (m.mark === 'pending')
			return [text, el('p', { class: 'mark' }, t(m.why ?? 'sending'))];
		return [text, !m.isGone && m.type === 'edited' && el('span', { class: 'mark' }, t('edited')),
			isOwn && !m.isGone && m.id && m.senderId && el('div', { class: 'tools' },
				button('edit', () => this.edit(m.id)), button('delete', () => this.#on.remove(m.id)))];
	}

	#form(m) {
		const field = el('textarea', { rows: 3, maxlength: 4000, 'aria-label': t('edit_label') });
		field.value = m.content;
		const save = () => {
			const text = field.value.trim();
			if (text !== '' && text !== m.content)
				this.#on.edit(m.id, text);
			this.#endEdit();
		};
		field.addEventListener('keydown', (event) => {
			if (event.key === 'Escape') {
				event.stopPropagation();
				this.#endEdit();
			} else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
				event.preventDefault();
				save();
			}
		});
		return el('div', { class: 'edit-form' }, field,
			el('button', { type: 'button', class: 'main-button', onclick: save }, t('save')),
			el('button', { type: 'button', class: 'quiet', onclick: () => this.#endEdit() }, t('cancel')));
	}
}

// Where messages are written: Enter sends, an input method's Enter does not, drafts stay.

import { $ } from './html.js';
import { start, t } from './text.js';

const DRAFT = 'draft:';

export class Composer {
	#form = $('#composer');
	#field = $('#write');
	#room = null;
	#on;

	// on: { send(text), typing(isOn), editLast() }
	constructor(on) {
		this.#on = on;
		this.#form.addEventListener('submit', (event) => {
			event.preventDefault();
			this.#send();
		});
		this.#field.addEventListener('input', () => this.#changed());
		this.#field.addEventListener('keydown', (event) => {
			if (event.isComposing || event.keyCode === 229)
				return;
			if (event.key === 'Enter' && !event.shiftKey) {
				event.preventDefault();
				this.#send();
			} else if (event.key === 'ArrowUp' && this.#field.value === '') {
				event.preventDefault();
				this.#on.editLast();
			}
		});
	}

	show(room) {
		this.#room = room;
		this.#form.hidden = room === null;
		this.#field.value = room === null ? '' : this.#draft;
		const label = t('write', { room: room?.name ?? '' });
		this.#field.setAttribute('aria-label', label);
		this.#field.placeholder = label;
		this.#grow();
	}

	focus() { this.#field.focus(); }

	get #name() { return `${DRAFT}${start.state.me.id}:${this.#room.id}`; }

	get #draft() {
		try {
			return sessionStorage.getItem(this.#name) ?? '';
		} catch {
			return '';
		}
	}

	#keep(text) {
		try {
			if (text === '')
				sessionStorage.removeItem(this.#name);
			else
				sessionStorage.setItem(this.#name, text);
		} catch {
			// No storage: the draft lives as long as the page.
		}
	}

	#changed() {
		this.#keep(this.#field.value);
		this.#grow();
		this.#on.typing(this.#field.value.trim() !== '');
	}

	// Where the browser does not size the field to its text by itself.
	#grow() {
		if (CSS.supports('field-sizing', 'content'))
			return;
		this.#field.rows = Math.min(8, this.#field.value.split('\n').length);
	}

	#send() {
		const text = this.#field.value.trim();
		if (text === '')
			return;
		this.#field.value = '';
		this.#changed();
		this.#on.send(text);
		this.#field.focus();
	}
}

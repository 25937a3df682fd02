// Drawers, dialogs, the line about the connection, and what has to be said at once.

import { $, el, icon } from './html.js';
import { act, getCard } from './site.js';
import { t } from './text.js';

// --- the rooms and the people on a narrow page ---

export class Drawers {
	#open = null;		// the panel
	#opener = null;

	constructor() {
		for (const opener of document.querySelectorAll('[data-drawer]')) {
			opener.setAttribute('role', 'button');
			opener.setAttribute('aria-expanded', 'false');
			opener.setAttribute('aria-controls', opener.dataset.drawer);
			opener.addEventListener('click', (event) => {
				event.preventDefault();
				this.open(opener);
			});
			opener.addEventListener('keydown', (event) => {
				if (event.key === ' ') {
					event.preventDefault();
					this.open(opener);
				}
			});
		}
		for (const close of document.querySelectorAll('.side .close, .people .close'))
			close.addEventListener('click', (event) => {
				event.preventDefault();
				this.close();
			});
		document.addEventListener('keydown', (event) => event.key === 'Escape' && !$('#dialog').open && this.close());
		document.addEventListener('pointerdown', (event) => {
			if (this.#open && !this.#open.contains(event.target) && !$('#dialog').open)
				this.close();
		});
		matchMedia('(min-width: 48.01rem)').addEventListener('change', () => this.close(false));
	}

	open(opener) {
		this.close(false);
		this.#opener = opener;
		this.#open = document.getElementById(opener.dataset.drawer);
		this.#open.classList.add('is-open');
		document.body.classList.add('has-drawer');
		opener.setAttribute('aria-expanded', 'true');
		$('.main').inert = true;
		// Hidden things take no focus: when it is drawn.
		const panel = this.#open;
		requestAnimationFrame(() => (panel.querySelector('[aria-current]') ?? $('a.close', panel) ?? panel).focus());
	}

	close(isBack = true) {
		if (!this.#open)
			return;
		this.#open.classList.remove('is-open');
		document.body.classList.remove('has-drawer');
		$('.main').inert = false;
		this.#opener.setAttribute('aria-expanded', 'false');
		if (isBack)
			this.#opener.focus();
		this.#open = null;
	}
}

// --- the small pages in a dialog ---

export class Cards {
	#dialog = $('#dialog');
	#on;

	// on: { done(to): a form was taken, leaves(): the user signed out, failed(error) }
	constructor(on) {
		this.#on = on;
		document.addEventListener('click', (event) => {
			const link = event.target.closest?.('a[data-dialog]');
			if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0)
				return;
			event.preventDefault();
			this.show(link.href).catch((error) => on.failed(error));
		});
		this.#dialog.addEventListener('submit', (event) => {
			event.preventDefault();
			void this.#submit(event.target, event.submitter);
		});
		this.#dialog.addEventListener('click', (event) => {
			if (event.target === this.#dialog)
				this.#dialog.close();
		});
	}

	async show(url) {
		const page = new DOMParser().parseFromString(await getCard(url), 'text/html');
		const close = el('button', { type: 'button', class: 'quiet dialog-close', 'aria-label': t('close'),
			onclick: () => this.#dialog.close() }, icon('close'));
		this.#dialog.replaceChildren(...page.body.childNodes, close);
		if (!this.#dialog.open)
			this.#dialog.showModal();
		$('[autofocus]', this.#dialog)?.focus();
	}

	close() { this.#dialog.close(); }

	async #submit(form, submitter) {
		try {
			const to = await act(Object.fromEntries(new FormData(form, submitter)));
			if (submitter?.hasAttribute('data-leaves')) {
				this.#on.leaves();
				location.assign(to);
				return;
			}
			this.#dialog.close();
			await this.#on.done(to);
		} catch (error) {
			$('.error', this.#dialog)?.remove();
			form.before(el('p', { class: 'error', role: 'alert' }, error.message));
		}
	}
}

// --- the line about the connection ---

export class Line {
	#line = $('#line');
	#text = $('#status');

	// on.use(isPollingOnly)
	constructor(on) {
		this.#line.hidden = false;
		$('#polling').addEventListener('change', (event) => on.use(event.target.checked));
	}

	// As another tab has set it.
	set isPollingOnly(isOn) { $('#polling').checked = isOn; }

	set(status, unsent) {
		this.#line.dataset.status = status;
		if (this.#text.textContent !== t(`status_${status}`))
			this.#text.textContent = t(`status_${status}`);
		$('#unsent').textContent = unsent > 0 ? t('unsent', { n: unsent }) : '';
	}
}

// --- said at once ---

let timer;
export function say(text, link) {
	const box = $('.toast');
	clearTimeout(timer);
	box.replaceChildren(text, ...(link ? [' ', el('a', { href: link[0] }, link[1])] : []));
	box.hidden = false;
	if (!link)
		timer = setTimeout(() => { box.hidden = true; }, 8000);
}

// Language and theme: at once, where the page can.
export function watchLook() {
	const form = $('.side .look');
	form.addEventListener('change', async ({ target }) => {
		if (target.name === 'theme')
			document.documentElement.dataset.theme = target.value;
		try {
			await act({ do: 'look', [target.name]: target.value });
			if (target.name === 'lang')
				location.reload();
		} catch (error) {
			say(error.message);
		}
	});
}

// What the page asks of its site, and the messages of a room from Sidewire.

import { start, t } from './text.js';

export class Refused extends Error {
	constructor(message, status) {
		super(message);
		this.status = status;
	}
}

async function ask(url, options = {}) {
	let response;
	try {
		response = await fetch(url, { ...options, headers: { Accept: 'application/json', ...options.headers } });
	} catch {
		throw new Refused(t('error_network'), 0);
	}
	const data = await response.json().catch(() => ({}));
	if (!response.ok)
		throw new Refused(data.error ?? data.detail ?? t('error_server'), response.status);
	return data;
}

// The site's own form handler; fields as in its forms.  Resolves to where it would go.
export async function act(fields) {
	return (await ask('action.php', { method: 'POST', body: new URLSearchParams({ csrf: start.csrf, ...fields }) })).to;
}

export const getState = () => ask('state.php');

// A token for Sidewire; null: signed out.
let token = null;
export async function getToken() {
	try {
		token = (await ask('token.php')).token;
	} catch (error) {
		if (error.status !== 401)
			throw error;
		token = null;
	}
	return token;
}

// A page of a room's messages, oldest first: { messages, more }.
export async function getHistory(roomId, before) {
	const query = new URLSearchParams({ roomId, limit: 50, ...(before && { before }) });
	for (let isLast = false; ; isLast = true) {
		const headers = { Authorization: `Bearer ${token ?? await getToken()}` };
		try {
			const { messages, more } = await ask(`api/realtime/history?${query}`, { headers });
			return { messages, more: Boolean(more) };
		} catch (error) {
			if (error.status !== 401 || isLast)
				throw error;
			token = null;
		}
	}
}

export async function getCard(url) {
	const response = await fetch(url, { headers: { 'X-Fragment': '1' } }).catch(() => null);
	if (response === null)
		throw new Refused(t('error_network'), 0);
	return response.text();
}

// Words, times and the data that the page began with.

export const start = JSON.parse(document.querySelector('#start').textContent);

export function t(key, values = {}) {
	return Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), start.strings[key]);
}

const clock = new Intl.DateTimeFormat(start.lang, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const full = new Intl.DateTimeFormat(start.lang, { dateStyle: 'full', timeStyle: 'short' });
const days = new Intl.DateTimeFormat(start.lang, { weekday: 'long', month: 'long', day: 'numeric' });

export const timeOf = (when) => clock.format(new Date(when));
export const fullTimeOf = (when) => full.format(new Date(when));

// The day of a time as the reader calls it; the same text for the same day.
export function dayOf(when, now = new Date()) {
	const date = new Date(when);
	const midnight = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
	const ago = Math.round((midnight(now) - midnight(date)) / 86400000);
	return ago === 0 ? t('today') : ago === 1 ? t('yesterday') : days.format(date);
}

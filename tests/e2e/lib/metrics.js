// What the sidecar's port answers to plain HTTP.

import { request } from './http.js';

export function httpGet(site, path, { method = 'GET', port = site.wsPort, ...options } = {}) {
	return request({ host: '127.0.0.1', port }, method, path, options);
}

// Prometheus text (format 0.0.4) as { name: { type, help, value } }; throws where it is none.
export function parseMetrics(text) {
	const all = {};
	if (!text.endsWith('\n'))
		throw new Error('the last line does not end');
	for (const line of text.trimEnd().split('\n')) {
		let m = line.match(/^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/);
		if (m) {
			const known = (all[m[2]] ??= {});
			const what = m[1].toLowerCase();
			if (known[what] !== undefined || known.value !== undefined)
				throw new Error(`${line}: twice, or after the sample`);
			if (what === 'type' && !['counter', 'gauge'].includes(m[3]))
				throw new Error(line);
			known[what] = m[3];
			continue;
		}
		m = line.match(/^([a-zA-Z_:][a-zA-Z0-9_:]*) ([-+]?[0-9.]+(?:e[-+]?[0-9]+)?|NaN|[-+]Inf)$/);
		if (!m || !all[m[1]]?.type || !all[m[1]].help || all[m[1]].value !== undefined)
			throw new Error(`no sample, or without its TYPE and HELP: ${line}`);
		all[m[1]].value = Number(m[2]);
	}
	return all;
}

export async function metrics(site, options) {
	return parseMetrics((await httpGet(site, '/metrics', options)).text);
}

// A value by its name, without sidewire_ and _total.
export async function metric(site, name, options) {
	const all = await metrics(site, options);
	return (all[`sidewire_${name}_total`] ?? all[`sidewire_${name}`]).value;
}

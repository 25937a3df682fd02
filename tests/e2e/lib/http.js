// One HTTP request, on a connection of its own unless there is an agent.

import http from 'node:http';
import { within } from './deadline.js';

// { status, headers, text, json } of the answer; target: { host, port } or { socketPath }.
export function request(target, method, path, { headers = {}, body, signal, timeout, agent = false } = {}) {
	const answer = new Promise((resolve, reject) => {
		const req = http.request({ ...target, method, path, headers, agent, signal }, (res) => {
			const chunks = [];
			res.on('data', (d) => chunks.push(d));
			res.on('error', reject);
			res.on('end', () => {
				const text = Buffer.concat(chunks).toString('utf8');
				let json;
				try {
					json = JSON.parse(text);
				} catch {
					json = undefined;
				}
				resolve({ status: res.statusCode, headers: res.headers, text, json });
			});
		});
		req.on('error', reject);
		req.end(body);
	});
	return within(answer, `${method} ${path.slice(0, 200)}`, timeout);
}

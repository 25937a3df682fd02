// One request to fcgi-poll started as CGI, as a web server without FastCGI starts it.

import path from 'node:path';
import { BIN } from './site.js';
import { run } from './process.js';

// { status, text, json, err } of GET url (path and query) as a user; input: the body of a POST.
export async function cgi(site, url, user, env = {}, input = '') {
	const r = await run(path.join(BIN, 'fcgi-poll'), ['-c', site.conf], {
		env: {
			GATEWAY_INTERFACE: 'CGI/1.1',
			REQUEST_METHOD: 'GET',
			REQUEST_URI: url,
			QUERY_STRING: url.split('?')[1] ?? '',
			SERVER_PROTOCOL: 'HTTP/1.1',
			HTTP_AUTHORIZATION: `Bearer ${site.token(user)}`,
			...(input ? { REQUEST_METHOD: 'POST', CONTENT_TYPE: 'application/json',
				CONTENT_LENGTH: String(Buffer.byteLength(input)) } : {}),
			...env,
		},
		input,
	});
	const [head, text = ''] = r.out.split(/\r\n\r\n([^]*)/);
	const status = Number(/^Status: (\d+)/im.exec(head)?.[1] ?? 200);
	let json;
	try {
		json = JSON.parse(text);
	} catch {
		json = undefined;
	}
	return { status, text, json, err: r.err };
}

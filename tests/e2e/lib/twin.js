// A second set of services on a site's database: ports and socket of its own, the same
// configuration otherwise.

import fs from 'node:fs';
import path from 'node:path';
import { freePort } from './site.js';

// { poll, ws, web } as in startSite().
export async function startTwin(site, { poll = true, ws = true, web = true } = {}) {
	const twin = Object.create(site);
	twin.dir = path.join(site.dir, 'twin');
	fs.mkdirSync(twin.dir);
	twin.pollSocket = path.join(twin.dir, 'poll.sock');
	twin.wsPort = await freePort();
	twin.webPort = await freePort();
	const env = {
		SIDEWIRE_POLL_LISTEN: twin.pollSocket,
		SIDEWIRE_WS_LISTEN: `127.0.0.1:${twin.wsPort}`,
	};
	if (poll)
		await twin.startPoll({ env });
	if (ws)
		await twin.startSidecar({ env });
	if (web)
		await twin.startLighttpd();
	return twin;
}

// Where the programs under test are: where the build puts them, or a copy for this run where
// that is no place for the other users that some tests start them as (/root, say).

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const isForAll = (place) => (fs.statSync(place).mode & 0o1) !== 0 &&
	(path.dirname(place) === place || isForAll(path.dirname(place)));

function copyOf(bin) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'sidewire-bin-'));
	process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
	fs.chmodSync(dir, 0o755);
	for (const name of ['fcgi-poll', 'ws-sidecar', 'sidewire'])
		fs.copyFileSync(path.join(bin, name), path.join(dir, name));
	return dir;
}

const built = process.env.TEST_BIN ?? path.join(ROOT, 'build/release/bin');

export const BIN = process.getuid() !== 0 || isForAll(built) ? built : copyOf(built);

// Programs of a site that write rows and know nothing of Sidewire: each reads a line with the
// rows of one transaction and tells when it is committed.  They may be killed at any moment;
// what was not told is written again.

import fs from 'node:fs';
import path from 'node:path';

// Of some transactions a first try is rolled back: nobody may hear of it.
const PHP = `<?php
$db = new PDO('sqlite:' . $argv[1], null, null,
	[PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_TIMEOUT => 30]);
$one = $db->prepare('INSERT INTO messages(id, room_id, sender_id, content) VALUES (?, ?, ?, ?)');
while (($line = fgets(STDIN)) !== false) {
	[$mark, $rows, $lost] = json_decode($line);
	foreach ($lost ? ['ROLLBACK', 'COMMIT'] : ['COMMIT'] as $end) {
		$db->exec('BEGIN IMMEDIATE');
		foreach ($rows as $row) {
			try {
				$one->execute($row);
			} catch (PDOException $e) {
				if ($e->getCode() != 23000)	/* it is there */
					throw $e;
			}
		}
		$db->exec($end);
	}
	echo "$mark\\n";
}
`;

const PYTHON = `
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for line in sys.stdin:
    mark, rows, lost = json.loads(line)
    for end in ("ROLLBACK", "COMMIT") if lost else ("COMMIT",):
        db.execute("BEGIN IMMEDIATE")
        for row in rows:
            if db.execute("SELECT 1 FROM messages WHERE id = ?", row[:1]).fetchone() is None:
                db.execute("INSERT INTO messages(id, room_id, sender_id, content) VALUES (?, ?, ?, ?)", row)
        db.execute(end)
    print(mark, flush=True)
`;

const quote = (s) => `'${s.replaceAll("'", "''")}'`;

// -bail: a shell that was refused ends, and says nothing.
function forShell([mark, rows, lost]) {
	const insert = `INSERT OR IGNORE INTO messages(id, room_id, sender_id, content) VALUES
		${rows.map((row) => `(${row.map(quote).join()})`).join()};`;
	if (rows.length === 1 && !lost)
		return `${insert}\nSELECT ${quote(mark)};\n`;
	const once = (end) => `BEGIN IMMEDIATE;\n${insert}\n${end};\n`;
	return `${lost ? once('ROLLBACK') : ''}${once('COMMIT')}SELECT ${quote(mark)};\n`;
}

const LANGUAGES = {
	php: { command: 'php', source: PHP, print: (what) => `${JSON.stringify(what)}\n` },
	python: { command: '/usr/bin/python3', source: PYTHON, print: (what) => `${JSON.stringify(what)}\n` },
	shell: { command: 'sqlite3', print: forShell },
};

export class Foreign {
	constructor(site, ledger, { name, user, roll, language }) {
		Object.assign(this, { site, ledger, name, user, roll, ...LANGUAGES[language], items: [] });
		this.kind = language;
		this.atOnce = 20;
		this.n = 0;
	}

	#start() {
		let args = ['-bail', '-cmd', '.timeout 30000', this.site.db];
		if (this.source) {
			const file = path.join(this.site.dir, `${this.name}.source`);
			fs.writeFileSync(file, this.source);
			args = [file, this.site.db];
		}
		this.process = this.site.start(this.name, this.command, args, { stdin: 'pipe' });
		this.process.child.stdin.on('error', () => {});		// it was killed
	}

	kill() { this.process?.kill('SIGKILL'); }

	// Whether what it is told to do is done; false: it was killed before it said so.
	async #do(rows, isLost) {
		if (this.process === undefined || this.process.how)
			this.#start();
		const p = this.process, mark = `done ${this.n++}`;
		let look;
		const said = new Promise((resolve) => {
			look = () => p.out.endsWith(`${mark}\n`) && resolve(true);
			p.child.stdout.on('data', look);
			p.ended.then(() => resolve(p.out.endsWith(`${mark}\n`)));
		});
		p.child.stdin.write(this.print([mark, rows, isLost]));
		const isDone = await said;
		p.child.stdout.off('data', look);
		if (p.log !== '' || (!isDone && p.how.signal !== 'SIGKILL'))
			throw new Error(`${this.name}: ${JSON.stringify(p.how)} ${p.out} ${p.log}`);
		p.out = '';
		return isDone;
	}

	async commit(items) {
		const rows = items.map((item) => [item.name, item.room, item.sender, item.content]);
		while (!await this.#do(rows, this.roll(8) === 0) && !this.ledger.isStopped)
			;	// it was killed
		for (const item of items)
			this.ledger.ack(item);
	}

	close() {
		this.process?.child.stdin.end();
		return this.process?.ended;
	}
}

<?php
// Makes the site's database with a few people, rooms and messages to begin with:
//   SITE_DATABASE=FILE php-cgi -q seed.php
declare(strict_types=1);
require __DIR__ . '/src/model.php';

$path = (string)getenv('SITE_DATABASE');
if (PHP_SAPI !== 'cli' && isset($_SERVER['REQUEST_METHOD']))
	exit(2);		// not a page
if ($path === '' || file_exists($path)) {
	error_log('seed.php: SITE_DATABASE must name a file that is not there yet');
	exit(2);
}
$db = new PDO("sqlite:$path", null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
    PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC]);
$db->beginTransaction();
$db->exec(file_get_contents(__DIR__ . '/schema.sql'));

foreach ([['alice', 'Alice', 'violet', 'Keeps the kettle warm.'], ['bob', 'Bob', 'blue', 'Repairs radios.'],
    ['carol', 'Carol', 'green', 'Walks, then writes about it.'], ['mei', '美玲', 'pink', '在台南教書，喜歡老電影。'],
    ['wei', '志偉', 'orange', '週末騎單車。']] as [$id, $name, $avatar, $bio])
	execute($db, 'INSERT INTO users(id, name, email, avatar, bio) VALUES (?, ?, ?, ?, ?)',
	    [$id, $name, "$id@example.org", $avatar, $bio]);

foreach ([['lobby', 'Lobby', 0, 'alice', 'Come in, say hello', ['alice', 'bob', 'carol', 'mei', 'wei']],
    ['workshop', 'Workshop', 0, 'bob', 'Things on the bench', ['bob', 'carol', 'alice']],
    ['teahouse', '茶館', 0, 'mei', '天南地北，慢慢聊', ['mei', 'wei', 'alice']],
    ['backstage', 'Backstage', 1, 'alice', 'For those who set up the chairs', ['alice', 'bob']]]
    as [$id, $name, $is_private, $creator, $about, $members]) {
	execute($db, 'INSERT INTO rooms(id, name, is_private, created_by, description) VALUES (?, ?, ?, ?, ?)',
	    [$id, $name, $is_private, $creator, $about]);
	foreach ($members as $user)
		add_member($db, $id, $user);
}

// Room, sender, minutes ago, text.
$said = [
	['lobby', 'alice', 1500, 'Welcome to the lobby. There is tea in the kitchen.'],
	['lobby', 'carol', 1493, 'Thank you! Is the reading still on Thursday?'],
	['lobby', 'alice', 1492, 'It is. Seven o’clock, upstairs.'],
	['lobby', 'mei', 1440, '大家好，我剛加入，請多指教。'],
	['lobby', 'bob', 1436, 'Welcome, 美玲! The tea is in the kitchen, and so am I.'],
	['lobby', 'wei', 64, '星期四有人要一起騎車過去嗎？'],
	['lobby', 'mei', 61, '我可以，六點半在車站見？'],
	['lobby', 'carol', 44, 'I will bring the second chapter, if anybody wants to hear it.'],
	['lobby', 'carol', 43, 'It is shorter than the first one, I promise.'],
	['lobby', 'bob', 12, 'Please do. I have fixed the lamp, so you can even read it.'],
	['workshop', 'bob', 320, 'The old receiver hums again. Two capacitors, both leaking.'],
	['workshop', 'carol', 300, 'Can it be heard outside?'],
	['workshop', 'bob', 291, 'Only by those who know what to listen for.'],
	['teahouse', 'mei', 200, '今天喝的是高山烏龍，很香。'],
	['teahouse', 'wei', 188, '配花生最好。'],
	['teahouse', 'alice', 180, '我的中文還不太好，可是很喜歡這裡！'],
	['backstage', 'alice', 90, 'Twelve chairs on Thursday, or sixteen?'],
	['backstage', 'bob', 85, 'Sixteen. Somebody always brings friends.'],
];
foreach ($said as [$room, $sender, $minutes, $text]) {
	$user = find_user($db, $sender);
	execute($db, "INSERT INTO messages(id, room_id, sender_id, sender_name, sender_avatar, content, timestamp)
		VALUES (?, ?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?))",
	    [new_id(), $room, $sender, $user['name'], $user['avatar'], $text, "-$minutes minutes"]);
}
// What is new to each of them: the last few of a room.
$db->exec('INSERT INTO room_reads(user_id, room_id, seq) SELECT u.id, r.id,
	coalesce((SELECT max(rowid) FROM messages WHERE room_id = r.id), 0) - (r.rowid % 3) FROM users u, rooms r');
$db->commit();

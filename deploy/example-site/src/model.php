<?php
// The site's data: every query it makes, all prepared, all on its own tables.
declare(strict_types=1);

const COLOURS = ['teal', 'blue', 'violet', 'pink', 'red', 'orange', 'green', 'brown', 'slate'];
const NAME_MAX = 40;
const ROOM_NAME_MAX = 60;
const BIO_MAX = 300;
const MESSAGE_MAX = 4000;
const PAGE = 50;		// messages
const UNREAD_MAX = 100;		// ids told of a room
const PEOPLE_MAX = 500;

function rows(PDO $db, string $sql, array $values = []): array
{
	$st = $db->prepare($sql);
	$st->execute($values);
	return $st->fetchAll();
}

function row(PDO $db, string $sql, array $values = []): ?array
{
	return rows($db, $sql, $values)[0] ?? null;
}

function execute(PDO $db, string $sql, array $values = []): int
{
	$st = $db->prepare($sql);
	$st->execute($values);
	return $st->rowCount();
}

function new_id(): string
{
	return bin2hex(random_bytes(16));
}

// --- people ---

function find_user(PDO $db, string $id): ?array
{
	return row($db, 'SELECT id, name, avatar, bio, password_hash FROM users WHERE id = ?', [$id]);
}

function find_user_named(PDO $db, string $name): ?array
{
	return row($db, 'SELECT id, name, avatar, bio, password_hash FROM users WHERE name = ?', [$name]);
}

function add_user(PDO $db, string $name): array
{
	$id = new_id();
	$db->beginTransaction();
	execute($db, 'INSERT INTO users(id, name, avatar) VALUES (?, ?, ?)',
	    [$id, $name, COLOURS[random_int(0, count(COLOURS) - 1)]]);
	// A newcomer is in the first public room, and starts with nothing unread.
	execute($db, 'INSERT INTO room_members(room_id, user_id)
		SELECT id, ? FROM rooms WHERE NOT is_private ORDER BY rowid LIMIT 1', [$id]);
	execute($db, 'INSERT INTO room_reads(user_id, room_id, seq)
		SELECT ?, id, coalesce((SELECT max(rowid) FROM messages), 0) FROM rooms', [$id]);
	$db->commit();
	return find_user($db, $id);
}

function people(PDO $db): array
{
	return array_map(fn($u) => ['id' => $u['id'], 'name' => $u['name'], 'avatar' => $u['avatar'],
	    'bio' => $u['bio'], 'isOnline' => (bool)$u['is_online']],
	    rows($db, 'SELECT id, name, avatar, bio, is_online FROM users ORDER BY name LIMIT ' . PEOPLE_MAX));
}

function blocked(PDO $db, string $me): array
{
	return array_column(rows($db, "SELECT target_id FROM user_relationships
		WHERE user_id = ? AND relationship_type = 'blocked'", [$me]), 'target_id');
}

function is_locked_out(PDO $db, string $name): bool
{
	execute($db, 'DELETE FROM failed_sign_ins WHERE at < ?', [time() - 900]);
	return row($db, 'SELECT count(*) AS n FROM failed_sign_ins WHERE name = ?', [$name])['n'] >= 10;
}

// --- rooms ---

const ROOM = 'SELECT r.id, r.name, r.description, r.is_private, r.created_by,
	EXISTS (SELECT 1 FROM room_members m WHERE m.room_id = r.id AND m.user_id = :me) AS is_member FROM rooms r';

function as_room(array $r): array
{
	return ['id' => $r['id'], 'name' => $r['name'], 'description' => $r['description'],
	    'isPrivate' => (bool)$r['is_private'], 'createdBy' => $r['created_by'], 'isMember' => (bool)$r['is_member']];
}

// The rooms that this user may enter, with the ids of what is unread in his own.
function rooms_of(PDO $db, string $me): array
{
	$rooms = array_map('as_room', array_filter(rows($db, ROOM . ' ORDER BY r.rowid', ['me' => $me]),
	    fn($r) => !$r['is_private'] || $r['is_member']));
	return array_map(fn($r) => $r + ['unread' => $r['isMember'] ? unread($db, $me, $r['id']) : []], array_values($rooms));
}

function unread(PDO $db, string $me, string $room): array
{
	return array_column(rows($db, "SELECT id FROM messages WHERE room_id = :room AND sender_id <> :me AND rowid >
			coalesce((SELECT seq FROM room_reads WHERE user_id = :me AND room_id = :room), 0)
		AND sender_id NOT IN (SELECT target_id FROM user_relationships
			WHERE user_id = :me AND relationship_type = 'blocked')
		ORDER BY rowid DESC LIMIT " . UNREAD_MAX, ['me' => $me, 'room' => $room]), 'id');
}

// The room, if this user may enter it.
function find_room(PDO $db, string $me, string $id): ?array
{
	$r = row($db, ROOM . ' WHERE r.id = :id', ['me' => $me, 'id' => $id]);
	return $r !== null && (!$r['is_private'] || $r['is_member']) ? as_room($r) : null;
}

function members(PDO $db, string $room): array
{
	return rows($db, 'SELECT u.id, u.name, u.avatar FROM room_members m JOIN users u ON u.id = m.user_id
		WHERE m.room_id = ? ORDER BY u.name LIMIT ' . PEOPLE_MAX, [$room]);
}

function add_member(PDO $db, string $room, string $user): void
{
	execute($db, 'INSERT OR IGNORE INTO room_members(room_id, user_id) VALUES (?, ?)', [$room, $user]);
}

function add_room(PDO $db, string $me, string $name, string $description, bool $is_private): string
{
	$id = new_id();
	$db->beginTransaction();
	execute($db, 'INSERT INTO rooms(id, name, description, is_private, created_by) VALUES (?, ?, ?, ?, ?)',
	    [$id, $name, $description, (int)$is_private, $me]);
	add_member($db, $id, $me);
	$db->commit();
	return $id;
}

// --- messages ---

// A page of a room, oldest first, before a message or at the end; more: there are older ones.
function messages(PDO $db, string $me, string $room, ?string $before = null): array
{
	$found = rows($db, "SELECT id, sender_id, sender_name, sender_avatar, content, type, timestamp FROM messages
		WHERE room_id = :room AND rowid < coalesce((SELECT rowid FROM messages WHERE id = :before AND room_id = :room),
			9223372036854775807)
		AND sender_id NOT IN (SELECT target_id FROM user_relationships
			WHERE user_id = :me AND relationship_type = 'blocked')
		ORDER BY rowid DESC LIMIT " . (PAGE + 1), ['me' => $me, 'room' => $room, 'before' => $before]);
	return ['more' => count($found) > PAGE, 'messages' => array_map(fn($m) => ['id' => $m['id'], 'roomId' => $room,
	    'senderId' => $m['sender_id'], 'senderName' => $m['sender_name'], 'senderAvatar' => $m['sender_avatar'],
	    'content' => $m['content'], 'type' => $m['type'], 'timestamp' => $m['timestamp']],
	    array_reverse(array_slice($found, 0, PAGE)))];
}

function add_message(PDO $db, array $me, string $room, string $content): void
{
	execute($db, 'INSERT INTO messages(id, room_id, sender_id, sender_name, sender_avatar, content)
		VALUES (?, ?, ?, ?, ?, ?)', [new_id(), $room, $me['id'], $me['name'], $me['avatar'], $content]);
}

function find_own_message(PDO $db, string $me, string $id): array
{
	return row($db, 'SELECT id, room_id, content FROM messages WHERE id = ? AND sender_id = ?', [$id, $me]) ??
	    throw new Refusal('error_not_yours', 403);
}

// Up to a message of the room, or all that is there.
function mark_read(PDO $db, string $me, string $room, ?string $message = null): void
{
	execute($db, 'INSERT INTO room_reads(user_id, room_id, seq)
		SELECT :me, :room, coalesce(max(rowid), 0) FROM messages WHERE room_id = :room AND (:id IS NULL OR id = :id)
		ON CONFLICT(user_id, room_id) DO UPDATE SET seq = max(seq, excluded.seq)',
	    ['me' => $me, 'room' => $room, 'id' => $message]);
}

// What the page's script begins with, and asks for again when it cannot know.
function state(PDO $db, array $me): array
{
	return ['me' => ['id' => $me['id'], 'name' => $me['name'], 'avatar' => $me['avatar']],
	    'rooms' => rooms_of($db, $me['id']), 'people' => people($db), 'blocked' => blocked($db, $me['id'])];
}

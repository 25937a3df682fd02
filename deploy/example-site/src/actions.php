<?php
// What forms and the page's script may do: one function each, named in ACTIONS.  It takes
// the form's fields and who asks, writes to the site's tables, and returns where to go.
declare(strict_types=1);

const ACTIONS = [
	'sign-in' => 'do_sign_in', 'sign-out' => 'do_sign_out', 'look' => 'do_look', 'profile' => 'do_profile',
	'message' => 'do_message', 'edit' => 'do_edit', 'delete' => 'do_delete', 'read' => 'do_read',
	'create' => 'do_create', 'join' => 'do_join', 'leave' => 'do_leave', 'invite' => 'do_invite',
	'block' => 'do_block', 'unblock' => 'do_unblock',
];
const OPEN_ACTIONS = ['sign-in', 'look'];	// without being signed in

// A single line of min to max characters.
function line(array $in, string $name, int $min, int $max, string $error): string
{
	$text = trim(preg_replace('/\s+/u', ' ', field($in, $name)));
	$len = iconv_strlen($text, 'UTF-8');
	return $len >= $min && $len <= $max ? $text : throw new Refusal($error);
}

function message_text(array $in): string
{
	$text = trim(field($in, 'content'));
	return $text !== '' && iconv_strlen($text, 'UTF-8') <= MESSAGE_MAX ? $text : throw new Refusal('error_message');
}

function room_asked_for(array $in, array $me): array
{
	return find_room(db(), $me['id'], field($in, 'room')) ?? throw new Refusal('error_room', 404);
}

function room_url(string $id): string
{
	return './?room=' . rawurlencode($id);
}

function do_sign_in(array $in): string
{
	$name = line($in, 'name', 1, NAME_MAX, 'error_name');
	$user = find_user_named(db(), $name);
	if ($user !== null && $user['password_hash'] !== null) {
		if (is_locked_out(db(), $name))
			throw new Refusal('error_locked', 429);
		if (!password_verify(field($in, 'password'), $user['password_hash'])) {
			execute(db(), 'INSERT INTO failed_sign_ins(name, at) VALUES (?, ?)', [$name, time()]);
			throw new Refusal('error_password', 403);
		}
	}
	$user ??= add_user(db(), $name);
	session_regenerate_id(true);
	$_SESSION = ['user' => $user['id'], 'csrf' => bin2hex(random_bytes(16))];
	return './';
}

function do_sign_out(): string
{
	$_SESSION = [];
	session_regenerate_id(true);
	return './';
}

function do_look(array $in): string
{
	$lang = field($in, 'lang');
	$theme = field($in, 'theme');
	if (isset(LANGUAGES[$lang]))
		set_look('lang', $lang);
	if (in_array($theme, ['auto', 'light', 'dark'], true))
		set_look('theme', $theme);
	$room = field($in, 'room');
	return $room === '' ? './' : room_url($room);
}

function do_profile(array $in, array $me): string
{
	$name = line($in, 'name', 1, NAME_MAX, 'error_name');
	$bio = trim(field($in, 'bio'));
	$avatar = field($in, 'avatar');
	$password = field($in, 'password');
	$owner = find_user_named(db(), $name);
	if ($owner !== null && $owner['id'] !== $me['id'])
		throw new Refusal('error_name_taken');
	if (iconv_strlen($bio, 'UTF-8') > BIO_MAX || !in_array($avatar, COLOURS, true))
		throw new Refusal('error_too_long');
	if ($password !== '' && (strlen($password) < 8 || strlen($password) > 72))
		throw new Refusal('error_password_short');
	execute(db(), "UPDATE users SET name = ?, bio = ?, avatar = ?, password_hash = coalesce(?, password_hash),
		updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?",
	    [$name, $bio, $avatar, $password === '' ? null : password_hash($password, PASSWORD_DEFAULT), $me['id']]);
	return './';
}

function do_message(array $in, array $me): string
{
	$room = room_asked_for($in, $me);
	add_message(db(), $me, $room['id'], message_text($in));
	return room_url($room['id']) . '#write';
}

function do_edit(array $in, array $me): string
{
	$message = find_own_message(db(), $me['id'], field($in, 'id'));
	execute(db(), "UPDATE messages SET content = ?, type = 'edited' WHERE id = ? AND content <> ?",
	    [$text = message_text($in), $message['id'], $text]);
	return room_url($message['room_id']) . '#m-' . rawurlencode($message['id']);
}

function do_delete(array $in, array $me): string
{
	$message = find_own_message(db(), $me['id'], field($in, 'id'));
	execute(db(), 'DELETE FROM messages WHERE id = ?', [$message['id']]);
	return room_url($message['room_id']);
}

function do_read(array $in, array $me): string
{
	$room = room_asked_for($in, $me);
	mark_read(db(), $me['id'], $room['id'], field($in, 'id') ?: null);
	return room_url($room['id']);
}

function do_create(array $in, array $me): string
{
	$name = line($in, 'name', 1, ROOM_NAME_MAX, 'error_room_name');
	$description = line($in, 'description', 0, BIO_MAX, 'error_too_long');
	return room_url(add_room(db(), $me['id'], $name, $description, field($in, 'private') !== ''));
}

function do_join(array $in, array $me): string
{
	$room = room_asked_for($in, $me);
	add_member(db(), $room['id'], $me['id']);
	mark_read(db(), $me['id'], $room['id']);
	return room_url($room['id']);
}

function do_leave(array $in, array $me): string
{
	$room = room_asked_for($in, $me);
	execute(db(), 'DELETE FROM room_members WHERE room_id = ? AND user_id = ?', [$room['id'], $me['id']]);
	return './';
}

function do_invite(array $in, array $me): string
{
	$room = room_asked_for($in, $me);
	$guest = find_user_named(db(), line($in, 'name', 1, NAME_MAX, 'error_person')) ?? throw new Refusal('error_person', 404);
	if (!$room['isMember'])
		throw new Refusal('error_not_yours', 403);
	add_member(db(), $room['id'], $guest['id']);
	return room_url($room['id']);
}

function do_block(array $in, array $me): string
{
	$person = find_user(db(), field($in, 'user')) ?? throw new Refusal('error_person', 404);
	if ($person['id'] === $me['id'])
		throw new Refusal('error_not_yours', 403);
	execute(db(), "INSERT OR IGNORE INTO user_relationships(user_id, target_id, relationship_type)
		VALUES (?, ?, 'blocked')", [$me['id'], $person['id']]);
	return './';
}

function do_unblock(array $in, array $me): string
{
	execute(db(), "DELETE FROM user_relationships WHERE user_id = ? AND target_id = ? AND relationship_type = 'blocked'",
	    [$me['id'], field($in, 'user')]);
	return './';
}

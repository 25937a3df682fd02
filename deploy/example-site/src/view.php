<?php
// The site's pages as HTML.  Everything that is not markup passes through e().
declare(strict_types=1);

function e(?string $text): string
{
	return htmlspecialchars($text ?? '', ENT_QUOTES | ENT_SUBSTITUTE | ENT_HTML5, 'UTF-8');
}

function et(string $key, array $values = []): string
{
	return e(t($key, $values));
}

// The first letters of a name, in the colour that its owner chose.
function avatar(?string $name, ?string $colour): string
{
	$colour = in_array($colour, COLOURS, true) ? $colour : 'slate';
	$words = preg_split('/\s+/u', trim($name ?? ''), 2);
	$letters = iconv_substr($words[0], 0, 1, 'UTF-8') . (isset($words[1]) ? iconv_substr($words[1], 0, 1, 'UTF-8') : '');
	return '<span class="avatar c-' . $colour . '" aria-hidden="true">' . e($letters === '' ? '?' : $letters) . '</span>';
}

// An icon of the sprite.
function icon(string $name): string
{
	return '<svg class="icon" aria-hidden="true"><use href="icons.svg#' . $name . '"></use></svg>';
}

function csrf(): string
{
	return '<input type="hidden" name="csrf" value="' . e($_SESSION['csrf']) . '">';
}

function hidden(string $name, string $value): string
{
	return '<input type="hidden" name="' . e($name) . '" value="' . e($value) . '">';
}

function print_head(string $title, string $class): void
{
	send_headers('text/html');
	?><!doctype html>
<html lang="<?= e(language()) ?>" data-theme="<?= e(theme()) ?>">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
<meta name="color-scheme" content="light dark">
<title><?= e($title) ?></title>
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="style.css">
<?php if ($class === 'chat') { ?>
<script type="module" src="js/main.js"></script>
<?php } ?>
</head>
<body class="<?= e($class) ?>">
<?php
}

function print_look(string $room = ''): void
{
	?>
<form class="look" method="post" action="action.php">
<?= csrf() ?><?= hidden('do', 'look') ?><?= hidden('room', $room) ?>
<label><span class="hide"><?= et('language') ?></span>
<select name="lang"><?php foreach (LANGUAGES as $code => $name) { ?>
<option value="<?= e($code) ?>" lang="<?= e($code) ?>"<?= $code === language() ? ' selected' : '' ?>><?= e($name) ?></option>
<?php } ?></select></label>
<label><span class="hide"><?= et('theme') ?></span>
<select name="theme"><?php foreach (['auto', 'light', 'dark'] as $theme) { ?>
<option value="<?= $theme ?>"<?= $theme === theme() ? ' selected' : '' ?>><?= et("theme_$theme") ?></option>
<?php } ?></select></label>
<button class="quiet no-script"><?= et('apply') ?></button>
</form>
<?php
}

function print_notice(): void
{
	$text = $_SESSION['notice'] ?? '';
	unset($_SESSION['notice']);
	if ($text !== '')
		echo '<p class="error" role="alert">' . et($text) . '</p>';
}

function print_sign_in(): void
{
	print_head(t('sign_in') . ' · ' . t('site'), 'door');
	?>
<main class="card">
<p class="brand"><img src="icon.svg" alt="" width="40" height="40"> <?= et('site') ?></p>
<h1><?= et('sign_in') ?></h1>
<p class="soft"><?= et('sign_in_intro') ?></p>
<?php print_notice() ?>
<form method="post" action="action.php">
<?= csrf() ?><?= hidden('do', 'sign-in') ?>
<label for="name"><?= et('your_name') ?></label>
<input id="name" name="name" required maxlength="<?= NAME_MAX ?>" autocomplete="username" autofocus>
<label for="password"><?= et('password') ?></label>
<input id="password" name="password" type="password" maxlength="72" autocomplete="current-password" aria-describedby="hint">
<p class="hint" id="hint"><?= et('password_hint') ?></p>
<button class="main-button"><?= et('sign_in') ?></button>
</form>
<?php print_look() ?>
</main>
</body>
</html>
<?php
}

// --- small pages, which the script shows in a dialog ---

// print: prints what is inside.
function print_card(string $title, callable $print): void
{
	$is_part = isset($_SERVER['HTTP_X_FRAGMENT']);
	if ($is_part)
		send_headers('text/html');
	else
		print_head($title . ' · ' . t('site'), 'door');
	echo $is_part ? '' : '<main class="card"><p><a href="./">' . icon('back') . ' ' . et('back') . '</a></p>';
	echo '<h1 id="card-title">' . e($title) . '</h1>';
	if (!$is_part)
		print_notice();
	$print();
	echo $is_part ? '' : "</main>\n</body>\n</html>\n";
}

function print_new_room(): void
{
	?>
<form method="post" action="action.php">
<?= csrf() ?><?= hidden('do', 'create') ?>
<label for="room-name"><?= et('room_name') ?></label>
<input id="room-name" name="name" required maxlength="<?= ROOM_NAME_MAX ?>" autocomplete="off" autofocus>
<label for="room-about"><?= et('room_description') ?></label>
<input id="room-about" name="description" maxlength="<?= BIO_MAX ?>" autocomplete="off">
<label class="check"><input type="checkbox" name="private" value="1"> <?= et('room_private') ?></label>
<button class="main-button"><?= et('create') ?></button>
</form>
<?php
}

function print_profile(array $me): void
{
	?>
<form method="post" action="action.php">
<?= csrf() ?><?= hidden('do', 'profile') ?>
<label for="my-name"><?= et('your_name') ?></label>
<input id="my-name" name="name" required maxlength="<?= NAME_MAX ?>" value="<?= e($me['name']) ?>" autocomplete="username">
<label for="my-bio"><?= et('bio') ?></label>
<textarea id="my-bio" name="bio" rows="3" maxlength="<?= BIO_MAX ?>"><?= e($me['bio']) ?></textarea>
<fieldset class="colours"><legend><?= et('colour') ?></legend>
<?php foreach (COLOURS as $colour) { ?>
<label><input type="radio" name="avatar" value="<?= $colour ?>"<?= $colour === $me['avatar'] ? ' checked' : '' ?>>
<span class="swatch c-<?= $colour ?>"></span><span class="hide"><?= et("colour_$colour") ?></span></label>
<?php } ?>
</fieldset>
<label for="my-password"><?= et('password_new') ?></label>
<input id="my-password" name="password" type="password" minlength="8" maxlength="72" autocomplete="new-password" aria-describedby="my-hint">
<p class="hint" id="my-hint"><?= et('password_new_hint') ?></p>
<button class="main-button"><?= et('save') ?></button>
</form>
<form method="post" action="action.php"><?= csrf() ?><?= hidden('do', 'sign-out') ?>
<button class="quiet" data-leaves><?= et('sign_out') ?></button></form>
<?php
}

function print_person(array $me, array $person): void
{
	$is_blocked = in_array($person['id'], blocked(db(), $me['id']), true);
	?>
<p class="person-head"><?= avatar($person['name'], $person['avatar']) ?> <span><?= e($person['name']) ?></span></p>
<p class="bio"><?= $person['bio'] === '' ? '<span class="soft">' . et('no_bio') . '</span>' : nl2br(e($person['bio'])) ?></p>
<?php if ($person['id'] !== $me['id']) { ?>
<form method="post" action="action.php"><?= csrf() ?><?= hidden('user', $person['id']) ?>
<?= hidden('do', $is_blocked ? 'unblock' : 'block') ?>
<p class="hint"><?= et('block_hint') ?></p>
<button class="<?= $is_blocked ? 'main-button' : 'danger' ?>"><?= et($is_blocked ? 'unblock' : 'block') ?></button></form>
<?php
	}
}

function print_room(array $room): void
{
	?>
<p class="bio"><?= e($room['description']) ?></p>
<?php if ($room['isPrivate']) { ?><p class="soft"><?= icon('lock') ?> <?= et('private_room') ?></p><?php } ?>
<h2><?= et('members') ?></h2>
<ul class="member-list"><?php foreach (members(db(), $room['id']) as $m) { ?>
<li><?= avatar($m['name'], $m['avatar']) ?> <?= e($m['name']) ?></li>
<?php } ?></ul>
<?php if ($room['isMember']) { ?>
<form method="post" action="action.php"><?= csrf() ?><?= hidden('do', 'invite') ?><?= hidden('room', $room['id']) ?>
<label for="guest"><?= et('invite_name') ?></label>
<div class="row"><input id="guest" name="name" required maxlength="<?= NAME_MAX ?>" autocomplete="off">
<button class="main-button"><?= et('invite') ?></button></div></form>
<form method="post" action="action.php"><?= csrf() ?><?= hidden('do', 'leave') ?><?= hidden('room', $room['id']) ?>
<button class="danger"><?= et('leave') ?></button></form>
<?php
	}
}

// --- the chat ---

function print_room_list(array $rooms, string $open, bool $is_mine): void
{
	echo '<ul class="room-list" data-list="' . ($is_mine ? 'mine' : 'others') . '">';
	foreach ($rooms as $r) {
		if ($r['isMember'] !== $is_mine)
			continue;
		$n = $r['id'] === $open ? 0 : count($r['unread']);
		echo '<li><a href="./?room=' . e(rawurlencode($r['id'])) . '" data-room="' . e($r['id']) . '"',
		    $r['id'] === $open ? ' aria-current="page"' : '', '>', icon($r['isPrivate'] ? 'lock' : 'hash'),
		    '<span class="name">', e($r['name']), '</span>',
		    $n > 0 ? '<span class="badge"><span aria-hidden="true">' . ($n >= UNREAD_MAX ? '99+' : $n) .
		    '</span><span class="hide">' . et('unread', ['n' => $n]) . '</span></span>' : '', '</a></li>';
	}
	echo '</ul>';
}

function print_message(array $m, array $me, string $room, bool $is_edited_now): void
{
	$is_mine = $m['senderId'] === $me['id'];
	?>
<li class="msg<?= $is_mine ? ' own' : '' ?>" id="m-<?= e($m['id']) ?>"><?= avatar($m['senderName'], $m['senderAvatar']) ?>
<div class="said"><p class="by"><a class="who" href="./?page=person&amp;id=<?= e(rawurlencode($m['senderId'])) ?>"><?= e($m['senderName']) ?></a>
<time datetime="<?= e($m['timestamp']) ?>"><?= e(strtr(substr($m['timestamp'], 0, 16), 'T', ' ')) ?> UTC</time></p>
<?php if ($is_mine && $is_edited_now) { ?>
<form class="edit-form" method="post" action="action.php"><?= csrf() ?><?= hidden('do', 'edit') ?><?= hidden('id', $m['id']) ?>
<textarea name="content" rows="3" maxlength="<?= MESSAGE_MAX ?>" aria-label="<?= et('edit_label') ?>" autofocus><?= e($m['content']) ?></textarea>
<button class="main-button"><?= et('save') ?></button> <a href="./?room=<?= e(rawurlencode($room)) ?>"><?= et('cancel') ?></a></form>
<?php } else { ?>
<p class="text"><?= e($m['content']) ?></p><?= $m['type'] === 'edited' ? '<span class="mark">' . et('edited') . '</span>' : '' ?>
<?php if ($is_mine) { ?>
<form class="tools" method="post" action="action.php"><?= csrf() ?><?= hidden('do', 'delete') ?><?= hidden('id', $m['id']) ?>
<a class="quiet" href="./?room=<?= e(rawurlencode($room)) ?>&amp;edit=<?= e(rawurlencode($m['id'])) ?>#m-<?= e($m['id']) ?>"><?= et('edit') ?></a>
<button class="quiet"><?= et('delete') ?></button></form>
<?php } } ?>
</div></li>
<?php
}

function print_people(array $people, array $me, array $blocked): void
{
	foreach ([true, false] as $is_online) {
		$some = array_filter($people, fn($p) => ($p['isOnline'] || $p['id'] === $me['id']) === $is_online);
		echo '<section', $some ? '' : ' hidden', '><h3>', et($is_online ? 'online' : 'offline'),
		    ' <span class="count">', count($some), '</span></h3><ul class="people-list" data-list="',
		    $is_online ? 'online' : 'offline', '">';
		foreach ($some as $p)
			echo '<li><a href="./?page=person&amp;id=', e(rawurlencode($p['id'])), '" data-dialog>', avatar($p['name'], $p['avatar']),
			    '<span class="name">', e($p['name']), '</span>',
			    $p['id'] === $me['id'] ? ' <span class="soft">(' . et('you') . ')</span>' : '',
			    in_array($p['id'], $blocked, true) ? ' <span class="soft">' . et('blocked') . '</span>' : '', '</a></li>';
		echo '</ul></section>';
	}
}

function print_chat(array $me, ?array $room, array $page, array $state, string $edit): void
{
	$name = $room['name'] ?? t('no_room');
	print_head(($room === null ? '' : "$name · ") . t('site'), 'chat');
	$open = $room['id'] ?? '';
	?>
<a class="skip" href="#write"><?= et('skip') ?></a>
<div class="app">
<nav class="side" id="rooms" aria-label="<?= et('rooms') ?>" tabindex="-1">
<div class="side-head"><a class="brand" href="./"><img src="icon.svg" alt="" width="28" height="28"><?= et('site') ?></a>
<a class="quiet close" href="#main" aria-label="<?= et('close') ?>"><?= icon('close') ?></a></div>
<div class="side-scroll">
<h2><?= et('your_rooms') ?></h2>
<?php print_room_list($state['rooms'], $open, true) ?>
<p class="soft none" hidden><?= et('no_rooms') ?></p>
<a class="new-room" href="./?page=new-room" data-dialog><?= icon('plus') ?><?= et('new_room') ?></a>
<div class="others"><h2><?= et('other_rooms') ?></h2>
<?php print_room_list($state['rooms'], $open, false) ?></div>
</div>
<div class="side-foot"><a class="me" href="./?page=profile" data-dialog aria-label="<?= et('profile') ?>"><?= avatar($me['name'], $me['avatar']) ?>
<span class="name"><?= e($me['name']) ?></span><?= icon('settings') ?></a>
<?php print_look($open) ?></div>
</nav>
<main class="main" id="main" tabindex="-1">
<header class="head">
<a class="quiet menu" href="#rooms" aria-label="<?= et('rooms') ?>" data-drawer="rooms"><?= icon('menu') ?><span class="dot-unread" hidden></span></a>
<div class="title"><h1><?= e($name) ?></h1><p class="soft about"><?= e($room['description'] ?? '') ?></p></div>
<a class="quiet info" href="./?page=room&amp;id=<?= e(rawurlencode($open)) ?>" data-dialog aria-label="<?= et('about_room') ?>"<?= $room === null ? ' hidden' : '' ?>><?= icon('info') ?></a>
<a class="quiet crowd" href="#people" aria-label="<?= et('people') ?>" data-drawer="people"><?= icon('people') ?></a>
</header>
<?php print_notice() ?>
<p class="toast error" role="alert" hidden></p>
<div class="log" id="log" role="log" aria-live="polite" aria-relevant="additions" tabindex="0" aria-label="<?= et('messages', ['room' => $name]) ?>">
<p class="older"<?= $page['more'] ? '' : ' hidden' ?>><a class="quiet" href="./?room=<?= e(rawurlencode($open)) ?>&amp;before=<?= e(rawurlencode($page['messages'][0]['id'] ?? '')) ?>"><?= et('older') ?></a></p>
<div class="empty"<?= $page['messages'] || $room === null ? ' hidden' : '' ?>><?= icon('chat') ?><p><strong><?= et('empty_room') ?></strong><br><?= et('empty_room_hint') ?></p></div>
<?php if ($room === null) { ?><div class="empty"><p><strong><?= et('no_room') ?></strong><br><?= et('no_room_hint') ?></p></div><?php } ?>
<ol class="messages" id="messages">
<?php foreach ($page['messages'] as $m)
	print_message($m, $me, $open, $m['id'] === $edit); ?>
</ol>
</div>
<p class="below"><span class="typing" id="typing"></span><button class="newest" type="button" hidden><?= icon('down') ?><?= et('newest') ?></button></p>
<form class="join" method="post" action="action.php"<?= $room !== null && !$room['isMember'] ? '' : ' hidden' ?>>
<?= csrf() ?><?= hidden('do', 'join') ?><?= hidden('room', $open) ?>
<span><?= et('join_hint') ?></span> <button class="main-button"><?= et('join') ?></button></form>
<form class="composer" id="composer" method="post" action="action.php"<?= $room === null ? ' hidden' : '' ?>>
<?= csrf() ?><?= hidden('do', 'message') ?><?= hidden('room', $open) ?>
<textarea id="write" name="content" rows="1" required maxlength="<?= MESSAGE_MAX ?>" aria-label="<?= et('write', ['room' => $name]) ?>"
 placeholder="<?= et('write', ['room' => $name]) ?>" aria-describedby="write-hint" enterkeyhint="send"></textarea>
<button class="main-button send" aria-label="<?= et('send') ?>"><?= icon('send') ?></button>
<span class="hide" id="write-hint"><?= et('write_hint') ?></span>
</form>
<noscript><p class="line"><?= et('no_script') ?> <a href="./?room=<?= e(rawurlencode($open)) ?>"><?= et('reload') ?></a></p></noscript>
<div class="line" id="line" role="group" aria-label="<?= et('connection') ?>" hidden>
<span class="state" role="status"><span class="dot"></span><span id="status"><?= et('status_connecting') ?></span></span>
<span class="unsent" id="unsent"></span>
<label class="switch"><input type="checkbox" role="switch" id="polling"><span class="knob"></span><?= et('polling_only') ?></label>
</div>
</main>
<aside class="people" id="people" aria-label="<?= et('people') ?>" tabindex="-1">
<div class="side-head"><h2><?= et('people') ?></h2><a class="quiet close" href="#main" aria-label="<?= et('close') ?>"><?= icon('close') ?></a></div>
<div class="side-scroll"><?php print_people($state['people'], $me, $state['blocked']) ?></div>
</aside>
</div>
<dialog id="dialog" aria-labelledby="card-title"></dialog>
<script type="application/json" id="start"><?= json_for_page(['csrf' => $_SESSION['csrf'], 'lang' => language(),
    'strings' => strings(), 'state' => $state, 'open' => $room === null ? null : $open, 'page' => $page]) ?></script>
</body>
</html>
<?php
}

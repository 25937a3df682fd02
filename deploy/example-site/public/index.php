<?php
// The pages: the door, the chat, and the small ones that the script shows in a dialog.
declare(strict_types=1);
require __DIR__ . '/../src/base.php';
require __DIR__ . '/../src/view.php';

start_session();
$me = me();
if ($me === null) {
	print_sign_in();
	exit;
}

function show_card(array $me, string $page): void
{
	$id = field($_GET, 'id');
	$person = $page === 'person' ? find_user(db(), $id) : null;
	$room = $page === 'room' ? find_room(db(), $me['id'], $id) : null;
	if ($page === 'new-room') {
		print_card(t('new_room'), fn() => print_new_room());
	} elseif ($page === 'profile') {
		print_card(t('profile'), fn() => print_profile($me));
	} elseif ($person !== null) {
		print_card($person['name'], fn() => print_person($me, $person));
	} elseif ($room !== null) {
		print_card($room['name'], fn() => print_room($room));
	} else {
		http_response_code(404);
		print_card(t($page === 'person' ? 'error_person' : 'error_room'), fn() => null);
	}
}

function show_chat(array $me): void
{
	$state = state(db(), $me);
	$asked = field($_GET, 'room');
	$room = $asked === '' ? null : find_room(db(), $me['id'], $asked);
	if ($asked !== '' && $room === null) {
		http_response_code(404);
		$_SESSION['notice'] = 'error_room';
	}
	// His own first, then any that he may enter.
	foreach ([true, false] as $is_mine)
		foreach ($state['rooms'] as $r)
			if ($room === null && $r['isMember'] === $is_mine)
				$room = $r;
	$before = field($_GET, 'before');
	$page = $room === null ? ['more' => false, 'messages' => []] :
	    messages(db(), $me['id'], $room['id'], $before === '' ? null : $before);
	if ($room !== null && $before === '')
		mark_read(db(), $me['id'], $room['id']);
	print_chat($me, $room, $page, $state, field($_GET, 'edit'));
}

$page = field($_GET, 'page');
if ($page !== '')
	show_card($me, $page);
else
	show_chat($me);

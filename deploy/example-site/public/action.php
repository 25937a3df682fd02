<?php
// Every change: forms are sent on to a page, the script (Accept: application/json) is
// answered where it would go.
declare(strict_types=1);
require __DIR__ . '/../src/base.php';
require __DIR__ . '/../src/actions.php';

start_session();
$is_script = str_contains($_SERVER['HTTP_ACCEPT'] ?? '', 'application/json');

function perform(array $in): string
{
	if ($_SERVER['REQUEST_METHOD'] !== 'POST')
		throw new Refusal('error_action', 405);
	if (!is_form_genuine($in))
		throw new Refusal('error_form', 403);
	$action = field($in, 'do');
	if (!isset(ACTIONS[$action]))
		throw new Refusal('error_action', 404);
	$me = me();
	if ($me === null && !in_array($action, OPEN_ACTIONS, true))
		throw new Refusal('error_sign_in', 401);
	return ACTIONS[$action]($in, $me);
}

try {
	$to = perform($_POST);
	if ($is_script)
		answer_json(['to' => $to]);
} catch (Refusal $refusal) {
	if ($is_script)
		answer_json(['error' => t($refusal->getMessage()), 'code' => $refusal->getMessage()], $refusal->status);
	$_SESSION['notice'] = $refusal->getMessage();
	$room = field($_POST, 'room');
	$to = $room === '' ? './' : './?room=' . rawurlencode($room);
}
send_headers('text/plain');
header("Location: $to", true, 303);

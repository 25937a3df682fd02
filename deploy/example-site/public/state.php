<?php
// Rooms, people and what is unread, for the page's script.
declare(strict_types=1);
require __DIR__ . '/../src/base.php';

start_session();
session_write_close();
$me = me();
if ($me === null)
	answer_json(['error' => t('error_sign_in')], 401);
answer_json(state(db(), $me));

<?php
// The token with which this browser's script speaks to Sidewire: short-lived, asked for again
// when it ends.
declare(strict_types=1);
require __DIR__ . '/../src/base.php';
require __DIR__ . '/../src/sidewire.php';

start_session();
session_write_close();
$me = me();
if ($me === null)
	answer_json(['error' => t('error_sign_in')], 401);
$key = rtrim((string)file_get_contents(setting('KEY_FILE', '/etc/sidewire/jwt.key')), "\n");
answer_json(['token' => sidewire_token($me['id'], $key, (int)setting('TOKEN_TTL', '3600'))]);

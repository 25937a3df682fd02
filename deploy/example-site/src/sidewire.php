<?php
// All that this site knows of Sidewire: the key that both share signs who somebody is
// (HS256, RFC 7515 and 7519).
declare(strict_types=1);

function sidewire_token(string $user_id, string $key, int $ttl_s): string
{
	$b64 = fn(string $x): string => rtrim(strtr(base64_encode($x), '+/', '-_'), '=');
	$head = $b64('{"alg":"HS256","typ":"JWT"}') . '.' .
	    $b64(json_encode(['sub' => $user_id, 'iat' => time(), 'exp' => time() + $ttl_s], JSON_THROW_ON_ERROR));
	return $head . '.' . $b64(hash_hmac('sha256', $head, $key, true));
}

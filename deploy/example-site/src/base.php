<?php
// What every page begins with: settings, database, session, who is here, headers.
declare(strict_types=1);

require __DIR__ . '/text.php';
require __DIR__ . '/model.php';

ini_set('display_errors', '0');
ini_set('log_errors', '1');

// A refusal that the user is told of; its message is a key of the table of strings.
class Refusal extends RuntimeException
{
	public function __construct(string $key, public readonly int $status = 422)
	{
		parent::__construct($key);
	}
}

// SITE_NAME of the environment.
function setting(string $name, string $default): string
{
	$value = getenv("SITE_$name");
	return $value === false || $value === '' ? $default : $value;
}

function db(): PDO
{
	static $db = null;
	if ($db === null) {
		$db = new PDO('sqlite:' . setting('DATABASE', __DIR__ . '/../data/site.db'), null, null, [
			PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
			PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
		]);
		$db->exec('PRAGMA busy_timeout = 5000');
	}
	return $db;
}

function is_https(): bool
{
	return ($_SERVER['HTTPS'] ?? '') !== '' && $_SERVER['HTTPS'] !== 'off';
}

function send_headers(string $type): void
{
	header("Content-Type: $type; charset=utf-8");
	header('Cache-Control: no-store');
	header('X-Content-Type-Options: nosniff');
	header('Referrer-Policy: same-origin');
	header("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " .
	    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
	header('Vary: Cookie, Accept-Language');
}

function start_session(): void
{
	session_name('site');
	session_save_path(setting('SESSIONS', __DIR__ . '/../data/sessions'));
	session_start([
		'cookie_httponly' => true, 'cookie_samesite' => 'Lax', 'cookie_secure' => is_https(),
		'cookie_path' => '/', 'use_strict_mode' => true, 'use_only_cookies' => true,
		'gc_maxlifetime' => 86400, 'cache_limiter' => '',
	]);
	$_SESSION['csrf'] ??= bin2hex(random_bytes(16));
}

// The row of who is signed in, or null.
function me(): ?array
{
	static $me = false;
	if ($me === false)
		$me = isset($_SESSION['user']) ? find_user(db(), $_SESSION['user']) : null;
	return $me;
}

function is_form_genuine(array $in): bool
{
	$origin = $_SERVER['HTTP_ORIGIN'] ?? null;
	if ($origin !== null && $origin !== (is_https() ? 'https://' : 'http://') . ($_SERVER['HTTP_HOST'] ?? ''))
		return false;
	return is_string($in['csrf'] ?? null) && hash_equals($_SESSION['csrf'], $in['csrf']);
}

// The value of a form's field, a string of valid UTF-8 without control characters.
function field(array $in, string $name): string
{
	$value = $in[$name] ?? '';
	if (!is_string($value) || preg_match('//u', $value) !== 1)
		return '';
	return preg_replace('/[^\P{Cc}\n\t]/u', '', str_replace("\r\n", "\n", $value));
}

function set_look(string $name, string $value): void
{
	setcookie($name, $value, ['expires' => time() + 31536000, 'path' => '/', 'samesite' => 'Lax', 'secure' => is_https()]);
}

function theme(): string
{
	$theme = $_COOKIE['theme'] ?? 'auto';
	return in_array($theme, ['auto', 'light', 'dark'], true) ? $theme : 'auto';
}

function json_for_page(mixed $value): string
{
	return json_encode($value, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_HEX_TAG | JSON_HEX_AMP |
	    JSON_INVALID_UTF8_SUBSTITUTE);
}

function answer_json(mixed $value, int $status = 200): never
{
	http_response_code($status);
	send_headers('application/json');
	echo json_for_page($value);
	exit;
}

set_exception_handler(function (Throwable $error): void {
	error_log((string)$error);
	http_response_code(500);
	header('Content-Type: text/plain; charset=utf-8');
	echo t('error_server');
});

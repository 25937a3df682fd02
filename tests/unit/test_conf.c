/*
 * The configuration: values, refusals and their messages, precedence, files;
 * the example file and the manual page against the table.
 *
 * The last two are found from the top directory, where the tests are run.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int mallocs_left = -1;	/* before one fails; -1: none does */

static int
is_out_of_memory(void)
{
	if (mallocs_left > 0)
		mallocs_left--;
	return mallocs_left == 0;
}

#undef strdup
#undef strndup
#define malloc(n)	(is_out_of_memory() ? NULL : (malloc)(n))
#define calloc(n, size)	(is_out_of_memory() ? NULL : (calloc)(n, size))
#define strdup(s)	(is_out_of_memory() ? NULL : (strdup)(s))
#define strndup(s, n)	(is_out_of_memory() ? NULL : (strndup)(s, n))
#include "conf.c"
#undef malloc
#undef calloc
#undef strdup
#undef strndup

#include "log.h"

static char *const no_env[] = { NULL };
static char dir[256], path[300];

static int
make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/conf.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/sidewire.conf", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

/* Parses text, which must be good. */
static struct conf
parse(const char *text, char *const *env)
{
	char why[256] = "";
	struct conf conf;

	if (conf_parse("F", text, strlen(text), env, &conf, why,
	    sizeof(why)) != 0)
		fail_msg("\"%s\": %s", text, why);
	assert_string_equal(why, "");
	return conf;
}

static void
assert_refused(const char *text, size_t len, char *const *env, const char *want)
{
	char why[512] = "";
	struct conf conf;

	memset(&conf, 0x5a, sizeof(conf));
	assert_int_equal(conf_parse("F", text, len, env, &conf, why,
	    sizeof(why)), ERR_INVAL);
	assert_string_equal(why, want);
	assert_int_equal(conf.ws_ping_s, 0x5a5a5a5a);
}

static void
test_initial(void **state)
{
	struct conf c = parse("", no_env);

	(void)state;
	assert_string_equal(c.database, "/var/lib/sidewire/sidewire.db");
	assert_string_equal(c.run_dir, "/run/sidewire");
	assert_int_equal(c.db_synchronous, CONF_SYNC_FULL);
	assert_int_equal(c.db_busy_ms, 5000);
	assert_int_equal(c.jwt_algorithm, CONF_HS256);
	assert_string_equal(c.jwt_key_file, "/etc/sidewire/jwt.key");
	assert_string_equal(c.jwt_previous_key_file, "");
	assert_string_equal(c.jwt_issuer, "");
	assert_string_equal(c.jwt_audience, "");
	assert_int_equal(c.jwt_leeway_s, 60);
	assert_int_equal(c.auth_provision, 0);
	assert_int_equal(c.events_keep_s, 604800);
	assert_int_equal(c.events_keep_rows, 200000);
	assert_string_equal(c.poll_listen, "");
	assert_int_equal(c.poll_threads, 4);
	assert_int_equal(c.poll_max_wait_s, 25);
	assert_int_equal(c.poll_max_held, 10000);
	assert_int_equal(c.poll_apache_max_held, 0);
	assert_string_equal(c.ws_listen, "127.0.0.1:8081");
	assert_string_equal(c.ws_path, "/ws");
	assert_int_equal(c.ws_origins.len, 0);
	assert_int_equal(c.ws_max_connections, 20000);
	assert_int_equal(c.ws_max_per_user, 20);
	assert_int_equal(c.ws_max_message, 65536);
	assert_int_equal(c.ws_ping_s, 25);
	assert_int_equal(c.ws_hangup_s, 10);
	assert_int_equal(c.cors_origins.len, 0);
	assert_int_equal(c.privacy_share_email, 0);
	assert_int_equal(c.presence_ttl_s, 75);
	assert_int_equal(c.presence_grace_s, 20);
	assert_int_equal(c.limit_poll_per_s, 20);
	assert_int_equal(c.limit_send_per_s, 10);
	assert_int_equal(c.limit_frame_per_s, 50);
	assert_int_equal(c.log_level, LOG_INFO_LEVEL);
	conf_release(&c);
	assert_null(c.database);
	conf_release(&c);
}

/* The words of a key are in the order of the enum. */
static void
test_words(void **state)
{
	static const struct {
		const char	*text;
		size_t		 offset;
		int		 want;
	} row[] = {
		{ "jwt.algorithm=HS256", AT(jwt_algorithm), CONF_HS256 },
		{ "jwt.algorithm=HS384", AT(jwt_algorithm), CONF_HS384 },
		{ "jwt.algorithm=HS512", AT(jwt_algorithm), CONF_HS512 },
		{ "jwt.algorithm=RS256", AT(jwt_algorithm), CONF_RS256 },
		{ "jwt.algorithm=ES256", AT(jwt_algorithm), CONF_ES256 },
		{ "db.synchronous=normal", AT(db_synchronous),
		    CONF_SYNC_NORMAL },
		{ "db.synchronous=full", AT(db_synchronous), CONF_SYNC_FULL },
		{ "log.level=error", AT(log_level), LOG_ERR_LEVEL },
		{ "log.level=warning", AT(log_level), LOG_WARN_LEVEL },
		{ "log.level=info", AT(log_level), LOG_INFO_LEVEL },
		{ "log.level=debug", AT(log_level), LOG_DEBUG_LEVEL },
		{ "auth.provision=yes", AT(auth_provision), 1 },
		{ "auth.provision=no", AT(auth_provision), 0 },
		{ "privacy.share_email=yes", AT(privacy_share_email), 1 },
	};
	struct conf c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		c = parse(row[i].text, no_env);
		assert_int_equal(*(int *)((char *)&c + row[i].offset),
		    row[i].want);
		conf_release(&c);
	}
}

static void
test_lines(void **state)
{
	struct conf c = parse("# comment\n\n  \t\n#ws.ping_s = 5\n"
	    "ws.ping_s=3\r\n\t ws.path  =\t /a=b \t\n"
	    "jwt.issuer = two  words # one value\n"
	    "jwt.audience=\npoll.listen =  \r\n  # end\n"
	    "ws.hangup_s = 007", no_env);

	(void)state;
	assert_int_equal(c.ws_ping_s, 3);
	assert_string_equal(c.ws_path, "/a=b");
	assert_string_equal(c.jwt_issuer, "two  words # one value");
	assert_string_equal(c.jwt_audience, "");
	assert_string_equal(c.poll_listen, "");
	assert_int_equal(c.ws_hangup_s, 7);
	conf_release(&c);
}

static void
test_refused(void **state)
{
	static const struct {
		const char	*text, *why;
	} row[] = {
		{ "\n\nws.ping_s = 0", "F:3: ws.ping_s: 0 is not within "
		    "1..3600 (seconds)" },
		{ "ws.ping_s = 3601", "F:1: ws.ping_s: 3601 is not within "
		    "1..3600 (seconds)" },
		{ "ws.ping_s = 4294967297", "F:1: ws.ping_s: 4294967297 is not "
		    "within 1..3600 (seconds)" },
		{ "ws.ping_s = 99999999999999999999", "F:1: ws.ping_s: "
		    "99999999999999999999 is not within 1..3600 (seconds)" },
		{ "ws.ping_s = 25s", "F:1: ws.ping_s: \"25s\" is not a whole "
		    "number (seconds, 1..3600)" },
		{ "ws.ping_s = 2.5", "F:1: ws.ping_s: \"2.5\" is not a whole "
		    "number (seconds, 1..3600)" },
		{ "ws.ping_s =", "F:1: ws.ping_s: \"\" is not a whole number "
		    "(seconds, 1..3600)" },
		{ "jwt.leeway_s = -1", "F:1: jwt.leeway_s: \"-1\" is not a "
		    "whole number (seconds, 0..3600)" },
		{ "jwt.leeway_s = +1", "F:1: jwt.leeway_s: \"+1\" is not a "
		    "whole number (seconds, 0..3600)" },
		{ "jwt.leeway_s = 0x10", "F:1: jwt.leeway_s: \"0x10\" is not a "
		    "whole number (seconds, 0..3600)" },
		{ "events.keep_rows = 0", "F:1: events.keep_rows: 0 is not "
		    "within 1..2000000000 (rows)" },
		{ "jwt.algorithm = none", "F:1: jwt.algorithm: \"none\" is not "
		    "one of: HS256 HS384 HS512 RS256 ES256" },
		{ "jwt.algorithm = HS", "F:1: jwt.algorithm: \"HS\" is not "
		    "one of: HS256 HS384 HS512 RS256 ES256" },
		{ "db.synchronous = normal full", "F:1: db.synchronous: "
		    "\"normal full\" is not one of: normal full" },
		{ "db.synchronous =", "F:1: db.synchronous: \"\" is not one "
		    "of: normal full" },
		{ "auth.provision = true", "F:1: auth.provision: \"true\" is "
		    "not one of: no yes" },
		{ "database =", "F:1: database: must not be empty (path)" },
		{ "ws.listen =", "F:1: ws.listen: must not be empty "
		    "(address)" },
		{ "ws.ping_s", "F:1: \"ws.ping_s\" is not KEY = VALUE" },
		{ "ws.ping_s 25", "F:1: \"ws.ping_s 25\" is not KEY = VALUE" },
		{ "= 5", "F:1: no such key" },
		{ "ws.pong_s = 25", "F:1: ws.pong_s: no such key, did you mean "
		    "ws.ping_s?" },
		{ "WS.Listen = x", "F:1: WS.Listen: no such key, did you mean "
		    "ws.listen?" },
		{ "jwt_key_file = x", "F:1: jwt_key_file: no such key, did you "
		    "mean jwt.key_file?" },
		{ "db.synchronus = x", "F:1: db.synchronus: no such key, did "
		    "you mean db.synchronous?" },
		{ "entirely.different = x", "F:1: entirely.different: no such "
		    "key" },
		{ "ws.ping_s = 25\n\nws.ping_s = 25\n", "F:3: ws.ping_s: is "
		    "set twice, first in line 1" },
		{ "a\x01 = 5", "F:1: control character 0x01" },
		{ "ws.path = /a\rb", "F:1: control character 0x0d" },
		{ "ws.path = /a\x7f", "F:1: control character 0x7f" },
		{ "# \x1b[2J", "F:1: control character 0x1b" },
		{ "jwt.key_file = /k\njwt.previous_key_file = /k\nlog.level ="
		    "info", "F:2: jwt.previous_key_file: must not be the same "
		    "file as jwt.key_file" },
		{ "jwt.previous_key_file = /etc/sidewire/jwt.key",
		    "F:1: jwt.previous_key_file: must not be the same file as "
		    "jwt.key_file" },
		{ "poll.listen = 127.0.0.1:8081", "F: ws.listen: must not be "
		    "the same address as poll.listen" },
		{ "poll.listen = /s\nws.listen = /s", "F:2: ws.listen: must "
		    "not be the same address as poll.listen" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_refused(row[i].text, strlen(row[i].text), no_env,
		    row[i].why);
	assert_refused("ws.path = /a\0b", 14, no_env,
	    "F:1: control character 0x00");
}

static void
test_sizes(void **state)
{
	char why[64], *text = malloc(CONF_MAX_FILE + 1);
	struct conf c;
	size_t len;

	(void)state;
	assert_non_null(text);
	/* A comment of the longest length, and one byte more. */
	memset(text, '#', CONF_MAX_FILE + 1);
	memcpy(text + 4096, "\nws.ping_s = 9", 14);
	assert_int_equal(conf_parse("F", text, 4096 + 14, no_env, &c, why,
	    sizeof(why)), 0);
	assert_int_equal(c.ws_ping_s, 9);
	conf_release(&c);
	memset(text, '#', 4200);
	assert_refused(text, 4097, no_env, "F:1: over 4096 bytes");
	assert_refused(text, CONF_MAX_FILE, no_env, "F:1: over 4096 bytes");

	len = strlen("jwt.issuer = ");
	memcpy(text, "jwt.issuer = ", len);
	memset(text + len, 'i', 2000);
	assert_int_equal(conf_parse("F", text, len + 1024, no_env, &c, why,
	    sizeof(why)), 0);
	assert_int_equal(strlen(c.jwt_issuer), 1024);
	conf_release(&c);
	assert_refused(text, len + 1025, no_env,
	    "F:1: jwt.issuer: is over 1024 bytes");

	memset(text, '\n', CONF_MAX_FILE + 1);
	assert_int_equal(conf_parse("F", text, CONF_MAX_FILE, no_env, &c, why,
	    sizeof(why)), 0);
	conf_release(&c);
	assert_int_equal(conf_parse("F", text, CONF_MAX_FILE + 1, no_env, &c,
	    why, sizeof(why)), ERR_TOOBIG);
	assert_string_equal(why, "F: over 65536 bytes");
	free(text);

	/* A short buffer for the message is not overrun. */
	memset(why, 'x', sizeof(why));
	assert_int_equal(conf_parse("F", "nonsense", 8, no_env, &c, why, 5),
	    ERR_INVAL);
	assert_string_equal(why, "F:1:");
	assert_int_equal(why[5], 'x');
}

static void
test_addresses(void **state)
{
	static const struct {
		const char	*value;
		int		 is_good;
	} row[] = {
		{ "127.0.0.1:8081", 1 }, { "0.0.0.0:0", 1 },
		{ "localhost:65535", 1 }, { "[::1]:8081", 1 },
		{ "[::]:0", 1 }, { "[fe80::1:2]:80", 1 },
		{ "/run/sidewire/ws.sock", 1 }, { "/a:b", 1 },
		{ "8081", 0 }, { ":8081", 0 }, { "localhost", 0 },
		{ "localhost:", 0 }, { "127.0.0.1:65536", 0 },
		{ "127.0.0.1:99999999999", 0 }, { "127.0.0.1:-1", 0 },
		{ "127.0.0.1:+80", 0 }, { "127.0.0.1:http", 0 },
		{ "127.0.0.1: 80", 0 }, { "127.0.0.1 :80", 0 },
		{ "127.0.0:80", 0 }, { "256.0.0.1:80", 0 },
		{ "::1:8081", 0 }, { "[::1]", 0 }, { "[::1:8081", 0 },
		{ "[]:80", 0 }, { "[127.0.0.1]:80", 0 },
		{ "example.org:80", 0 }, { "run/ws.sock", 0 }, { "*:80", 0 },
		{ "http://127.0.0.1:80", 0 },
		{ "1111111111111111111111111111111111111111111111111111111111"
		    "11111111:80", 0 },
	};
	char text[256], why[256];
	struct conf c;
	size_t i;
	int r;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		(void)snprintf(text, sizeof(text), "ws.listen = %s",
		    row[i].value);
		r = conf_parse("F", text, strlen(text), no_env, &c, why,
		    sizeof(why));
		assert_int_equal(r, row[i].is_good ? 0 : ERR_INVAL);
		if (r != 0) {
			assert_non_null(strstr(why, "F:1: ws.listen: \""));
			continue;
		}
		assert_string_equal(c.ws_listen, row[i].value);
		conf_release(&c);
	}
	/* The longest path that a socket can have, and one more. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "poll.listen=/", 13);
	assert_int_equal(conf_parse("F", text, 12 + 107, no_env, &c, why,
	    sizeof(why)), 0);
	conf_release(&c);
	assert_int_equal(conf_parse("F", text, 12 + 108, no_env, &c, why,
	    sizeof(why)), ERR_INVAL);
	/* Any free port twice is no clash. */
	c = parse("poll.listen=127.0.0.1:0\nws.listen=127.0.0.1:0", no_env);
	conf_release(&c);
	assert_refused("ws.path = ws", 12, no_env,
	    "F:1: ws.path: \"ws\" does not start with '/'");
	assert_refused("ws.path = /ws?x", 15, no_env,
	    "F:1: ws.path: \"/ws?x\" holds a space, '?' or '#'");
}

static void
test_origins(void **state)
{
	static const char *const bad[] = {
		"example.org", "https://", "https:example.org", "://a",
		"https://a/", "https://a:0", "https://a:65536", "https://a:",
		"https://a:b", "https://a b:1", "ht_tp://a", "1http://a",
		"https://[::1", "https://[]", "https://[::1]x", "null", "**",
		"*.example.org", "https://*.example.org", "https://a@b",
	};
	char text[2000], why[128];
	struct conf c;
	size_t i, len;

	(void)state;
	c = parse("ws.origins = https://a.example.org, HTTP://B:8080\t"
	    "https://[::1]:444,,http://c:80 https://d:443 https://e:80\n"
	    "cors.origins = *", no_env);
	assert_int_equal(c.ws_origins.len, 6);
	assert_string_equal(c.ws_origins.item[0], "https://a.example.org");
	assert_string_equal(c.ws_origins.item[3], "http://c");
	assert_true(conf_has_origin(&c.ws_origins, "https://a.example.org"));
	assert_true(conf_has_origin(&c.ws_origins, "http://b:8080"));
	assert_true(conf_has_origin(&c.ws_origins, "https://[::1]:444"));
	assert_true(conf_has_origin(&c.ws_origins, "http://c"));
	assert_true(conf_has_origin(&c.ws_origins, "https://d"));
	assert_true(conf_has_origin(&c.ws_origins, "https://e:80"));
	assert_false(conf_has_origin(&c.ws_origins, "http://a.example.org"));
	assert_false(conf_has_origin(&c.ws_origins, "https://a.example.org."));
	assert_false(conf_has_origin(&c.ws_origins, "https://a.example"));
	assert_false(conf_has_origin(&c.ws_origins, "*"));
	assert_false(conf_has_origin(&c.ws_origins, ""));
	assert_false(conf_has_origin(&c.ws_origins, NULL));
	assert_true(conf_has_origin(&c.cors_origins, "null"));
	assert_false(conf_has_origin(&c.cors_origins, NULL));
	conf_release(&c);
	assert_false(conf_has_origin(&c.cors_origins, "https://a"));

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), "cors.origins=http://a %s",
		    bad[i]);
		assert_int_equal(conf_parse("F", text, strlen(text), no_env,
		    &c, why, sizeof(why)), ERR_INVAL);
		assert_non_null(strstr(why, "F:1: cors.origins: \""));
	}
	len = (size_t)snprintf(text, sizeof(text), "ws.origins=");
	for (i = 0; i < CONF_MAX_ORIGINS; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "http://h%zu ", i);
	c = parse(text, no_env);
	assert_int_equal(c.ws_origins.len, CONF_MAX_ORIGINS);
	conf_release(&c);
	(void)snprintf(text + len, sizeof(text) - len, "http://h");
	assert_refused(text, strlen(text), no_env,
	    "F:1: ws.origins: more than 64 origins");
}

static void
test_environment(void **state)
{
	static char ping[] = "SIDEWIRE_WS_PING_S=7", other[] = "PATH=/bin",
	    origins[] = "SIDEWIRE_WS_ORIGINS=http://b", wire[] = "SIDEWIRE=x",
	    file[] = "SIDEWIRE_CONF=/x", email[] =
	    "SIDEWIRE_PRIVACY_SHARE_EMAIL= yes ", db[] = "SIDEWIRE_DATABASE=/d";
	static char bare[] = "SIDEWIRE_NO_SIGN";
	char *const env[] = { other, ping, file, origins, wire, email, db,
	    NULL };
	static struct {
		char		 var[64];
		const char	*why;
	} bad[] = {
		{ "SIDEWIRE_WS_PING_S=x", "environment: SIDEWIRE_WS_PING_S: "
		    "\"x\" is not a whole number (seconds, 1..3600)" },
		{ "SIDEWIRE_WS_LISTN=x", "environment: SIDEWIRE_WS_LISTN: no "
		    "such key, did you mean SIDEWIRE_WS_LISTEN?" },
		{ "SIDEWIRE_TOKEN=x", "environment: SIDEWIRE_TOKEN: no such "
		    "key" },
		{ "SIDEWIRE_=x", "environment: SIDEWIRE_: no such key" },
		{ "SIDEWIRE_ws.path=/x", "environment: SIDEWIRE_ws.path: no "
		    "such key, did you mean SIDEWIRE_WS_PATH?" },
		{ "SIDEWIRE_CONFIG=/x", "environment: SIDEWIRE_CONFIG: no such "
		    "key" },
		{ "SIDEWIRE_WS_PATH=/a\nb", "environment: SIDEWIRE_WS_PATH: "
		    "control character 0x0a" },
		{ "SIDEWIRE_JWT_PREVIOUS_KEY_FILE=/k", "environment: "
		    "SIDEWIRE_JWT_PREVIOUS_KEY_FILE: must not be the same file "
		    "as jwt.key_file" },
	};
	char *one[] = { NULL, NULL }, *twice[] = { ping, ping, NULL },
	    *unset[] = { bare, NULL };
	struct conf c;
	size_t i;

	(void)state;
	c = parse("ws.ping_s = 5\nws.hangup_s = 6\nws.origins = http://a",
	    env);
	assert_int_equal(c.ws_ping_s, 7);
	assert_int_equal(c.ws_hangup_s, 6);
	assert_int_equal(c.ws_origins.len, 1);
	assert_string_equal(c.ws_origins.item[0], "http://b");
	assert_int_equal(c.privacy_share_email, 1);
	assert_string_equal(c.database, "/d");
	conf_release(&c);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		one[0] = bad[i].var;
		assert_refused("jwt.key_file=/k", 15, one, bad[i].why);
	}
	assert_refused("", 0, twice,
	    "environment: SIDEWIRE_WS_PING_S: is set twice");
	assert_refused("", 0, unset, "environment: SIDEWIRE_NO_SIGN: "
	    "\"SIDEWIRE_NO_SIGN\" is not KEY = VALUE");
	c = parse("", NULL);
	conf_release(&c);
}

static void
write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
test_load(void **state)
{
	char why[512], want[512];
	struct conf c;

	(void)state;
	write_file("ws.ping_s = 3\n");
	assert_int_equal(conf_load(path, &c, why, sizeof(why)), 0);
	assert_int_equal(c.ws_ping_s, 3);
	conf_release(&c);
	setenv("SIDEWIRE_CONF", path, 1);
	setenv("SIDEWIRE_WS_HANGUP_S", "4", 1);
	assert_int_equal(conf_load(NULL, &c, why, sizeof(why)), 0);
	assert_int_equal(c.ws_ping_s, 3);
	assert_int_equal(c.ws_hangup_s, 4);
	conf_release(&c);
	unsetenv("SIDEWIRE_WS_HANGUP_S");

	write_file("ws.ping_s = 3\nws.pin_s = 3\n");
	assert_int_equal(conf_load(NULL, &c, why, sizeof(why)), ERR_INVAL);
	(void)snprintf(want, sizeof(want), "%s:2: ws.pin_s: no such key, did "
	    "you mean ws.ping_s?", path);
	assert_string_equal(why, want);

	/* A name that was given must be a file, whoever gave it. */
	assert_int_equal(conf_load("", &c, why, sizeof(why)), ERR_NOTFOUND);
	assert_int_equal(conf_load(dir, &c, why, sizeof(why)), ERR_IO);
	(void)snprintf(want, sizeof(want), "%s: Is a directory", dir);
	assert_string_equal(why, want);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(want, sizeof(want), "%s: No such file or directory",
	    path);
	assert_int_equal(conf_load(NULL, &c, why, sizeof(why)), ERR_NOTFOUND);
	assert_string_equal(why, want);
	assert_int_equal(conf_load(path, &c, why, sizeof(why)), ERR_NOTFOUND);
	assert_string_equal(why, want);

	/* Nobody gave one. */
	setenv("SIDEWIRE_CONF", "", 1);
	if (access(CONF_DEFAULT_FILE, F_OK) != 0) {
		assert_int_equal(conf_load(NULL, &c, why, sizeof(why)), 0);
		assert_int_equal(c.ws_ping_s, 25);
		conf_release(&c);
	}
	unsetenv("SIDEWIRE_CONF");
}

static void
test_load_big(void **state)
{
	char why[512], *text = malloc(CONF_MAX_FILE + 2);
	struct conf c;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', CONF_MAX_FILE + 1);
	text[CONF_MAX_FILE + 1] = '\0';
	write_file(text);
	assert_int_equal(conf_load(path, &c, why, sizeof(why)), ERR_TOOBIG);
	text[CONF_MAX_FILE] = '\0';
	write_file(text);
	assert_int_equal(conf_load(path, &c, why, sizeof(why)), 0);
	conf_release(&c);
	free(text);
	/* For root every file can be read. */
	if (geteuid() != 0) {
		assert_int_equal(chmod(path, 0), 0);
		assert_int_equal(conf_load(path, &c, why, sizeof(why)), ERR_IO);
	}
}

static void
test_print(void **state)
{
	static const char all[] = "database = /d\nrun_dir = /r\n"
	    "db.synchronous = normal\ndb.busy_ms = 1\njwt.algorithm = ES256\n"
	    "jwt.key_file = /k = k\njwt.previous_key_file = /p\n"
	    "jwt.issuer = i  #i\njwt.audience = \xc3\xa9\njwt.leeway_s = 2\n"
	    "auth.provision = yes\nevents.keep_s = 3\nevents.keep_rows = 4\n"
	    "poll.listen = [::1]:0\npoll.threads = 5\npoll.max_wait_s = 6\n"
	    "poll.max_held = 7\npoll.apache_max_held = 18\n"
	    "ws.listen = /w\nws.path = /x\n"
	    "ws.origins = http://a https://b:1\nws.max_connections = 8\n"
	    "ws.max_per_user = 9\nws.max_message = 1000\nws.ping_s = 11\n"
	    "ws.hangup_s = 12\ncors.origins = *\nprivacy.share_email = yes\n"
	    "presence.ttl_s = 13\npresence.grace_s = 14\n"
	    "limit.poll_per_s = 15\nlimit.send_per_s = 16\n"
	    "limit.frame_per_s = 17\nlog.level = debug\n";
	struct buf b, again;
	struct conf c;

	(void)state;
	buf_init(&b, 65536);
	buf_init(&again, 65536);
	c = parse(all, no_env);
	assert_int_equal(conf_print(&c, &b), 0);
	assert_string_equal(buf_str(&b), all);
	conf_release(&c);

	buf_reset(&b);
	c = parse("", no_env);
	assert_int_equal(conf_print(&c, &b), 0);
	conf_release(&c);
	c = parse(buf_str(&b), no_env);
	assert_int_equal(conf_print(&c, &again), 0);
	assert_string_equal(buf_str(&b), buf_str(&again));
	buf_release(&b);
	buf_init(&b, 10);
	assert_true(conf_print(&c, &b) < 0);
	conf_release(&c);
	buf_release(&b);
	buf_release(&again);
}

static void
test_no_memory(void **state)
{
	static const char text[] = "ws.origins = http://a *\ndatabase = /x";
	char why[64];
	struct conf c;
	int n, r;

	(void)state;
	for (n = 1;; n++) {
		mallocs_left = n;
		r = conf_parse("F", text, sizeof(text) - 1, no_env, &c, why,
		    sizeof(why));
		if (mallocs_left > 0)
			break;
		assert_int_equal(r, ERR_NOMEM);
		assert_string_equal(why, "F: out of memory");
	}
	mallocs_left = -1;
	assert_int_equal(r, 0);
	assert_true(n > 12);
	conf_release(&c);
	mallocs_left = 1;
	assert_int_equal(conf_load(path, &c, why, sizeof(why)), ERR_NOMEM);
	mallocs_left = -1;
}

/* Reads a file of the source tree. */
static void
slurp(const char *name, struct buf *ret)
{
	FILE *f = fopen(name, "r");
	char part[4096];
	size_t n;

	if (f == NULL)
		fail_msg("%s: is this the top directory?", name);
	buf_init(ret, 1 << 20);
	do {
		n = fread(part, 1, sizeof(part), f);
		buf_add(ret, part, n);
	} while (n > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(buf_err(ret), 0);
}

struct expected {
	const char	*document;
	const char	*name;		/* of the document */
	int		 n;
};

static void
find_in_example(const char *key, const char *type, const char *initial,
    const char *help, void *arg)
{
	struct expected *e = arg;
	char line[256];

	(void)snprintf(line, sizeof(line), "\n#%s =%s%s\n", key,
	    *initial != '\0' ? " " : "", initial);
	if (strstr(e->document, line) == NULL)
		fail_msg("%s lacks: %s", e->name, line + 1);
	assert_true(*type != '\0' && *help != '\0');
	/* Help has the key, and this, on a line of 80. */
	assert_true(strlen(help) < 58);
	e->n++;
}

static void
find_in_manual(const char *key, const char *type, const char *initial,
    const char *help, void *arg)
{
	struct expected *e = arg;
	char line[256];

	(void)help;
	(void)snprintf(line, sizeof(line), "\n.It Ic %s = Ar %s%s%s\n", key,
	    type, *initial != '\0' ? " Pq Li " : "", initial);
	if (strstr(e->document, line) == NULL)
		fail_msg("%s lacks: %s", e->name, line + 1);
	e->n++;
}

static int
count(const char *text, const char *what)
{
	int n = 0;

	for (text = strstr(text, what); text != NULL;
	    text = strstr(text + 1, what))
		n++;
	return n;
}

static void
test_example(void **state)
{
	struct expected e = { NULL, "sidewire.conf.example", 0 };
	struct buf example, active, printed, initial;
	struct conf c;
	const char *p;

	(void)state;
	slurp(e.name, &example);
	e.document = buf_str(&example);
	conf_each(find_in_example, &e);
	assert_int_equal(e.n, N_KEYS);

	/* With the keys taken out of their comments: nothing unknown, nothing
	 * twice, and the initial values. */
	buf_init(&active, 1 << 20);
	buf_init(&printed, 1 << 20);
	buf_init(&initial, 1 << 20);
	for (p = e.document; *p != '\0'; p++)
		if (*p != '#' || p[1] == ' ' || p[1] == '\n' ||
		    (p > e.document && p[-1] != '\n'))
			buf_addc(&active, *p);
	c = parse(buf_str(&active), no_env);
	assert_int_equal(conf_print(&c, &printed), 0);
	conf_release(&c);
	c = parse(e.document, no_env);
	assert_int_equal(conf_print(&c, &initial), 0);
	conf_release(&c);
	assert_string_equal(buf_str(&printed), buf_str(&initial));
	buf_release(&example);
	buf_release(&active);
	buf_release(&printed);
	buf_release(&initial);
}

static void
test_manual(void **state)
{
	struct expected e = { NULL, "docs/sidewire.conf.5", 0 };
	struct buf manual;

	(void)state;
	slurp(e.name, &manual);
	e.document = buf_str(&manual);
	conf_each(find_in_manual, &e);
	assert_int_equal(e.n, N_KEYS);
	assert_int_equal(count(e.document, "\n.It Ic "), N_KEYS);
	buf_release(&manual);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_initial),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_load_big),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

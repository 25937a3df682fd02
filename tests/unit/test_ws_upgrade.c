/*
 * upgrade - who may connect, parameters encoded again, the address for the log;
 * and deadline, whose heap is compared with a plain search.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../ws-sidecar/upgrade.h"
#include "buf.h"
#include "conf.h"
#include "query.h"

static void
test_protocol(void **state)
{
	static const struct {
		const char	*value;
		int		 is_fine;
	} cases[] = {
		{ "websocket", 1 }, { "WebSocket", 1 }, { "", 0 }, { "h2c", 0 },
		{ "websocket, h2c", 0 }, { " websocket", 0 }, { "websocke", 0 }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(upgrade_is_websocket(cases[i].value),
		    cases[i].is_fine);
}

static void
test_origin(void **state)
{
	static char one[] = "https://app.example", all[] = "*";
	char *items[] = { one }, *any[] = { all };
	const struct conf_list none = { NULL, 0 }, list = { items, 1 };
	const struct conf_list star = { any, 1 };
	const struct {
		const struct conf_list	*list;
		const char		*origin, *host;
		int			 is_allowed;
	} cases[] = {
		{ &none, NULL, "example.org", 1 },
		{ &none, "https://example.org", "example.org", 1 },
		{ &none, "https://Example.ORG", "example.org", 1 },
		{ &none, "https://example.org", "example.org:443", 1 },
		{ &none, "https://example.org:443", "example.org", 1 },
		{ &none, "http://example.org:80", "example.org", 1 },
		{ &none, "http://example.org:8080", "example.org:8080", 1 },
		{ &none, "http://example.org:8080", "example.org", 0 },
		{ &none, "http://example.org", "example.org:443", 0 },
		{ &none, "https://evil.example", "example.org", 0 },
		{ &none, "https://example.org.evil", "example.org", 0 },
		{ &none, "https://xexample.org", "example.org", 0 },
		{ &none, "null", "example.org", 0 },
		{ &none, "", "", 0 },
		{ &none, "https://", "", 0 },
		{ &none, "app://example.org", "example.org", 0 },
		{ &list, "https://app.example", "example.org", 1 },
		{ &list, "https://example.org", "example.org", 0 },
		{ &list, NULL, "example.org", 1 },
		{ &star, "null", "example.org", 1 }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(upgrade_is_allowed(cases[i].list,
		    cases[i].origin, cases[i].host), cases[i].is_allowed);
}

static void
test_parameters(void **state)
{
	static const char *const parts[] = {
		"token=a.b-c_d", "lastMessageId=50% + x&y=z", "rooms=a,b"
	};
	struct query q;
	struct buf b;
	const char *why;
	size_t i;

	(void)state;
	buf_init(&b, 1000);
	for (i = 0; i < 3; i++)
		upgrade_add_parameter(&b, parts[i], strlen(parts[i]));
	assert_int_equal(query_parse(b.p, b.len, &q, &why), 0);
	assert_string_equal(q.token, "a.b-c_d");
	assert_string_equal(q.last_message_id, "50% + x&y=z");
	assert_int_equal(q.n_rooms, 2);
	query_release(&q);
	buf_release(&b);
}

static void
test_ip(void **state)
{
	static const struct {
		const char	*peer, *forwarded, *ip;
	} cases[] = {
		{ "192.0.2.7", NULL, "192.0.2.7" },
		{ "192.0.2.7", "198.51.100.1", "192.0.2.7" },
		{ "127.0.0.1", NULL, "127.0.0.1" },
		{ "127.0.0.1", "198.51.100.1", "198.51.100.1" },
		{ "::1", "10.0.0.1, 2001:db8::1", "2001:db8::1" },
		{ "::ffff:127.0.0.1", "203.0.113.9 ", "203.0.113.9" },
		{ "", "203.0.113.9", "203.0.113.9" },
		{ "", NULL, "local" }, { "", "", "local" },
		{ "", "a, ", "local" }
	};
	char ip[SESSION_IP_SIZE], longer[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		upgrade_print_ip(cases[i].peer, cases[i].forwarded, ip);
		assert_string_equal(ip, cases[i].ip);
	}
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	upgrade_print_ip("::1", longer, ip);
	assert_int_equal(strlen(ip), SESSION_IP_SIZE - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protocol),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_ip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

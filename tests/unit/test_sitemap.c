/*
 * The map file: its lines, its expressions, and the SQL in a site's names.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "buf.h"
#include "err.h"
#include "sitemap_impl.h"

static const char users[] = "users = members\nusers.id = no\nusers.name = nick\n";
static const char messages[] = "messages = posts\nmessages.id = no\n"
    "messages.sender_id = who\nmessages.content = body\n"
    "messages.timestamp = unix(posted)\n";

/* Parses first and second together; the map, NULL: *ret_why (of WHY bytes) says why. */
#define WHY	2048
static struct sitemap *
parse(const char *first, const char *second, char *ret_why)
{
	struct sitemap *map = NULL;
	struct buf text, why;
	int rc;

	buf_init(&text, SITEMAP_MAX);
	buf_init(&why, WHY - 1);
	buf_addf(&text, "%s%s", first, second);
	rc = sitemap_parse(buf_str(&text), &map, &why);
	if (ret_why != NULL)
		memcpy(ret_why, buf_str(&why), why.len + 1);
	if (rc == 0)
		assert_string_equal(sitemap_text(map), buf_str(&text));
	else
		assert_int_equal(rc, ERR_INVAL);
	assert_int_equal(map == NULL, rc != 0);
	assert_int_equal(why.len > 0, rc != 0);
	buf_release(&text);
	buf_release(&why);
	return map;
}

static void
test_lines(void **state)
{
	struct sitemap *map;

	(void)state;
	map = parse(users, "\n# a comment\n  \t\r\n users.email=mail\r\n"
	    "users.is_online\t= \"on \"\"line\"\"\"", NULL);
	assert_non_null(map);
	assert_string_equal(sitemap_table(map, "users"), "members");
	assert_null(sitemap_table(map, "rooms"));
	assert_string_equal(sitemap_table(map, "events"), "events");
	assert_string_equal(sitemap_column(map, "users", "id"), "no");
	assert_string_equal(sitemap_column(map, "users", "email"), "mail");
	assert_string_equal(sitemap_column(map, "users", "is_online"),
	    "on \"line\"");
	assert_null(sitemap_column(map, "users", "bio"));
	assert_false(sitemap_owns_presence(map));
	assert_false(sitemap_owns_members(map));
	sitemap_free(map);
	sitemap_free(NULL);
	assert_string_equal(sitemap_table(NULL, "users"), "users");
	assert_string_equal(sitemap_column(NULL, "users", "id"), "id");
	assert_false(sitemap_owns_presence(NULL));
}

static void
test_refused(void **state)
{
	static const struct { const char *lines, *why; } cases[] = {
		{ "users = other", "line 4: users: given twice" },
		{ "users.id = no", "line 4: users.id: given twice" },
		{ "users.bio", "line 4: users.bio: NAME = VALUE" },
		{ "users.bio =  ", "line 4: users.bio: has no value" },
		{ "= x", "no such key" },
		{ "shoes = x", "line 4: shoes: no such key" },
		{ "shoes.size = x", "no such key" },
		{ "users.size = x", "users has no such column" },
		{ "users. = x", "users has no such column" },
		{ "rooms = sw_rooms", "is a name that Sidewire or SQLite needs" },
		{ "rooms = Events", "is a name that" },
		{ "rooms = sqlite_sequence", "is a name that" },
		{ "rooms = a b", "not a name" },
		{ "rooms = main.boards", "not a name" },
		{ "rooms = \"boards", "not a name" },
		{ "users.is_online = a + b", "must be a column, not an expression" },
		{ "users.is_online = NULL", "must be a column, not an expression" },
		{ "users.bio = unix(x)", "not one of the functions" },
		{ "users.bio = (SELECT 1)", "this has no place in an expression: "
		    "\"SELECT 1)" },
		{ "users.bio = a; DROP TABLE members", "this has no place" },
		{ "users.bio = a -- b", "no comment here" },
		{ "users.bio = a /* b */", "this has no place" },
		{ "users.bio = json_object('a', a)", "not one of the functions" },
		{ "users.bio = a ->> '$.b'", "JSON has no place" },
		{ "users.bio = randomblob (9)", "not one of the functions" },
		{ "users.bio = RAISE(ABORT, 'x')", "this has no place" },
		{ "users.bio = other.a", "this has no place" },
		{ "users.bio = ?1", "this has no place" },
		{ "users.bio = [a]", "this has no place" },
		{ "users.bio = 'a", "a quote does not end" },
		{ "users.bio = (a", "a parenthesis is missing" },
		{ "users.bio = a) FROM x", "a parenthesis too many" },
		{ "rooms = boards", "rooms.id: is missing" },
		{ "rooms.id = no", "rooms.id: needs a line: rooms = TABLE" },
		{ "room_members = a\nroom_members.room_id = b\n"
		    "room_members.user_id = c", "room_members is there" },
		{ "rooms = a\nrooms.id = b\nrooms.name = c",
		    "needs a line: messages = TABLE" },
		{ "users.insert.a = shoes", "shoes is not a column of users" },
		{ "users.insert.a b = 1", "not a name" },
		{ "event.lower = x", "a type is of A-Z" },
		{ "event. = x", "a type is of A-Z" },
		{ "event.TOKENS_REVOKED = x", "a type that Sidewire has itself" },
		{ "event.A = t\nevent.A.on = delete", "insert or update" },
		{ "event.A = t\nevent.A.hat = x", "no such key of an event" },
		{ "event.A = t\nevent.A.everyone = no", "no such key of an event" },
		{ "event.A = t\nevent.A.payload = a,, b", "columns with commas" },
		{ "event.A = t\nevent.A.payload = a b", "a comma is missing" },
		{ "event.A.id = x\nevent.A.everyone = yes\nevent.A.payload = x",
		    "event.A = TABLE is missing" },
		{ "event.A = t\nevent.A.id = x\nevent.A.payload = x",
		    "whom is it for?" },
		{ "event.A = t\nevent.A.id = x\nevent.A.payload = x\n"
		    "event.A.user = u\nevent.A.room = r", "whom is it for?" },
	};
	char why[WHY];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse(users, cases[i].lines, why) != NULL)
			fail_msg("%s: taken", cases[i].lines);
		if (strstr(why, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].lines, why);
	}
	assert_null(parse("", "", why));
	assert_non_null(strstr(why, "users: is missing"));
	/* All of them at once. */
	assert_null(parse(users, "shoes = 1\nhats = 2\n", why));
	assert_non_null(strstr(why, "line 4: shoes"));
	assert_non_null(strstr(why, "\nline 5: hats"));
}

/* More lines of a kind than there may be. */
static void
test_limits(void **state)
{
	struct buf text;
	char why[WHY];
	int i;

	(void)state;
	buf_init(&text, SITEMAP_MAX);
	for (i = 0; i <= SITEMAP_MAX_INSERTS; i++)
		buf_addf(&text, "users.insert.c%d = 1\n", i);
	assert_null(parse(users, buf_str(&text), why));
	assert_non_null(strstr(why, "line 68: users.insert.c64: more than 64"));
	buf_reset(&text);
	for (i = 0; i <= SITEMAP_MAX_EVENTS; i++)
		buf_addf(&text, "event.E%d = t\n", i);
	assert_null(parse(users, buf_str(&text), why));
	assert_non_null(strstr(why, "event.E32: more than 32 types"));
	buf_reset(&text);
	buf_adds(&text, "event.E = t\nevent.E.payload = c");
	for (i = 0; i < SITEMAP_MAX_PAYLOAD; i++)
		buf_addf(&text, ", c%d", i);
	assert_null(parse(users, buf_str(&text), why));
	assert_non_null(strstr(why, "32 at most"));
	buf_release(&text);
}

static void
check_expr(const char *expr, const char *want)
{
	const char *why = NULL, *at = NULL;
	struct buf b;

	buf_init(&b, 1000);
	map_print_expr(expr, "NEW", &b, &why, &at);
	assert_null(why);
	assert_string_equal(buf_str(&b), want);
	buf_release(&b);
}

static void
test_expressions(void **state)
{
	(void)state;
	check_expr("kind", "NEW.\"kind\"");
	check_expr("a || ' it''s b ' || \"the \"\"c\"\"\"",
	    "NEW.\"a\" || ' it''s b ' || NEW.\"the \"\"c\"\"\"");
	check_expr("coalesce(nick, lower (name), 'x')",
	    "coalesce(NEW.\"nick\", lower (NEW.\"name\"), 'x')");
	check_expr("CASE WHEN kind IN (1, 2e3) THEN NULL ELSE cast(x AS text) END",
	    "CASE WHEN NEW.\"kind\" IN (1, 2e3) THEN NULL ELSE "
	    "cast(NEW.\"x\" AS text) END");
	check_expr("\"case\" <> 1", "NEW.\"case\" <> 1");
	check_expr("gr\xc3\xb6\xc3\x9f" "e", "NEW.\"gr\xc3\xb6\xc3\x9f" "e\"");
}

/* sql in the names of the map that these lines make. */
static void
check_sql(const char *lines, const char *sql, const char *want)
{
	struct sitemap *map = parse(users, lines, NULL);
	struct buf b;

	assert_non_null(map);
	buf_init(&b, 10000);
	sitemap_translate(map, sql, 1, &b);
	assert_int_equal(buf_err(&b), 0);
	assert_string_equal(buf_str(&b), want);
	buf_release(&b);
	sitemap_free(map);
}

static void
test_translate(void **state)
{
	static const char trigger[] =
	    "-- told\nCREATE TRIGGER IF NOT EXISTS t AFTER UPDATE ON users\n"
	    "WHEN OLD.id IS NOT NEW.id BEGIN\n"
	    "INSERT INTO events(id, name) VALUES (CASE NEW.name WHEN 'NEW.id' "
	    "THEN 1 END, NEW.bio); DELETE FROM sw_x WHERE id = OLD.id;\nEND;\n";
	static const char other[] =
	    "CREATE TRIGGER t AFTER INSERT ON rooms BEGIN SELECT 1; END;\n"
	    "CREATE INDEX i ON users(id);\nDELETE FROM events;\n";

	(void)state;
	check_sql("", trigger,
	    "CREATE TRIGGER IF NOT EXISTS t AFTER UPDATE ON \"members\"\n"
	    "WHEN OLD.\"no\" IS NOT NEW.\"no\" BEGIN\n"
	    "INSERT INTO events(id, name) VALUES (CASE NEW.\"nick\" WHEN 'NEW.id' "
	    "THEN 1 END, ''); DELETE FROM sw_x WHERE id = OLD.\"no\";\nEND;\n");
	check_sql("users.bio = a + b", "CREATE TRIGGER t AFTER INSERT ON users "
	    "WHEN NEW.bio BEGIN SELECT OLD.is_online; END;",
	    "CREATE TRIGGER t AFTER INSERT ON \"members\" WHEN "
	    "(NEW.\"a\" + NEW.\"b\") BEGIN SELECT NULL; END;\n");
	/* What is about a table that the site has not, and indexes, are left out. */
	check_sql("", other, "DELETE FROM events;\n");
	/* Without rooms every message is in the one that there is; times are as in the row. */
	check_sql(messages, "CREATE TRIGGER t AFTER INSERT ON messages BEGIN SELECT "
	    "NEW.room_id, NEW.timestamp, NEW.sender_name; END;",
	    "CREATE TRIGGER t AFTER INSERT ON \"posts\" BEGIN SELECT "
	    "'main', NEW.\"posted\", NULL; END;\n");
	check_sql("", "CREATE VIEW v AS SELECT id, bio FROM main.users;",
	    "CREATE VIEW v AS SELECT id, bio FROM (SELECT s.\"no\" AS id, "
	    "s.\"nick\" AS name, NULL AS email, '' AS avatar, s.\"no\" IN (SELECT "
	    "user_id FROM main.sw_online) AS is_online, '' AS bio "
	    "FROM main.\"members\" AS s);\n");
}

static int
count_claim(const struct sitemap_claim *c, void *arg)
{
	int *n = arg;

	assert_non_null(c->key);
	assert_non_null(c->table);
	assert_true(c->column == NULL || c->expr == NULL);
	return ++*n == 7 ? 1 : 0;
}

static void
test_events(void **state)
{
	struct sitemap *map;
	const char *table = NULL;
	struct buf b;
	int n = 0;

	(void)state;
	map = parse(users, "event.PAID = bills\nevent.PAID.id = no\n"
	    "event.PAID.user = who\nevent.PAID.on = update\n"
	    "event.PAID.payload = no as number , \"the sum\"\n", NULL);
	assert_non_null(map);
	assert_string_equal(sitemap_event(map, 0, &table), "PAID");
	assert_string_equal(table, "bills");
	assert_null(sitemap_event(map, 1, &table));
	assert_null(sitemap_event(NULL, 0, &table));
	buf_init(&b, 10000);
	sitemap_print_parts(map, &b);
	assert_non_null(strstr(buf_str(&b), "CREATE TRIGGER IF NOT EXISTS "
	    "sw_event_PAID AFTER UPDATE ON \"bills\"\nWHEN NEW.\"no\" IS NOT NULL "
	    "AND NEW.\"who\" IS NOT NULL AND (OLD.\"no\" IS NOT NEW.\"no\" COLLATE "
	    "BINARY OR OLD.\"the sum\" IS NOT NEW.\"the sum\" COLLATE BINARY)\n"));
	assert_null(strstr(buf_str(&b), "json"));
	buf_reset(&b);
	sitemap_print_entities(map, &b);
	assert_non_null(strstr(buf_str(&b), "json_object('number', CASE"));
	buf_release(&b);
	/* Table and two columns of users, table, three columns: it stops at the seventh. */
	assert_int_equal(sitemap_each_claim(map, count_claim, &n), 1);
	assert_int_equal(n, 7);
	sitemap_free(map);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_expressions),
		cmocka_unit_test(test_translate),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

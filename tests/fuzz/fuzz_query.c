/*
 * Query strings and the cursors in them.
 */
#include <string.h>

#include "clock.h"
#include "err.h"
#include "fuzz.h"
#include "query.h"

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

/* A cursor that can be read is printed as one that is read alike. */
static void
look_at_cursor(const char *s)
{
	char text[CLOCK_POS_SIZE];
	int64_t pos, again;

	if (s == NULL || clock_parse_pos(s, strlen(s), &pos) < 0)
		return;
	(void)clock_print_pos(pos, text);
	EXPECT(clock_parse_pos(text, strlen(text), &again) == 0);
	EXPECT(again == pos);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	const char *why = NULL;
	struct query q;
	size_t i;
	int rc;

	rc = query_parse((const char *)p, len, &q, &why);
	if (rc < 0) {
		EXPECT(rc == ERR_TOOBIG || (rc == ERR_INVAL && why != NULL));
		EXPECT((rc == ERR_TOOBIG) == (len > QUERY_MAX_LEN));
		return 0;
	}
	EXPECT(q.limit >= 1 && q.limit <= QUERY_LIMIT_MAX);
	EXPECT(q.timeout_ms >= 0 && q.timeout_ms < 86401LL * 1000);
	EXPECT((q.rooms == NULL) == (q.n_rooms == 0));
	EXPECT(q.n_rooms <= QUERY_MAX_ROOMS);
	for (i = 0; i < q.n_rooms; i++) {
		EXPECT(strlen(q.rooms[i]) <= QUERY_MAX_ID);
		EXPECT(i == 0 || strcmp(q.rooms[i - 1], q.rooms[i]) < 0);
	}
	EXPECT(q.client == NULL || (strlen(q.client) >= 1 &&
	    strlen(q.client) <= QUERY_MAX_CLIENT));
	look_at_cursor(q.last_message_id);
	look_at_cursor(q.last_timestamp);
	look_at_cursor(q.before);
	query_release(&q);
	return 0;
}

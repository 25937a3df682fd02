/*
 * Maps of `sidewire attach`: what is taken can be printed, and is taken again.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "fuzz.h"
#include "sitemap.h"

#define MAX_SQL	(1 << 20)

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static void
look_at_sql(const struct sitemap *map)
{
	struct buf sql;

	buf_init(&sql, MAX_SQL);
	sitemap_print_parts(map, &sql);
	sitemap_print_entities(map, &sql);
	sitemap_print_writes(map, &sql);
	sitemap_translate(map, "CREATE TRIGGER t AFTER UPDATE ON messages BEGIN "
	    "SELECT NEW.timestamp, OLD.room_id; END; SELECT * FROM main.users;",
	    1, &sql);
	EXPECT(buf_err(&sql) == 0);
	EXPECT(strlen(buf_str(&sql)) == sql.len);
	buf_release(&sql);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct sitemap *map = NULL, *again = NULL;
	char *text = malloc(len + 1);
	struct buf why;

	EXPECT(text != NULL);
	memcpy(text, p, len);
	text[len] = '\0';
	buf_init(&why, MAX_SQL);
	if (sitemap_parse(text, &map, &why) == 0) {
		EXPECT(why.len == 0);
		EXPECT(sitemap_parse(sitemap_text(map), &again, &why) == 0);
		look_at_sql(map);
	} else {
		EXPECT(why.len > 0 || buf_err(&why) != 0);
	}
	sitemap_free(again);
	sitemap_free(map);
	buf_release(&why);
	free(text);
	return 0;
}

/*
 * sitemap - how a site whose tables and columns have other names is read and written:
 * the map file of `sidewire attach`, and the SQL that follows from it.
 *
 * A line is "NAME = VALUE"; "#" begins a comment line.  NAME is a table as schema.sql has
 * it (users, rooms, messages, room_members, user_relationships), or TABLE.COLUMN; VALUE is
 * the site's own table, its column, or an expression of columns of that table in built-in
 * functions that cannot fail.  sidewire(1) has the whole form.
 * Pure text: whether the site has what is named, attach.h asks.
 * Threads: any; a struct sitemap is not changed after sitemap_parse().
 */
#ifndef SITEMAP_H
#define SITEMAP_H

#include <stddef.h>

#include "attr.h"

#define SITEMAP_MAX		65536	/* bytes of a map */
#define SITEMAP_MAX_INSERTS	64	/* lines TABLE.insert.COLUMN */
#define SITEMAP_MAX_EVENTS	32	/* types of event of the site's own */
#define SITEMAP_MAX_PAYLOAD	32	/* columns in the payload of one */

struct buf;
struct sitemap;

/* ERR_INVAL with every complaint in why, a line each, "line N: ..."; ERR_NOMEM. */
int	 sitemap_parse(const char *text, struct sitemap **ret, struct buf *why)
	    ATTR_MUST_CHECK;
void	 sitemap_free(struct sitemap *map);		/* NULL is fine */
const char *sitemap_text(const struct sitemap *map);	/* as it was parsed; borrowed */

/* The site's name of a table of schema.sql, NULL: the site has none.  A map of NULL: the
 * name itself. */
const char *sitemap_table(const struct sitemap *map, const char *table);
/* The site's column, NULL where an expression or nothing stands for it.  map as above. */
const char *sitemap_column(const struct sitemap *map, const char *table,
    const char *column);
/* Whether the members of rooms, and who is online, are kept in tables of ours. */
int	 sitemap_owns_members(const struct sitemap *map);
int	 sitemap_owns_presence(const struct sitemap *map);
/* Whether our index of this name (one of schema.sql on a table of the site) is made. */
int	 sitemap_has_index(const struct sitemap *map, const char *name);
/* The events of the site's own: type and table of number i; NULL beyond the last. */
const char *sitemap_event(const struct sitemap *map, int i, const char **ret_table);

/* What the site's schema must bear out, one fact at a time. */
struct sitemap_claim {
	const char	*key;		/* of the map: "users.name" */
	const char	*table;		/* of the site */
	const char	*column;	/* of the site; NULL: the table itself, or an expression */
	const char	*expr;		/* SQL over "table AS s"; NULL */
	int		 is_id;		/* rows are looked up by the column */
};
typedef int sitemap_claim_fn(const struct sitemap_claim *claim, void *arg);
/* Walks them until fn returns other than 0, which is returned; ERR_NOMEM. */
int	 sitemap_each_claim(const struct sitemap *map, sitemap_claim_fn *fn, void *arg);
/* Whether an INSERT into `table` (as schema.sql has it) gives the site's column a value. */
int	 sitemap_inserts(const struct sitemap *map, const char *table,
	    const char *site_column);

/* Appends sql, a section of schema.sql or views.sql, with the site's names: statements about
 * tables that the site has not are left out, and so are indexes. */
void	 sitemap_translate(const struct sitemap *map, const char *sql, int has_rowid,
	    struct buf *ret);
/* Appends what no section has: indexes and the events' triggers; the events' view; the
 * triggers by which one writes to the views. */
void	 sitemap_print_parts(const struct sitemap *map, struct buf *ret);
void	 sitemap_print_entities(const struct sitemap *map, struct buf *ret);
void	 sitemap_print_writes(const struct sitemap *map, struct buf *ret);

#endif

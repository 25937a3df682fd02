/*
 * attach - puts Sidewire beside a site whose tables have other names, by a map
 * (sitemap.h), and takes it away again.
 *
 * The map is kept in sw_meta; each connection makes its views by it, and a repair its
 * triggers.  Services that run meanwhile must be started again: they notice, and say so.
 * Threads: as the store's, which is opened with STORE_BARE.
 */
#ifndef ATTACH_H
#define ATTACH_H

#include "attr.h"

struct buf;
struct store;

/*
 * Reads the map, holds it against the site's schema, and in one transaction makes our
 * tables, triggers and indexes, in the place of those of an earlier map.  sql gets every
 * statement.  is_dry: all of it is run and undone.  ERR_INVAL (the map), ERR_SCHEMA (map and
 * schema do not agree): every complaint in why, a line each, and nothing is changed; ERR_BUSY
 * and the store's errors: why has one line.
 */
int	 attach_make(struct store *st, const char *map, int is_dry, struct buf *sql,
	    struct buf *why) ATTR_MUST_CHECK;

/* Removes triggers, indexes and map; is_purge: and every table of ours.  Returns how many
 * objects there were; errors as above. */
int	 attach_remove(struct store *st, int is_purge, struct buf *why) ATTR_MUST_CHECK;

#endif

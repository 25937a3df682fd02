/*
 * schema - the tables, views and triggers of schema.sql: created, checked, put back.
 *
 * The persistent part (the log, our own tables, the triggers on the site's
 * tables) is of the version that stands in our table sw_meta; PRAGMA user_version
 * and application_id are left to the site, which may count its own migrations
 * there.  A trigger refers to the row that fires it and to tables of ours, never to
 * another table of the site, and there is no persistent view over the site's
 * tables: so a migration of the site that rebuilds a table by DROP and RENAME is
 * not stopped on our account.  The views that the programs read and write through
 * (sw_users, sw_rooms, sw_members, sw_blocks, sw_favorites, sw_messages) are TEMP,
 * made by each connection at open.
 *
 * Where the site has other names, attach.h has put a map (sitemap.h) into sw_meta, and all
 * that is said here holds for the tables and columns that it names.
 *
 * room_members is ours where schema_init() made it: then a room's creator is made
 * a member, and who is deleted leaves.  Where the site had such a table already,
 * its rows are the site's business, and no trigger of ours writes to it.
 * Threads: as the store's.
 */
#ifndef SCHEMA_H
#define SCHEMA_H

#include <stddef.h>

#include "attr.h"

#define SCHEMA_VERSION	2

struct store;

/*
 * Creates what is missing and nothing else, in one transaction; on tables that
 * the site has already, it keeps the rows and the definitions.  *ret_made is the
 * number of objects made, 1 where only rows of ours were put right (0: nothing was
 * changed).  ERR_SCHEMA with why, and nothing changed: a table lacks columns (named,
 * with the ALTER TABLE to add them), or a newer program wrote the file.
 */
int	 schema_init(struct store *st, int *ret_made, char *why, size_t size)
	    ATTR_MUST_CHECK;

/* Compares version, tables, columns and triggers; ERR_SCHEMA with one line in why. */
int	 schema_check(struct store *st, char *why, size_t size) ATTR_MUST_CHECK;

/*
 * Puts back triggers and indexes of ours that a migration of the site dropped or
 * took along with a renamed table, and our copy of which rooms are private; brings a
 * schema of an older version up to ours, as schema_init() would, and logs that.
 * *ret_made is how many objects were made.  Takes the write lock only where something
 * is missing.  ERR_SCHEMA: a table or column itself is missing now; ERR_BUSY.
 */
int	 schema_repair(struct store *st, int *ret_made, char *why, size_t size)
	    ATTR_MUST_CHECK;

#endif

/*
 * store_impl - what the modules behind the store share: the handle itself and its
 * prepared statements.  Included by store.c, schema.c, schema_text.c, attach.c, eventlog.c,
 * eventlog_ends.c, payload.c, site.c, sends.c, revocation.c, lease.c and backup.c alone, and
 * never by a header.
 *
 * Threads: as the store's.
 */
#ifndef STORE_IMPL_H
#define STORE_IMPL_H

#include <sqlite3.h>
#include <sys/queue.h>

#include "schema.h"
#include "store.h"

struct buf;
struct sitemap;

/* One row of store_sql.def each: the closed list of statements. */
enum sql {
#define SQL(name, text)	SQL_ ## name,
#include "store_sql.def"
#undef SQL
	SQL_COUNT
};

/* What eventlog_prune() counted: so many rows from mark on, up to head.  rows 0: nothing. */
struct store_prune {
	int64_t	mark;
	int64_t	head;
	int64_t	rows;
};

#define STORE_EVENTS	64	/* a power of two */

/* The ends of the log, as eventlog.c found them in this version, and events with their texts. */
struct store_ends {
	struct store_version	version;
	int64_t			oldest, head;
	char			message[65];	/* the id of the message at the head; "" */
	/* Built in this version: by position, one reference each, NULL where none is. */
	struct event		*event[STORE_EVENTS];
};

struct store {
	LIST_ENTRY(store)	 all;		/* of the process, by store.c */
	sqlite3			*db;
	const struct conf	*conf;
	sqlite3_stmt		*stmt[SQL_COUNT];	/* prepared on first use, persistent */
	char			*path;			/* real path */
	dev_t			 dev;
	ino_t			 ino;
	char			 errmsg[256];
	struct store_prune	 prune;
	struct store_ends	 ends;
	const uint32_t		*index;		/* store_version.c: of the WAL; NULL */
	int			 has_no_index;
	uint64_t		 steps;
	int			 is_listed;	/* in `all` */
	int			 has_views;		/* views.sql was run: views, */
	int			 has_writes;		/* and their triggers */
	struct sitemap		*map;		/* of the site's names; NULL: ours */
};

/* The statement, prepared, reset and without bindings; NULL: *ret_err says why. */
sqlite3_stmt *store_stmt(struct store *st, enum sql which, int *ret_err);
/* The same with text parameters bound (store_bind_text()); a name that is NULL ends the list. */
struct store_bind {
	const char	*name;
	const char	*text;
};
sqlite3_stmt *store_stmt_bound(struct store *st, enum sql which, const struct store_bind *bind,
	    int *ret_err);
/* Runs a statement that gives no row: 0 or an error; resets it. */
int	 store_run(struct store *st, sqlite3_stmt *stmt) ATTR_MUST_CHECK;
/* Steps: 1 a row, 0 done, or an error.  The caller resets (store_done()). */
int	 store_step(struct store *st, sqlite3_stmt *stmt) ATTR_MUST_CHECK;
void	 store_done(sqlite3_stmt *stmt);
/* Binds to the parameter of this name (":user"); text NULL binds NULL.  The text must live
 * until the statement is reset. */
int	 store_bind_text(struct store *st, sqlite3_stmt *stmt, const char *name,
	    const char *text) ATTR_MUST_CHECK;
int	 store_bind_blobtext(struct store *st, sqlite3_stmt *stmt, const char *name,
	    const char *text, size_t len) ATTR_MUST_CHECK;
int	 store_bind_int(struct store *st, sqlite3_stmt *stmt, const char *name,
	    int64_t value) ATTR_MUST_CHECK;
/* Remembers db's message and turns SQLite's result code into one of ours. */
int	 store_fail(struct store *st, int rc);
/* Forgets what eventlog.c remembers on st. */
void	 eventlog_forget(struct store *st);
/* Makes the TEMP views of views.sql that fit the site's tables, once a connection. */
int	 schema_open_views(struct store *st) ATTR_MUST_CHECK;
/* Reads the map of the site (sitemap.h) into st->map, where there is one.  ERR_SCHEMA: it is
 * another one than that of the views that st has. */
int	 schema_load_map(struct store *st) ATTR_MUST_CHECK;
/* A value of sw_meta, "" where there is none. */
int	 schema_meta(struct store *st, const char *key, char *ret, size_t size) ATTR_MUST_CHECK;
/* 1 a table, 0 nothing of that name, ERR_SCHEMA something that can have no trigger. */
int	 schema_kind(struct store *st, const char *table) ATTR_MUST_CHECK;
/* Runs a section of schema.sql: "\n--[tables]\n". */
int	 schema_run(struct store *st, const char *section) ATTR_MUST_CHECK;
/* For a site with a map: what of schema.sql is on its tables or instead of them; the TEMP
 * views. */
void	 schema_print_mapped(const struct store *st, struct buf *ret);
void	 schema_print_views(struct store *st, struct buf *ret);
int	 schema_make_mapped(struct store *st) ATTR_MUST_CHECK;
/* Makes the triggers by which one writes to them, once; outside of a transaction, for a
 * rollback would take them along.  store_write() does it: a statement that writes to a view
 * is prepared after that. */
int	 schema_open_writes(struct store *st) ATTR_MUST_CHECK;
/* Runs several statements of constant text (schema, pragmas). */
int	 store_exec(struct store *st, const char *sql) ATTR_MUST_CHECK;
/* Opens the file at st->path for reading only, without locks, -wal and -shm. */
int	 store_look(struct store *st, char *why, size_t size) ATTR_MUST_CHECK;
/* Begins a read (or write) transaction unless one is open; *ret_began tells store_leave()
 * whether to end it. */
int	 store_enter(struct store *st, int is_write, int *ret_began) ATTR_MUST_CHECK;
/* Ends what store_enter() began: commits when rc >= 0, else rolls back; returns rc or the
 * commit's error. */
int	 store_leave(struct store *st, int began, int rc) ATTR_MUST_CHECK;

#endif

/*
 * testdb - a database in a directory of its own, for unit tests that need a real one.
 *
 * testdb_open() makes the directory under TMPDIR, a configuration of initial values
 * that points into it, the schema, and a plain SQLite handle `site` that plays the
 * site: another program that knows nothing of us.  testdb_close() removes everything.
 */
#ifndef TESTDB_H
#define TESTDB_H

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "schema.h"
#include "store.h"

struct testdb {
	char		 dir[256];
	char		 path[300];
	struct conf	 conf;
	struct store	*st;
	sqlite3		*site;
};

static inline int
testdb_unlink(const char *path, const struct stat *sb, int flag, struct FTW *ftw)
{
	(void)sb;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void
testdb_rmdir(const char *dir)
{
	(void)nftw(dir, testdb_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* Makes the directory, its name in ret. */
static inline void
testdb_mkdir(char *ret, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(ret, size, "%s/sidewire-test.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(ret) == NULL) {
		perror(ret);
		abort();
	}
}

/* The initial values, with database and run_dir in dir and the lines of extra added. */
static inline void
testdb_conf(const char *dir, const char *extra, struct conf *ret)
{
	char text[2048], why[512];

	(void)snprintf(text, sizeof(text),
	    "database = %s/sidewire.db\nrun_dir = %s/run\n"
	    "jwt.key_file = %s/jwt.key\n%s", dir, dir, dir,
	    extra != NULL ? extra : "");
	if (conf_parse("test", text, strlen(text), NULL, ret, why,
	    sizeof(why)) < 0) {
		(void)fprintf(stderr, "%s\n", why);
		abort();
	}
}

/* Runs statements as the site would. */
static inline void
testdb_site(struct testdb *db, const char *sql)
{
	char *msg = NULL;

	if (sqlite3_exec(db->site, sql, NULL, NULL, &msg) != SQLITE_OK) {
		(void)fprintf(stderr, "%s: %s\n", sql, msg);
		abort();
	}
}

static inline void
testdb_open(struct testdb *db, const char *extra)
{
	char why[512] = "";
	int made;

	memset(db, 0, sizeof(*db));
	testdb_mkdir(db->dir, sizeof(db->dir));
	testdb_conf(db->dir, extra, &db->conf);
	(void)snprintf(db->path, sizeof(db->path), "%s/sidewire.db", db->dir);
	if (store_open(&db->conf, STORE_CREATE, &db->st, why,
	    sizeof(why)) < 0 ||
	    schema_init(db->st, &made, why, sizeof(why)) < 0) {
		(void)fprintf(stderr, "%s\n", why);
		abort();
	}
	store_close(db->st);
	if (store_open(&db->conf, STORE_SERVE, &db->st, why,
	    sizeof(why)) < 0 ||
	    sqlite3_open(db->path, &db->site) != SQLITE_OK) {
		(void)fprintf(stderr, "%s\n", why);
		abort();
	}
	(void)sqlite3_busy_timeout(db->site, 10000);
}

static inline void
testdb_close(struct testdb *db)
{
	(void)sqlite3_close(db->site);
	store_close(db->st);
	conf_release(&db->conf);
	testdb_rmdir(db->dir);
}

#endif

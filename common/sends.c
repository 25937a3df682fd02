/*
 * The table of keys (sends.h): sw_sends, whose id is the place of the message's
 * event in the log.  So the key of an event is found by the table's own key, and
 * what is old is at its beginning.
 */
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "event.h"
#include "hash.h"
#include "sends.h"
#include "store_impl.h"

/* The bytes and their number, so that parts cannot run together. */
static uint64_t
mix(uint64_t h, const char *s, size_t len)
{
	unsigned char size[8];
	uint64_t rest = len;
	size_t i;

	for (i = 0; i < sizeof(size); i++, rest >>= 8)
		size[i] = (unsigned char)rest;
	return hash_add(hash_add(h, s, len), size, sizeof(size));
}

int64_t
sends_digest(const char *room_id, const char *content, size_t len,
    const char *type)
{
	uint64_t h = HASH_START;

	h = mix(h, room_id, strlen(room_id));
	h = mix(h, content, len);
	h = mix(h, type, strlen(type));
	return (int64_t)h;
}

#define BY_KEY(user, key) (struct store_bind[]){ \
	{ ":user", user }, { ":key", key }, { NULL, NULL } }

int
sends_find(struct store *st, const char *user_id, const char *key,
    int64_t digest, struct sends_answer *ret)
{
	sqlite3_stmt *stmt;
	const char *id;
	int rc;

	stmt = store_stmt_bound(st, SQL_SENDS_FIND, BY_KEY(user_id, key), &rc);
	if (stmt == NULL)
		return rc;
	rc = store_step(st, stmt);
	if (rc == 1 && sqlite3_column_int64(stmt, 1) != digest) {
		rc = ERR_EXISTS;
	} else if (rc == 1) {
		id = (const char *)sqlite3_column_text(stmt, 2);
		if (id == NULL) {
			rc = ERR_NOMEM;
		} else {
			ret->pos = sqlite3_column_int64(stmt, 0);
			(void)snprintf(ret->message_id,
			    sizeof(ret->message_id), "%s", id);
		}
	}
	store_done(stmt);
	return rc;
}

int
sends_add(struct store *st, const char *user_id, const char *key,
    int64_t digest, const struct sends_answer *answer)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt_bound(st, SQL_SENDS_ADD, BY_KEY(user_id, key), &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_int(st, stmt, ":pos", answer->pos);
	if (rc == 0)
		rc = store_bind_int(st, stmt, ":digest", digest);
	if (rc == 0)
		rc = store_bind_text(st, stmt, ":message", answer->message_id);
	if (rc == 0)
		return store_run(st, stmt);
	store_done(stmt);
	return rc;
}

int
sends_print_key(struct store *st, int64_t pos, const char *user_id,
    struct buf *b)
{
	sqlite3_stmt *stmt;
	const char *key;
	int rc;

	stmt = store_stmt(st, SQL_SENDS_KEY, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_int(st, stmt, ":pos", pos);
	if (rc == 0)
		rc = store_bind_text(st, stmt, ":user", user_id);
	if (rc == 0)
		rc = store_step(st, stmt);
	if (rc == 1) {
		key = (const char *)sqlite3_column_text(stmt, 0);
		if (key == NULL)
			rc = ERR_NOMEM;
		else
			event_print_string(b, key, strlen(key));
	}
	store_done(stmt);
	return rc;
}

int
sends_prune(struct store *st, int64_t before_us, int max)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt(st, SQL_SENDS_PRUNE, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_int(st, stmt, ":before", before_us);
	if (rc == 0)
		rc = store_bind_int(st, stmt, ":max", max);
	if (rc < 0) {
		store_done(stmt);
		return rc;
	}
	rc = store_run(st, stmt);
	return rc < 0 ? rc : sqlite3_changes(st->db);
}

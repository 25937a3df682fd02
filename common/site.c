/*
 * The tables of the site, read and written through the views sw_* alone: what those
 * call their tables and columns is views.sql's affair.
 *
 * The views' triggers write for us, so SQLite does not count what changed: that a
 * row is there, or is not, is asked first, in the same write transaction.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "event.h"
#include "payload.h"
#include "query.h"
#include "site.h"
#include "store_impl.h"

#define MAX_NAME	256		/* bytes of a user's or room's name */
#define HISTORY_WINDOW	2000		/* rows to look at once there is an answer */
#define HISTORY_BYTES	(1024 * 1024)	/* a page that is longer ends early */

/* 1: the statement gives a row, 0: it gives none. */
static int
ask(struct store *st, enum sql which, const struct store_bind *bind)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt_bound(st, which, bind, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_step(st, stmt);
	store_done(stmt);
	return rc;
}

static int
run(struct store *st, enum sql which, const struct store_bind *bind)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt_bound(st, which, bind, &rc);
	return stmt == NULL ? rc : store_run(st, stmt);
}

/* As a name that is needed: 0, or ERR_NOTFOUND. */
static int
need(struct store *st, enum sql which, const char *id)
{
	int rc;

	rc = ask(st, which, (struct store_bind[]){ { ":id", id }, { NULL, NULL } });
	if (rc < 0)
		return rc;
	return rc == 1 ? 0 : ERR_NOTFOUND;
}

int
site_has_user(struct store *st, const char *user_id)
{
	return ask(st, SQL_USER_NAMED,
	    (struct store_bind[]){ { ":id", user_id }, { NULL, NULL } });
}

int
site_check_room(struct store *st, const char *room_id, const char *user_id)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt_bound(st, SQL_CHECK_ROOM, (struct store_bind[]){
	    { ":room", room_id }, { ":user", user_id }, { NULL, NULL } }, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_step(st, stmt);
	if (rc == 0)
		rc = ERR_NOTFOUND;
	else if (rc == 1)
		rc = !sqlite3_column_int(stmt, 0) || sqlite3_column_int(stmt, 1)
		    ? 0 : ERR_DENIED;
	store_done(stmt);
	return rc;
}

static int
each_id(struct store *st, enum sql which, const char *user_id,
    site_each_fn *fn, void *arg)
{
	sqlite3_stmt *stmt;
	const char *id;
	int rc, said = 0;

	stmt = store_stmt_bound(st, which,
	    (struct store_bind[]){ { ":user", user_id }, { NULL, NULL } }, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_step(st, stmt);
	while (rc == 1 && said == 0) {
		id = (const char *)sqlite3_column_text(stmt, 0);
		if (id != NULL)
			said = fn(id, arg);
		else if (sqlite3_column_type(stmt, 0) != SQLITE_NULL)
			said = ERR_NOMEM;
		if (said == 0)
			rc = store_step(st, stmt);
	}
	store_done(stmt);
	return rc < 0 ? rc : said;
}

int
site_each_membership(struct store *st, const char *user_id, site_each_fn *fn,
    void *arg)
{
	return each_id(st, SQL_MEMBERSHIPS, user_id, fn, arg);
}

int
site_each_block(struct store *st, const char *user_id, site_each_fn *fn,
    void *arg)
{
	return each_id(st, SQL_BLOCKS, user_id, fn, arg);
}

/* 1: his state is the other one. */
static int
online_differs(struct store *st, const char *user_id, int is_online)
{
	return ask(st, SQL_ONLINE_DIFFERS, (struct store_bind[]){ { ":id", user_id },
	    { ":online", is_online ? "1" : "0" }, { NULL, NULL } });
}

int
site_set_online(struct store *st, const char *user_id, int is_online)
{
	int rc, err, began;

	/* Mostly nothing is to be done, and that needs no write lock. */
	rc = online_differs(st, user_id, is_online);
	if (rc <= 0)
		return rc;
	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = online_differs(st, user_id, is_online);
	if (rc == 1) {
		err = run(st, SQL_SET_ONLINE, (struct store_bind[]){
		    { ":id", user_id }, { ":online", is_online ? "1" : "0" },
		    { NULL, NULL } });
		rc = err < 0 ? err : 1;
	}
	return store_leave(st, began, rc);
}

/* The seq of a message of the room, 1; or 0: it is none of it. */
static int
message_seq(struct store *st, const char *room_id, const char *id,
    int64_t *ret)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt_bound(st, SQL_MESSAGE_SEQ,
	    (struct store_bind[]){ { ":id", id },
	    { ":room", room_id }, { NULL, NULL } }, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_step(st, stmt);
	if (rc == 1)
		*ret = sqlite3_column_int64(stmt, 0);
	store_done(stmt);
	return rc;
}

/* A page of history as it is read: newest first, payloads one behind the other. */
struct page {
	struct buf	 text;
	struct buf	 one;			/* reused from row to row */
	size_t		 end[QUERY_LIMIT_MAX];	/* where each payload ends */
	int		 n;
	int		 is_more;
};

/* Adds a row's message; a longer one than any event is left out, as it is live. */
static int
page_add(struct page *page, sqlite3_stmt *row)
{
	int rc;

	buf_reset(&page->one);
	payload_print_message(row, &page->one);
	rc = buf_err(&page->one);
	if (rc < 0)
		return rc == ERR_TOOBIG ? 0 : rc;
	buf_add(&page->text, page->one.p, page->one.len);
	page->end[page->n++] = page->text.len;
	return buf_err(&page->text);
}

/* Reads from the row before the one at seq downwards until the page is full. */
static int
page_read(struct store *st, const struct store_bind *bind, int64_t seq,
    int limit, struct page *page)
{
	sqlite3_stmt *row;
	int rc, seen = 0;

	row = store_stmt_bound(st, SQL_HISTORY, bind, &rc);
	if (row == NULL)
		return rc;
	rc = store_bind_int(st, row, ":seq", seq);
	if (rc == 0)
		rc = store_step(st, row);
	while (rc == 1) {
		if (page->n >= limit || page->text.len >= HISTORY_BYTES
		    || (page->n > 0 && seen >= HISTORY_WINDOW)) {
			page->is_more = 1;
			break;
		}
		seen++;
		rc = sqlite3_column_int(row, 8) ? 0 : page_add(page, row);
		if (rc == 0)
			rc = store_step(st, row);
	}
	store_done(row);
	return rc < 0 ? rc : 0;
}

static void
page_print(const struct page *page, struct buf *ret)
{
	size_t start;
	int i;

	buf_adds(ret, "{\"messages\":[");
	for (i = page->n - 1; i >= 0; i--) {
		start = i > 0 ? page->end[i - 1] : 0;
		buf_add(ret, page->text.p + start, page->end[i] - start);
		if (i > 0)
			buf_addc(ret, ',');
	}
	buf_adds(ret, page->is_more ? "],\"more\":true}" : "],\"more\":false}");
}

int
site_print_history(struct store *st, const char *room_id, const char *user_id,
    const char *before, int limit, struct buf *ret)
{
	const struct store_bind bind[] = { { ":room", room_id }, { ":user", user_id },
	    { ":before", before }, { NULL, NULL } };
	struct page page = { .n = 0, .is_more = 0 };
	int64_t seq = INT64_MAX;
	int rc, began;

	if (limit < 1 || limit > QUERY_LIMIT_MAX)
		return ERR_INVAL;
	rc = store_enter(st, 0, &began);
	if (rc < 0)
		return rc;
	buf_init(&page.text, HISTORY_BYTES + EVENT_MAX_TEXT);
	buf_init(&page.one, EVENT_MAX_TEXT);
	if (before != NULL) {
		rc = message_seq(st, room_id, before, &seq);
		rc = rc == 0 ? ERR_NOTFOUND : rc < 0 ? rc : 0;
	}
	if (rc == 0)
		rc = page_read(st, bind, seq, limit, &page);
	rc = store_leave(st, began, rc);
	if (rc == 0) {
		page_print(&page, ret);
		rc = buf_err(ret);
	}
	buf_release(&page.one);
	buf_release(&page.text);
	return rc;
}

/* The statements of a kind of row that is made with an id of its own. */
struct maker {
	enum sql	 column;	/* tells the declared type of the id */
	enum sql	 last;		/* the greatest id */
	enum sql	 named;		/* is there one of this id? */
	enum sql	 add;
};

static const struct maker make_user = { SQL_ID_OF_USER, SQL_LAST_USER,
    SQL_USER_NAMED, SQL_ADD_USER };
static const struct maker make_room = { SQL_ID_OF_ROOM, SQL_LAST_ROOM,
    SQL_ROOM_NAMED, SQL_ADD_ROOM };
static const struct maker make_message = { SQL_ID_OF_MESSAGE,
    SQL_LAST_MESSAGE, SQL_MESSAGE_NAMED, SQL_ADD_MESSAGE };

/*
 * Chooses the id of a new row: the given one if it may be one and is not taken, a
 * number of the table's own where it numbers its rows (*ret_id is "" then), else 128
 * bits in hexadecimal, as the tables' own defaults are: 48 of milliseconds and 80 random
 * ones (in the manner of RFC 9562 section 5.7), so that new rows are neighbours in the
 * indexes and a commit of many writes few pages.
 */
static int
choose_id(struct store *st, const struct maker *m, const char *id,
    char ret[AUTH_MAX_USER + 1])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char bits[16];
	sqlite3_stmt *stmt;
	const char *type;
	uint64_t now_ms;
	size_t i, len;
	int rc;

	if (id != NULL) {
		len = strlen(id);
		if (len == 0)
			return ERR_INVAL;
		if (len > AUTH_MAX_USER)
			return ERR_TOOBIG;
		rc = need(st, m->named, id);
		if (rc != ERR_NOTFOUND)
			return rc == 0 ? ERR_EXISTS : rc;
		memcpy(ret, id, len + 1);
		return 0;
	}
	stmt = store_stmt(st, m->column, &rc);
	if (stmt == NULL)
		return rc;
	type = sqlite3_column_decltype(stmt, 0);
	ret[0] = '\0';
	if (type != NULL && strcasecmp(type, "INTEGER") == 0)
		return 0;
	if (getrandom(bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		return ERR_IO;
	now_ms = (uint64_t)clock_wall_ms();
	for (i = 0; i < 6; i++)
		bits[i] = (unsigned char)(now_ms >> 8 * (5 - i));
	for (i = 0; i < sizeof(bits); i++) {
		ret[2 * i] = hex[bits[i] >> 4];
		ret[2 * i + 1] = hex[bits[i] & 15];
	}
	ret[2 * sizeof(bits)] = '\0';
	return 0;
}

/* The id that the table gave to the row that was just made. */
static int
last_id(struct store *st, const struct maker *m, char ret[AUTH_MAX_USER + 1])
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt(st, m->last, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_step(st, stmt);
	if (rc == 1)
		(void)snprintf(ret, AUTH_MAX_USER + 1, "%lld",
		    (long long)sqlite3_column_int64(stmt, 0));
	store_done(stmt);
	return rc < 0 ? rc : 0;
}

/* What a new row needs beside its id; content is for messages, NULL elsewhere. */
struct row {
	const struct store_bind	*bind;
	const char		*content;
	size_t			 len;
};

/* Makes a row in a write transaction that is open. */
static int
add_row(struct store *st, const struct maker *m, const char *id,
    const struct row *row, char ret_id[AUTH_MAX_USER + 1])
{
	char name[AUTH_MAX_USER + 1];
	sqlite3_stmt *stmt;
	int rc;

	rc = choose_id(st, m, id, name);
	if (rc < 0)
		return rc;
	stmt = store_stmt_bound(st, m->add, row->bind, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_text(st, stmt, ":id", name[0] != '\0' ? name : NULL);
	if (rc == 0 && row->content != NULL)
		rc = store_bind_blobtext(st, stmt, ":content", row->content,
		    row->len);
	if (rc < 0) {
		store_done(stmt);
		return rc;
	}
	rc = store_run(st, stmt);
	if (rc == 0 && name[0] == '\0')
		rc = last_id(st, m, name);
	if (rc == 0)
		memcpy(ret_id, name, sizeof(name));
	return rc;
}

static int
check_name(const char *name)
{
	if (*name == '\0')
		return ERR_INVAL;
	return strlen(name) > MAX_NAME ? ERR_TOOBIG : 0;
}

int
site_add_user(struct store *st, const char *id, const char *name,
    const char *email, char *ret_id)
{
	const struct store_bind bind[] = { { ":name", name }, { ":email", email },
	    { ":avatar", "" }, { NULL, NULL } };
	int rc, began;

	rc = check_name(name);
	if (rc == 0)
		rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = add_row(st, &make_user, id, &(struct row){ .bind = bind }, ret_id);
	return store_leave(st, began, rc);
}

int
site_provision(struct store *st, const struct auth_claims *claims)
{
	const struct store_bind bind[] = {
	    { ":name", *claims->name != '\0' ? claims->name : claims->user_id },
	    { ":email", NULL }, { ":avatar", claims->avatar }, { NULL, NULL } };
	char id[AUTH_MAX_USER + 1];
	int rc, began;

	rc = site_has_user(st, claims->user_id);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = add_row(st, &make_user, claims->user_id,
	    &(struct row){ .bind = bind }, id);
	rc = store_leave(st, began, rc);
	if (rc == ERR_EXISTS)
		return 0;		/* somebody made him meanwhile */
	return rc < 0 ? rc : 1;
}

int
site_add_room(struct store *st, const char *id, const char *name,
    int is_private, const char *created_by, char *ret_id)
{
	const struct store_bind bind[] = { { ":name", name },
	    { ":private", is_private ? "1" : "0" },
	    { ":creator", created_by }, { NULL, NULL } };
	int rc, began;

	rc = check_name(name);
	if (rc == 0)
		rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	if (created_by != NULL)
		rc = need(st, SQL_USER_NAMED, created_by);
	if (rc == 0)
		rc = add_row(st, &make_room, id, &(struct row){ .bind = bind },
		    ret_id);
	return store_leave(st, began, rc);
}

/* Removes the row of this id, which must be there. */
static int
delete_row(struct store *st, enum sql named, enum sql delete, const char *id)
{
	int rc, began;

	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = need(st, named, id);
	if (rc == 0)
		rc = run(st, delete,
		    (struct store_bind[]){ { ":id", id }, { NULL, NULL } });
	return store_leave(st, began, rc);
}

int
site_delete_user(struct store *st, const char *id)
{
	return delete_row(st, SQL_USER_NAMED, SQL_DELETE_USER, id);
}

int
site_delete_room(struct store *st, const char *id)
{
	return delete_row(st, SQL_ROOM_NAMED, SQL_DELETE_ROOM, id);
}

int
site_add_member(struct store *st, const char *room_id, const char *user_id)
{
	const struct store_bind bind[] = { { ":room", room_id }, { ":user", user_id },
	    { NULL, NULL } };
	int rc, began;

	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = need(st, SQL_ROOM_NAMED, room_id);
	if (rc == 0)
		rc = need(st, SQL_USER_NAMED, user_id);
	if (rc == 0)
		rc = ask(st, SQL_MEMBER_NAMED, bind);
	if (rc == 1)
		rc = ERR_EXISTS;
	else if (rc == 0)
		rc = run(st, SQL_ADD_MEMBER, bind);
	return store_leave(st, began, rc);
}

int
site_delete_member(struct store *st, const char *room_id, const char *user_id)
{
	const struct store_bind bind[] = { { ":room", room_id }, { ":user", user_id },
	    { NULL, NULL } };
	int rc, began;

	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = ask(st, SQL_MEMBER_NAMED, bind);
	if (rc == 0)
		rc = ERR_NOTFOUND;
	else if (rc == 1)
		rc = run(st, SQL_DELETE_MEMBER, bind);
	return store_leave(st, began, rc);
}

int
site_post(struct store *st, const char *room_id, const char *user_id,
    const char *content, size_t len, const char *type, char *ret_id)
{
	char now[CLOCK_POS_SIZE];
	const struct store_bind bind[] = { { ":room", room_id }, { ":user", user_id },
	    { ":type", type }, { ":now", now }, { NULL, NULL } };
	const struct row row = { bind, content, len };
	int rc, began;

	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	clock_print_pos(clock_wall_us(), now);
	rc = need(st, SQL_USER_NAMED, user_id);
	if (rc == 0)
		rc = need(st, SQL_ROOM_NAMED, room_id);
	if (rc == 0)
		rc = add_row(st, &make_message, NULL, &row, ret_id);
	return store_leave(st, began, rc);
}

/* Walks rows of at most four columns, as text. */
static int
list(struct store *st, enum sql which, const struct store_bind *bind,
    site_row_fn *fn, void *arg)
{
	const char *col[4] = { NULL, NULL, NULL, NULL };
	sqlite3_stmt *stmt;
	int rc, i, said = 0;

	stmt = store_stmt_bound(st, which, bind, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_step(st, stmt);
	while (rc == 1 && said == 0) {
		for (i = 0; i < sqlite3_column_count(stmt); i++)
			col[i] = (const char *)sqlite3_column_text(stmt, i);
		said = fn(col, arg);
		if (said == 0)
			rc = store_step(st, stmt);
	}
	store_done(stmt);
	return rc < 0 ? rc : said;
}

int
site_list_users(struct store *st, site_row_fn *fn, void *arg)
{
	return list(st, SQL_LIST_USERS, (struct store_bind[]){ { NULL, NULL } }, fn,
	    arg);
}

int
site_list_rooms(struct store *st, site_row_fn *fn, void *arg)
{
	return list(st, SQL_LIST_ROOMS, (struct store_bind[]){ { NULL, NULL } }, fn,
	    arg);
}

int
site_list_members(struct store *st, const char *room_id, site_row_fn *fn,
    void *arg)
{
	return list(st, SQL_LIST_MEMBERS,
	    (struct store_bind[]){ { ":room", room_id }, { NULL, NULL } }, fn, arg);
}

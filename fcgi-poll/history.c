/*
 * GET /api/realtime/history: back through a room's messages (protocol.md,
 * section 6).
 */
#include <string.h>

#include "auth.h"
#include "err.h"
#include "handler.h"
#include "query.h"
#include "reply.h"
#include "request.h"
#include "site.h"
#include "store.h"

/* Rights and page are of one transaction. */
static int
print(struct store *st, const struct query *q, const char *user_id,
    struct buf *ret, int *ret_has_room)
{
	int rc;

	*ret_has_room = 0;
	rc = store_read(st);
	if (rc == 0)
		rc = site_check_room(st, q->room_id, user_id);
	if (rc == 0) {
		*ret_has_room = 1;
		rc = site_print_history(st, q->room_id, user_id, q->before,
		    q->limit, ret);
	}
	store_rollback(st);
	return rc;
}

static void
answer(struct handler *h, const struct query *q, const char *user_id,
    struct reply *rep)
{
	struct store *st;
	int rc, has_room;

	st = handler_store(h, rep);
	if (st == NULL)
		return;
	rc = print(st, q, user_id, &rep->body, &has_room);
	if (rc == ERR_NOTFOUND)
		reply_problem(rep, PROBLEM_NOT_FOUND, has_room ?
		    "\"before\" is not a message of this room." :
		    "There is no such room.");
	else if (rc == ERR_DENIED)
		reply_problem(rep, PROBLEM_FORBIDDEN_ROOM, NULL);
	else
		(void)handler_note(h, rc, rep);
}

void
history_get(struct handler *h, const struct request *req, struct reply *rep,
    struct later *later)
{
	struct auth_claims claims;
	const char *why = NULL;
	struct query q;
	int rc;

	(void)later;
	rc = query_parse(req->query, strlen(req->query), &q, &why);
	if (rc < 0) {
		reply_problem(rep, problem_of_err(rc), why);
		return;
	}
	if (q.room_id == NULL || q.room_id[0] == '\0')
		reply_problem(rep, PROBLEM_BAD_REQUEST, "roomId is missing.");
	else if (handler_check_token(h, req, rep, &claims) == 0 &&
	    handler_check_user(h, &claims, rep) == 0 &&
	    handler_check_rate(h, claims.user_id, rep) == 0)
		answer(h, &q, claims.user_id, rep);
	query_release(&q);
}

/*
 * handler - what a handler of a request works with, and the checks that several of
 * them begin with: token, user, rate.
 *
 * A check that fails fills the reply and returns a negative number; the handler then
 * returns at once.
 * Threads: a struct handler belongs to one thread, one for each worker.
 */
#ifndef HANDLER_H
#define HANDLER_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

struct app;
struct auth;
struct auth_claims;
struct errand;
struct hold;
struct reply;
struct request;
struct store;

struct handler {
	struct app		*app;
	struct auth		*auth;
	struct store		*st;		/* NULL: gone; handler_store() opens it */
	unsigned		 generation;	/* of st, see struct app */
	int64_t			 looked_pos;	/* by handler_check_user(): the head when the
						 * user was as it found him; 0: not known */
};

/* Opens the keys and the database; why as auth_open() and store_open().  With a peer, another
 * thread's, both know the tokens that either has verified; else NULL. */
int	 handler_open(struct app *app, const struct handler *peer, struct handler *ret,
	    char *why, size_t size) ATTR_MUST_CHECK;
void	 handler_close(struct handler *h);

/* Whether its database is to be closed: the file was replaced, or is in doubt (tail.h). */
int	 handler_is_outdated(const struct handler *h);
void	 handler_let_go(struct handler *h);

/* The token of the Authorization header. */
int	 handler_check_token(struct handler *h, const struct request *req,
	    struct reply *rep, struct auth_claims *ret) ATTR_MUST_CHECK;
/* It was not revoked (handler_check_user() asks that as well). */
int	 handler_check_revoked(struct handler *h, const struct auth_claims *claims,
	    struct reply *rep) ATTR_MUST_CHECK;
/* Its user is there (or is made, auth.provision). */
int	 handler_check_user(struct handler *h, const struct auth_claims *claims,
	    struct reply *rep) ATTR_MUST_CHECK;
/* He does not ask too often. */
int	 handler_check_rate(struct handler *h, const char *user_id, struct reply *rep)
	    ATTR_MUST_CHECK;

/* The database, opened anew where another file took its place; NULL: rep says so. */
struct store *handler_store(struct handler *h, struct reply *rep);
/* Whether an access worked: the first failure after a success is logged, and the first
 * success after that.  A failure makes rep a 503.  Returns rc. */
int	 handler_note(struct handler *h, int rc, struct reply *rep);

/* How long this request may be held at most; 0: it is answered at once, as polls are in
 * plain CGI and, unless poll.apache_max_held says otherwise, behind Apache. */
int	 handler_max_wait_s(const struct handler *h, const struct request *req);

/* Whether the process lives on, so that what it remembers is of use; and the position
 * up to which its tail knows the log. */
int	 handler_has_tail(const struct handler *h);
int64_t	 handler_head(const struct handler *h);

/* The body is said to be JSON. */
int	 handler_check_json(const struct request *req, struct reply *rep) ATTR_MUST_CHECK;

/*
 * What a handler leaves to be done by others; all NULL: its reply is the answer.  The caller's
 * then: a poll to be held (hold.h) or an errand (errand.h) instead of the reply, or a notice
 * beside it.
 */
struct later {
	struct hold	*hold;
	struct errand	*errand;
};

/* --- the handlers; route.c has the table --- */
typedef void handler_fn(struct handler *h, const struct request *req,
	    struct reply *rep, struct later *later);
handler_fn	 history_get, metrics_get, publish_post, send_post, status_get;

#endif

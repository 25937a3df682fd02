/*
 * route - method and path -> handler, one table; what every answer has in common.
 *
 * The path is what follows the last "/api/realtime/" in the path of the request, so
 * that a site may live below any directory.
 * Threads: as the handler's.
 */
#ifndef ROUTE_H
#define ROUTE_H

struct handler;
struct hold;
struct reply;
struct request;

#define ROUTE_BASE	"/api/realtime/"

/*
 * Answers req: fills rep, which the caller initialised.  *ret_hold is NULL or the
 * caller's: a poll to be held instead of an answer (rep is then without meaning), or a
 * notice (hold.h) that is to be given to the keeper beside it.
 */
void	 route_handle(struct handler *h, const struct request *req, struct reply *rep,
	    struct hold **ret_hold);

/* The name behind the base: "poll" of "/x/api/realtime/poll"; NULL: there is no base. */
const char *route_name(const char *path);

#endif

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
struct later;
struct reply;
struct request;
struct shm;

#define ROUTE_BASE	"/api/realtime/"

/*
 * Answers req: fills rep, which the caller initialised, or *ret_later (handler.h) in its
 * stead or beside it.
 */
void	 route_handle(struct handler *h, const struct request *req, struct reply *rep,
	    struct later *ret_later);
/* Counts an answer that was given later. */
void	 route_count(struct shm *shm, const struct reply *rep);
/* Whether a handler will look at the body of req (request_body_fn). */
int	 route_takes_body(const struct request *req);

/* The name behind the base: "poll" of "/x/api/realtime/poll"; NULL: there is no base. */
const char *route_name(const char *path);

#endif

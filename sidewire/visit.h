/*
 * visit - one site, asked by HTTP as its visitors ask it.  libcurl ends here.
 *
 * libcurl is loaded when it is needed, so that the command runs where it is not installed.
 * Redirects are not followed, proxies of the environment not used; what an answer may hold
 * is bounded.  One thread.
 */
#ifndef VISIT_H
#define VISIT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attr.h"
#include "buf.h"

#define VISIT_MAX_HEADERS	6
#define VISIT_MAX_HEAD		65536	/* bytes */

struct visit;
struct visit_line;

struct visit_request {
	const char	*method;	/* NULL: GET */
	const char	*path;		/* behind the site's URL: "/api/..."; may hold a query */
	const char	*header[VISIT_MAX_HEADERS];	/* "Name: value"; NULL ends them */
	int64_t		 timeout_ms;
	size_t		 max;		/* bytes of the body that are wanted; the rest is left */
};

struct visit_answer {
	int		status;
	struct buf	head, body;
	int64_t		took_ms;	/* also of one that broke off */
};

/*
 * url: http or https, a host, a port and a path if need be.  ca: a file of certificates to
 * trust instead of the system's, or NULL.  ERR_NOTFOUND: no libcurl; ERR_INVAL: no such URL;
 * ERR_NOMEM; why (size bytes) says more.
 */
int	 visit_open(const char *url, const char *ca, struct visit **ret, char *why,
	    size_t size) ATTR_MUST_CHECK;
void	 visit_close(struct visit *v);		/* NULL is fine */
int	 visit_is_https(const struct visit *v);
int	 visit_is_loopback(const struct visit *v);
const char *visit_host(const struct visit *v);	/* "example.org:8080"; borrowed */

/* 0 with *ret to be ended by visit_release(), also when the answer was cut at max; ERR_CLOSED
 * the connection failed or broke off, ERR_EXPIRED no answer in time: why says more, and
 * *ret_ms (or NULL) is how long it took. */
int	 visit_ask(struct visit *v, const struct visit_request *req,
	    struct visit_answer *ret, int64_t *ret_ms, char *why, size_t size) ATTR_MUST_CHECK;
void	 visit_release(struct visit_answer *answer);
/* Copies the first header of that name to ret ("" if there is none) and returns how many
 * there are. */
int	 visit_header(const struct visit_answer *answer, const char *name, char *ret,
	    size_t size);

/* A connection of its own, through TLS where the URL says so, for what is no request.
 * head: the lines of a request as they are sent, but for "METHOD PATH" and Host, which come
 * first; each ends in \r\n. */
int	 visit_call(struct visit *v, const char *path, const char *head,
	    struct visit_line **ret, char *why, size_t size) ATTR_MUST_CHECK;
/* 0 or ERR_CLOSED. */
int	 visit_send(struct visit_line *line, const void *data, size_t len) ATTR_MUST_CHECK;
/* Up to size bytes; 0 at the end; ERR_EXPIRED nothing came for timeout_ms. */
ssize_t	 visit_receive(struct visit_line *line, void *ret, size_t size,
	    int64_t timeout_ms) ATTR_MUST_CHECK;
void	 visit_hang_up(struct visit_line *line);	/* NULL is fine */

#endif

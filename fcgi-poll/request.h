/*
 * request - one request of a web server, from a FastCGI or CGI environment
 * (RFC 3875 section 4.1).
 *
 * Only what the handlers look at is copied, into one allocation, so that the
 * library's own request can be freed before the answer is known.
 * Threads: any; a struct request belongs to its caller.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stddef.h>

#include "attr.h"

#define REQUEST_MAX_BODY	(1024 * 1024)	/* bytes read; a longer body is refused */
#define REQUEST_LONG_BODY	16384		/* so long a one must be there soon: */
#define REQUEST_WANTED_MS	1500		/* where a body is wanted */
#define REQUEST_BODY_MS		100		/* where none is */

enum request_method {
	METHOD_GET = 1,		/* bits: a route takes a set of them */
	METHOD_HEAD = 2,
	METHOD_OPTIONS = 4,
	METHOD_POST = 8,
	METHOD_OTHER = 16
};

struct request {
	enum request_method method;
	/* Strings are never NULL: "" where absent.  The struct owns them. */
	const char	*path;		/* of REQUEST_URI, as it came, without the query */
	const char	*query;		/* without '?' */
	const char	*authorization;
	const char	*origin;
	const char	*remote_addr;
	const char	*content_type;
	const char	*key;		/* Idempotency-Key, as it came */
	char		*body;		/* body_len bytes and a NUL; NULL: there was none, or it
					 * was not wanted */
	size_t		 body_len;
	long long	 announced;	/* CONTENT_LENGTH; -1: absent */
	int		 is_apache;	/* every held request costs it a thread */
	int		 is_forwarded;	/* a proxy says that it speaks for somebody else */
	int		 is_too_large;	/* the body was not read to its end */
	char		*block;
};

/* Where a FastCGI request came from and is to be answered. */
struct request_wire {
	int	 fd;		/* -1: the connection is gone */
	int	 id;
	int	 is_kept;	/* the web server wants the connection kept */
};

/* Copies from envp ("NAME=value", NULL-terminated).  ERR_INVAL: no REQUEST_METHOD;
 * ERR_NOMEM.  End *ret with request_release(). */
int	 request_parse(char *const *envp, struct request *ret) ATTR_MUST_CHECK;
void	 request_release(struct request *req);

/* Once, before there are threads.  ERR_IO. */
int	 request_init(void) ATTR_MUST_CHECK;

/* Whether the body of this request is wanted; else it is drained. */
typedef int request_body_fn(const struct request *req);

/* Reads the announced body of a request from a descriptor, where it is wanted (CGI).
 * ERR_CLOSED: it broke off; ERR_NOMEM. */
int	 request_read_body(struct request *req, int fd, request_body_fn *is_wanted)
	    ATTR_MUST_CHECK;

/*
 * Reads one FastCGI request from a connected, blocking socket that has something to
 * read; its body is kept where it is wanted.  wire->fd is wire's again afterwards.  On an error the
 * connection was closed and wire->fd is -1: ERR_CLOSED (the peer went, was silent for
 * its receive time-out, or speaks something else), ERR_NOMEM.
 */
int	 request_read(struct request_wire *wire, request_body_fn *is_wanted,
	    struct request *ret) ATTR_MUST_CHECK;

#endif

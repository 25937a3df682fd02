/*
 * request_impl - what the two who read a request share: the parameters that are looked
 * at, and the request that is built of them.  Included by request.c and plain.c alone.
 *
 * Threads: any.
 */
#ifndef REQUEST_IMPL_H
#define REQUEST_IMPL_H

#include <stddef.h>

#include "attr.h"

/* What is looked at, by name. */
enum request_param {
	P_METHOD, P_URI, P_SCRIPT, P_INFO, P_QUERY, P_AUTH, P_AUTH_REDIRECT,
	P_AUTH_PLAIN, P_ORIGIN, P_ADDR, P_SOFTWARE, P_XFF, P_FORWARDED,
	P_REAL_IP, P_CONTEXT, P_TYPE, P_LENGTH, P_KEY, P_COUNT
};

/* Borrowed, and without a NUL behind it. */
struct request_text {
	const char	*p;
	size_t		 len;
};

struct request;

/* All empty. */
void	 request_init_params(struct request_text ret[P_COUNT]);
/* Sets the parameter of this name, if it is looked at; the last of a name counts.  The value
 * ends at its first NUL, as in an environment. */
void	 request_set_param(struct request_text ret[P_COUNT], const char *name,
	    size_t name_len, const char *value, size_t len);
/* Copies; errors as of request_parse(). */
int	 request_build(const struct request_text p[P_COUNT], struct request *ret)
	    ATTR_MUST_CHECK;

#endif

/*
 * plain - a request of the kind that nearly every poll is: one record of parameters, no body,
 * and all of it there already.  It is read without the FastCGI library, which makes
 * some fifty allocations for it; what is read is what the library would have read.
 *
 * Where the library is wrong it is not followed: it takes the padding behind the first
 * record, and behind the end of the parameters, for the next record; and a parameter whose name
 * holds a '=' for another one.
 * Threads: any.
 */
#ifndef PLAIN_H
#define PLAIN_H

#include <stddef.h>

#include "attr.h"

#define PLAIN_MAX	16384	/* bytes: nearly every request is shorter */

struct request;
struct request_wire;

/*
 * Whether p begins with one request to its end, in the order in which web servers send it,
 * so that reading it cannot block; whatever else it is, is for request_read() to find
 * out.  *ret_plain_len is its length if it is plain, else 0.
 */
int	 plain_scan(const unsigned char *p, size_t len, size_t *ret_plain_len);
/* Parses what plain_scan() found; sets wire->id and wire->is_kept.  ERR_CLOSED: what it says
 * is no request; ERR_NOMEM.  End *ret with request_release(). */
int	 plain_parse(const unsigned char *p, struct request_wire *wire, struct request *ret)
	    ATTR_MUST_CHECK;
/* The same from the socket, where len bytes of it (at most PLAIN_MAX) were found; the
 * descriptor stays wire's.  ERR_CLOSED: they are not there. */
int	 plain_read(struct request_wire *wire, size_t len, struct request *ret)
	    ATTR_MUST_CHECK;

#endif

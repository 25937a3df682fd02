/*
 * http - answers of an HTTP/1.1 server (RFC 9112), as a client reads them.  Pure.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stddef.h>

#include "attr.h"

struct buf;

struct http_answer {
	int		 status;
	int		 is_last;	/* the server closes after it */
	const char	*head;		/* borrowed from the input, up to the empty line */
	size_t		 head_len;
	const char	*body;		/* borrowed from the input, or from chunks */
	size_t		 body_len;
};

/*
 * Parses one answer from len bytes; is_eof: no more will come.  chunks takes the body
 * where it came in pieces.  Returns the bytes consumed; ERR_AGAIN: not yet all there;
 * ERR_INVAL.
 */
long	 http_parse(const char *data, size_t len, int is_eof, struct buf *chunks,
	    struct http_answer *ret) ATTR_MUST_CHECK;

/* The value of a header, len bytes, or NULL. */
const char *http_header(const struct http_answer *a, const char *name,
	    size_t *ret_len);

#endif

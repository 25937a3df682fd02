/*
 * buf - a growing byte buffer with a ceiling and a remembered failure.
 *
 * A buffer is born with the most bytes it may ever hold.  Appends return void:
 * the first failure sticks (ERR_TOOBIG, ERR_NOMEM), later appends do nothing,
 * and one buf_err() before use tells.  The content is always NUL-terminated
 * (the NUL is not counted), and may hold NULs itself.
 * Invariants: len <= max; p == NULL or p[len] == '\0'.
 * Threads: a buffer belongs to one thread at a time.
 */
#ifndef BUF_H
#define BUF_H

#include <stdarg.h>
#include <stddef.h>

#include "attr.h"

struct buf {
	char	*p;		/* content, borrowed; NULL while nothing was added */
	size_t	 len;		/* bytes of content */
	size_t	 cap;		/* bytes allocated */
	size_t	 max;		/* ceiling of len */
	int	 err;		/* first failure, 0 while none */
};

/* An empty buffer that will never hold more than max bytes; allocates nothing. */
void	 buf_init(struct buf *b, size_t max);
/* Frees the content; the buffer is then as after buf_init(). */
void	 buf_release(struct buf *b);
/* Forgets content and failure, keeps the memory for what comes next. */
void	 buf_reset(struct buf *b);

void	 buf_add(struct buf *b, const void *data, size_t len);
void	 buf_adds(struct buf *b, const char *str);
void	 buf_addc(struct buf *b, char c);
void	 buf_addf(struct buf *b, const char *fmt, ...) ATTR_PRINTF(2, 3);
void	 buf_vaddf(struct buf *b, const char *fmt, va_list ap) ATTR_PRINTF(2, 0);
/* Makes room for len more bytes, so that they can be written at p + len. */
void	 buf_reserve(struct buf *b, size_t len);
/* Drops len bytes from the front. */
void	 buf_drop(struct buf *b, size_t len);
/* Cuts the content to len bytes, if it is longer. */
void	 buf_cut(struct buf *b, size_t len);

/* 0, or the first failure since buf_init() or buf_reset(). */
int	 buf_err(const struct buf *b) ATTR_MUST_CHECK;
/* The content as a string, "" where nothing was added; borrowed. */
const char *buf_str(const struct buf *b);
/* Hands the content over: free() it; NULL on a remembered failure.  The buffer is empty then. */
char	*buf_take(struct buf *b, size_t *ret_len);

#endif

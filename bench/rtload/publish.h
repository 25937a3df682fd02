/*
 * publish - where a load's events come from: a line into a FIFO, or the body of a POST to
 * the server that is measured.  The line is a template (template.h).
 */
#ifndef PUBLISH_H
#define PUBLISH_H

#include <stdint.h>

#include "buf.h"

struct options;

struct publisher {
	int		 fd;		/* -1: none */
	int		 is_http;
	const char	*post_path;	/* borrowed */
	char		*line;		/* its end of line is not part of a body */
	uint64_t	 n;		/* number of the last event */
	struct buf	 out;		/* HTTP: what the server has not taken yet */
	struct buf	 in;
	struct buf	 chunks;
	uint64_t	 n_refused;	/* HTTP: answers that are not 2xx */
};

/* Opens what the options say, or nothing.  A failure ends the load. */
void	 publish_open(struct publisher *p, const struct options *o);
void	 publish_close(struct publisher *p);
/* Publishes the next event, due at due_ns; 0: the way is full. */
int	 publish_next(struct publisher *p, uint64_t due_ns);
/* HTTP: sends what waits, and reads the answers that have come. */
void	 publish_tend(struct publisher *p);

#endif

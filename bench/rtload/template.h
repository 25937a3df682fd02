/*
 * template - requests and published lines with places to fill in:
 * %t token, %c cursor, %T CLOCK_MONOTONIC in ns, %n number of the event.
 */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include <stdint.h>

struct buf;

struct template_values {
	const char	*token;
	const char	*cursor;
	uint64_t	 at_ns;
	uint64_t	 number;
};

/* Appends text to b; a % before any other letter stays as it is. */
void	 template_print(struct buf *b, const char *text,
	    const struct template_values *v);

#endif

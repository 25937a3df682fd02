/*
 * clock - monotonic time for deadlines, wall time for what is stored, and the
 * printed form of an event's place in the log.
 *
 * A position is an event's id: microseconds since 1970-01-01 in UTC, in an
 * int64_t; 0 is "before everything".  Its wire form is RFC 3339 with six
 * digits and Z (protocol.md, section 1).
 * Threads: any.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define CLOCK_POS_LEN	27	/* "2025-11-30T16:00:00.000123Z" */
#define CLOCK_POS_SIZE	(CLOCK_POS_LEN + 1)
#define CLOCK_POS_MAX	253402300799999999LL	/* 9999-12-31T23:59:59.999999Z */

int64_t	 clock_mono_ms(void);
int64_t	 clock_mono_us(void);
int64_t	 clock_wall_ms(void);
int64_t	 clock_wall_us(void);
int64_t	 clock_wall_s(void);

/* Prints pos; values outside 0..CLOCK_POS_MAX are clamped.  Returns ret. */
char	*clock_print_pos(int64_t pos, char ret[CLOCK_POS_SIZE]);

/*
 * Parses "YYYY-MM-DDTHH:MM:SS[.fraction][zone]", len bytes: 0-9 fraction digits
 * (those after the sixth are dropped); the zone is Z, +00:00, " 00:00" (a plus
 * that was decoded as a space) or nothing, which means UTC.  "T" may be "t" or
 * a space, "Z" may be "z" (RFC 3339 section 5.6).  Second 60 is read as 59.
 * ERR_INVAL for all else, impossible dates included.
 */
int	 clock_parse_pos(const char *s, size_t len, int64_t *ret) ATTR_MUST_CHECK;

#endif

/*
 * report - the findings of `sidewire doctor`, one line each, or one JSON object.
 *
 * Lines are printed as they are found: verdict, check, what was seen, and behind "->" what
 * to do.  One thread.
 */
#ifndef REPORT_H
#define REPORT_H

#include "attr.h"

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL, VERDICT_SKIP, VERDICT_COUNT };

struct report {
	int	is_json;
	int	count[VERDICT_COUNT];
};

/* todo: what the administrator should do, a static sentence; NULL for nothing.  What the
 * text holds of others' is made harmless for a terminal. */
void	 report_add(struct report *r, enum verdict verdict, const char *check,
	    const char *todo, const char *fmt, ...) ATTR_PRINTF(5, 6);
/* Prints the sum; non-zero if there was a warning or a failure. */
int	 report_end(struct report *r);

#endif

/*
 * fail - the end of a load that cannot go on: a line on stderr and exit 2.
 */
#ifndef FAIL_H
#define FAIL_H

#include "attr.h"

void	 fail(const char *fmt, ...) ATTR_PRINTF(1, 2) ATTR_NORETURN;

#endif

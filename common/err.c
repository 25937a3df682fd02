/*
 * err - the names of the error codes, for logs and messages to people.
 *
 * What a peer is told instead is decided in problem.c.
 */
#include <stddef.h>

#include "err.h"

static const char *const names[] = {
	[0] = "OK",
	[-ERR_INVAL] = "ERR_INVAL",
	[-ERR_AGAIN] = "ERR_AGAIN",
	[-ERR_NOMEM] = "ERR_NOMEM",
	[-ERR_IO] = "ERR_IO",
	[-ERR_TOOBIG] = "ERR_TOOBIG",
	[-ERR_BUSY] = "ERR_BUSY",
	[-ERR_NOTFOUND] = "ERR_NOTFOUND",
	[-ERR_SCHEMA] = "ERR_SCHEMA",
	[-ERR_FULL] = "ERR_FULL",
	[-ERR_READONLY] = "ERR_READONLY",
	[-ERR_EXISTS] = "ERR_EXISTS",
	[-ERR_DENIED] = "ERR_DENIED",
	[-ERR_EXPIRED] = "ERR_EXPIRED",
	[-ERR_CLOSED] = "ERR_CLOSED",
};

#define LAST	(-(int)(sizeof(names) / sizeof(names[0]) - 1))

const char *
err_name(int err)
{
	if (err >= 0)
		return names[0];
	if (err < LAST)
		return "ERR_UNKNOWN";
	return names[-err];
}

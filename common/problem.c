/*
 * problem - the one place where refusals get their numbers and their words.
 *
 * The table follows protocol.md, sections 3 and 4.  A close code of 0 means
 * that a socket stays open and gets an "error" frame.
 */
#include <string.h>

#include "buf.h"
#include "err.h"
#include "event.h"
#include "problem.h"

static const struct problem_info table[PROBLEM_COUNT] = {
	[PROBLEM_NONE] = {
		"none", "OK", "Nothing is wrong.", 200, 0, NULL, 0
	},
	[PROBLEM_MISSING_TOKEN] = { "missing_token", "Authentication required",
		"This needs a bearer token.",
		401, 1008, "Authentication required", 0
	},
	[PROBLEM_INVALID_TOKEN] = { "invalid_token", "Invalid token",
		"The token is malformed, or not signed for this service.",
		401, 1008, "Invalid token", 0
	},
	[PROBLEM_TOKEN_EXPIRED] = { "token_expired", "Token expired",
		"The token was valid once; get a new one.",
		401, 1008, "Token expired", 0
	},
	[PROBLEM_REVOKED] = { "revoked", "Access revoked",
		"This user was removed, or the token was revoked.",
		401, 1008, "Revoked", 0
	},
	[PROBLEM_FORBIDDEN_ROOM] = { "forbidden_room", "Not a member",
		"The room is private, and you are not a member.",
		403, 0, NULL, 0
	},
	[PROBLEM_FORBIDDEN_SCOPE] = { "forbidden_scope", "Scope missing",
		"The token does not have the scope that this needs.",
		403, 0, NULL, 0
	},
	[PROBLEM_ORIGIN_DENIED] = { "origin_denied", "Origin not allowed",
		"Pages of this origin may not use this service.",
		403, 1008, "Origin not allowed", 0
	},
	[PROBLEM_BAD_REQUEST] = { "bad_request", "Bad request",
		"The request is not well formed.", 400, 0, NULL, 0
	},
	[PROBLEM_NOT_FOUND] = { "not_found", "Not found",
		"There is no such thing here.", 404, 0, NULL, 0
	},
	[PROBLEM_METHOD] = { "method", "Method not allowed",
		"This address does not take this method.", 405, 0, NULL, 0
	},
	[PROBLEM_TOO_LARGE] = { "too_large", "Too large",
		"The request is over the limit of this service.",
		413, 1009, "Message too large", 0
	},
	[PROBLEM_MEDIA_TYPE] = { "media_type", "Unsupported media type",
		"The body must be application/json.", 415, 0, NULL, 0
	},
	[PROBLEM_KEY_REUSED] = { "key_reused", "Key used before",
		"This key was used with another body.", 422, 0, NULL, 0
	},
	[PROBLEM_RATE_LIMITED] = { "rate_limited", "Too many requests",
		"Slow down, and try again later.",
		429, 4429, "Too many requests", 1
	},
	[PROBLEM_BUSY] = { "busy", "Busy",
		"The database is busy; try again.", 503, 0, NULL, 1
	},
	[PROBLEM_OVERLOADED] = { "overloaded", "Overloaded",
		"The service is at its limit; try again later.",
		503, 1013, "Overloaded", 5
	},
	[PROBLEM_DRAINING] = { "draining", "Going away",
		"This process is stopping; try again.",
		503, 1001, "Going away", 1
	},
	[PROBLEM_INTERNAL] = { "internal", "Internal error",
		"Something failed here; it was logged.",
		500, 1011, "Internal error", 0
	},
};

const struct problem_info *
problem_info(enum problem p)
{
	if ((unsigned)p >= PROBLEM_COUNT)
		p = PROBLEM_INTERNAL;
	return &table[p];
}

enum problem
problem_of_err(int err)
{
	if (err >= 0)
		return PROBLEM_NONE;
	switch ((enum err)err) {
	case ERR_INVAL:
	case ERR_EXISTS:
		return PROBLEM_BAD_REQUEST;
	case ERR_TOOBIG:
		return PROBLEM_TOO_LARGE;
	case ERR_NOTFOUND:
		return PROBLEM_NOT_FOUND;
	case ERR_DENIED:
		return PROBLEM_FORBIDDEN_ROOM;
	case ERR_EXPIRED:
		return PROBLEM_TOKEN_EXPIRED;
	case ERR_AGAIN:
	case ERR_BUSY:
		return PROBLEM_BUSY;
	case ERR_NOMEM:		/* these two pass, by others' leaving */
	case ERR_FULL:		/* or an administrator's hand */
		return PROBLEM_OVERLOADED;
	case ERR_CLOSED:
		return PROBLEM_DRAINING;
	case ERR_IO:
	case ERR_SCHEMA:
	case ERR_READONLY:
		break;
	}
	return PROBLEM_INTERNAL;
}

void
problem_print(struct buf *b, enum problem p, const char *detail)
{
	const struct problem_info *info = problem_info(p);

	if (detail == NULL)
		detail = info->detail;
	buf_addf(b, "{\"type\":\"about:blank\",\"title\":\"%s\","
	    "\"status\":%d,\"detail\":", info->title, info->status);
	event_print_string(b, detail, strlen(detail));
	buf_addf(b, ",\"code\":\"%s\"}", info->code);
}

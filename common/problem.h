/*
 * problem - what a peer is told when something is refused: one table from a
 * code to its HTTP status, its WebSocket close code and its title.
 *
 * The JSON form is RFC 9457 (application/problem+json) with an extra member
 * "code"; a socket carries the same facts in an "error" frame or in a close
 * reason (protocol.md, sections 3 and 4).  Handlers choose codes, never numbers.
 * Threads: any.
 */
#ifndef PROBLEM_H
#define PROBLEM_H

struct buf;

enum problem {
	PROBLEM_NONE,
	PROBLEM_MISSING_TOKEN,
	PROBLEM_INVALID_TOKEN,
	PROBLEM_TOKEN_EXPIRED,
	PROBLEM_REVOKED,
	PROBLEM_FORBIDDEN_ROOM,
	PROBLEM_FORBIDDEN_SCOPE,
	PROBLEM_ORIGIN_DENIED,
	PROBLEM_BAD_REQUEST,
	PROBLEM_NOT_FOUND,
	PROBLEM_METHOD,
	PROBLEM_TOO_LARGE,
	PROBLEM_MEDIA_TYPE,
	PROBLEM_KEY_REUSED,
	PROBLEM_RATE_LIMITED,
	PROBLEM_BUSY,
	PROBLEM_OVERLOADED,
	PROBLEM_DRAINING,
	PROBLEM_INTERNAL,
	PROBLEM_COUNT
};

struct problem_info {
	const char	*code;		/* "missing_token" */
	const char	*title;		/* for people; constant for the code */
	const char	*detail;	/* used where the caller has nothing better */
	int		 status;	/* HTTP */
	int		 close;		/* RFC 6455 section 7.4, or 4xxx; 0: it stays open */
	const char	*reason;	/* close reason; NULL: none */
	int		 retry_after_s;	/* default Retry-After; 0: no such header */
};

/* Never NULL; PROBLEM_INTERNAL's row for a value outside the enum. */
const struct problem_info *problem_info(enum problem p);

/* What an error of ours (err.h) means to a peer. */
enum problem problem_of_err(int err);

/* Appends {"type":"about:blank","title":...,"status":...,"detail":...,"code":...}. */
void	 problem_print(struct buf *b, enum problem p, const char *detail);

#endif

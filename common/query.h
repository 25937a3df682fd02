/*
 * query - the parameters of a request: "lastMessageId=...&timeout=25" -> struct query.
 *
 * Pure: no I/O, no clock.  The same names serve the poll, the socket's URL and
 * history (protocol.md, sections 2, 3, 6).  application/x-www-form-urlencoded
 * as in the WHATWG URL standard: '&' separates, '+' is a space, %HH a byte.
 * Unknown names are ignored; of a name given twice the first counts.
 * Threads: any; a struct query belongs to its caller.
 */
#ifndef QUERY_H
#define QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define QUERY_MAX_LEN		16384	/* bytes of a query string */
#define QUERY_MAX_ROOMS		256	/* ids in rooms= */
#define QUERY_MAX_ID		256	/* bytes of a decoded id */
#define QUERY_MAX_CLIENT	64
#define QUERY_LIMIT_DEFAULT	100
#define QUERY_LIMIT_MAX		500

struct query {
	char	*last_message_id;	/* decoded; NULL where absent or empty */
	char	*last_timestamp;	/* decoded; NULL where absent or empty */
	int	 has_last_message_id;	/* given and not empty */
	int	 has_last_timestamp;
	int64_t	 timeout_ms;		/* 0 where absent; "2.5" is 2500; a day at most */
	int	 limit;			/* 1..QUERY_LIMIT_MAX */
	char	**rooms;		/* sorted by strcmp, each once; NULL where absent or empty */
	size_t	 n_rooms;
	char	*client;		/* NULL where absent */
	char	*token;			/* NULL where absent (sockets only use it) */
	char	*room_id;		/* roomId=, NULL where absent */
	char	*before;		/* before=, NULL where absent or empty */
};

/*
 * Parses len bytes of s (not NUL-terminated, no leading '?').  On success the
 * caller ends *ret with query_release().  On ERR_INVAL *ret_why names the
 * parameter and the rule in a sentence for the client (static string).
 * ERR_TOOBIG over QUERY_MAX_LEN; ERR_NOMEM.  A cursor that cannot be read is
 * no error here: the log decides (reset=unknown).  An id that is too long or
 * holds a NUL byte counts as given and unreadable (has_ is set, pointer "").
 */
int	 query_parse(const char *s, size_t len, struct query *ret,
	    const char **ret_why) ATTR_MUST_CHECK;
void	 query_release(struct query *q);

#endif

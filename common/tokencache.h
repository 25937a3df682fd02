/*
 * tokencache - tokens that were verified, and what they said.
 *
 * A signature of RS256 or ES256 costs some 300 microseconds to check, and a
 * polling client brings the same token again and again.  Entries are found by a
 * hash under a random key, and then the whole token is compared in constant time.
 * Whether the claims hold *now* is for the caller to ask at each use.
 * Bounded in entries and bytes; of a full set goes what expires first.
 * Threads: a cache belongs to one thread.
 */
#ifndef TOKENCACHE_H
#define TOKENCACHE_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define TOKENCACHE_WAYS		8	/* places where one token may be */

struct auth_claims;
struct tokencache;

struct tokencache_entry {
	int64_t		 expires_at_s;
	int64_t		 issued_at_s;
	int64_t		 not_before_s;	/* the later of nbf and iat */
	size_t		 size;		/* bytes of all, this struct included */
	size_t		 len;		/* bytes of the token */
	const char	*user_id, *scope, *name, *avatar;	/* behind the token */
	char		 token[];
};

/*
 * A cache of at most max_entries (a power of two, not under TOKENCACHE_WAYS) and
 * max_bytes of entries.  ERR_NOMEM; ERR_IO: the system gave no random key.
 */
int	 tokencache_new(size_t max_entries, size_t max_bytes,
	    struct tokencache **ret) ATTR_MUST_CHECK;
void	 tokencache_free(struct tokencache *tc);	/* NULL is fine */

/* The entry of this token, borrowed until the next put; NULL: not known. */
const struct tokencache_entry *tokencache_get(const struct tokencache *tc,
	    const char *token, size_t len);
/* Copies what the entry says. */
void	 tokencache_print(const struct tokencache_entry *entry,
	    struct auth_claims *ret);
/*
 * Remembers a verified token that is not in the cache.  Nothing happens without
 * memory: it is verified again next time.
 */
void	 tokencache_put(struct tokencache *tc, const char *token, size_t len,
	    const struct auth_claims *claims, int64_t not_before_s);
/* Entries and bytes held. */
void	 tokencache_count(const struct tokencache *tc, size_t *ret_entries,
	    size_t *ret_bytes);

#endif

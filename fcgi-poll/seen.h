/*
 * seen - users who were there, and when their tokens were last revoked, when the log's
 * head was this: what all workers remember of whom they have looked up.
 *
 * Removing a user, or revoking his tokens, is in the log: whether what is remembered still
 * holds is for park_is_same_user() to say.  One way out is not: a row of the site's that
 * replaces his by a unique value of another column fires no trigger.  So nobody is
 * remembered for longer than SEEN_FRESH_MS.  It is of one database, which a generation
 * (app.h) stands for; the first who comes with a later one makes the table empty.
 * Bounded: of too many all are forgotten, and looked up again one by one.
 * Threads: any.
 */
#ifndef SEEN_H
#define SEEN_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define SEEN_MAX	16384	/* users */
#define SEEN_FRESH_MS	60000

struct seen;

struct seen_user {
	int64_t	 head;
	int64_t	 looked_ms;	/* monotonic */
	int64_t	 revoked_at_s;	/* AUTH_NOT_ISSUED: never */
};

int	 seen_new(struct seen **ret) ATTR_MUST_CHECK;
void	 seen_free(struct seen *s);		/* NULL is fine */

/* 1 and *ret, or 0: he is not remembered, or of another generation, or for too long. */
int	 seen_get(struct seen *s, unsigned generation, const char *user_id,
	    int64_t now_mono_ms, struct seen_user *ret);
/* Remembers him; without memory he is looked up again next time. */
void	 seen_put(struct seen *s, unsigned generation, const char *user_id,
	    const struct seen_user *user);
/* Forgets all, if they are of an earlier generation. */
void	 seen_forget(struct seen *s, unsigned generation);
size_t	 seen_count(struct seen *s);

#endif

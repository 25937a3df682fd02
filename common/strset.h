/*
 * strset - a small set of strings: a sorted array, for a user's rooms and blocks and
 * for the rooms that a subscriber asks for.
 *
 * Look-up is a binary search; adding and removing move pointers, which is right for
 * the hundreds that a set holds here.
 * Threads: a set belongs to one thread.
 */
#ifndef STRSET_H
#define STRSET_H

#include <stddef.h>

#include "attr.h"

struct strset {
	char	**item;		/* sorted by strcmp, each once; owned */
	size_t	  len;
	size_t	  cap;
};

void	 strset_init(struct strset *s);
void	 strset_release(struct strset *s);
int	 strset_has(const struct strset *s, const char *str);
/* 1: was added, 0: was there; ERR_NOMEM. */
int	 strset_add(struct strset *s, const char *str) ATTR_MUST_CHECK;
/* 1: was removed, 0: was not there. */
int	 strset_remove(struct strset *s, const char *str);
/* Replaces the content by a copy of n strings in any order; on ERR_NOMEM it is unchanged. */
int	 strset_set(struct strset *s, char *const *item, size_t n) ATTR_MUST_CHECK;
/* The other's content moves here; the other is empty then. */
void	 strset_move(struct strset *s, struct strset *from);

#endif

/*
 * A sorted array of strings: see strset.h.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "strset.h"

void
strset_init(struct strset *s)
{
	s->item = NULL;
	s->len = 0;
	s->cap = 0;
}

void
strset_release(struct strset *s)
{
	size_t i;

	for (i = 0; i < s->len; i++)
		free(s->item[i]);
	free(s->item);
	strset_init(s);
}

/* Where str is or would be; *ret_found tells which. */
static size_t
strset_find(const struct strset *s, const char *str, int *ret_found)
{
	size_t lo = 0, hi = s->len, mid;
	int c;

	*ret_found = 0;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = strcmp(s->item[mid], str);
		if (c == 0) {
			*ret_found = 1;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int
strset_has(const struct strset *s, const char *str)
{
	int found;

	(void)strset_find(s, str, &found);
	return found;
}

int
strset_add(struct strset *s, const char *str)
{
	size_t at, cap;
	char **item, *copy;
	int found;

	at = strset_find(s, str, &found);
	if (found)
		return 0;
	if (s->len == s->cap) {
		cap = s->cap == 0 ? 4 : s->cap * 2;
		item = reallocarray(s->item, cap, sizeof(*item));
		if (item == NULL)
			return ERR_NOMEM;
		s->item = item;
		s->cap = cap;
	}
	copy = strdup(str);
	if (copy == NULL)
		return ERR_NOMEM;
	memmove(s->item + at + 1, s->item + at,
	    (s->len - at) * sizeof(*s->item));
	s->item[at] = copy;
	s->len++;
	return 1;
}

int
strset_remove(struct strset *s, const char *str)
{
	size_t at;
	int found;

	at = strset_find(s, str, &found);
	if (!found)
		return 0;
	free(s->item[at]);
	s->len--;
	memmove(s->item + at, s->item + at + 1,
	    (s->len - at) * sizeof(*s->item));
	return 1;
}

int
strset_set(struct strset *s, char *const *item, size_t n)
{
	struct strset copy;
	size_t i;

	strset_init(&copy);
	for (i = 0; i < n; i++) {
		if (strset_add(&copy, item[i]) < 0) {
			strset_release(&copy);
			return ERR_NOMEM;
		}
	}
	strset_move(s, &copy);
	return 0;
}

void
strset_move(struct strset *s, struct strset *from)
{
	strset_release(s);
	*s = *from;
	strset_init(from);
}

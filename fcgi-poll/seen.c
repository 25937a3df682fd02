/*
 * Users in a table of chains that doubles as it fills (seen.h): a few users take a
 * few pages.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hash.h"
#include "seen.h"

#define FIRST_CHAINS	64	/* a power of two */

struct entry {
	struct entry		*next;
	struct seen_user	 user;
	uint32_t		 hash;
	char			 id[];
};

struct seen {
	pthread_mutex_t	  lock;
	struct entry	**chain;	/* {lock} n_chains of them */
	size_t		  n_chains;	/* {lock} a power of two */
	size_t		  n;		/* {lock} */
	unsigned	  generation;	/* {lock} */
};

int
seen_new(struct seen **ret)
{
	struct seen *s;

	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return ERR_NOMEM;
	s->chain = calloc(FIRST_CHAINS, sizeof(*s->chain));
	if (s->chain == NULL) {
		free(s);
		return ERR_NOMEM;
	}
	s->n_chains = FIRST_CHAINS;
	(void)pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

/* {lock} */
static void
forget_all(struct seen *s)
{
	struct entry *e, *next;
	size_t i;

	for (i = 0; i < s->n_chains; i++) {
		for (e = s->chain[i]; e != NULL; e = next) {
			next = e->next;
			free(e);
		}
		s->chain[i] = NULL;
	}
	s->n = 0;
}

void
seen_free(struct seen *s)
{
	if (s == NULL)
		return;
	forget_all(s);
	(void)pthread_mutex_destroy(&s->lock);
	free(s->chain);
	free(s);
}

/* {lock} */
static struct entry *
find(const struct seen *s, const char *id, uint32_t hash)
{
	struct entry *e;

	for (e = s->chain[hash & (s->n_chains - 1)]; e != NULL; e = e->next)
		if (e->hash == hash && strcmp(e->id, id) == 0)
			return e;
	return NULL;
}

/* {lock} Whether generation is that of the table, which follows a later one. */
static int
follow(struct seen *s, unsigned generation)
{
	if ((int)(generation - s->generation) > 0) {
		forget_all(s);
		s->generation = generation;
	}
	return s->generation == generation;
}

int
seen_get(struct seen *s, unsigned generation, const char *user_id,
    int64_t now_mono_ms, struct seen_user *ret)
{
	uint32_t hash = hash_text(user_id);
	const struct entry *e = NULL;

	(void)pthread_mutex_lock(&s->lock);
	if (follow(s, generation))
		e = find(s, user_id, hash);
	if (e != NULL && now_mono_ms - e->user.looked_ms >= SEEN_FRESH_MS)
		e = NULL;
	if (e != NULL)
		*ret = e->user;
	(void)pthread_mutex_unlock(&s->lock);
	return e != NULL;
}

/* {lock} Without memory the chains get longer. */
static void
grow(struct seen *s)
{
	size_t n = s->n_chains * 2, i;
	struct entry **chain, *e, *next;

	chain = calloc(n, sizeof(*chain));
	if (chain == NULL)
		return;
	for (i = 0; i < s->n_chains; i++) {
		for (e = s->chain[i]; e != NULL; e = next) {
			next = e->next;
			e->next = chain[e->hash & (n - 1)];
			chain[e->hash & (n - 1)] = e;
		}
	}
	free(s->chain);
	s->chain = chain;
	s->n_chains = n;
}

/* {lock} */
static void
add(struct seen *s, const char *id, uint32_t hash, const struct seen_user *user)
{
	size_t size = strlen(id) + 1;
	struct entry *e;

	if (s->n == SEEN_MAX)
		forget_all(s);
	e = malloc(sizeof(*e) + size);
	if (e == NULL)
		return;
	e->user = *user;
	e->hash = hash;
	memcpy(e->id, id, size);
	if (s->n >= s->n_chains)
		grow(s);
	e->next = s->chain[hash & (s->n_chains - 1)];
	s->chain[hash & (s->n_chains - 1)] = e;
	s->n++;
}

void
seen_put(struct seen *s, unsigned generation, const char *user_id,
    const struct seen_user *user)
{
	uint32_t hash = hash_text(user_id);
	struct entry *e;

	(void)pthread_mutex_lock(&s->lock);
	if (follow(s, generation)) {
		e = find(s, user_id, hash);
		if (e == NULL)
			add(s, user_id, hash, user);
		else if (e->user.head <= user->head)
			e->user = *user;
	}
	(void)pthread_mutex_unlock(&s->lock);
}

void
seen_forget(struct seen *s, unsigned generation)
{
	(void)pthread_mutex_lock(&s->lock);
	(void)follow(s, generation);
	(void)pthread_mutex_unlock(&s->lock);
}

size_t
seen_count(struct seen *s)
{
	size_t n;

	(void)pthread_mutex_lock(&s->lock);
	n = s->n;
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}

/*
 * Allocating a held poll (hold.h) in one piece.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hold.h"

static size_t
size_of(const char *s)
{
	return s == NULL ? 0 : strlen(s) + 1;
}

static char *
put(char **at, const char *s)
{
	char *to = *at;
	size_t size = size_of(s);

	if (s == NULL)
		return NULL;
	memcpy(to, s, size);
	*at += size;
	return to;
}

int
hold_new(const char *user_id, const char *client, const char *origin,
    char *const *rooms, size_t n_rooms, struct hold **ret)
{
	size_t i, size;
	struct hold *hold;
	char *at;

	size = sizeof(*hold) + n_rooms * sizeof(*rooms) + size_of(user_id) +
	    size_of(client) + size_of(origin);
	for (i = 0; i < n_rooms; i++)
		size += size_of(rooms[i]);
	hold = calloc(1, size);
	if (hold == NULL)
		return ERR_NOMEM;
	hold->rooms = (char **)(hold + 1);
	hold->n_rooms = n_rooms;
	at = (char *)(hold->rooms + n_rooms);
	for (i = 0; i < n_rooms; i++)
		hold->rooms[i] = put(&at, rooms[i]);
	hold->user_id = put(&at, user_id);
	hold->client = put(&at, client);
	hold->origin = put(&at, origin);
	*ret = hold;
	return 0;
}

void
hold_free(struct hold *hold)
{
	free(hold);
}

/*
 * clients - all sessions of this process: the hub that feeds them, the users they
 * belong to, their deadlines, the limits on them.
 *
 * Threads: one, the service thread; what happens on the writer's thread comes back
 * by notify and clients_collect().
 */
#ifndef CLIENTS_H
#define CLIENTS_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "hub.h"
#include "session.h"

struct auth;
struct clients;
struct conf;
struct event;
struct presence;
struct shm;
struct store;
struct writer;

/* All borrowed, and alive until clients_close(). */
struct clients_env {
	const struct conf		*conf;
	struct auth			*auth;
	struct shm			*shm;
	struct presence			*presence;
	struct writer			*writer;
	const struct session_ops	*ops;
	/* Any thread: have clients_collect() called on the service thread. */
	void				(*notify)(void *arg);
	void				*notify_arg;
};

/* st and head: the tail's, from which clients_feed() will go on.  ERR_NOMEM, ERR_IO. */
int	 clients_open(const struct clients_env *env, struct store *st,
	    int64_t head, struct clients **ret) ATTR_MUST_CHECK;
/* All sessions are free, and the writer is closed. */
void	 clients_close(struct clients *c);

/* The time that everything here uses, set at each turn of the loop. */
void	 clients_set_time(struct clients *c, int64_t mono_ms, int64_t wall_s);
/* New events, in log order. */
void	 clients_feed(struct clients *c, struct event *const *ev, size_t n);
/* Another database: everybody is sent away (1012) and comes back with a cursor. */
void	 clients_replaced(struct clients *c, struct store *st, int64_t head);
/* Rights may have changed without an event (tail.h). */
void	 clients_doubt(struct clients *c);
/* Acts on deadlines that have passed. */
void	 clients_expire(struct clients *c);
/* The earliest deadline in monotonic ms; INT64_MAX: there is none. */
int64_t	 clients_next_ms(const struct clients *c);
/* Goes on with what the writer has finished. */
void	 clients_collect(struct clients *c);
/* Closes every session, and every new one, with code and "retry=SECONDS". */
void	 clients_drain(struct clients *c, int code);
int	 clients_is_draining(const struct clients *c);
size_t	 clients_count(const struct clients *c);
void	 clients_get_sizes(const struct clients *c, struct hub_sizes *ret);

#endif

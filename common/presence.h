/*
 * presence - who is online: leases by user, grace after the last connection, the
 * sweep that sets users offline.
 *
 * Written through the writer, so that no caller waits for a commit.  A poller is
 * online for ttl after his last poll; a user with sockets as long as they are open,
 * and for the grace afterwards, unless he said bye.  A crashed sidecar's users stay
 * online until its heartbeat has been silent for ttl (at least 10 s), or until the
 * next one adopts them with the grace.
 * Threads: all calls on one thread (the service's or the keeper's), but for
 * presence_poll(), which any worker may call.
 */
#ifndef PRESENCE_H
#define PRESENCE_H

#include <stdint.h>

#include "attr.h"

#define PRESENCE_BEAT_MS	5000	/* between heartbeats of an instance */
#define PRESENCE_RENEW_MS	20000	/* a poller's lease is renewed at most this often */
#define PRESENCE_DEAD_MS	10000	/* an instance silent for this long can be adopted */

struct conf;
struct presence;
struct shm;
struct store;
struct writer;

/* instance: NULL for a process that only polls; else its name, unique among living
 * processes ("ws:127.0.0.1:8081:PID").  shm may be NULL. */
int	 presence_open(const struct conf *conf, struct writer *writer, struct shm *shm,
	    const char *instance, struct presence **ret) ATTR_MUST_CHECK;
/* Retires the instance; its users keep the grace.  Before writer_close(); shm and writer must
 * live until that has returned, for jobs may be waiting. */
void	 presence_close(struct presence *p);

/* A poll by user_id (any thread): renews his lease where it is due. */
void	 presence_poll(struct presence *p, const char *user_id, int64_t now_ms);
/* A poller said bye: his lease ends now. */
void	 presence_poll_bye(struct presence *p, const char *user_id, int64_t now_ms);
/* The first, the last socket of user_id in this process; is_bye: no grace. */
void	 presence_enter(struct presence *p, const char *user_id, int64_t now_ms);
void	 presence_leave(struct presence *p, const char *user_id, int is_bye, int64_t now_ms);

/* Heartbeat and sweep where due; returns milliseconds until it wants to be called again.
 * The first call, right after presence_open(), announces the instance and adopts dead ones. */
int64_t	 presence_tick(struct presence *p, int64_t now_ms);

/* A poll in a process that ends with it (CGI): the same, written at once on st. */
int	 presence_poll_once(const struct conf *conf, struct store *st,
	    const char *user_id, int64_t now_ms) ATTR_MUST_CHECK;
int	 presence_bye_once(struct store *st, const char *user_id, int64_t now_ms)
	    ATTR_MUST_CHECK;

#endif

/*
 * park - held polls: the tail and the hub that wake them, and what ends them.
 *
 * A hold ends by the first event for it, by its deadline (its own, or its token's
 * end), by a newer poll of the same client, when its user or its client is gone, when
 * the database is replaced, and when the process drains.  It is then answered with
 * what there is: nearly always one event, or none.
 * Threads: the keeper's, but for park_is_same_user(), park_head(), park_health() and park_held(),
 * which any thread may call.
 */
#ifndef PARK_H
#define PARK_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

struct app;
struct conn;
struct hold;
struct park;
struct reply;

/* A held request is to be answered with rep (borrowed).  May not call park functions. */
typedef void park_answer_fn(struct conn *c, struct reply *rep, void *arg);

/* Opens the tail on the database; why as store_open().  app is borrowed, not yet complete. */
int	 park_open(struct app *app, struct park **ret, char *why, size_t size)
	    ATTR_MUST_CHECK;
void	 park_close(struct park *p);	/* nothing is held any more; NULL is fine */
void	 park_on_answer(struct park *p, park_answer_fn *fn, void *arg);

/* For the event loop: wait for the descriptor (-1: none) or for the time, then step.
 * *ret_version changes when the descriptor does, though its number may be the same. */
int	 park_fd(const struct park *p, unsigned *ret_version);
int64_t	 park_wait_us(const struct park *p, int64_t now_mono_us);
/* Reads the log on, answers who was woken or is due.  An error: the database is gone for
 * good, or there is no memory; the process is to end. */
int	 park_step(struct park *p) ATTR_MUST_CHECK;

/* Takes the hold over: answered at once if there is news, else held; or obeys the notice. */
void	 park_enter(struct park *p, struct hold *hold);
/* The client is gone (or half: it gets an answer that it may not read).  The hold is freed
 * and its connection answered. */
void	 park_abandon(struct park *p, struct hold *hold);
/* Answers all. */
void	 park_drain(struct park *p);

/*
 * Whether a user who was looked up at position looked_pos is still as he was found: since then
 * he was neither deleted nor were his tokens revoked.  head is the log's, as the caller read
 * it himself: where the tail has not come so far, nobody is certain.
 */
int	 park_is_same_user(const struct park *p, const char *user_id, int64_t looked_pos,
	    int64_t head);
int64_t	 park_head(const struct park *p);
int	 park_health(const struct park *p);	/* 0, or why the log cannot be read */
int	 park_held(const struct park *p);

#endif

/*
 * acceptor - accepting, and what to do when descriptors run out: one is kept in
 * reserve, so that a connection can be taken and closed instead of the loop turning
 * on a socket that stays readable; then accepting rests for a second.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "acceptor.h"
#include "err.h"
#include "listener.h"
#include "log.h"

#define ACCEPT_BATCH	256	/* of one turn, so that those connected have theirs */
#define REST_S		1.0

struct acceptor {
	struct listener	*listener;
	int		 reserve;	/* a descriptor to give up */
	struct ev_loop	*loop;
	ev_io		 io;
	ev_timer	 rest;
	acceptor_fn	*fn;
	void		*arg;
};

/* Out of descriptors: takes one connection and closes it. */
static void
turn_away(struct acceptor *a)
{
	int fd;

	if (a->reserve < 0)
		return;
	close(a->reserve);
	fd = accept4(a->listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	a->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
accept_batch(struct acceptor *a, int max)
{
	int fd;

	for (; max > 0; max--) {
		fd = accept4(a->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			a->fn(fd, a->arg);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			log_warn("cannot accept, resting for a second");
			turn_away(a);
			ev_io_stop(a->loop, &a->io);
			ev_timer_set(&a->rest, REST_S, 0);
			ev_timer_start(a->loop, &a->rest);
			return;
		}
		if (errno == EAGAIN)
			return;
		/* ECONNABORTED and the like are the peer's: the next one. */
	}
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	accept_batch(w->data, ACCEPT_BATCH);
}

static void
on_rested(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct acceptor *a = w->data;

	(void)revents;
	ev_io_start(loop, &a->io);
}

int
acceptor_start(struct listener *listener, struct ev_loop *loop, acceptor_fn *fn,
    void *arg, struct acceptor **ret)
{
	struct acceptor *a;

	if (fcntl(listener->fd, F_SETFL, O_NONBLOCK) < 0)
		return ERR_IO;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return ERR_NOMEM;
	a->listener = listener;
	a->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	a->loop = loop;
	a->fn = fn;
	a->arg = arg;
	ev_io_init(&a->io, on_readable, listener->fd, EV_READ);
	a->io.data = a;
	ev_timer_init(&a->rest, on_rested, REST_S, 0);
	a->rest.data = a;
	ev_io_start(loop, &a->io);
	*ret = a;
	return 0;
}

void
acceptor_stop(struct acceptor *a)
{
	if (a == NULL || a->listener->fd < 0)
		return;
	accept_batch(a, LISTENER_BACKLOG);
	ev_io_stop(a->loop, &a->io);
	ev_timer_stop(a->loop, &a->rest);
	listener_close(a->listener);
}

void
acceptor_free(struct acceptor *a)
{
	if (a == NULL)
		return;
	acceptor_stop(a);
	if (a->reserve >= 0)
		close(a->reserve);
	free(a);
}

/*
 * session_send - what a client asks to have written: `send` and `typing` frames on
 * their way through the writer and back.
 *
 * The writer's thread commits, and hands what is done to the service thread, which
 * answers in the order of asking.  A session that ends meanwhile is forgotten by
 * what it asked for; that is written all the same.
 */
#include <stdlib.h>

#include "err.h"
#include "sending.h"
#include "session_impl.h"
#include "stats.h"
#include "writer.h"

struct session_send {
	struct sending			 sending;	/* first */
	struct session			*session;	/* NULL: it is gone */
	struct clients			*clients;
	LIST_ENTRY(session_send)	 of_session;
	STAILQ_ENTRY(session_send)	 link;		/* of clients->sent */
};

static void
answer(struct session *s, const struct sending *sending)
{
	struct buf text;

	buf_init(&text, 8192);
	sending_print(sending, &text);
	if (buf_err(&text) != 0 || text.len > 0)
		session_answer(s, &text);
}

static void
drop(struct session_send *send)
{
	if (send->session != NULL) {
		LIST_REMOVE(send, of_session);
		send->session->n_sends--;
	}
	sending_release(&send->sending);
	free(send);
}

/* On the writer's thread. */
static void
done(struct writer_job *job, int err)
{
	struct session_send *send = (struct session_send *)job;
	struct clients *c = send->clients;

	sending_done(&send->sending, err);
	pthread_mutex_lock(&c->lock);
	STAILQ_INSERT_TAIL(&c->sent, send, link);
	pthread_mutex_unlock(&c->lock);
	c->env.notify(c->env.notify_arg);
}

void
session_send(struct session *s, struct frame *f)
{
	struct clients *c = s->clients;
	struct session_send *send;
	int rc;

	send = calloc(1, sizeof(*send));
	if (send == NULL) {
		session_end(s, PROBLEM_INTERNAL);
		return;
	}
	sending_init(&send->sending, f, s->user->id, c->env.shm);
	send->sending.job.done = done;
	send->clients = c;
	if (!sending_admit(&send->sending, c->env.conf, c->mono_ms)) {
		answer(s, &send->sending);
		drop(send);
		return;
	}
	rc = s->n_sends < SESSION_SENDS_MAX ? 0 : ERR_FULL;
	if (rc == 0)
		rc = writer_put(c->env.writer, &send->sending.job);
	if (rc < 0) {
		sending_done(&send->sending, rc);
		answer(s, &send->sending);
		drop(send);
		return;
	}
	send->session = s;
	LIST_INSERT_HEAD(&s->sends, send, of_session);
	s->n_sends++;
}

void
session_forget_sends(struct session *s)
{
	struct session_send *send;

	LIST_FOREACH(send, &s->sends, of_session)
		send->session = NULL;
	LIST_INIT(&s->sends);
	s->n_sends = 0;
}

void
sends_collect(struct clients *c)
{
	STAILQ_HEAD(, session_send) sent = STAILQ_HEAD_INITIALIZER(sent);
	struct session_send *send;

	pthread_mutex_lock(&c->lock);
	STAILQ_CONCAT(&sent, &c->sent);
	pthread_mutex_unlock(&c->lock);
	while (!STAILQ_EMPTY(&sent)) {
		send = STAILQ_FIRST(&sent);
		STAILQ_REMOVE_HEAD(&sent, link);
		if (send->session != NULL &&
		    send->session->phase == SESSION_LIVE)
			answer(send->session, &send->sending);
		drop(send);
	}
}

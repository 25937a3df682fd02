/*
 * session_impl - what session*.c, clients.c and provision.c share.  Included by them
 * alone.
 *
 * Threads: the service thread, but for the fields under clients->lock.
 */
#ifndef SESSION_IMPL_H
#define SESSION_IMPL_H

#include <pthread.h>
#include <sys/queue.h>

#include "auth.h"
#include "buf.h"
#include "clients.h"
#include "timer.h"
#include "problem.h"
#include "query.h"

/* A user with sockets in this process; lives as long as the last of them. */
struct client_user {
	char		*id;
	unsigned	 sessions;
	struct shm_user	*row;		/* NULL: the shared table is full */
};

struct provision {			/* a user being made, see provision.c */
	struct session		*session;	/* NULL: it is gone */
	struct provision	*next;
};

struct frame;
struct session_send;			/* a frame on its way, see session_send.c */
STAILQ_HEAD(session_sent, session_send);

enum session_state {
	SESSION_WAITING,		/* for an auth frame */
	SESSION_MAKING,			/* the writer makes the user */
	SESSION_LIVE,
	SESSION_CLOSING
};

struct session {
	/* What every delivery touches stands together. */
	struct clients		*clients;
	void			*conn;
	uint8_t			 phase;		/* enum session_state */
	uint8_t			 is_v1;
	uint8_t			 is_bye;
	uint8_t			 is_wanted;	/* want_write was asked */
	uint8_t			 has_progress;	/* progress was looked at */
	uint8_t			 is_pinged;	/* silent so far */
	uint8_t			 is_noticed;	/* auth_expiring was sent */
	uint8_t			 needs_ping, needs_state, needs_sync;
	int64_t			 want_ms;	/* of want_write, or the last progress since */
	struct timer		 deadline;	/* the earliest of those below; may lag */
	struct hub_sub		 sub;
	int64_t			 told_pos;	/* the position that the client knows */
	struct buf		 control;	/* answers, framed */
	struct buf		 state;		/* the present state, framed, as far as it waits */
	size_t			 state_at;	/* bytes of it that were sent */
	size_t			 state_size;	/* its part of clients->states_size */

	struct session		*prev, *next;	/* of clients */
	struct client_user	*user;		/* NULL before LIVE */
	struct query		*wish;		/* cursors and rooms, until LIVE */
	struct provision	*making;
	LIST_HEAD(, session_send) sends;	/* n_sends that are not answered yet */
	unsigned		 n_sends;
	struct buf		 rx;		/* a message whose end has not come */
	size_t			 rx_len;	/* bytes of the message so far */
	_Atomic uint64_t	 frames;	/* rate bucket */
	int64_t			 expires_at_s, issued_at_s;	/* of its token (auth.h) */
	int64_t			 opened_ms;
	int64_t			 heard_ms;	/* last sign of life */
	int64_t			 until_ms;	/* of WAITING and CLOSING */
	int64_t			 sync_ms;	/* next look whether the position moved */
	int64_t			 sync_pos;	/* a sync is due once this is reached */
	uint64_t		 progress;	/* at want_ms */
	const char		*reset;		/* for the next sync */
	int			 close_code;
	char			 ip[SESSION_IP_SIZE];
};

struct clients {
	struct clients_env	 env;
	struct store		*store;
	struct hub		*hub;
	struct session		*first;
	size_t			 n_sessions;
	size_t			 n_live;
	size_t			 states_size;	/* bytes of all sessions' state */
	void			*users;		/* tsearch(3) tree of struct client_user */
	struct timers		 deadlines;
	int64_t			 mono_ms, wall_s;
	int			 drain_code;	/* 0: serving */
	pthread_mutex_t		 lock;
	struct provision	*made;		/* {lock} finished, to be collected */
	struct session_sent	 sent;		/* {lock} the same, in order */
};

/* session.c */
void	 session_news(struct session *s);
void	 session_expire(struct session *s);
void	 session_close(struct session *s, int code, const char *reason);
void	 session_end(struct session *s, enum problem problem);
/* Ends it with what an error of ours means to a client. */
void	 session_fail(struct session *s, int err);
/* The user exists now (err 0), or could not be made; for provision.c. */
void	 session_made(struct session *s, const char *user_id, int err);

/* Has session_expire() called at the latest at this time. */
void	 session_plan_by(struct session *s, int64_t at_ms);
/* Asks for session_write(). */
void	 session_want(struct session *s);
/* auth_verify() at the time of this turn, counted. */
enum problem session_verify(struct session *s, const char *token, size_t len,
	    struct auth_claims *ret, const char **ret_why);
/* Lets the client in, or ends it (0). */
int	 session_authenticate(struct session *s, const char *token, size_t len);
void	 session_extend(struct session *s, const struct auth_claims *claims);
/* 1: the token is of a user whose tokens were revoked since; counted.  0: it is not. */
int	 session_is_revoked(struct session *s, const char *user_id, int64_t issued_at_s);

/* session_in.c.  session_answer() takes the content of text. */
void	 session_answer(struct session *s, struct buf *text);
void	 session_answer_expiring(struct session *s);

/* session_out.c: appends text as one frame; forgets what waits of the state. */
void	 session_frame(struct buf *b, const char *text, size_t len);
void	 session_drop_state(struct session *s);

/* clients.c.  The user's entry with one session more; NULL: no memory. */
struct client_user *client_user_enter(struct clients *c, const char *user_id);
void	 client_user_leave(struct clients *c, struct client_user *u, int is_bye);
/* "retry=N", for a close that everybody gets at once. */
void	 clients_print_retry(char *ret, size_t size);

/* session_send.c: takes a frame of FRAME_SEND or FRAME_TYPING (its content) on its way. */
void	 session_send(struct session *s, struct frame *f);
/* The session ends: nobody waits for its answers. */
void	 session_forget_sends(struct session *s);
void	 sends_collect(struct clients *c);

/* provision.c: hands the making of claims' user to the writer. */
int	 provision_start(struct session *s, const struct auth_claims *claims)
	    ATTR_MUST_CHECK;
void	 provision_collect(struct clients *c);
void	 provision_release(struct clients *c);

#endif

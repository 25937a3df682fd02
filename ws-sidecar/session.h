/*
 * session - one client of the socket, without the library: who it is, what it may
 * send, what to send it next (protocol.md, section 3).
 *
 * A session is born when a handshake is done and lives until its connection is
 * gone.  It never writes by itself: it asks by want_write, and gives bytes (whole
 * RFC 6455 server frames) when session_write() is called.  It never ends by
 * itself either: it asks by close or kill, and the owner calls session_free().
 *
 *	waiting  -- auth frame -->  making  -- the user exists -->  live  -->  closing
 *
 * Threads: that of its struct clients, whose time (clients_set_time()) it uses.
 */
#ifndef SESSION_H
#define SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define SESSION_WRITE_MAX	65536	/* bytes of one session_write(), unless one
					 * event is longer, or the answers are */
#define SESSION_ANSWERS(max_message) \
	((size_t)(max_message) * 4)	/* bytes of answers that wait for a client */
#define SESSION_AUTH_MS		10000	/* to the first auth frame */
#define SESSION_AUTH_MAX	4096	/* bytes of it */
#define SESSION_STALL_MS	30000	/* with data to take, and taking none */
#define SESSION_CLOSE_MS	10000	/* for the closing handshake */
#define SESSION_SYNC_MS		30000	/* between syncs of an idle client */
#define SESSION_NOTICE_S	60	/* auth_expiring is sent this long before exp */
#define SESSION_STATE_MAX	(16 * 1024 * 1024)	/* bytes of the present state */
#define SESSION_STATES_MAX	(128 * 1024 * 1024)	/* of all that are on their way */
#define SESSION_SENDS_MAX	256	/* frames of one client on their way to the disk */
#define SESSION_IP_SIZE		46	/* INET6_ADDRSTRLEN */

#define SESSION_CLOSE_NORMAL	1000	/* RFC 6455 section 7.4.1 */
#define SESSION_CLOSE_AWAY	1001
#define SESSION_CLOSE_ABNORMAL	1006
#define SESSION_CLOSE_RESTART	1012	/* IANA's registry of close codes */
#define SESSION_CLOSE_STALLED	4408	/* ours */

struct buf;
struct clients;
struct query;
struct session;

/* What a session asks of its connection; none of them calls back at once. */
struct session_ops {
	/* Have session_write() called when the connection can take data. */
	void	 (*want_write)(void *conn);
	/* Called once: call session_write(), then close with code and reason (copied). */
	void	 (*close)(void *conn, int code, const char *reason);
	/* The peer is dead: drop the connection without ceremony. */
	void	 (*kill)(void *conn);
	/* Any number that changes when the peer takes data that was written. */
	uint64_t (*progress)(void *conn);
};

/* A handshake that was accepted. */
struct session_request {
	const char	*authorization;	/* the header's value; NULL: there was none */
	int		 is_v1;		/* sidewire.v1 was negotiated */
	const char	*ip;		/* for the log */
};

/*
 * A session for conn.  The content of query is taken (also on failure).  A client
 * that is not to be served is a session too, one that asks for its close.
 * ERR_NOMEM.
 */
int	 session_new(struct clients *clients, void *conn,
	    const struct session_request *req, struct query *query,
	    struct session **ret) ATTR_MUST_CHECK;
/* The connection is gone; code: the peer's close code, 0 if it sent none.  NULL is fine. */
void	 session_free(struct session *s, int code);

/* A piece of a data message, len bytes; is_first and is_final tell its place in it. */
void	 session_receive(struct session *s, const char *data, size_t len,
	    int is_first, int is_final, int is_binary);
/* A pong came. */
void	 session_heard(struct session *s);

/*
 * Appends frames to out, about SESSION_WRITE_MAX bytes, always whole frames.
 * want_write has been asked again if there is more.
 */
void	 session_write(struct session *s, struct buf *out);

#endif

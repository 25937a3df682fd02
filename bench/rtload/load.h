/*
 * load - many connections to one server on one epoll, what came over them, and whether
 * it was right.
 *
 * An event carries a mark, bench_ts=NANOSECONDS,NUMBER; where the time is the
 * CLOCK_MONOTONIC moment at which it was due and the numbers are 1, 2, 3, ... within one
 * load.  Each connection must see each number once and in order: disorder counts
 * what was otherwise.
 *
 * Three kinds of load: LOAD_POLL asks as soon as it is answered and times the answers;
 * LOAD_HOLD does the same, but what it times are the events; LOAD_SOCKET is a
 * WebSocket client (RFC 6455), which may speak Socket.IO 5 over Engine.IO 4.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "hist.h"
#include "publish.h"
#include "usage.h"

#define LOAD_HEADERS	4
#define LOAD_ECHOES	2
#define LOAD_ECHO_SIZE	64
#define LOAD_READ	262144

struct http_answer;

enum load_kind { LOAD_POLL, LOAD_HOLD, LOAD_SOCKET };

struct options {
	enum load_kind	 kind;
	int		 port;		/* on 127.0.0.1 */
	const char	*path;		/* templates (template.h) */
	const char	*headers[LOAD_HEADERS];
	int		 n_headers;
	int		 n_conns;
	const char	*tokens_path;	/* a token a line, dealt round */
	const char	*cursor;	/* %c of the first request */
	int		 is_following;	/* %c is the timestamp of the last answer */
	const char	*echoes[LOAD_ECHOES][2]; /* answer's header, next request's */
	int		 n_echoes;
	int		 status;	/* that of a good answer */
	int		 n_events;	/* in each answer of LOAD_POLL; -1: any number */
	double		 warm_s, run_s;	/* LOAD_POLL */
	int		 is_socketio;
	const char	*publish_path;	/* a FIFO that takes a line an event */
	const char	*post_path;	/* or where it is posted, on the same port */
	const char	*line_path;	/* the file that has the line, a template */
	struct usage	 usage;		/* of the server */
};

enum conn_state {
	CONN_DEAD,
	CONN_CONNECTING,
	CONN_SHAKING,		/* LOAD_SOCKET: the handshake was sent */
	CONN_JOINING,		/* Socket.IO: not connected to its namespace yet */
	CONN_OPEN,		/* LOAD_SOCKET */
	CONN_ASKING		/* a request is out */
};

struct conn {
	int		 fd;		/* -1: none */
	enum conn_state	 state;
	unsigned	 index;
	unsigned	 n_answers;
	uint64_t	 n_events;
	uint64_t	 last_number;	/* of the last mark */
	uint64_t	 asked_ns;
	struct buf	 in, out;	/* only what is incomplete */
	char		 cursor[LOAD_ECHO_SIZE];
	char		(*echoes)[LOAD_ECHO_SIZE];	/* n_echoes; "": none */
};

struct load {
	const struct options	*o;
	int			 epoll;
	struct conn		*conns;
	char			**tokens;
	int			 n_tokens;
	struct publisher	 publisher;

	/* state of the connections */
	int			 n_opening;
	int			 n_open;
	int			 n_failed;
	int			 n_lost;
	int			 is_running;	/* ask again, connect again */

	/* since load_reset() */
	struct hist		 hist;
	uint64_t		 n_answers, n_bad, n_events, n_disorder;
	uint64_t		 n_bytes, n_frames;
	uint64_t		 n_measured;	/* of n_events: what is past is stray */
	uint64_t		 first_ns, last_ns;	/* events */
	int			 bad_status;

	int			 has_input;	/* stdin is readable */
	struct buf		 chunks;
	char			 read[LOAD_READ];
};

uint64_t load_now_ns(void);
const char *load_token(const struct load *l, unsigned index);

void	 load_open(struct load *l, const struct options *o);
void	 load_close(struct load *l);
/* Sets has_input when stdin is next readable; op: EPOLL_CTL_ADD, then _MOD. */
void	 load_watch_input(struct load *l, int op);
/* Connects all, at most 128 at once; returns when each is open or has failed. */
void	 load_connect(struct load *l);
/* Waits up to ms for something to come, and takes it. */
void	 load_wait(struct load *l, int ms);
void	 load_run(struct load *l, double secs);
void	 load_reset(struct load *l);

/* Counts the marks in text that came at now_ns; returns how many there were. */
int	 load_take_marks(struct load *l, struct conn *c, const char *text,
	    size_t len, uint64_t now_ns);

/* conn.c: the life of one connection */
void	 conn_start(struct load *l, struct conn *c);
void	 conn_lost(struct load *l, struct conn *c);
void	 conn_close(struct conn *c);
void	 conn_flush(struct load *l, struct conn *c);
void	 conn_event(struct load *l, struct conn *c, uint32_t events);
/* Appends "Host", the headers of the options and those of the last answer. */
void	 conn_add_headers(struct load *l, struct conn *c, const char *method_path);

/* What arrived: bytes consumed, or -1: the connection is over, -2: it is closed
 * already (and may be another one by now). */
long	 poll_take(struct load *l, struct conn *c, const char *data, size_t len,
	    int is_eof, uint64_t now_ns);
long	 socket_take(struct load *l, struct conn *c, const char *data, size_t len,
	    uint64_t now_ns);
void	 poll_ask(struct load *l, struct conn *c);
void	 socket_shake(struct load *l, struct conn *c);

#endif

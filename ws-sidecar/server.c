/*
 * server - the only file that knows libwebsockets (4.1.6 in Debian 12).
 *
 * What is particular about it:
 * - Writing goes past it.  Who has something to be sent waits in a queue of ours;
 *   before the loop sleeps, each in turn has its bytes composed (session_out.c) in
 *   a buffer that all share and sent by one send().  The library's way, a
 *   callback when the socket is writable, takes four system calls and more for
 *   the same.  What the kernel does not take is handed to the library by
 *   lws_write() as LWS_WRITE_HTTP, which on an established socket passes bytes
 *   through unframed: it keeps them and sends them before anything of its own,
 *   and until it has, the connection does not queue.  So whole frames follow
 *   each other whoever sends them.
 * - A turn of the loop writes to a few hundred; then those who speak, connect or
 *   commit have theirs, and who is still queued gets the newer events as well,
 *   in the same send().
 * - It answers `Upgrade: h2c` on a plain port, and used memory after freeing it
 *   on an unknown Upgrade: so CONFIRM_UPGRADE refuses all but the literal
 *   "websocket", and does not look at `in`.
 * - Under libev its timers run only after an event of its own: server_tick()
 *   makes one, each second.  Pings and hang-ups are not its but session.c's:
 *   its own would walk a list as long as there are connections for each pong.
 * - Closing by its own means, it hangs up behind the close frame without
 *   waiting for the peer's, and what the peer sent meanwhile becomes a reset
 *   that may overtake the frame.  So the frame is made here, and the peer's
 *   awaited (RFC 6455 section 7.1.1); session.c drops who does not send one.
 */
#include <errno.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "buf.h"
#include "clients.h"
#include "conf.h"
#include "err.h"
#include "health.h"
#include "log.h"
#include "peer.h"
#include "query.h"
#include "server.h"
#include "stats.h"
#include "upgrade.h"

#define HEADER_MAX	16384	/* of one request: a token may have 8 KiB */
#define RX_MAX		1024	/* of a piece of a message; each connection has so much */
#define OUT_MAX		(4 * 1024 * 1024)	/* an event; answers come to it */
#define OUT_KEEP	(256 * 1024)		/* the buffer shrinks to this */
#define SLICE		256	/* connections written to in a turn */
#define SLICE_BYTES	(1024 * 1024)	/* about so much, if they are fewer */
#define UNSENT_MAX	(64 * 1024)	/* in the kernel, for one */
#define BULK		(SESSION_WRITE_MAX / 2)	/* after so much, wait for room */
#define TIMEOUT_S	10	/* of a handshake, of a closing handshake */
#define OP_CLOSE	0x88	/* FIN and the opcode */
#define V1		"sidewire.v1"
#define VERSION		"13"	/* RFC 6455 section 4.2.1: no other */

struct server {
	const struct conf		*conf;
	struct clients			*clients;
	const struct health_env		*health;
	struct ev_loop			*loop;
	struct lws_context		*context;
	struct lws_vhost		*vhost;
	struct buf			 out;	/* of one at a time */
	TAILQ_HEAD(, conn)		 queue;	/* who is to be written to */
};

/* The library's memory of a connection, zeroed by it. */
struct conn {
	struct server		*server;
	struct lws		*wsi;
	struct session		*session;
	TAILQ_ENTRY(conn)	 of_queue;
	uint8_t			 is_queued;
	uint8_t			 is_blocked;	/* not queued, until on_writeable() */
	uint8_t			 is_over;	/* nothing of ours is sent any more */
	uint8_t			 is_refused;	/* the library has a close frame to send */
	uint16_t		 close_code;	/* 0: stay */
	uint16_t		 peer_code;	/* of the peer's close frame */
	char			 close_reason[64];
};

static int callback(struct lws *, enum lws_callback_reasons, void *, void *,
    size_t);

static const struct lws_protocols protocols[] = {
	{ "sidewire", callback, sizeof(struct conn), RX_MAX, 0, NULL,
	    OUT_MAX },
	{ V1, callback, sizeof(struct conn), RX_MAX, 1, NULL, OUT_MAX },
	{ NULL, NULL, 0, 0, 0, NULL, 0 }
};

/* secs_since_valid_hangup 0: the library pings nobody. */
static const lws_retry_bo_t no_pings = { .secs_since_valid_ping = 0 };

static void
want_write(void *arg)
{
	struct conn *conn = arg;

	if (conn->is_queued || conn->is_blocked || conn->is_over)
		return;
	conn->is_queued = 1;
	TAILQ_INSERT_TAIL(&conn->server->queue, conn, of_queue);
}

static void
unqueue(struct conn *conn)
{
	if (conn->is_queued)
		TAILQ_REMOVE(&conn->server->queue, conn, of_queue);
	conn->is_queued = 0;
}

/* Sends nothing of ours any more. */
static void
silence(struct conn *conn)
{
	conn->is_over = 1;
	unqueue(conn);
}

static void
close_conn(void *arg, int code, const char *reason)
{
	struct conn *conn = arg;

	conn->close_code = (uint16_t)code;
	(void)snprintf(conn->close_reason, sizeof(conn->close_reason), "%s",
	    reason);
	want_write(conn);
}

static void
kill_conn(void *arg)
{
	struct conn *conn = arg;

	silence(conn);
	lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	lws_cancel_service(lws_get_context(conn->wsi));
}

static uint64_t
progress(void *arg)
{
	struct conn *conn = arg;

	return peer_progress(lws_get_socket_fd(conn->wsi));
}

const struct session_ops server_session_ops = {
	want_write, close_conn, kill_conn, progress
};

/* --- the request --- */

/* The header's value in ret (size bytes), NULL if it is absent or longer. */
static const char *
header(struct lws *wsi, enum lws_token_indexes token, char *ret, size_t size)
{
	if (lws_hdr_total_length(wsi, token) <= 0 ||
	    lws_hdr_copy(wsi, ret, (int)size, token) < 0)
		return NULL;
	return ret;
}

static int
is_path(struct lws *wsi, const char *path)
{
	char uri[512];

	return header(wsi, WSI_TOKEN_GET_URI, uri, sizeof(uri)) != NULL &&
	    strcmp(uri, path) == 0;
}

static int
get_query(struct lws *wsi, struct query *ret, const char **ret_why)
{
	struct buf text;
	char part[HEADER_MAX];
	int i, n, rc;

	*ret_why = "The query string is too long.";
	buf_init(&text, QUERY_MAX_LEN);
	for (i = 0; ; i++) {
		n = lws_hdr_copy_fragment(wsi, part, sizeof(part),
		    WSI_TOKEN_HTTP_URI_ARGS, i);
		if (n < 0)
			break;
		upgrade_add_parameter(&text, part, (size_t)n);
	}
	rc = buf_err(&text);
	if (rc == 0)
		rc = query_parse(buf_str(&text), text.len, ret, ret_why);
	buf_release(&text);
	return rc;
}

/* --- plain HTTP --- */

static int
send_http(struct lws *wsi, const struct health_answer *answer,
    const struct buf *body, int is_head)
{
	struct buf all;
	unsigned char head[LWS_PRE + 1024], *start = head + LWS_PRE;
	unsigned char *p = start, *end = head + sizeof(head);
	int rc = -1;

	if (buf_err(body) != 0 ||
	    lws_add_http_common_headers(wsi, (unsigned)answer->status,
	    answer->type, (lws_filepos_t)body->len, &p, end) ||
	    lws_add_http_header_by_name(wsi,
	    (const unsigned char *)"cache-control:",
	    (const unsigned char *)"no-store", 8, &p, end) ||
	    lws_finalize_http_header(wsi, &p, end))
		return -1;
	buf_init(&all, LWS_PRE + sizeof(head) + body->len);
	buf_add(&all, head, (size_t)(p - head));
	if (!is_head)
		buf_add(&all, buf_str(body), body->len);
	if (buf_err(&all) == 0 &&
	    lws_write(wsi, (unsigned char *)all.p + LWS_PRE,
	    all.len - LWS_PRE, LWS_WRITE_HTTP_FINAL) >= 0)
		rc = 0;
	buf_release(&all);
	return rc;
}

/*
 * Refuses a handshake.  The library has not noted the request's version yet and
 * would answer as HTTP/1.0, which clients do not take; so this one is written
 * here.
 */
static int
refuse_upgrade(struct lws *wsi, enum problem problem, const char *detail)
{
	struct health_answer answer;
	struct buf body, all;
	static const unsigned char pre[LWS_PRE];
	int rc = -1;

	buf_init(&body, 4096);
	buf_init(&all, 8192);
	health_print_problem(problem, detail, &body, &answer);
	buf_add(&all, pre, sizeof(pre));
	buf_addf(&all, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n"
	    "Content-Length: %zu\r\nCache-Control: no-store\r\n"
	    "Sec-WebSocket-Version: " VERSION "\r\n"
	    "Connection: close\r\n\r\n", answer.status,
	    problem_info(problem)->title, answer.type, body.len);
	buf_add(&all, buf_str(&body), body.len);
	if (buf_err(&body) == 0 && buf_err(&all) == 0 &&
	    lws_write(wsi, (unsigned char *)all.p + sizeof(pre),
	    all.len - sizeof(pre), LWS_WRITE_HTTP_FINAL) >= 0)
		rc = 1;
	buf_release(&body);
	buf_release(&all);
	return rc;
}

static int
on_http(struct server *srv, struct lws *wsi)
{
	struct health_answer answer;
	struct buf body;
	char path[256];
	int is_head, rc;

	is_head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
	buf_init(&body, 1024 * 1024);
	if (header(wsi, is_head ? WSI_TOKEN_HEAD_URI : WSI_TOKEN_GET_URI, path,
	    sizeof(path)) == NULL)
		health_print_problem(
		    lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0 ?
		    PROBLEM_NOT_FOUND : PROBLEM_METHOD, NULL, &body, &answer);
	else if (strcmp(path, srv->conf->ws_path) == 0)
		health_print_problem(PROBLEM_BAD_REQUEST,
		    "Only WebSocket connections are served here; a proxy in "
		    "front must pass Upgrade: websocket.", &body, &answer);
	else
		health_print(srv->health, path, &body, &answer);
	rc = send_http(wsi, &answer, &body, is_head);
	buf_release(&body);
	if (rc < 0 || lws_http_transaction_completed(wsi))
		return -1;
	return 0;
}

/* --- WebSocket --- */

/* 0: go on; 1: answered; -1: drop. */
static int
on_confirm_upgrade(struct server *srv, struct lws *wsi)
{
	char upgrade[32], version[8], origin[512], host[512];
	const char *why, *from;
	struct query q;
	int rc;

	if (header(wsi, WSI_TOKEN_UPGRADE, upgrade, sizeof(upgrade)) == NULL ||
	    !upgrade_is_websocket(upgrade)) {
		stats_add(srv->health->shm, STATS_ws_upgrades_refused, 1);
		return -1;
	}
	if (!is_path(wsi, srv->conf->ws_path))
		return refuse_upgrade(wsi, PROBLEM_NOT_FOUND, NULL);
	if (header(wsi, WSI_TOKEN_VERSION, version, sizeof(version)) == NULL ||
	    strcmp(version, VERSION) != 0)
		return refuse_upgrade(wsi, PROBLEM_BAD_REQUEST,
		    "Sec-WebSocket-Version must be " VERSION ".");
	from = header(wsi, WSI_TOKEN_ORIGIN, origin, sizeof(origin));
	if (from == NULL && lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0)
		from = "too long";
	if (header(wsi, WSI_TOKEN_HOST, host, sizeof(host)) == NULL)
		host[0] = '\0';
	if (!upgrade_is_allowed(&srv->conf->ws_origins, from, host))
		return refuse_upgrade(wsi, PROBLEM_ORIGIN_DENIED, NULL);
	rc = get_query(wsi, &q, &why);
	if (rc == ERR_INVAL || rc == ERR_TOOBIG)
		return refuse_upgrade(wsi, PROBLEM_BAD_REQUEST, why);
	if (rc < 0)
		return -1;
	query_release(&q);
	return 0;
}

/* A close frame: code and reason (RFC 6455 section 5.5.1). */
static void
add_close(const struct conn *conn, struct buf *out)
{
	size_t len = strlen(conn->close_reason);

	buf_addc(out, (char)OP_CLOSE);
	buf_addc(out, (char)(len + 2));		/* under 126 */
	buf_addc(out, (char)(conn->close_code >> 8));
	buf_addc(out, (char)(conn->close_code & 0xff));
	buf_add(out, conn->close_reason, len);
}

/* Everything that it has not had yet, behind the library's room. */
static void
compose(struct conn *conn, struct buf *out)
{
	static const unsigned char pre[LWS_PRE];

	if (buf_err(out) != 0 || out->len < sizeof(pre)) {
		buf_reset(out);
		buf_add(out, pre, sizeof(pre));
	}
	buf_cut(out, sizeof(pre));
	session_write(conn->session, out);
	if (conn->close_code == 0)
		return;
	add_close(conn, out);
	silence(conn);
}

/* Bytes that the kernel took; -1: the connection is broken. */
static ssize_t
send_now(struct conn *conn, const char *data, size_t len)
{
	ssize_t n;

	n = send(lws_get_socket_fd(conn->wsi), data, len,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS ||
	    errno == ENOMEM))
		return 0;
	return n;
}

/* Has the library write, as if it had been told that the socket is writable. */
static void
let_library_write(struct conn *conn)
{
	struct lws_pollfd pfd = { .events = LWS_POLLOUT,
	    .revents = LWS_POLLOUT };

	pfd.fd = lws_get_socket_fd(conn->wsi);
	(void)lws_service_fd(lws_get_context(conn->wsi), &pfd);
}

/*
 * Until the kernel says that there is room: it would take more than that from
 * send(), and pings would wait behind it.
 */
static void
await_room(struct conn *conn)
{
	unqueue(conn);
	conn->is_blocked = 1;
	(void)lws_callback_on_writable(conn->wsi);
}

/* Returns the bytes that there were for it. */
static size_t
write_conn(struct server *srv, struct conn *conn)
{
	struct buf *out = &srv->out;
	size_t len, at = LWS_PRE;
	ssize_t n;

	if (conn->is_refused) {
		let_library_write(conn);
		return 0;
	}
	if (lws_partial_buffered(conn->wsi)) {
		await_room(conn);
		return 0;
	}
	compose(conn, out);
	len = out->len - at;
	if (buf_err(out) != 0 || len == 0)
		return 0;
	n = send_now(conn, out->p + at, len);
	if (n >= 0 && (size_t)n < len) {
		at += (size_t)n;
		n = lws_write(conn->wsi, (unsigned char *)out->p + at,
		    out->len - at, LWS_WRITE_HTTP);
		if (lws_partial_buffered(conn->wsi))
			await_room(conn);
	} else if (n >= BULK) {
		await_room(conn);
	}
	if (n < 0)
		kill_conn(conn);
	return len;
}

int
server_write(struct server *srv)
{
	struct conn *conn;
	size_t bytes = 0;
	int n;

	for (n = 0; n < SLICE && bytes < SLICE_BYTES; n++) {
		conn = TAILQ_FIRST(&srv->queue);
		if (conn == NULL)
			break;
		unqueue(conn);
		bytes += write_conn(srv, conn);
	}
	if (srv->out.cap > OUT_KEEP)
		buf_release(&srv->out);
	return !TAILQ_EMPTY(&srv->queue);
}

/* At once, so that nothing can be committed between the handshake and the state. */
static int
write_first(struct server *srv, struct conn *conn)
{
	if (conn->is_queued) {
		unqueue(conn);
		(void)write_conn(srv, conn);
	}
	return 0;
}

static int
on_established(struct server *srv, struct lws *wsi, struct conn *conn)
{
	char authorization[HEADER_MAX], forwarded[512];
	char peer[SESSION_IP_SIZE], ip[SESSION_IP_SIZE];
	struct session_request req;
	struct query q;
	const char *why;

	if (get_query(wsi, &q, &why) < 0)
		return -1;
	memset(conn, 0, sizeof(*conn));
	conn->server = srv;
	conn->wsi = wsi;
	req.authorization = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
	    authorization, sizeof(authorization));
	req.is_v1 = strcmp(lws_get_protocol(wsi)->name, V1) == 0;
	peer_print_address(lws_get_socket_fd(wsi), peer, sizeof(peer));
	upgrade_print_ip(peer, header(wsi, WSI_TOKEN_X_FORWARDED_FOR,
	    forwarded, sizeof(forwarded)), ip);
	req.ip = ip;
	/* On failure it just ends: there is no memory to say why. */
	if (session_new(srv->clients, conn, &req, &q, &conn->session) < 0)
		return -1;
	return write_first(srv, conn);
}

/*
 * The peer broke the protocol, and the library is about to say so.  It would go on
 * reading until the socket is writable, find the next fault, and hang up without a
 * close frame.
 */
static void
on_drop(struct conn *conn)
{
	if (conn->session == NULL || conn->is_over)
		return;
	silence(conn);
	conn->is_refused = 1;
	conn->is_queued = 1;
	TAILQ_INSERT_TAIL(&conn->server->queue, conn, of_queue);
}

/* Also after a pong of the library's. */
static int
on_writeable(struct conn *conn)
{
	if (conn->is_blocked) {
		conn->is_blocked = 0;
		want_write(conn);
	}
	return 0;
}

static int
on_peer_close(struct conn *conn, const unsigned char *payload, size_t len)
{
	int is_answer = conn->is_over && conn->close_code != 0;

	silence(conn);
	if (len >= 2)
		conn->peer_code = (uint16_t)(payload[0] << 8 | payload[1]);
	/* The answer to ours ends it; one of its own is answered. */
	return is_answer ? -1 : 0;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t len)
{
	struct server *srv = lws_context_user(lws_get_context(wsi));
	struct conn *conn = user;

	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return on_http(srv, wsi);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return on_confirm_upgrade(srv, wsi);
	case LWS_CALLBACK_ESTABLISHED:
		return on_established(srv, wsi, conn);
	case LWS_CALLBACK_RECEIVE:
		if (conn->session != NULL)
			session_receive(conn->session, in, len,
			    lws_is_first_fragment(wsi),
			    lws_is_final_fragment(wsi),
			    lws_frame_is_binary(wsi));
		return 0;
	case LWS_CALLBACK_RECEIVE_PONG:
		if (conn->session != NULL)
			session_heard(conn->session);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return on_writeable(conn);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return on_peer_close(conn, in, len);
	case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL:
		on_drop(conn);
		return 0;
	case LWS_CALLBACK_CLOSED:
		silence(conn);
		session_free(conn->session, conn->peer_code);
		conn->session = NULL;
		return 0;
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return lws_http_transaction_completed(wsi) ? -1 : 0;
	default:
		return 0;
	}
}

/* --- the context --- */

/* Its lines may quote requests, and a peer can cause them. */
static void
on_log(int level, const char *line)
{
	(void)level;
	log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

int
server_open(const struct conf *conf, struct clients *clients,
    const struct health_env *health, struct ev_loop *loop, struct server **ret)
{
	struct lws_context_creation_info info;
	struct server *srv;
	void *loops[1] = { loop };

	srv = calloc(1, sizeof(*srv));
	if (srv == NULL)
		return ERR_NOMEM;
	srv->conf = conf;
	srv->clients = clients;
	srv->health = health;
	srv->loop = loop;
	TAILQ_INIT(&srv->queue);
	buf_init(&srv->out, OUT_MAX + SESSION_ANSWERS(conf->ws_max_message));
	lws_set_log_level(LLL_ERR, on_log);
	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = protocols;
	info.options = LWS_SERVER_OPTION_LIBEV |
	    LWS_SERVER_OPTION_VALIDATE_UTF8 |
	    LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info.foreign_loops = loops;
	info.user = srv;
	info.gid = (gid_t)-1;
	info.uid = (uid_t)-1;
	info.max_http_header_data = HEADER_MAX;
	info.pt_serv_buf_size = HEADER_MAX;
	info.timeout_secs = TIMEOUT_S;
	info.keepalive_timeout = TIMEOUT_S;
	info.retry_and_idle_policy = &no_pings;
	info.vhost_name = "sidewire";
	srv->context = lws_create_context(&info);
	if (srv->context != NULL)
		srv->vhost = lws_create_vhost(srv->context, &info);
	if (srv->vhost == NULL) {
		server_close(srv);
		return ERR_IO;
	}
	*ret = srv;
	return 0;
}

void
server_close(struct server *srv)
{
	if (srv == NULL)
		return;
	if (srv->context != NULL)
		lws_context_destroy(srv->context);
	buf_release(&srv->out);
	free(srv);
}

void
server_tick(struct server *srv)
{
	lws_cancel_service(srv->context);
}

void
server_adopt(int fd, void *arg)
{
	struct server *srv = arg;

	/*
	 * Else a frame waits for the acknowledgement of the one before, for up
	 * to 40 ms; and megabytes lie in front of a ping, and who reads slowly
	 * cannot answer it in time.
	 */
	peer_prepare(fd, UNSENT_MAX);
	/* On failure it has closed fd. */
	(void)lws_adopt_socket_vhost(srv->vhost, fd);
}

/*
 * Reading a request (request.h). The FastCGI library ends here: it reads and
 * parses records from a descriptor that we accepted ourselves, and gives the
 * descriptor back before there is an answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fcgiapp.h>

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "request.h"
#include "request_impl.h"

#define NAME(s)	{ s, sizeof(s) - 1 }
static const struct request_text names[P_COUNT] = {
	[P_METHOD] = NAME("REQUEST_METHOD"),
	[P_URI] = NAME("REQUEST_URI"),
	[P_SCRIPT] = NAME("SCRIPT_NAME"),
	[P_INFO] = NAME("PATH_INFO"),
	[P_QUERY] = NAME("QUERY_STRING"),
	[P_AUTH] = NAME("HTTP_AUTHORIZATION"),
	[P_AUTH_REDIRECT] = NAME("REDIRECT_HTTP_AUTHORIZATION"),
	[P_AUTH_PLAIN] = NAME("Authorization"),
	[P_ORIGIN] = NAME("HTTP_ORIGIN"),
	[P_ADDR] = NAME("REMOTE_ADDR"),
	[P_SOFTWARE] = NAME("SERVER_SOFTWARE"),
	[P_XFF] = NAME("HTTP_X_FORWARDED_FOR"),
	[P_FORWARDED] = NAME("HTTP_FORWARDED"),
	[P_REAL_IP] = NAME("HTTP_X_REAL_IP"),
	[P_CONTEXT] = NAME("CONTEXT_DOCUMENT_ROOT"),
	[P_TYPE] = NAME("CONTENT_TYPE"),
	[P_LENGTH] = NAME("CONTENT_LENGTH"),
	[P_KEY] = NAME("HTTP_IDEMPOTENCY_KEY"),
};

/* A bit for each name of this length: few are looked at of twenty that come. */
static const unsigned of_length[] = {
	[9] = 1U << P_INFO,
	[11] = 1U << P_URI | 1U << P_SCRIPT | 1U << P_ORIGIN | 1U << P_ADDR,
	[12] = 1U << P_QUERY | 1U << P_TYPE,
	[13] = 1U << P_AUTH_PLAIN,
	[14] = 1U << P_METHOD | 1U << P_FORWARDED | 1U << P_REAL_IP |
	    1U << P_LENGTH,
	[15] = 1U << P_SOFTWARE,
	[18] = 1U << P_AUTH,
	[20] = 1U << P_XFF | 1U << P_KEY,
	[21] = 1U << P_CONTEXT,
	[27] = 1U << P_AUTH_REDIRECT
};

void
request_set_param(struct request_text ret[P_COUNT], const char *name,
    size_t name_len, const char *value, size_t len)
{
	unsigned which;
	int i;

	which = name_len < sizeof(of_length) / sizeof(of_length[0]) ?
	    of_length[name_len] : 0;
	for (; which != 0; which &= which - 1) {
		i = __builtin_ctz(which);
		if (memcmp(names[i].p, name, name_len) == 0) {
			ret[i].p = value;
			/* As in an environment, where a NUL is the end. */
			ret[i].len = strnlen(value, len);
			return;
		}
	}
}

void
request_init_params(struct request_text ret[P_COUNT])
{
	int i;

	for (i = 0; i < P_COUNT; i++)
		ret[i] = (struct request_text){ "", 0 };
}

static void
find_params(char *const *envp, struct request_text ret[P_COUNT])
{
	const char *eq;

	request_init_params(ret);
	for (; *envp != NULL; envp++) {
		eq = strchr(*envp, '=');
		if (eq != NULL)
			request_set_param(ret, *envp, (size_t)(eq - *envp),
			    eq + 1, strlen(eq + 1));
	}
}

static enum request_method
parse_method(const struct request_text *s)
{
	static const struct {
		struct request_text name;
		enum request_method method;
	} table[] = {
		{ NAME("GET"), METHOD_GET }, { NAME("HEAD"), METHOD_HEAD },
		{ NAME("OPTIONS"), METHOD_OPTIONS },
		{ NAME("POST"), METHOD_POST },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].name.len == s->len &&
		    memcmp(table[i].name.p, s->p, s->len) == 0)
			return table[i].method;
	return METHOD_OTHER;
}

/* Appends a string to the block. */
static const char *
put(char **at, const struct request_text *s)
{
	char *to = *at;

	memcpy(to, s->p, s->len);
	to[s->len] = '\0';
	*at += s->len + 1;
	return to;
}

static const struct request_text *
first_set(const struct request_text *a, const struct request_text *b,
    const struct request_text *c)
{
	if (a->len > 0)
		return a;
	return b->len > 0 ? b : c;
}

/*
 * REQUEST_URI is what the client asked for, whatever rewriting, mounting and CGI
 * rules made of it; not every server sets it.
 */
static void
split_uri(const struct request_text *uri, struct request_text *ret_path,
    struct request_text *ret_query)
{
	const char *mark = memchr(uri->p, '?', uri->len);

	*ret_path = *uri;
	*ret_query = (struct request_text){ "", 0 };
	if (mark == NULL)
		return;
	ret_path->len = (size_t)(mark - uri->p);
	ret_query->p = mark + 1;
	ret_query->len = uri->len - ret_path->len - 1;
}

/* Bytes of a body, -1 where it is not said; what is no number is none. */
static long long
parse_length(const struct request_text *s)
{
	long long n = 0;
	size_t i;

	for (i = 0; i < s->len && s->p[i] >= '0' && s->p[i] <= '9' &&
	    n <= REQUEST_MAX_BODY; i++)
		n = n * 10 + s->p[i] - '0';
	return s->len > 0 ? n : -1;
}

int
request_build(const struct request_text p[P_COUNT], struct request *ret)
{
	const struct request_text *auth, *query;
	struct request_text path, mark;
	char *at;

	if (p[P_METHOD].len == 0)
		return ERR_INVAL;
	split_uri(&p[P_URI], &path, &mark);
	query = p[P_QUERY].len > 0 ? &p[P_QUERY] : &mark;
	auth = first_set(&p[P_AUTH], &p[P_AUTH_REDIRECT], &p[P_AUTH_PLAIN]);
	memset(ret, 0, sizeof(*ret));
	ret->block = malloc(path.len + p[P_SCRIPT].len + p[P_INFO].len +
	    query->len + auth->len + p[P_ORIGIN].len + p[P_ADDR].len +
	    p[P_TYPE].len + p[P_KEY].len + 10);
	if (ret->block == NULL)
		return ERR_NOMEM;
	at = ret->block;
	if (path.len > 0) {
		ret->path = put(&at, &path);
	} else {
		ret->path = put(&at, &p[P_SCRIPT]);
		at--;		/* the other goes on where the NUL is */
		(void)put(&at, &p[P_INFO]);
	}
	ret->query = put(&at, query);
	ret->authorization = put(&at, auth);
	ret->origin = put(&at, &p[P_ORIGIN]);
	ret->remote_addr = put(&at, &p[P_ADDR]);
	ret->content_type = put(&at, &p[P_TYPE]);
	ret->key = put(&at, &p[P_KEY]);
	ret->announced = parse_length(&p[P_LENGTH]);
	ret->method = parse_method(&p[P_METHOD]);
	/* Its name can be hidden (mod_security); the other is Apache's alone. */
	ret->is_apache = (p[P_SOFTWARE].len >= 6 &&
	    strncasecmp(p[P_SOFTWARE].p, "Apache", 6) == 0) ||
	    p[P_CONTEXT].len > 0;
	ret->is_forwarded = p[P_XFF].len > 0 || p[P_FORWARDED].len > 0 ||
	    p[P_REAL_IP].len > 0;
	return 0;
}

int
request_parse(char *const *envp, struct request *ret)
{
	struct request_text p[P_COUNT];

	find_params(envp, p);
	return request_build(p, ret);
}

void
request_release(struct request *req)
{
	free(req->block);
	free(req->body);
	memset(req, 0, sizeof(*req));
}

/* The buffer's content becomes the body. */
static int
take_body(struct request *req, struct buf *b)
{
	size_t len = b->len;

	if (buf_err(b) != 0)
		return ERR_NOMEM;
	req->body = len > 0 ? buf_take(b, NULL) : calloc(1, 1);
	req->body_len = len;
	return req->body != NULL ? 0 : ERR_NOMEM;
}

int
request_read_body(struct request *req, int fd, request_body_fn *is_wanted)
{
	char chunk[8192];
	struct buf b;
	ssize_t n = 1;
	size_t left;
	int rc;

	if (!is_wanted(req))
		return 0;
	if (req->announced > REQUEST_MAX_BODY) {
		req->is_too_large = 1;
		return 0;
	}
	buf_init(&b, REQUEST_MAX_BODY);
	left = req->announced > 0 ? (size_t)req->announced : 0;
	while (left > 0 && n != 0) {
		n = read(fd, chunk, left < sizeof(chunk) ? left : sizeof(chunk));
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0) {
			buf_add(&b, chunk, (size_t)n);
			left -= (size_t)n;
		}
	}
	rc = left > 0 ? ERR_CLOSED : take_body(req, &b);
	buf_release(&b);
	return rc;
}

/* --- from a connection, by the library --- */

int
request_init(void)
{
	/*
	 * When it closes a connection itself, after a request that broke off,
	 * it would wait this long (ms, initially 2000) for the peer to close
	 * first.
	 */
	if (setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1) < 0)
		return ERR_IO;
	return FCGX_Init() == 0 ? 0 : ERR_IO;
}

/* How long each read may take, and the end of all, from now. */
static int64_t
set_patience(int fd, int ms)
{
	const struct timeval tv = {
		.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000
	};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return clock_mono_ms() + ms;
}

/*
 * Some web servers pass a body on as it comes (mod_proxy_fcgi), and a client that is in no
 * hurry would keep the worker: what is not there soon is not waited for.
 */
static int
drain_long(FCGX_Request *r)
{
	int64_t end_ms = set_patience(r->ipcFd, REQUEST_BODY_MS);
	size_t total;

	for (total = 0; total <= REQUEST_MAX_BODY; total++) {
		if (FCGX_GetChar(r->in) < 0)
			return FCGX_GetError(r->in) != 0;
		if (clock_mono_ms() >= end_ms)
			break;
	}
	return 1;
}

/*
 * Reads the body to its end: what is left unread would make the socket of a
 * held request readable, and turn its closing into a reset.
 */
static int
drain(FCGX_Request *r, int *ret_is_too_large)
{
	char sink[8192];
	size_t total = 0;
	int n;

	*ret_is_too_large = 0;
	for (;;) {
		n = FCGX_GetStr(sink, sizeof(sink), r->in);
		if (n > 0)
			total += (size_t)n;
		if (total > REQUEST_MAX_BODY) {
			*ret_is_too_large = 1;
			return 0;
		}
		if (n < (int)sizeof(sink))
			return FCGX_GetError(r->in) == 0 ? 0 : ERR_CLOSED;
	}
}

/*
 * Keeps the body. A long one has a time of its own, so that a client in no hurry does not
 * keep the worker.
 */
static int
keep(FCGX_Request *r, struct request *req)
{
	int64_t end_ms = INT64_MAX;
	char chunk[8192];
	struct buf b;
	int n, rc = 0;

	if (req->announced > REQUEST_LONG_BODY)
		end_ms = set_patience(r->ipcFd, REQUEST_WANTED_MS);
	buf_init(&b, REQUEST_MAX_BODY);
	do {
		n = FCGX_GetStr(chunk, sizeof(chunk), r->in);
		buf_add(&b, chunk, n > 0 ? (size_t)n : 0);
		if (FCGX_GetError(r->in) != 0 || clock_mono_ms() >= end_ms)
			rc = ERR_CLOSED;
	} while (rc == 0 && n == (int)sizeof(chunk) && buf_err(&b) == 0);
	if (rc == 0 && buf_err(&b) == ERR_TOOBIG)
		req->is_too_large = 1;
	else if (rc == 0)
		rc = take_body(req, &b);
	buf_release(&b);
	return rc;
}

static int
read_body(FCGX_Request *r, struct request *req, request_body_fn *is_wanted)
{
	if (req->announced > REQUEST_MAX_BODY)
		req->is_too_large = drain_long(r);
	else if (is_wanted(req))
		return keep(r, req);
	else if (req->announced > REQUEST_LONG_BODY)
		req->is_too_large = drain_long(r);
	else
		return drain(r, &req->is_too_large);
	return 0;
}

int
request_read(struct request_wire *wire, request_body_fn *is_wanted,
    struct request *ret)
{
	struct request req;
	FCGX_Request r;
	int rc;

	if (FCGX_InitRequest(&r, -1, 0) != 0) {
		(void)close(wire->fd);
		wire->fd = -1;
		return ERR_CLOSED;
	}
	/* The library finishes "the last request" first: this keeps it from
	 * closing the descriptor. */
	r.ipcFd = wire->fd;
	r.keepConnection = 1;
	wire->fd = -1;
	rc = FCGX_Accept_r(&r);
	if (rc < 0)
		return ERR_CLOSED;	/* it has closed the descriptor */
	wire->id = r.requestId;
	wire->is_kept = r.keepConnection;
	/* Parameters that broke off are no error to the library. */
	rc = FCGX_GetError(r.in) != 0 ? ERR_CLOSED :
	    request_parse(r.envp, &req);
	if (rc == 0) {
		rc = read_body(&r, &req, is_wanted);
		if (rc < 0)
			request_release(&req);
	}
	if (rc == 0) {
		*ret = req;
		if (ret->is_too_large)
			wire->is_kept = 0;
		wire->fd = r.ipcFd;
	} else {
		(void)close(r.ipcFd);
		if (rc == ERR_INVAL)
			rc = ERR_CLOSED;
	}
	r.ipcFd = -1;
	FCGX_Free(&r, 0);
	return rc;
}

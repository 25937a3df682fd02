/*
 * Reading a request (request.h). The FastCGI library ends here: it reads and
 * parses records from a descriptor that we accepted ourselves, and gives the
 * descriptor back before there is an answer.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fcgiapp.h>

#include "clock.h"
#include "err.h"
#include "request.h"

/* What is looked at, by name. */
enum param {
	P_METHOD, P_URI, P_SCRIPT, P_INFO, P_QUERY, P_AUTH, P_AUTH_REDIRECT,
	P_AUTH_PLAIN, P_ORIGIN, P_ADDR, P_SOFTWARE, P_XFF, P_FORWARDED,
	P_REAL_IP, P_CONTEXT, P_COUNT
};
static const char *const names[P_COUNT] = {
	[P_METHOD] = "REQUEST_METHOD",
	[P_URI] = "REQUEST_URI",
	[P_SCRIPT] = "SCRIPT_NAME",
	[P_INFO] = "PATH_INFO",
	[P_QUERY] = "QUERY_STRING",
	[P_AUTH] = "HTTP_AUTHORIZATION",
	[P_AUTH_REDIRECT] = "REDIRECT_HTTP_AUTHORIZATION",
	[P_AUTH_PLAIN] = "Authorization",
	[P_ORIGIN] = "HTTP_ORIGIN",
	[P_ADDR] = "REMOTE_ADDR",
	[P_SOFTWARE] = "SERVER_SOFTWARE",
	[P_XFF] = "HTTP_X_FORWARDED_FOR",
	[P_FORWARDED] = "HTTP_FORWARDED",
	[P_REAL_IP] = "HTTP_X_REAL_IP",
	[P_CONTEXT] = "CONTEXT_DOCUMENT_ROOT",
};

static void
find_params(char *const *envp, const char *ret[P_COUNT])
{
	const char *eq;
	size_t len;
	int i;

	for (i = 0; i < P_COUNT; i++)
		ret[i] = "";
	for (; *envp != NULL; envp++) {
		eq = strchr(*envp, '=');
		if (eq == NULL)
			continue;
		len = (size_t)(eq - *envp);
		for (i = 0; i < P_COUNT; i++)
			if (strncmp(names[i], *envp, len) == 0 &&
			    names[i][len] == '\0')
				ret[i] = eq + 1;
	}
}

static enum request_method
parse_method(const char *s)
{
	static const struct {
		const char *name;
		enum request_method method;
	} table[] = {
		{ "GET", METHOD_GET }, { "HEAD", METHOD_HEAD },
		{ "OPTIONS", METHOD_OPTIONS }, { "POST", METHOD_POST },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, s) == 0)
			return table[i].method;
	return METHOD_OTHER;
}

/* Appends a string of len bytes to the block. */
static const char *
put(char **at, const char *s, size_t len)
{
	char *to = *at;

	memcpy(to, s, len);
	to[len] = '\0';
	*at += len + 1;
	return to;
}

static const char *
first_set(const char *a, const char *b, const char *c)
{
	if (a[0] != '\0')
		return a;
	return b[0] != '\0' ? b : c;
}

int
request_parse(char *const *envp, struct request *ret)
{
	const char *p[P_COUNT], *auth, *query, *mark;
	size_t path_len;
	char *at;

	find_params(envp, p);
	if (p[P_METHOD][0] == '\0')
		return ERR_INVAL;
	/*
	 * REQUEST_URI is what the client asked for, whatever rewriting,
	 * mounting and CGI rules made of it; not every server sets it.
	 */
	path_len = strcspn(p[P_URI], "?");
	mark = p[P_URI][path_len] == '?' ? p[P_URI] + path_len + 1 : "";
	query = p[P_QUERY][0] != '\0' ? p[P_QUERY] : mark;
	auth = first_set(p[P_AUTH], p[P_AUTH_REDIRECT], p[P_AUTH_PLAIN]);
	memset(ret, 0, sizeof(*ret));
	ret->block = malloc(path_len + strlen(p[P_SCRIPT]) + strlen(p[P_INFO]) +
	    strlen(query) + strlen(auth) + strlen(p[P_ORIGIN]) +
	    strlen(p[P_ADDR]) + 8);
	if (ret->block == NULL)
		return ERR_NOMEM;
	at = ret->block;
	if (path_len > 0) {
		ret->path = put(&at, p[P_URI], path_len);
	} else {
		ret->path = put(&at, p[P_SCRIPT], strlen(p[P_SCRIPT]));
		at--;		/* the other goes on where the NUL is */
		(void)put(&at, p[P_INFO], strlen(p[P_INFO]));
	}
	ret->query = put(&at, query, strlen(query));
	ret->authorization = put(&at, auth, strlen(auth));
	ret->origin = put(&at, p[P_ORIGIN], strlen(p[P_ORIGIN]));
	ret->remote_addr = put(&at, p[P_ADDR], strlen(p[P_ADDR]));
	ret->method = parse_method(p[P_METHOD]);
	/* Its name can be hidden (mod_security); the other is Apache's alone. */
	ret->is_apache = strncasecmp(p[P_SOFTWARE], "Apache", 6) == 0 ||
	    p[P_CONTEXT][0] != '\0';
	ret->is_forwarded = p[P_XFF][0] != '\0' ||
	    p[P_FORWARDED][0] != '\0' || p[P_REAL_IP][0] != '\0';
	return 0;
}

void
request_release(struct request *req)
{
	free(req->block);
	memset(req, 0, sizeof(*req));
}

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

/* Is a long body announced? */
static int
is_long(const FCGX_Request *r)
{
	const char *s = FCGX_GetParam("CONTENT_LENGTH", r->envp);

	return s != NULL && strtoll(s, NULL, 10) > REQUEST_LONG_BODY;
}

/*
 * Some web servers pass a body on as it comes (mod_proxy_fcgi), and a client that is in no
 * hurry would keep the worker: what is not there soon is not waited for.
 */
static int
drain_long(FCGX_Request *r)
{
	const struct timeval tv = { .tv_usec = REQUEST_BODY_MS * 1000 };
	int64_t end_ms = clock_mono_ms() + REQUEST_BODY_MS;
	size_t total;

	(void)setsockopt(r->ipcFd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
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

int
request_read(struct request_wire *wire, struct request *ret)
{
	FCGX_Request r;
	int rc, is_too_large = 0;

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
	if (FCGX_GetError(r.in) != 0)
		rc = ERR_CLOSED;
	else if (is_long(&r))
		is_too_large = drain_long(&r);
	else
		rc = drain(&r, &is_too_large);
	if (rc == 0)
		rc = request_parse(r.envp, ret);
	if (rc == 0) {
		ret->is_too_large = is_too_large;
		if (is_too_large)
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

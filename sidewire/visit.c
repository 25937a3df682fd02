/*
 * visit - HTTP through libcurl, which is opened by name when a site is visited.
 */
#define CURL_DISABLE_TYPECHECK	/* its macros do not fit calls through pointers */
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "err.h"
#include "visit.h"

#define LIBRARY		"libcurl.so.4"
#define CONNECT_MS	10000L
#define MAX_URL		8192
#define MAX_CALL	16384

#define CALLS(X)	X(curl_global_init) X(curl_easy_init) X(curl_easy_cleanup) \
	X(curl_easy_setopt) X(curl_easy_perform) X(curl_easy_getinfo) \
	X(curl_easy_strerror) X(curl_easy_send) X(curl_easy_recv) \
	X(curl_slist_append) X(curl_slist_free_all) X(curl_url) X(curl_url_set) \
	X(curl_url_get) X(curl_url_cleanup) X(curl_free)

struct calls {
#define MEMBER(name)	__typeof__(&name) name;
	CALLS(MEMBER)
#undef MEMBER
};

struct visit {
	struct calls	 curl;
	void		*library;
	const char	*ca;
	int		 is_https;
	char		*base;		/* scheme, host, port, path without a last slash */
	char		*host;		/* as in a Host header */
	char		*path;
};

struct visit_line {
	struct visit	*v;
	CURL		*easy;
};

static int
load(struct visit *v, char *why, size_t size)
{
	v->library = dlopen(LIBRARY, RTLD_NOW);
	if (v->library == NULL) {
		(void)snprintf(why, size, "%s", dlerror());
		return ERR_NOTFOUND;
	}
#define FIND(name)	*(void **)(&v->curl.name) = dlsym(v->library, #name); \
	if (v->curl.name == NULL) { \
		(void)snprintf(why, size, LIBRARY " lacks " #name); \
		return ERR_NOTFOUND; \
	}
	CALLS(FIND)
#undef FIND
	if (v->curl.curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		(void)snprintf(why, size, LIBRARY " cannot be started");
		return ERR_NOMEM;
	}
	return 0;
}

/* Fills base, host and path from the URL's parts. */
static int
take_apart(struct visit *v, CURLU *parts, const char *url)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;
	size_t len;
	int rc = ERR_INVAL;

	if (v->curl.curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    v->curl.curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    v->curl.curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    v->curl.curl_url_get(parts, CURLUPART_PATH, &path, 0) != CURLUE_OK)
		goto done;
	if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
		goto done;
	v->is_https = strcmp(scheme, "https") == 0;
	/* CURLUE_NO_PORT: the scheme's own */
	(void)v->curl.curl_url_get(parts, CURLUPART_PORT, &port, 0);
	len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		path[--len] = '\0';
	rc = ERR_NOMEM;
	if (asprintf(&v->host, "%s%s%s", host, port != NULL ? ":" : "",
	    port != NULL ? port : "") < 0)
		v->host = NULL;
	else if (asprintf(&v->base, "%s://%s%s", scheme, v->host, path) < 0)
		v->base = NULL;
	v->path = strdup(path);
	if (v->host != NULL && v->base != NULL && v->path != NULL)
		rc = 0;
done:
	v->curl.curl_free(scheme);
	v->curl.curl_free(host);
	v->curl.curl_free(port);
	v->curl.curl_free(path);
	return rc;
}

int
visit_open(const char *url, const char *ca, struct visit **ret, char *why,
    size_t size)
{
	struct visit *v = calloc(1, sizeof(*v));
	CURLU *parts;
	int rc;

	if (v == NULL)
		return ERR_NOMEM;
	v->ca = ca;
	rc = load(v, why, size);
	if (rc == 0) {
		parts = v->curl.curl_url();
		rc = parts == NULL ? ERR_NOMEM : take_apart(v, parts, url);
		v->curl.curl_url_cleanup(parts);
		if (rc < 0)
			(void)snprintf(why, size, "%s: give a URL as "
			    "https://example.org", url);
	}
	if (rc < 0) {
		visit_close(v);
		return rc;
	}
	*ret = v;
	return 0;
}

void
visit_close(struct visit *v)
{
	if (v == NULL)
		return;
	/* The library stays loaded: it and its own may have registered with libc. */
	free(v->base);
	free(v->host);
	free(v->path);
	free(v);
}

int
visit_is_https(const struct visit *v)
{
	return v->is_https;
}

int
visit_is_loopback(const struct visit *v)
{
	size_t len = strcspn(v->host, ":");

	return strncmp(v->host, "[::1]", 5) == 0 ||
	    (len == 9 && strncasecmp(v->host, "localhost", len) == 0) ||
	    (strncmp(v->host, "127.", 4) == 0 &&
	    strspn(v->host, "0123456789.") == len);
}

const char *
visit_host(const struct visit *v)
{
	return v->host;
}

/* What requests and lines have in common. */
static CURL *
start(struct visit *v, const char *path)
{
	char url[MAX_URL];
	CURL *easy = v->curl.curl_easy_init();

	if (easy == NULL)
		return NULL;
	(void)snprintf(url, sizeof(url), "%s%s", v->base, path);
	/* These fail only without memory, and the perform after them then too. */
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_URL, url);
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_USERAGENT, "sidewire-doctor");
	if (v->ca != NULL)
		(void)v->curl.curl_easy_setopt(easy, CURLOPT_CAINFO, v->ca);
	return easy;
}

static size_t
take_head(char *data, size_t size, size_t n, void *arg)
{
	struct visit_answer *answer = arg;

	if (size * n > 5 && strncmp(data, "HTTP/", 5) == 0)
		buf_reset(&answer->head);	/* an interim answer came before */
	buf_add(&answer->head, data, size * n);
	return buf_err(&answer->head) == 0 ? size * n : 0;
}

/* Takes what there is room for; less than it got ends the transfer. */
static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
	struct visit_answer *answer = arg;
	size_t room = answer->body.max - answer->body.len;
	size_t len = size * n;

	buf_add(&answer->body, data, len < room ? len : room);
	return len <= room ? len : 0;
}

int
visit_ask(struct visit *v, const struct visit_request *req,
    struct visit_answer *ret, int64_t *ret_ms, char *why, size_t size)
{
	struct visit_answer answer = { .status = 0 };
	struct curl_slist *headers = NULL, *more;
	int64_t began = clock_mono_ms();
	CURL *easy = start(v, req->path);
	long status = 0;
	CURLcode rc;
	int i;

	if (easy == NULL)
		return ERR_NOMEM;
	buf_init(&answer.head, VISIT_MAX_HEAD);
	buf_init(&answer.body, req->max);
	for (i = 0; i < VISIT_MAX_HEADERS && req->header[i] != NULL; i++) {
		more = v->curl.curl_slist_append(headers, req->header[i]);
		headers = more != NULL ? more : headers;
	}
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	if (req->method != NULL)
		(void)v->curl.curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
		    req->method);
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
	    (long)req->timeout_ms);
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_HEADERDATA, &answer);
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	(void)v->curl.curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
	rc = v->curl.curl_easy_perform(easy);
	(void)v->curl.curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	v->curl.curl_slist_free_all(headers);
	v->curl.curl_easy_cleanup(easy);
	answer.status = (int)status;
	answer.took_ms = clock_mono_ms() - began;
	if (ret_ms != NULL)
		*ret_ms = answer.took_ms;
	/* CURLE_WRITE_ERROR: we had enough. */
	if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && status != 0)) {
		*ret = answer;
		return 0;
	}
	(void)snprintf(why, size, "%s", v->curl.curl_easy_strerror(rc));
	visit_release(&answer);
	return rc == CURLE_OPERATION_TIMEDOUT ? ERR_EXPIRED : ERR_CLOSED;
}

void
visit_release(struct visit_answer *answer)
{
	buf_release(&answer->head);
	buf_release(&answer->body);
}

int
visit_header(const struct visit_answer *answer, const char *name, char *ret,
    size_t size)
{
	const char *line = buf_str(&answer->head), *end, *value;
	size_t len = strlen(name);
	int n = 0;

	ret[0] = '\0';
	for (; *line != '\0'; line = *end == '\n' ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		if (strncasecmp(line, name, len) != 0 || line[len] != ':')
			continue;
		value = line + len + 1;
		value += strspn(value, " \t");
		if (n++ == 0)
			(void)snprintf(ret, size, "%.*s",
			    (int)strcspn(value, "\r\n"), value);
	}
	return n;
}

/* Waits until the connection can be read (or written); 0 or ERR_EXPIRED. */
static int
wait_for(struct visit_line *line, short events, int64_t timeout_ms)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	struct pollfd p;
	int n;

	(void)line->v->curl.curl_easy_getinfo(line->easy,
	    CURLINFO_ACTIVESOCKET, &fd);
	p = (struct pollfd){ .fd = fd, .events = events };
	do
		n = poll(&p, 1, timeout_ms > 0 ? (int)timeout_ms : 0);
	while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : ERR_EXPIRED;
}

int
visit_call(struct visit *v, const char *path, const char *head,
    struct visit_line **ret, char *why, size_t size)
{
	struct visit_line *line = calloc(1, sizeof(*line));
	char text[MAX_CALL];
	CURLcode rc;
	int n;

	if (line == NULL)
		return ERR_NOMEM;
	line->v = v;
	line->easy = start(v, "/");
	if (line->easy == NULL) {
		free(line);
		return ERR_NOMEM;
	}
	(void)v->curl.curl_easy_setopt(line->easy, CURLOPT_CONNECT_ONLY, 1L);
	(void)v->curl.curl_easy_setopt(line->easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
	rc = v->curl.curl_easy_perform(line->easy);
	if (rc != CURLE_OK) {
		(void)snprintf(why, size, "%s", v->curl.curl_easy_strerror(rc));
		visit_hang_up(line);
		return ERR_CLOSED;
	}
	n = snprintf(text, sizeof(text), "GET %s%s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
	    v->path, path, v->host, head);
	if (n < 0 || (size_t)n >= sizeof(text) ||
	    visit_send(line, text, (size_t)n) < 0) {
		(void)snprintf(why, size, "the request could not be sent");
		visit_hang_up(line);
		return ERR_CLOSED;
	}
	*ret = line;
	return 0;
}

int
visit_send(struct visit_line *line, const void *data, size_t len)
{
	const char *p = data;
	CURLcode rc;
	size_t n;

	while (len > 0) {
		n = 0;
		rc = line->v->curl.curl_easy_send(line->easy, p, len, &n);
		if (rc == CURLE_AGAIN && wait_for(line, POLLOUT, CONNECT_MS) == 0)
			continue;
		if (rc != CURLE_OK)
			return ERR_CLOSED;
		p += n;
		len -= n;
	}
	return 0;
}

ssize_t
visit_receive(struct visit_line *line, void *ret, size_t size, int64_t timeout_ms)
{
	int64_t end = clock_mono_ms() + timeout_ms;
	CURLcode rc;
	size_t n = 0;

	/* Bytes may wait within TLS, so it is asked before the socket is. */
	for (;;) {
		rc = line->v->curl.curl_easy_recv(line->easy, ret, size, &n);
		if (rc == CURLE_OK)
			return (ssize_t)n;
		if (rc != CURLE_AGAIN)
			return 0;	/* a reset is an end too */
		if (wait_for(line, POLLIN, end - clock_mono_ms()) < 0)
			return ERR_EXPIRED;
	}
}

void
visit_hang_up(struct visit_line *line)
{
	if (line == NULL)
		return;
	line->v->curl.curl_easy_cleanup(line->easy);
	free(line);
}

/*
 * weblog - does the web server write tokens into its logs?
 *
 * Two requests carry a marked token in the URL, as a browser's socket must, and a third has
 * a mark in its path, which every log format prints: a log with the one mark is one that
 * tells of us, and must not hold the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "doctor.h"
#include "err.h"
#include "visit.h"

#define WEBLOG_TAIL	(1 << 20)	/* bytes at the end of a log that are looked at */
#define WEBLOG_MS	10000		/* for an answer */
#define WEBLOG_S	12		/* for a line, unless --wait is 0 */
#define MARK		24

struct weblog {
	struct doctor	*d;
	struct visit	*v;
	char		 path[MARK + 1], token[MARK + 1];	/* the marks */
	glob_t		 found;
};

/* Whether the end of the file holds the mark. */
static int
holds(const char *file, const char *mark)
{
	struct stat sb;
	char *text = NULL;
	ssize_t n = 0;
	int fd, is = 0;

	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return 0;
	if (fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode))
		text = malloc(WEBLOG_TAIL);
	if (text != NULL)
		n = pread(fd, text, WEBLOG_TAIL, sb.st_size > WEBLOG_TAIL ?
		    sb.st_size - WEBLOG_TAIL : 0);
	if (n > 0)
		is = memmem(text, (size_t)n, mark, strlen(mark)) != NULL;
	free(text);
	(void)close(fd);
	return is;
}

/* How many of the logs hold the mark; *ret_first is one of them. */
static int
count(struct weblog *w, const char *mark, const char **ret_first)
{
	size_t i;
	int n = 0;

	for (i = 0; i < w->found.gl_pathc; i++) {
		if (!holds(w->found.gl_pathv[i], mark))
			continue;
		if (n++ == 0)
			*ret_first = w->found.gl_pathv[i];
	}
	return n;
}

/* Whether there is one to look into. */
static int
is_any_readable(const struct weblog *w)
{
	size_t i;

	for (i = 0; i < w->found.gl_pathc; i++) {
		if (access(w->found.gl_pathv[i], R_OK) == 0)
			return 1;
	}
	return 0;
}

/* The logs that are named, else those of Debian's web servers; none is fine. */
static void
find_logs(struct weblog *w)
{
	static const char *const usual[] = { "/var/log/nginx/*.log",
	    "/var/log/apache2/*.log", "/var/log/lighttpd/*.log",
	    "/var/log/httpd/*log" };
	int i, flags = 0;

	memset(&w->found, 0, sizeof(w->found));
	for (i = 0; i < w->d->n_logs; i++, flags = GLOB_APPEND)
		(void)glob(w->d->log[i], flags | GLOB_NOCHECK, NULL, &w->found);
	for (i = 0; w->d->n_logs == 0 && i < 4; i++, flags = GLOB_APPEND)
		(void)glob(usual[i], flags, NULL, &w->found);
}

/* An answer is none of our business here, but that there was one. */
static int
knock(struct weblog *w, const char *path)
{
	struct visit_request req = { .path = path, .timeout_ms = WEBLOG_MS,
	    .max = 4096 };
	struct visit_answer answer;
	char why[256];
	int rc;

	rc = visit_ask(w->v, &req, &answer, NULL, why, sizeof(why));
	if (rc == 0)
		visit_release(&answer);
	return rc;
}

/* The socket's URL, with its token, up to the sidecar's refusal. */
static void
knock_socket(struct weblog *w, const char *path)
{
	struct visit_line *line;
	char data[4096], why[256];
	ssize_t n;

	if (visit_call(w->v, path, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", &line, why,
	    sizeof(why)) < 0)
		return;		/* check_socket() has told */
	/* An open socket ends by our close frame (masked, without a code); it is read to its end,
	 * for a server logs a request when it is over. */
	n = visit_receive(line, data, sizeof(data), WEBLOG_MS);
	if (n > 12 && memcmp(data + 8, " 101", 4) == 0 &&
	    visit_send(line, "\x88\x80\0\0\0\0", 6) == 0) {
		while (visit_receive(line, data, sizeof(data), WEBLOG_MS) > 0)
			continue;
	}
	visit_hang_up(line);
}

/* How long a log may take: servers collect lines before they write them. */
static int64_t
wait_ms(int64_t wait_s)
{
	return wait_s > 0 && wait_s < WEBLOG_S ? WEBLOG_S * 1000 : wait_s * 1000;
}

/* 1 all was asked, and a log tells of it; 0 none does in time. */
static int
leave_marks(struct weblog *w)
{
	int64_t end = clock_mono_ms() + wait_ms(w->d->wait_s);
	const char *first;
	char path[1200];

	doctor_mark(w->path, MARK);
	doctor_mark(w->token, MARK);
	(void)snprintf(path, sizeof(path), "%s?token=e30.%s.doctor",
	    w->d->cli->conf.ws_path, w->token);
	knock_socket(w, path);
	(void)snprintf(path, sizeof(path), "/api/realtime/poll?token=e30.%s.doctor",
	    w->token);
	if (knock(w, path) < 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/sidewire-doctor-%s", w->path);
	if (knock(w, path) < 0)
		return 0;
	while (count(w, w->path, &first) == 0) {
		if (clock_mono_ms() >= end)
			return 0;
		(void)poll(NULL, 0, 100);
	}
	return 1;
}

void
weblog_check(struct doctor *d, struct visit *v)
{
	struct weblog w = { .d = d, .v = v };
	const char *first = NULL;

	find_logs(&w);
	if (w.found.gl_pathc == 0)
		report_add(&d->report, VERDICT_SKIP, "logs", NULL,
		    "no log of a web server is in its usual place: --log FILE");
	else if (!is_any_readable(&w))
		report_add(&d->report, VERDICT_SKIP, "logs", NULL, "%s, say, cannot be "
		    "read: --log FILE, or run it as root", w.found.gl_pathv[0]);
	else if (!leave_marks(&w) && count(&w, w.token, &first) == 0)
		report_add(&d->report, VERDICT_SKIP, "logs", NULL, "none of %zu logs "
		    "that can be read tells of our requests: --log FILE",
		    w.found.gl_pathc);
	else if (count(&w, w.token, &first) > 0)
		report_add(&d->report, VERDICT_FAIL, "logs", "log the path without its "
		    "query, as deploy/ does, and remove the old logs",
		    "%s holds tokens of URLs", first);
	else
		report_add(&d->report, VERDICT_OK, "logs", NULL,
		    "tokens of URLs are not in them");
	globfree(&w.found);
}

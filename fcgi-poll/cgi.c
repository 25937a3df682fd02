/*
 * Plain CGI (cgi.h): everything is opened for one request, nothing is held.
 *
 * Counters and limits are shared with the long-lived processes where run_dir
 * can be used; where it cannot (shared hosting), this request counts alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "cgi.h"
#include "conf.h"
#include "err.h"
#include "handler.h"
#include "listener.h"
#include "log.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "shm.h"

int
cgi_is_meant(void)
{
	const char *method = getenv("REQUEST_METHOD");

	return method != NULL && method[0] != '\0' && !listener_is_stdin();
}

static int
write_all(const char *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(STDOUT_FILENO, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
send_reply(struct reply *rep)
{
	struct buf out;
	int rc;

	buf_init(&out, REPLY_MAX_BODY + 65536);
	reply_print_cgi(rep, &out);
	rc = buf_err(&out);
	if (rc == 0)
		rc = write_all(buf_str(&out), out.len);
	buf_release(&out);
	return rc;
}

/*
 * The service cannot answer: the administrator reads why, the client comes
 * back.
 */
static void
fail(struct reply *rep, const char *why)
{
	log_errx("[LongPoll] %s", why);
	reply_problem(rep, PROBLEM_BUSY,
	    "The service is not set up, or its database cannot be opened; "
	    "the server's log says why.");
}

static void
answer(const struct conf *conf, struct shm *shm, const struct request *req,
    struct reply *rep)
{
	struct app app = { .conf = conf, .shm = shm };
	char why[512] = "out of memory";
	struct later later;
	struct handler h;

	if (handler_open(&app, NULL, &h, why, sizeof(why)) < 0) {
		fail(rep, why);
		return;
	}
	route_handle(&h, req, rep, &later);	/* no park, no writer: nothing later */
	handler_close(&h);
}

static int
open_shm(const struct conf *conf, struct shm **ret)
{
	char why[512];

	if (shm_open_file(conf, SHM_POLL, ret, why, sizeof(why)) == 0)
		return 0;
	log_warnx("[LongPoll] limits and counters are not shared: %s", why);
	return shm_open_private(SHM_POLL, ret);
}

static void
run(const char *conf_path, const struct request *req, struct reply *rep)
{
	char why[512] = "out of memory";
	struct shm *shm = NULL;
	struct conf conf;

	if (conf_load(conf_path, &conf, why, sizeof(why)) < 0) {
		fail(rep, why);
		return;
	}
	log_init("fcgi-poll", (enum log_level)conf.log_level);
	if (open_shm(&conf, &shm) < 0)
		fail(rep, "out of memory");
	else
		answer(&conf, shm, req, rep);
	shm_close(shm);
	conf_release(&conf);
}

int
cgi_run(const char *conf_path)
{
	extern char **environ;
	struct request req;
	struct reply rep;
	int rc;

	log_init("fcgi-poll", LOG_INFO_LEVEL);
	if (request_parse(environ, &req) < 0) {
		log_errx("[LongPoll] out of memory");
		return 1;
	}
	if (request_read_body(&req, STDIN_FILENO, route_takes_body) < 0) {
		log_errx("[LongPoll] the request broke off");
		request_release(&req);
		return 1;
	}
	reply_init(&rep);
	run(conf_path, &req, &rep);
	rc = send_reply(&rep);
	reply_release(&rep);
	request_release(&req);
	return rc == 0 ? 0 : 1;
}

/*
 * fcgi-poll: long polls over FastCGI (or single ones over CGI).
 *
 * Order of start and stop. Signals are blocked in every thread, and main waits
 * for them; what was opened is closed in reverse.
 */
#include <sys/stat.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "auth.h"
#include "cgi.h"
#include "conf.h"
#include "duty.h"
#include "err.h"
#include "gate.h"
#include "keeper.h"
#include "listener.h"
#include "log.h"
#include "notify.h"
#include "park.h"
#include "presence.h"
#include "request.h"
#include "seen.h"
#include "shm.h"
#include "worker.h"
#include "writer.h"

#define EXIT_USAGE	2

static const char usage[] =
"usage: fcgi-poll [-hn] [-c FILE]\n";

static const char help[] =
"  -c FILE  configuration (else $SIDEWIRE_CONF, else " CONF_DEFAULT_FILE ")\n"
"  -n       check the configuration and exit\n"
"  -h       this text\n"
"Starts as FastCGI on descriptor 0 (mod_fcgid, spawn-fcgi, lighttpd),\n"
"on a socket passed by systemd, or on poll.listen; as CGI when a web server\n"
"starts it so.\n";

static const char nowhere[] =
"fcgi-poll: there is nothing to listen on.\n"
"This program is started by a web server, or listens by itself when the\n"
"configuration says where:\n"
"             poll.listen = /run/sidewire/poll.sock   (or 127.0.0.1:9000)\n"
"  by hand:   SIDEWIRE_POLL_LISTEN=/tmp/poll.sock fcgi-poll\n"
"  otherwise: spawn-fcgi -s /tmp/poll.sock -b 1024 -n -- fcgi-poll\n"
"See fcgi-poll(8).\n";

/* All that is open, in the order of opening. */
struct service {
	struct conf		 conf;
	struct listener		 listener;
	struct app		 app;
	struct gate		*gate;
	struct workers		*workers;
	struct duty		*duty;
	struct keeper		*keeper;
	sigset_t		 signals;
};

/*
 * A descriptor 0, 1 or 2 that was closed would be given to the database, and
 * what is printed would land in it.
 */
static void
fill_std_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/*
 * Everything up to here said why on failure; with threads there is nobody else.
 */
static int
open_all(struct service *s, char *why, size_t size)
{
	struct app *app = &s->app;
	int rc;

	app->conf = &s->conf;
	rc = shm_open_file(&s->conf, SHM_POLL, &app->shm, why, size);
	if (rc == 0)
		rc = seen_new(&app->seen);
	if (rc == 0)
		rc = gate_open(app, s->listener.fd, &s->gate);
	if (rc == 0)
		rc = workers_open(app, s->gate, s->conf.poll_threads,
		    &s->workers, why, size);
	if (rc == 0)
		rc = park_open(app, &app->park, why, size);
	if (rc == 0)
		rc = writer_open(&s->conf, app->shm, &app->writer, why, size);
	if (rc == 0)
		rc = presence_open(&s->conf, app->writer, app->shm, NULL,
		    &app->presence);
	if (rc == 0)
		rc = duty_open(&s->conf, app->writer, app->shm, app->presence,
		    &s->duty);
	if (rc == 0)
		rc = keeper_open(app, s->gate, s->workers, s->duty,
		    &s->keeper);
	return rc;
}

static void
close_all(struct service *s)
{
	workers_close(s->workers);
	presence_close(s->app.presence);
	writer_close(s->app.writer);	/* errands end, to the keeper */
	keeper_close(s->keeper);
	gate_close(s->gate);
	duty_close(s->duty);
	park_close(s->app.park);
	seen_free(s->app.seen);
	shm_close(s->app.shm);
	listener_close(&s->listener);
}

static void
block_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGUSR1);
	(void)sigaddset(set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static void
wait_for_end(const sigset_t *set)
{
	int sig;

	do {
		if (sigwait(set, &sig) != 0)
			return;
	} while (sig == SIGHUP);
	log_info("[LongPoll] stopping signal=%d", sig);
}

static int
serve(struct service *s)
{
	int rc;

	rc = keeper_start(s->keeper);
	if (rc < 0) {
		log_errx("[LongPoll] cannot start threads: error=%s",
		    err_name(rc));
		return rc;
	}
	log_info("[LongPoll] ready listen=\"%s\" threads=%d max_wait_s=%d",
	    s->listener.name, s->conf.poll_threads, s->conf.poll_max_wait_s);
	(void)notify_send("READY=1");
	wait_for_end(&s->signals);
	(void)notify_send("STOPPING=1");
	keeper_drain(s->keeper);
	return keeper_join(s->keeper);
}

/* Returns the exit status. */
static int
run(struct service *s)
{
	char why[512] = "out of memory";
	int rc;

	log_init("fcgi-poll", (enum log_level)s->conf.log_level);
	rc = listener_open("poll.listen", s->conf.poll_listen,
	    LISTENER_FASTCGI, &s->listener, why, sizeof(why));
	if (rc == ERR_NOTFOUND) {
		(void)fputs(nowhere, stderr);
		return EXIT_USAGE;
	}
	block_signals(&s->signals);
	if (rc == 0 && request_init() < 0) {
		(void)snprintf(why, sizeof(why), "FastCGI library: no start");
		rc = ERR_IO;
	}
	if (rc == 0)
		rc = open_all(s, why, sizeof(why));
	if (rc < 0) {
		log_errx("[LongPoll] %s", why);
		close_all(s);
		return EXIT_FAILURE;
	}
	rc = serve(s);
	close_all(s);
	log_info("[LongPoll] stopped");
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* -n: the configuration was read; are the keys such that it would start? */
static int
check(const struct conf *conf)
{
	struct auth *auth;
	char why[512] = "";

	if (auth_open(conf, &auth, why, sizeof(why)) < 0) {
		(void)fprintf(stderr, "fcgi-poll: %s\n", why);
		return EXIT_FAILURE;
	}
	auth_close(auth);
	(void)puts("the configuration is good");
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct service s = { .listener = { .fd = -1 } };
	const char *path = NULL;
	char why[512] = "out of memory";
	int c, is_check = 0;

	while ((c = getopt(argc, argv, "c:hn")) != -1) {
		if (c == 'c') {
			path = optarg;
		} else if (c == 'n') {
			is_check = 1;
		} else if (c == 'h') {
			(void)printf("%s%s", usage, help);
			return EXIT_SUCCESS;
		} else {
			(void)fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		(void)fputs(usage, stderr);
		return EXIT_USAGE;
	}
	fill_std_fds();
	if (!is_check && cgi_is_meant())
		return cgi_run(path);
	if (conf_load(path, &s.conf, why, sizeof(why)) < 0) {
		(void)fprintf(stderr, "fcgi-poll: %s\n", why);
		return EXIT_FAILURE;
	}
	c = is_check ? check(&s.conf) : run(&s);
	conf_release(&s.conf);
	return c;
}

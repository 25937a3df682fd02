/*
 * ws-sidecar - serves events of the log over WebSocket.
 *
 * Opens things in the order in which they depend on each other, ties the tail
 * to the clients, runs the loop, and closes in reverse.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "acceptor.h"
#include "auth.h"
#include "clients.h"
#include "conf.h"
#include "duty.h"
#include "err.h"
#include "health.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "presence.h"
#include "server.h"
#include "shm.h"
#include "stats.h"
#include "tail.h"
#include "writer.h"

#define OTHER_FDS	256	/* beside the connections */
#define EXIT_USAGE	2

struct service {
	struct conf		 conf;
	struct listener		 listener;
	struct acceptor		*acceptor;
	struct shm		*shm;
	struct auth		*auth;
	struct tail		*tail;
	struct writer		*writer;
	struct presence		*presence;
	struct duty		*duty;
	struct loop		*loop;
	struct clients		*clients;
	struct health_env	 health;
	struct server		*server;
};

static void
on_batch(struct event *const *ev, size_t n, void *arg)
{
	struct service *sv = arg;

	clients_feed(sv->clients, ev, n);
}

static void
on_replaced(void *arg)
{
	struct service *sv = arg;

	log_warnx("the database was replaced: clients are asked to come back");
	clients_replaced(sv->clients, tail_store(sv->tail),
	    tail_head(sv->tail));
}

static void
on_repaired(int n, void *arg)
{
	struct service *sv = arg;

	stats_add(sv->shm, STATS_triggers_repaired, (uint64_t)n);
}

static void
on_doubt(void *arg)
{
	struct service *sv = arg;

	clients_doubt(sv->clients);
}

static void
on_replacing(void *arg)
{
	struct service *sv = arg;

	writer_let_go(sv->writer);
}

static const struct tail_ops tail_ops = {
	on_batch, on_replaced, on_repaired, on_doubt, on_replacing
};

/* As many descriptors as the configuration may need, if we may have them. */
static void
raise_limit(const struct conf *conf)
{
	struct rlimit rl;
	rlim_t need = (rlim_t)conf->ws_max_connections + OTHER_FDS;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = need < rl.rlim_max ? need : rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		log_warn("cannot raise the limit of open files");
	if (rl.rlim_cur < need)
		log_warnx("ws.max_connections=%d needs a limit of %llu open "
		    "files, there are %llu", conf->ws_max_connections,
		    (unsigned long long)need, (unsigned long long)rl.rlim_cur);
}

static int
open_data(struct service *sv, char *why, size_t size)
{
	char instance[256];
	int rc;

	rc = shm_open_file(&sv->conf, SHM_SIDECAR, &sv->shm, why, size);
	if (rc == 0)
		rc = auth_open(&sv->conf, &sv->auth, why, size);
	if (rc == 0)
		rc = tail_open(&sv->conf, &tail_ops, sv, &sv->tail, why, size);
	if (rc == 0)
		rc = writer_open(&sv->conf, sv->shm, &sv->writer, why, size);
	if (rc < 0)
		return rc;
	(void)snprintf(instance, sizeof(instance), "ws:%.200s:%ld",
	    sv->conf.ws_listen, (long)getpid());
	(void)snprintf(why, size, "out of memory");
	rc = presence_open(&sv->conf, sv->writer, sv->shm, instance,
	    &sv->presence);
	if (rc == 0)
		rc = duty_open(&sv->conf, sv->writer, sv->shm, sv->presence,
		    &sv->duty);
	return rc;
}

static int
open_server(struct service *sv, char *why, size_t size)
{
	struct clients_env env = { 0 };
	int rc;

	(void)snprintf(why, size, "cannot start the event loop");
	rc = loop_new(&sv->loop);
	if (rc < 0)
		return rc;
	env.conf = &sv->conf;
	env.auth = sv->auth;
	env.shm = sv->shm;
	env.presence = sv->presence;
	env.writer = sv->writer;
	env.ops = &server_session_ops;
	env.notify = loop_notify;
	env.notify_arg = sv->loop;
	rc = clients_open(&env, tail_store(sv->tail), tail_head(sv->tail),
	    &sv->clients);
	if (rc < 0)
		return rc;
	sv->health.clients = sv->clients;
	sv->health.tail = sv->tail;
	sv->health.shm = sv->shm;
	(void)snprintf(why, size, "libwebsockets does not start; is its "
	    "libev plugin installed (libwebsockets-evlib-ev)?");
	return server_open(&sv->conf, sv->clients, &sv->health,
	    loop_ev(sv->loop), &sv->server);
}

static int
serve(struct service *sv)
{
	struct loop_env env = {
		sv->tail, sv->clients, sv->duty, NULL, sv->server
	};
	int rc;

	rc = acceptor_start(&sv->listener, loop_ev(sv->loop), server_adopt,
	    sv->server, &sv->acceptor);
	if (rc < 0) {
		log_errx("cannot accept: %s", err_name(rc));
		return rc;
	}
	env.acceptor = sv->acceptor;
	log_info("ready listen=%s path=%s", sv->listener.name,
	    sv->conf.ws_path);
	(void)notify_send("READY=1");	/* nobody may be listening */
	rc = loop_run(sv->loop, &env);
	if (rc < 0)
		log_errx("giving up: %s", err_name(rc));
	return rc;
}

/* In reverse; each takes NULL. */
static void
close_all(struct service *sv)
{
	acceptor_free(sv->acceptor);
	listener_close(&sv->listener);
	server_close(sv->server);
	if (sv->loop != NULL)
		loop_settle(sv->loop);
	presence_close(sv->presence);
	writer_close(sv->writer);
	clients_close(sv->clients);
	duty_close(sv->duty);
	loop_free(sv->loop);
	tail_close(sv->tail);
	auth_close(sv->auth);
	shm_close(sv->shm);
	conf_release(&sv->conf);
}

static void
print_key(const char *key, const char *type, const char *initial,
    const char *help, void *arg)
{
	(void)arg;
	(void)printf("  %s = %s\n      %s (%s)\n", key, initial, help, type);
}

static int
usage(FILE *to)
{
	(void)fprintf(to, "usage: ws-sidecar [-n] [-c file]\n"
	    "  -c file  the configuration; else $SIDEWIRE_CONF, else %s\n"
	    "  -n       check the configuration and exit\n"
	    "  -h       this help, and every key\n", CONF_DEFAULT_FILE);
	return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int
read_arguments(int argc, char **argv, const char **ret_file, int *ret_check)
{
	int ch;

	*ret_file = NULL;
	*ret_check = 0;
	while ((ch = getopt(argc, argv, "c:hn")) != -1) {
		switch (ch) {
		case 'c':
			*ret_file = optarg;
			break;
		case 'n':
			*ret_check = 1;
			break;
		case 'h':
			(void)usage(stdout);
			conf_each(print_key, NULL);
			return EXIT_SUCCESS;
		default:
			return usage(stderr);
		}
	}
	return optind == argc ? -1 : usage(stderr);
}

int
main(int argc, char **argv)
{
	struct service sv = { .listener = { .fd = -1 } };
	const char *file;
	char why[512] = "";
	int rc, is_check;

	rc = read_arguments(argc, argv, &file, &is_check);
	if (rc >= 0)
		return rc;
	rc = conf_load(file, &sv.conf, why, sizeof(why));
	if (rc < 0) {
		(void)fprintf(stderr, "ws-sidecar: %s\n", why);
		return EXIT_FAILURE;
	}
	log_init("ws-sidecar", (enum log_level)sv.conf.log_level);
	if (is_check) {
		rc = auth_open(&sv.conf, &sv.auth, why, sizeof(why));
		if (rc < 0)
			(void)fprintf(stderr, "ws-sidecar: %s\n", why);
		else
			(void)puts("the configuration is good");
		auth_close(sv.auth);
		conf_release(&sv.conf);
		return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	(void)signal(SIGPIPE, SIG_IGN);	/* writes tell by themselves */
	raise_limit(&sv.conf);
	rc = listener_open("ws.listen", sv.conf.ws_listen, LISTENER_SHARED,
	    &sv.listener, why, sizeof(why));
	if (rc == 0)
		rc = open_data(&sv, why, sizeof(why));
	if (rc == 0)
		rc = open_server(&sv, why, sizeof(why));
	if (rc < 0)
		log_errx("%s", why);
	else
		rc = serve(&sv);
	close_all(&sv);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

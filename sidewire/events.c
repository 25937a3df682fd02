/*
 * sidewire publish, tail: the log itself, in and out.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "buf.h"
#include "cli.h"
#include "clock.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "publication.h"
#include "site.h"
#include "watch.h"

#define PUBLISH_MAX	65536	/* bytes of a payload */
#define TAIL_PAGE	500

/* The options; *ret borrows them. */
static int
publish_parse(struct cli *cli, int argc, char **argv, struct publication *ret,
    int *ret_json)
{
	static const struct option options[] = {
		{ "room", required_argument, NULL, 'r' },
		{ "user", required_argument, NULL, 'u' },
		{ "ttl", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	int64_t ttl_s = 0;
	int c, rc = CLI_OK;

	memset(ret, 0, sizeof(*ret));
	for (c = cli_option(argc, argv, options, NULL); c != -1 && rc == CLI_OK;
	    c = cli_option(argc, argv, options, NULL)) {
		if (c == 'r')
			ret->room_id = optarg;
		else if (c == 'u')
			ret->user_id = optarg;
		else if (c == 't')
			rc = cli_number(cli, "--ttl", optarg, 0,
			    PUBLICATION_MAX_TTL_S, &ttl_s);
		else if (c == 'j')
			*ret_json = 1;
		else
			return cli_misuse_option(cli, argv);
	}
	ret->ttl_ms = ttl_s * 1000;
	if (rc == CLI_OK && ret->room_id != NULL && ret->user_id != NULL)
		rc = cli_misuse(cli, "--room and --user: choose one");
	return rc;
}

static int
publish_event(struct cli *cli, const struct publication *p, int is_json)
{
	char when[CLOCK_POS_SIZE];
	const char *why = NULL;
	int64_t pos;
	int rc;

	rc = store_write(cli->st);
	if (rc == 0)
		rc = publication_write(p, cli->st, &pos, &why);
	if (rc < 0 && why != NULL)
		return rc != ERR_NOTFOUND ? cli_fail(cli, "%s", why) :
		    cli_fail(cli, "no such %s: %s",
		    p->user_id != NULL ? "user" : "room",
		    p->user_id != NULL ? p->user_id : p->room_id);
	if (rc >= 0)
		rc = store_commit(cli->st);
	if (rc < 0)
		return cli_fail_store(cli, rc, NULL);
	cli_print("timestamp", clock_print_pos(pos, when), is_json);
	return CLI_OK;
}

int
cmd_publish(struct cli *cli, int argc, char **argv)
{
	struct publication p;
	int rc, is_json = 0;

	rc = publish_parse(cli, argc, argv, &p, &is_json);
	if (rc != CLI_OK)
		return rc;
	if (argc - optind != 2)
		return cli_misuse(cli, "give a type and a payload");
	p.type = argv[optind];
	rc = cli_text(cli, argv[optind + 1], PUBLISH_MAX, &p.payload);
	if (rc != CLI_OK)
		return rc;
	p.payload_len = strlen(p.payload);
	rc = cli_open(cli, STORE_SERVE);
	if (rc == CLI_OK)
		rc = publish_event(cli, &p, is_json);
	free(p.payload);
	return rc;
}

/* --- tail --- */

struct tail_args {
	struct cli	*cli;
	const char	*user;		/* NULL: every row of the log */
	int64_t		 pos;
	int		 is_once, is_json;
};

/* Without --user a row is told with what only an administrator may know. */
static void
tail_print_audience(const struct event *ev, int is_json)
{
	struct buf b;

	buf_init(&b, 4096);
	if (is_json) {
		buf_adds(&b, "{\"roomId\":");
		event_print_string(&b, ev->room_id,
		    ev->room_id != NULL ? strlen(ev->room_id) : 0);
		buf_adds(&b, ",\"userId\":");
		event_print_string(&b, ev->user_id,
		    ev->user_id != NULL ? strlen(ev->user_id) : 0);
		buf_adds(&b, ",\"actorId\":");
		event_print_string(&b, ev->actor_id,
		    ev->actor_id != NULL ? strlen(ev->actor_id) : 0);
		buf_adds(&b, ",\"event\":");
	} else if (ev->user_id != NULL) {
		buf_addf(&b, "to user %s: ", ev->user_id);
	} else if (ev->room_id != NULL) {
		buf_addf(&b, "to room %s: ", ev->room_id);
	} else {
		buf_adds(&b, "to all: ");
	}
	cli_put(buf_str(&b), 0);
	buf_release(&b);
}

static int
tail_print(struct event *ev, void *arg)
{
	struct tail_args *args = arg;
	const char *text;
	size_t len;

	args->pos = ev->id;
	text = args->user != NULL ? event_get_text(ev, args->user, &len) :
	    ev->text;
	if (text == NULL)
		return 0;
	if (args->user == NULL) {
		len = ev->text_len;
		tail_print_audience(ev, args->is_json);
	}
	(void)printf("%.*s%s\n", (int)len, text,
	    args->user == NULL && args->is_json ? "}" : "");
	return 0;
}

/* Prints everything up to the end of the log. */
static int
tail_catch_up(struct tail_args *args)
{
	int rc, more;

	do {
		more = 0;
		if (args->user != NULL) {
			rc = eventlog_page(args->cli->st, args->user, NULL, 0,
			    args->pos, TAIL_PAGE, tail_print, args, &args->pos,
			    &more);
		} else {
			rc = eventlog_scan(args->cli->st, args->pos, TAIL_PAGE,
			    tail_print, args);
			more = rc == TAIL_PAGE;
		}
		if (rc < 0)
			return cli_fail_store(args->cli, rc, NULL);
	} while (more);
	return fflush(stdout) == 0 ? CLI_OK :
	    cli_fail(args->cli, "stdout: %s", strerror(errno));
}

static int
tail_follow(struct tail_args *args)
{
	enum watch_result result;
	struct watch *watch;
	struct pollfd pfd;
	int64_t wait_us;
	int rc;

	rc = watch_open(args->cli->st, &watch);
	if (rc < 0)
		return cli_fail_store(args->cli, rc, NULL);
	rc = tail_catch_up(args);
	while (rc == CLI_OK) {
		pfd.fd = watch_fd(watch);
		pfd.events = POLLIN;
		wait_us = watch_wait_us(watch, clock_mono_us());
		(void)poll(&pfd, 1, (int)((wait_us + 999) / 1000));
		result = WATCH_QUIET;
		rc = watch_look(watch, clock_mono_us(), &result);
		if (rc < 0 && rc != ERR_BUSY) {
			rc = cli_fail_store(args->cli, rc, NULL);
			break;
		}
		rc = CLI_OK;
		if (result == WATCH_REPLACED)
			rc = cli_fail(args->cli, "%s was replaced; start again",
			    args->cli->conf.database);
		else if (result == WATCH_CHANGED)
			rc = tail_catch_up(args);
	}
	watch_close(watch);
	return rc;
}

int
cmd_tail(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' },
		{ "after", required_argument, NULL, 'a' },
		{ "once", no_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	struct tail_args args = { .cli = cli, .pos = -1 };
	const char *after = NULL;
	int c, rc;

	for (c = cli_option(argc, argv, options, NULL); c != -1;
	    c = cli_option(argc, argv, options, NULL)) {
		if (c == 'u')
			args.user = optarg;
		else if (c == 'a')
			after = optarg;
		else if (c == 'o')
			args.is_once = 1;
		else if (c == 'j')
			args.is_json = 1;
		else
			return cli_misuse_option(cli, argv);
	}
	if (optind != argc)
		return cli_misuse(cli, "takes options only");
	if (after != NULL &&
	    clock_parse_pos(after, strlen(after), &args.pos) < 0)
		return cli_misuse(cli, "--after: a time like "
		    "2025-11-30T16:00:00.000123Z, not \"%s\"", after);
	rc = cli_open(cli, STORE_SERVE);
	if (rc != CLI_OK)
		return rc;
	if (args.user != NULL) {
		rc = site_has_user(cli->st, args.user);
		if (rc == 0)
			return cli_fail(cli, "no such user: %s", args.user);
		if (rc < 0)
			return cli_fail_store(cli, rc, NULL);
	}
	if (args.pos < 0) {
		rc = eventlog_head(cli->st, &args.pos);
		if (rc < 0)
			return cli_fail_store(cli, rc, NULL);
	}
	return args.is_once ? tail_catch_up(&args) : tail_follow(&args);
}

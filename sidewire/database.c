/*
 * sidewire init, check, prune: the database and what is around it.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth.h"
#include "cli.h"
#include "clock.h"
#include "err.h"
#include "eventlog.h"
#include "schema.h"
#include "sends.h"
#include "shm.h"

#define PRUNE_BATCH	1000

int
cmd_init(struct cli *cli, int argc, char **argv)
{
	char why[1024] = "";
	int rc, made;

	(void)argv;
	if (argc != 1)
		return cli_misuse(cli, "takes no arguments");
	rc = cli_open(cli, STORE_CREATE);
	if (rc != CLI_OK)
		return rc;
	rc = schema_init(cli->st, &made, why, sizeof(why));
	if (rc < 0)
		return why[0] != '\0' ? cli_fail(cli, "%s", why) :
		    cli_fail_store(cli, rc, NULL);
	if (made == 0)
		(void)printf("%s: nothing to do\n", store_path(cli->st));
	else
		(void)printf("%s: made %d tables, indexes and triggers\n",
		    store_path(cli->st), made);
	return CLI_OK;
}

/* One line of `check`; returns whether it is wrong. */
static int
check_line(const char *what, int is_good, const char *text)
{
	(void)printf("%-14s %s %s\n", what, is_good ? "ok  " : "FAIL", text);
	return !is_good;
}

static int
check_database(struct cli *cli)
{
	char why[1024];
	int rc, wrong = 0;

	rc = store_open(&cli->conf, STORE_SERVE, &cli->st, why, sizeof(why));
	if (rc < 0)
		return check_line("database", 0, why);
	wrong += check_line("database", 1, store_path(cli->st));
	rc = schema_check(cli->st, why, sizeof(why));
	wrong += check_line("schema", rc == 0, rc == 0 ? "complete" : why);
	rc = store_check(cli->st);
	wrong += check_line("integrity", rc == 0,
	    rc == 0 ? "nothing is wrong" : store_errmsg(cli->st));
	return wrong;
}

/* Looks only: what root made here the services could not use. */
static int
check_run_dir(struct cli *cli)
{
	const char *dir = cli->conf.run_dir;
	char why[1024];
	struct shm *shm;
	int rc;

	rc = shm_open_reader(&cli->conf, &shm, why, sizeof(why));
	if (rc == 0)
		shm_close(shm);
	else if (rc != ERR_NOTFOUND)
		return check_line("run_dir", 0, why);
	if (access(dir, W_OK | X_OK) < 0 && errno != ENOENT) {
		(void)snprintf(why, sizeof(why), "%s: %s", dir, strerror(errno));
		return check_line("run_dir", 0, why);
	}
	return check_line("run_dir", 1, rc == 0 ? dir : why);
}

int
cmd_check(struct cli *cli, int argc, char **argv)
{
	struct auth *auth;
	char why[1024];
	int rc, wrong = 0;

	(void)argv;
	if (argc != 1)
		return cli_misuse(cli, "takes no arguments");
	(void)check_line("configuration", 1, "read");
	rc = auth_open(&cli->conf, &auth, why, sizeof(why));
	wrong += check_line("key", rc == 0,
	    rc == 0 ? cli->conf.jwt_key_file : why);
	if (rc == 0)
		auth_close(auth);
	wrong += check_run_dir(cli);
	wrong += check_database(cli);
	return wrong == 0 ? CLI_OK : CLI_FAIL;
}

/* In small transactions; how many of each. */
static int
prune_all(struct store *st, int64_t keep_s, int64_t keep_rows,
    int64_t *ret_events, int64_t *ret_keys)
{
	int64_t now_us = clock_wall_us(), events = 0, keys = 0;
	int rc;

	do {
		rc = eventlog_prune(st, now_us, keep_s, keep_rows, PRUNE_BATCH);
		events += rc > 0 ? rc : 0;
	} while (rc == PRUNE_BATCH);
	while (rc >= 0) {
		rc = sends_prune(st, now_us - SENDS_KEEP_S * 1000000LL,
		    PRUNE_BATCH);
		keys += rc > 0 ? rc : 0;
		if (rc < PRUNE_BATCH)
			break;
	}
	*ret_events = events;
	*ret_keys = keys;
	return rc < 0 ? rc : 0;
}

int
cmd_prune(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "keep-seconds", required_argument, NULL, 's' },
		{ "keep-rows", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	int64_t keep_s = cli->conf.events_keep_s;
	int64_t keep_rows = cli->conf.events_keep_rows, events, keys;
	int c, rc, is_json = 0;

	for (c = cli_option(argc, argv, options, NULL); c != -1;
	    c = cli_option(argc, argv, options, NULL)) {
		rc = CLI_OK;
		if (c == 's')
			rc = cli_number(cli, "--keep-seconds", optarg, 0,
			    INT32_MAX, &keep_s);
		else if (c == 'r')
			rc = cli_number(cli, "--keep-rows", optarg, 1,
			    INT32_MAX, &keep_rows);
		else if (c == 'j')
			is_json = 1;
		else
			return cli_misuse_option(cli, argv);
		if (rc != CLI_OK)
			return rc;
	}
	if (optind != argc)
		return cli_misuse(cli, "takes no arguments");
	rc = cli_open(cli, STORE_SERVE);
	if (rc != CLI_OK)
		return rc;
	rc = prune_all(cli->st, keep_s, keep_rows, &events, &keys);
	if (rc < 0)
		return cli_fail_store(cli, rc, NULL);
	(void)printf(is_json ?
	    "{\"removed\":%" PRId64 ",\"keys\":%" PRId64 "}\n" :
	    "removed %" PRId64 " events and %" PRId64 " keys of sends\n",
	    events, keys);
	return CLI_OK;
}

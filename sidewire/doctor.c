/*
 * sidewire doctor: options, and the order of the checks.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "auth.h"
#include "cli.h"
#include "clock.h"
#include "doctor.h"
#include "err.h"
#include "shm.h"
#include "site.h"

#define DOCTOR_WAIT_S		10
#define DOCTOR_MAX_WAIT_S	600

static int
doctor_list(struct doctor *d, const char *option, const char **list, int max,
    int *n)
{
	if (*n == max)
		return cli_misuse(d->cli, "%s: at most %d", option, max);
	list[(*n)++] = optarg;
	return CLI_OK;
}

static int
doctor_option(struct doctor *d, int c, char **argv)
{
	switch (c) {
	case 'u':
		d->user = optarg;
		return CLI_OK;
	case 'w':
		return cli_number(d->cli, "--wait", optarg, 0, DOCTOR_MAX_WAIT_S,
		    &d->wait_s);
	case 'l':
		return doctor_list(d, "--log", d->log, DOCTOR_MAX_LOGS,
		    &d->n_logs);
	case 'a':
		return doctor_list(d, "--account", d->account,
		    DOCTOR_MAX_ACCOUNTS, &d->n_accounts);
	case 'c':
		d->ca = optarg;
		return CLI_OK;
	case 'j':
		d->report.is_json = 1;
		return CLI_OK;
	default:
		return cli_misuse_option(d->cli, argv);
	}
}

static int
doctor_parse(struct doctor *d, int argc, char **argv)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' },
		{ "wait", required_argument, NULL, 'w' },
		{ "log", required_argument, NULL, 'l' },
		{ "account", required_argument, NULL, 'a' },
		{ "ca", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	int c, rc = CLI_OK;

	for (c = cli_option(argc, argv, options, NULL); c != -1 && rc == CLI_OK;
	    c = cli_option(argc, argv, options, NULL))
		rc = doctor_option(d, c, argv);
	if (rc != CLI_OK)
		return rc;
	if (argc - optind > 1)
		return cli_misuse(d->cli, "one URL at most");
	d->url = argv[optind];
	if (d->url == NULL && (d->user != NULL || d->n_logs > 0 || d->ca != NULL))
		return cli_misuse(d->cli, "--user, --log and --ca need a URL");
	return CLI_OK;
}

void
doctor_mark(char *ret, int n)
{
	unsigned char byte = 0;
	int i;

	for (i = 0; i < n; i++) {
		if (getrandom(&byte, 1, 0) != 1)
			byte = (unsigned char)clock_mono_us();
		ret[i] = "0123456789abcdef"[byte & 15];
	}
	ret[n] = '\0';
}

char *
doctor_sign(struct doctor *d, int64_t ttl_s, const char **ret_why)
{
	struct auth *auth;
	char why[1024], *token = NULL;

	if (d->user == NULL) {
		*ret_why = "--user USER was not given";
		return NULL;
	}
	if (d->cli->st == NULL || site_has_user(d->cli->st, d->user) != 1) {
		*ret_why = "the database has no such user as --user says";
		return NULL;
	}
	*ret_why = "the configured key cannot sign";
	if (auth_open(&d->cli->conf, &auth, why, sizeof(why)) < 0)
		return NULL;
	if (auth_sign(auth, d->user, NULL, clock_wall_s(), ttl_s, &token) < 0)
		token = NULL;
	auth_close(auth);
	return token;
}

static void
open_shared(struct doctor *d)
{
	char why[1024];
	int rc;

	rc = store_open(&d->cli->conf, STORE_SERVE, &d->cli->st, why,
	    sizeof(why));
	if (rc < 0)
		report_add(&d->report, VERDICT_FAIL, "database",
		    "the words before say what is wrong with it", "%s", why);
	else
		report_add(&d->report, VERDICT_OK, "database", NULL, "%s opens",
		    store_path(d->cli->st));
	rc = shm_open_reader(&d->cli->conf, &d->shm, why, sizeof(why));
	if (rc == ERR_NOTFOUND)
		report_add(&d->report, VERDICT_SKIP, "run_dir", NULL, "%s", why);
	else if (rc < 0)
		report_add(&d->report, VERDICT_FAIL, "run_dir",
		    "services that cannot share it limit and count each for itself",
		    "%s", why);
	else
		report_add(&d->report, VERDICT_OK, "run_dir", NULL, "%s: %d "
		    "pollers and %d sidecars share it", d->cli->conf.run_dir,
		    shm_processes(d->shm, SHM_POLL),
		    shm_processes(d->shm, SHM_SIDECAR));
}

int
cmd_doctor(struct cli *cli, int argc, char **argv)
{
	struct doctor d = { .cli = cli, .wait_s = DOCTOR_WAIT_S };
	int rc;

	rc = doctor_parse(&d, argc, argv);
	if (rc != CLI_OK)
		return rc;
	report_add(&d.report, VERDICT_OK, "configuration", NULL, "read");
	keys_check(&d);
	files_check_modes(&d);
	open_shared(&d);
	files_check_sharing(&d);
	machine_check(&d);
	if (d.url != NULL)
		way_check(&d);
	shm_close(d.shm);
	return report_end(&d.report) ? CLI_FAIL : CLI_OK;
}

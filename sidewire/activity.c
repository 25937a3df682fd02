/*
 * sidewire stats, conns: what the running services do, and for whom.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "cli.h"
#include "clock.h"
#include "err.h"
#include "eventlog.h"
#include "lease.h"
#include "shm.h"
#include "stats.h"

#define STATS_MAX	65536
#define N_GAUGES	2

enum format { FORMAT_TABLE, FORMAT_PROMETHEUS, FORMAT_JSON };

/* Options without arguments: --json, and --prometheus where that is one. */
static int
activity_parse(struct cli *cli, int argc, char **argv, int has_prometheus,
    enum format *ret)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "prometheus", no_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	*ret = FORMAT_TABLE;
	for (c = cli_option(argc, argv, options, NULL); c != -1;
	    c = cli_option(argc, argv, options, NULL)) {
		if (c == 'j')
			*ret = FORMAT_JSON;
		else if (c == 'p' && has_prometheus)
			*ret = FORMAT_PROMETHEUS;
		else
			return cli_misuse_option(cli, argv);
	}
	return optind == argc ? CLI_OK : cli_misuse(cli, "takes options only");
}

/* Both the database and what the services share; *ret NULL where no service made it. */
static int
activity_open(struct cli *cli, struct shm **ret)
{
	char why[1024];
	int rc;

	*ret = NULL;
	rc = cli_open(cli, STORE_SERVE);
	if (rc != CLI_OK)
		return rc;
	rc = shm_open_reader(&cli->conf, ret, why, sizeof(why));
	return rc < 0 && rc != ERR_NOTFOUND ? cli_fail(cli, "%s", why) : CLI_OK;
}

static void
print_process(const struct shm_process *p, void *arg)
{
	buf_addf(arg, "%s, process %d: %d %s\n",
	    p->kind == SHM_POLL ? "fcgi-poll" : "ws-sidecar", (int)p->pid,
	    p->kind == SHM_POLL ? p->held : p->connections,
	    p->kind == SHM_POLL ? "held requests" : "connections");
}

static void
print_stats(struct buf *b, struct shm *shm, const struct stats_gauge *gauge,
    enum format format)
{
	switch (format) {
	case FORMAT_JSON:
		stats_print_json(b, shm, gauge, N_GAUGES);
		buf_addc(b, '\n');
		break;
	case FORMAT_PROMETHEUS:
		stats_print(b, shm, gauge, N_GAUGES);
		break;
	case FORMAT_TABLE:
		stats_print_table(b, shm, gauge, N_GAUGES);
		if (shm != NULL)
			shm_each_process(shm, print_process, b);
		break;
	}
}

int
cmd_stats(struct cli *cli, int argc, char **argv)
{
	struct stats_gauge gauge[N_GAUGES] = {
		{ "events_rows", "Events in the log", 0 },
		{ "events_oldest_seconds", "Age of the oldest event", 0 },
	};
	struct shm *shm;
	int64_t rows, oldest;
	enum format format;
	struct buf b;
	int rc;

	rc = activity_parse(cli, argc, argv, 1, &format);
	if (rc == CLI_OK)
		rc = activity_open(cli, &shm);
	if (rc != CLI_OK)
		return rc;
	rc = eventlog_size(cli->st, &rows, &oldest);
	if (rc < 0) {
		shm_close(shm);
		return cli_fail_store(cli, rc, NULL);
	}
	gauge[0].value = (double)rows;
	gauge[1].value = oldest == 0 ? 0 :
	    (double)(clock_wall_us() - oldest) / 1e6;
	buf_init(&b, STATS_MAX);
	print_stats(&b, shm, gauge, format);
	(void)fputs(buf_str(&b), stdout);
	buf_release(&b);
	shm_close(shm);
	return CLI_OK;
}

struct listing {
	struct cli_table	 table;
	struct shm		*shm;
};

/* Sockets of the user in all processes, as text; NULL: not known. */
static const char *
count_sockets(struct shm *shm, const char *user_id, char ret[16])
{
	int n;

	if (shm == NULL)
		return NULL;
	n = shm_add_user_connections(shm, shm_user(shm, user_id), 0);
	(void)snprintf(ret, 16, "%d", n);
	return ret;
}

static int
print_holder(const struct lease_holder *holder, void *arg)
{
	struct listing *listing = arg;
	char since[CLOCK_POS_SIZE], sockets[16], pid[24] = "";
	const char *col[6] = { holder->user_id, holder->name, "websocket", NULL,
	    NULL, NULL };

	if (strcmp(holder->instance, LEASE_POLL) == 0) {
		col[2] = "poll";
	} else {
		if (holder->ends_at != LEASE_OPEN)
			col[2] = "leaving";
		col[3] = count_sockets(listing->shm, holder->user_id, sockets);
	}
	if (holder->came_us > 0)
		col[4] = clock_print_pos(holder->came_us, since);
	if (holder->pid > 0) {
		(void)snprintf(pid, sizeof(pid), "%" PRId64, holder->pid);
		col[5] = pid;
	}
	cli_row(&listing->table, col);
	return 0;
}

int
cmd_conns(struct cli *cli, int argc, char **argv)
{
	static const char *const columns[] = { "userId", "name", "transport",
	    "sockets", "since", "process" };
	struct listing listing = { .table = { columns, 6, 0, 0 } };
	enum format format;
	int rc;

	rc = activity_parse(cli, argc, argv, 0, &format);
	if (rc == CLI_OK)
		rc = activity_open(cli, &listing.shm);
	if (rc != CLI_OK)
		return rc;
	listing.table.is_json = format == FORMAT_JSON;
	rc = lease_each_holder(cli->st, clock_wall_ms(), print_holder, &listing);
	shm_close(listing.shm);
	if (rc < 0)
		return cli_fail_store(cli, rc, NULL);
	cli_end(&listing.table);
	return CLI_OK;
}

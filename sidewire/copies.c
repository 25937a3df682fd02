/*
 * sidewire backup, restore: copies of the database.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backup.h"
#include "buf.h"
#include "cli.h"
#include "clock.h"
#include "err.h"
#include "event.h"

struct copies_args {
	const char	*file;
	int		 may_replace, is_json;
};

static int
copies_parse(struct cli *cli, int argc, char **argv, int may_replace,
    struct copies_args *ret)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "replace", no_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	memset(ret, 0, sizeof(*ret));
	for (c = cli_option(argc, argv, options, NULL); c != -1;
	    c = cli_option(argc, argv, options, NULL)) {
		if (c == 'j')
			ret->is_json = 1;
		else if (c == 'r' && may_replace)
			ret->may_replace = 1;
		else
			return cli_misuse_option(cli, argv);
	}
	if (argc - optind != 1)
		return cli_misuse(cli, "which file?  Give one");
	ret->file = argv[optind];
	return CLI_OK;
}

static void
copies_print(const struct copies_args *args, int64_t head)
{
	char when[CLOCK_POS_SIZE];
	struct buf b;

	(void)clock_print_pos(head, when);
	if (!args->is_json) {
		(void)printf("%s: up to %s\n", args->file, when);
		return;
	}
	buf_init(&b, 65536);
	buf_adds(&b, "{\"file\":");
	event_print_string(&b, args->file, strlen(args->file));
	buf_addf(&b, ",\"timestamp\":\"%s\"}", when);
	(void)puts(buf_str(&b));
	buf_release(&b);
}

int
cmd_backup(struct cli *cli, int argc, char **argv)
{
	struct copies_args args;
	char why[1024];
	int64_t head;
	int rc;

	rc = copies_parse(cli, argc, argv, 1, &args);
	if (rc == CLI_OK)
		rc = cli_open(cli, STORE_SERVE);
	if (rc != CLI_OK)
		return rc;
	rc = backup_write(cli->st, args.file, args.may_replace, &head, why,
	    sizeof(why));
	if (rc < 0)
		return cli_fail(cli, "%s%s", why, rc == ERR_EXISTS ?
		    "; --replace puts the new one in its place" : "");
	copies_print(&args, head);
	return CLI_OK;
}

int
cmd_restore(struct cli *cli, int argc, char **argv)
{
	struct copies_args args;
	char why[1024];
	int64_t head;
	int rc, is_new;

	rc = copies_parse(cli, argc, argv, 0, &args);
	if (rc != CLI_OK)
		return rc;
	is_new = access(cli->conf.database, F_OK) < 0 && errno == ENOENT;
	/* A new file is made only for a copy that will do. */
	if (is_new && backup_check(&cli->conf, args.file, &head, why,
	    sizeof(why)) < 0)
		return cli_fail(cli, "%s", why);
	rc = store_open(&cli->conf, is_new ? STORE_CREATE : STORE_SERVE, &cli->st,
	    why, sizeof(why));
	if (rc == ERR_SCHEMA || rc == ERR_IO)
		return cli_fail(cli, "%s; stop what uses it, move it away with its "
		    "-wal and -shm, and try again", why);
	if (rc < 0)
		return cli_fail(cli, "%s", why);
	rc = backup_restore(cli->st, args.file, &head, why, sizeof(why));
	if (rc < 0)
		return cli_fail(cli, "%s", why);
	copies_print(&args, head);
	return CLI_OK;
}

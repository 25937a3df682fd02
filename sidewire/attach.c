/*
 * sidewire attach, detach: beside a site whose tables have other names, and away again.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "buf.h"
#include "cli.h"
#include "err.h"
#include "sitemap.h"

#define ATTACH_MAX_SQL	(4 << 20)
#define ATTACH_MAX_WHY	65536

/* The file as a string, the caller's; NULL: said why. */
static char *
attach_read(const struct cli *cli, const char *path)
{
	char chunk[4096], *text = NULL;
	struct buf b;
	size_t n;
	FILE *f;

	f = fopen(path, "re");
	if (f == NULL) {
		(void)cli_fail(cli, "%s: %s", path, strerror(errno));
		return NULL;
	}
	buf_init(&b, SITEMAP_MAX);
	for (n = 1; n > 0 && buf_err(&b) == 0;) {
		n = fread(chunk, 1, sizeof(chunk), f);
		buf_add(&b, chunk, n);
	}
	if (ferror(f))
		(void)cli_fail(cli, "%s: %s", path, strerror(errno));
	else if (buf_err(&b) < 0)
		(void)cli_fail(cli, "%s: longer than %d bytes", path, SITEMAP_MAX);
	else if (strlen(buf_str(&b)) != b.len)
		(void)cli_fail(cli, "%s: holds a NUL byte", path);
	else
		text = strdup(buf_str(&b));
	(void)fclose(f);
	buf_release(&b);
	return text;
}

/* Every complaint on a line of its own, after the command and the file. */
static int
attach_complain(const struct cli *cli, const char *file, struct buf *why)
{
	char *line, *rest, *copy;

	copy = strdup(buf_str(why));
	if (copy == NULL)
		return cli_fail(cli, "out of memory");
	for (rest = copy; rest != NULL;) {
		line = strsep(&rest, "\n");
		(void)cli_fail(cli, "%s: %s", file, line);
	}
	free(copy);
	return cli_fail(cli, "nothing was changed");
}

static int
attach_run(struct cli *cli, const char *file, const char *map, int is_dry)
{
	struct buf sql, why;
	int rc, code = CLI_OK;

	buf_init(&sql, ATTACH_MAX_SQL);
	buf_init(&why, ATTACH_MAX_WHY);
	rc = attach_make(cli->st, map, is_dry, &sql, &why);
	if (rc < 0)
		code = attach_complain(cli, file, &why);
	else if (is_dry)
		(void)fputs(buf_str(&sql), stdout);
	else
		(void)printf("%s: attached; start the services again if they run\n",
		    store_path(cli->st));
	buf_release(&sql);
	buf_release(&why);
	return code;
}

int
cmd_attach(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "map", required_argument, NULL, 'm' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 }
	};
	const char *file = NULL;
	int c, code, is_dry = 0;
	char *map;

	for (c = cli_option(argc, argv, options, NULL); c != -1;
	    c = cli_option(argc, argv, options, NULL)) {
		if (c == 'm')
			file = optarg;
		else if (c == 'n')
			is_dry = 1;
		else
			return cli_misuse_option(cli, argv);
	}
	if (optind != argc)
		return cli_misuse(cli, "takes options only");
	if (file == NULL)
		return cli_misuse(cli, "which map? give --map FILE");
	map = attach_read(cli, file);
	if (map == NULL)
		return CLI_FAIL;
	code = cli_open(cli, STORE_BARE);
	if (code == CLI_OK)
		code = attach_run(cli, file, map, is_dry);
	free(map);
	return code;
}

int
cmd_detach(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "purge", no_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 }
	};
	int c, rc, is_purge = 0;
	struct buf why;

	for (c = cli_option(argc, argv, options, NULL); c != -1;
	    c = cli_option(argc, argv, options, NULL)) {
		if (c != 'p')
			return cli_misuse_option(cli, argv);
		is_purge = 1;
	}
	if (optind != argc)
		return cli_misuse(cli, "takes options only");
	rc = cli_open(cli, STORE_BARE);
	if (rc != CLI_OK)
		return rc;
	buf_init(&why, ATTACH_MAX_WHY);
	rc = attach_remove(cli->st, is_purge, &why);
	if (rc < 0)
		(void)cli_fail(cli, "%s", buf_str(&why));
	else
		(void)printf("%s: removed %d triggers and indexes%s\n",
		    store_path(cli->st), rc, is_purge ? ", and Sidewire's tables" : "");
	buf_release(&why);
	return rc < 0 ? CLI_FAIL : CLI_OK;
}

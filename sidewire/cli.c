/*
 * Complaints, numbers and rows for the subcommands (cli.h).
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cli.h"
#include "err.h"
#include "event.h"

#define CLI_MAX_ROW	65536

static void
cli_complain(const struct cli *cli, const char *fmt, va_list ap)
    ATTR_PRINTF(2, 0);

static void
cli_complain(const struct cli *cli, const char *fmt, va_list ap)
{
	(void)fprintf(stderr, "sidewire %s: ", cli->command->name);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
}

int
cli_fail(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cli_complain(cli, fmt, ap);
	va_end(ap);
	return CLI_FAIL;
}

int
cli_misuse(const struct cli *cli, const char *fmt, ...)
{
	const char *line = cli->command->synopsis;
	va_list ap;
	int n;

	va_start(ap, fmt);
	cli_complain(cli, fmt, ap);
	va_end(ap);
	do {
		n = (int)strcspn(line, "\n");
		(void)fprintf(stderr, "usage: sidewire [-c FILE] %s%s%.*s\n",
		    cli->command->name, n > 0 ? " " : "", n, line);
		line += n;
		if (*line == '\n')
			line++;
	} while (*line != '\0');
	(void)fprintf(stderr, "`sidewire help %s` tells more.\n",
	    cli->command->name);
	return CLI_USAGE;
}

int
cli_fail_store(const struct cli *cli, int err, const char *what)
{
	const char *path = cli->conf.database;

	switch (err) {
	case ERR_NOTFOUND:
		if (what != NULL)
			return cli_fail(cli, "%s", what);
		break;
	case ERR_EXISTS:
		return cli_fail(cli, "it is there already: choose another --id");
	case ERR_INVAL:
		return cli_fail(cli, "an id or name is empty, too long, or not "
		    "plain text");
	case ERR_BUSY:
		return cli_fail(cli, "%s: another program holds the write lock; "
		    "try again", path);
	case ERR_FULL:
		return cli_fail(cli, "%s: the disk is full", path);
	case ERR_READONLY:
		return cli_fail(cli, "%s: cannot be written by this user", path);
	case ERR_TOOBIG:
		return cli_fail(cli, "that is too long");
	default:
		break;
	}
	return cli_fail(cli, "%s: %s (%s)", path,
	    cli->st != NULL ? store_errmsg(cli->st) : "failed", err_name(err));
}

int
cli_open(struct cli *cli, enum store_mode mode)
{
	char why[1024];
	int rc;

	rc = store_open(&cli->conf, mode, &cli->st, why, sizeof(why));
	if (rc < 0)
		return cli_fail(cli, "%s", why);
	return CLI_OK;
}

int
cli_number(const struct cli *cli, const char *option, const char *text,
    int64_t min, int64_t max, int64_t *ret)
{
	long long n;
	char *end;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < min || n > max)
		return cli_misuse(cli, "%s: a whole number from %lld to %lld, "
		    "not \"%s\"", option, (long long)min, (long long)max, text);
	*ret = n;
	return CLI_OK;
}

int
cli_option(int argc, char **argv, const struct option *options, int *ret_at)
{
	opterr = 0;
	return getopt_long(argc, argv, "", options, ret_at);
}

int
cli_misuse_option(const struct cli *cli, char **argv)
{
	/* Within a bundle of letters getopt_long() has not moved on yet. */
	const char *wrong = argv[optind - 1][0] == '-' || argv[optind] == NULL ?
	    argv[optind - 1] : argv[optind];

	return cli_misuse(cli, "%s: no such option here, or its argument is "
	    "missing", wrong);
}

int
cli_text(const struct cli *cli, const char *arg, size_t max, char **ret)
{
	char chunk[4096];
	struct buf b;
	size_t n;

	buf_init(&b, max);
	if (strcmp(arg, "-") != 0) {
		buf_adds(&b, arg);
	} else {
		for (n = 1; n > 0 && buf_err(&b) == 0;) {
			n = fread(chunk, 1, sizeof(chunk), stdin);
			buf_add(&b, chunk, n);
		}
	}
	if (buf_err(&b) < 0) {
		buf_release(&b);
		return cli_fail(cli, "the text is longer than %zu bytes", max);
	}
	if (ferror(stdin)) {
		buf_release(&b);
		return cli_fail(cli, "stdin: %s", strerror(errno));
	}
	if (strlen(buf_str(&b)) != b.len) {
		buf_release(&b);
		return cli_fail(cli, "the text holds a NUL byte");
	}
	*ret = b.len > 0 ? buf_take(&b, NULL) : strdup("");
	buf_release(&b);
	return *ret != NULL ? CLI_OK : cli_fail(cli, "out of memory");
}

/* A column's value: text, or a truth value. */
static void
cli_json_value(struct buf *b, const char *name, const char *value)
{
	if (name[0] == '?')
		buf_adds(b, value != NULL && strcmp(value, "0") != 0 ?
		    "true" : "false");
	else
		event_print_string(b, value,
		    value != NULL ? strlen(value) : 0);
}

static void
cli_json_row(const struct cli_table *table, const char *const *col)
{
	struct buf b;
	int i;

	buf_init(&b, CLI_MAX_ROW);
	buf_adds(&b, table->n_rows == 0 ? "[\n {" : ",\n {");
	for (i = 0; i < table->n_columns; i++) {
		buf_addf(&b, "%s\"%s\":", i > 0 ? "," : "",
		    table->column[i] + (table->column[i][0] == '?'));
		cli_json_value(&b, table->column[i], col[i]);
	}
	buf_addc(&b, '}');
	if (buf_err(&b) == 0)
		(void)fputs(buf_str(&b), stdout);
	buf_release(&b);
}

void
cli_put(const char *text, int width)
{
	int is_c1;

	for (; *text != '\0'; text++, width--) {
		is_c1 = (unsigned char)text[0] == 0xc2 &&
		    (unsigned char)text[1] >= 0x80 &&
		    (unsigned char)text[1] < 0xa0;
		text += is_c1;
		(void)putchar(is_c1 || (unsigned char)*text < 0x20 ||
		    *text == 0x7f ? '?' : *text);
	}
	for (; width > 0; width--)
		(void)putchar(' ');
}

void
cli_row(struct cli_table *table, const char *const *col)
{
	const char *value;
	int i;

	if (table->is_json) {
		cli_json_row(table, col);
		table->n_rows++;
		return;
	}
	if (table->n_rows++ == 0) {
		for (i = 0; i < table->n_columns; i++)
			(void)printf("%-*s", i + 1 < table->n_columns ? 24 : 0,
			    table->column[i] + (table->column[i][0] == '?'));
		(void)putchar('\n');
	}
	for (i = 0; i < table->n_columns; i++) {
		value = col[i] != NULL ? col[i] : "-";
		if (table->column[i][0] == '?')
			value = strcmp(value, "0") != 0 ? "yes" : "no";
		cli_put(value, i + 1 < table->n_columns ? 23 : 0);
		if (i + 1 < table->n_columns)
			(void)putchar(' ');
	}
	(void)putchar('\n');
}

void
cli_end(struct cli_table *table)
{
	if (table->is_json)
		(void)puts(table->n_rows == 0 ? "[]" : "\n]");
}

void
cli_print(const char *name, const char *value, int is_json)
{
	struct buf b;

	if (!is_json) {
		(void)puts(value);
		return;
	}
	buf_init(&b, CLI_MAX_ROW);
	buf_addf(&b, "{\"%s\":", name);
	event_print_string(&b, value, strlen(value));
	buf_addc(&b, '}');
	(void)puts(buf_str(&b));
	buf_release(&b);
}

/*
 * cli - what the subcommands of sidewire share: configuration, complaints, options,
 * rows on stdout.
 *
 * A subcommand gets its own arguments, argv[0] being its name, and returns the exit
 * code: CLI_OK, CLI_FAIL (said why on stderr) or CLI_USAGE (cli_misuse() said how).
 * One thread, one run.
 */
#ifndef CLI_H
#define CLI_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "conf.h"
#include "store.h"

enum { CLI_OK = 0, CLI_FAIL = 1, CLI_USAGE = 2 };

struct cli {
	struct conf	 conf;
	const char	*file;		/* of the configuration, as -c named it; NULL */
	struct store	*st;		/* opened by cli_open(), closed by main */
	const struct command *command;
};

struct command {
	const char	*name;
	const char	*synopsis;	/* of the arguments, one line each way to call it */
	const char	*summary;	/* one line for the list */
	const char	*help;		/* what it does, options, an example */
	int		(*run)(struct cli *cli, int argc, char **argv);
};

/* "sidewire NAME: ..." on stderr; returns CLI_FAIL. */
int	 cli_fail(const struct cli *cli, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* The same and the synopsis; returns CLI_USAGE. */
int	 cli_misuse(const struct cli *cli, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Tells what an error of the store means; what: "no such room: x" or the like for
 * ERR_NOTFOUND, NULL where that cannot be. */
int	 cli_fail_store(const struct cli *cli, int err, const char *what);
/* Opens the database; complains by itself. */
int	 cli_open(struct cli *cli, enum store_mode mode) ATTR_MUST_CHECK;
/* A whole number of an option, within bounds; complains by itself. */
int	 cli_number(const struct cli *cli, const char *option, const char *text,
	    int64_t min, int64_t max, int64_t *ret) ATTR_MUST_CHECK;

/* The next option as getopt_long(3) gives it, -1 at the end; '?' without a message.
 * *ret_at (or NULL) is its place among options. */
struct option;
int	 cli_option(int argc, char **argv, const struct option *options, int *ret_at);
/* Names the option that cli_option() answered '?' to; returns CLI_USAGE. */
int	 cli_misuse_option(const struct cli *cli, char **argv);
/* TEXT or, where it is "-", all of stdin; the caller frees *ret.  Complains by itself. */
int	 cli_text(const struct cli *cli, const char *arg, size_t max, char **ret)
	    ATTR_MUST_CHECK;

/* Prints what users wrote so that it cannot command a terminal: '?' for what is no text,
 * then blanks up to width bytes. */
void	 cli_put(const char *text, int width);
/* Rows of a listing: as aligned text with a heading, or as one JSON array of objects. */
struct cli_table {
	const char *const *column;	/* names; a name that begins with '?' is a truth value */
	int	n_columns;
	int	is_json;
	int	n_rows;
};
void	 cli_row(struct cli_table *table, const char *const *col);
void	 cli_end(struct cli_table *table);
/* {"NAME":"value"} or the bare value, and a newline. */
void	 cli_print(const char *name, const char *value, int is_json);

int	 cmd_init(struct cli *cli, int argc, char **argv);
int	 cmd_attach(struct cli *cli, int argc, char **argv);
int	 cmd_detach(struct cli *cli, int argc, char **argv);
int	 cmd_check(struct cli *cli, int argc, char **argv);
int	 cmd_backup(struct cli *cli, int argc, char **argv);
int	 cmd_restore(struct cli *cli, int argc, char **argv);
int	 cmd_doctor(struct cli *cli, int argc, char **argv);
int	 cmd_keep(struct cli *cli, int argc, char **argv);
int	 cmd_prune(struct cli *cli, int argc, char **argv);
int	 cmd_revoke(struct cli *cli, int argc, char **argv);
int	 cmd_conns(struct cli *cli, int argc, char **argv);
int	 cmd_stats(struct cli *cli, int argc, char **argv);
int	 cmd_token(struct cli *cli, int argc, char **argv);
int	 cmd_user(struct cli *cli, int argc, char **argv);
int	 cmd_room(struct cli *cli, int argc, char **argv);
int	 cmd_member(struct cli *cli, int argc, char **argv);
int	 cmd_post(struct cli *cli, int argc, char **argv);
int	 cmd_publish(struct cli *cli, int argc, char **argv);
int	 cmd_tail(struct cli *cli, int argc, char **argv);

#endif

/*
 * sidewire user, room, member, post: rows of the site's own tables, written as the
 * site itself would.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "cli.h"
#include "err.h"
#include "site.h"

#define POST_MAX	65536	/* bytes of a message */

/* Options of all these commands together; what was not given is NULL or 0. */
struct site_args {
	const char	*id, *email, *creator, *type;
	int		 is_private, is_json;
	char		**rest;		/* verb and operands */
	int		 n_rest;
};

/* allowed: the letters of the options that this command has. */
static int
site_parse(struct cli *cli, int argc, char **argv, const char *allowed,
    struct site_args *ret)
{
	static const struct option options[] = {
		{ "id", required_argument, NULL, 'i' },
		{ "email", required_argument, NULL, 'e' },
		{ "creator", required_argument, NULL, 'c' },
		{ "type", required_argument, NULL, 't' },
		{ "private", no_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	int c, at = 0;

	memset(ret, 0, sizeof(*ret));
	for (c = cli_option(argc, argv, options, &at); c != -1;
	    c = cli_option(argc, argv, options, &at)) {
		switch (strchr(allowed, c) != NULL ? c : '?') {
		case 'i':
			ret->id = optarg;
			break;
		case 'e':
			ret->email = optarg;
			break;
		case 'c':
			ret->creator = optarg;
			break;
		case 't':
			ret->type = optarg;
			break;
		case 'p':
			ret->is_private = 1;
			break;
		case 'j':
			ret->is_json = 1;
			break;
		case '?':
			return c == '?' ? cli_misuse_option(cli, argv) :
			    cli_misuse(cli, "--%s: no such option here",
			    options[at].name);
		}
	}
	ret->rest = argv + optind;
	ret->n_rest = argc - optind;
	return CLI_OK;
}

/* Whether the arguments are this verb with n operands. */
static int
site_is(const struct site_args *args, const char *verb, int n)
{
	return args->n_rest == n + 1 && strcmp(args->rest[0], verb) == 0;
}

static int
site_begin(struct cli *cli, int argc, char **argv, const char *allowed,
    struct site_args *ret)
{
	int rc;

	rc = site_parse(cli, argc, argv, allowed, ret);
	if (rc != CLI_OK)
		return rc;
	if (ret->n_rest == 0)
		return cli_misuse(cli, "what shall be done?");
	return cli_open(cli, STORE_SERVE);
}

/* A row was written, or why not. */
static int
site_done(struct cli *cli, int err, const char *missing, const char *id)
{
	char what[512];

	if (err >= 0)
		return CLI_OK;
	(void)snprintf(what, sizeof(what), "%s: %s", missing, id);
	return cli_fail_store(cli, err, what);
}

static int
site_row(const char *const col[4], void *arg)
{
	cli_row(arg, col);
	return 0;
}

static int
site_listed(struct cli *cli, int err, struct cli_table *table)
{
	if (err < 0)
		return cli_fail_store(cli, err, NULL);
	cli_end(table);
	return CLI_OK;
}

int
cmd_user(struct cli *cli, int argc, char **argv)
{
	static const char *const columns[] = { "id", "name", "?online", "email" };
	char id[AUTH_MAX_USER + 1];
	struct cli_table table = { columns, 4, 0, 0 };
	struct site_args args;
	int rc;

	rc = site_begin(cli, argc, argv, "iej", &args);
	if (rc != CLI_OK)
		return rc;
	if (site_is(&args, "add", 1)) {
		rc = site_add_user(cli->st, args.id, args.rest[1], args.email, id);
		if (rc < 0)
			return cli_fail_store(cli, rc, NULL);
		cli_print("id", id, args.is_json);
		return CLI_OK;
	}
	if (site_is(&args, "delete", 1)) {
		rc = site_delete_user(cli->st, args.rest[1]);
		return site_done(cli, rc, "no such user", args.rest[1]);
	}
	if (!site_is(&args, "list", 0))
		return cli_misuse(cli, "add, delete or list?");
	table.is_json = args.is_json;
	rc = site_list_users(cli->st, site_row, &table);
	return site_listed(cli, rc, &table);
}

int
cmd_room(struct cli *cli, int argc, char **argv)
{
	static const char *const columns[] = { "id", "name", "?private",
	    "createdBy" };
	char id[AUTH_MAX_USER + 1];
	struct cli_table table = { columns, 4, 0, 0 };
	struct site_args args;
	int rc;

	rc = site_begin(cli, argc, argv, "icpj", &args);
	if (rc != CLI_OK)
		return rc;
	if (site_is(&args, "add", 1)) {
		rc = site_add_room(cli->st, args.id, args.rest[1],
		    args.is_private, args.creator, id);
		if (rc < 0)
			return site_done(cli, rc, "no such user",
			    args.creator != NULL ? args.creator : "");
		cli_print("id", id, args.is_json);
		return CLI_OK;
	}
	if (site_is(&args, "delete", 1)) {
		rc = site_delete_room(cli->st, args.rest[1]);
		return site_done(cli, rc, "no such room", args.rest[1]);
	}
	if (!site_is(&args, "list", 0))
		return cli_misuse(cli, "add, delete or list?");
	table.is_json = args.is_json;
	rc = site_list_rooms(cli->st, site_row, &table);
	return site_listed(cli, rc, &table);
}

int
cmd_member(struct cli *cli, int argc, char **argv)
{
	static const char *const columns[] = { "userId", "name" };
	struct cli_table table = { columns, 2, 0, 0 };
	struct site_args args;
	int rc;

	rc = site_begin(cli, argc, argv, "j", &args);
	if (rc != CLI_OK)
		return rc;
	if (site_is(&args, "add", 2)) {
		rc = site_add_member(cli->st, args.rest[1], args.rest[2]);
		if (rc == ERR_EXISTS)
			return CLI_OK;	/* he is in, as was asked for */
		return site_done(cli, rc, "no such room or user",
		    args.rest[1]);
	}
	if (site_is(&args, "delete", 2)) {
		rc = site_delete_member(cli->st, args.rest[1], args.rest[2]);
		return site_done(cli, rc, "no such member of the room",
		    args.rest[2]);
	}
	if (!site_is(&args, "list", 1))
		return cli_misuse(cli, "add ROOM USER, delete ROOM USER or list "
		    "ROOM?");
	rc = site_check_room(cli->st, args.rest[1], "");
	if (rc == ERR_NOTFOUND)
		return site_done(cli, rc, "no such room", args.rest[1]);
	table.is_json = args.is_json;
	rc = site_list_members(cli->st, args.rest[1], site_row, &table);
	return site_listed(cli, rc, &table);
}

/* Writes the message after a look at rights, in one transaction. */
static int
post_message(struct cli *cli, const struct site_args *args, const char *text)
{
	const char *room = args->rest[0], *user = args->rest[1];
	char id[AUTH_MAX_USER + 1];
	int rc;

	rc = site_has_user(cli->st, user);
	if (rc == 0)
		return cli_fail(cli, "no such user: %s", user);
	if (rc > 0)
		rc = site_check_room(cli->st, room, user);
	if (rc == ERR_NOTFOUND)
		return cli_fail(cli, "no such room: %s", room);
	if (rc == ERR_DENIED)
		return cli_fail(cli, "room %s is private and %s is not a member",
		    room, user);
	if (rc >= 0)
		rc = site_post(cli->st, room, user, text, strlen(text),
		    args->type, id);
	if (rc >= 0)
		rc = store_commit(cli->st);
	if (rc < 0)
		return cli_fail_store(cli, rc, NULL);
	cli_print("id", id, args->is_json);
	return CLI_OK;
}

int
cmd_post(struct cli *cli, int argc, char **argv)
{
	struct site_args args;
	char *text;
	int rc;

	rc = site_parse(cli, argc, argv, "tj", &args);
	if (rc != CLI_OK)
		return rc;
	if (args.n_rest != 3)
		return cli_misuse(cli, "give a room, a user and a text");
	rc = cli_text(cli, args.rest[2], POST_MAX, &text);
	if (rc != CLI_OK)
		return rc;
	rc = cli_open(cli, STORE_SERVE);
	if (rc == CLI_OK) {
		rc = store_write(cli->st);
		rc = rc < 0 ? cli_fail_store(cli, rc, NULL) :
		    post_message(cli, &args, text);
	}
	free(text);
	return rc;
}

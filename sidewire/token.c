/*
 * sidewire token, revoke: signs what a site would sign itself, to try and to
 * script; and refuses what was signed.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "cli.h"
#include "clock.h"
#include "err.h"
#include "revocation.h"
#include "site.h"

#define TOKEN_TTL_S	3600
#define TOKEN_MAX_TTL_S	(10 * 365 * 86400)

/* Prints a token for user. */
static int
token_sign(struct cli *cli, const char *user, const char *scope, int64_t ttl_s,
    int is_json)
{
	struct auth *auth;
	char why[1024], *token;
	int rc;

	rc = auth_open(&cli->conf, &auth, why, sizeof(why));
	if (rc < 0)
		return cli_fail(cli, "%s", why);
	rc = auth_sign(auth, user, scope, clock_wall_s(), ttl_s, &token);
	auth_close(auth);
	if (rc == ERR_DENIED)
		return cli_fail(cli, "%s: a public key cannot sign; use the "
		    "private one here", cli->conf.jwt_key_file);
	if (rc == ERR_INVAL || rc == ERR_TOOBIG)
		return cli_fail(cli, "the user's id or the scope is empty, too "
		    "long, or not plain text");
	if (rc < 0)
		return cli_fail(cli, "%s", err_name(rc));
	cli_print("token", token, is_json);
	free(token);
	return CLI_OK;
}

/* Whether there is such a user; complains by itself. */
static int
token_user(struct cli *cli, const char *user, const char *anyway)
{
	int rc;

	rc = site_has_user(cli->st, user);
	if (rc < 0)
		return cli_fail_store(cli, rc, NULL);
	return rc == 1 ? CLI_OK :
	    cli_fail(cli, "no such user: %s (--any %s)", user, anyway);
}

int
cmd_token(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "ttl", required_argument, NULL, 't' },
		{ "scope", required_argument, NULL, 's' },
		{ "any", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	int64_t ttl_s = TOKEN_TTL_S;
	const char *scope = NULL;
	int c, rc, is_json = 0, is_any = 0;

	for (c = cli_option(argc, argv, options, NULL); c != -1;
	    c = cli_option(argc, argv, options, NULL)) {
		rc = CLI_OK;
		if (c == 't')
			rc = cli_number(cli, "--ttl", optarg, 1, TOKEN_MAX_TTL_S,
			    &ttl_s);
		else if (c == 's')
			scope = optarg;
		else if (c == 'a')
			is_any = 1;
		else if (c == 'j')
			is_json = 1;
		else
			return cli_misuse_option(cli, argv);
		if (rc != CLI_OK)
			return rc;
	}
	if (argc - optind != 1)
		return cli_misuse(cli, "whose token?  Give one user id");
	if (!is_any) {
		rc = cli_open(cli, STORE_SERVE);
		if (rc == CLI_OK)
			rc = token_user(cli, argv[optind],
			    "signs all the same");
		if (rc != CLI_OK)
			return rc;
	}
	return token_sign(cli, argv[optind], scope, ttl_s, is_json);
}

struct revoke_args {
	const char	*user;
	int		 is_any, is_lift, is_json;
};

static int
revoke_parse(struct cli *cli, int argc, char **argv, struct revoke_args *ret)
{
	static const struct option options[] = {
		{ "any", no_argument, NULL, 'a' },
		{ "lift", no_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	memset(ret, 0, sizeof(*ret));
	for (c = cli_option(argc, argv, options, NULL); c != -1;
	    c = cli_option(argc, argv, options, NULL)) {
		if (c == 'a')
			ret->is_any = 1;
		else if (c == 'l')
			ret->is_lift = 1;
		else if (c == 'j')
			ret->is_json = 1;
		else
			return cli_misuse_option(cli, argv);
	}
	if (argc - optind != 1)
		return cli_misuse(cli, "whose tokens?  Give one user id");
	ret->user = argv[optind];
	if (ret->user[0] == '\0' || strlen(ret->user) > AUTH_MAX_USER)
		return cli_fail(cli, "that is no user id");
	return CLI_OK;
}

int
cmd_revoke(struct cli *cli, int argc, char **argv)
{
	char when[CLOCK_POS_SIZE];
	struct revoke_args args;
	int64_t pos;
	int rc;

	rc = revoke_parse(cli, argc, argv, &args);
	if (rc == CLI_OK)
		rc = cli_open(cli, STORE_SERVE);
	if (rc == CLI_OK && !args.is_any && !args.is_lift)
		rc = token_user(cli, args.user, "revokes all the same");
	if (rc != CLI_OK)
		return rc;
	if (args.is_lift) {
		rc = revocation_lift(cli->st, args.user);
		if (rc == 0)
			return cli_fail(cli, "%s was not revoked", args.user);
		return rc < 0 ? cli_fail_store(cli, rc, NULL) : CLI_OK;
	}
	rc = revocation_set(cli->st, args.user, clock_wall_s(), &pos);
	if (rc < 0)
		return cli_fail_store(cli, rc, NULL);
	cli_print("timestamp", clock_print_pos(pos, when), args.is_json);
	return CLI_OK;
}

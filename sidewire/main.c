/*
 * sidewire - the administrator's command: a table of subcommands.
 *
 * Arguments of its own come first (-c FILE, -h), then the subcommand's name and
 * arguments.  Exit 0 done, 1 failed, 2 called wrongly.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "log.h"

static const struct command commands[] = {
	{ "init", "", "make the database, or add to the site's what is missing",
	    "Creates the tables, triggers and indexes that are missing in the file\n"
	    "that `database` names, and the file itself.  Tables of the site that are\n"
	    "there already keep their rows and definitions; a second run changes\n"
	    "nothing.  A table that lacks columns is named, and nothing is changed.\n"
	    "\n"
	    "  sidewire init\n"
	    "  sidewire -c ~/sidewire.conf init\n", cmd_init },
	{ "attach", "--map FILE [--dry-run]",
	    "beside a site whose tables have other names",
	    "Instead of init: makes the log and the triggers by the site's own names for\n"
	    "tables and columns, which FILE gives, one \"users.name = nick\" a line.  What\n"
	    "the site has not, or what cannot be, is named, and nothing is changed.  A\n"
	    "second run with another map takes the place of the first.\n"
	    "\n"
	    "  --map FILE   sidewire(1) has the form; examples are in docs/attach.md\n"
	    "  --dry-run    tries it, prints the SQL, and changes nothing\n"
	    "\n"
	    "  sidewire attach --map forum.map --dry-run\n", cmd_attach },
	{ "detach", "[--purge]", "remove what attach or init put on the site's tables",
	    "Removes the triggers, indexes and the map.  Stop the services before.\n"
	    "\n"
	    "  --purge   and the log with all tables of Sidewire's own\n"
	    "\n"
	    "  sidewire detach --purge\n", cmd_detach },
	{ "check", "", "look whether everything is as it should be",
	    "Reads the configuration, the key, the shared directory, the database with\n"
	    "its schema and integrity; one line each.  Exit 1 if one is wrong.\n",
	    cmd_check },
	{ "doctor", "[--account NAME] [--json]\nURL [--user USER] [--wait SECONDS] "
	    "[--log FILE] [--ca FILE] [--account NAME] [--json]",
	    "look over the machine, and the way from outside",
	    "One line for each check: ok, warn, fail or skip, what was seen, and what to\n"
	    "do.  Without URL it looks at keys, files, who shares them, schema, clock,\n"
	    "versions and limits; with the site's URL also at the way from outside.\n"
	    "Exit 0 if there was no warning and no failure, else 1.\n"
	    "\n"
	    "  --user USER     hold a poll and a socket as this user of the site, who is\n"
	    "                  shown online for it and gets one event SIDEWIRE_DOCTOR\n"
	    "  --wait SECONDS  longest hold and silence to try (10; 0: none)\n"
	    "  --log FILE      a log of the web server, to look for tokens in; may be\n"
	    "                  repeated, or a pattern (Debian's usual places)\n"
	    "  --account NAME  an account of the system that uses the database, the\n"
	    "                  site's say; may be repeated\n"
	    "  --ca FILE       certificates to trust, instead of the system's\n"
	    "  --json          {\"checks\":[...],\"ok\":...}\n"
	    "\n"
	    "  sidewire doctor https://example.org --user alice --account www-data\n",
	    cmd_doctor },
	{ "token", "USER [--ttl SECONDS] [--scope WORDS] [--any] [--json]",
	    "sign a token for a user",
	    "Prints a JWT with the configured key, algorithm, issuer and audience.\n"
	    "\n"
	    "  --ttl SECONDS   how long it is valid (3600)\n"
	    "  --scope WORDS   e.g. \"metrics\" or \"publish\"\n"
	    "  --any           do not ask the database whether there is such a user\n"
	    "  --json          {\"token\":...}\n"
	    "\n"
	    "  TOKEN=$(sidewire token alice)\n", cmd_token },
	{ "user", "add NAME [--id ID] [--email EMAIL] [--json]\ndelete ID\n"
	    "list [--json]", "add, delete or list users",
	    "Works on the site's own table, like a row that the site inserts itself.\n"
	    "add prints the id, which is made if --id does not give one.\n"
	    "\n"
	    "  sidewire user add \"Alice\" --id alice\n", cmd_user },
	{ "room", "add NAME [--id ID] [--private] [--creator USER] [--json]\n"
	    "delete ID\nlist [--json]", "add, delete or list rooms",
	    "A private room is for its members; its creator is one.\n"
	    "\n"
	    "  sidewire room add \"Backstage\" --id backstage --private --creator alice\n",
	    cmd_room },
	{ "member", "add ROOM USER\ndelete ROOM USER\nlist ROOM [--json]",
	    "let users into rooms and out of them",
	    "What commits after a removal is not delivered to the one removed.\n"
	    "\n"
	    "  sidewire member add backstage bob\n", cmd_member },
	{ "post", "ROOM USER TEXT [--type TYPE] [--json]",
	    "write a message as a user",
	    "Inserts a row into the site's messages, after a look whether USER may\n"
	    "write in ROOM, and prints its id.  TEXT - is read from stdin.\n"
	    "\n"
	    "  sidewire post lobby alice \"Hello\"\n", cmd_post },
	{ "publish", "TYPE PAYLOAD [--room ROOM | --user USER] [--ttl SECONDS] [--json]",
	    "append an event of your own",
	    "PAYLOAD is a JSON object (- is read from stdin).  It goes to everyone, to\n"
	    "a room or to a user, and prints its timestamp.\n"
	    "\n"
	    "  --ttl SECONDS   not delivered after this time (0: as long as it is kept)\n"
	    "\n"
	    "  sidewire publish ORDER_SHIPPED '{\"order\":17}' --user alice\n",
	    cmd_publish },
	{ "tail", "[--user USER] [--after TIMESTAMP] [--once] [--json]",
	    "print events as they are committed",
	    "Without --user the log as it is, with audience and actor; with it what that\n"
	    "user may see.  Starts at the present, or after TIMESTAMP.\n"
	    "\n"
	    "  --once   ends when there is nothing more\n"
	    "  --json   one JSON object a line\n"
	    "\n"
	    "  sidewire tail --after 2025-11-30T16:00:00Z --once --json\n", cmd_tail },
	{ "revoke", "USER [--any] [--json]\nUSER --lift",
	    "refuse the tokens that a user has",
	    "Ends the sockets and held polls of USER at once, in all processes, and\n"
	    "refuses every token of his that was issued up to now: one whose iat is\n"
	    "later is good again, one without iat is not.  Prints the event's timestamp.\n"
	    "\n"
	    "  --any    do not ask the database whether there is such a user\n"
	    "  --lift   forget it: tokens that have not expired are good again\n"
	    "\n"
	    "  sidewire revoke alice\n", cmd_revoke },
	{ "stats", "[--prometheus] [--json]", "counters of all processes, size of the log",
	    "The same figures as /metrics, from the shared memory of the running\n"
	    "processes, which outlive those; rows and age of the log; and who runs.\n"
	    "\n"
	    "  --prometheus   in the text format that /metrics has\n", cmd_stats },
	{ "conns", "[--json]", "who is connected, how, since when",
	    "A line for each user who polls, has sockets in a process, or has just left\n"
	    "it (\"leaving\"): the number of his sockets in all processes, when he came\n"
	    "online if the log still knows, and the process.\n", cmd_conns },
	{ "backup", "FILE [--replace] [--json]", "copy the database while it is used",
	    "Writes the database of one moment to FILE, checks it, and prints the\n"
	    "timestamp up to which it holds events.  Nobody waits for it.  FILE is a\n"
	    "database by itself, readable by its owner alone: it holds every message.\n"
	    "\n"
	    "  --replace   takes the place of a FILE that is there already, when done\n"
	    "\n"
	    "  sidewire backup /var/backups/sidewire-$(date +%F).db\n", cmd_backup },
	{ "restore", "FILE [--json]", "put a copy in place of the database's content",
	    "Checks FILE and writes it into the database as one transaction: services\n"
	    "and site may run, and see all of it at once or nothing.  What the database\n"
	    "holds now is lost; make a backup first.  Clients that had more than FILE\n"
	    "holds start anew with the present state.\n"
	    "\n"
	    "  sidewire restore /var/backups/sidewire-2025-11-30.db\n", cmd_restore },
	{ "keep", "[--quiet] [--foreground] [--program FILE]\n--stop [--quiet]",
	    "keep one ws-sidecar alive",
	    "For a host without a supervisor: starts ws-sidecar, starts it again when it\n"
	    "ends, and stays when its starter is gone.  A second one changes nothing, so\n"
	    "it can be called every few minutes.  Its log is keep.log in run_dir.\n"
	    "\n"
	    "  --foreground    stays in the shell, with the log on stderr\n"
	    "  --program FILE  the sidecar, if not beside this program\n"
	    "  --quiet         says only what is wrong\n"
	    "  --stop          ends the keeper and its sidecar\n"
	    "\n"
	    "  */5 * * * * ~/sidewire/bin/sidewire -c ~/sidewire/sidewire.conf keep --quiet\n",
	    cmd_keep },
	{ "prune", "[--keep-seconds N] [--keep-rows N] [--json]",
	    "remove old events now",
	    "What the services do by themselves: removes events over events.keep_s and\n"
	    "events.keep_rows, in small transactions, never the newest, and the keys of\n"
	    "sends that are older than a day.  Messages stay; a cursor from before the\n"
	    "oldest event is answered by a reset.\n", cmd_prune },
};

#define N_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static void
print_list(FILE *f)
{
	size_t i;

	(void)fputs("usage: sidewire [-c FILE] COMMAND [ARGUMENT ...]\n\n", f);
	for (i = 0; i < N_COMMANDS; i++)
		(void)fprintf(f, "  %-9s %s\n", commands[i].name,
		    commands[i].summary);
	(void)fputs("\n  help COMMAND tells more.\n\n"
	    "-c FILE names the configuration, before it SIDEWIRE_CONF, else\n"
	    CONF_DEFAULT_FILE ".  A first event from nothing:\n\n"
	    "  sidewire init\n"
	    "  sidewire user add Alice --id alice\n"
	    "  sidewire room add Lobby --id lobby\n"
	    "  sidewire post lobby alice Hello\n"
	    "  sidewire tail --user alice --after 2000-01-01T00:00:00Z --once\n", f);
}

static const struct command *
find_command(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int
unknown(const char *name)
{
	(void)fprintf(stderr, "sidewire: no command \"%s\"\n", name);
	print_list(stderr);
	return CLI_USAGE;
}

static int
help(const char *name)
{
	const struct command *cmd;
	const char *line;
	int n;

	if (name == NULL) {
		print_list(stdout);
		return CLI_OK;
	}
	cmd = find_command(name);
	if (cmd == NULL)
		return unknown(name);
	(void)printf("sidewire %s - %s\n\n", cmd->name, cmd->summary);
	line = cmd->synopsis;
	do {
		n = (int)strcspn(line, "\n");
		(void)printf("  sidewire [-c FILE] %s %.*s\n", cmd->name, n, line);
		line += n;
		if (*line == '\n')
			line++;
	} while (*line != '\0');
	(void)printf("\n%s", cmd->help);
	return CLI_OK;
}

/* stdout may be a full disk or a closed pipe: then the answer did not arrive. */
static int
finish(int code)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		(void)fprintf(stderr, "sidewire: stdout: %s\n", strerror(errno));
		return CLI_FAIL;
	}
	return code;
}

static int
run(const char *file, int argc, char **argv)
{
	struct cli cli = { .file = file, .st = NULL };
	char why[1024];
	int i, code;

	cli.command = find_command(argv[0]);
	if (cli.command == NULL)
		return unknown(argv[0]);
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return help(argv[0]);
	}
	if (conf_load(file, &cli.conf, why, sizeof(why)) < 0) {
		(void)fprintf(stderr, "sidewire: %s\n", why);
		return CLI_FAIL;
	}
	log_init("sidewire", LOG_WARN_LEVEL);
	code = cli.command->run(&cli, argc, argv);
	store_close(cli.st);
	conf_release(&cli.conf);
	return finish(code);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	const char *file = NULL;
	int c;

	for (;;) {
		c = getopt_long(argc, argv, "+c:h", options, NULL);
		if (c == -1)
			break;
		switch (c) {
		case 'c':
			file = optarg;
			break;
		case 'h':
			return finish(help(NULL));
		default:
			print_list(stderr);
			return CLI_USAGE;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 0) {
		print_list(stderr);
		return CLI_USAGE;
	}
	optind = 0;
	if (strcmp(argv[0], "help") == 0)
		return finish(help(argv[1]));
	return run(file, argc, argv);
}

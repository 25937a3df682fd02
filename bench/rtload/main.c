/*
 * rtload - the load of `make bench': polls, held polls and sockets on one thread.
 *
 * Prints a line of key=value words for each measurement; run.h says what is measured,
 * load.h what is checked.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "load.h"
#include "run.h"

static const char usage_text[] =
"usage: rtload poll|hold|ws [OPTION VALUE ...]\n"
"  --port P          on 127.0.0.1\n"
"  --path TEMPLATE   %t token, %c cursor\n"
"  --header LINE     an extra header, a template too; up to 4\n"
"  --tokens FILE     a token a line, dealt round to the connections\n"
"  --conns N         connections (1)\n"
"  --cursor TEXT     %c of the first request\n"
"  --follow yes      afterwards %c is the timestamp of the last answer\n"
"  --echo A=B        the answer's header A is the next request's B; up to 2\n"
"  --status N        that of each answer (200)\n"
"  --events N        poll: so many in each answer\n"
"  --warm S --secs S poll: before and while it is measured (0.5, 2)\n"
"  --speak socketio  ws: Socket.IO 5 over Engine.IO 4\n"
"  --publish FIFO    hold, ws: takes the published lines\n"
"  --post PATH       the same, as bodies of POST on the same port\n"
"  --line FILE       the line: %T ns, %n number; its events have bench_ts=%T,%n;\n"
"  --pids P,P        processes of the server, its program last: CPU time, memory\n"
"poll measures once; hold and ws read from stdin what to do:\n"
"  step RATE SECONDS | idle SECONDS | end\n";

static void
call_error(const char *what)
{
	(void)fprintf(stderr, "rtload: %s\n%s", what, usage_text);
	exit(2);
}

static int
number(const char *text, int min)
{
	char *end;
	long n;

	n = strtol(text, &end, 10);
	if (end == text || *end != '\0' || n < min || n > 1000000)
		fail("\"%s\" is no number", text);
	return (int)n;
}

/* "Etag=If-None-Match", which is cut in two. */
static void
add_echo(struct options *o, char *value)
{
	char *is = strchr(value, '=');

	if (is == NULL || o->n_echoes == LOAD_ECHOES)
		call_error("--echo");
	*is = '\0';
	o->echoes[o->n_echoes][0] = value;
	o->echoes[o->n_echoes++][1] = is + 1;
}

static void
set_option(struct options *o, const char *name, char *value)
{
	if (strcmp(name, "--port") == 0)
		o->port = number(value, 1);
	else if (strcmp(name, "--path") == 0)
		o->path = value;
	else if (strcmp(name, "--header") == 0 && o->n_headers < LOAD_HEADERS)
		o->headers[o->n_headers++] = value;
	else if (strcmp(name, "--tokens") == 0)
		o->tokens_path = value;
	else if (strcmp(name, "--conns") == 0)
		o->n_conns = number(value, 1);
	else if (strcmp(name, "--cursor") == 0)
		o->cursor = value;
	else if (strcmp(name, "--follow") == 0)
		o->is_following = strcmp(value, "yes") == 0;
	else if (strcmp(name, "--echo") == 0)
		add_echo(o, value);
	else if (strcmp(name, "--status") == 0)
		o->status = number(value, 100);
	else if (strcmp(name, "--events") == 0)
		o->n_events = number(value, 0);
	else if (strcmp(name, "--warm") == 0)
		o->warm_s = strtod(value, NULL);
	else if (strcmp(name, "--secs") == 0)
		o->run_s = strtod(value, NULL);
	else if (strcmp(name, "--speak") == 0)
		o->is_socketio = strcmp(value, "socketio") == 0;
	else if (strcmp(name, "--post") == 0)
		o->post_path = value;
	else if (strcmp(name, "--publish") == 0)
		o->publish_path = value;
	else if (strcmp(name, "--line") == 0)
		o->line_path = value;
	else if (strcmp(name, "--pids") != 0 ||
	    usage_parse(value, &o->usage) < 0)
		call_error(name);
}

int
main(int argc, char **argv)
{
	static const char *const kinds[] = { "poll", "hold", "ws" };
	struct options o = { .path = "/", .n_conns = 1, .cursor = "",
	    .status = 200, .n_events = -1, .warm_s = 0.5, .run_s = 2 };
	static struct load load;
	int i, kind;

	if (argc < 2)
		call_error("what?");
	for (kind = 0; kind < 3; kind++) {
		if (strcmp(argv[1], kinds[kind]) == 0)
			break;
	}
	if (kind == 3 || argc % 2 != 0)
		call_error(argv[1]);
	o.kind = (enum load_kind)kind;
	for (i = 2; i < argc; i += 2)
		set_option(&o, argv[i], argv[i + 1]);
	if (o.port == 0)
		call_error("--port is needed");
	(void)signal(SIGPIPE, SIG_IGN);
	load_open(&load, &o);
	if (o.kind == LOAD_POLL)
		run_polls(&load);
	else
		run_steps(&load);
	load_close(&load);
	return 0;
}

/*
 * lws-broadcast - the ceiling of our event loop and library: libwebsockets on libev,
 * which writes each line of stdin to each client, a frame for each, from one
 * shared buffer.
 *
 *   lws-broadcast PORT
 *
 * A client that offers the subprotocol "quiet" is connected and gets nothing.
 *
 * A client has a position in a ring of lines.  One that falls behind by the whole ring
 * misses lines, which the load then counts.
 */
#include <sys/resource.h>

#include <ev.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING		4096	/* lines */
#define LINE_SIZE	4096

struct line {
	size_t		 len;
	unsigned char	 room[LWS_PRE + LINE_SIZE];
};

/* libwebsockets' memory of a client. */
struct client {
	unsigned long	 pos;		/* the next line */
};

struct server {
	struct lws_context	*context;
	struct line		 lines[RING];
	unsigned long		 n_lines;
	char			 input[65536];
	size_t			 input_len;
};

static int
on_writeable(struct server *s, struct lws *wsi, struct client *c)
{
	struct line *line;

	if (c->pos == s->n_lines)
		return 0;
	line = &s->lines[c->pos++ % RING];
	if (lws_write(wsi, line->room + LWS_PRE, line->len,
	    LWS_WRITE_TEXT) < 0)
		return -1;
	if (c->pos < s->n_lines)
		(void)lws_callback_on_writable(wsi);
	return 0;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t len)
{
	struct server *s = lws_context_user(lws_get_context(wsi));
	struct client *c = user;

	(void)in;
	(void)len;
	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		c->pos = s->n_lines;
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return on_writeable(s, wsi, c);
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{ "broadcast", callback, sizeof(struct client), 4096, 0, NULL, 0 },
	{ "quiet", callback, sizeof(struct client), 4096, 1, NULL, 0 },
	{ NULL, NULL, 0, 0, 0, NULL, 0 }
};

static void
add_line(struct server *s, const char *text, size_t len)
{
	struct line *line = &s->lines[s->n_lines++ % RING];

	line->len = len < LINE_SIZE ? len : LINE_SIZE;
	memcpy(line->room + LWS_PRE, text, line->len);
}

static void
on_stdin(struct ev_loop *loop, ev_io *w, int revents)
{
	struct server *s = w->data;
	char *start = s->input, *eol;
	ssize_t n;

	(void)revents;
	n = read(STDIN_FILENO, s->input + s->input_len,
	    sizeof(s->input) - s->input_len);
	if (n <= 0) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	s->input_len += (size_t)n;
	for (;;) {
		eol = memchr(start, '\n',
		    s->input_len - (size_t)(start - s->input));
		if (eol == NULL)
			break;
		add_line(s, start, (size_t)(eol - start));
		start = eol + 1;
	}
	s->input_len -= (size_t)(start - s->input);
	memmove(s->input, start, s->input_len);
	(void)lws_callback_on_writable_all_protocol(s->context, &protocols[0]);
}

int
main(int argc, char **argv)
{
	static struct server s;
	struct lws_context_creation_info info;
	struct ev_loop *loop = ev_default_loop(0);
	void *loops[1] = { loop };
	struct rlimit rl;
	ev_io input;

	if (argc != 2) {
		(void)fputs("usage: lws-broadcast PORT <LINES\n", stderr);
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	lws_set_log_level(LLL_ERR, NULL);
	memset(&info, 0, sizeof(info));
	info.port = (int)strtol(argv[1], NULL, 10);
	info.iface = "127.0.0.1";
	info.protocols = protocols;
	info.options = LWS_SERVER_OPTION_LIBEV |
	    LWS_SERVER_OPTION_DISABLE_IPV6;
	info.foreign_loops = loops;
	info.user = &s;
	s.context = lws_create_context(&info);
	if (s.context == NULL)
		return 1;
	ev_io_init(&input, on_stdin, STDIN_FILENO, EV_READ);
	input.data = &s;
	ev_io_start(loop, &input);
	(void)ev_run(loop, 0);
	return 0;
}

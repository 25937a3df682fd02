/*
 * fcgi-park - the ceiling of held polls: libfcgi reads a request, its descriptor and number
 * are kept in a list, and a line on stdin answers all with records written by hand.
 *
 *   fcgi-park SOCKET THREADS <LINES
 *
 * The answer to line N is {"events":[LINE],"timestamp":"N"}.  A request whose query does not
 * end in the number of the last line is answered at once by that line; of those before it
 * nothing is kept.  Nobody looks after clients that have gone, and web servers
 * that keep connections are not meant.
 */
#include <sys/resource.h>
#include <sys/socket.h>

#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_HELD	20000
#define MAX_THREADS	256
#define LINE_SIZE	4096

enum { RECORD_END = 3, RECORD_STDOUT = 6, RECORD_HEAD = 8 };

struct held {
	int	 fd;
	int	 id;		/* of the request (FastCGI 1.0 section 3.3) */
};

/* The three records of an answer, but for the number of the request. */
struct answer {
	unsigned char	 bytes[3 * RECORD_HEAD + 8 + LINE_SIZE + 256];
	size_t		 len;
	size_t		 heads[3];
};

struct park {
	int		 listener;
	pthread_mutex_t	 lock;
	struct held	 held[MAX_HELD];	/* {lock} */
	int		 n_held;		/* {lock} */
	struct answer	 last;			/* {lock} */
	unsigned long	 n_lines;		/* {lock} */
};

static void
add_record(struct answer *a, int i, int type, const void *data, size_t len)
{
	unsigned char *head = a->bytes + a->len;

	memset(head, 0, RECORD_HEAD);
	head[0] = 1;
	head[1] = (unsigned char)type;
	head[4] = (unsigned char)(len >> 8);
	head[5] = (unsigned char)len;
	a->heads[i] = a->len;
	a->len += RECORD_HEAD;
	if (len > 0)
		memcpy(a->bytes + a->len, data, len);
	a->len += len;
}

static void
make_answer(struct answer *a, const char *line, unsigned long number)
{
	static const unsigned char end[8];
	char body[LINE_SIZE + 64], text[LINE_SIZE + 256];
	int len;

	len = snprintf(body, sizeof(body), "{\"events\":[%s],\"timestamp\":\"%lu\"}",
	    line, number);
	len = snprintf(text, sizeof(text), "Content-Type: application/json\r\n"
	    "Content-Length: %d\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "Vary: Authorization, Origin\r\n\r\n%s", len, body);
	a->len = 0;
	add_record(a, 0, RECORD_STDOUT, text, (size_t)len);
	add_record(a, 1, RECORD_STDOUT, NULL, 0);
	add_record(a, 2, RECORD_END, end, sizeof(end));
}

static void
answer_one(struct answer *a, const struct held *h)
{
	int i;

	for (i = 0; i < 3; i++) {
		a->bytes[a->heads[i] + 2] = (unsigned char)(h->id >> 8);
		a->bytes[a->heads[i] + 3] = (unsigned char)h->id;
	}
	/* What fails is a client that has gone. */
	(void)send(h->fd, a->bytes, a->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(h->fd);
}

static void
answer_all(struct park *p, struct answer *a)
{
	static struct held held[MAX_HELD];
	int i, n;

	(void)pthread_mutex_lock(&p->lock);
	p->last = *a;
	p->n_lines++;
	n = p->n_held;
	memcpy(held, p->held, sizeof(*held) * (size_t)n);
	p->n_held = 0;
	(void)pthread_mutex_unlock(&p->lock);
	for (i = 0; i < n; i++)
		answer_one(a, &held[i]);
}

/* The number behind the last '=' of the query. */
static unsigned long
cursor_of(const FCGX_Request *req)
{
	const char *query = FCGX_GetParam("QUERY_STRING", req->envp), *is;

	is = query != NULL ? strrchr(query, '=') : NULL;
	return is != NULL ? strtoul(is + 1, NULL, 10) : 0;
}

/* Parks h, or answers it at once. */
static void
take_one(struct park *p, const struct held *h, unsigned long cursor)
{
	struct answer last;
	int is_behind;

	(void)pthread_mutex_lock(&p->lock);
	is_behind = cursor != p->n_lines;
	if (is_behind)
		last = p->last;
	else if (p->n_held < MAX_HELD)
		p->held[p->n_held++] = *h;
	else
		(void)close(h->fd);
	(void)pthread_mutex_unlock(&p->lock);
	if (is_behind)
		answer_one(&last, h);
}

static void *
take_requests(void *arg)
{
	struct park *p = arg;
	struct held h;
	FCGX_Request req;
	unsigned long cursor;
	char rest[64];

	if (FCGX_InitRequest(&req, p->listener, 0) != 0)
		return NULL;
	while (FCGX_Accept_r(&req) >= 0) {
		/* To the end of its input, which is empty. */
		while (FCGX_GetStr(rest, sizeof(rest), req.in) > 0)
			;
		h.fd = req.ipcFd;
		h.id = req.requestId;
		cursor = cursor_of(&req);
		req.ipcFd = -1;
		FCGX_Free(&req, 0);
		take_one(p, &h, cursor);
	}
	return NULL;
}

static void
read_lines(struct park *p)
{
	static struct answer a;
	char line[LINE_SIZE];
	unsigned long n = 0;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		make_answer(&a, line, ++n);
		answer_all(p, &a);
	}
}

int
main(int argc, char **argv)
{
	static struct park p = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct rlimit rl;
	pthread_t thread;
	long i, n;

	n = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	if (n < 1 || n > MAX_THREADS) {
		(void)fputs("usage: fcgi-park SOCKET THREADS <LINES\n", stderr);
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	if (FCGX_Init() != 0)
		return 1;
	(void)signal(SIGTERM, SIG_DFL);	/* the library's handler just notes it */
	p.listener = FCGX_OpenSocket(argv[1], 4096);
	for (i = 0; i < n; i++) {
		if (pthread_create(&thread, NULL, take_requests, &p) != 0)
			return 1;
	}
	read_lines(&p);
	return 0;
}

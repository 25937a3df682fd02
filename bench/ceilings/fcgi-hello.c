/*
 * fcgi-hello - the ceiling of polls: libfcgi alone, whose threads accept and answer a
 * file's bytes to whatever is asked.
 *
 *   fcgi-hello SOCKET THREADS FILE
 *
 * With kept connections there must be as many threads as connections: libfcgi reads a
 * kept connection's next request before it accepts another.
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_FILE	65536
#define MAX_THREADS	256

struct hello {
	int	 listener;
	char	 body[MAX_FILE];
	size_t	 body_len;
};

static void *
serve(void *arg)
{
	const struct hello *h = arg;
	FCGX_Request req;

	if (FCGX_InitRequest(&req, h->listener, 0) != 0)
		return NULL;
	while (FCGX_Accept_r(&req) >= 0) {
		(void)FCGX_FPrintF(req.out, "Content-Type: application/json\r\n"
		    "Content-Length: %d\r\nCache-Control: no-store\r\n"
		    "X-Content-Type-Options: nosniff\r\n"
		    "Vary: Authorization, Origin\r\n\r\n", (int)h->body_len);
		(void)FCGX_PutStr(h->body, (int)h->body_len, req.out);
		FCGX_Finish_r(&req);
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	static struct hello h;
	pthread_t threads[MAX_THREADS];
	long i, n;
	FILE *f;

	n = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
	f = n >= 1 && n <= MAX_THREADS ? fopen(argv[3], "r") : NULL;
	if (f == NULL) {
		(void)fputs("usage: fcgi-hello SOCKET THREADS FILE\n", stderr);
		return 2;
	}
	h.body_len = fread(h.body, 1, sizeof(h.body), f);
	(void)fclose(f);
	if (FCGX_Init() != 0)
		return 1;
	(void)signal(SIGTERM, SIG_DFL);	/* the library's handler just notes it */
	h.listener = FCGX_OpenSocket(argv[1], 1024);
	for (i = 0; i < n; i++) {
		if (pthread_create(&threads[i], NULL, serve, &h) != 0)
			return 1;
	}
	for (i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	return 0;
}

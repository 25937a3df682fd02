/*
 * siteproc - another process that writes to the database, for unit tests.
 *
 * It is the test program again, executed (no SQLite handle may cross a fork), and does
 * what it is told, a line each: SQL, "open", "close", or "N SQL", which runs the SQL N
 * times.  It answers each line with "ok" or with SQLite's message.
 * A test program calls siteproc_main() before anything else.
 */
#ifndef SITEPROC_H
#define SITEPROC_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SITEPROC_DEADLINE_MS	60000

struct siteproc {
	pid_t	 pid;
	FILE	*in;	/* what we tell it */
	FILE	*out;	/* what it answers */
};

static inline const char *
siteproc_do(sqlite3 **db, const char *path, const char *line)
{
	char *end;
	long n = strtol(line, &end, 10);

	if (strcmp(line, "close") == 0) {
		(void)sqlite3_close(*db);
		*db = NULL;
		return "ok";
	}
	if (strcmp(line, "open") == 0) {
		if (sqlite3_open(path, db) != SQLITE_OK)
			return "cannot open";
		(void)sqlite3_busy_timeout(*db, SITEPROC_DEADLINE_MS);
		return "ok";
	}
	if (end == line)
		n = 1;
	for (; n > 0; n--)
		if (sqlite3_exec(*db, end, NULL, NULL, NULL) != SQLITE_OK)
			return sqlite3_errmsg(*db);
	return "ok";
}

/* -1: not such a process; else its exit status. */
static inline int
siteproc_main(int argc, char **argv)
{
	char line[4096];
	sqlite3 *db = NULL;

	if (argc != 3 || strcmp(argv[1], "--siteproc") != 0)
		return -1;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		(void)printf("%s\n", siteproc_do(&db, argv[2], line));
		(void)fflush(stdout);
	}
	(void)sqlite3_close(db);
	return 0;
}

static inline void
siteproc_tell(struct siteproc *p, const char *line)
{
	(void)fprintf(p->in, "%s\n", line);
	(void)fflush(p->in);
}

/* What it answered; NULL: nothing before the deadline. */
static inline const char *
siteproc_answer(struct siteproc *p)
{
	static char line[512];
	struct pollfd pfd = { .fd = fileno(p->out), .events = POLLIN };

	if (poll(&pfd, 1, SITEPROC_DEADLINE_MS) != 1 ||
	    fgets(line, sizeof(line), p->out) == NULL)
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	return line;
}

/* Waits until it is done, and fails unless it went well. */
static inline void
siteproc_join(struct siteproc *p)
{
	const char *line = siteproc_answer(p);

	if (line == NULL || strcmp(line, "ok") != 0) {
		(void)fprintf(stderr, "siteproc: %s\n",
		    line != NULL ? line : "no answer");
		abort();
	}
}

static inline void
siteproc_run(struct siteproc *p, const char *line)
{
	siteproc_tell(p, line);
	siteproc_join(p);
}

static inline void
siteproc_open(struct siteproc *p, const char *path)
{
	char self[] = "/proc/self/exe", flag[] = "--siteproc";
	char *argv[] = { self, flag, strdup(path), NULL };
	int to[2], from[2];

	if (argv[2] == NULL || pipe2(to, O_CLOEXEC) < 0 ||
	    pipe2(from, O_CLOEXEC) < 0)
		abort();
	p->pid = fork();
	if (p->pid == 0) {
		(void)dup2(to[0], 0);
		(void)dup2(from[1], 1);
		(void)execv(self, argv);
		_exit(127);
	}
	free(argv[2]);
	(void)close(to[0]);
	(void)close(from[1]);
	p->in = fdopen(to[1], "w");
	p->out = fdopen(from[0], "r");
	if (p->pid < 0 || p->in == NULL || p->out == NULL)
		abort();
	siteproc_run(p, "open");
}

/* Ends it by end of file, or by SIGKILL in whatever it is doing. */
static inline void
siteproc_end(struct siteproc *p, int is_killed)
{
	if (is_killed)
		(void)kill(p->pid, SIGKILL);
	(void)fclose(p->in);
	(void)waitpid(p->pid, NULL, 0);
	(void)fclose(p->out);
}

#endif

/*
 * health - what the port answers to plain HTTP: /healthz, /readyz, /metrics.
 *
 * Knows no library: a request is its path, an answer a status and a body.
 * Threads: the service thread.
 */
#ifndef HEALTH_H
#define HEALTH_H

#include "problem.h"

struct buf;
struct clients;
struct shm;
struct tail;

struct health_env {			/* borrowed */
	struct clients		*clients;
	const struct tail	*tail;
	struct shm		*shm;
};

struct health_answer {
	int		 status;
	const char	*type;		/* Content-Type */
};

/* Answers GET of path; the body is appended. */
void	 health_print(const struct health_env *env, const char *path,
	    struct buf *body, struct health_answer *ret);
/* Answers with a problem; detail NULL: its own. */
void	 health_print_problem(enum problem problem, const char *detail,
	    struct buf *body, struct health_answer *ret);

#endif

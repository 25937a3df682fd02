/*
 * provision - makes the user of a token who is not there yet (auth.provision).
 *
 * That is a commit, and commits wait for the disk: so the writer's thread makes
 * it, and the service thread goes on with the session when it has been told.
 */
#include <stdlib.h>

#include "err.h"
#include "session_impl.h"
#include "site.h"
#include "writer.h"

struct job {
	struct writer_job	 job;		/* first */
	struct provision	 p;
	struct clients		*clients;
	struct auth_claims	 claims;
	int			 err;
};

static struct job *
job_of(struct provision *p)
{
	return (struct job *)((char *)p - offsetof(struct job, p));
}

static int
run(struct writer_job *wj, struct store *st)
{
	struct job *job = (struct job *)wj;

	return site_provision(st, &job->claims);
}

/* On the writer's thread. */
static void
done(struct writer_job *wj, int err)
{
	struct job *job = (struct job *)wj;
	struct clients *c = job->clients;

	job->err = err;
	pthread_mutex_lock(&c->lock);
	job->p.next = c->made;
	c->made = &job->p;
	pthread_mutex_unlock(&c->lock);
	c->env.notify(c->env.notify_arg);
}

int
provision_start(struct session *s, const struct auth_claims *claims)
{
	struct job *job;
	int rc;

	job = calloc(1, sizeof(*job));
	if (job == NULL)
		return ERR_NOMEM;
	job->job.run = run;
	job->job.done = done;
	job->clients = s->clients;
	job->claims = *claims;
	job->p.session = s;
	rc = writer_put(s->clients->env.writer, &job->job);
	if (rc < 0) {
		free(job);
		return rc;
	}
	s->making = &job->p;
	return 0;
}

static struct provision *
take(struct clients *c)
{
	struct provision *p;

	pthread_mutex_lock(&c->lock);
	p = c->made;
	c->made = NULL;
	pthread_mutex_unlock(&c->lock);
	return p;
}

void
provision_collect(struct clients *c)
{
	struct provision *p, *next;
	struct job *job;

	for (p = take(c); p != NULL; p = next) {
		next = p->next;
		job = job_of(p);
		if (p->session != NULL) {
			p->session->making = NULL;
			session_made(p->session, job->claims.user_id, job->err);
		}
		free(job);
	}
}

void
provision_release(struct clients *c)
{
	struct provision *p, *next;

	for (p = take(c); p != NULL; p = next) {
		next = p->next;
		free(job_of(p));
	}
}

/*
 * POST /api/realtime/publish: an event of the site's own, by a token with scope
 * publish (protocol.md, section 6).
 *
 * The token is the site's, so its subject need not be a user. There is no limit
 * by rate: who may publish may also write to the database.
 */
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "auth.h"
#include "clock.h"
#include "err.h"
#include "errand.h"
#include "handler.h"
#include "publication.h"
#include "reply.h"
#include "request.h"
#include "stats.h"
#include "store.h"
#include "writer.h"

#define SCOPE	"publish"

struct publishing {
	struct errand		 errand;	/* first */
	struct writer_job	 job;
	struct publication	 publication;
	int64_t			 pos;
	int			 err;
	const char		*why;		/* static; NULL: the problem's own */
};

static struct publishing *
of_job(struct writer_job *job)
{
	return (struct publishing *)((char *)job -
	    offsetof(struct publishing, job));
}

static int
run(struct writer_job *job, struct store *st)
{
	struct publishing *p = of_job(job);

	p->why = NULL;
	return publication_write(&p->publication, st, &p->pos, &p->why);
}

static void
done(struct writer_job *job, int err)
{
	struct publishing *p = of_job(job);

	p->err = err;
	errand_done(&p->errand);
}

static void
start(struct errand *e)
{
	struct publishing *p = (struct publishing *)e;
	int rc;

	errand_add(e);
	rc = writer_put(e->app->writer, &p->job);
	if (rc < 0)
		done(&p->job, rc);
}

static void
answer(struct errand *e, struct reply *rep)
{
	const struct publishing *p = (struct publishing *)e;
	char pos[CLOCK_POS_SIZE];

	if (p->err < 0) {
		stats_add(e->app->shm, STATS_publish_refused, 1);
		reply_problem(rep, problem_of_err(p->err), p->why);
		return;
	}
	stats_add(e->app->shm, STATS_published, 1);
	rep->status = 201;
	buf_addf(&rep->body, "{\"timestamp\":\"%s\"}",
	    clock_print_pos(p->pos, pos));
}

static void
free_publishing(struct errand *e)
{
	struct publishing *p = (struct publishing *)e;

	publication_release(&p->publication);
	errand_release(e);
	free(p);
}

static const struct errand_ops errand_ops = { start, answer, free_publishing };

/* In a process that ends with its request. */
static void
run_here(struct handler *h, struct publishing *p)
{
	p->err = store_write(h->st);
	if (p->err == 0)
		p->err = run(&p->job, h->st);
	if (p->err >= 0)
		p->err = store_commit(h->st);
	else
		store_rollback(h->st);
}

static void
publish(struct handler *h, const struct request *req, struct reply *rep,
    struct later *later)
{
	struct publishing *p;
	const char *why = NULL;
	int rc = ERR_NOMEM;

	p = calloc(1, sizeof(*p));
	if (p != NULL)
		rc = publication_parse(req->body != NULL ? req->body : "",
		    req->body_len, &p->publication, &why);
	if (rc == 0) {
		rc = errand_init(&p->errand, h->app, &errand_ops, rep->origin);
		if (rc < 0)
			publication_release(&p->publication);
	}
	if (rc < 0) {
		free(p);
		stats_add(h->app->shm, STATS_publish_refused, 1);
		reply_problem(rep, problem_of_err(rc),
		    rc == ERR_INVAL ? why : NULL);
		return;
	}
	p->job.run = run;
	p->job.done = done;
	if (h->app->writer != NULL) {
		later->errand = &p->errand;
		return;
	}
	run_here(h, p);
	answer(&p->errand, rep);
	free_publishing(&p->errand);
}

void
publish_post(struct handler *h, const struct request *req, struct reply *rep,
    struct later *later)
{
	struct auth_claims claims;

	if (handler_check_token(h, req, rep, &claims) < 0 ||
	    handler_check_revoked(h, &claims, rep) < 0)
		return;
	if (!auth_has_scope(&claims, SCOPE)) {
		rep->scope = SCOPE;
		reply_problem(rep, PROBLEM_FORBIDDEN_SCOPE, NULL);
	} else if (handler_check_json(req, rep) == 0) {
		publish(h, req, rep, later);
	}
}

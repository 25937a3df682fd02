/*
 * POST /api/realtime/send: the frames of a socket, without one (protocol.md,
 * section 5).
 *
 * One frame is answered by its own status, a list by 200 and a list. What is to
 * be written goes to the writer, as from a socket; in a process that ends with
 * its request it is written here.
 */
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "auth.h"
#include "clock.h"
#include "conf.h"
#include "err.h"
#include "errand.h"
#include "handler.h"
#include "presence.h"
#include "reply.h"
#include "request.h"
#include "sending.h"
#include "stats.h"
#include "store.h"
#include "writer.h"

#define WHY_TYPE	"Only send, typing and bye can be sent here."
#define WHY_KEY		"Idempotency-Key must be 1 to 128 bytes, and go with one " \
			"frame of type send that has no other key."

enum fate {
	FATE_ANSWERED,		/* by sending.problem, or without an answer */
	FATE_WAITS		/* for the writer */
};

struct post_frame {
	struct sending	 sending;	/* first */
	struct post	*post;
	enum fate	 fate;
};

struct post {
	struct errand		 errand;	/* first */
	int			 is_list;
	size_t			 n, n_waiting;
	struct post_frame	 frame[];
};

static void
free_post(struct errand *e)
{
	struct post *post = (struct post *)e;
	size_t i;

	for (i = 0; i < post->n; i++)
		sending_release(&post->frame[i].sending);
	errand_release(e);
	free(post);
}

/* On the writer's thread. */
static void
done(struct writer_job *job, int err)
{
	struct post_frame *f = (struct post_frame *)job;

	sending_done(&f->sending, err);
	errand_done(&f->post->errand);
}

static void
start(struct errand *e)
{
	struct post *post = (struct post *)e;
	size_t i;
	int rc;

	for (i = 0; i < post->n; i++) {
		if (post->frame[i].fate != FATE_WAITS)
			continue;
		errand_add(e);
		rc = writer_put(e->app->writer, &post->frame[i].sending.job);
		if (rc < 0)
			done(&post->frame[i].sending.job, rc);
	}
}

/* --- the answer --- */

static void
answer_one(const struct sending *s, struct reply *rep)
{
	if (s->problem != PROBLEM_NONE) {
		rep->retry_after_s = (int)((s->retry_ms + 999) / 1000);
		reply_problem(rep, s->problem, s->detail);
		return;
	}
	sending_print(s, &rep->body);
	rep->status = rep->body.len == 0 ? 204 : s->is_duplicate ? 200 : 201;
}

static void
answer(struct errand *e, struct reply *rep)
{
	const struct post *post = (struct post *)e;
	size_t i, len;

	if (!post->is_list) {
		answer_one(&post->frame[0].sending, rep);
		return;
	}
	buf_addc(&rep->body, '[');
	for (i = 0; i < post->n; i++) {
		if (i > 0)
			buf_addc(&rep->body, ',');
		len = rep->body.len;
		sending_print(&post->frame[i].sending, &rep->body);
		if (rep->body.len == len)
			buf_adds(&rep->body, "null");
	}
	buf_addc(&rep->body, ']');
}

static const struct errand_ops errand_ops = { start, answer, free_post };

/* --- the request --- */

static void
say_bye(struct handler *h, const char *user_id)
{
	if (h->app->presence != NULL)
		presence_poll_bye(h->app->presence, user_id, clock_wall_ms());
	else if (presence_bye_once(h->st, user_id, clock_wall_ms()) < 0)
		stats_add(h->app->shm, STATS_commit_failures, 1);
}

static void
take_frame(struct handler *h, struct post_frame *f, struct frame *frame,
    const char *user_id)
{
	struct sending *s = &f->sending;
	enum frame_type type = frame->type;
	const char *why = frame->why;

	sending_init(s, frame, user_id, h->app->shm);
	s->job.done = done;
	f->fate = FATE_ANSWERED;
	if (type == FRAME_SEND || type == FRAME_TYPING) {
		if (sending_admit(s, h->app->conf, clock_mono_ms()))
			f->fate = FATE_WAITS;
	} else if (type == FRAME_BYE) {
		say_bye(h, user_id);
	} else {
		s->problem = PROBLEM_BAD_REQUEST;
		s->detail = why != NULL ? why : WHY_TYPE;
	}
}

/* A header's value, perhaps in quotes (RFC 8941 section 3.3.3); NULL: it cannot be a key. */
static char *
parse_key(const char *s)
{
	size_t len = strlen(s);

	if (len >= 2 && s[0] == '"' && s[len - 1] == '"') {
		s++;
		len -= 2;
	}
	if (len == 0 || len > FRAME_MAX_KEY ||
	    memchr(s, '"', len) != NULL || memchr(s, '\\', len) != NULL)
		return NULL;
	return strndup(s, len);
}

/* The header names the key of the one frame; 0: rep says what is wrong. */
static int
take_key(const struct request *req, struct frame *list, size_t n, int is_list,
    struct reply *rep)
{
	char *key;

	if (req->key[0] == '\0')
		return 1;
	key = parse_key(req->key);
	if (key == NULL || is_list || n != 1 || list->type != FRAME_SEND ||
	    (list->key != NULL && strcmp(list->key, key) != 0)) {
		free(key);
		reply_problem(rep, PROBLEM_BAD_REQUEST, WHY_KEY);
		return 0;
	}
	free(list->key);
	list->key = key;
	return 1;
}

/* The frames of the body; 0: rep says what is wrong. */
static int
parse(struct handler *h, const struct request *req, struct reply *rep,
    struct frame **ret, size_t *ret_n, int *ret_is_list)
{
	int rc;

	rc = frame_parse_list(req->body != NULL ? req->body : "", req->body_len,
	    ret, ret_n, ret_is_list);
	if (rc == ERR_TOOBIG) {
		reply_problem(rep, PROBLEM_TOO_LARGE,
		    "A list holds at most 100 frames.");
	} else if (rc < 0) {
		reply_problem(rep, problem_of_err(rc), rc == ERR_INVAL ?
		    "The body must be a frame, or a list of frames, in JSON." :
		    NULL);
	} else if (!*ret_is_list &&
	    req->body_len > (size_t)h->app->conf->ws_max_message) {
		reply_problem(rep, PROBLEM_TOO_LARGE, NULL);
	} else if (take_key(req, *ret, *ret_n, *ret_is_list, rep)) {
		return 1;
	}
	if (rc == 0)
		frame_free_list(*ret, *ret_n);
	return 0;
}

static struct post *
make_post(struct handler *h, struct frame *list, size_t n, int is_list,
    const char *user_id, const char *origin)
{
	struct post *post;
	size_t i;

	post = calloc(1, sizeof(*post) + n * sizeof(post->frame[0]));
	if (post == NULL ||
	    errand_init(&post->errand, h->app, &errand_ops, origin) < 0) {
		free(post);
		return NULL;
	}
	post->is_list = is_list;
	post->n = n;
	for (i = 0; i < n; i++) {
		post->frame[i].post = post;
		take_frame(h, &post->frame[i], &list[i], user_id);
		post->n_waiting += post->frame[i].fate == FATE_WAITS;
	}
	return post;
}

static void
run_here(struct handler *h, struct post *post)
{
	size_t i;

	for (i = 0; i < post->n; i++)
		if (post->frame[i].fate == FATE_WAITS)
			sending_run_now(&post->frame[i].sending, h->st);
}

static void
send_frames(struct handler *h, const struct request *req, struct reply *rep,
    const char *user_id, struct later *later)
{
	struct frame *list;
	struct post *post;
	size_t n;
	int is_list;

	if (!parse(h, req, rep, &list, &n, &is_list))
		return;
	post = make_post(h, list, n, is_list, user_id, rep->origin);
	frame_free_list(list, n);
	if (post == NULL) {
		reply_problem(rep, PROBLEM_OVERLOADED, NULL);
		return;
	}
	if (post->n_waiting > 0 && h->app->writer != NULL) {
		later->errand = &post->errand;
		return;
	}
	run_here(h, post);
	answer(&post->errand, rep);
	free_post(&post->errand);
}

void
send_post(struct handler *h, const struct request *req, struct reply *rep,
    struct later *later)
{
	struct auth_claims claims;

	if (handler_check_token(h, req, rep, &claims) == 0 &&
	    handler_check_user(h, &claims, rep) == 0 &&
	    handler_check_json(req, rep) == 0)
		send_frames(h, req, rep, claims.user_id, later);
}

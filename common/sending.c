/*
 * What clients have written (sending.h).
 *
 * A repeated message is looked up before anything else is asked, so that it is
 * answered as the first time even where its sender may not write any more.
 * Rights and row are of one transaction.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "conf.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "hash.h"
#include "rate.h"
#include "sending.h"
#include "shm.h"
#include "site.h"
#include "stats.h"
#include "store.h"

#define NO_ROOM		"There is no such room."
#define NO_USER		"The user of this token does not exist (any more)."

static void
refuse(struct sending *s, enum problem problem, const char *detail)
{
	s->problem = problem;
	s->detail = detail;
}

/* --- on the writer's thread --- */

static int
check_room(struct sending *s, struct store *st)
{
	int rc;

	rc = site_check_room(st, s->frame.room_id, s->user_id);
	if (rc == ERR_NOTFOUND)
		refuse(s, PROBLEM_NOT_FOUND, NO_ROOM);
	else if (rc == ERR_DENIED)
		refuse(s, PROBLEM_FORBIDDEN_ROOM, NULL);
	return rc;
}

/* The message, its event's place, its key. */
static int
write_message(struct sending *s, struct store *st, int64_t digest)
{
	const struct frame *f = &s->frame;
	int rc;

	rc = check_room(s, st);
	if (rc < 0)
		return rc;
	rc = site_post(st, f->room_id, s->user_id, f->content, f->content_len,
	    f->message_type, s->answer.message_id);
	if (rc == ERR_NOTFOUND)
		refuse(s, PROBLEM_REVOKED, NO_USER);
	else if (rc == ERR_INVAL)
		refuse(s, PROBLEM_BAD_REQUEST,
		    "The site's table does not take such a message.");
	if (rc < 0)
		return rc;
	rc = eventlog_find_message(st, s->answer.message_id, &s->answer.pos);
	if (rc == 0)
		return ERR_BUSY;	/* our triggers are being put back */
	if (rc < 0 || f->key == NULL)
		return rc < 0 ? rc : 0;
	return sends_add(st, s->user_id, f->key, digest, &s->answer);
}

static int
run_send(struct sending *s, struct store *st)
{
	const struct frame *f = &s->frame;
	int64_t digest = 0;
	int rc;

	s->is_duplicate = 0;
	if (f->key != NULL) {
		digest = sends_digest(f->room_id, f->content, f->content_len,
		    f->message_type);
		rc = sends_find(st, s->user_id, f->key, digest, &s->answer);
		if (rc == ERR_EXISTS)
			refuse(s, PROBLEM_KEY_REUSED, NULL);
		s->is_duplicate = rc == 1;
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	return write_message(s, st, digest);
}

static int
run_typing(struct sending *s, struct store *st)
{
	const struct frame *f = &s->frame;
	struct buf b;
	int64_t pos;
	int rc;

	rc = check_room(s, st);
	if (rc < 0)
		return rc;
	buf_init(&b, 8192);
	buf_adds(&b, "{\"roomId\":");
	event_print_string(&b, f->room_id, strlen(f->room_id));
	buf_adds(&b, ",\"userId\":");
	event_print_string(&b, s->user_id, strlen(s->user_id));
	buf_adds(&b, f->is_on ? ",\"on\":true}" : ",\"on\":false}");
	rc = buf_err(&b);
	if (rc == 0)
		rc = eventlog_append(st, "TYPING", f->room_id, NULL, s->user_id,
		    b.p, b.len, SENDING_TYPING_MS, &pos);
	buf_release(&b);
	return rc;
}

static int
run(struct writer_job *job, struct store *st)
{
	struct sending *s = (struct sending *)job;

	/* It may be run again, when the transaction failed. */
	refuse(s, PROBLEM_NONE, NULL);
	return s->frame.type == FRAME_SEND ? run_send(s, st) :
	    run_typing(s, st);
}

/* --- the owner's side --- */

void
sending_init(struct sending *s, struct frame *f, const char *user_id,
    struct shm *shm)
{
	memset(s, 0, sizeof(*s));
	s->job.run = run;
	s->frame = *f;
	memset(f, 0, sizeof(*f));
	(void)snprintf(s->user_id, sizeof(s->user_id), "%s", user_id);
	s->shm = shm;
}

void
sending_release(struct sending *s)
{
	frame_release(&s->frame);
}

static uint32_t
hash_note(const struct frame *f)
{
	uint32_t h = hash_text(f->room_id);

	return f->is_on ? h : ~h;
}

/* It was not written: the next one is news again. */
static void
forget_note(const struct sending *s)
{
	_Atomic uint64_t *note;

	if (s->frame.type != FRAME_TYPING)
		return;
	note = shm_user_note(shm_user(s->shm, s->user_id));
	if (note != NULL)
		atomic_store(note, 0);
}

static int
is_well_formed(struct sending *s, const struct conf *conf)
{
	const struct frame *f = &s->frame;

	if (f->why != NULL)
		refuse(s, PROBLEM_BAD_REQUEST, f->why);
	else if (f->content_len > SENDING_MAX_CONTENT ||
	    f->content_len > (size_t)conf->ws_max_message)
		refuse(s, PROBLEM_TOO_LARGE, "content is too long.");
	return s->problem == PROBLEM_NONE;
}

int
sending_admit(struct sending *s, const struct conf *conf, int64_t now_mono_ms)
{
	int per_s = conf->limit_send_per_s;
	struct shm_user *user;
	int wait_ms = 0;

	if (!is_well_formed(s, conf)) {
		stats_add(s->shm, STATS_sends_refused, 1);
		return 0;
	}
	user = shm_user(s->shm, s->user_id);
	if (s->frame.type == FRAME_TYPING && !rate_is_news(
	    shm_user_note(user), hash_note(&s->frame), SENDING_REPEAT_MS,
	    now_mono_ms)) {
		stats_add(s->shm, STATS_typing_coalesced, 1);
		return 0;
	}
	if (per_s > 0)
		wait_ms = rate_take(shm_user_bucket(user, 1), per_s,
		    per_s * SENDING_BURST, now_mono_ms);
	if (wait_ms == 0)
		return 1;
	refuse(s, PROBLEM_RATE_LIMITED, NULL);
	s->retry_ms = wait_ms;
	stats_add(s->shm, STATS_rate_limited, 1);
	forget_note(s);
	return 0;
}

void
sending_done(struct sending *s, int err)
{
	if (err < 0 && s->problem == PROBLEM_NONE)
		refuse(s, problem_of_err(err), NULL);
	if (s->problem != PROBLEM_NONE) {
		stats_add(s->shm, STATS_sends_refused, 1);
		forget_note(s);
	} else if (s->frame.type == FRAME_TYPING) {
		stats_add(s->shm, STATS_typing, 1);
	} else if (s->is_duplicate) {
		stats_add(s->shm, STATS_sends_repeated, 1);
	} else {
		stats_add(s->shm, STATS_sends, 1);
	}
}

void
sending_run_now(struct sending *s, struct store *st)
{
	int rc;

	rc = store_write(st);
	if (rc == 0)
		rc = s->job.run(&s->job, st);
	if (rc >= 0)
		rc = store_commit(st);
	else
		store_rollback(st);
	sending_done(s, rc);
}

void
sending_print(const struct sending *s, struct buf *b)
{
	if (s->problem != PROBLEM_NONE)
		frame_print_error(b, s->problem, s->detail, s->frame.key,
		    s->retry_ms);
	else if (s->frame.type == FRAME_SEND)
		frame_print_ack(b, s->frame.key, s->answer.message_id,
		    s->answer.pos, s->is_duplicate);
}

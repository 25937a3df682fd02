/*
 * sending - one frame of a client that asks to have something written: a message (`send`),
 * or that its user is typing (`typing`); the same for a socket and a POST.
 *
 * Its way: sending_init(); sending_admit() looks at what can be said without the
 * database (form, size, rate); a writer runs it beside others (writer.h), or
 * sending_run_now() alone; then sending_print() says how it went.  What was written
 * with a key is found again by it (sends.h).
 * Threads: a sending belongs to one thread at a time; the writer's from writer_put()
 * until done.
 */
#ifndef SENDING_H
#define SENDING_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "frame.h"
#include "sends.h"
#include "writer.h"

#define SENDING_MAX_CONTENT	(128 * 1024)	/* bytes, whatever ws.max_message allows: an
						 * event must hold it (event.h) */
#define SENDING_BURST		2	/* seconds' worth that may come at once */
#define SENDING_TYPING_MS	10000	/* a note is delivered for so long */
#define SENDING_REPEAT_MS	4000	/* the same note is not written again before */

struct buf;
struct conf;
struct shm;
struct store;

/* Embedded by its owner.  All but job.done is this module's to set. */
struct sending {
	struct writer_job	 job;		/* first; done: the owner's, it calls
						 * sending_done() first */
	struct frame		 frame;
	char			 user_id[AUTH_MAX_USER + 1];
	struct shm		*shm;
	struct sends_answer	 answer;	/* of a message that was written */
	int			 is_duplicate;
	enum problem		 problem;	/* PROBLEM_NONE: it went well */
	const char		*detail;	/* static; NULL: the problem's own */
	int64_t			 retry_ms;	/* 0: the problem's own */
};

/* Takes the content of f, a frame of FRAME_SEND or FRAME_TYPING.  shm is borrowed. */
void	 sending_init(struct sending *s, struct frame *f, const char *user_id,
	    struct shm *shm);
void	 sending_release(struct sending *s);

/* 1: it is for the writer; 0: it is answered already, by a problem or because the same was
 * just said. */
int	 sending_admit(struct sending *s, const struct conf *conf, int64_t now_mono_ms);
/* Within job.done, with its err: what it came to.  Also where the writer did not take it. */
void	 sending_done(struct sending *s, int err);
/* Without a writer: runs it in a transaction of its own on st, and sending_done(). */
void	 sending_run_now(struct sending *s, struct store *st);

/* Appends the answering frame: ack, error; nothing for a typing note that went well. */
void	 sending_print(const struct sending *s, struct buf *b);

#endif

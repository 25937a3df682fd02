/*
 * chores - what one process does for all, now and then: prunes the log and clears
 * the shared memory of dead processes.
 *
 * Threads: that of the loop; the pruning itself is the writer's.
 */
#ifndef CHORES_H
#define CHORES_H

#include <stdint.h>

struct chores;
struct conf;
struct shm;
struct writer;

#define CHORES_MS	60000

/* NULL: no memory.  All borrowed. */
struct chores *chores_new(const struct conf *conf, struct writer *writer,
	    struct shm *shm);
/* After writer_close(). */
void	 chores_free(struct chores *ch);
/* Does what is due; returns the monotonic ms of the next time. */
int64_t	 chores_tick(struct chores *ch, int64_t now_ms);

#endif

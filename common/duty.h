/*
 * duty - what a service does now and then beside serving: pruning the log and the keys
 * of sends, clearing what dead processes left in shared memory, presence, the supervisor's watchdog.
 *
 * Threads: that of the service's loop; what writes goes through the writer.
 */
#ifndef DUTY_H
#define DUTY_H

#include <stdint.h>

#include "attr.h"

#define DUTY_PRUNE_MS	60000	/* between two looks */
#define DUTY_PRUNE_ROWS	500	/* of each, removed in one transaction, for the site waits for it */
#define DUTY_SOON_MS	1000	/* until the next batch, while there is more */

struct conf;
struct duty;
struct presence;
struct shm;
struct writer;

/* Everything is borrowed until duty_close(). */
int	 duty_open(const struct conf *conf, struct writer *writer, struct shm *shm,
	    struct presence *presence, struct duty **ret) ATTR_MUST_CHECK;
/* After writer_close(), which may still run a job of it; NULL is fine. */
void	 duty_close(struct duty *d);

/* Does what is due; returns the milliseconds until it wants to be called again. */
int64_t	 duty_tick(struct duty *d, int64_t now_mono_ms);

#endif

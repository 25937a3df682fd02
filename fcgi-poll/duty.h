/*
 * duty - what is done now and then beside requests: pruning the log, clearing what
 * dead processes left in shared memory, presence, the supervisor's watchdog.
 *
 * Threads: the keeper's.
 */
#ifndef DUTY_H
#define DUTY_H

#include <stdint.h>

#include "attr.h"

#define DUTY_PRUNE_MS	60000	/* between two looks, while there is traffic */
#define DUTY_PRUNE_ROWS	500	/* removed in one transaction */

struct app;
struct duty;

int	 duty_open(struct app *app, struct duty **ret) ATTR_MUST_CHECK;
/* After writer_close(), which may still run a job of it; NULL is fine. */
void	 duty_close(struct duty *d);

/* Does what is due; n_events: read from the log since the last call.  Returns the
 * milliseconds until it wants to be called again. */
int64_t	 duty_tick(struct duty *d, int64_t now_mono_ms, uint64_t n_events);

#endif

/*
 * poll - GET /api/realtime/poll: answered now, or held (protocol.md, section 2).
 *
 * Threads: as the handler's.
 */
#ifndef POLL_H
#define POLL_H

#include <stdint.h>

#include "handler.h"

struct query;

handler_fn	 poll_get;

/* Whether the client keeps lastMessageId alone, so that the SYNC rule holds for it: it
 * sends that parameter, even empty, and no lastTimestamp.  raw is the query string. */
int	 poll_is_legacy(const struct query *q, const char *raw);
/* Whether the later cursor of q is certainly this position, without asking the log. */
int	 poll_is_at(const struct query *q, int64_t pos);
/* How long to hold, in ms: what was asked, at most max_wait_s, less up to a tenth by
 * chance (0..UINT32_MAX), so that clients do not come back all at once; and not beyond
 * the end of a token that ends left_ms from now. */
int64_t	 poll_wait_ms(int64_t asked_ms, int max_wait_s, uint32_t chance, int64_t left_ms);

#endif

/*
 * GET /api/realtime/status: which transports there are (protocol.md, section
 * 6).
 *
 * Needs no token: front ends ask before they have one.
 */
#include "clock.h"
#include "handler.h"
#include "lease.h"
#include "reply.h"

#define ALIVE_MS	10000	/* a sidecar's heartbeat is younger than this */

void
status_get(struct handler *h, const struct request *req, struct reply *rep,
    struct later *later)
{
	struct store *st;
	int64_t beat = 0;
	int is_alive, max_wait_s;

	(void)later;
	st = handler_store(h, rep);
	if (st == NULL || handler_note(h, lease_last_beat(st, &beat), rep) < 0)
		return;
	is_alive = beat > clock_wall_ms() - ALIVE_MS;
	max_wait_s = handler_max_wait_s(h, req);
	buf_addf(&rep->body, "{\"websocket_available\":%s,"
	    "\"longpolling_available\":true,\"recommended\":\"%s\","
	    "\"max_wait_s\":%d}", is_alive ? "true" : "false",
	    is_alive ? "websocket" : "polling", max_wait_s);
}

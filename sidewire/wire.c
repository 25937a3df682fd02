/*
 * wire - what lies between a visitor and ws-sidecar, looked at from outside.
 *
 * The handshake and the few frames that are needed are written here: what is asked for is
 * also what no client would send (RFC 6455; RFC 7540 section 3.2).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"
#include "clock.h"
#include "doctor.h"
#include "err.h"
#include "shm.h"
#include "stats.h"
#include "visit.h"

#define WIRE_MS		10000	/* for an answer */
#define MAX_HEAD	8192
#define MAX_FRAME	65536
#define REFUSED		1008	/* how ws-sidecar closes on a token that is none */
#define PING_SLACK_S	3	/* beyond ws.ping_s, to see the ping */

/* The key of RFC 6455 section 1.3 and its answer, so that no SHA-1 is needed. */
#define KEY		"dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT		"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct frame {
	int	opcode;
	size_t	len;
	char	data[MAX_FRAME + 1];	/* and a NUL */
};

/* Reads exactly len bytes; ERR_CLOSED, ERR_EXPIRED. */
static int
read_all(struct visit_line *line, void *ret, size_t len, int64_t end_mono_ms)
{
	char *p = ret;
	ssize_t n;

	while (len > 0) {
		n = visit_receive(line, p, len, end_mono_ms - clock_mono_ms());
		if (n <= 0)
			return n == 0 ? ERR_CLOSED : (int)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The next frame of the server (unmasked, never in parts here); ERR_INVAL: no frame of ours. */
static int
read_frame(struct visit_line *line, struct frame *ret, int64_t timeout_ms)
{
	int64_t end = clock_mono_ms() + timeout_ms;
	unsigned char head[2], size[8];
	size_t i, n;
	int rc;

	rc = read_all(line, head, 2, end);
	if (rc < 0)
		return rc;
	ret->opcode = head[0] & 15;
	ret->len = head[1] & 0x7f;
	n = ret->len == 126 ? 2 : ret->len == 127 ? 8 : 0;
	rc = n > 0 ? read_all(line, size, n, clock_mono_ms() + WIRE_MS) : 0;
	if (rc < 0)
		return rc;
	for (i = 0, ret->len = n > 0 ? 0 : ret->len; i < n; i++)
		ret->len = ret->len << 8 | size[i];
	if (ret->len > MAX_FRAME || head[1] & 0x80)
		return ERR_INVAL;
	ret->data[ret->len] = '\0';
	return read_all(line, ret->data, ret->len, clock_mono_ms() + WIRE_MS);
}

/* A frame of at most 125 bytes, with a mask of zeros: the bytes are no secret. */
static int
send_frame(struct visit_line *line, int opcode, const void *data, size_t len)
{
	unsigned char out[6 + 125] = { (unsigned char)(0x80 | opcode),
	    (unsigned char)(0x80 | len) };

	if (len > 125)
		return ERR_TOOBIG;
	memcpy(out + 6, data, len);
	return visit_send(line, out, 6 + len);
}

/* The head of the answer, to its empty line; 0, ERR_CLOSED, ERR_EXPIRED. */
static int
read_head(struct visit_line *line, char *ret)
{
	int64_t end = clock_mono_ms() + WIRE_MS;
	size_t n = 0;
	int rc;

	do {
		rc = n < MAX_HEAD - 1 ? read_all(line, ret + n, 1, end) : ERR_TOOBIG;
		if (rc < 0)
			break;
		n++;
	} while (n < 4 || memcmp(ret + n - 4, "\r\n\r\n", 4) != 0);
	ret[n] = '\0';
	return rc;
}

static int
status_of(const char *head)
{
	const char *p = strchr(head, ' ');

	return strncmp(head, "HTTP/", 5) != 0 || p == NULL ? 0 :
	    (int)strtol(p, NULL, 10);
}

/* Shakes hands; *ret_status is the answer's, 0 where there was none.  With 101 the line
 * stays open, else it is closed and *ret NULL. */
static void
shake(struct visit *v, const char *path, const char *token, const char *upgrade,
    struct visit_line **ret, int *ret_status, int *ret_is_proper)
{
	char head[MAX_HEAD + 9000], why[256];

	*ret = NULL;
	*ret_status = 0;
	(void)snprintf(head, sizeof(head), "Authorization: Bearer %s\r\n%s"
	    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n", token,
	    upgrade);
	if (visit_call(v, path, head, ret, why, sizeof(why)) < 0)
		return;
	if (read_head(*ret, head) == 0)
		*ret_status = status_of(head);
	*ret_is_proper = strstr(head, ACCEPT) != NULL;
	if (*ret_status != 101) {
		visit_hang_up(*ret);
		*ret = NULL;
	}
}

#define WEBSOCKET	"Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define H2C		"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n" \
			"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
#define NOBODY		"e30.e30.sidewire-doctor"

static const char *
why_no_socket(int status)
{
	if (status == 502 || status == 503 || status == 504)
		return "start ws-sidecar, and see that ws.listen is where the web "
		    "server looks for it";
	if (status == 403)
		return "allow the site's origin: ws.origins";
	return "include deploy/ of your web server: ws.path goes to ws-sidecar with "
	    "Upgrade: websocket";
}

static void
check_socket(struct doctor *d, struct visit *v, struct frame *f)
{
	const char *path = d->cli->conf.ws_path;
	struct visit_line *line;
	int status, rc = ERR_CLOSED, is_proper = 0;

	shake(v, path, NOBODY, WEBSOCKET, &line, &status, &is_proper);
	if (status == 101 && is_proper)
		rc = read_frame(line, f, WIRE_MS);
	if (rc == 0 && f->opcode == OP_CLOSE && f->len >= 2 &&
	    ((unsigned char)f->data[0] << 8 | (unsigned char)f->data[1]) == REFUSED)
		report_add(&d->report, VERDICT_OK, "socket", NULL, "%s%s reaches "
		    "ws-sidecar", d->url, path);
	else if (status != 101)
		report_add(&d->report, VERDICT_FAIL, "socket", why_no_socket(status),
		    "%s%s: the handshake is answered %d", d->url, path, status);
	else
		report_add(&d->report, VERDICT_FAIL, "socket", "let nothing but the "
		    "web server stand between, and that pass frames both ways",
		    "%s%s: shakes hands, but no frame comes back", d->url, path);
	visit_hang_up(line);
}

/* Its counter tells whether ws-sidecar saw it.  An answer of 101 tells nothing: a web server
 * may speak HTTP/2 itself. */
static void
check_h2c(struct doctor *d, struct visit *v)
{
	struct visit_line *line;
	uint64_t before;
	int status, is_proper;

	if (d->shm == NULL || shm_processes(d->shm, SHM_SIDECAR) == 0) {
		report_add(&d->report, VERDICT_SKIP, "h2c", NULL,
		    "no sidecar runs here that could tell what it was asked for");
		return;
	}
	before = stats_get(d->shm, STATS_ws_upgrades_refused);
	shake(v, d->cli->conf.ws_path, NOBODY, H2C, &line, &status, &is_proper);
	visit_hang_up(line);
	if (stats_get(d->shm, STATS_ws_upgrades_refused) != before)
		report_add(&d->report, VERDICT_WARN, "h2c", "let the web server send "
		    "the literal Upgrade: websocket, on ws.path alone",
		    "Upgrade: h2c was passed on to ws-sidecar, which refused it");
	else
		report_add(&d->report, VERDICT_OK, "h2c", NULL,
		    "Upgrade: h2c does not reach ws-sidecar");
}

/* Stays silent for wait_s, but for pongs; 0, or ERR_CLOSED with *ret_ms after how long. */
static int
keep_silent(struct visit_line *line, int64_t wait_s, struct frame *f,
    int64_t *ret_ms, int *ret_pings)
{
	int64_t began = clock_mono_ms(), end = began + wait_s * 1000;
	int rc = 0;

	while (clock_mono_ms() < end && rc == 0) {
		rc = read_frame(line, f, end - clock_mono_ms());
		if (rc == 0 && f->opcode == OP_PING) {
			(*ret_pings)++;
			rc = send_frame(line, OP_PONG, f->data, f->len);
		} else if (rc == 0 && f->opcode == OP_CLOSE) {
			rc = ERR_CLOSED;
		}
	}
	*ret_ms = clock_mono_ms() - began;
	return rc == ERR_EXPIRED ? 0 : rc;
}

/* The pong that our protocol promises; other events may come before. */
static int
is_answered(struct visit_line *line, struct frame *f)
{
	static const char ping[] = "{\"type\":\"ping\"}";
	int64_t end = clock_mono_ms() + WIRE_MS;
	int rc;

	rc = send_frame(line, OP_TEXT, ping, sizeof(ping) - 1);
	while (rc == 0) {
		rc = read_frame(line, f, end - clock_mono_ms());
		if (rc == 0 && f->opcode == OP_TEXT &&
		    strcmp(f->data, "{\"type\":\"pong\"}") == 0)
			return 1;
	}
	return 0;
}

static void
check_idle_line(struct doctor *d, struct visit_line *line, struct frame *f)
{
	int64_t wait_s = d->wait_s, took;
	int pings = 0;

	if (wait_s > d->cli->conf.ws_ping_s + PING_SLACK_S)
		wait_s = d->cli->conf.ws_ping_s + PING_SLACK_S;
	if (keep_silent(line, wait_s, f, &took, &pings) < 0)
		report_add(&d->report, VERDICT_FAIL, "idle", "raise the time-out of "
		    "the way, or set ws.ping_s below it", "a silent socket was "
		    "cut after %" PRId64 ".%" PRId64 " s", took / 1000,
		    took % 1000 / 100);
	else if (!is_answered(line, f))
		report_add(&d->report, VERDICT_FAIL, "idle", "raise the time-out of "
		    "the way, or set ws.ping_s below it", "a socket that was "
		    "silent for %" PRId64 " s answers no more", wait_s);
	else
		report_add(&d->report, VERDICT_OK, "idle", NULL, "a socket that was "
		    "silent for %" PRId64 " s still answers%s", wait_s, pings > 0 ?
		    ", and the sidecar's pings come through" :
		    "; ws.ping_s is longer, --wait looks further");
}

static void
check_idle(struct doctor *d, struct visit *v, struct frame *f)
{
	char path[1200], mark[17];
	struct visit_line *line;
	const char *why;
	char *token = doctor_sign(d, d->wait_s + 300, &why);
	int status, is_proper;

	if (token == NULL || d->wait_s == 0) {
		report_add(&d->report, VERDICT_SKIP, "idle", NULL, "%s",
		    token == NULL ? why : "--wait 0");
		free(token);
		return;
	}
	doctor_mark(mark, 16);
	(void)snprintf(path, sizeof(path), "%s?rooms=%s", d->cli->conf.ws_path, mark);
	shake(v, path, token, WEBSOCKET, &line, &status, &is_proper);
	free(token);
	if (status != 101)
		report_add(&d->report, VERDICT_FAIL, "idle", why_no_socket(status),
		    "the handshake is answered %d", status);
	else
		check_idle_line(d, line, f);
	visit_hang_up(line);
}

void
wire_check(struct doctor *d, struct visit *v)
{
	struct frame *f = malloc(sizeof(*f));

	if (f == NULL) {
		report_add(&d->report, VERDICT_FAIL, "socket", NULL, "out of memory");
		return;
	}
	check_socket(d, v, f);
	check_h2c(d, v);
	check_idle(d, v, f);
	free(f);
}

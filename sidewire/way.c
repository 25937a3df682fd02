/*
 * way - what lies between a visitor and fcgi-poll, looked at from outside.
 *
 * Most checks ask with a token that nobody signed: an answer that calls it invalid has seen
 * it.  Only the held poll needs a user's.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "cli.h"
#include "clock.h"
#include "doctor.h"
#include "err.h"
#include "eventlog.h"
#include "publication.h"
#include "visit.h"

#define API		"/api/realtime"
#define ASK_MS		15000
#define ANSWER_MAX	65536	/* bytes of a body */
#define MAX_PATH	4096
#define SEEN		64	/* bytes by which a file is known */
#define LATE_MS		1500	/* from a commit to an answer: something keeps it */
#define CLOCK_S		5
#define NOBODY		"Authorization: Bearer e30.e30.sidewire-doctor"
#define FOREIGN		"https://sidewire-doctor.invalid"
#define EVENT		"SIDEWIRE_DOCTOR"

struct way {
	struct doctor	*d;
	struct visit	*v;
	struct report	*report;
	int		 max_wait_s;	/* as the status says; -1: it does not */
	int		 has_sidecar;
};

/* One request, complained of under this check's name where it fails. */
static int
ask(struct way *w, const char *check, const char *method, const char *path,
    const char *header, struct visit_answer *ret)
{
	struct visit_request req = { .method = method, .path = path,
	    .header = { header, NULL }, .timeout_ms = ASK_MS, .max = ANSWER_MAX };
	char why[512];
	int rc;

	rc = visit_ask(w->v, &req, ret, NULL, why, sizeof(why));
	if (rc < 0)
		report_add(w->report, VERDICT_FAIL, check, "is the web server up, and "
		    "this the site's URL?", "%s%s: %s", w->d->url, path, why);
	return rc;
}

/* --- the routes --- */

/* The number behind "name": in an answer of ours; -1 without one. */
static int
number_of(const char *json, const char *name)
{
	const char *p = strstr(json, name);

	return p == NULL ? -1 : (int)strtol(p + strlen(name), NULL, 10);
}

static const char *
why_no_route(int status)
{
	if (status >= 300 && status < 400)
		return "give the URL that it sends on to";
	if (status == 502 || status == 503 || status == 504)
		return "start fcgi-poll, and see that the web server's user may write "
		    "to its socket";
	return "include deploy/ of your web server: " API "/ goes to fcgi-poll";
}

/* Whether fcgi-poll answers. */
static int
check_route(struct way *w)
{
	struct visit_answer answer;
	char server[128];
	int is_good;

	if (ask(w, "route", NULL, API "/status", NULL, &answer) < 0)
		return 0;
	w->max_wait_s = number_of(buf_str(&answer.body), "\"max_wait_s\":");
	w->has_sidecar = strstr(buf_str(&answer.body),
	    "\"websocket_available\":true") != NULL;
	is_good = answer.status == 200 && w->max_wait_s >= 0;
	(void)visit_header(&answer, "Server", server, sizeof(server));
	if (is_good)
		report_add(w->report, VERDICT_OK, "route", NULL, "%s%s reaches "
		    "fcgi-poll in %" PRId64 " ms; server: %s", w->d->url, API,
		    answer.took_ms, server[0] != '\0' ? server : "not named");
	else
		report_add(w->report, VERDICT_FAIL, "route",
		    why_no_route(answer.status), "%s%s/status: %d, and not from "
		    "fcgi-poll", w->d->url, API, answer.status);
	visit_release(&answer);
	return is_good;
}

static void
check_tls(struct way *w)
{
	if (visit_is_https(w->v))
		report_add(w->report, VERDICT_OK, "tls", NULL,
		    "the certificate is that of %s", visit_host(w->v));
	else if (visit_is_loopback(w->v))
		report_add(w->report, VERDICT_OK, "tls", NULL,
		    "none, and none needed on loopback");
	else
		report_add(w->report, VERDICT_WARN, "tls", "serve the site by https",
		    "tokens and messages travel in the clear");
}

static void
check_authorization(struct way *w)
{
	struct visit_answer answer;
	const char *body;

	if (ask(w, "authorization", NULL, API "/poll", NOBODY, &answer) < 0)
		return;
	body = buf_str(&answer.body);
	if (answer.status == 401 && strstr(body, "\"invalid_token\"") != NULL)
		report_add(w->report, VERDICT_OK, "authorization", NULL,
		    "the header arrives");
	else if (answer.status == 401 && strstr(body, "\"missing_token\"") != NULL)
		report_add(w->report, VERDICT_FAIL, "authorization", "Apache: "
		    "CGIPassAuth On; elsewhere: let the header pass",
		    "the header is stripped on the way");
	else
		report_add(w->report, VERDICT_FAIL, "authorization", "let nothing "
		    "else protect " API "/: its tokens are Sidewire's to judge",
		    "a request with a token is answered %d, and not by fcgi-poll",
		    answer.status);
	visit_release(&answer);
}

/* --- files that nobody should get --- */

static void
add_escaped(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++)
		buf_addf(b, isalnum((unsigned char)*s) || strchr("/-._~", *s) != NULL ?
		    "%c" : "%%%02X", (unsigned char)*s);
}

/* Whether the site gives the file out at this path: known by how it begins. */
static int
is_given(struct way *w, const char *path, const char *bytes, size_t len)
{
	struct visit_request req = { .timeout_ms = ASK_MS, .max = SEEN };
	struct visit_answer answer;
	struct buf url;
	char why[256];
	int is = 0;

	buf_init(&url, 4 * MAX_PATH);
	add_escaped(&url, path);
	req.path = buf_str(&url);
	if (buf_err(&url) == 0 &&
	    visit_ask(w->v, &req, &answer, NULL, why, sizeof(why)) == 0) {
		is = answer.status == 200 && answer.body.len >= len &&
		    memcmp(answer.body.p, bytes, len) == 0;
		visit_release(&answer);
	}
	buf_release(&url);
	return is;
}

/* Asks for each end of the file's path, for the document root may be any directory above
 * it; returns whether it was given. */
static int
look_for(struct way *w, const char *file, const char *bytes, size_t len)
{
	char path[MAX_PATH];
	const char *end;

	for (end = file; end != NULL; end = strchr(end + 1, '/')) {
		(void)snprintf(path, sizeof(path), "%s%s",
		    end[0] == '/' ? "" : "/", end);
		if (!is_given(w, path, bytes, len))
			continue;
		report_add(w->report, VERDICT_FAIL, "exposed", "move it out of the "
		    "document root, and make a new key: it may be known",
		    "anybody gets %s at %s%s", file, w->d->url, path);
		return 1;
	}
	return 0;
}

static int
look_for_key(struct way *w, const char *file)
{
	char bytes[SEEN];
	size_t len = 0;
	FILE *f;

	f = fopen(file, "re");
	if (f != NULL) {
		len = fread(bytes, 1, sizeof(bytes), f);
		(void)fclose(f);
	}
	return len > 0 && look_for(w, file, bytes, len);
}

/* The database is not read to compare: closing it would drop SQLite's locks on it. */
static void
check_exposed(struct way *w)
{
	static const char db_magic[] = "SQLite format 3", wal_magic[] = "\x37\x7f\x06";
	const struct conf *conf = &w->d->cli->conf;
	const char *db = w->d->cli->st != NULL ? store_path(w->d->cli->st) :
	    conf->database;
	char wal[MAX_PATH];
	int n;

	(void)snprintf(wal, sizeof(wal), "%s-wal", db);
	n = look_for(w, db, db_magic, sizeof(db_magic));
	n += look_for(w, wal, wal_magic, sizeof(wal_magic) - 1);
	n += look_for_key(w, conf->jwt_key_file);
	if (conf->jwt_previous_key_file[0] != '\0')
		n += look_for_key(w, conf->jwt_previous_key_file);
	if (n == 0)
		report_add(w->report, VERDICT_OK, "exposed", NULL, "neither database "
		    "nor key is given out by URL");
}

/* --- other origins --- */

static void
check_foreign(struct way *w)
{
	struct visit_answer answer;
	char allowed[256];

	if (ask(w, "cors", NULL, API "/status", "Origin: " FOREIGN, &answer) < 0)
		return;
	if (visit_header(&answer, "Access-Control-Allow-Origin", allowed,
	    sizeof(allowed)) > 0)
		report_add(w->report, VERDICT_FAIL, "cors", "let the web server add no "
		    "Access-Control headers here: cors.origins says who may",
		    "a page of any origin may poll (%s), and cors.origins does not "
		    "say so", allowed);
	else
		report_add(w->report, VERDICT_OK, "cors", NULL,
		    "pages of other origins may not poll");
	visit_release(&answer);
}

/* As a browser asks before it sends a token. */
static void
check_preflight(struct way *w, const char *origin)
{
	struct visit_request req = { .method = "OPTIONS", .path = API "/poll",
	    .timeout_ms = ASK_MS, .max = ANSWER_MAX };
	struct visit_answer answer;
	char header[600], allowed[512], why[256];
	int n;

	(void)snprintf(header, sizeof(header), "Origin: %s", origin);
	req.header[0] = header;
	req.header[1] = "Access-Control-Request-Method: GET";
	req.header[2] = "Access-Control-Request-Headers: authorization";
	if (visit_ask(w->v, &req, &answer, NULL, why, sizeof(why)) < 0) {
		report_add(w->report, VERDICT_FAIL, "cors", "is the web server up?",
		    "OPTIONS: %s", why);
		return;
	}
	n = visit_header(&answer, "Access-Control-Allow-Origin", allowed,
	    sizeof(allowed));
	if (n > 1)
		report_add(w->report, VERDICT_FAIL, "cors", "let the web server add no "
		    "Access-Control headers here: browsers take only one",
		    "%d headers allow %s", n, origin);
	else if (answer.status / 100 != 2 || n == 0 ||
	    (strcmp(allowed, origin) != 0 && strcmp(allowed, "*") != 0))
		report_add(w->report, VERDICT_FAIL, "cors", "let the web server pass "
		    "OPTIONS on to fcgi-poll, and its headers back",
		    "a page of %s may not poll, though cors.origins allows it: "
		    "OPTIONS is answered %d", origin, answer.status);
	else
		report_add(w->report, VERDICT_OK, "cors", NULL, "pages of %s may poll",
		    origin);
	visit_release(&answer);
}

static void
check_cors(struct way *w)
{
	const struct conf_list *origins = &w->d->cli->conf.cors_origins;

	if (origins->len == 0)
		check_foreign(w);
	else
		check_preflight(w, strcmp(origins->item[0], "*") == 0 ? FOREIGN :
		    origins->item[0]);
}

/* --- time --- */

static void
check_date(struct way *w)
{
	struct visit_answer answer;
	char date[64];
	struct tm tm = { .tm_sec = 0 };
	int64_t off;

	if (ask(w, "date", NULL, API "/status", NULL, &answer) < 0)
		return;
	if (visit_header(&answer, "Date", date, sizeof(date)) == 0 ||
	    strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL) {
		report_add(w->report, VERDICT_SKIP, "date", NULL,
		    "the web server does not tell its time");
		visit_release(&answer);
		return;
	}
	off = (int64_t)timegm(&tm) - clock_wall_s();
	if (off > CLOCK_S || off < -CLOCK_S)
		report_add(w->report, VERDICT_FAIL, "date", "keep both clocks by NTP: "
		    "tokens expire early, or are not yet valid",
		    "the clock of the web server differs from this one by %" PRId64
		    " s", off);
	else
		report_add(w->report, VERDICT_OK, "date", NULL,
		    "the web server's clock and this one agree");
	visit_release(&answer);
}

/* The path of a poll as our user, held for wait_s from the present on; 0 or an error. */
static int
poll_path(struct way *w, int wait_s, char *ret, size_t size)
{
	char when[CLOCK_POS_SIZE], mark[17];
	int64_t head;

	if (w->d->cli->st == NULL || eventlog_head(w->d->cli->st, &head) < 0)
		return ERR_IO;
	doctor_mark(mark, 16);
	(void)snprintf(ret, size, API "/poll?timeout=%d&client=%s&rooms=%s"
	    "&lastTimestamp=%s", wait_s, mark, mark, clock_print_pos(head, when));
	return 0;
}

/* Appends an event for our user alone; its place, or an error. */
static int64_t
publish(struct way *w)
{
	struct store *st = w->d->cli->st;
	struct publication p = { .type = (char[]){ EVENT }, .payload = (char[]){ "{}" },
	    .payload_len = 2, .ttl_ms = 60000 };
	char user[256];
	const char *why;
	int64_t pos;
	int rc;

	(void)snprintf(user, sizeof(user), "%s", w->d->user);
	p.user_id = user;
	rc = store_write(st);
	if (rc == 0)
		rc = publication_write(&p, st, &pos, &why);
	if (rc >= 0)
		rc = store_commit(st);
	else
		store_rollback(st);
	return rc < 0 ? rc : pos;
}

/* Asks for a poll that may be held, and reads until our event comes; how long that took
 * after its commit, or an error. */
static int64_t
time_of_event(struct way *w, const char *token)
{
	char path[512], head[9000], data[4096], why[256];
	struct visit_line *line;
	int64_t committed, took = ERR_CLOSED;
	struct buf got;
	ssize_t n;

	if (poll_path(w, 20, path, sizeof(path)) < 0)
		return ERR_IO;
	(void)snprintf(head, sizeof(head), "Authorization: Bearer %s\r\n"
	    "Accept: application/json\r\nConnection: close\r\n", token);
	if (visit_call(w->v, path, head, &line, why, sizeof(why)) < 0)
		return ERR_CLOSED;
	buf_init(&got, ANSWER_MAX);
	/* A moment, so that it is held; where it is not, that is found here. */
	n = visit_receive(line, data, sizeof(data), 500);
	if (n == ERR_EXPIRED && publish(w) > 0) {
		committed = clock_mono_ms();
		do {
			n = visit_receive(line, data, sizeof(data), ASK_MS);
			buf_add(&got, data, n > 0 ? (size_t)n : 0);
			if (strstr(buf_str(&got), EVENT) != NULL)
				took = clock_mono_ms() - committed;
		} while (n > 0 && took < 0 && buf_err(&got) == 0);
	} else if (n >= 0) {
		took = ERR_BUSY;
	}
	buf_release(&got);
	visit_hang_up(line);
	return took;
}

static void
check_buffering(struct way *w, const char *token)
{
	int64_t took = time_of_event(w, token);

	if (took == ERR_BUSY)
		report_add(w->report, VERDICT_SKIP, "buffering", NULL,
		    "a poll did not stay open: try again when less happens");
	else if (took < 0)
		report_add(w->report, VERDICT_FAIL, "buffering", "look for what ends "
		    "long requests: time-outs of the web server, a proxy before it",
		    "an event that was published did not reach a held poll");
	else if (took > LATE_MS)
		report_add(w->report, VERDICT_FAIL, "buffering", "switch buffering of "
		    "answers off on the way: proxies, CDN, compression, rate limits",
		    "an event took %" PRId64 " ms from its commit to a held poll",
		    took);
	else
		report_add(w->report, VERDICT_OK, "buffering", NULL, "an event took %"
		    PRId64 " ms from its commit to a held poll", took);
}

static void
check_hold(struct way *w, const char *token, int wait_s)
{
	char path[512], why[256], bearer[9000];
	struct visit_request req = { .path = path, .header = { bearer },
	    .timeout_ms = wait_s * 1000 + ASK_MS, .max = ANSWER_MAX };
	struct visit_answer answer;
	int64_t took;
	int status = 0, rc;

	(void)snprintf(bearer, sizeof(bearer), "Authorization: Bearer %s", token);
	if (poll_path(w, wait_s, path, sizeof(path)) < 0)
		return;
	rc = visit_ask(w->v, &req, &answer, &took, why, sizeof(why));
	if (rc == 0) {
		status = answer.status;
		(void)snprintf(why, sizeof(why), "answered %d", status);
		visit_release(&answer);
	}
	if (status != 200)
		report_add(w->report, VERDICT_FAIL, "hold", "raise the time-outs on the "
		    "way above poll.max_wait_s, or set that below them",
		    "a poll that was to be held for %d s was cut after %" PRId64
		    ".%" PRId64 " s: %s", wait_s, took / 1000, took % 1000 / 100,
		    why);
	else if (took < wait_s * 900 - 100)
		report_add(w->report, VERDICT_SKIP, "hold", NULL, "events ended the "
		    "poll after %" PRId64 " ms: try again when less happens", took);
	else
		report_add(w->report, VERDICT_OK, "hold", NULL, "a poll was held for %"
		    PRId64 ".%" PRId64 " s%s", took / 1000, took % 1000 / 100,
		    wait_s < w->max_wait_s ?
		    "; poll.max_wait_s is longer, --wait looks further" : "");
}

static void
check_holding(struct way *w)
{
	const char *why = "poll.max_wait_s, or Apache, lets none be held";
	char *token = NULL;
	int64_t wait_s = w->d->wait_s;

	if (w->max_wait_s > 0)
		token = doctor_sign(w->d, wait_s + 300, &why);
	if (token == NULL) {
		report_add(w->report, VERDICT_SKIP, "buffering", NULL, "%s", why);
		report_add(w->report, VERDICT_SKIP, "hold", NULL, "%s", why);
		return;
	}
	check_buffering(w, token);
	if (wait_s > w->max_wait_s)
		wait_s = w->max_wait_s;
	if (wait_s > 0)
		check_hold(w, token, (int)wait_s);
	else
		report_add(w->report, VERDICT_SKIP, "hold", NULL, "--wait 0");
	free(token);
}

static void
check_heartbeat(struct way *w)
{
	if (w->has_sidecar)
		report_add(w->report, VERDICT_OK, "sidecar", NULL,
		    "its heartbeat is in this site's database");
	else
		report_add(w->report, VERDICT_WARN, "sidecar", "start ws-sidecar with "
		    "this configuration; without it clients poll",
		    "no heartbeat in the database for 10 s");
}

void
way_check(struct doctor *d)
{
	struct way w = { .d = d, .report = &d->report };
	char why[512];
	int rc;

	rc = visit_open(d->url, d->ca, &w.v, why, sizeof(why));
	if (rc < 0) {
		report_add(&d->report, rc == ERR_NOTFOUND ? VERDICT_WARN : VERDICT_FAIL,
		    "route", rc == ERR_NOTFOUND ? "apt-get install libcurl4" :
		    "give the site's URL",
		    "%s", why);
		return;
	}
	if (check_route(&w)) {
		check_tls(&w);
		check_authorization(&w);
		check_exposed(&w);
		check_cors(&w);
		check_date(&w);
		check_heartbeat(&w);
		check_holding(&w);
		wire_check(d, w.v);
		weblog_check(d, w.v);
	}
	visit_close(w.v);
}

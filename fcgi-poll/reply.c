/*
 * Writing an answer (reply.h). A body that could not be built (no memory, over
 * the ceiling) becomes a problem here, so that no handler has to care.
 */
#include <string.h>

#include "err.h"
#include "reply.h"
#include "request.h"

#define MAX_HEADERS	8192
#define USUAL_HEADERS	500	/* bytes: one allocation */
#define REALM		"Bearer realm=\"sidewire\""

enum { FCGI_VERSION = 1, FCGI_END_REQUEST = 3, FCGI_STDOUT = 6, RECORD_HEAD = 8 };

void
reply_init(struct reply *rep)
{
	memset(rep, 0, sizeof(*rep));
	rep->status = 200;
	rep->content_type = REPLY_JSON;
	buf_init(&rep->body, REPLY_MAX_BODY);
}

void
reply_release(struct reply *rep)
{
	buf_release(&rep->body);
}

void
reply_problem(struct reply *rep, enum problem p, const char *detail)
{
	const struct problem_info *info = problem_info(p);

	rep->problem = p;
	rep->status = info->status;
	rep->content_type = "application/problem+json";
	if (rep->retry_after_s == 0)
		rep->retry_after_s = info->retry_after_s;
	buf_reset(&rep->body);
	problem_print(&rep->body, p, detail);
}

static const char *
reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} table[] = {
		{ 200, "OK" }, { 201, "Created" }, { 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" }, { 403, "Forbidden" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].status == status)
			return table[i].text;
	return "Unknown";
}

static void
print_methods(struct buf *b, const char *name, unsigned methods)
{
	static const struct {
		unsigned bit;
		const char *name;
	} table[] = {
		{ METHOD_GET, "GET" }, { METHOD_HEAD, "HEAD" },
		{ METHOD_POST, "POST" }, { METHOD_OPTIONS, "OPTIONS" },
	};
	const char *sep = "";
	size_t i;

	buf_addf(b, "%s: ", name);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if ((methods & table[i].bit) == 0)
			continue;
		buf_addf(b, "%s%s", sep, table[i].name);
		sep = ", ";
	}
	buf_adds(b, "\r\n");
}

/* RFC 6750 section 3: no error code where there was no token. */
static void
print_challenge(struct buf *b, const struct reply *rep)
{
	if (rep->status == 401)
		buf_addf(b, "WWW-Authenticate: " REALM "%s\r\n",
		    rep->is_anonymous ? "" : ", error=\"invalid_token\"");
	else if (rep->scope != NULL)
		buf_addf(b, "WWW-Authenticate: " REALM
		    ", error=\"insufficient_scope\", scope=\"%s\"\r\n",
		    rep->scope);
}

static void
print_cors(struct buf *b, const struct reply *rep)
{
	if (rep->origin == NULL)
		return;
	buf_addf(b, "Access-Control-Allow-Origin: %s\r\n", rep->origin);
	if (!rep->is_preflight) {
		buf_adds(b, "Access-Control-Expose-Headers: "
		    "Retry-After, WWW-Authenticate\r\n");
		return;
	}
	print_methods(b, "Access-Control-Allow-Methods", rep->allow);
	buf_adds(b, "Access-Control-Allow-Headers: "
	    "Authorization, Content-Type, Idempotency-Key\r\n"
	    "Access-Control-Max-Age: 600\r\n");
}

/* Every answer has two: printf() would be a tenth of a poll with nothing new. */
static void
add_number(struct buf *b, size_t n)
{
	char digits[24], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buf_add(b, at, (size_t)(digits + sizeof(digits) - at));
}

static void
print_headers(const struct reply *rep, struct buf *b)
{
	static const char usual[] =
	    "Status: 200 OK\r\nContent-Type: " REPLY_JSON;

	if (rep->status == 200 && strcmp(rep->content_type, REPLY_JSON) == 0) {
		buf_add(b, usual, sizeof(usual) - 1);
	} else {
		buf_adds(b, "Status: ");
		add_number(b, (size_t)rep->status);
		buf_addc(b, ' ');
		buf_adds(b, reason(rep->status));
		buf_adds(b, "\r\nContent-Type: ");
		buf_adds(b, rep->content_type);
	}
	if (rep->status != 204) {
		buf_adds(b, "\r\nContent-Length: ");
		add_number(b, rep->body.len);
	}
	buf_adds(b, "\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "Vary: Authorization, Origin\r\n");
	if (rep->retry_after_s > 0)
		buf_addf(b, "Retry-After: %d\r\n", rep->retry_after_s);
	if (rep->allow != 0)
		print_methods(b, "Allow", rep->allow);
	print_challenge(b, rep);
	print_cors(b, rep);
	buf_adds(b, "\r\n");
}

static void
check_body(struct reply *rep)
{
	int err = buf_err(&rep->body);

	if (err != 0)
		reply_problem(rep, PROBLEM_OVERLOADED, err == ERR_TOOBIG ?
		    "The answer is too large." : NULL);
}

static size_t
sent_len(const struct reply *rep)
{
	return rep->is_head || rep->status == 204 ? 0 : rep->body.len;
}

void
reply_print_cgi(struct reply *rep, struct buf *ret)
{
	check_body(rep);
	print_headers(rep, ret);
	buf_add(ret, buf_str(&rep->body), sent_len(rep));
}

static void
add_record(struct buf *b, int type, int id, size_t len)
{
	const unsigned char h[8] = {
		FCGI_VERSION, (unsigned char)type, (unsigned char)(id >> 8),
		(unsigned char)id, (unsigned char)(len >> 8),
		(unsigned char)len, 0, 0
	};

	buf_add(b, h, sizeof(h));
}

static void
set_record_len(struct buf *b, size_t at, size_t len)
{
	b->p[at + 4] = (char)(len >> 8);
	b->p[at + 5] = (char)len;
}

/* Head and body as one stream, cut into records; the head is there, behind its record. */
static void
add_stream(struct buf *b, int id, size_t start, const char *body, size_t body_len)
{
	size_t head_len = b->len - start - RECORD_HEAD;
	size_t n = REPLY_MAX_RECORD - head_len;		/* of body in this */

	if (n > body_len)
		n = body_len;
	set_record_len(b, start, head_len + n);
	buf_add(b, body, n);
	while (n < body_len) {
		body += n;
		body_len -= n;
		n = body_len < REPLY_MAX_RECORD ? body_len : REPLY_MAX_RECORD;
		add_record(b, FCGI_STDOUT, id, n);
		buf_add(b, body, n);
	}
}

void
reply_print_fcgi(struct reply *rep, int request_id, struct buf *ret)
{
	static const unsigned char done[8];	/* FCGI_REQUEST_COMPLETE */
	size_t start = ret->len;

	check_body(rep);
	buf_reserve(ret, USUAL_HEADERS + sent_len(rep) + 64);
	add_record(ret, FCGI_STDOUT, request_id, 0);
	print_headers(rep, ret);
	if (buf_err(ret) != 0)
		return;
	if (ret->len - start - RECORD_HEAD > MAX_HEADERS) {
		buf_cut(ret, start);
		return;
	}
	add_stream(ret, request_id, start, buf_str(&rep->body), sent_len(rep));
	add_record(ret, FCGI_STDOUT, request_id, 0);
	add_record(ret, FCGI_END_REQUEST, request_id, sizeof(done));
	buf_add(ret, done, sizeof(done));
}

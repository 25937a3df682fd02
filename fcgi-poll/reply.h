/*
 * reply - the answer to one request: status, headers, body; the only writer of
 * responses, as CGI and as FastCGI records.
 *
 * Threads: any; a struct reply belongs to its caller.
 */
#ifndef REPLY_H
#define REPLY_H

#include "attr.h"
#include "buf.h"
#include "problem.h"

#define REPLY_MAX_BODY		(64 * 1024 * 1024)	/* bytes: a state of very many rooms */
#define REPLY_MAX_RECORD	65535			/* bytes of content of one record */
#define REPLY_JSON		"application/json"

struct reply {
	int		 status;
	const char	*content_type;	/* static */
	enum problem	 problem;	/* PROBLEM_NONE: it is no refusal */
	int		 is_anonymous;	/* 401 to a request that had no token */
	int		 retry_after_s;	/* 0: no such header */
	const char	*scope;		/* static: of an insufficient_scope; NULL */
	unsigned	 allow;		/* methods (request.h) for Allow; 0: no such header */
	int		 is_preflight;
	int		 is_head;	/* the body is not sent */
	const char	*origin;	/* borrowed: allowed by CORS; NULL */
	struct buf	 body;
};

/* 200, JSON, empty body. */
void	 reply_init(struct reply *rep);
void	 reply_release(struct reply *rep);

/* Turns it into a problem object; detail NULL: the table's. */
void	 reply_problem(struct reply *rep, enum problem p, const char *detail);

/* Appends the whole answer as a CGI program writes it (RFC 3875 section 6). */
void	 reply_print_cgi(struct reply *rep, struct buf *ret);
/* Appends it as records STDOUT, an empty STDOUT, END_REQUEST. */
void	 reply_print_fcgi(struct reply *rep, int request_id, struct buf *ret);

#endif

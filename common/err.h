/*
 * err - the error codes that every module of ours returns.
 *
 * What can fail returns int: 0 or a count on success, else one of these
 * (negative).  Outputs stay untouched on failure.  What a peer is told about
 * an error is decided in problem.h.
 * Threads: any.
 */
#ifndef ERR_H
#define ERR_H

enum err {
	ERR_INVAL = -1,		/* the input is malformed */
	ERR_AGAIN = -2,		/* not yet: more input or a later call is needed */
	ERR_NOMEM = -3,		/* out of memory */
	ERR_IO = -4,		/* the system or the database failed; errno or message says how */
	ERR_TOOBIG = -5,	/* over a limit of struct conf or of the type */
	ERR_BUSY = -6,		/* the write lock was not to be had in time */
	ERR_NOTFOUND = -7,	/* no such file, row or name */
	ERR_SCHEMA = -8,	/* the database is not of the schema this program knows */
	ERR_FULL = -9,		/* no space left: disk, table or quota */
	ERR_READONLY = -10,	/* file or directory cannot be written */
	ERR_EXISTS = -11,	/* it is there already */
	ERR_DENIED = -12,	/* not allowed to this user */
	ERR_EXPIRED = -13,	/* it was valid once */
	ERR_CLOSED = -14	/* the other side is gone, or we are stopping */
};

/* The code's name as in this file, "OK" for 0 and counts; never NULL. */
const char	*err_name(int err);

#endif

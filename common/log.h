/*
 * log - one line, one write(2), to stderr.
 *
 * A line is "PREFIX message key=value ...": under a journal (JOURNAL_STREAM
 * names our stderr) PREFIX is the priority "<3>".."<7>", else the time (RFC
 * 3339, UTC, milliseconds), the program's name and process id.  errno is
 * preserved.  Bytes below 0x20, 0x7f and what is not UTF-8 are escaped as
 * \xHH, and a line is cut at 1,000 bytes: a peer cannot forge a line.  Tokens
 * and message contents are never passed here.
 *
 * error: somebody must act; warning: we coped; info: start, stop, connections;
 * debug: each request.  What can repeat for every request is a counter instead.
 * Threads: any; log_init() before there are others.
 */
#ifndef LOG_H
#define LOG_H

#include "attr.h"

enum log_level { LOG_ERR_LEVEL, LOG_WARN_LEVEL, LOG_INFO_LEVEL, LOG_DEBUG_LEVEL };

/* Sets the program's name (borrowed for ever) and the most talkative level to print. */
void	 log_init(const char *program, enum log_level level);
/* Non-zero if a line of this level would be printed. */
int	 log_is_enabled(enum log_level level);

/* The forms without x append ": " and strerror(errno). */
void	 log_err(const char *fmt, ...) ATTR_PRINTF(1, 2);
void	 log_errx(const char *fmt, ...) ATTR_PRINTF(1, 2);
void	 log_warn(const char *fmt, ...) ATTR_PRINTF(1, 2);
void	 log_warnx(const char *fmt, ...) ATTR_PRINTF(1, 2);
void	 log_info(const char *fmt, ...) ATTR_PRINTF(1, 2);
void	 log_debug(const char *fmt, ...) ATTR_PRINTF(1, 2);

#endif

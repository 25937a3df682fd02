/*
 * conf_check - is the text of a configured value well formed?  Part of conf.c.
 *
 * Threads: any.
 */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

/* NULL, or what is wrong with a value that is not empty: the end of a sentence (static). */
typedef const char *conf_check_fn(const char *value);

/* HOST:PORT (an IP address, [IPv6] or localhost; port 0..65535), or a unix path. */
conf_check_fn conf_check_listen;
/* The path of a URL: starts with '/'; no space, query or fragment. */
conf_check_fn conf_check_url_path;

/*
 * Non-zero for "*" or scheme://host[:port] (RFC 6454 section 6.1).  Cuts a port
 * that the scheme implies: browsers leave it out, so it would never match.
 */
int	 conf_is_origin(char *s);

#endif

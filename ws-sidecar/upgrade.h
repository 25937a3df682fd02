/*
 * upgrade - judges a handshake by its headers, as plain strings; and tells who it is
 * from.
 *
 * Pure.  Threads: any.
 */
#ifndef UPGRADE_H
#define UPGRADE_H

#include <stddef.h>

#include "session.h"

struct buf;
struct conf_list;

/* Non-zero if Upgrade names the one protocol that is spoken here (RFC 6455 section 4.2.1). */
int	 upgrade_is_websocket(const char *value);
/*
 * Non-zero if a page of this origin may connect.  origin NULL: no browser, may.
 * origins empty: the origin must be that of host, the Host header (RFC 6455
 * section 10.2).
 */
int	 upgrade_is_allowed(const struct conf_list *origins, const char *origin,
	    const char *host);
/*
 * Appends one decoded "name=value" to a query string, encoded again: the library
 * hands parameters out decoded, and query_parse() wants them as they were sent.
 */
void	 upgrade_add_parameter(struct buf *query, const char *text, size_t len);
/*
 * The client's address for the log: that of the peer, or, when the peer is a proxy
 * on this machine, the last one that X-Forwarded-For names (NULL: none).
 */
void	 upgrade_print_ip(const char *peer, const char *forwarded,
	    char ret[SESSION_IP_SIZE]);

#endif

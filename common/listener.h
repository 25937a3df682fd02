/*
 * listener - the socket that a service is found on: descriptor 0 (a FastCGI manager
 * started us), one that systemd passed, a unix socket, or TCP.
 *
 * Threads: before there are others.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <stddef.h>
#include <sys/types.h>

#include "attr.h"

#define LISTENER_BACKLOG	4096	/* a full one is an error page at once */

struct listener {
	int	 fd;		/* -1: none */
	char	*path;		/* our own unix socket, to be removed at the end; NULL */
	dev_t	 dev;		/* of path */
	ino_t	 ino;
	char	 name[128];	/* for the log */
};

enum listener_kind {
	LISTENER_FASTCGI,	/* may be descriptor 0 */
	LISTENER_SHARED		/* SO_REUSEPORT: the next process of ours may listen on the
				 * port before this one stops; a foreign one may not */
};

/* Non-zero if descriptor 0 is a listening socket. */
int	 listener_is_stdin(void);

/*
 * Finds or makes the socket; where is the value of the configuration's key ("": none).
 * A unix socket gets mode 0660 (0600 where the umask keeps the group out), so the web
 * server's user must be ours or in our group; one that is there is removed if nobody
 * answers on it.
 * On failure why says what to do: ERR_NOTFOUND nobody gave one, ERR_EXISTS somebody
 * else serves the address, ERR_INVAL, ERR_IO, ERR_NOMEM.
 */
int	 listener_open(const char *key, const char *where, enum listener_kind kind,
	    struct listener *ret, char *why, size_t size) ATTR_MUST_CHECK;
void	 listener_close(struct listener *l);	/* harmless when closed */

#endif

/*
 * conf - the configuration: one table of keys -> struct conf.
 *
 * File, environment, --help, -n, the example file and the manual page follow
 * from the table in conf.c.  Order of precedence: environment, file, initial
 * value.  The file is "key = value" a line, '#' starts a comment line; spaces
 * around key and value are dropped.  The environment variable of "ws.listen" is
 * SIDEWIRE_WS_LISTEN.  An unknown, repeated, malformed or out-of-range key
 * refuses to start with "FILE:LINE: KEY: WHY".
 * Threads: filled once before there are others, then const everywhere.
 */
#ifndef CONF_H
#define CONF_H

#include <stddef.h>

#include "attr.h"

#define CONF_DEFAULT_FILE	"/etc/sidewire/sidewire.conf"
#define CONF_MAX_FILE		65536	/* bytes */
#define CONF_MAX_ORIGINS	64

enum conf_algorithm { CONF_HS256, CONF_HS384, CONF_HS512, CONF_RS256, CONF_ES256 };
enum conf_synchronous { CONF_SYNC_NORMAL, CONF_SYNC_FULL };

/* A list of words; items and their array belong to the struct conf. */
struct conf_list {
	char	**item;
	size_t	  len;
};

struct conf {
	char	*database;		/* path */
	char	*run_dir;		/* directory of the shared counters */
	int	 db_synchronous;	/* enum conf_synchronous */
	int	 db_busy_ms;		/* longest wait for the write lock */

	int	 jwt_algorithm;		/* enum conf_algorithm */
	char	*jwt_key_file;
	char	*jwt_previous_key_file;	/* "" : none */
	char	*jwt_issuer;		/* "" : not checked */
	char	*jwt_audience;		/* "" : not checked */
	int	 jwt_leeway_s;
	int	 auth_provision;	/* flag */

	int	 events_keep_s;
	int	 events_keep_rows;

	char	*poll_listen;		/* "" : descriptor 0; unix path, or HOST:PORT */
	int	 poll_threads;
	int	 poll_max_wait_s;
	int	 poll_max_held;
	int	 poll_apache_max_held;

	char	*ws_listen;		/* HOST:PORT or unix path */
	char	*ws_path;
	struct conf_list ws_origins;	/* empty: own host only; "*": all */
	int	 ws_max_connections;
	int	 ws_max_per_user;
	int	 ws_max_message;	/* bytes */
	int	 ws_ping_s;		/* server ping after this much silence */
	int	 ws_hangup_s;		/* hang up when still silent this much later */

	struct conf_list cors_origins;	/* empty: none; "*": all */
	int	 privacy_share_email;	/* flag */
	int	 presence_ttl_s;
	int	 presence_grace_s;
	int	 limit_poll_per_s;	/* by user; 0: no limit */
	int	 limit_send_per_s;
	int	 limit_frame_per_s;	/* frames a socket may send */
	int	 log_level;		/* enum log_level */
};

/*
 * Fills *ret from path (NULL: $SIDEWIRE_CONF, else CONF_DEFAULT_FILE if there is
 * one) and the environment.  On failure why (size bytes) holds one line for
 * stderr and *ret is untouched.  ERR_INVAL, ERR_NOTFOUND (path was asked for by
 * name), ERR_IO, ERR_NOMEM, ERR_TOOBIG.  End *ret with conf_release().
 */
int	 conf_load(const char *path, struct conf *ret, char *why, size_t size)
	    ATTR_MUST_CHECK;
/* The same from text in memory and an environment of "NAME=value", NULL-terminated; for tests. */
int	 conf_parse(const char *name, const char *text, size_t len, char *const *env,
	    struct conf *ret, char *why, size_t size) ATTR_MUST_CHECK;
void	 conf_release(struct conf *conf);

/* Walks the table: key, type as text ("seconds 0..3600"), initial value, help line. */
typedef void conf_each_fn(const char *key, const char *type, const char *initial,
	    const char *help, void *arg);
void	 conf_each(conf_each_fn *fn, void *arg);
/* Prints conf as a file that conf_load() would read to the same values; 0 or buf_err(). */
struct buf;
int	 conf_print(const struct conf *conf, struct buf *ret);

/* Non-zero if origin (an Origin header's value) is in the list, or the list holds "*". */
int	 conf_has_origin(const struct conf_list *list, const char *origin);

#endif

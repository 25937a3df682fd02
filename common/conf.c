/*
 * conf - one table of keys, from which everything else about them follows.
 *
 * An initial value, a line of the file and a variable of the environment take
 * the same way through set_value(), so that none can be what another could not.
 * Whatever is doubtful refuses to start: a service that runs with a key
 * misread is found out in production, one that does not start at once.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "buf.h"
#include "conf.h"
#include "conf_check.h"
#include "err.h"

#define MAX_LINE	4096
#define MAX_NAME	64	/* of a key, or its variable */
#define MAX_PATH	4095
#define MAX_TEXT	1024
#define ENV_PREFIX	"SIDEWIRE_"
#define ENV_FILE	"SIDEWIRE_CONF"
#define FROM_ENV	(-1)
#define SPACE		" \t"

enum type {
	TYPE_INT,	/* int: whole number min..max */
	TYPE_WORD,	/* int: index of the word in unit */
	TYPE_TEXT,	/* char *: min..max bytes */
	TYPE_LIST	/* struct conf_list: of origins, at most max */
};

struct key {
	const char	*name;
	enum type	 type;
	size_t		 offset;
	int		 min;
	int		 max;
	const char	*initial;
	const char	*unit;	/* of the number; the words; what the text is */
	const char	*help;
	conf_check_fn	*check;	/* of a text that is not empty */
};

#define AT(field)	offsetof(struct conf, field)

static const struct key keys[] = {
	{ "database", TYPE_TEXT, AT(database), 1, MAX_PATH,
	    "/var/lib/sidewire/sidewire.db", "path",
	    "the SQLite database that the site and Sidewire share", NULL },
	{ "run_dir", TYPE_TEXT, AT(run_dir), 1, MAX_PATH,
	    "/run/sidewire", "path",
	    "directory of the shared limits and counters", NULL },
	{ "db.synchronous", TYPE_WORD, AT(db_synchronous), 0, 0,
	    "full", "normal full",
	    "full: an acknowledged message survives a power cut", NULL },
	{ "db.busy_ms", TYPE_INT, AT(db_busy_ms), 0, 60000,
	    "5000", "milliseconds",
	    "longest wait for the database's write lock", NULL },
	{ "jwt.algorithm", TYPE_WORD, AT(jwt_algorithm), 0, 0,
	    "HS256", "HS256 HS384 HS512 RS256 ES256",
	    "the one algorithm that tokens may be signed with", NULL },
	{ "jwt.key_file", TYPE_TEXT, AT(jwt_key_file), 1, MAX_PATH,
	    "/etc/sidewire/jwt.key", "path",
	    "the secret (HS) or the public key in PEM (RS, ES)", NULL },
	{ "jwt.previous_key_file", TYPE_TEXT, AT(jwt_previous_key_file),
	    0, MAX_PATH, "", "path",
	    "a second key that is still accepted, for rotation", NULL },
	{ "jwt.issuer", TYPE_TEXT, AT(jwt_issuer), 0, MAX_TEXT, "", "text",
	    "what iss must be; empty: not checked", NULL },
	{ "jwt.audience", TYPE_TEXT, AT(jwt_audience), 0, MAX_TEXT, "", "text",
	    "what aud must contain; empty: not checked", NULL },
	{ "jwt.leeway_s", TYPE_INT, AT(jwt_leeway_s), 0, 3600,
	    "60", "seconds",
	    "how far the clocks of issuer and server may differ", NULL },
	{ "auth.provision", TYPE_WORD, AT(auth_provision), 0, 0,
	    "no", "no yes",
	    "create an unknown user from a valid token's claims", NULL },
	{ "events.keep_s", TYPE_INT, AT(events_keep_s), 1, 2000000000,
	    "604800", "seconds",
	    "age at which events are pruned from the log", NULL },
	{ "events.keep_rows", TYPE_INT, AT(events_keep_rows), 1, 2000000000,
	    "200000", "rows",
	    "number of events above which the oldest are pruned", NULL },
	{ "poll.listen", TYPE_TEXT, AT(poll_listen), 0, MAX_TEXT,
	    "", "address",
	    "where fcgi-poll listens; empty: descriptor 0", conf_check_listen },
	{ "poll.threads", TYPE_INT, AT(poll_threads), 1, 256,
	    "4", "threads",
	    "workers that answer requests", NULL },
	{ "poll.max_wait_s", TYPE_INT, AT(poll_max_wait_s), 0, 300,
	    "25", "seconds",
	    "longest time a poll is held; 0: none is held", NULL },
	{ "poll.max_held", TYPE_INT, AT(poll_max_held), 0, 1000000,
	    "10000", "requests",
	    "polls held at once; more are answered at once", NULL },
	{ "poll.apache_max_held", TYPE_INT, AT(poll_apache_max_held), 0,
	    1000000, "0", "requests",
	    "the same behind Apache, where each takes a thread", NULL },
	{ "ws.listen", TYPE_TEXT, AT(ws_listen), 1, MAX_TEXT,
	    "127.0.0.1:8081", "address",
	    "where ws-sidecar listens, behind a web server",
	    conf_check_listen },
	{ "ws.path", TYPE_TEXT, AT(ws_path), 1, MAX_TEXT,
	    "/ws", "URL path",
	    "the path of the socket's URL", conf_check_url_path },
	{ "ws.origins", TYPE_LIST, AT(ws_origins), 0, CONF_MAX_ORIGINS,
	    "", "origins",
	    "pages that may open sockets; empty: own host; *: all", NULL },
	{ "ws.max_connections", TYPE_INT, AT(ws_max_connections), 1, 1000000,
	    "20000", "connections",
	    "sockets at once", NULL },
	{ "ws.max_per_user", TYPE_INT, AT(ws_max_per_user), 1, 1000000,
	    "20", "connections",
	    "sockets of one user at once", NULL },
	{ "ws.max_message", TYPE_INT, AT(ws_max_message), 256, 16777216,
	    "65536", "bytes",
	    "longest message a client may send", NULL },
	{ "ws.ping_s", TYPE_INT, AT(ws_ping_s), 1, 3600,
	    "25", "seconds",
	    "silence after which a socket is pinged", NULL },
	{ "ws.hangup_s", TYPE_INT, AT(ws_hangup_s), 1, 3600,
	    "10", "seconds",
	    "further silence after which a socket is closed", NULL },
	{ "cors.origins", TYPE_LIST, AT(cors_origins), 0, CONF_MAX_ORIGINS,
	    "", "origins",
	    "pages of other hosts that may poll; *: all", NULL },
	{ "privacy.share_email", TYPE_WORD, AT(privacy_share_email), 0, 0,
	    "no", "no yes",
	    "show users each other's e-mail addresses", NULL },
	{ "presence.ttl_s", TYPE_INT, AT(presence_ttl_s), 1, 86400,
	    "75", "seconds",
	    "how long a poll keeps its user online", NULL },
	{ "presence.grace_s", TYPE_INT, AT(presence_grace_s), 0, 86400,
	    "20", "seconds",
	    "delay before a user who left is shown offline", NULL },
	{ "limit.poll_per_s", TYPE_INT, AT(limit_poll_per_s), 0, 100000,
	    "20", "per second",
	    "polls of one user; 0: no limit", NULL },
	{ "limit.send_per_s", TYPE_INT, AT(limit_send_per_s), 0, 100000,
	    "10", "per second",
	    "messages and notes of one user; 0: no limit", NULL },
	{ "limit.frame_per_s", TYPE_INT, AT(limit_frame_per_s), 0, 100000,
	    "50", "per second",
	    "frames on one socket; 0: no limit", NULL },
	{ "log.level", TYPE_WORD, AT(log_level), 0, 0,
	    "info", "error warning info debug",
	    "the most talkative level that is logged", NULL },
};

#define N_KEYS	(sizeof(keys) / sizeof(keys[0]))

/* One reading of file and environment. */
struct parse {
	struct conf	 conf;
	const char	*file;
	int		 line;		/* now at; or FROM_ENV */
	int		 seen[N_KEYS];	/* line, FROM_ENV; 0: not set */
	char		*why;
	size_t		 size;
};

/* The field of conf that a key of this type fills. */
static int *
int_of(const struct conf *conf, const struct key *k)
{
	return (int *)((uintptr_t)conf + k->offset);
}

static char **
text_of(const struct conf *conf, const struct key *k)
{
	return (char **)((uintptr_t)conf + k->offset);
}

static struct conf_list *
list_of(const struct conf *conf, const struct key *k)
{
	return (struct conf_list *)((uintptr_t)conf + k->offset);
}

/* The key's name, or as_env that of its variable. */
static const char *
key_name(const struct key *k, int as_env, char ret[MAX_NAME])
{
	char *p;

	(void)snprintf(ret, MAX_NAME, "%s%s", as_env ? ENV_PREFIX : "",
	    k->name);
	for (p = ret; as_env && *p != '\0'; p++)
		*p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
	return ret;
}

static const struct key *
find_key(const char *name, int as_env)
{
	char buf[MAX_NAME];
	size_t i;

	for (i = 0; i < N_KEYS; i++)
		if (strcmp(name, key_name(&keys[i], as_env, buf)) == 0)
			return &keys[i];
	return NULL;
}

/* How many letters must be added, dropped or changed to make b of a. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[MAX_NAME + 1], lb = strlen(b), i, j, diagonal, above, best;

	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 0; a[i] != '\0'; i++) {
		diagonal = row[0];
		row[0] = i + 1;
		for (j = 1; j <= lb; j++) {
			above = row[j];
			best = diagonal + (tolower((unsigned char)a[i]) !=
			    tolower((unsigned char)b[j - 1]));
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[lb];
}

/* The known name that name is nearest to, or NULL where none is near. */
static const struct key *
nearest_key(const char *name, int as_env)
{
	const struct key *found = NULL;
	size_t d, i, best = 4;	/* letters; more is no slip of the pen */
	char buf[MAX_NAME];

	for (i = 0; i < N_KEYS; i++) {
		d = distance(name, key_name(&keys[i], as_env, buf));
		if (d < best) {
			best = d;
			found = &keys[i];
		}
	}
	return found;
}

static int complain(struct parse *p, const char *name, const char *fmt, ...)
    ATTR_PRINTF(3, 4);

/* Fills why with "FILE:LINE: NAME: WHY"; name may be "".  Returns ERR_INVAL. */
static int
complain(struct parse *p, const char *name, const char *fmt, ...)
{
	char text[512], where[24] = "";
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->line > 0)
		(void)snprintf(where, sizeof(where), ":%d", p->line);
	(void)snprintf(p->why, p->size, "%s%s: %.80s%s%s",
	    p->line == FROM_ENV ? "environment" : p->file, where,
	    name, *name != '\0' ? ": " : "", text);
	return ERR_INVAL;
}

static int
complain_nomem(struct parse *p)
{
	(void)snprintf(p->why, p->size, "%s: out of memory", p->file);
	return ERR_NOMEM;
}

static void
release_list(struct conf_list *list)
{
	size_t i;

	for (i = 0; i < list->len; i++)
		free(list->item[i]);
	free(list->item);
	list->item = NULL;
	list->len = 0;
}

static int
set_int(struct parse *p, const struct key *k, const char *name,
    const char *value)
{
	long n;
	char *end;

	errno = 0;
	n = strtol(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end != '\0')
		return complain(p, name, "\"%.60s\" is not a whole number "
		    "(%s, %d..%d)", value, k->unit, k->min, k->max);
	if (errno == ERANGE || n < k->min || n > k->max)
		return complain(p, name, "%.60s is not within %d..%d (%s)",
		    value, k->min, k->max, k->unit);
	*int_of(&p->conf, k) = (int)n;
	return 0;
}

/* The index of value among the words, or -1. */
static int
find_word(const char *words, const char *value)
{
	size_t len, value_len = strlen(value);
	int i;

	for (i = 0; *words != '\0'; i++) {
		len = strcspn(words, " ");
		if (len == value_len && memcmp(words, value, len) == 0)
			return i;
		words += len;
		words += *words == ' ';
	}
	return -1;
}

static int
set_word(struct parse *p, const struct key *k, const char *name,
    const char *value)
{
	int i = find_word(k->unit, value);

	if (i < 0)
		return complain(p, name, "\"%.60s\" is not one of: %s", value,
		    k->unit);
	*int_of(&p->conf, k) = i;
	return 0;
}

static int
set_text(struct parse *p, const struct key *k, const char *name,
    const char *value)
{
	const char *wrong = NULL;
	size_t len = strlen(value);
	char *copy;

	if (len < (size_t)k->min)
		return complain(p, name, "must not be empty (%s)", k->unit);
	if (len > (size_t)k->max)
		return complain(p, name, "is over %d bytes", k->max);
	if (len > 0 && k->check != NULL)
		wrong = k->check(value);
	if (wrong != NULL)
		return complain(p, name, "\"%.60s\" %s", value, wrong);
	copy = strdup(value);
	if (copy == NULL)
		return complain_nomem(p);
	free(*text_of(&p->conf, k));
	*text_of(&p->conf, k) = copy;
	return 0;
}

static int
set_list(struct parse *p, const struct key *k, const char *name,
    const char *value)
{
	struct conf_list list = { NULL, 0 };
	int r = ERR_NOMEM;
	size_t len;

	list.item = calloc((size_t)k->max, sizeof(*list.item));
	if (list.item == NULL)
		goto fail;
	for (value += strspn(value, " \t,"); *value != '\0';
	    value += strspn(value, " \t,")) {
		len = strcspn(value, " \t,");
		if (list.len == (size_t)k->max) {
			r = complain(p, name, "more than %d %s", k->max,
			    k->unit);
			goto fail;
		}
		list.item[list.len] = strndup(value, len);
		if (list.item[list.len] == NULL)
			goto fail;
		list.len++;
		if (!conf_is_origin(list.item[list.len - 1])) {
			r = complain(p, name, "\"%.60s\" is neither "
			    "scheme://host[:port] nor *",
			    list.item[list.len - 1]);
			goto fail;
		}
		value += len;
	}
	release_list(list_of(&p->conf, k));
	*list_of(&p->conf, k) = list;
	return 0;
fail:
	release_list(&list);
	return r == ERR_NOMEM ? complain_nomem(p) : r;
}

static int
set_value(struct parse *p, const struct key *k, const char *name,
    const char *value)
{
	switch (k->type) {
	case TYPE_INT:
		return set_int(p, k, name, value);
	case TYPE_WORD:
		return set_word(p, k, name, value);
	case TYPE_TEXT:
		return set_text(p, k, name, value);
	case TYPE_LIST:
		break;
	}
	return set_list(p, k, name, value);
}

/* Sets the key called name, from the file or (p->line FROM_ENV) a variable. */
static int
set_named(struct parse *p, const char *name, const char *value)
{
	int as_env = p->line == FROM_ENV;
	char near[MAX_NAME];
	const struct key *k = find_key(name, as_env);
	int *seen;

	if (k == NULL) {
		k = nearest_key(name, as_env);
		if (k == NULL)
			return complain(p, name, "no such key");
		return complain(p, name, "no such key, did you mean %s?",
		    key_name(k, as_env, near));
	}
	seen = &p->seen[k - keys];
	if (as_env && *seen == FROM_ENV)
		return complain(p, name, "is set twice");
	if (!as_env && *seen != 0)
		return complain(p, name, "is set twice, first in line %d",
		    *seen);
	*seen = p->line;
	return set_value(p, k, name, value);
}

/* Drops white space at both ends of s, in place. */
static char *
trim(char *s)
{
	size_t len;

	s += strspn(s, SPACE);
	len = strlen(s);
	while (len > 0 && strchr(SPACE, s[len - 1]) != NULL)
		len--;
	s[len] = '\0';
	return s;
}

/* Parses "KEY = VALUE", a line of the file or a variable of the environment. */
static int
parse_pair(struct parse *p, const char *text, size_t len)
{
	char line[MAX_LINE + 1], name[MAX_NAME], *key, *eq;
	unsigned char c;
	size_t i;

	(void)snprintf(name, sizeof(name), "%.*s", p->line == FROM_ENV ?
	    (int)strcspn(text, "=") : 0, text);
	if (len > MAX_LINE)
		return complain(p, name, "over %d bytes", MAX_LINE);
	for (i = 0; i < len; i++) {
		c = (unsigned char)text[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return complain(p, name, "control character 0x%02x", c);
	}
	memcpy(line, text, len);
	line[len] = '\0';
	key = trim(line);
	if (*key == '\0' || *key == '#')
		return 0;
	eq = strchr(key, '=');
	if (eq == NULL)
		return complain(p, name, "\"%.60s\" is not KEY = VALUE", key);
	*eq = '\0';
	return set_named(p, trim(key), trim(eq + 1));
}

static int
parse_text(struct parse *p, const char *text, size_t len)
{
	const char *end = text + len, *eol;
	int r;

	while (text < end) {
		eol = memchr(text, '\n', (size_t)(end - text));
		if (eol == NULL)
			eol = end;
		p->line++;
		len = (size_t)(eol - text);
		if (len > 0 && text[len - 1] == '\r')
			len--;
		r = parse_pair(p, text, len);
		if (r < 0)
			return r;
		text = eol < end ? eol + 1 : end;
	}
	return 0;
}

static int
parse_env(struct parse *p, char *const *env)
{
	int r;

	p->line = FROM_ENV;
	for (; env != NULL && *env != NULL; env++) {
		if (strncmp(*env, ENV_PREFIX, sizeof(ENV_PREFIX) - 1) != 0 ||
		    strncmp(*env, ENV_FILE "=", sizeof(ENV_FILE)) == 0)
			continue;
		r = parse_pair(p, *env, strlen(*env));
		if (r < 0)
			return r;
	}
	return 0;
}

/* Complains about a key that is well formed by itself, at where it was set. */
static int
complain_set(struct parse *p, const char *name, const char *fmt,
    const char *other)
{
	const struct key *k = find_key(name, 0);
	char buf[MAX_NAME];

	p->line = p->seen[k - keys];
	return complain(p, key_name(k, p->line == FROM_ENV, buf), "%s %s", fmt,
	    other);
}

/* What no single value shows. */
static int
check_all(struct parse *p)
{
	const struct conf *c = &p->conf;
	const char *port = strrchr(c->ws_listen, ':');

	if (strcmp(c->jwt_key_file, c->jwt_previous_key_file) == 0)
		return complain_set(p, "jwt.previous_key_file",
		    "must not be the same file as", "jwt.key_file");
	/* Port 0 is another one each time. */
	if (strcmp(c->ws_listen, c->poll_listen) == 0 &&
	    (port == NULL || strcmp(port, ":0") != 0))
		return complain_set(p, "ws.listen",
		    "must not be the same address as", "poll.listen");
	return 0;
}

int
conf_parse(const char *name, const char *text, size_t len, char *const *env,
    struct conf *ret, char *why, size_t size)
{
	struct parse p;
	size_t i;
	int r = 0;

	memset(&p, 0, sizeof(p));
	p.file = name;
	p.why = why;
	p.size = size;
	if (len > CONF_MAX_FILE) {
		(void)complain(&p, "", "over %d bytes", CONF_MAX_FILE);
		return ERR_TOOBIG;
	}
	for (i = 0; i < N_KEYS && r == 0; i++)
		r = set_value(&p, &keys[i], keys[i].name, keys[i].initial);
	if (r == 0)
		r = parse_text(&p, text, len);
	if (r == 0)
		r = parse_env(&p, env);
	if (r == 0)
		r = check_all(&p);
	if (r < 0) {
		conf_release(&p.conf);
		return r;
	}
	*ret = p.conf;
	return 0;
}

/* Reads at most size bytes of the file; returns how many, or an error. */
static int
read_file(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	int fd, saved_errno;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd == -1)
		return errno == ENOENT || errno == ENOTDIR ? ERR_NOTFOUND :
		    ERR_IO;
	do {
		n = read(fd, buf + len, size - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len < size) || (n == -1 && errno == EINTR));
	saved_errno = errno;
	(void)close(fd);	/* nothing was written */
	errno = saved_errno;
	return n == -1 ? ERR_IO : (int)len;
}

int
conf_load(const char *path, struct conf *ret, char *why, size_t size)
{
	int r, is_named = 1;
	char *text;

	if (path == NULL) {
		path = getenv(ENV_FILE);
		is_named = path != NULL && *path != '\0';
	}
	if (!is_named)
		path = CONF_DEFAULT_FILE;
	text = malloc(CONF_MAX_FILE + 1);
	if (text == NULL) {
		(void)snprintf(why, size, "%s: out of memory", path);
		return ERR_NOMEM;
	}
	r = read_file(path, text, CONF_MAX_FILE + 1);
	if (r == ERR_NOTFOUND && !is_named)
		r = 0;
	if (r < 0)
		(void)snprintf(why, size, "%s: %s", path, strerror(errno));
	else
		r = conf_parse(path, text, (size_t)r, environ, ret, why, size);
	free(text);
	return r;
}

void
conf_release(struct conf *conf)
{
	size_t i;

	for (i = 0; i < N_KEYS; i++) {
		if (keys[i].type == TYPE_TEXT)
			free(*text_of(conf, &keys[i]));
		else if (keys[i].type == TYPE_LIST)
			release_list(list_of(conf, &keys[i]));
	}
	memset(conf, 0, sizeof(*conf));
}

void
conf_each(conf_each_fn *fn, void *arg)
{
	const struct key *k;
	char type[128];

	for (k = keys; k < keys + N_KEYS; k++) {
		if (k->type == TYPE_INT)
			(void)snprintf(type, sizeof(type), "%s %d..%d", k->unit,
			    k->min, k->max);
		else if (k->type == TYPE_WORD)
			(void)snprintf(type, sizeof(type), "one of: %s",
			    k->unit);
		else
			(void)snprintf(type, sizeof(type), "%s", k->unit);
		fn(k->name, type, k->initial, k->help, arg);
	}
}

/* Appends the word of this index. */
static void
print_word(struct buf *b, const char *words, int index)
{
	while (index-- > 0)
		words = strchr(words, ' ') + 1;
	buf_add(b, words, strcspn(words, " "));
}

int
conf_print(const struct conf *conf, struct buf *ret)
{
	const struct conf_list *list;
	const struct key *k;
	size_t i;

	for (k = keys; k < keys + N_KEYS; k++) {
		buf_addf(ret, "%s = ", k->name);
		switch (k->type) {
		case TYPE_INT:
			buf_addf(ret, "%d", *int_of(conf, k));
			break;
		case TYPE_WORD:
			print_word(ret, k->unit, *int_of(conf, k));
			break;
		case TYPE_TEXT:
			buf_adds(ret, *text_of(conf, k));
			break;
		case TYPE_LIST:
			list = list_of(conf, k);
			for (i = 0; i < list->len; i++)
				buf_addf(ret, "%s%s", i > 0 ? " " : "",
				    list->item[i]);
			break;
		}
		buf_addc(ret, '\n');
	}
	return buf_err(ret);
}

int
conf_has_origin(const struct conf_list *list, const char *origin)
{
	size_t i;

	/* Scheme and host know no upper case (RFC 6454 section 4). */
	for (i = 0; origin != NULL && i < list->len; i++)
		if (strcmp(list->item[i], "*") == 0 ||
		    strcasecmp(list->item[i], origin) == 0)
			return 1;
	return 0;
}

/*
 * upgrade - what may connect, decided on strings.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "conf.h"
#include "upgrade.h"

int
upgrade_is_websocket(const char *value)
{
	return strcasecmp(value, "websocket") == 0;
}

/* Length of host without the port that scheme implies. */
static size_t
bare_len(const char *host, const char *port)
{
	size_t len = strlen(host), n = strlen(port);

	if (len > n && strcmp(host + len - n, port) == 0)
		len -= n;
	return len;
}

static int
is_same_host(const char *origin, const char *host)
{
	const char *port, *name;
	size_t len;

	if (strncasecmp(origin, "https://", 8) == 0) {
		name = origin + 8;
		port = ":443";
	} else if (strncasecmp(origin, "http://", 7) == 0) {
		name = origin + 7;
		port = ":80";
	} else {
		return 0;	/* "null", an app's own scheme */
	}
	len = bare_len(name, port);
	return len > 0 && len == bare_len(host, port) &&
	    strncasecmp(name, host, len) == 0;
}

int
upgrade_is_allowed(const struct conf_list *origins, const char *origin,
    const char *host)
{
	if (origin == NULL)
		return 1;
	if (origins->len == 0)
		return is_same_host(origin, host);
	return conf_has_origin(origins, origin);
}

static int
is_unreserved(char c)		/* RFC 3986 section 2.3 */
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || (c != '\0' && strchr("-._~", c) != NULL);
}

void
upgrade_add_parameter(struct buf *query, const char *text, size_t len)
{
	int is_value = 0;
	size_t i;

	if (query->len > 0)
		buf_addc(query, '&');
	for (i = 0; i < len; i++) {
		if (is_unreserved(text[i])) {
			buf_addc(query, text[i]);
		} else if (text[i] == '=' && !is_value) {
			is_value = 1;
			buf_addc(query, '=');
		} else {
			buf_addf(query, "%%%02X", (unsigned char)text[i]);
		}
	}
}

static int
is_local(const char *peer)
{
	return peer[0] == '\0' || strncmp(peer, "127.", 4) == 0 ||
	    strncmp(peer, "::ffff:127.", 11) == 0 || strcmp(peer, "::1") == 0;
}

void
upgrade_print_ip(const char *peer, const char *forwarded,
    char ret[SESSION_IP_SIZE])
{
	const char *last = peer;

	if (forwarded != NULL && is_local(peer)) {
		last = strrchr(forwarded, ',');
		last = last == NULL ? forwarded : last + 1;
		last += strspn(last, " \t");
	}
	if (*last == '\0')
		last = "local";
	(void)snprintf(ret, SESSION_IP_SIZE, "%.*s",
	    (int)strcspn(last, " \t"), last);
}

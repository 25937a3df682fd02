/*
 * conf_check - the forms of addresses, URL paths and origins.
 *
 * Only the text is looked at: whether an address can be bound is found out by
 * who binds it.
 */
#include <arpa/inet.h>
#include <sys/un.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf_check.h"

static int
is_port(const char *s, long min)
{
	size_t len = strspn(s, "0123456789");
	long port;

	if (len == 0 || len > 5 || s[len] != '\0')
		return 0;
	port = strtol(s, NULL, 10);
	return port >= min && port <= 65535;
}

const char *
conf_check_listen(const char *value)
{
	struct sockaddr_un addr_un;
	struct in6_addr addr;
	const char *colon;
	char host[64];
	size_t len;

	if (*value == '/') {
		if (strlen(value) >= sizeof(addr_un.sun_path))
			return "is too long for a unix socket (107 bytes)";
		return NULL;
	}
	colon = strrchr(value, ':');
	if (colon == NULL)
		return "is neither HOST:PORT nor a path that starts with '/'";
	if (!is_port(colon + 1, 0))
		return "has no port 0..65535 after its last ':'";
	len = (size_t)(colon - value);
	if (len >= sizeof(host))
		return "is no IP address or localhost before the port";
	memcpy(host, value, len);
	host[len] = '\0';
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &addr) == 1)
			return NULL;
	} else if (strcmp(host, "localhost") == 0 ||
	    inet_pton(AF_INET, host, &addr) == 1)
		return NULL;
	if (strchr(host, ':') != NULL)
		return "needs [ ] around an IPv6 address";
	return "is no IP address or localhost before the port";
}

const char *
conf_check_url_path(const char *value)
{
	if (*value != '/')
		return "does not start with '/'";
	if (strpbrk(value, " \t?#") != NULL)
		return "holds a space, '?' or '#'";
	return NULL;
}

int
conf_is_origin(char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t len;
	char *host, *port;

	if (strcmp(s, "*") == 0)
		return 1;
	host = strstr(s, "://");
	if (host == NULL || !isalpha((unsigned char)*s) ||
	    s + strcspn(s, ":_") != host ||
	    strspn(s, allowed) != (size_t)(host - s))
		return 0;
	host += 3;
	if (*host == '[') {
		len = strspn(host + 1, "0123456789abcdefABCDEF:.") + 1;
		if (len < 3 || host[len] != ']')
			return 0;
		len++;
	} else {
		len = strspn(host, allowed);
	}
	port = host + len;
	if (len == 0 || (*port != '\0' && *port != ':'))
		return 0;
	if (*port == '\0')
		return 1;
	if (!is_port(port + 1, 1))
		return 0;
	if ((strncasecmp(s, "http:", 5) == 0 && strcmp(port, ":80") == 0) ||
	    (strncasecmp(s, "https:", 6) == 0 && strcmp(port, ":443") == 0))
		*port = '\0';
	return 1;
}

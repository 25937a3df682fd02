#!/bin/sh
# Starts fcgi-poll for Apache, with what it needs outside the document root; the first start
# makes that: configuration, key and database.
#
# Where the folder "sidewire" is, from this file: beside public_html.
home=../../../sidewire

cd "$(dirname "$0")" && home=$(cd "$home" && pwd) || exit 1
umask 077
[ -e "$home/ready" ] || /bin/sh "$home/setup.sh" </dev/null >&2 || exit 1

# Where a process may stay, a file named "keep" has a sidecar kept for WebSockets.
if [ -e "$home/keep" ]; then
	"$home/bin/sidewire" -c "$home/sidewire.conf" keep --quiet </dev/null >&2
fi
exec "$home/bin/fcgi-poll" -c "$home/sidewire.conf"

#!/bin/sh
# Makes what is not there yet: the programs executable, the configuration, the key, the
# database.  Started twice, or twice at once, it changes nothing.
set -eu
home=$(cd "$(dirname "$0")" && pwd)
umask 077
# Some ways to upload a file lose its mode.
chmod 700 "$home/bin"/*
[ ! -e "$home/lib/ws-sidecar" ] || chmod 700 "$home/lib/ws-sidecar"

# The whole file or none: ln fails where another was first.
place() {
	[ ! -e "$1" ] || return 0
	cat >"$1.$$"
	ln "$1.$$" "$1" 2>/dev/null || [ -e "$1" ]
	rm -f "$1.$$"
}
place "$home/sidewire.conf" <<CONF
# sidewire.conf(5) has every key.
database = $home/sidewire.db
run_dir = $home/run
jwt.key_file = $home/jwt.key
# A process of mod_fcgid gets one request at a time.
poll.threads = 1
ws.listen = 127.0.0.1:8081
CONF
[ -e "$home/jwt.key" ] ||
    od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n' | place "$home/jwt.key"
"$home/bin/sidewire" -c "$home/sidewire.conf" init
: >"$home/ready"

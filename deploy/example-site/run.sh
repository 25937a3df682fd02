#!/bin/sh
# Starts the example site with Sidewire beside it, on loopback, in a directory of its own,
# and prints how to use both.
#
#   deploy/example-site/run.sh BINDIR
#
# PORT (8080) is the web server's, WS_PORT (8081) the sidecar's; DEMO_DIR (build/demo)
# keeps the database between runs; TOKEN_TTL (3600 seconds) is how long the site's tokens
# live.  Ends with Ctrl-C, taking everything with it.
set -eu

bin=$(cd "${1:?usage: deploy/example-site/run.sh BINDIR}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
client=$(cd "$here/../../client" && pwd)
port=${PORT:-8080}
ws_port=${WS_PORT:-8081}
dir=${DEMO_DIR:-build/demo}
mkdir -p "$dir/sessions"
dir=$(cd "$dir" && pwd)
chmod 700 "$dir"

die() {
	echo "run: $*" >&2
	exit 1
}

pids=
stop() {
	trap '' INT TERM
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill $pids 2>/dev/null || true
	wait
	[ $# -eq 0 ] || exit "$1"
}
trap 'stop' EXIT
trap 'echo; stop 0' INT TERM HUP

# --- configuration, key, database ---

if [ ! -s "$dir/jwt.key" ]; then
	(umask 077; od -An -N48 -tx1 /dev/urandom | tr -d ' \n' >"$dir/jwt.key")
fi
cat >"$dir/sidewire.conf" <<CONF
database = $dir/sidewire.db
run_dir = $dir/run
jwt.key_file = $dir/jwt.key
poll.listen = $dir/poll.sock
ws.listen = 127.0.0.1:$ws_port
ws.origins = http://localhost:$port http://127.0.0.1:$port
CONF
sw() {
	"$bin/sidewire" -c "$dir/sidewire.conf" "$@"
}
# The site makes its tables and fills them; Sidewire adds its own beside them.
php=$(command -v php-cgi) || die "php-cgi is missing: deploy/packages.sh run"
if [ ! -e "$dir/sidewire.db" ]; then
	SITE_DATABASE="$dir/sidewire.db" "$php" -q "$here/seed.php" ||
	    die "the site's database was not made"
elif [ -z "$(sqlite3 "$dir/sidewire.db" \
    "SELECT 1 FROM sqlite_master WHERE name = 'room_reads'")" ]; then
	die "$dir/sidewire.db is not the example site's: remove it, or set DEMO_DIR"
fi
sw init >/dev/null

# --- services ---

sed -e "s|/run/sidewire/poll.sock|$dir/poll.sock|" -e "s|8081|$ws_port|" \
    "$here/../lighttpd/sidewire.conf" >"$dir/sidewire-lighttpd.conf"
: "${TOKEN_TTL:=3600}"
sed -e "s|%SITE%|$here|" -e "s|%CLIENT%|$client|" -e "s|%PHP%|$php|" \
    -e "s|%DIR%|$dir|g" -e "s|%PORT%|$port|" -e "s|%TTL%|$TOKEN_TTL|" \
    "$here/lighttpd.conf" >"$dir/lighttpd.conf"
lighttpd=$(command -v lighttpd || echo /usr/sbin/lighttpd)

rm -f "$dir/lighttpd.pid" "$dir"/*.log

# start NAME COMMAND...: in the background, its complaints in NAME.log
start() {
	name=$1
	shift
	"$@" 2>>"$dir/$name.log" &
	pids="$pids $!"
	eval "pid_$(echo "$name" | tr - _)=$!"
}
# wait_for NAME PID WHAT-TO-TEST...: until the test holds, or the process ended
wait_for() {
	name=$1
	pid=$2
	shift 2
	tries=0
	until "$@" >/dev/null 2>&1; do
		if ! kill -0 "$pid" 2>/dev/null; then
			tail -n 3 "$dir/$name.log" >&2
			die "$name did not start (ports: PORT=$port WS_PORT=$ws_port)"
		fi
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || die "$name is not ready: see $dir/$name.log"
		sleep 0.05
	done
}

start fcgi-poll "$bin/fcgi-poll" -c "$dir/sidewire.conf"
start ws-sidecar "$bin/ws-sidecar" -c "$dir/sidewire.conf"
start lighttpd "$lighttpd" -D -f "$dir/lighttpd.conf"
wait_for fcgi-poll "$pid_fcgi_poll" test -S "$dir/poll.sock"
wait_for ws-sidecar "$pid_ws_sidecar" grep -q ready "$dir/ws-sidecar.log"
wait_for lighttpd "$pid_lighttpd" test -s "$dir/lighttpd.pid"

# --- how to use it ---

alice=$(sw token alice --ttl 86400)
bob=$(sw token bob --ttl 86400)
url=http://localhost:$port
cat <<TEXT

The example site runs: $url/

  Sign in as Alice, and as Bob in a private window or at http://127.0.0.1:$port/ (another
  host to the browser); any other name makes a new user.

  Tokens for the shell, valid for a day:

  export TOKEN=$alice
  export BOB=$bob

  curl -H "Authorization: Bearer \$TOKEN" "$url/api/realtime/poll"
  curl -H "Authorization: Bearer \$TOKEN" "$url/api/realtime/poll?lastTimestamp=\$TS&timeout=20"

  A row that any program inserts reaches everybody:

  sqlite3 $dir/sidewire.db "INSERT INTO messages (room_id, sender_id, sender_name, content) VALUES ('lobby', 'bob', 'Bob', 'Hello from a shell')"
  $bin/sidewire -c $dir/sidewire.conf post lobby bob "Hello from the command"

  Database, configuration and logs: $dir
  Ctrl-C ends it.

TEXT

# Until one of them ends by itself, or somebody ends us.
while kill -0 "$pid_fcgi_poll" 2>/dev/null && kill -0 "$pid_ws_sidecar" 2>/dev/null &&
    kill -0 "$pid_lighttpd" 2>/dev/null; do
	sleep 1 &
	wait $! || true
done
die "a service ended: see the logs in $dir"

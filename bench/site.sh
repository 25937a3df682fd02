# A site of its own for one run of the benchmark: directory, ports, database, users,
# tokens, web servers, programs, loads.  Sourced by run.sh, which sets bin, tools, dir.

die() {
	echo "bench: $*" >&2
	exit 1
}

# --- processes ---

pids=
# start WHO COMMAND...: on the server's CPU; its process in pid_WHO, complaints in
# WHO.log.  WHO.in, if there is one, is its input, which never ends: it has both ends.
start() {
	who=$1
	shift
	if [ -p "$dir/$who.in" ]; then
		$on_server "$@" 0<>"$dir/$who.in" >>"$dir/$who.log" 2>&1 &
	else
		$on_server "$@" </dev/null >>"$dir/$who.log" 2>&1 &
	fi
	pids="$pids $!"
	eval "pid_$who=$!"
}

# Whether a process is a child of this shell: the number of one that has ended may be
# somebody else's by now.
is_ours() {
	grep -q "^PPid:[[:space:]]*$$\$" "/proc/$1/status" 2>/dev/null
}

# stop PROCESS: asks it to end, insists after 5 s, and waits for it.
stop() {
	tries=0
	while is_ours "$1" && [ "$tries" -lt 200 ]; do
		case $tries in
		0)	kill "$1" 2>/dev/null || true ;;
		100)	kill -KILL "$1" 2>/dev/null || true ;;
		esac
		tries=$((tries + 1))
		sleep 0.05
		# A zombie is ours as well.
		grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null && break
	done
	wait "$1" 2>/dev/null || true
}
end() {
	eval "stop \"\$pid_$1\""
}

# end_all: whatever is left of what was started.
end_all() {
	for process in $pids; do
		stop "$process"
	done
}

# until_true WHAT COMMAND...: waits up to 10 s.
until_true() {
	what=$1
	shift
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || die "$what: see $dir"
		sleep 0.05
	done
}

# Whether somebody listens, without a connection: a plain request is nothing that the
# ceilings are made for.
listens() {
	grep -q "0100007F:$(printf %04X "$1") 00000000:0000 0A" /proc/net/tcp
}

# The worker, which does nginx' work.
child_of() {
	cut -d' ' -f1 "/proc/$1/task/$1/children"
}

# --- the site ---

# N ports that are free now.
free_ports() {
	/usr/bin/python3 -c '
import socket, sys
all = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in all: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in all])' "$1"
}

sql() {
	sqlite3 -bail -cmd '.timeout 10000' "$dir/sidewire.db" "$1"
}

# CONNS users u1, u2, ..., a public room, and a token for each.
make_site() {
	umask 077
	od -An -N48 -tx1 /dev/urandom | tr -d ' \n' >"$dir/jwt.key"
	cat >"$dir/sidewire.conf" <<-CONF
		database = $dir/sidewire.db
		run_dir = $dir/run
		jwt.key_file = $dir/jwt.key
		poll.listen = $dir/poll.sock
		ws.listen = 127.0.0.1:$port_ws
		ws.max_per_user = 100000
		limit.poll_per_s = 0
		limit.frame_per_s = 0
		presence.ttl_s = 3600
	CONF
	"$bin/sidewire" -c "$dir/sidewire.conf" init >/dev/null
	sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
		WHERE i < $conns)
		INSERT INTO users(id, name) SELECT 'u' || i, 'User ' || i FROM n;
		INSERT INTO rooms(id, name) VALUES ('lobby', 'Lobby')"
	i=0
	while [ "$i" -lt "$conns" ]; do
		i=$((i + 1))
		"$bin/sidewire" -c "$dir/sidewire.conf" token --any \
		    --ttl 7200 "u$i"
	done >"$dir/tokens"
	token=$(head -n 1 "$dir/tokens")
}

# What is published: about 300 bytes as a frame, whoever sends it.
text=0123456789012345678901234567890123456789012345678901234567890123456789
make_lines() {
	cat >"$dir/insert.line" <<-LINE
		INSERT INTO messages(room_id, sender_id, sender_name, content) VALUES ('lobby', 'u1', 'User 1', 'bench_ts=%T,%n; $text');
	LINE
	cat >"$dir/frame.line" <<-LINE
		{"type":"NEW_MESSAGE","payload":{"id":"0123456789abcdef0123456789abcdef","roomId":"lobby","senderId":"u1","senderName":"User 1","senderAvatar":"","content":"bench_ts=%T,%n; $text","type":"text","timestamp":"2025-11-30T16:00:00.000Z"},"timestamp":"2025-11-30T16:00:00.000123Z"}
	LINE
}

# The site that writes: the sqlite3 shell, which runs each line that is published.
start_writer() {
	mkfifo "$dir/writer.in"
	sqlite3 -bail -cmd '.timeout 10000' "$dir/sidewire.db" \
	    0<>"$dir/writer.in" >>"$dir/writer.log" 2>&1 &
	pids="$pids $!"
	pid_writer=$!
	on_load_cpu "$pid_writer"
	echo "PRAGMA synchronous = NORMAL;" >"$dir/writer.in"
}

# poll_answer CURSOR: the body of a poll by the first user.
poll_answer() {
	curl -sf -H "Authorization: Bearer $token" \
	    "http://127.0.0.1:$port_lighttpd/api/realtime/poll?lastTimestamp=$1"
}

head_of_log() {
	poll_answer "" | sed 's/.*"timestamp":"\([^"]*\)"}$/\1/'
}

# --- web servers, each in front of ours and of libfcgi ---

start_lighttpd() {
	mkdir -p "$dir/www"
	cat >"$dir/lighttpd.conf" <<-CONF
		server.document-root = "$dir/www"
		server.bind = "127.0.0.1"
		server.port = $port_lighttpd
		server.errorlog = "$dir/lighttpd.log"
		server.max-fds = 8192
		server.max-connections = 3000
		server.max-keep-alive-requests = 100000000
		server.modules = ( "mod_fastcgi" )
		fastcgi.server = (
		  "/api/realtime/" => (( "socket" => "$dir/poll.sock",
		    "check-local" => "disable", "tcp-fin-propagate" => "enable" )),
		  "/empty" => (( "socket" => "$dir/hello_empty.sock",
		    "check-local" => "disable" )),
		  "/event" => (( "socket" => "$dir/hello_event.sock",
		    "check-local" => "disable" )) )
	CONF
	PATH=$PATH:/usr/sbin start lighttpd lighttpd -D -f "$dir/lighttpd.conf"
	until_true "lighttpd does not answer" poll_answer ""
}

start_nginx() {
	user=
	[ "$(id -u)" -ne 0 ] || user="user root root;"
	mkdir -p "$dir/nginx"
	cat >"$dir/nginx.conf" <<-CONF
		$user
		daemon off; worker_processes 1; pid $dir/nginx.pid;
		error_log $dir/nginx.log;
		events { worker_connections 4096; }
		http {
		access_log off; keepalive_requests 100000000;
		client_body_temp_path $dir/nginx; proxy_temp_path $dir/nginx;
		fastcgi_temp_path $dir/nginx; uwsgi_temp_path $dir/nginx;
		scgi_temp_path $dir/nginx;
		upstream poll { server unix:$dir/poll.sock; keepalive 64; }
		upstream hello { server unix:$dir/hello_kept.sock; keepalive 64; }
		fastcgi_keep_conn on;
		fastcgi_param REQUEST_METHOD \$request_method;
		fastcgi_param REQUEST_URI \$request_uri;
		fastcgi_param QUERY_STRING \$query_string;
		fastcgi_param REMOTE_ADDR \$remote_addr;
		fastcgi_param SERVER_PROTOCOL \$server_protocol;
		server { listen 127.0.0.1:$port_nginx;
		location /api/realtime/ { fastcgi_pass poll; }
		location /empty { fastcgi_pass hello; } } }
	CONF
	PATH=$PATH:/usr/sbin start nginx nginx -e "$dir/nginx.log" -c "$dir/nginx.conf"
	until_true "nginx does not answer" \
	    curl -sf "http://127.0.0.1:$port_nginx/empty"
}

start_poll() {
	rm -f "$dir/poll.sock"
	start poll "$bin/fcgi-poll" -c "$dir/sidewire.conf"
	until_true "fcgi-poll does not start" test -S "$dir/poll.sock"
}

# --- loads ---

# load WHO ARGUMENTS...: a load that waits for commands; its line on opening.
load() {
	who=$1
	shift
	rm -f "$dir/$who.ask" "$dir/$who.answer"
	mkfifo "$dir/$who.ask" "$dir/$who.answer"
	$on_load "$tools/rtload" "$@" --tokens "$dir/tokens" \
	    0<>"$dir/$who.ask" 1<>"$dir/$who.answer" 2>>"$dir/load.log" &
	pids="$pids $!"
	eval "pid_load_$who=$!"
	answer "$who"
}
# ask WHO COMMAND: the line that comes of it, in $line.
ask() {
	echo "$2" >"$dir/$1.ask"
	answer "$1"
}
answer() {
	line=$(timeout 60 head -n 1 <"$dir/$1.answer") || line=
	[ -n "$line" ] || die "the load $1 has ended: $(tail -n 1 "$dir/load.log")"
	echo "$1 $line" >>"$dir/lines"
}
end_load() {
	eval "process=\$pid_load_$1"
	echo end >"$dir/$1.ask"
	wait "$process" || die "the load $1 has failed"
}
# get KEY: the value in $line.
get() {
	printf '%s\n' "$line" | tr ' ' '\n' | sed -n "s/^$1=//p"
}

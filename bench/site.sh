# A site of its own for one run of the benchmark: database, users, tokens, rooms, and the
# program that writes to it.  Sourced by run.sh.

sql() {
	sqlite3 -bail -cmd '.timeout 10000' "$dir/sidewire.db" "$1"
}

# $users users u1, u2, ..., who are online already, as the site says: coming online is an
# event to all.  The room lobby is public; club has the first ten for members.
make_site() {
	umask 077
	od -An -N48 -tx1 /dev/urandom | tr -d ' \n' >"$dir/jwt.key"
	cat >"$dir/sidewire.conf" <<-CONF
		database = $dir/sidewire.db
		run_dir = $dir/run
		jwt.key_file = $dir/jwt.key
		poll.listen = $dir/poll.sock
		poll.max_wait_s = 300
		poll.max_held = 20000
		ws.listen = 127.0.0.1:$port_ws
		ws.max_per_user = 100000
		limit.poll_per_s = 0
		limit.frame_per_s = 0
		limit.send_per_s = 0
		presence.ttl_s = 3600
	CONF
	"$bin/sidewire" -c "$dir/sidewire.conf" init >/dev/null
	sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
		WHERE i < $users)
		INSERT INTO users(id, name, is_online)
		SELECT 'u' || i, 'User ' || i, 1 FROM n;
		INSERT INTO rooms(id, name) VALUES ('lobby', 'Lobby');
		INSERT INTO rooms(id, name, is_private) VALUES ('club', 'Club', 1);
		INSERT INTO room_members(room_id, user_id)
		SELECT 'club', id FROM users WHERE substr(id, 2) + 0 <= 10"
	make_tokens "$users" >"$dir/tokens"
	head -n 10 "$dir/tokens" >"$dir/tokens.members"
	tail -n +11 "$dir/tokens" >"$dir/tokens.others"
	token=$(head -n 1 "$dir/tokens")
}

# Signs a token for each of the first N users, as a site would: HS256, by any language.
make_tokens() {
	/usr/bin/python3 -c '
import base64, hashlib, hmac, json, sys, time
def b64(b): return base64.urlsafe_b64encode(b).rstrip(b"=")
key = open(sys.argv[1], "rb").read().rstrip(b"\n")
now = int(time.time())
for i in range(1, int(sys.argv[2]) + 1):
    claims = {"sub": "u%d" % i, "iat": now, "exp": now + 7200}
    text = b64(b"{\"alg\":\"HS256\",\"typ\":\"JWT\"}") + b"." + b64(json.dumps(claims).encode())
    print((text + b"." + b64(hmac.new(key, text, hashlib.sha256).digest())).decode())' \
	    "$dir/jwt.key" "$1"
}

# What is published: a line for our writer, and about 300 bytes as a frame, which is what
# comes of it, for the others.
make_lines() {
	text=0123456789012345678901234567890123456789012345678901234567890123456789
	echo "lobby %T %n" >"$dir/lobby.line"
	echo "club %T %n" >"$dir/club.line"
	echo "lobby 0 %n" >"$dir/stamp.line"
	cat >"$dir/frame.line" <<-LINE
		{"type":"NEW_MESSAGE","payload":{"id":"0123456789abcdef0123456789abcdef","roomId":"lobby","senderId":"u1","senderName":"User 1","senderAvatar":"","content":"bench_ts=%T,%n; $text","type":"text","timestamp":"2025-11-30T16:00:00.000Z"},"timestamp":"2025-11-30T16:00:00.000123Z"}
	LINE
}

# The writer takes what is published from a FIFO, which has one end here; asked for
# a report, it answers as a load does.
start_writer() {
	mkfifo "$dir/writer.in" "$dir/writer.answer"
	$on_load "$tools/writer" "$dir/sidewire.db" 0<>"$dir/writer.in" \
	    1<>"$dir/writer.answer" 2>>"$dir/writer.log" &
	pids="$pids $!"
	ln -s writer.in "$dir/writer.ask"
	echo "synchronous NORMAL" >"$dir/writer.in"
}

# The newest position, as the programs print it.
head_of_log() {
	sql "SELECT strftime('%Y-%m-%dT%H:%M:%S', id / 1000000, 'unixepoch') ||
	    printf('.%06dZ', id % 1000000) FROM events ORDER BY id DESC LIMIT 1"
}

# poll_answer CURSOR: the body of a poll by the first user.
poll_answer() {
	curl -sf -H "Authorization: Bearer $token" \
	    "http://127.0.0.1:$port_lighttpd/api/realtime/poll?lastTimestamp=$1"
}

# --- our programs ---

start_poll() {
	rm -f "$dir/poll.sock"
	start poll "$bin/fcgi-poll" -c "$dir/sidewire.conf"
	until_true "fcgi-poll does not start" test -S "$dir/poll.sock"
}

start_ws() {
	start ws "$bin/ws-sidecar" -c "$dir/sidewire.conf"
	until_true "ws-sidecar is not ready" \
	    curl -sf "http://127.0.0.1:$port_ws/readyz"
}

# What is measured, row by row.  Sourced by run.sh.  Ours and the ceiling take turns, so
# that a noisy moment hits both; the ratio is the median of the ratios of pairs.

rows=
broken=0

# row NAME UNIT OURS CEILING RATIO REMARK; "-" where there is none.
row() {
	printf '%-44s %-14s %10s %10s %7s  %s\n' "$@" >>"$dir/table"
	echo "  $1" >&2
}

# medians FILE: of the first column, of the second, and of their ratios.
medians() {
	awk 'function median(a, n,   i, j, t) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
				t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
			}
		return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
	}
	function show(x) { return sprintf(x >= 100 ? "%.0f" : "%.2f", x) }
	{ a[NR] = $1; b[NR] = $2; r[NR] = $2 > 0 ? $1 / $2 : 0 }
	END { if (NR) print show(median(a, NR)), show(median(b, NR)), \
	    sprintf("%.2f", median(r, NR)) }' "$1"
}

# pair_row NAME UNIT FILE REMARK
pair_row() {
	# shellcheck disable=SC2046
	set -- "$1" "$2" "$4" $(medians "$3")
	row "$1" "$2" "$4" "$5" "$6" "$3"
}

# is_right: whether $line says that all was as it should be; ours is BROKEN else.
is_right() {
	if [ "$(get ok)" = 1 ]; then
		return 0
	fi
	echo "BROKEN: $1: $line" >&2
	state=BROKEN
	broken=1
	return 1
}

# --- polls ---

# All users poll once, so that nobody comes online, which is an event, later.
come_online() {
	$on_load "$tools/rtload" poll --port "$port_lighttpd" --secs 1 --warm 0 \
	    --conns "$conns" --follow yes --tokens "$dir/tokens" \
	    --path '/api/realtime/poll?lastTimestamp=%c' \
	    --header 'Authorization: Bearer %t' >/dev/null
	until_true "not all users are online" eval \
	    '[ "$(sql "SELECT count(*) FROM users WHERE is_online")" = "$conns" ]'
	# Behind what presence has written so far.
	cursor=$(head_of_log)
	poll_answer "$cursor" >"$dir/empty.body"
	printf '%s\n' "INSERT INTO messages(room_id, sender_id, sender_name, content)
		VALUES ('lobby', 'u1', 'User 1', 'bench_ts=1,1; $text');" \
	    >"$dir/writer.in"
	until_true "the event does not come" eval \
	    'poll_answer "$cursor" | grep -q bench_ts=1,1'
	poll_answer "$cursor" >"$dir/event.body"
	after=$(head_of_log)
}

# ask_polls PORT PATH EVENTS CURSOR FOLLOW PIDS: $line
ask_polls() {
	line=$($on_load "$tools/rtload" poll --port "$1" --path "$2" --events "$3" \
	    --cursor "$4" --follow "$5" --conns 64 --secs "$secs" --warm 0.4 \
	    --tokens "$dir/tokens" --header 'Authorization: Bearer %t' \
	    --pids "$6" 2>>"$dir/load.log")
	echo "poll $2 $line" >>"$dir/lines"
}

# poll_pairs NAME PORT CEILING-PATH EVENTS CURSOR FOLLOW PIDS CEILING-PIDS
poll_pairs() {
	state=ok
	: >"$dir/cpu"
	: >"$dir/program"
	: >"$dir/rate"
	: >"$dir/p99"
	for turn in 1 2 3; do
		ask_polls "$2" '/api/realtime/poll?lastTimestamp=%c' \
		    "$4" "$5" "$6" "$7"
		is_right "$1" || true
		ours=$line
		ask_polls "$2" "$3?%c" "$4" "$5" "$6" "$8"
		[ "$(get ok)" = 1 ] || die "the ceiling of $1 fails: $line"
		for key in cpu_per_100k:cpu program_per_100k:program \
		    per_s:rate p99_ms:p99; do
			b=$(get "${key%:*}")
			theirs=$line
			line=$ours
			echo "$(get "${key%:*}") $b" >>"$dir/${key#*:}"
			line=$theirs
		done
	done
	pair_row "$1" "CPU s/100k" "$dir/cpu" "$state"
	pair_row "   of it the program" "CPU s/100k" "$dir/program" ""
	pair_row "   throughput" "polls/s" "$dir/rate" ""
	pair_row "   slowest in a hundred" "p99 ms" "$dir/p99" ""
}

rows_poll() {
	start hello_empty "$tools/fcgi-hello" "$dir/hello_empty.sock" 4 "$dir/empty.body"
	start hello_event "$tools/fcgi-hello" "$dir/hello_event.sock" 4 "$dir/event.body"
	start hello_kept "$tools/fcgi-hello" "$dir/hello_kept.sock" 72 "$dir/empty.body"
	for name in empty event kept; do
		until_true "fcgi-hello does not start" \
		    test -S "$dir/hello_$name.sock"
	done
	poll_pairs "1a poll, nothing new, lighttpd" "$port_lighttpd" /empty 0 \
	    "$after" yes "$pid_lighttpd,$pid_poll" "$pid_lighttpd,$pid_hello_empty"
	if PATH=$PATH:/usr/sbin command -v nginx >/dev/null; then
		start_nginx
		worker=$(child_of "$pid_nginx")
		poll_pairs "1b the same, nginx, connections kept" "$port_nginx" \
		    /empty 0 "$after" yes "$worker,$pid_poll" \
		    "$worker,$pid_hello_kept"
		end nginx
	else
		row "1b the same, nginx, connections kept" - - - - \
		    "skipped: nginx is not installed"
	fi
	poll_pairs "2  poll, one event, lighttpd" "$port_lighttpd" /event 1 \
	    "$cursor" no "$pid_lighttpd,$pid_poll" "$pid_lighttpd,$pid_hello_event"
	end hello_empty
	end hello_event
	end hello_kept
}

# Fresh processes, so that memory is that of what is held.
row_hold() {
	end lighttpd
	end poll
	start_poll
	start_lighttpd
	state=ok
	name="3  $conns held polls, lighttpd"
	load hold hold --port "$port_lighttpd" --conns "$conns" \
	    --path '/api/realtime/poll?timeout=25&lastTimestamp=%c' \
	    --header 'Authorization: Bearer %t' --cursor "$(head_of_log)" \
	    --follow yes --publish "$dir/writer.in" --line "$dir/insert.line" \
	    --pids "$pid_lighttpd,$pid_poll"
	is_right "$name" || true
	before=$(get pss_kib)
	ask hold "idle 2"
	row "$name" "KiB PSS each" "$(awk "BEGIN { printf \"%.1f\",
	    ($(get pss_kib) - $before) / $conns }")" - - \
	    "both processes; $(get open) open"
	ask hold "step 2 3"
	is_right "$name" || true
	row "   INSERT until all are answered" "p50 ms" "$(get p50_ms)" - - "$state"
	row "   " "p99 ms" "$(get p99_ms)" - - ""
	row "   " "max ms" "$(get max_ms)" - - ""
	row "   the answers" "CPU s/1M" "$(get cpu_per_1m)" - - ""
	end_load hold
}

# --- sockets ---

start_sockets() {
	start ws "$bin/ws-sidecar" -c "$dir/sidewire.conf"
	mkfifo "$dir/lws.in" "$dir/raw.in"
	start lws "$tools/lws-broadcast" "$port_lws"
	start raw "$tools/raw-send" "$port_raw"
	until_true "ws-sidecar is not ready" \
	    curl -sf "http://127.0.0.1:$port_ws/readyz"
	for port in "$port_lws" "$port_raw"; do
		until_true "a ceiling does not listen" listens "$port"
	done
}

# sockets CONNS: opens so many on each of the three.
sockets() {
	load ws ws --port "$port_ws" --path '/ws?token=%t' --conns "$1" \
	    --publish "$dir/writer.in" --line "$dir/insert.line" --pids "$pid_ws"
	before_ws=$(get pss_kib) open_ws=$(get cpu_s)
	is_right "opening sockets" || die "ours does not open: $line"
	for peer in lws raw; do
		eval "port=\$port_$peer pid=\$pid_$peer"
		load "$peer" ws --port "$port" --conns "$1" --pids "$pid" \
		    --publish "$dir/$peer.in" --line "$dir/frame.line"
		[ "$(get ok)" = 1 ] || die "$peer does not open: $line"
		eval "before_$peer=\$(get pss_kib) open_$peer=\$(get cpu_s)"
	done
}
end_sockets() {
	for peer in ws lws raw; do
		end_load "$peer"
	done
}

# One socket: from before the INSERT to the frame, the shell that writes included.
row_commit() {
	state=ok
	sockets 1
	for mode in NORMAL FULL; do
		name="6  INSERT elsewhere to frame, synchronous=$mode"
		echo "PRAGMA synchronous = $mode;" >"$dir/writer.in"
		: >"$dir/p50"
		: >"$dir/p99"
		for turn in 1 2 3; do
			ask ws "step 100 1"
			is_right "$name" || true
			p50=$(get p50_ms) p99=$(get p99_ms)
			ask lws "step 100 1"
			echo "$p50 $(get p50_ms)" >>"$dir/p50"
			echo "$p99 $(get p99_ms)" >>"$dir/p99"
		done
		pair_row "$name" "p50 ms" "$dir/p50" "$state; ceiling: no database"
		pair_row "   " "p99 ms" "$dir/p99" ""
	done
	echo "PRAGMA synchronous = NORMAL;" >"$dir/writer.in"
	end_sockets
}

# note_step PEER RATE: whether the rate was sustained, in one of two attempts: a noisy
# moment is not a limit.  If so it is the most so far, else no higher one is tried.
note_step() {
	eval "[ \$up_$1 = 1 ]" || return 0
	for attempt in 1 2; do
		ask "$1" "step $2 $secs"
		[ "$1" != ws ] || is_right "fan-out at $2/s" || true
		if [ "$(get ok)" = 1 ] && [ "$(get late)" = 0 ] &&
		    [ "$(get p99_ms | cut -d. -f1)" -lt 1000 ]; then
			eval "most_$1=\$(get per_s) load_$1=\$(get own_cpu_pct)"
			return 0
		fi
	done
	eval "up_$1=0"
}

rows_fanout() {
	state=ok
	# The first event touches each connection's memory; then all is still.
	for peer in ws lws raw; do
		ask "$peer" "step 20 0.5"
		eval "up_$peer=1 most_$peer=0 load_$peer=0"
	done
	for peer in lws raw; do
		for what in cpu p50 p99; do
			: >"$dir/$what.$peer"
		done
	done
	for turn in 1 2 3; do
		ask ws "step 100 $secs"
		is_right "fan-out at 100/s" || true
		cpu=$(get cpu_per_1m) p50=$(get p50_ms) p99=$(get p99_ms)
		for peer in lws raw; do
			ask "$peer" "step 100 $secs"
			echo "$cpu $(get cpu_per_1m)" >>"$dir/cpu.$peer"
			echo "$p50 $(get p50_ms)" >>"$dir/p50.$peer"
			echo "$p99 $(get p99_ms)" >>"$dir/p99.$peer"
		done
	done
	for rate in 150 200 250 300 400 500 600; do
		for peer in ws lws raw; do
			note_step "$peer" "$rate"
		done
	done
	for peer in lws raw; do
		name="libwebsockets on libev"
		[ "$peer" = lws ] || name="raw send() loop"
		pair_row "4  fan-out to $conns, 100/s; $name" "CPU s/1M" \
		    "$dir/cpu.$peer" "$state"
		pair_row "   " "p50 ms" "$dir/p50.$peer" ""
		pair_row "   " "p99 ms" "$dir/p99.$peer" ""
		eval "echo \$most_ws \$most_$peer >\$dir/most"
		pair_row "   sustained" "deliveries/s" "$dir/most" \
		    "$(eval "echo load CPU \$load_ws %, \$load_$peer %")"
	done
}

row_idle() {
	sockets "$conns"
	for peer in ws lws raw; do
		ask "$peer" "idle 5"
		[ "$(get open)" = "$conns" ] || die "$peer lost sockets: $line"
		eval "all=\$((\$(get pss_kib) - before_$peer))"
		eval "idle_$peer=\$(get cpu_s)"
		eval "each_$peer=$(awk "BEGIN { printf \"%.2f\", $all / $conns }")"
	done
	for peer in lws raw; do
		name="libwebsockets"
		[ "$peer" = lws ] || name="raw"
		eval "echo \$each_ws \$each_$peer >\$dir/each"
		eval "echo \$open_ws \$open_$peer >\$dir/open"
		pair_row "5  $conns idle sockets; $name" "KiB PSS each" \
		    "$dir/each" ""
		pair_row "   opening them" "CPU s" "$dir/open" ""
		eval "row '   idle for 5 s' 'CPU s' \$idle_ws \$idle_$peer - ''"
	done
	row_calls
}

# Memory that fan-out has left behind; of the ceilings it is just their rings.
row_memory_after() {
	ask ws "idle 1"
	row "   memory of ours after the load" "KiB PSS each" "$(awk "BEGIN {
	    printf \"%.2f\", ($(get pss_kib) - $before_ws) / $conns }")" - - ""
}

# What it asks of the kernel while nothing happens.
row_calls() {
	if ! command -v strace >/dev/null; then
		row "   idle for 5 s" "system calls" - - - "skipped: no strace"
		return
	fi
	for peer in ws lws; do
		eval "pid=\$pid_$peer"
		timeout -s INT 5 strace -f -c -o "$dir/$peer.calls" -p "$pid" \
		    2>/dev/null || true
		# The column after usecs/call; without a call there is no line.
		eval "calls_$peer=$(awk '$NF == "total" { n = $4 } END { print n + 0 }' \
		    "$dir/$peer.calls")"
	done
	row "   idle for 5 s" "system calls" "$calls_ws" "$calls_lws" - \
	    "ceiling: libwebsockets"
}

# --- the end ---

check_logs() {
	for name in poll ws writer load; do
		if grep -iE 'error|warning|sanitizer' "$dir/$name.log" >&2; then
			echo "bench: the lines above are of $name.log" >&2
			broken=1
		fi
	done
}

print_table() {
	printf '\n%-44s %-14s %10s %10s %7s\n' "" "" ours ceiling ratio
	cat "$dir/table"
	[ "$broken" -eq 0 ] || echo "BROKEN: see above"
	return "$broken"
}

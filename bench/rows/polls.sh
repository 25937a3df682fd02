# Polls that are answered at once: nothing new, one event; 64 clients who ask again as soon
# as they are answered.  Sourced by run.sh.

# What a hello answers is what ours answers.
make_bodies() {
	cursor=$(head_of_log)
	poll_answer "$cursor" >"$dir/empty.body"
	echo "lobby 1 1" >"$dir/writer.in"
	until_true "the event does not come" eval \
	    'poll_answer "$cursor" | grep -q bench_ts=1,1'
	poll_answer "$cursor" >"$dir/event.body"
	after=$(head_of_log)
}

# ask_polls PORT PATH PIDS OPTION...: $line
ask_polls() {
	port=$1 path=$2 processes=$3
	shift 3
	line=$($on_load "$tools/rtload" poll --port "$port" --path "$path" \
	    --conns 64 --secs "$secs" --warm 0.4 --tokens "$dir/tokens" \
	    --pids "$processes" "$@" 2>>"$dir/load.log") ||
	    die "the load of $path: $(tail -n 1 "$dir/load.log")"
	echo "poll $path $line" >>"$dir/lines"
}

# ask_ours PORT EVENTS CURSOR FOLLOW PIDS, keeping the figures in our_*.
ask_ours() {
	ask_polls "$1" '/api/realtime/poll?lastTimestamp=%c' "$5" --events "$2" \
	    --cursor "$3" --follow "$4" --header 'Authorization: Bearer %t'
	is_right "polls" || true
	our_cpu=$(get cpu_per_100k) our_program=$(get program_per_100k)
	our_rate=$(get per_s) our_p99=$(get p99_ms)
}
pair_polls() {
	pair cpu "$our_cpu" "$(get cpu_per_100k)"
	pair program "$our_program" "$(get program_per_100k)"
	pair rate "$our_rate" "$(get per_s)"
	pair p99 "$our_p99" "$(get p99_ms)"
}

# hello_pairs PORT HELLO-PATH EVENTS CURSOR FOLLOW SERVER-PID HELLO-PID
hello_pairs() {
	state=ok
	forget_pairs
	for turn in $turns; do
		ask_ours "$1" "$3" "$4" "$5" "$6,$pid_poll"
		ask_polls "$1" "$2" "$6,$7" --events "$3"
		[ "$(get ok)" = 1 ] || die "the hello of $2 fails: $line"
		pair_polls
	done
	pair_row "web server and program" "CPU s/100k" cpu "libfcgi" "$state"
	pair_row "of it the program" "CPU s/100k" program "libfcgi" ""
	pair_row "throughput" "polls/s" rate "libfcgi" ""
	poll_ratio=$ratio
	pair_row "slowest in a hundred" "p99 ms" p99 "libfcgi" ""
}

# The program's CPU for a poll beside that of a statement that finds nothing.
row_query() {
	section 1c "An empty SQLite query, beside a whole poll of 1a in our program"
	forget_pairs
	for turn in $turns; do
		ask_ours "$port_lighttpd" 0 "$after" yes "$pid_lighttpd,$pid_poll"
		line=$($on_server "$tools/sqlite-query" "$dir/sidewire.db" 100000)
		pair query "$(awk "BEGIN { print $our_program * 10 }")" "$(get us)"
	done
	pair_row "a poll, nothing new" "CPU us" query "the query" ""
}

# peer_polls WHO PORT PIDS OPTION...: of it the web server is ours alone.
peer_polls() {
	who=$1 port_of=$2 pids_of=$3
	shift 3
	state=ok
	forget_pairs
	for turn in $turns; do
		ask_ours "$port_lighttpd" 0 "$after" yes "$pid_lighttpd,$pid_poll"
		ask_polls "$port_of" /poll "$pids_of" "$@"
		[ "$(get ok)" = 1 ] || missed
		pair_polls
	done
	pair_row "all processes" "CPU s/100k" cpu "$(title "$who")" "$state"
	pair_row "throughput" "polls/s" rate "$(title "$who")" ""
}

# nchan tells by headers where a client stands.
nchan_polls() {
	url=http://127.0.0.1:$port_nchan
	curl -sf -o "$dir/nchan.pub" -d "$(cat "$dir/frame.line")" "$url/pub" ||
	    die "nchan takes no event"
	until_true "nchan has no event" \
	    curl -sf -D "$dir/nchan.head" -o "$dir/nchan.body" "$url/poll"
	tr -d '\r' <"$dir/nchan.head" >"$dir/nchan.lines"
	etag=$(sed -n 's/^[Ee][Tt][Aa][Gg]: //p' "$dir/nchan.lines")
	time=$(sed -n 's/^[Ll]ast-[Mm]odified: //p' "$dir/nchan.lines")
	peer_polls nchan "$port_nchan" "$worker_nchan" --status 304 \
	    --header "If-None-Match: $etag" --header "If-Modified-Since: $time"
}

rows_peer_polls() {
	section 1d "Polls with nothing new: ours behind lighttpd, peers by themselves"
	for who in nchan node; do
		why=$(why_not "$who")
		if [ -n "$why" ]; then
			skipped "$(title "$who")" "$why"
			continue
		fi
		"start_$who"
		if [ "$who" = nchan ]; then
			nchan_polls
		else
			peer_polls node "$port_node" "$worker_node" --events 0 \
			    --header 'Authorization: Bearer %t'
		fi
		end "$who"
	done
	skipped "$(title socketio)" "its polling transport only holds"
}

rows_poll() {
	start_poll
	start_lighttpd
	make_bodies
	start_hello empty 4 "$dir/empty.body"
	start_hello event 4 "$dir/event.body"
	start_hello kept 72 "$dir/empty.body"
	section 1a "Polls with nothing new, lighttpd"
	hello_pairs "$port_lighttpd" /empty 0 "$after" yes "$pid_lighttpd" \
	    "$pid_hello_empty"
	reach "polls behind lighttpd, beside the libfcgi hello" "$poll_ratio" ">=" 0.90
	section 1b "Polls with nothing new, nginx that keeps connections"
	if has_nginx; then
		start_nginx_kept
		hello_pairs "$port_nginx" /empty 0 "$after" yes \
		    "$(children_of "$pid_nginx_kept")" "$pid_hello_kept"
		end nginx_kept
		reach "polls behind nginx, beside the hello with 72 threads" \
		    "$poll_ratio" ">=" 0.90
	else
		skipped "" "nginx is not installed"
	fi
	row_query
	rows_peer_polls
	section 2 "Polls with one event, lighttpd"
	hello_pairs "$port_lighttpd" /event 1 "$cursor" no "$pid_lighttpd" \
	    "$pid_hello_event"
	for name in empty event kept; do
		end "hello_$name"
	done
	end lighttpd
	end poll
}

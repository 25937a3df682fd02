# Durable sends: messages that clients send, each acknowledged after its commit (FULL), beside
# what SQLite alone commits.  Not pinned: the writer has a thread of its own, and the disk is
# what bounds.  Sourced by run.sh.

# senders KIND PORT CONNECTIONS: $line
senders() {
	line=$("$tools/senders" "$1" "$2" "$dir/tokens" "$3" "$secs" \
	    2>>"$dir/load.log") || die "senders: $(tail -n 1 "$dir/load.log")"
	echo "senders $1 $line" >>"$dir/lines"
	is_right "sending by $1" || true
}
commits() {
	line=$("$tools/sqlite-commit" "$dir" "$1" "$secs") || die "sqlite-commit"
	echo "commits $1 $line" >>"$dir/lines"
	get per_s
}

# send_pairs KIND PORT CONNECTIONS: three rates, which take turns.
send_pairs() {
	state=ok
	forget_pairs
	for turn in $turns; do
		one=$(commits 1)
		senders "$@"
		rate=$(get per_s)
		pair one "$rate" "$one"
		pair time "$(get p50_ms)" "$(get p99_ms)"
		pair hundred "$rate" "$(commits 100)"
	done
	pair_row "acknowledged" "sends/s" one "1-row commit" "$state"
	send_ratio=$ratio
	pair_row "" "sends/s" hundred "100-row" ""
	read -r p50 p99 _ <<-MEDIANS
		$(medians time)
	MEDIANS
	row "until it is acknowledged" "p50 ms" "$p50" - - - "p99 $p99 ms"
}

rows_send() {
	old_on_server=$on_server on_server=
	section 8a "Durable sends over 100 sockets, each one after the other"
	start_ws
	send_pairs ws "$port_ws" 100
	end ws
	reach "sends over 100 sockets, beside one-row commits" "$send_ratio" ">=" 4.00
	section 8b "The same by POST over 16 kept connections, lighttpd"
	start_poll
	start_lighttpd
	send_pairs post "$port_lighttpd" 16
	end lighttpd
	end poll
	on_server=$old_on_server
}

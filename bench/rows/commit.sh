# From another process's COMMIT to a client, one event at a time on an idle machine.  The
# writer stamps an event just before BEGIN, so that what is measured is longer than from
# COMMIT's return by what the commit itself takes, which is shown.  Sourced by run.sh.

# commit_pairs WHO CEILING MODE: WHO is a load of ours.
commit_pairs() {
	state=ok
	forget_pairs
	echo "synchronous $3" >"$dir/writer.in"
	ask writer report
	for turn in $turns; do
		ask "$1" "step 100 1"
		is_right "COMMIT to client" || true
		p50=$(get p50_ms) p99=$(get p99_ms)
		ask "$2" "step 100 1"
		pair p50 "$p50" "$(get p50_ms)"
		pair p99 "$p99" "$(get p99_ms)"
	done
	ask writer report
	echo "synchronous NORMAL" >"$dir/writer.in"
}
commit_rows() {
	pair_row "BEGIN to $1" "p50 ms" p50 "$2" "$state"
	commit_ms=$ours
	pair_row "" "p99 ms" p99 "$2" ""
	row "of it until COMMIT returns" "p50 ms" \
	    "$(awk "BEGIN { printf \"%.2f\", $(get p50_us) / 1000 }")" - - - ""
}

rows_commit() {
	start_ws
	start_lws
	load commit ws --port "$port_ws" --path '/ws?token=%t' --conns 1 \
	    --publish "$dir/writer.in" --line "$dir/stamp.line" --pids "$pid_ws"
	load commit_lws ws --port "$port_lws" --conns 1 --pids "$pid_lws" \
	    --publish "$dir/lws.in" --line "$dir/frame.line"
	for mode in NORMAL FULL; do
		case $mode in
		NORMAL)	section 7a "COMMIT to frame, synchronous=NORMAL" ;;
		FULL)	section 7b "COMMIT to frame, synchronous=FULL" ;;
		esac
		commit_pairs commit commit_lws "$mode"
		commit_rows "the frame" "pipe to lws"
		reach "COMMIT elsewhere to frame, $mode, ms" "$commit_ms" "<" 1.00
	done
	end_load commit
	end_load commit_lws
	end ws
	end lws
	section 7c "COMMIT to the answer of a held poll, lighttpd, synchronous=NORMAL"
	start_poll
	start_park
	start_lighttpd
	load commit hold --port "$port_lighttpd" --conns 1 \
	    --path '/api/realtime/poll?timeout=280&lastTimestamp=%c' \
	    --header 'Authorization: Bearer %t' --cursor "$(head_of_log)" \
	    --follow yes --publish "$dir/writer.in" --line "$dir/stamp.line" \
	    --pids "$pid_poll"
	load commit_park hold --port "$port_lighttpd" --conns 1 \
	    --path '/park?lastTimestamp=%c' --cursor 0 --follow yes \
	    --publish "$dir/park.in" --line "$dir/frame.line" --pids "$pid_park"
	commit_pairs commit commit_park NORMAL
	commit_rows "the answer" "pipe to park"
	reach "COMMIT elsewhere to a held poll's answer, ms" "$commit_ms" "<" 1.00
	end_load commit
	end_load commit_park
	end lighttpd
	end park
	end poll
}

# A room of ten among many who are idle: what an event costs must not depend on who is
# only connected.  Sourced by run.sh.

busy_rate=200

# busy_step WHO: $line, which is checked
busy_step() {
	ask "$1" "step $busy_rate $busy_secs"
	if [ "$1" = busy_ours ]; then
		is_right "ten beside $2 idle" || true
	elif [ "$(get ok)" != 1 ]; then
		die "$1 misses events: $line"
	fi
}

cpu_ms() {
	awk "BEGIN { print $(get cpu_s) * 1000 }"
}
growth() {
	awk "BEGIN { print $1 / $2 }"
}

# idle_crowd N: opens it on both.
idle_crowd() {
	tokens=$dir/tokens.others
	load crowd_ours ws --port "$port_ws" --path '/ws?token=%t' --conns "$1" \
	    --pids "$pid_ws"
	[ "$(get ok)" = 1 ] || die "ours does not open $1 sockets: $line"
	load crowd_lws ws --port "$port_lws" --conns "$1" --pids "$pid_lws" \
	    --header 'Sec-WebSocket-Protocol: quiet'
	[ "$(get ok)" = 1 ] || die "lws does not open $1 sockets: $line"
	tokens=
}
# The crowd got nothing.
end_crowd() {
	for who in crowd_ours crowd_lws; do
		ask "$who" "idle 0.5"
		[ "$who" = crowd_lws ] || is_right "the idle got events" || true
		end_load "$who"
	done
}

row_busy() {
	section 6 "Busy: $busy_rate events/s to 10 members of a private room, others idle"
	start_ws
	start_lws
	tokens=$dir/tokens.members
	load busy_ours ws --port "$port_ws" --path '/ws?token=%t' --conns 10 \
	    --publish "$dir/writer.in" --line "$dir/club.line" --pids "$pid_ws"
	tokens=
	load busy_lws ws --port "$port_lws" --conns 10 --pids "$pid_lws" \
	    --publish "$dir/lws.in" --line "$dir/frame.line"
	for n in $crowds; do
		if [ "$n" -ge $((files - 500)) ]; then
			skipped "$n idle" "the hard limit of open files is $files"
			continue
		fi
		state=ok
		forget_pairs
		[ "$n" = 0 ] || idle_crowd "$n"
		busy_step busy_ours "$n"
		for turn in $turns; do
			busy_step busy_ours "$n"
			cpu=$(cpu_ms) p50=$(get p50_ms) p99=$(get p99_ms)
			busy_step busy_lws "$n"
			pair cpu "$cpu" "$(cpu_ms)"
			pair p50 "$p50" "$(get p50_ms)"
			pair p99 "$p99" "$(get p99_ms)"
		done
		[ "$n" = 0 ] || end_crowd
		pair_row "$n idle: in $busy_secs s" "CPU ms" cpu "$(title lws)" "$state"
		eval "busy_ours_$n=\$ours busy_lws_$n=\$theirs"
		last=$n
		pair_row "" "p50 ms" p50 "$(title lws)" ""
		pair_row "" "p99 ms" p99 "$(title lws)" ""
	done
	if [ "$last" != 0 ]; then
		row_growth "$last"
	fi
	end_load busy_ours
	end_load busy_lws
	end ws
	end lws
}
# row_growth N: beside N idle, over beside none.
row_growth() {
	n=$1
	forget_pairs
	eval "pair growth \"\$(growth \$busy_ours_$n \$busy_ours_0)\" \
	    \"\$(growth \$busy_lws_$n \$busy_lws_0)\""
	pair_row "CPU, $n idle over none" "times" growth "$(title lws)" ""
	reach "ten busy: CPU beside $n idle, over that beside none" "$ours" "<=" 1.25
}

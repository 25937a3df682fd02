# Sockets: what each costs while nothing happens, and what an event to all of them costs.
# Ours, the ceilings and one peer at a time are open side by side.  Sourced by run.sh.

# open_sockets WHO N: opens so many; its memory before in before_WHO, the CPU time that
# opening took in opening_WHO.
open_sockets() {
	who=$1 n_sockets=$2
	case $who in
	ours)	load ours ws --port "$port_ws" --path '/ws?token=%t' --conns "$2" \
		    --publish "$dir/writer.in" --line "$dir/lobby.line" \
		    --pids "$pid_ws" ;;
	lws)	load lws ws --port "$port_lws" --conns "$2" --pids "$pid_lws" \
		    --publish "$dir/lws.in" --line "$dir/frame.line" ;;
	raw)	load raw ws --port "$port_raw" --conns "$2" --pids "$pid_raw" \
		    --publish "$dir/raw.in" --line "$dir/frame.line" ;;
	nchan)	load nchan ws --port "$port_nchan" --path /ws --conns "$2" \
		    --pids "$worker_nchan" --post /pub --line "$dir/frame.line" ;;
	node)	load node ws --port "$port_node" --path '/ws?token=%t' \
		    --conns "$2" --pids "$worker_node" --post /pub \
		    --line "$dir/frame.line" ;;
	socketio) load socketio ws --port "$port_socketio" --speak socketio \
		    --path '/socket.io/?EIO=4&transport=websocket&token=%t' \
		    --conns "$2" --pids "$worker_socketio" --post /pub \
		    --line "$dir/frame.line" ;;
	esac
	[ "$(get ok)" = 1 ] || die "$who does not open $2 sockets: $line"
	eval "before_$who=\$(get pss_kib) opening_$who=\$(get cpu_s)"
}

# --- while nothing happens ---

note_idle() {
	ask "$1" "idle $idle_secs"
	[ "$(get open)" = "$n_sockets" ] || die "$1 lost sockets: $line"
	eval "idle_$1=\$(get cpu_s)
	    each_$1=\$(each \"\$(get pss_kib)\" \"\$before_$1\" \"\$n_sockets\")"
}
idle_rows() {
	for what in each opening; do
		forget_pairs
		eval "pair $what \"\$${what}_ours\" \"\$${what}_$1\""
		if [ "$what" = each ]; then
			pair_row "a socket" "KiB PSS" each "$(title "$1")" ""
		else
			pair_row "opening all" "CPU s" opening "$(title "$1")" ""
		fi
	done
	eval "row 'idle for $idle_secs s' 'CPU s' \$idle_ours \"\$(title \"$1\")\" \
	    \$idle_$1 - ''"
}

# calls WHO PROCESS: what it asks of the kernel while nothing happens.
calls() {
	timeout -s INT "$idle_secs" strace -f -c -o "$dir/$1.calls" -p "$2" \
	    2>/dev/null || true
	# The column after usecs/call; without a call there is no line.
	awk '$NF == "total" { n = $4 } END { print n + 0 }' "$dir/$1.calls"
}
row_calls() {
	if command -v strace >/dev/null; then
		row "idle for $idle_secs s" "system calls" "$(calls ours "$pid_ws")" \
		    "$(title lws)" "$(calls lws "$pid_lws")" - ""
	else
		skipped "system calls while idle" "no strace"
	fi
}

# --- an event to all ---

# show_steps WHO: the pairs that were measured at the common rate.
show_steps() {
	pair_row "CPU, at $common/s" "CPU s/1M" "cpu.$1" "$(title "$1")" "$state"
	pair_row "latency, at $common/s" "p50 ms" "p50.$1" "$(title "$1")" ""
	pair_row "" "p99 ms" "p99.$1" "$(title "$1")" ""
}

# pair_steps TURNS WHO...: ours and each of them in turn, at the rate that all can take.
pair_steps() {
	how_often=$1
	shift
	state=ok
	forget_pairs
	for who in ours "$@"; do
		ask "$who" "step $common 0.5"
	done
	for turn in $how_often; do
		ask ours "step $common $secs"
		is_right "fan-out to $n_sockets at $common/s" || true
		cpu=$(get cpu_per_1m) p50=$(get p50_ms) p99=$(get p99_ms)
		for who in "$@"; do
			ask "$who" "step $common $secs"
			[ "$(get ok)" = 1 ] || missed
			pair "cpu.$who" "$cpu" "$(get cpu_per_1m)"
			pair "p50.$who" "$p50" "$(get p50_ms)"
			pair "p99.$who" "$p99" "$(get p99_ms)"
		done
	done
}

# is_sustained RATE: whether all got all, as fast as it was published, with a p99 of a
# second at most.  Without a look at the speed a short step would be passed with a backlog.
is_sustained() {
	[ "$(get ok)" = 1 ] && [ "$(get late)" = 0 ] &&
	    awk "BEGIN { exit !($(get p99_ms) <= 1000 &&
		$(get per_s) >= 0.95 * $1 * $n_sockets) }"
}

# climb WHO: the highest of $rates that it sustains; in most_WHO as deliveries/s, with the
# load's own CPU in load_WHO, the server's in busy_WHO.  It takes two failures in a row to end it: a noisy moment is
# not a limit.  top_WHO: there was no higher one.
climb() {
	eval "most_$1=0 load_$1=0 busy_$1=0 top_$1="
	failures=0
	for rate in $rates; do
		ask "$1" "step $rate $secs"
		[ "$1" != ours ] || is_right "fan-out at $rate/s" || true
		if is_sustained "$rate"; then
			eval "most_$1=\$(get per_s) load_$1=\$(get own_cpu_pct)
			    busy_$1=\$(get cpu_per_1m)"
			failures=0
		else
			failures=$((failures + 1))
		fi
		[ "$failures" -lt 2 ] || return 0
	done
	[ "$failures" -gt 0 ] || eval "top_$1=+"
}
show_most() {
	forget_pairs
	eval "pair most \"\$most_ours\" \"\$most_$1\""
	pair_row "sustained" "deliveries/s" most "$(title "$1")" \
	    "$(eval "echo load \$load_ours\$top_ours, \$load_$1\$top_$1 %")"
	eval "most_ratio_$1=\$ratio; pair busy \"\$busy_ours\" \"\$busy_$1\""
	pair_row "CPU, each at its own" "CPU s/1M" busy "$(title "$1")" ""
}

# --- the rows ---

# peer_sockets WHO: a peer beside ours; it ends when it has been measured.
peer_sockets() {
	why=$(why_not "$1")
	if [ -n "$why" ]; then
		section=$fanout_section
		skipped "$(title "$1")" "$why"
		return
	fi
	"start_$1"
	open_sockets "$1" "$n_sockets"
	note_idle "$1"
	section=$idle_section
	idle_rows "$1"
	section=$fanout_section
	pair_steps "$peer_turns" "$1"
	show_steps "$1"
	climb "$1"
	show_most "$1"
	end_load "$1"
	end "$1"
}

# rows_sockets N FANOUT-KEY IDLE-KEY
rows_sockets() {
	section "$2" "Fan-out: an event to each of $1 sockets"
	fanout_section=$section
	section "$3" "Idle: $1 sockets, nothing happens"
	idle_section=$section
	if [ "$1" -ge $((files - 500)) ]; then
		skipped "" "the hard limit of open files is $files"
		section=$fanout_section
		skipped "" "the hard limit of open files is $files"
		return
	fi
	start_ws
	start_lws
	start_raw
	for who in ours lws raw; do
		open_sockets "$who" "$1"
	done
	for who in ours lws raw; do
		note_idle "$who"
	done
	for who in lws raw; do
		idle_rows "$who"
	done
	row_calls
	reach "$1 idle sockets: KiB each beyond bare lws" \
	    "$(awk "BEGIN { printf \"%.2f\", $each_ours - $each_lws }")" "<=" 4.00
	section=$fanout_section
	pair_steps "$turns" lws raw
	for who in lws raw; do
		show_steps "$who"
	done
	for who in ours lws raw; do
		climb "$who"
	done
	for who in lws raw; do
		show_most "$who"
	done
	for who in $peers; do
		peer=$who
		most_ratio_nchan=${most_ratio_nchan:-}
		peer_sockets "$peer"
	done
	reach_fanout "$1"
	ask ours "idle 1"
	section=$idle_section
	row "ours after the load" "KiB PSS" \
	    "$(each "$(get pss_kib)" "$before_ours" "$1")" - - - ""
	for who in ours lws raw; do
		end_load "$who"
	done
	end ws
	end lws
	end raw
}

reach_fanout() {
	reach "fan-out to $1, beside libwebsockets on libev" "$most_ratio_lws" ">" 1.00
	reach "fan-out to $1, beside nchan" "$most_ratio_nchan" ">" 1.00
	if [ "$1" -le 1000 ]; then
		reach "fan-out to $1, level with the send() loop" \
		    "$most_ratio_raw" ">=" 0.95
	else
		reach "fan-out to $1, above the send() loop" "$most_ratio_raw" ">" 1.00
	fi
	most_ratio_nchan=
}

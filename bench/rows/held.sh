# Held polls: what each costs while it waits, and what an event to all costs then.  Each
# measurement has fresh processes, so that memory is that of what is held.  Sourced by run.sh.

# hold WHO N PORT PIDS OPTION...: opens N, and one event after another to all; the figures
# are left in held_*, of the first event nothing.
hold() {
	holder=$1 n_held=$2 port=$3 processes=$4
	shift 4
	load hold hold --port "$port" --conns "$n_held" --pids "$processes" "$@"
	[ "$(get ok)" = 1 ] || [ "$holder" = ours ] ||
	    die "$holder does not take $n_held: $line"
	is_right "opening held polls" || true
	held_all=$(get pss_kib) held_program=$(get program_kib)
	ask hold "idle 1"
	held_all=$(each "$(get pss_kib)" "$held_all" "$n_held")
	held_program=$(each "$(get program_kib)" "$held_program" "$n_held")
	ask hold "step $held_rate $(awk "BEGIN { print 1 / $held_rate }")"
	ask hold "step $held_rate $held_secs"
	if [ "$holder" = ours ]; then
		is_right "answering held polls" || true
	elif [ "$(get ok)" != 1 ]; then
		missed
	fi
	refused "$holder" "$(get bad)"
	held_cpu=$(get cpu_per_1m) held_program_cpu=$(get program_per_1m)
	held_p50=$(get p50_ms) held_p99=$(get p99_ms)
	end_load hold
}
# refused WHO N: so many asked in vain and asked again; a remark, for they missed nothing.
refused() {
	case $1:$2 in
	*:0)	;;
	ours:*)	refused_ours=$2 ;;
	*)	refused_theirs=$2 ;;
	esac
}
# refusals: the remark, of the last measurement that had any; empty else.
refusals() {
	[ "$refused_ours$refused_theirs" = 00 ] ||
	    echo "refused $refused_ours, $refused_theirs"
}
begin_held() {
	state=ok
	forget_pairs
	refused_ours=0 refused_theirs=0
}

# each AFTER BEFORE N: KiB of one
each() {
	awk "BEGIN { printf \"%.2f\", ($1 - $2) / $3 }"
}

hold_ours() {
	start_poll
	"start_$2"
	hold ours "$1" "$3" "$(workers "$2"),$pid_poll" \
	    --path '/api/realtime/poll?timeout=280&lastTimestamp=%c' \
	    --header 'Authorization: Bearer %t' --cursor "$(head_of_log)" \
	    --follow yes --publish "$dir/writer.in" --line "$dir/lobby.line"
	end "$2"
	end poll
}
hold_park() {
	start_park
	"start_$2"
	hold park "$1" "$3" "$(workers "$2"),$pid_park" \
	    --path '/park?timeout=280&lastTimestamp=%c' \
	    --header 'Authorization: Bearer %t' --cursor 0 --follow yes \
	    --publish "$dir/park.in" --line "$dir/frame.line"
	end "$2"
	end park
}
workers() {
	case $1 in
	lighttpd)	echo "$pid_lighttpd" ;;
	*)		eval "children_of \"\$pid_$1\"" ;;
	esac
}

keep_ours() {
	for figure in all program cpu program_cpu p50 p99; do
		eval "our_$figure=\$held_$figure"
	done
}
pair_held() {
	for figure in all program cpu program_cpu p50 p99; do
		eval "pair $figure \"\$our_$figure\" \"\$held_$figure\""
	done
}

# held_pairs N SERVER PORT
held_pairs() {
	begin_held
	for turn in $turns; do
		hold_ours "$1" "$2" "$3"
		keep_ours
		hold_park "$1" "$2" "$3"
		pair_held
	done
	pair_row "web server and program" "KiB PSS" all "bare park" "$state"
	held_ratio=$ratio
	pair_row "of it the program" "KiB PSS" program "bare park" ""
	held_kib=$ours
	pair_row "an event to all" "CPU s/1M" cpu "bare park" "$(refusals)"
	held_cpu_ratio=$ratio
	pair_row "of it the program" "CPU s/1M" program_cpu "bare park" ""
	pair_row "until half are answered" "p50 ms" p50 "bare park" ""
	pair_row "until 99 % are" "p99 ms" p99 "bare park" ""
}

reach_held() {
	reach "$1 held behind $2: memory, beside the bare park" "$held_ratio" "<=" 1.10
	reach "$1 held behind $2: CPU, beside the bare park" "$held_cpu_ratio" "<=" 1.10
	reach "$1 held behind $2: KiB of our program each" "$held_kib" "<=" 2.00
}

# Peers hold without a web server before them: all processes beside all.
rows_peer_held() {
	section 3d "Held polls, 1000: ours behind lighttpd, peers by themselves"
	for peer in nchan node; do
		why=$(why_not "$peer")
		if [ -n "$why" ]; then
			skipped "$(title "$peer")" "$why"
			continue
		fi
		begin_held
		for turn in $peer_turns; do
			hold_ours 1000 lighttpd "$port_lighttpd"
			keep_ours
			"start_$peer"
			"hold_$peer" 1000
			end "$peer"
			pair_held
		done
		pair_row "all processes" "KiB PSS" all "$(title "$peer")" "$state"
		pair_row "an event to all" "CPU s/1M" cpu "$(title "$peer")" "$(refusals)"
		pair_row "until 99 % are answered" "p99 ms" p99 "$(title "$peer")" ""
	done
}
hold_nchan() {
	hold nchan "$1" "$port_nchan" "$worker_nchan" --path /hold --post /pub \
	    --echo Etag=If-None-Match --echo Last-Modified=If-Modified-Since \
	    --line "$dir/frame.line"
}
hold_node() {
	hold node "$1" "$port_node" "$worker_node" --post /pub \
	    --path '/hold?after=%c' --cursor 0 --follow yes \
	    --header 'Authorization: Bearer %t' --line "$dir/frame.line"
}

rows_held() {
	held_rate=4 held_secs=2
	section 3a "Held polls, 1000, lighttpd: each while it waits, then an event to all"
	held_pairs 1000 lighttpd "$port_lighttpd"
	reach_held 1000 lighttpd
	held_rate=1 held_secs=3
	section 3b "Held polls, 8000, lighttpd"
	if [ "$is_quick" = 1 ]; then
		skipped "" "QUICK"
	elif [ "$files" -lt 20000 ]; then
		skipped "" "the hard limit of open files is $files, under 20000"
	else
		held_pairs 8000 lighttpd "$port_lighttpd"
		reach_held 8000 lighttpd
	fi
	section 3c "Held polls, 10000, nginx, two workers"
	if [ "$is_quick" = 1 ]; then
		skipped "" "QUICK"
	elif [ "$files" -lt 12500 ]; then
		skipped "" "the hard limit of open files is $files, under 12500"
	elif ! has_nginx; then
		skipped "" "nginx is not installed"
	else
		held_pairs 10000 nginx_held "$port_nginx"
		reach_held 10000 nginx
	fi
	held_rate=4 held_secs=2
	rows_peer_held
}

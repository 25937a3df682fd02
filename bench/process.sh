# The processes of one run: starting, waiting for, ending them, and the loads, which
# wait for commands.  Sourced by run.sh, which sets bin, tools, dir and the CPUs.

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

# The workers, which do nginx' work, with commas.
children_of() {
	sed 's/ *$//; s/ /,/g' "/proc/$1/task/$1/children"
}
# has_children PROCESS NUMBER
has_children() {
	[ "$(wc -w <"/proc/$1/task/$1/children")" -eq "$2" ]
}

# N ports that are free now.
free_ports() {
	/usr/bin/python3 -c '
import socket, sys
all = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in all: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in all])' "$1"
}

# --- the machine ---

# CPU time so far, in ticks: of all CPUs, of it spent, of it by what was started here
# and has ended.
ticks() {
	awk '/^cpu / { print $2 + $3 + $4 + $5 + $6, $2 + $3 + $4 }' /proc/stat
	awk '{ print $16 + $17 }' "/proc/$$/stat"
}
# others_pct BEFORE...: the share of the CPUs that others have used since then.
others_pct() {
	# shellcheck disable=SC2046
	set -- "$@" $(ticks)
	awk "BEGIN { used = ($5 - $2) - ($6 - $3)
	    printf \"%.0f\", (used > 0) ? 100 * used / ($4 - $1) : 0 }"
}

# --- loads ---

# load WHO ARGUMENTS...: a load that waits for commands; its line on opening.  $tokens is
# the file of its users, all of them where it is empty.
tokens=
load() {
	who=$1
	shift
	rm -f "$dir/$who.ask" "$dir/$who.answer"
	mkfifo "$dir/$who.ask" "$dir/$who.answer"
	$on_load "$tools/rtload" "$@" \
	    --tokens "${tokens:-$dir/tokens}" \
	    0<>"$dir/$who.ask" 1<>"$dir/$who.answer" 2>>"$dir/load.log" &
	pids="$pids $!"
	eval "pid_load_$who=$!"
	answer "$who"
}
# ask WHO COMMAND: the line that comes of it, in $line; loads and the writer.
ask() {
	echo "$2" >"$dir/$1.ask"
	answer "$1"
}
answer() {
	line=$(timeout 60 head -n 1 <"$dir/$1.answer") || line=
	[ -n "$line" ] ||
	    die "$1 has ended: $(tail -n 1 "$dir/load.log")"
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

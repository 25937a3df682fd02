#!/bin/sh
# Measures Sidewire beside what bounds it and beside its peers, and prints one table.
#
#   bench/run.sh BINDIR
#
# BINDIR has the three programs, ../bench/bin beside it the load and the ceilings
# (`make bench' builds both).  Everything runs on loopback in a temporary directory and is
# stopped at the end.  Exit 1 if a receiver did not get every event once and in order.
# QUICK=1 leaves out what takes long; ROWS="polls held sockets busy commit send" measures only
# those; BENCH_DIR names a new directory, which is kept.  See README.md.
set -eu

bin=$(cd "${1:?usage: bench/run.sh BINDIR}" && pwd)
tools=$bin/../bench/bin
here=$(cd "$(dirname "$0")" && pwd)
is_quick=${QUICK:-0}
which=${ROWS:-polls held sockets busy commit send}

if [ "$is_quick" = 1 ]; then
	turns="1 2" peer_turns=1 secs=1 busy_secs=2 idle_secs=2
	users=1100 crowds="0 1000"
	rates_1000="100 150 220 400 1000"
else
	turns="1 2 3" peer_turns="1 2" secs=2 busy_secs=3 idle_secs=3
	users=10100 crowds="0 1000 10000"
	rates_1000="80 120 150 180 220 270 330 400 500 600 800 1000 1300 1600 2000"
fi
rates_10000="4 6 8 10 12 15 18 22 27 33 40 50 60 80 100 130 160 200"

if [ "$(nproc)" -ge 2 ]; then
	on_server="taskset -c 0"
	on_load="taskset -c 1"
	pinned="server on CPU 0, load on CPU 1"
else
	on_server=
	on_load=
	pinned="one CPU for server and load: latencies say little"
fi
# shellcheck disable=SC3045 # every sh of Debian has it
ulimit -n "$(ulimit -Hn)"
# shellcheck disable=SC3045
files=$(ulimit -n)
[ "$files" != unlimited ] && [ "$files" -le 20000 ] || files=20000

dir=${BENCH_DIR:-}
is_kept=$dir
if [ -n "$dir" ]; then
	mkdir -p "$dir"
else
	dir=$(mktemp -d "${TMPDIR:-/tmp}/sidewire-bench.XXXXXX")
fi
# shellcheck source=bench/process.sh
. "$here/process.sh"
# shellcheck source=bench/site.sh
. "$here/site.sh"
# shellcheck source=bench/servers.sh
. "$here/servers.sh"
# shellcheck source=bench/table.sh
. "$here/table.sh"
# shellcheck source=bench/rows/polls.sh
. "$here/rows/polls.sh"
# shellcheck source=bench/rows/held.sh
. "$here/rows/held.sh"
# shellcheck source=bench/rows/sockets.sh
. "$here/rows/sockets.sh"
# shellcheck source=bench/rows/busy.sh
. "$here/rows/busy.sh"
# shellcheck source=bench/rows/commit.sh
. "$here/rows/commit.sh"
# shellcheck source=bench/rows/send.sh
. "$here/rows/send.sh"

finish() {
	status=$?
	trap - EXIT
	trap '' INT TERM HUP
	end_all
	if [ "$status" -ne 0 ] && [ -z "$is_kept" ]; then
		tail -n 3 "$dir"/*.log >&2 || true
	fi
	[ -n "$is_kept" ] || rm -rf "$dir"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

is_wanted() {
	case " $which " in
	*" $1 "*)	return 0 ;;
	esac
	return 1
}

# shellcheck disable=SC2046
set -- $(free_ports 8)
port_ws=$1 port_lighttpd=$2 port_nginx=$3 port_lws=$4 port_raw=$5
port_nchan=$6 port_node=$7 port_socketio=$8

[ ! -e "$dir/sidewire.db" ] || die "$dir has been used: name another BENCH_DIR"
start_ticks=$(ticks)
echo "Sidewire bench: $(nproc) CPUs, $(uname -sr), $pinned"
make_site
make_lines
start_writer
if is_wanted polls; then
	rows_poll
fi
if is_wanted held; then
	rows_held
fi
if is_wanted sockets; then
	common=100 rates=$rates_1000
	rows_sockets 1000 4a 5a
	if [ "$is_quick" != 1 ]; then
		common=5 rates=$rates_10000
		rows_sockets 10000 4b 5b
	fi
fi
if is_wanted busy; then
	row_busy
fi
if is_wanted commit; then
	rows_commit
fi
if is_wanted send; then
	rows_send
fi

end_all
check_logs
# shellcheck disable=SC2086
others=$(others_pct $start_ticks)
print_table

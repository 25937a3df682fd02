#!/bin/sh
# Measures Sidewire beside what bounds it and prints one table of ratios.
#
#   bench/run.sh BINDIR
#
# BINDIR has the three programs, ../bench/bin beside it the load and the ceilings
# (`make bench' builds both).  Everything runs on loopback in a temporary directory and is
# stopped at the end.  Exit 1 if a receiver did not get every event once and in order.
# BENCH_DIR names a directory to keep; see README.md.
set -eu

bin=$(cd "${1:?usage: bench/run.sh BINDIR}" && pwd)
tools=$bin/../bench/bin
here=$(cd "$(dirname "$0")" && pwd)
conns=1000
secs=2

if [ "$(nproc)" -ge 2 ]; then
	on_server="taskset -c 0"
	on_load="taskset -c 1"
	on_load_cpu() { taskset -p -c 1 "$1" >/dev/null; }
	pinned="server on CPU 0, load on CPU 1"
else
	on_server=
	on_load=
	on_load_cpu() { :; }
	pinned="one CPU for server and load: latencies say little"
fi
ulimit -n "$(ulimit -Hn)"

dir=${BENCH_DIR:-}
is_kept=$dir
if [ -n "$dir" ]; then
	mkdir -p "$dir"
else
	dir=$(mktemp -d "${TMPDIR:-/tmp}/sidewire-bench.XXXXXX")
fi
. "$here/site.sh"
. "$here/rows.sh"

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

# shellcheck disable=SC2046
set -- $(free_ports 5)
port_ws=$1 port_lighttpd=$2 port_nginx=$3 port_lws=$4 port_raw=$5

echo "Sidewire bench: $(nproc) CPUs, $(uname -sr), $pinned"
make_site
make_lines
start_writer

start_poll
start_lighttpd
come_online
rows_poll
row_hold
end lighttpd
end poll

start_sockets
row_commit
row_idle
rows_fanout
row_memory_after
end_sockets

check_logs
print_table

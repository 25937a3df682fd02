# The table: sections of rows in the order of their keys, ratios of pairs, and what was to
# be reached.  Sourced by run.sh.  Ours and the other take turns, so that a noisy moment
# hits both; a ratio is the median of the ratios of pairs.

broken=0

# section KEY TITLE: where the rows that follow belong.
section() {
	section=$dir/table.$1
	echo "$1 $2" >&2
	printf '%s  %s\n' "$1" "$2" >>"$section"
}

# row NAME UNIT OURS BESIDE FIGURE RATIO REMARK; "-" where there is none.
row() {
	printf '    %-32s %-11s %9s  %-12s %9s %6s  %s\n' "$@" |
	    sed 's/ *$//' >>"$section"
}
skipped() {
	printf '    %-32s skipped: %s\n' "$1" "$2" >>"$section"
}

# --- pairs ---

# pair KEY OURS THEIRS
pair() {
	echo "$2 $3" >>"$dir/pairs.$1"
}
forget_pairs() {
	rm -f "$dir"/pairs.*
}

# medians KEY: of ours, of theirs, and of their ratios; "-" where theirs is nothing.
medians() {
	awk 'function median(a, n,   i, j, t) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
				t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
			}
		return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
	}
	function show(x) { return sprintf(x >= 100 ? "%.0f" : "%.2f", x) }
	{ a[NR] = $1; b[NR] = $2; if ($2 > 0) r[++n] = $1 / $2 }
	END { print show(median(a, NR)), show(median(b, NR)), \
	    n ? sprintf("%.2f", median(r, n)) : "-" }' "$dir/pairs.$1"
}

# pair_row NAME UNIT KEY BESIDE REMARK; leaves the three medians in ours, theirs, ratio.
pair_row() {
	read -r ours theirs ratio <<-MEDIANS
		$(medians "$3")
	MEDIANS
	row "$1" "$2" "$ours" "$4" "$theirs" "$ratio" "$5"
}

# is_right WHAT: whether $line says that all was as it should be; ours is BROKEN else.
is_right() {
	if [ "$(get ok)" = 1 ]; then
		return 0
	fi
	echo "BROKEN: $1: $line" >&2
	state=BROKEN
	broken=1
	return 1
}

# missed: the other did not give every event once, or not in order; the figures stand.
missed() {
	case $state in
	BROKEN)	;;
	*)	state="ok; theirs: not all" ;;
	esac
}

# --- what was to be reached ---

# reach TITLE FIGURE OPERATOR LIMIT: noted for the end; no FIGURE or "-", it was not
# measured.
reach() {
	if [ "${2:--}" = - ]; then
		printf '    %-58s %9s    %s\n' "$1" - "not measured"
	else
		printf '    %-58s %9s %2s %-6s %s\n' "$1" "$2" "$3" "$4" \
		    "$(awk "BEGIN { print ($2 $3 $4) ? \"met\" : \"short\" }")"
	fi >>"$dir/reach"
}

# --- the end ---

check_logs() {
	for name in poll ws writer load; do
		[ -e "$dir/$name.log" ] || continue
		if grep -iE 'error|warning|sanitizer' "$dir/$name.log" >&2; then
			echo "bench: the lines above are of $name.log" >&2
			broken=1
		fi
	done
}

print_table() {
	printf '\n    %-32s %-11s %9s  %-12s %9s %6s\n' "" "" ours beside figure ratio
	cat "$dir"/table.*
	printf '\nReach\n'
	cat "$dir/reach" 2>/dev/null || echo "    nothing"
	printf '\nOther processes used %s %% of the CPUs meanwhile%s.\n' "$others" \
	    "$([ "$others" -le 5 ] || echo ": the figures are noisy")"
	[ "$broken" -eq 0 ] || echo "BROKEN: see above"
	return "$broken"
}

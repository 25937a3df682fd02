#!/bin/sh
# The house rules that a machine can check.  Prints each breach as FILE:LINE: WHY and
# fails if there was one.
set -u
cd "$(dirname "$0")/../.."
failed=0

# Lines on stdin are breaches of the rule named by the arguments.
breach() {
	while IFS= read -r line; do
		echo "$line: $*"
	done
}

c_files=$(git ls-files '*.c' '*.h' '*.def')
rules() {
	# Calls that have no place here.
	grep -nHwE '(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|alloca|gets)[[:space:]]*\(' \
	    $c_files | cut -d: -f1,2 | breach "banned call"
	grep -nHE '(^|[[:space:];{}])//' $c_files | grep -v '://' |
	    cut -d: -f1,2 | breach "// comment"
	grep -nHE '[[:space:]]+$' $c_files | cut -d: -f1,2 | breach "trailing space"
	grep -nHwE 'TODO|FIXME|XXX' $c_files $(git ls-files '*.sh' '*.js' '*.sql' Makefile) |
	    grep -v '^tests/lint/' | cut -d: -f1,2 | breach "unfinished"
	grep -nHE '(if|while) \([^=]*[^=!<>]=[^=].*\) \{?$' $c_files | grep -vE '"|for \(' |
	    cut -d: -f1,2 | breach "assignment in a condition"

	# Shape: lines of 100 columns, files of 800 lines, functions of 100.
	awk '{ line = $0; gsub(/\t/, "        ", line) }
	    length(line) > 110 { print FILENAME ":" FNR ": line of " length(line) " columns" }
	    FNR == 800 { print FILENAME ": over 800 lines" }' $c_files
	awk 'FNR == 1 { start = 0 }
	    /^\{/ { start = FNR }
	    /^\}/ { if (start && FNR - start > 100)
			print FILENAME ":" start ": function of " FNR - start " lines"
		start = 0 }' $(git ls-files '*.c')

	# A library is included where its adapter is, and by no header but an _impl.h.
	only() {
		header=$1
		shift
		grep -nHE "include <$header>" $c_files | cut -d: -f1,2 |
		    while IFS= read -r place; do
			file=${place%%:*}
			case " $* " in
			*" $file "*) ;;
			*) case $file in tests/*) ;;
			   *) echo "$place: $header belongs in: $*" ;;
			   esac ;;
			esac
		done
	}
	only 'sqlite3\.h' common/store_impl.h common/store.c common/schema.c \
	    $(git ls-files 'bench/ceilings/*.c' 'bench/writer/*.c')
	only 'jwt\.h' common/auth.c
	only 'curl/curl\.h' sidewire/visit.c
	only 'libwebsockets\.h' $(git ls-files 'ws-sidecar/*.c' 'bench/ceilings/*.c')
	only 'fcgiapp\.h' $(git ls-files 'fcgi-poll/*.c' 'bench/ceilings/*.c')
	grep -nHE 'include "store_impl\.h"' $(git ls-files '*.h') | breach "store_impl.h in a header"

	# Every error code is in the protocol, every counter has its help.
	sed -n 's/^[[:space:]]*\[PROBLEM_[A-Z_]*\] = {[[:space:]]*"\([a-z_]*\)".*/\1/p' common/problem.c |
	    while read -r code; do
		grep -q "\`$code\`" docs/protocol.md ||
		    echo "common/problem.c: code $code is not in docs/protocol.md"
	    done

	# Every metric is in docs/metrics.md; tests/e2e/56 looks at types and words too.
	{ sed -n 's/^COUNTER(\([a-z_]*\),.*/\1_total/p' common/stats.def
	  grep -hoE '\{ "[a-z_]+",( "|$)' common/stats.c ws-sidecar/health.c \
	    fcgi-poll/metrics.c sidewire/activity.c | cut -d'"' -f2
	} | while read -r metric; do
		grep -q "^| \`sidewire_$metric\` |" docs/metrics.md ||
		    echo "docs/metrics.md: no row for sidewire_$metric"
	done

	# Every source file is in the map of the README by its folder.
	for dir in $(git ls-files | grep / | cut -d/ -f1 | sort -u); do
		case $dir in .*) continue ;; esac
		grep -q "\`$dir/\`" README.md || echo "README.md: $dir/ is not in the map"
	done

	# What is installed or built is not part of the tree, not even as a link.
	git ls-files | grep -E '(^|/)node_modules(/|$)|^build(/|$)' | breach "must not be tracked"

	# Manual pages; scripts.
	for page in $(git ls-files '*.[1-8]'); do
		mandoc -Tlint -Wwarning "$page"
	done
	for script in $(git ls-files '*.sh' .ci/run); do
		sh -n "$script" || echo "$script: does not parse"
	done
	if command -v php >/dev/null; then
		for script in $(git ls-files '*.php'); do
			php -l "$script" 2>&1 | grep -v '^No syntax errors'
		done
	fi
	if command -v node >/dev/null; then
		for script in $(git ls-files '*.js'); do
			node --check "$script" || echo "$script: does not parse"
		done
	fi
}
rules >"${TMPDIR:-/tmp}/sidewire-lint.$$" 2>&1
if [ -s "${TMPDIR:-/tmp}/sidewire-lint.$$" ]; then
	cat "${TMPDIR:-/tmp}/sidewire-lint.$$"
	failed=1
fi
rm -f "${TMPDIR:-/tmp}/sidewire-lint.$$"

# Each header compiles alone.
for header in common/*.h fcgi-poll/*.h ws-sidecar/*.h sidewire/*.h; do
	[ -e "$header" ] || continue
	echo "#include \"$(basename "$header")\"" |
	    gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Icommon \
	    -I"$(dirname "$header")" -x c -fsyntax-only - || failed=1
done

[ "$failed" -eq 0 ] && echo "lint: clean"
exit "$failed"

#!/bin/sh
# Installs, starts, upgrades, removes and purges the package in a Debian of its own.
#
#   tests/deb/run.sh FILE.deb        (make check-deb)
#
# Needs root, debootstrap and a Debian mirror.  CHROOT=DIR takes a system that debootstrap
# has made, which is then left as it was.  Mounts and processes are in name spaces that end
# with the script.
set -eu

deb=$(realpath "$1")
if [ -z "${IN_NAMESPACE:-}" ]; then
	work=$(mktemp -d)
	status=0
	IN_NAMESPACE=$work unshare --mount --pid --fork --kill-child "$0" "$deb" || status=$?
	rm -rf --one-file-system "$work"
	exit "$status"
fi
work=$IN_NAMESPACE
root=$work/root

fail() {
	echo "check-deb: $*" >&2
	exit 1
}
step() { echo "== $*"; }
in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
as() {
	user=$1
	shift
	in_root setpriv --reuid="$user" --regid="$user" --init-groups "$@"
}
install_deb() {
	cp "$1" "$root/tmp/sidewire.deb"
	in_root DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
	    --no-install-recommends /tmp/sidewire.deb
}
# is PATH WHAT: "MODE USER:GROUP" of a file in there.
is() {
	found=$(in_root stat -c '%a %U:%G' "$1")
	[ "$found" = "$2" ] || fail "$1 is \"$found\", not \"$2\""
}
# say_until FILE PATTERN PID: a line of FILE matches, or PID has ended.
say_until() {
	tries=0
	until grep -q "$2" "$1"; do
		kill -0 "$3" 2>/dev/null || fail "it ended: $(cat "$1")"
		tries=$((tries + 1))
		[ "$tries" -lt 300 ] || fail "it never said $2: $(cat "$1")"
		sleep 0.1
	done
}
command_of() { sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/$1.service"; }

step "a system"
if [ -n "${CHROOT:-}" ]; then
	cp -a "$CHROOT" "$root"
else
	debootstrap --variant=minbase bookworm "$root" >"$work/debootstrap.log" 2>&1 ||
	    fail "debootstrap: $(tail -5 "$work/debootstrap.log")"
fi
mount -t proc proc "$root/proc"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
in_root apt-get update -q

step "install"
install_deb "$deb"
is /etc/sidewire/jwt.key "640 root:sidewire"
is /var/lib/sidewire "2770 sidewire:sidewire"
is /run/sidewire "2770 sidewire:sidewire"
is /var/lib/sidewire/sidewire.db "660 sidewire:sidewire"
in_root id -nG www-data | grep -qw sidewire || fail "www-data is not in the group"
as sidewire sidewire check
# The site, as the web server's user, writes the same database.
as www-data sidewire user add Alice --id alice
as www-data sidewire room add Lobby --id lobby --creator alice
as www-data sidewire token alice >"$work/token"
for unit in poll.socket poll.service ws.socket ws.service; do
	find "$root/etc/systemd/system" -name "sidewire-$unit" | grep -q . ||
	    fail "sidewire-$unit is not enabled"
done
grep -q /usr/bin/ "$root/lib/systemd/system/sidewire-poll.service" ||
    fail "the units name another directory"
grep -rq /usr/local "$root/usr/share/doc/sidewire/examples" &&
    fail "the examples name /usr/local"

step "start, as the units do"
# Not by a function, so that $! is the program.
service="chroot $root env -i PATH=/usr/bin setpriv --reuid=sidewire --regid=sidewire \
    --init-groups"
# shellcheck disable=SC2046,SC2086
$service systemd-socket-activate -l /run/sidewire/poll.sock \
    $(command_of sidewire-poll) >"$work/poll.log" 2>&1 &
poll=$!
# shellcheck disable=SC2046,SC2086
$service systemd-socket-activate -l 127.0.0.1:18081 \
    $(command_of sidewire-ws) >"$work/ws.log" 2>&1 &
ws=$!
say_until "$work/poll.log" Listening "$poll"
say_until "$work/ws.log" Listening "$ws"
curl -fsS --max-time 30 -o "$work/ready" http://127.0.0.1:18081/readyz ||
    fail "ws-sidecar does not answer: $(cat "$work/ws.log")"
curl -s --max-time 1 --unix-socket "$root/run/sidewire/poll.sock" http://localhost/ || true
say_until "$work/poll.log" "ready" "$poll"
as www-data env REQUEST_METHOD=GET REQUEST_URI=/api/realtime/poll \
    HTTP_AUTHORIZATION="Bearer $(cat "$work/token")" fcgi-poll >"$work/answer"
grep -q '^Status: 200' "$work/answer" || fail "the poll: $(cat "$work/answer")"
grep -q '"lobby"' "$work/answer" || fail "the poll lacks the room: $(cat "$work/answer")"
kill "$poll" "$ws"
wait "$poll" || fail "fcgi-poll ended badly: $(cat "$work/poll.log")"
wait "$ws" || fail "ws-sidecar ended badly: $(cat "$work/ws.log")"

step "upgrade"
key=$(cat "$root/etc/sidewire/jwt.key")
echo "log.level = debug" >>"$root/etc/sidewire/sidewire.conf"
dpkg-deb -R "$deb" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
dpkg-deb -b "$work/next" "$work/next.deb" >/dev/null
install_deb "$work/next.deb"
in_root dpkg-query -W -f '${Version}' sidewire | grep -q '+next$' || fail "not upgraded"
[ "$(cat "$root/etc/sidewire/jwt.key")" = "$key" ] || fail "the key has changed"
grep -q '^log.level = debug' "$root/etc/sidewire/sidewire.conf" ||
    fail "the configuration has changed"
as www-data sidewire user list --json | grep -q alice || fail "the database is not the same"
as sidewire sidewire check

step "remove"
in_root apt-get remove -q -y sidewire
[ -e "$root/var/lib/sidewire/sidewire.db" ] || fail "the database went with the programs"
[ -e "$root/etc/sidewire/jwt.key" ] || fail "the key went with the programs"
[ ! -e "$root/usr/bin/sidewire" ] || fail "the program is still there"

step "purge"
in_root apt-get purge -q -y sidewire
left=$(find "$root/etc" "$root/var/lib" "$root/run" "$root/lib/systemd" "$root/usr" \
    -path "$root/var/lib/dpkg" -prune -o -name '*sidewire*' -print)
[ -z "$left" ] || fail "left behind: $left"
echo "check-deb: good"

#!/bin/sh
# Unpacks the tarball into a system that has libc6, a static shell and nothing else, sets it
# up, polls, and has a sidecar kept.
#
#   tests/tarball/run.sh FILE.tar.gz        (make check-tarball)
#
# Needs root and a Debian mirror.  Mounts and processes are in name spaces that end with the
# script.
set -eu

tarball=$(realpath "$1")
if [ -z "${IN_NAMESPACE:-}" ]; then
	work=$(mktemp -d)
	status=0
	IN_NAMESPACE=$work unshare --mount --pid --fork --kill-child "$0" "$tarball" || status=$?
	rm -rf --one-file-system "$work"
	exit "$status"
fi
work=$IN_NAMESPACE
root=$work/root
home=/home/user
port=18082

fail() {
	echo "check-tarball: $*" >&2
	exit 1
}
in_root() {
	chroot --userspec=1000:1000 "$root" /bin/env -i PATH=/bin HOME=$home "$@"
}

mkdir -p "$root/bin" "$root/proc" "$root/dev" "$root$home" "$work/debs"
cd "$work/debs"
apt-get download -q libc6 busybox-static
for deb in *.deb; do
	dpkg-deb -x "$deb" "$root"
done
for tool in cat chmod cut dirname env ln mkdir od rm sh tr; do
	ln -sf busybox "$root/bin/$tool"
done
mount -t proc proc "$root/proc"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/urandom" c 1 9
tar -C "$root$home" --strip-components=1 -xzf "$tarball"
chown -R 1000:1000 "$root$home"

sidewire="$home/sidewire/bin/sidewire -c $home/sidewire/sidewire.conf"
in_root REQUEST_METHOD=GET REQUEST_URI=/api/realtime/status \
    "$home/public_html/api/realtime/sidewire.fcgi" >"$work/status"
grep -q '^Status: 200' "$work/status" || fail "status: $(cat "$work/status")"
sed -i "s/8081/$port/" "$root$home/sidewire/sidewire.conf"
# shellcheck disable=SC2086
{
	in_root $sidewire check
	in_root $sidewire user add Alice --id alice
	in_root $sidewire room add Lobby --id lobby --creator alice
	in_root $sidewire token alice >"$work/token"
}
in_root REQUEST_METHOD=GET REQUEST_URI=/api/realtime/poll \
    HTTP_AUTHORIZATION="Bearer $(cat "$work/token")" \
    "$home/public_html/api/realtime/sidewire.fcgi" >"$work/answer"
grep -q '"lobby"' "$work/answer" || fail "poll: $(cat "$work/answer")"

# shellcheck disable=SC2086
in_root $sidewire keep
curl -fsS --retry 50 --retry-delay 1 --retry-connrefused -o "$work/ready" \
    "http://127.0.0.1:$port/readyz" ||
    fail "the sidecar does not answer: $(cat "$root$home/sidewire/run/keep.log")"
# shellcheck disable=SC2086
in_root $sidewire keep --stop
echo "check-tarball: good"

#!/bin/sh
# Installs the Debian packages that a purpose needs and this machine lacks.
#
#   deploy/packages.sh build|run|test|fuzz|lint|deb|tarball|bench|peers ...
#
# Needs root or sudo only when something is missing.  Services that come with a package
# (lighttpd, Apache) are not started by the installation.
set -eu

wanted() {
	case $1 in
	build)	echo gcc libc6-dev libfcgi-dev libwebsockets-dev libev-dev \
		    libjson-c-dev libjwt-dev libsqlite3-dev libcurl4-openssl-dev ;;
	run)	echo libwebsockets-evlib-ev lighttpd php-cgi php-sqlite3 curl \
		    sqlite3 python3 python3-websockets ;;
	test)	echo libcmocka-dev apache2 libapache2-mod-fcgid nginx-light spawn-fcgi openssl \
		    php-cli php-sqlite3 chromium fonts-inter fonts-noto-cjk \
		    strace systemd
		# Any Node.js from 18 on will do; Debian's where there is none.
		command -v node >/dev/null || echo nodejs
		command -v npm >/dev/null || echo npm ;;
	fuzz)	echo clang libclang-rt-14-dev ;;
	lint)	echo git mandoc ;;
	deb)	echo build-essential curl debhelper debootstrap libcmocka-dev lintian ;;
	tarball) echo binutils curl patchelf ;;
	bench)	echo nginx-light strace ;;
	peers)	echo libnginx-mod-nchan ;;
	*)	echo "usage: deploy/packages.sh build|run|test|fuzz|lint|deb|tarball|bench|peers ..." >&2
		exit 2 ;;
	esac
}

installed() {
	case $(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null) in
	ii*)	return 0 ;;
	esac
	return 1
}

missing=
for purpose in "$@"; do
	for package in $(wanted "$purpose"); do
		installed "$package" || missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "Missing packages; run as root: apt-get install$missing" >&2
		exit 1
	fi
	as_root=sudo
fi
echo "Installing:$missing"

# A policy that forbids starting services, unless the machine has one of its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
	trap '$as_root rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
fi
$as_root apt-get update -q
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
    --no-install-recommends $missing

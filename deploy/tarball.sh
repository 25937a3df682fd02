#!/bin/sh
# The programs with all the libraries they need but libc, for hosts where nothing can be
# installed.
#
#   deploy/tarball.sh BIN DIR VERSION        writes DIR/sidewire-VERSION-linux-ARCH.tar.gz
#
# The host's libc must be as new as that of the machine that builds.  Libraries are found
# beside the programs (DT_RPATH, so that those the libraries need are found too).
set -eu
cd "$(dirname "$0")/.."
bin=$1
name=sidewire-$3-linux-$(uname -m)
top=$2/$name
private=$top/sidewire
evlib=$(dpkg -L libwebsockets-evlib-ev | grep '/libwebsockets-evlib_ev\.so$')

rm -rf "$2"
mkdir -p "$top"
cp -R deploy/shared-hosting/. "$top"
sed -i 's,(\.\./\.\./README\.md,(doc/README.md,' "$top/README.md"
mkdir -p "$private/bin" "$private/lib" "$top/doc" "$top/licences"
cp LICENSE "$top/licences/sidewire"
cp README.md docs/*.md sidewire.conf.example "$top/doc"
mkdir -p "$top/public_html/sidewire"
cp client/*.js client/index.d.ts "$top/public_html/sidewire"

# libc's own, which are the host's.
is_libc() {
	case ${1##*/} in
	ld-linux*|libc.so.*|libm.so.*|libdl.so.*|libpthread.so.*|librt.so.*) return 0 ;;
	esac
	return 1
}
needed() { ldd "$@" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u; }

for lib in $(needed "$bin/fcgi-poll" "$bin/sidewire" "$bin/ws-sidecar" "$evlib") "$evlib"; do
	is_libc "$lib" && continue
	cp -L "$lib" "$private/lib"
	# By name: dpkg may know it below /lib or below /usr/lib.
	package=$(dpkg -S "*/$(basename "$(realpath "$lib")")" | sed -n '1s/:.*//p')
	cp -L "/usr/share/doc/$package/copyright" "$top/licences/$package"
done
chmod 644 "$private"/lib/*
cp "$bin/fcgi-poll" "$bin/sidewire" "$private/bin"
cp "$bin/ws-sidecar" "$private/lib"
strip "$private/bin/fcgi-poll" "$private/bin/sidewire" "$private/lib/ws-sidecar"
# shellcheck disable=SC2016
patchelf --force-rpath --set-rpath '$ORIGIN/../lib' "$private/bin/fcgi-poll" "$private/bin/sidewire"
# shellcheck disable=SC2016
patchelf --force-rpath --set-rpath '$ORIGIN' "$private/lib/ws-sidecar"

# libwebsockets has the one directory of its event loops compiled in; here it is whichever
# directory the starter opened as descriptor 9.
lws=$(ls "$private"/lib/libwebsockets.so.*)
/usr/bin/python3 - "$lws" "${evlib%/*}" <<'PYTHON'
import sys
path, old = sys.argv[1], sys.argv[2].encode() + b"\0"
new = b"/proc/self/fd/9\0"
data = open(path, "rb").read()
if data.count(b"\0" + old) != 1 or len(new) > len(old):
    sys.exit(f"{path}: the directory of the event loops is not where it was")
open(path, "wb").write(data.replace(b"\0" + old, b"\0" + new.ljust(len(old), b"\0")))
PYTHON
cat >"$private/bin/ws-sidecar" <<'STARTER'
#!/bin/sh
# Starts the sidecar; libwebsockets looks for its event loop in descriptor 9.
lib=$(cd "$(dirname "$0")/../lib" && pwd) && exec 9<"$lib" && exec "$lib/ws-sidecar" "$@"
STARTER
chmod 755 "$private"/bin/* "$private/lib/ws-sidecar"
tar -C "$2" --owner=0 --group=0 --sort=name -czf "$2/$name.tar.gz" "$name"
oldest=$(objdump -T "$private"/bin/sidewire "$private"/bin/fcgi-poll "$private"/lib/* 2>/dev/null |
    grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
echo "$2/$name.tar.gz: for hosts with $(echo "$oldest" | tr _ ' ') or newer"

# Sidewire.  `make help` lists the targets.
#
# Build kinds live side by side under build/: KIND=release (the default),
# KIND=asan (address and undefined-behaviour sanitizers).

KIND	?= release
B	?= build/$(KIND)
PREFIX	?= /usr/local
DESTDIR	?=
CC	 = gcc
CFLAGS	?= -O2 -g
WARN	?= -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	   -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef -Wvla
san_release =
san_asan = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
san_tsan = -fsanitize=thread
san_fuzz = -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

# make V=1 prints the commands.
ifeq ($(V),1)
Q :=
else
Q := @
say = @printf '  %-4s %s\n'
endif
JOBS	?= $(shell nproc)

build	= $(CC) -std=c11 -D_GNU_SOURCE -Icommon -I$B/gen $(WARN) $(san_$(KIND)) $(CPPFLAGS) $(CFLAGS)
objs	= $(patsubst %.c,$B/%.o,$(wildcard $(1)/*.c))
units	= $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/test_*.c))

PROGRAMS = fcgi-poll ws-sidecar sidewire
LIBS	 = -lsqlite3 -ljson-c -ljwt -lpthread

all: packages-build
	@$(MAKE) --no-print-directory -j$(JOBS) programs
programs: $(PROGRAMS:%=$B/bin/%)

$B/bin/fcgi-poll: LDLIBS = -lfcgi
$B/bin/ws-sidecar: LDLIBS = -lwebsockets -lev
$B/bin/sidewire: LDLIBS = -lm
$B/bin/fcgi-poll: $(call objs,fcgi-poll)
$B/bin/ws-sidecar: $(call objs,ws-sidecar)
$B/bin/sidewire: $(call objs,sidewire)
$B/bin/%: $B/libsidewire.a
	@mkdir -p $(@D)
	$(if $(say),$(say) LINK $@)
	$(Q)$(build) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) $(LIBS)

$B/libsidewire.a: $(call objs,common)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$B/%.o: %.c
	@mkdir -p $(@D)
	$(if $(say),$(say) CC $<)
	$(Q)$(build) -MMD -MP -c -o $@ $<

# SQL as C string literals, so that the programs need no file beside them.
$B/gen/%.sql.inc: %.sql
	@mkdir -p $(@D)
	$(Q)sed 's/\\/\\\\/g;s/"/\\"/g;s/.*/"&\\n"/' $< >$@
$B/common/schema_text.o: $B/gen/schema.sql.inc $B/gen/views.sql.inc

# A unit test is one program; what it needs beside common/ stands in the
# directory that its name says: test_fcgi_route.c links fcgi-poll without main.c.
$B/unit/test_fcgi_%: $B/tests/unit/test_fcgi_%.o $(filter-out %/main.o,$(call objs,fcgi-poll)) $B/libsidewire.a
	@mkdir -p $(@D)
	$(if $(say),$(say) LINK $@)
	$(Q)$(build) $(LDFLAGS) -o $@ $^ -lfcgi -lcmocka $(LIBS)
$B/unit/test_ws_%: $B/tests/unit/test_ws_%.o $(filter-out %/main.o %/server.o %/loop.o %/acceptor.o,$(call objs,ws-sidecar)) $B/libsidewire.a
	@mkdir -p $(@D)
	$(if $(say),$(say) LINK $@)
	$(Q)$(build) $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)
$B/unit/test_sidewire_%: $B/tests/unit/test_sidewire_%.o $(filter-out %/main.o,$(call objs,sidewire)) $B/libsidewire.a
	@mkdir -p $(@D)
	$(if $(say),$(say) LINK $@)
	$(Q)$(build) $(LDFLAGS) -o $@ $^ -lcmocka -lm $(LIBS)
$B/unit/test_%: $B/tests/unit/test_%.o $B/libsidewire.a
	@mkdir -p $(@D)
	$(if $(say),$(say) LINK $@)
	$(Q)$(build) $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)

# A fuzz target is one parser: under libFuzzer (KIND=fuzz), or with what replays the corpus.
FUZZ	  = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz_main = $(if $(filter fuzz,$(KIND)),,$B/tests/fuzz/replay.o)
$B/fuzz/plain: $B/fcgi-poll/plain.o $B/fcgi-poll/request.o
$B/fuzz/%: $B/tests/fuzz/fuzz_%.o $(fuzz_main) $B/libsidewire.a
	@mkdir -p $(@D)
	$(if $(say),$(say) LINK $@)
	$(Q)$(build) $(if $(filter fuzz,$(KIND)),-fsanitize=fuzzer) $(LDFLAGS) -o $@ \
	    $(filter %.o,$^) $(filter %.a,$^) -lfcgi $(LIBS)

# --- running, testing ---

packages-%:
	@deploy/packages.sh $(subst -, ,$*)

# The example site on loopback: database, users, rooms, tokens, web server, both services.
run: packages-build-run
	@$(MAKE) --no-print-directory -j$(JOBS) programs
	@deploy/example-site/run.sh $B/bin

test: packages-build-run-test
	@$(MAKE) --no-print-directory -j$(JOBS) programs unit-build
	@$(MAKE) --no-print-directory unit client-test e2e

unit-build: $(units) $(FUZZ:%=$B/fuzz/%)
# Every unit test, each in a process of its own; the first failure ends it.
unit: $(units) fuzz-replay
	@for t in $(units); do echo "== $${t##*/}"; $$t || exit 1; done
fuzz-replay: $(FUZZ:%=$B/fuzz/%)
	@for f in $(FUZZ); do $B/fuzz/$$f tests/fuzz/corpus/$$f || exit 1; done

# Each parser under libFuzzer for so many seconds; what breaks one is left in build/fuzz.
FUZZ_S	?= 30
fuzz: packages-build-test-fuzz
	@$(MAKE) --no-print-directory KIND=fuzz CC=clang CFLAGS="-O1 -g" WARN=-Wall -j$(JOBS) $(FUZZ:%=build/fuzz/fuzz/%)
	@for f in $(FUZZ); do mkdir -p build/fuzz/found/$$f; build/fuzz/fuzz/$$f -max_total_time=$(FUZZ_S) -timeout=5 \
	    -rss_limit_mb=4096 -max_len=4096 -print_final_stats=1 -artifact_prefix=build/fuzz/$$f- build/fuzz/found/$$f \
	    tests/fuzz/corpus/$$f || exit 1; done

tests/node_modules: tests/package.json tests/package-lock.json
	npm ci --prefix tests --no-audit --no-fund --loglevel=error
	@touch $@
# The client library in a world of the tests' own.
client-test:
	@node --test $(sort $(wildcard client/test/*.test.js))
e2e: programs tests/node_modules
	TEST_BIN=$(abspath $B/bin) node --test $(E2E_FLAGS) $(sort $(wildcard tests/e2e/*.test.js))

# The promise at its full size (tests/e2e/61-chaos.test.js has what can be set).
chaos: packages-build-run-test tests/node_modules
	@$(MAKE) --no-print-directory -j$(JOBS) programs
	CHAOS_MESSAGES=$${CHAOS_MESSAGES:-20000} CHAOS_KILLS=$${CHAOS_KILLS:-300} \
	    TEST_BIN=$(abspath $B/bin) node --test tests/e2e/61-chaos.test.js

# The whole suite under AddressSanitizer and UndefinedBehaviorSanitizer.
check-asan: packages-build-run-test
	@ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1 \
	    sh -c '$(MAKE) --no-print-directory KIND=asan CFLAGS="-O1 -g" -j$(JOBS) programs unit-build && \
    $(MAKE) --no-print-directory KIND=asan CFLAGS="-O1 -g" unit e2e'

lint: packages-build-lint
	@tests/lint/run.sh

# The load and the ceilings of the benchmark, beside the programs.
CEILINGS = fcgi-hello fcgi-park lws-broadcast raw-send sqlite-query sqlite-commit
BENCH	 = rtload writer senders $(CEILINGS)
bench-programs: $(BENCH:%=$B/bench/bin/%)
$B/bench/bin/fcgi-hello $B/bench/bin/fcgi-park: LDLIBS = -lfcgi
$B/bench/bin/lws-broadcast: LDLIBS = -lwebsockets -lev
$B/bench/bin/rtload: $(call objs,bench/rtload)
$B/bench/bin/writer: $(call objs,bench/writer)
$B/bench/bin/senders: $(call objs,bench/senders)
$(addprefix $B/bench/bin/,$(CEILINGS)): $B/bench/bin/%: $B/bench/ceilings/%.o
$(BENCH:%=$B/bench/bin/%): $B/libsidewire.a
	@mkdir -p $(@D)
	$(if $(say),$(say) LINK $@)
	$(Q)$(build) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) $(LIBS)

# What apt or npm does not bring is skipped, with a word in the table.
bench/node_modules: bench/package.json bench/package-lock.json
	-npm ci --prefix bench --no-audit --no-fund --loglevel=error && touch $@
bench-peers: bench/node_modules
	-@deploy/packages.sh peers

# QUICK=1 leaves out what takes long; bench/README.md has the rest.
bench: packages-build-run-test-bench bench-peers
	@$(MAKE) --no-print-directory -j$(JOBS) programs bench-programs
	@bench/run.sh $B/bin

install: programs
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8 \
	    $(DESTDIR)$(PREFIX)/share/doc/sidewire \
	    $(DESTDIR)$(PREFIX)/share/sidewire/client
	install -m 755 $(PROGRAMS:%=$B/bin/%) $(DESTDIR)$(PREFIX)/bin
	install -m 644 sidewire/sidewire.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 docs/sidewire.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 fcgi-poll/fcgi-poll.8 ws-sidecar/ws-sidecar.8 \
	    $(DESTDIR)$(PREFIX)/share/man/man8
	install -d $(DESTDIR)$(PREFIX)/share/doc/sidewire/maps
	install -m 644 $(wildcard docs/maps/*.map) $(DESTDIR)$(PREFIX)/share/doc/sidewire/maps
	install -m 644 README.md LICENSE sidewire.conf.example docs/install.md docs/protocol.md \
	    docs/operations.md docs/security.md docs/architecture.md docs/attach.md docs/other-databases.md docs/metrics.md deploy/grafana/sidewire.json $(DESTDIR)$(PREFIX)/share/doc/sidewire
	install -m 644 $(wildcard client/*.js) client/index.d.ts client/package.json \
	    client/README.md $(DESTDIR)$(PREFIX)/share/sidewire/client

# For systemd: /usr/local/lib is looked into like /usr/lib.
UNITDIR	?= $(PREFIX)/lib/systemd/system
install-units:
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(PREFIX)/lib/sysusers.d \
	    $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	for unit in $(notdir $(wildcard deploy/systemd/sidewire-*)); do \
	    sed 's,/usr/local/bin/,$(PREFIX)/bin/,' deploy/systemd/$$unit \
		>$(DESTDIR)$(UNITDIR)/$$unit && \
	    chmod 644 $(DESTDIR)$(UNITDIR)/$$unit || exit 1; done
	install -m 644 deploy/systemd/sysusers.conf \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d/sidewire.conf
	install -m 644 deploy/systemd/tmpfiles.conf \
	    $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/sidewire.conf

# The package for Debian, from a copy of the tree; it lies in build/deb.
VERSION	:= $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
DEB	 = build/deb/sidewire_$(VERSION)_$(shell dpkg --print-architecture).deb
deb: packages-build-deb
	@rm -rf build/deb && mkdir -p build/deb/sidewire-$(VERSION)
	@tar -cf - --exclude=./build --exclude=./.git --exclude=node_modules . | \
	    tar -xf - -C build/deb/sidewire-$(VERSION)
	cd build/deb/sidewire-$(VERSION) && dpkg-buildpackage -us -uc -b
	lintian --fail-on error,warning --tag-display-limit 0 $(DEB:.deb=.changes)
	@echo "$(DEB)"
# Installs, upgrades, removes and purges it in a system of its own, as root.
check-deb: deb
	tests/deb/run.sh $(DEB)

# The programs with their libraries and the folder for shared hosting, in build/tarball.
tarball: packages-build-run-tarball programs
	@deploy/tarball.sh $B/bin build/tarball $(VERSION)
# Tries it out where there is nothing but libc, as root.
check-tarball: tarball
	tests/tarball/run.sh build/tarball/*.tar.gz

help:
	@echo "make             build the three programs under $B/bin (installs what that needs)"
	@echo "make run         the example site on loopback: prints a URL and two tokens; Ctrl-C ends it"
	@echo "make test        unit tests, then end-to-end tests with real servers"
	@echo "make unit e2e    one or the other, without installing packages; also client-test"
	@echo "make chaos       200 clients, 20,000 messages, 300 kills (about 10 minutes)"
	@echo "make check-asan  the same under ASan and UBSan"
	@echo "make fuzz        the parsers under libFuzzer, FUZZ_S=30 seconds each"
	@echo "make lint        house rules, manual pages, keys against documents"
	@echo "make bench       ratios beside what bounds us and beside peers (QUICK=1: in short)"
	@echo "make install     PREFIX=/usr/local DESTDIR="
	@echo "make install-units  the systemd units, users and directories, likewise"
	@echo "make deb         the package for Debian, in build/deb; check-deb tries it out (root)"
	@echo "make tarball     programs with libraries for shared hosting; check-tarball likewise"
	@echo "make clean"

clean:
	rm -rf build

.PHONY: all programs bench-programs bench-peers run test unit unit-build fuzz fuzz-replay client-test e2e chaos check-asan lint bench \
	install install-units deb check-deb tarball check-tarball help clean
.SECONDARY:
-include $(shell find $B -name '*.d' 2>/dev/null)

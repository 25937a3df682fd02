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

build	= $(CC) -std=c11 -D_GNU_SOURCE -Icommon -I$B/gen $(WARN) $(san_$(KIND)) $(CPPFLAGS) $(CFLAGS)
objs	= $(patsubst %.c,$B/%.o,$(wildcard $(1)/*.c))
units	= $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/test_*.c))

PROGRAMS = fcgi-poll ws-sidecar sidewire
LIBS	 = -lsqlite3 -ljson-c -ljwt -lpthread

all: $(PROGRAMS:%=$B/bin/%)

$B/bin/fcgi-poll: LDLIBS = -lfcgi
$B/bin/ws-sidecar: LDLIBS = -lwebsockets -lev
$B/bin/fcgi-poll: $(call objs,fcgi-poll)
$B/bin/ws-sidecar: $(call objs,ws-sidecar)
$B/bin/sidewire: $(call objs,sidewire)
$B/bin/%: $B/libsidewire.a
	@mkdir -p $(@D)
	$(build) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) $(LIBS)

$B/libsidewire.a: $(call objs,common)
	@rm -f $@
	$(AR) rcs $@ $^

$B/%.o: %.c
	@mkdir -p $(@D)
	$(build) -MMD -MP -c -o $@ $<

# SQL as C string literals, so that the programs need no file beside them.
$B/gen/%.sql.inc: %.sql
	@mkdir -p $(@D)
	sed 's/\\/\\\\/g;s/"/\\"/g;s/.*/"&\\n"/' $< >$@
$B/common/schema.o: $B/gen/schema.sql.inc $B/gen/views.sql.inc

# A unit test is one program; what it needs beside common/ stands in the
# directory that its name says: test_fcgi_route.c links fcgi-poll without main.c.
$B/unit/test_fcgi_%: $B/tests/unit/test_fcgi_%.o $(filter-out %/main.o,$(call objs,fcgi-poll)) $B/libsidewire.a
	@mkdir -p $(@D)
	$(build) -o $@ $^ -lfcgi -lcmocka $(LIBS)
$B/unit/test_ws_%: $B/tests/unit/test_ws_%.o $(filter-out %/main.o %/server.o,$(call objs,ws-sidecar)) $B/libsidewire.a
	@mkdir -p $(@D)
	$(build) -o $@ $^ -lcmocka $(LIBS)
$B/unit/test_%: $B/tests/unit/test_%.o $B/libsidewire.a
	@mkdir -p $(@D)
	$(build) -o $@ $^ -lcmocka $(LIBS)

clean:
	rm -rf build

.PHONY: all clean
.SECONDARY:
-include $(shell find $B -name '*.d' 2>/dev/null)

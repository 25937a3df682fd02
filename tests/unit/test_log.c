/*
 * Log lines: one write each, prefixes, levels, errno, and that no peer's text
 * can begin a line or drive a terminal.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

static int reader, saved_stderr, recv_flags = MSG_DONTWAIT;
static char line[4096];

/* Puts a socket that keeps the writes apart in the place of stderr. */
static int
capture(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(saved_stderr >= 0);
	assert_int_equal(dup2(fd[1], STDERR_FILENO), STDERR_FILENO);
	close(fd[1]);
	reader = fd[0];
	unsetenv("JOURNAL_STREAM");
	return 0;
}

static int
restore(void **state)
{
	(void)state;
	assert_int_equal(dup2(saved_stderr, STDERR_FILENO), STDERR_FILENO);
	close(saved_stderr);
	close(reader);
	return 0;
}

/* The next write to stderr, or NULL where there was none. */
static const char *
next_line(void)
{
	ssize_t n = recv(reader, line, sizeof(line) - 1, recv_flags);

	if (n < 0)
		return NULL;
	line[n] = '\0';
	return line;
}

/* The next line without its prefix and its newline. */
static const char *
next_text(void)
{
	const char *p = next_line();
	char *text;

	assert_non_null(p);
	text = strstr(p, "]: ");
	assert_non_null(text);
	assert_int_equal(line[strlen(line) - 1], '\n');
	line[strlen(line) - 1] = '\0';
	return text + 3;
}

static void
test_prefix(void **state)
{
	char want[64];
	int64_t at, before = clock_wall_ms();

	(void)state;
	log_init("prog", LOG_INFO_LEVEL);
	log_info("hello %s=%d", "n", 5);
	assert_non_null(next_line());
	assert_int_equal(clock_parse_pos(line, 24, &at), 0);
	assert_true(at / 1000 >= before && at / 1000 <= clock_wall_ms());
	(void)snprintf(want, sizeof(want), " prog[%ld]: hello n=5\n",
	    (long)getpid());
	assert_string_equal(line + 24, want);
	assert_null(next_line());
}

static void
test_journal(void **state)
{
	char text[64];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(text, sizeof(text), "%llu:%llu",
	    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	log_init("prog", LOG_DEBUG_LEVEL);
	log_errx("a");
	assert_string_equal(next_line(), "<3>a\n");
	log_warnx("b");
	assert_string_equal(next_line(), "<4>b\n");
	log_info("c");
	assert_string_equal(next_line(), "<6>c\n");
	log_debug("d");
	assert_string_equal(next_line(), "<7>d\n");

	/* Inherited, but stderr is something else since. */
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_init("prog", LOG_DEBUG_LEVEL);
	log_info("c");
	assert_string_equal(next_text(), "c");
	setenv("JOURNAL_STREAM", "nonsense", 1);
	log_init("prog", LOG_DEBUG_LEVEL);
	log_info("c");
	assert_string_equal(next_text(), "c");
	unsetenv("JOURNAL_STREAM");
}

static void
test_levels(void **state)
{
	int level, n;

	(void)state;
	for (level = LOG_ERR_LEVEL; level <= LOG_DEBUG_LEVEL; level++) {
		log_init("prog", (enum log_level)level);
		log_err("1");
		log_warn("2");
		log_info("3");
		log_debug("4");
		for (n = 0; next_line() != NULL; n++)
			assert_true(log_is_enabled((enum log_level)n));
		assert_int_equal(n, level + 1);
		assert_true(log_is_enabled((enum log_level)level));
	}
	assert_true(!log_is_enabled(LOG_DEBUG_LEVEL + 1));
}

static void
test_errno(void **state)
{
	(void)state;
	log_init("prog", LOG_DEBUG_LEVEL);
	errno = ENOENT;
	log_err("open %s", "x");
	assert_int_equal(errno, ENOENT);
	assert_string_equal(next_text(), "open x: No such file or directory");
	log_warn("open");
	assert_string_equal(next_text(), "open: No such file or directory");
	log_errx("open");
	assert_string_equal(next_text(), "open");
	log_warnx("%m");
	assert_string_equal(next_text(), "No such file or directory");
	errno = 0;
	log_err("nothing known");
	assert_string_equal(next_text(), "nothing known");

	/* A log that cannot be written changes nothing for its caller. */
	errno = ENOENT;
	close(STDERR_FILENO);
	log_err("lost");
	assert_int_equal(errno, ENOENT);
	assert_int_equal(dup2(saved_stderr, STDERR_FILENO), STDERR_FILENO);
}

static void
test_escapes(void **state)
{
	static const struct {
		const char	*text, *want;
	} row[] = {
		{ "", "" },
		{ "a b~", "a b~" },
		{ "a\nERROR b", "a\\x0aERROR b" },
		{ "\r\t\x1b[2J\x7f", "\\x0d\\x09\\x1b[2J\\x7f" },
		{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		    "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
		{ "\xff\x80", "\\xff\\x80" },
		{ "\xc3", "\\xc3" },
		{ "\xe2\x82", "\\xe2\\x82" },
		{ "\xf0\x9f\x98", "\\xf0\\x9f\\x98" },
		{ "\xc3(", "\\xc3(" },
		{ "\xc0\x8a", "\\xc0\\x8a" },		/* overlong newline */
		{ "\xe0\x80\x8a", "\\xe0\\x80\\x8a" },
		{ "\xf0\x80\x80\x8a", "\\xf0\\x80\\x80\\x8a" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },	/* surrogate */
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "\xc2\x9b" "1m", "\\xc2\\x9b1m" },	/* CSI */
		{ "\xc2\xa0", "\xc2\xa0" },
	};
	size_t i;

	(void)state;
	log_init("prog", LOG_INFO_LEVEL);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		log_info("%s", row[i].text);
		assert_string_equal(next_text(), row[i].want);
	}
}

static void
test_cut(void **state)
{
	char text[3000];
	size_t len, n;

	(void)state;
	log_init("prog", LOG_INFO_LEVEL);
	for (len = 900; len < 1100; len++) {
		memset(text, 'x', len);
		text[len] = '\0';
		errno = ENOENT;
		log_warn("%s", text);
		n = strlen(next_line());
		assert_true(n <= 1000);
		assert_int_equal(line[n - 1], '\n');
		/* No half of a character, no half of an escape. */
		memcpy(text + len - 30, "\xf0\x9f\x98\x80\xf0\x9f\x98\x80"
		    "\xe2\x82\xac\xe2\x82\xac\xc3\xbc\xc3\xbc\xc3\xbc", 20);
		log_info("%s", text);
		n = strlen(next_line());
		assert_true(n <= 1000);
		assert_null(strstr(line, "\\x"));
	}
	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	n = strlen(next_line());
	assert_true(n > 990 && n <= 1000);
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	assert_int_equal(strncmp(line + n - 5, "\\x0a", 4), 0);
	/* A program with a long name leaves room for the message. */
	log_init(text, LOG_INFO_LEVEL);
	log_info("still here");
	assert_non_null(strstr(next_line(), "still here\n"));
}

static void *
chatter(void *arg)
{
	int i;

	for (i = 0; i < 50; i++)
		log_info("%s %d", (const char *)arg, i);
	return NULL;
}

static void
test_threads(void **state)
{
	static char name[2][8] = { "left", "right" };
	const struct timeval deadline = { 30, 0 };
	pthread_t thread[2];
	char want[32];
	int at[2] = { 0, 0 }, i, who;
	const char *text;

	(void)state;
	log_init("prog", LOG_INFO_LEVEL);
	assert_int_equal(setsockopt(reader, SOL_SOCKET, SO_RCVTIMEO, &deadline,
	    sizeof(deadline)), 0);
	recv_flags = 0;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, chatter,
		    name[i]), 0);
	for (i = 0; i < 100; i++) {
		text = next_text();
		who = *text == 'r';
		(void)snprintf(want, sizeof(want), "%s %d", name[who],
		    at[who]++);
		assert_string_equal(text, want);
	}
	for (i = 0; i < 2; i++)
		(void)pthread_join(thread[i], NULL);
	recv_flags = MSG_DONTWAIT;
	assert_null(next_line());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_prefix, capture, restore),
		cmocka_unit_test_setup_teardown(test_journal, capture, restore),
		cmocka_unit_test_setup_teardown(test_levels, capture, restore),
		cmocka_unit_test_setup_teardown(test_errno, capture, restore),
		cmocka_unit_test_setup_teardown(test_escapes, capture, restore),
		cmocka_unit_test_setup_teardown(test_cut, capture, restore),
		cmocka_unit_test_setup_teardown(test_threads, capture, restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * log - builds a line on the stack and hands it to the system in one write(2),
 * so that lines of several threads and processes never mix.
 *
 * No memory is allocated and no lock is taken: a log that can fail or wait
 * would be worst where it is needed most.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define LINE_MAX_LEN	1000	/* with its newline */

/* The level is the one piece of state that every module shares (style.md,
 * part 4); the rest of this is set with it. */
static struct {
	const char	*program;
	enum log_level	 level;
	int		 is_journal;
} state = { "sidewire", LOG_INFO_LEVEL, 0 };

/* systemd.exec(5), JOURNAL_STREAM: the variable is inherited by programs whose
 * stderr was redirected since; only if it names our stderr it means us. */
static int
is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (stream == NULL || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
		return 0;
	if (fstat(STDERR_FILENO, &st) == -1)
		return 0;
	return st.st_dev == dev && st.st_ino == ino;
}

void
log_init(const char *program, enum log_level level)
{
	state.program = program;
	state.level = level;
	state.is_journal = is_journal();
}

int
log_is_enabled(enum log_level level)
{
	return level <= state.level;
}

static size_t
put_prefix(char *line, size_t size, enum log_level level)
{
	static const char priority[] = { '3', '4', '6', '7' };
	char at[CLOCK_POS_SIZE];
	int n;

	if (state.is_journal)
		n = snprintf(line, size, "<%c>", priority[level]);
	else
		n = snprintf(line, size, "%.23sZ %.32s[%ld]: ",
		    clock_print_pos(clock_wall_us(), at), state.program,
		    (long)getpid());
	return n > 0 ? (size_t)n : 0;
}

/*
 * The length of the printable character at s, or 0: RFC 3629 section 4, less
 * the control characters of ASCII and of U+0080..U+009F, which terminals obey.
 * The NUL at the end ends any sequence.
 */
static size_t
printable_len(const unsigned char *s)
{
	size_t i, n;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xe0 && s[1] < 0xa0) ||
	    (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* Appends text, escaped, to line at len as far as it fits; the new length. */
static size_t
put_text(char *line, size_t len, size_t max, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *s = (const unsigned char *)text;
	size_t n;

	while (*s != '\0') {
		n = printable_len(s);
		if (len + (n != 0 ? n : 4) > max)
			break;
		if (n != 0) {
			memcpy(line + len, s, n);
			len += n;
			s += n;
			continue;
		}
		line[len++] = '\\';
		line[len++] = 'x';
		line[len++] = hex[*s >> 4];
		line[len++] = hex[*s & 15];
		s++;
	}
	return len;
}

static void
print(enum log_level level, int err, const char *fmt, va_list ap)
{
	/* Escaping only lengthens, so what is beyond this never shows. */
	char text[LINE_MAX_LEN + 1], line[LINE_MAX_LEN];
	int saved_errno = errno;
	char why[128];
	ssize_t ignored;
	size_t len;

	if (!log_is_enabled(level))
		return;
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	len = put_prefix(line, sizeof(line), level);
	len = put_text(line, len, sizeof(line) - 1, text);
	if (err != 0) {
		len = put_text(line, len, sizeof(line) - 1, ": ");
		len = put_text(line, len, sizeof(line) - 1,
		    strerror_r(err, why, sizeof(why)));
	}
	line[len++] = '\n';
	/* Where the log cannot be written there is nobody left to tell. */
	ignored = write(STDERR_FILENO, line, len);
	(void)ignored;
	errno = saved_errno;
}

void
log_err(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(LOG_ERR_LEVEL, errno, fmt, ap);
	va_end(ap);
}

void
log_errx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(LOG_ERR_LEVEL, 0, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(LOG_WARN_LEVEL, errno, fmt, ap);
	va_end(ap);
}

void
log_warnx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(LOG_WARN_LEVEL, 0, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(LOG_INFO_LEVEL, 0, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(LOG_DEBUG_LEVEL, 0, fmt, ap);
	va_end(ap);
}

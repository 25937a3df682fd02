/*
 * report - findings, as they come.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "cli.h"
#include "event.h"
#include "report.h"

#define REPORT_MAX_LINE	8192	/* bytes, as JSON */

static const char *const names[VERDICT_COUNT] = { "ok", "warn", "fail", "skip" };

static int
is_first(const struct report *r)
{
	int i, n = 0;

	for (i = 0; i < VERDICT_COUNT; i++)
		n += r->count[i];
	return n == 0;
}

static void
print_json(const struct report *r, enum verdict verdict, const char *check,
    const char *todo, const char *text)
{
	struct buf b;

	buf_init(&b, REPORT_MAX_LINE);
	buf_addf(&b, "%s{\"check\":\"%s\",\"result\":\"%s\",\"text\":",
	    is_first(r) ? "{\"checks\":[\n " : ",\n ", check, names[verdict]);
	event_print_string(&b, text, strlen(text));
	buf_adds(&b, ",\"todo\":");
	event_print_string(&b, todo, todo != NULL ? strlen(todo) : 0);
	buf_addc(&b, '}');
	if (buf_err(&b) == 0)
		(void)fputs(buf_str(&b), stdout);
	buf_release(&b);
}

void
report_add(struct report *r, enum verdict verdict, const char *check,
    const char *todo, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->is_json) {
		print_json(r, verdict, check, todo, text);
	} else {
		(void)printf("%-4s  %-14s ", names[verdict], check);
		cli_put(text, 0);
		if (todo != NULL)
			(void)printf(" -> %s", todo);
		(void)putchar('\n');
	}
	r->count[verdict]++;
	(void)fflush(stdout);	/* some checks take a while; finish() tells of failures */
}

int
report_end(struct report *r)
{
	(void)printf(r->is_json ?
	    "\n],\"ok\":%d,\"warn\":%d,\"fail\":%d,\"skip\":%d}\n" :
	    "%d ok, %d warn, %d fail, %d skip\n", r->count[VERDICT_OK],
	    r->count[VERDICT_WARN], r->count[VERDICT_FAIL],
	    r->count[VERDICT_SKIP]);
	return r->count[VERDICT_WARN] + r->count[VERDICT_FAIL] > 0;
}

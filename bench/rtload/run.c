/*
 * Measuring (run.h).  CPU time is taken from the first request or event to the arrival of
 * the last; latencies count from the moment at which an event was due, so that
 * a publisher that falls behind counts against the server.
 */
#include <sys/epoll.h>
#include <sys/resource.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "fail.h"
#include "load.h"
#include "run.h"
#include "usage.h"

#define DRAIN_NS	30000000000ULL	/* for what was published to come */
#define SILENCE_NS	5000000000ULL	/* nothing comes: nothing will */
#define MAX_COMMAND	256

static double
own_cpu_s(void)
{
	struct rusage ru;

	(void)getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	    (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static double
secs_since(uint64_t start_ns)
{
	return (double)(load_now_ns() - start_ns) / 1e9;
}

/* Connections that got nothing: percentiles do not show them. */
static int
starved(const struct load *l)
{
	int i, n = 0;

	for (i = 0; i < l->o->n_conns; i++)
		n += l->conns[i].n_answers == 0;
	return n;
}

void
run_polls(struct load *l)
{
	double cpu, program, own, secs;
	uint64_t start;

	l->is_running = 1;
	load_connect(l);
	load_run(l, l->o->warm_s);
	load_reset(l);
	cpu = usage_cpu_s(&l->o->usage);
	program = usage_last_cpu_s(&l->o->usage);
	own = own_cpu_s();
	start = load_now_ns();
	load_run(l, l->o->run_s);
	secs = secs_since(start);
	cpu = usage_cpu_s(&l->o->usage) - cpu;
	program = usage_last_cpu_s(&l->o->usage) - program;
	own = own_cpu_s() - own;
	(void)printf("ok=%d answers=%" PRIu64 " per_s=%.0f cpu_per_100k=%.3f "
	    "program_per_100k=%.3f p50_ms=%.3f p99_ms=%.3f bytes=%.0f bad=%" PRIu64 " status=%d "
	    "disorder=%" PRIu64 " starved=%d lost=%d failed=%d own_cpu_pct=%.0f\n",
	    l->n_answers > 0 && l->n_bad == 0 && l->n_disorder == 0 &&
	    l->n_lost == 0 && l->n_failed == 0 && starved(l) == 0,
	    l->n_answers, (double)l->n_answers / secs,
	    l->n_answers > 0 ? cpu * 1e5 / (double)l->n_answers : 0,
	    l->n_answers > 0 ? program * 1e5 / (double)l->n_answers : 0,
	    hist_ms(&l->hist, .5), hist_ms(&l->hist, .99),
	    l->n_answers > 0 ? (double)l->n_bytes / (double)l->n_answers : 0,
	    l->n_bad, l->bad_status, l->n_disorder, starved(l), l->n_lost,
	    l->n_failed, 100 * own / secs);
	l->is_running = 0;
}

/* Connections that did not get exactly n events. */
static int
unequal(const struct load *l, uint64_t n)
{
	int i, k = 0;

	for (i = 0; i < l->o->n_conns; i++)
		k += l->conns[i].n_events != n;
	return k;
}

/*
 * Publishes n events at most; returns how many.  An event for those who poll is published
 * when the one before has come to all, so that who was answered has asked again: one that is
 * not asked for is nobody's, in a ceiling without a log.
 */
static uint64_t
publish_all(struct load *l, uint64_t start, double rate, uint64_t want,
    uint64_t limit)
{
	uint64_t due, now, n = 0, listeners = (uint64_t)l->o->n_conns;

	while (n < want) {
		due = start + (uint64_t)((double)n * 1e9 / rate);
		now = load_now_ns();
		if (now >= limit)
			break;
		if (now < due || (l->o->kind == LOAD_HOLD &&
		    l->n_events < n * listeners)) {
			load_wait(l, now >= due || due - now < 2000000 ? 1 :
			    (int)((due - now) / 1000000) - 1);
		} else if (publish_next(&l->publisher, due)) {
			n++;
			load_wait(l, 0);
		} else {
			load_wait(l, 1);
		}
		publish_tend(&l->publisher);
	}
	return n;
}

/* Events since the last measurement, which nobody has published. */
static uint64_t
take_stray(struct load *l)
{
	uint64_t n = l->n_events - l->n_measured;

	load_reset(l);
	return n;
}

/* An overloaded server is slow, which is not to be taken for a loss. */
static void
drain(struct load *l, uint64_t expected)
{
	uint64_t start = load_now_ns(), now = start, last;

	while (l->n_events < expected && now < start + DRAIN_NS) {
		load_wait(l, 5);
		publish_tend(&l->publisher);
		now = load_now_ns();
		last = l->last_ns > start ? l->last_ns : start;
		if (now > last + SILENCE_NS)
			break;
	}
}

static void
run_step(struct load *l, double rate, double secs)
{
	uint64_t start, limit, want = (uint64_t)(rate * secs + .5);
	uint64_t n, stray, listeners = (uint64_t)l->o->n_conns;
	double cpu, program, own, wall;

	if (l->publisher.fd < 0)
		fail("step needs --publish or --post");
	stray = take_stray(l);
	cpu = usage_cpu_s(&l->o->usage);
	program = usage_last_cpu_s(&l->o->usage);
	own = own_cpu_s();
	start = load_now_ns();
	/* Publishing may run late by half the time again, and a second. */
	limit = start + (uint64_t)(1.5e9 * secs) + 1000000000ULL;
	n = publish_all(l, start, rate, want, limit);
	drain(l, n * listeners);
	wall = l->last_ns > start ? (double)(l->last_ns - start) / 1e9 : 0;
	secs = secs_since(start);
	own = own_cpu_s() - own;
	/* What is sent twice would come now; who polls asks again. */
	load_run(l, l->o->kind == LOAD_HOLD && 1 / rate > 0.1 ? 1 / rate : 0.1);
	cpu = usage_cpu_s(&l->o->usage) - cpu;
	program = usage_last_cpu_s(&l->o->usage) - program;
	l->n_measured = l->n_events;
	(void)printf("ok=%d late=%" PRIu64 " published=%" PRIu64
	    " delivered=%" PRIu64 " per_s=%.0f cpu_s=%.4f cpu_per_1m=%.3f "
	    "program_per_1m=%.3f p50_ms=%.3f p99_ms=%.3f max_ms=%.3f "
	    "unequal=%d disorder=%" PRIu64 " stray=%" PRIu64 " lost=%d "
	    "bad=%" PRIu64 " own_cpu_pct=%.0f\n",
	    n > 0 && unequal(l, n) == 0 && l->n_disorder == 0 && stray == 0 &&
	    l->n_lost == 0 && l->publisher.n_refused == 0,
	    want - n, n, l->n_events,
	    wall > 0 ? (double)l->n_events / wall : 0, cpu,
	    l->n_events > 0 ? cpu * 1e6 / (double)l->n_events : 0,
	    l->n_events > 0 ? program * 1e6 / (double)l->n_events : 0,
	    hist_ms(&l->hist, .5), hist_ms(&l->hist, .99),
	    (double)l->hist.max / 1e6, unequal(l, n), l->n_disorder, stray,
	    l->n_lost, l->n_bad, 100 * own / secs);
}

static void
run_idle(struct load *l, double secs)
{
	uint64_t stray = take_stray(l);
	double cpu;

	cpu = usage_cpu_s(&l->o->usage);
	load_run(l, secs);
	cpu = usage_cpu_s(&l->o->usage) - cpu;
	stray += l->n_events;
	l->n_measured = l->n_events;
	(void)printf("ok=%d cpu_s=%.4f pss_kib=%ld program_kib=%ld "
	    "stray=%" PRIu64 " open=%d\n", l->n_lost == 0 && stray == 0, cpu,
	    usage_pss_kib(&l->o->usage), usage_last_pss_kib(&l->o->usage),
	    stray, l->n_open);
}

/* The next line of stdin without its end; 0: there is no more. */
static int
read_command(struct load *l, struct buf *input, char *ret, size_t size)
{
	const char *eol;
	size_t len;
	ssize_t n;

	for (;;) {
		eol = memchr(buf_str(input), '\n', input->len);
		len = eol != NULL ? (size_t)(eol - buf_str(input)) : 0;
		if (eol != NULL && len < size) {
			memcpy(ret, buf_str(input), len);
			ret[len] = '\0';
			buf_drop(input, len + 1);
			return 1;
		}
		while (!l->has_input)
			load_wait(l, 1000);
		buf_reserve(input, MAX_COMMAND);
		if (buf_err(input) != 0)
			fail("stdin: a line too long");
		n = read(STDIN_FILENO, ret, size);
		if (n <= 0)
			return 0;
		buf_add(input, ret, (size_t)n);
		load_watch_input(l, EPOLL_CTL_MOD);
	}
}

void
run_steps(struct load *l)
{
	char line[MAX_COMMAND];
	struct buf input;
	double a, b, cpu;
	long pss, program_pss;

	buf_init(&input, 16 * MAX_COMMAND);
	l->is_running = 1;
	pss = usage_pss_kib(&l->o->usage);
	program_pss = usage_last_pss_kib(&l->o->usage);
	cpu = usage_cpu_s(&l->o->usage);
	load_connect(l);
	(void)printf("ok=%d open=%d failed=%d status=%d pss_kib=%ld "
	    "program_kib=%ld cpu_s=%.3f\n",
	    l->n_failed == 0 && l->n_open == l->o->n_conns, l->n_open,
	    l->n_failed, l->bad_status, pss, program_pss,
	    usage_cpu_s(&l->o->usage) - cpu);
	(void)fflush(stdout);
	while (read_command(l, &input, line, sizeof(line))) {
		if (sscanf(line, "step %lf %lf", &a, &b) == 2 && a > 0)
			run_step(l, a, b);
		else if (sscanf(line, "idle %lf", &a) == 1)
			run_idle(l, a);
		else if (strcmp(line, "end") == 0)
			break;
		else
			fail("stdin: \"%s\" is no command", line);
		(void)fflush(stdout);
	}
	l->is_running = 0;
	buf_release(&input);
}

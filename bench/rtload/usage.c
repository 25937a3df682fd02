/*
 * CPU clocks of other processes instead of /proc/PID/stat, whose ticks of 10 ms are
 * too coarse for steps of two seconds (usage.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fail.h"
#include "usage.h"

int
usage_parse(const char *list, struct usage *ret)
{
	const char *p = list;
	char *end;
	long pid;

	ret->n_pids = 0;
	while (*p != '\0') {
		pid = strtol(p, &end, 10);
		if (end == p || pid <= 0 || ret->n_pids == USAGE_PIDS ||
		    (*end != '\0' && *end != ','))
			return -1;
		ret->pids[ret->n_pids++] = (int)pid;
		p = *end == ',' ? end + 1 : end;
	}
	return 0;
}

static double
cpu_s(int pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &used) != 0)
		fail("process %d under test is gone", pid);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

double
usage_cpu_s(const struct usage *u)
{
	double sum = 0;
	int i;

	for (i = 0; i < u->n_pids; i++)
		sum += cpu_s(u->pids[i]);
	return sum;
}

double
usage_last_cpu_s(const struct usage *u)
{
	return u->n_pids > 0 ? cpu_s(u->pids[u->n_pids - 1]) : 0;
}

static long
pss_kib(int pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "r");
	if (f == NULL)
		fail("cannot read %s", path);
	while (kib < 0 && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "Pss: %ld", &kib) != 1)
			kib = -1;
	}
	(void)fclose(f);
	return kib < 0 ? 0 : kib;
}

long
usage_pss_kib(const struct usage *u)
{
	long sum = 0;
	int i;

	for (i = 0; i < u->n_pids; i++)
		sum += pss_kib(u->pids[i]);
	return sum;
}

long
usage_last_pss_kib(const struct usage *u)
{
	return u->n_pids > 0 ? pss_kib(u->pids[u->n_pids - 1]) : 0;
}

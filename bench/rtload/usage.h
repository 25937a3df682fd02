/*
 * usage - what the processes under test have used: CPU time to the nanosecond, from
 * their CPU clocks (clock_getcpuclockid(3): all threads, user and system), and memory as
 * PSS, which shares what is shared.
 */
#ifndef USAGE_H
#define USAGE_H

#define USAGE_PIDS	16

struct usage {
	int	 pids[USAGE_PIDS];
	int	 n_pids;
};

/* Reads "12,34"; none is fine.  -1: not such a list. */
int	 usage_parse(const char *list, struct usage *ret);
/* Seconds since each was started, summed; a process that is gone ends the load. */
double	 usage_cpu_s(const struct usage *u);
/* The same of the last one alone, the program behind a web server. */
double	 usage_last_cpu_s(const struct usage *u);
/* KiB, summed; of the last one alone. */
long	 usage_pss_kib(const struct usage *u);
long	 usage_last_pss_kib(const struct usage *u);

#endif

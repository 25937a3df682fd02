/*
 * doctor - what the checks of `sidewire doctor` share.
 *
 * Each group of checks is a file: it adds a line to the report for every check it knows,
 * whatever happens, and changes nothing but what its header line says.  One thread.
 */
#ifndef DOCTOR_H
#define DOCTOR_H

#include <stdint.h>
#include <sys/types.h>

#include "attr.h"
#include "report.h"

#define DOCTOR_MAX_LOGS		32
#define DOCTOR_MAX_ACCOUNTS	8

struct cli;
struct shm;
struct visit;

struct doctor {
	struct cli	*cli;		/* its store is NULL where it cannot be opened */
	struct shm	*shm;		/* a reader; NULL: no service made it yet */
	struct report	 report;
	/* options, borrowed from the command line */
	const char	*url;		/* of the site; NULL: no look from outside */
	const char	*ca;		/* certificates to trust; NULL: the system's */
	const char	*user;		/* as whom to hold a poll and a socket; NULL: nobody */
	int64_t		 wait_s;	/* longest hold and silence to try */
	const char	*log[DOCTOR_MAX_LOGS];
	int		 n_logs;
	const char	*account[DOCTOR_MAX_ACCOUNTS];	/* of the system, that write too */
	int		 n_accounts;
};

/* keys.c: the keys, their strength and modes. */
void	 keys_check(struct doctor *d);
/* files.c: modes and owners, before the database is opened (SQLite puts them right for
 * root), and who may use it, afterwards. */
void	 files_check_modes(struct doctor *d);
void	 files_check_sharing(struct doctor *d);
/* machine.c: file system, schema, clock, versions, descriptors. */
void	 machine_check(struct doctor *d);
/* way.c: HTTP from outside.  With a user it publishes one event to that user. */
void	 way_check(struct doctor *d);
/* wire.c: the socket from outside. */
void	 wire_check(struct doctor *d, struct visit *v);
/* weblog.c: tokens in the logs of the web server. */
void	 weblog_check(struct doctor *d, struct visit *v);

/* A token for d->user, valid for ttl_s; NULL: *ret_why (static) says why.  free() it. */
char	*doctor_sign(struct doctor *d, int64_t ttl_s, const char **ret_why);
/* n random hex digits and a NUL. */
void	 doctor_mark(char *ret, int n);

/* Pure judgements, for the tests too. */
/* What a file system's f_type (statfs(2)) is called where it is one of a network, or else
 * one that cannot be relied on for shared memory; NULL: it will do. */
const char *machine_bad_file_system(int64_t type);
/* Bits that a key of len bytes may hold at most, guessed from its bytes: an upper bound. */
int	 keys_bits(const unsigned char *key, size_t len);

#endif

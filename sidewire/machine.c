/*
 * machine - what the database and the services stand on: file system, schema, clock,
 * installed libraries, limits of descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "doctor.h"
#include "eventlog.h"
#include "schema.h"
#include "shm.h"

#define SPARE_DESCRIPTORS	64	/* beside those of clients: files, logs, listening */
#define AHEAD_US		5000000	/* rows of a burst may be dated a little ahead */
#define OUTPUT_MAX		4096

const char *
machine_bad_file_system(int64_t type)
{
	static const struct { int64_t type; const char *name; } bad[] = {
		{ NFS_SUPER_MAGIC, "NFS" }, { SMB_SUPER_MAGIC, "SMB" },
		{ CIFS_SUPER_MAGIC, "CIFS" }, { SMB2_SUPER_MAGIC, "SMB" },
		{ V9FS_MAGIC, "9P" }, { AFS_SUPER_MAGIC, "AFS" },
		{ AFS_FS_MAGIC, "AFS" }, { CODA_SUPER_MAGIC, "Coda" },
		{ CEPH_SUPER_MAGIC, "Ceph" }, { FUSE_SUPER_MAGIC, "FUSE" },
		{ 0x0bd00bd0, "Lustre" }, { 0x01161970, "GFS2" },
		{ OCFS2_SUPER_MAGIC, "OCFS2" }, { 0x786f4256, "vboxsf" },
		{ 0x47504653, "GPFS" },
	};
	size_t i;

	/* f_type is signed where it is 32 bits wide. */
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if ((uint32_t)type == (uint32_t)bad[i].type)
			return bad[i].name;
	}
	return NULL;
}

static void
check_file_system(struct doctor *d)
{
	const char *path = d->cli->conf.database, *name;
	struct statfs sb;

	if (statfs(path, &sb) != 0) {
		report_add(&d->report, VERDICT_SKIP, "file-system", NULL,
		    "%s: %s", path, strerror(errno));
		return;
	}
	name = machine_bad_file_system((int64_t)sb.f_type);
	if (name != NULL)
		report_add(&d->report, VERDICT_FAIL, "file-system", "move the "
		    "database to a disk of this machine: WAL needs memory that "
		    "all processes share, and a commit of another machine is "
		    "not noticed", "%s: is on %s", path, name);
	else
		report_add(&d->report, VERDICT_OK, "file-system", NULL,
		    "of this machine (type %" PRIx64 ")%s", (uint64_t)sb.f_type,
		    sb.f_type == TMPFS_MAGIC ?
		    ", in memory: it is gone when the machine restarts" : "");
}

static void
check_schema(struct doctor *d)
{
	char why[1024];

	if (d->cli->st == NULL)
		report_add(&d->report, VERDICT_SKIP, "schema", NULL,
		    "the database does not open");
	else if (schema_check(d->cli->st, why, sizeof(why)) < 0)
		report_add(&d->report, VERDICT_FAIL, "schema", "sidewire init",
		    "%s", why);
	else if (!store_is_wal(d->cli->st))
		report_add(&d->report, VERDICT_WARN, "schema", "see that all that "
		    "use it may write its directory, then: sidewire init",
		    "complete, but not in WAL mode: readers and writers wait "
		    "for each other");
	else
		report_add(&d->report, VERDICT_OK, "schema", NULL,
		    "version %d, complete, in WAL mode", SCHEMA_VERSION);
}

static void
check_clock(struct doctor *d)
{
	int64_t head, ahead;

	if (d->cli->st == NULL || eventlog_head(d->cli->st, &head) < 0) {
		report_add(&d->report, VERDICT_SKIP, "clock", NULL,
		    "the log cannot be read");
		return;
	}
	ahead = head - clock_wall_us();
	if (ahead > AHEAD_US)
		report_add(&d->report, VERDICT_WARN, "clock", "keep the clock by "
		    "NTP; until it has caught up, events are dated in the future",
		    "the newest event is %" PRId64 " s ahead: the clock was set "
		    "back", ahead / 1000000);
	else
		report_add(&d->report, VERDICT_OK, "clock", NULL,
		    "not behind the log");
}

/* Runs a program without a shell; its exit code, -1 if it could not be run.  What it
 * prints (cut, one line, may be NULL) goes to ret. */
static int
run(char *const argv[], char ret[OUTPUT_MAX])
{
	int fd[2], status, null;
	size_t len = 0;
	ssize_t n = 1;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		if (null < 0 || dup2(null, 0) < 0 || dup2(fd[1], 1) < 0 ||
		    dup2(null, 2) < 0)
			_exit(127);
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	(void)close(fd[1]);
	while (pid > 0 && n > 0 && len < OUTPUT_MAX - 1) {
		n = read(fd[0], ret + len, OUTPUT_MAX - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	(void)close(fd[0]);
	ret[len] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == 127)
		return -1;
	return WEXITSTATUS(status);
}

/* What is known of the versions of the libraries that all stands on. */
static const struct library {
	const char	*package;
	const char	*fixed;		/* Debian's first version without the holes; NULL: none */
	const char	*holes;
	const char	*guard;		/* what keeps them out, or helps; NULL: nothing does */
} libraries[] = {
	{ "libjwt0", "1.10.2-1+deb12u1", "CVE-2024-25189 (signatures can be "
	    "guessed by timing)", NULL },
	{ "libwebsockets17", NULL, "CVE-2025-11677, CVE-2026-19773 (Upgrade, HPACK)",
	    "the sidecar refuses every Upgrade but websocket; keep it on loopback" },
	{ "libsqlite3-0", "3.51.3", "a rare race that may harm a database when its WAL "
	    "begins anew (sqlite.org/wal.html#walresetbug)",
	    "make backups: sidewire backup" },
};

static void
check_library(struct doctor *d, const struct library *lib)
{
	char version[OUTPUT_MAX], none[OUTPUT_MAX], package[64];
	char format[] = "-f=${Version}\n";
	char *const ask[] = { (char[]){ "dpkg-query" }, (char[]){ "-W" }, format,
	    package, NULL };
	char fixed[64];
	char *const compare[] = { (char[]){ "dpkg" },
	    (char[]){ "--compare-versions" }, version, (char[]){ "ge" }, fixed,
	    NULL };
	int rc;

	(void)snprintf(package, sizeof(package), "%s", lib->package);
	(void)snprintf(fixed, sizeof(fixed), "%s",
	    lib->fixed != NULL ? lib->fixed : "");
	rc = run(ask, version);
	if (rc != 0 || version[0] == '\0') {
		report_add(&d->report, VERDICT_SKIP, "version", NULL,
		    rc < 0 ? "%s: dpkg-query is not there to ask" :
		    "%s: not installed as a package of that name", lib->package);
		return;
	}
	if (lib->fixed != NULL && run(compare, none) == 0)
		report_add(&d->report, VERDICT_OK, "version", NULL,
		    "%s %s: has the fix of %s", lib->package, version,
		    lib->holes);
	else if (lib->guard != NULL)
		report_add(&d->report, VERDICT_OK, "version", NULL,
		    "%s %s: %s; %s", lib->package, version, lib->holes,
		    lib->guard);
	else
		report_add(&d->report, VERDICT_FAIL, "version",
		    "apt-get update && apt-get upgrade, then restart the services",
		    "%s %s: %s, mended in %s", lib->package, version, lib->holes,
		    lib->fixed);
}

/* The soft limit of a process; -1: not known. */
static int64_t
descriptor_limit(pid_t pid)
{
	char path[64], line[256];
	long long soft = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "Max open files %lld", &soft) == 1)
			break;
		if (strncmp(line, "Max open files", 14) == 0)
			soft = INT64_MAX;	/* "unlimited" */
	}
	(void)fclose(f);
	return soft;
}

struct limits {
	struct doctor	*d;
	int		 n_good, n_bad;
};

static void
check_descriptors_of(const struct shm_process *p, void *arg)
{
	struct limits *limits = arg;
	struct doctor *d = limits->d;
	const char *key = p->kind == SHM_POLL ? "poll.max_held" :
	    "ws.max_connections";
	int64_t have = descriptor_limit(p->pid);
	int64_t want = (p->kind == SHM_POLL ? d->cli->conf.poll_max_held :
	    d->cli->conf.ws_max_connections) + SPARE_DESCRIPTORS;

	if (have < 0)
		return;
	if (have >= want) {
		limits->n_good++;
		return;
	}
	limits->n_bad++;
	report_add(&d->report, VERDICT_WARN, "descriptors", "raise the hard limit "
	    "(LimitNOFILE= of the unit, ulimit -Hn), or lower the key",
	    "process %d may open %" PRId64 " files, and %s wants %" PRId64,
	    (int)p->pid, have, key, want);
}

static void
check_descriptors(struct doctor *d)
{
	struct limits limits = { d, 0, 0 };

	if (d->shm != NULL)
		shm_each_process(d->shm, check_descriptors_of, &limits);
	if (limits.n_good + limits.n_bad == 0)
		report_add(&d->report, VERDICT_SKIP, "descriptors", NULL,
		    "no service runs");
	else if (limits.n_bad == 0)
		report_add(&d->report, VERDICT_OK, "descriptors", NULL,
		    "enough for all clients in %d processes", limits.n_good);
}

void
machine_check(struct doctor *d)
{
	size_t i;

	check_file_system(d);
	check_schema(d);
	check_clock(d);
	for (i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
		check_library(d, &libraries[i]);
	check_descriptors(d);
}

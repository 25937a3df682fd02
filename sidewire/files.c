/*
 * files - modes and owners of the database's files, and who of those that share it may
 * use it.
 *
 * SQLite gives -wal and -shm the mode of the database but the group of whoever made them,
 * so a site and a service of different groups lock each other out unless the directory
 * passes its group on.
 */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "doctor.h"
#include "shm.h"

#define MAX_GROUPS	256

/* Somebody who uses the database. */
struct who {
	char	name[300];
	uid_t	uid;
	gid_t	gid[MAX_GROUPS];
	int	n_gids;
};

static int
is_member(const struct who *who, gid_t gid)
{
	int i;

	for (i = 0; i < who->n_gids; i++) {
		if (who->gid[i] == gid)
			return 1;
	}
	return 0;
}

/* bits: 4 read, 2 write, 1 search, as in a mode. */
static int
may(const struct who *who, const struct stat *sb, unsigned int bits)
{
	unsigned int have = sb->st_mode & 7;

	if (who->uid == 0)
		return 1;
	if (sb->st_uid == who->uid)
		have = sb->st_mode >> 6 & 7;
	else if (is_member(who, sb->st_gid))
		have = sb->st_mode >> 3 & 7;
	return (have & bits) == bits;
}

/* The first part of the path that keeps who from it, or NULL.  A file that is missing
 * keeps nobody. */
static const char *
obstacle(const struct who *who, const char *path, unsigned int bits,
    char ret[PATH_MAX])
{
	struct stat sb;
	char *slash;

	(void)snprintf(ret, PATH_MAX, "%s", path);
	if (stat(ret, &sb) == 0 && !may(who, &sb, bits))
		return ret;
	for (slash = strchr(ret + 1, '/'); slash != NULL;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (stat(ret, &sb) == 0 && !may(who, &sb, 1))
			return ret;
		*slash = '/';
	}
	return NULL;
}

/* Whether who can use the database; adds a line if not.  is_service: of ours, which reads
 * the key and shares run_dir. */
static int
check_who(struct doctor *d, const struct who *who, int is_service)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	const char *base = store_path(d->cli->st), *bad;
	char path[PATH_MAX + 8], at[PATH_MAX];
	int i;

	for (i = 0, bad = NULL; i < 3 && bad == NULL; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", base, ends[i]);
		bad = obstacle(who, path, 6, at);
	}
	if (bad == NULL) {
		(void)snprintf(path, sizeof(path), "%s", base);
		bad = obstacle(who, dirname(path), 3, at);
	}
	if (bad == NULL && is_service)
		bad = obstacle(who, d->cli->conf.jwt_key_file, 4, at);
	if (bad == NULL && is_service)
		bad = obstacle(who, d->cli->conf.run_dir, 3, at);
	if (bad != NULL)
		report_add(&d->report, VERDICT_FAIL, "sharing",
		    "give all that share the database one group, the files and "
		    "the directory to it, and the directory mode 2770",
		    "%s cannot use %s", who->name, bad);
	return bad == NULL;
}

/* From /proc/PID/status; 0, or -1: it is gone. */
static int
read_process(pid_t pid, struct who *ret)
{
	char path[64], line[4096], *p, *end;
	unsigned int uid = 0, gid = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	ret->n_gids = 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		(void)sscanf(line, "Uid: %*u %u", &uid);
		if (sscanf(line, "Gid: %*u %u", &gid) == 1)
			ret->gid[ret->n_gids++] = gid;
		if (strncmp(line, "Groups:", 7) != 0)
			continue;
		for (p = line + 7; ret->n_gids < MAX_GROUPS; p = end) {
			gid = (unsigned int)strtoul(p, &end, 10);
			if (end == p)
				break;
			ret->gid[ret->n_gids++] = gid;
		}
	}
	(void)fclose(f);
	ret->uid = uid;
	return 0;
}

struct sharers {
	struct doctor	*d;
	int		 n_good, n_bad;
};

static void
check_process(const struct shm_process *p, void *arg)
{
	struct sharers *sharers = arg;
	struct who who;

	if (read_process(p->pid, &who) < 0)
		return;
	(void)snprintf(who.name, sizeof(who.name), "%s, process %d of user %u,",
	    p->kind == SHM_POLL ? "fcgi-poll" : "ws-sidecar", (int)p->pid,
	    (unsigned)who.uid);
	if (check_who(sharers->d, &who, 1))
		sharers->n_good++;
	else
		sharers->n_bad++;
}

static void
check_account(struct sharers *sharers, const char *name)
{
	struct passwd *pw = getpwnam(name);
	struct who who = { .n_gids = MAX_GROUPS };

	if (pw == NULL) {
		report_add(&sharers->d->report, VERDICT_FAIL, "sharing",
		    "name accounts of this system with --account",
		    "no such account: %s", name);
		sharers->n_bad++;
		return;
	}
	who.uid = pw->pw_uid;
	if (getgrouplist(name, pw->pw_gid, who.gid, &who.n_gids) < 0)
		who.n_gids = MAX_GROUPS;	/* the first ones will do */
	(void)snprintf(who.name, sizeof(who.name), "account %s", name);
	if (check_who(sharers->d, &who, 0))
		sharers->n_good++;
	else
		sharers->n_bad++;
}

static void
check_sharing(struct doctor *d)
{
	struct sharers sharers = { d, 0, 0 };
	int i;

	if (d->shm != NULL)
		shm_each_process(d->shm, check_process, &sharers);
	for (i = 0; i < d->n_accounts; i++)
		check_account(&sharers, d->account[i]);
	if (sharers.n_good + sharers.n_bad == 0)
		report_add(&d->report, VERDICT_SKIP, "sharing", NULL, "no service "
		    "runs, and --account names nobody (the site's account, say)");
	else if (sharers.n_bad == 0)
		report_add(&d->report, VERDICT_OK, "sharing", NULL, "%d that use "
		    "the database can read and write it", sharers.n_good);
}

/* -wal and -shm beside the database; non-zero if one was complained of. */
static int
check_beside(struct doctor *d, const char *base, const struct stat *db,
    const char *end)
{
	char path[PATH_MAX + 8];
	struct stat sb;

	(void)snprintf(path, sizeof(path), "%s%s", base, end);
	if (stat(path, &sb) != 0)
		return 0;
	if (sb.st_gid != db->st_gid && (db->st_mode & 0020)) {
		report_add(&d->report, VERDICT_FAIL, "files", "chgrp it to the "
		    "database's group, and chmod g+s the directory, so that new "
		    "files get it too", "%s: of group %u, the database of group "
		    "%u", path, (unsigned)sb.st_gid, (unsigned)db->st_gid);
		return 1;
	}
	if ((sb.st_mode & 0666) != (db->st_mode & 0666)) {
		report_add(&d->report, VERDICT_FAIL, "files", "chmod it as the "
		    "database is", "%s: mode %03o, the database %03o", path,
		    (unsigned)sb.st_mode & 0777, (unsigned)db->st_mode & 0777);
		return 1;
	}
	return 0;
}

void
files_check_modes(struct doctor *d)
{
	char base[PATH_MAX], path[PATH_MAX], *dir;
	struct stat sb, dsb;

	if (realpath(d->cli->conf.database, base) == NULL || stat(base, &sb) != 0) {
		report_add(&d->report, VERDICT_SKIP, "files", NULL,
		    "there is no database");
		return;
	}
	(void)snprintf(path, sizeof(path), "%s", base);
	dir = dirname(path);
	if (stat(dir, &dsb) == 0 && (dsb.st_mode & 0002))
		report_add(&d->report, VERDICT_FAIL, "files", "chmod o-w DIRECTORY: "
		    "who writes there replaces the database",
		    "%s: everybody may write it", dir);
	else if (sb.st_mode & 0002)
		report_add(&d->report, VERDICT_FAIL, "files", "chmod o= FILE",
		    "%s: everybody may write it", base);
	else if (sb.st_mode & 0004)
		report_add(&d->report, VERDICT_WARN, "files",
		    "chmod o= FILE, and its -wal and -shm",
		    "%s: everybody on this machine may read all messages", base);
	else if (!check_beside(d, base, &sb, "-wal") &&
	    !check_beside(d, base, &sb, "-shm"))
		report_add(&d->report, VERDICT_OK, "files", NULL, "mode %03o, "
		    "owner %u, group %u; -wal and -shm agree",
		    (unsigned)sb.st_mode & 0777, (unsigned)sb.st_uid,
		    (unsigned)sb.st_gid);
}

void
files_check_sharing(struct doctor *d)
{
	if (d->cli->st == NULL)
		report_add(&d->report, VERDICT_SKIP, "sharing", NULL,
		    "the database does not open");
	else
		check_sharing(d);
}

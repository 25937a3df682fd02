/*
 * sidewire keep: one ws-sidecar that stays, where nobody else supervises: a host
 * with cron or FastCGI alone.
 *
 * A lock on a file in run_dir says that there is a keeper; it lives and dies with
 * the process, so nothing is ever left over.  The keeper has nothing of whoever
 * started it, a shell, cron or a request: no session, descriptor or variable,
 * as a request's variables hold a token.
 */
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "log.h"

#define MAX_PATH	4096
#define MAX_ENV		256
#define WAIT_MIN_MS	500	/* before a sidecar that ended is started again, */
#define WAIT_MAX_MS	60000	/* doubled each time up to this */
#define STEADY_MS	60000	/* one that ran for so long starts anew */
#define DRAIN_MS	15000	/* for its end, before it is killed */
#define LOOK_MS		60000	/* between looks at the size of the log */
#define LOG_MAX		1048576	/* bytes; then it is moved to keep.log.1 */
#define STOP_MS		20000	/* for the end of keeper and sidecar */
#define STOP_POLL_MS	20

struct keep {
	const struct cli	*cli;
	char			 program[MAX_PATH];
	char			 lock_path[MAX_PATH];
	char			 log_path[MAX_PATH];
	char			*env[MAX_ENV + 1];	/* borrowed from environ */
	int			 lock;
	int			 is_quiet;
	int			 is_foreground;
	int			 is_stop;
	sigset_t		 signals;
	pid_t			 child;		/* 0: none runs */
	int64_t			 started_ms;
	int64_t			 next_ms;	/* when none runs */
	int64_t			 wait_ms;
};

extern char **environ;

/* --- what there is before the keeper --- */

static int
set_path(const struct keep *k, char *ret, const char *dir, const char *name)
{
	int n = snprintf(ret, MAX_PATH, "%s/%s", dir, name);

	if (n < 0 || n >= MAX_PATH)
		return cli_fail(k->cli, "%s/%s: the path is too long", dir,
		    name);
	return CLI_OK;
}

/* ws-sidecar, where --program did not name it: beside this program. */
static int
find_program(struct keep *k)
{
	char self[MAX_PATH], *slash;
	ssize_t n;
	int rc;

	if (k->program[0] == '\0') {
		n = readlink("/proc/self/exe", self, sizeof(self) - 1);
		if (n < 0)
			return cli_fail(k->cli, "/proc/self/exe: %s; name the "
			    "sidecar by --program", strerror(errno));
		self[n] = '\0';
		slash = strrchr(self, '/');
		*slash = '\0';
		rc = set_path(k, k->program, self, "ws-sidecar");
		if (rc != CLI_OK)
			return rc;
	}
	if (access(k->program, X_OK) < 0)
		return cli_fail(k->cli, "%s: %s", k->program, strerror(errno));
	return CLI_OK;
}

static int
open_lock(struct keep *k)
{
	const char *dir = k->cli->conf.run_dir;
	int rc;

	rc = set_path(k, k->lock_path, dir, "keep.lock");
	if (rc == CLI_OK)
		rc = set_path(k, k->log_path, dir, "keep.log");
	if (rc != CLI_OK)
		return rc;
	if (mkdir(dir, 0770) < 0 && errno != EEXIST)
		return cli_fail(k->cli, "%s: %s", dir, strerror(errno));
	k->lock = open(k->lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (k->lock < 0)
		return cli_fail(k->cli, "%s: %s", k->lock_path,
		    strerror(errno));
	return CLI_OK;
}

/* 1: we have it; 0: a keeper has it; -1: errno. */
static int
take_lock(const struct keep *k)
{
	if (flock(k->lock, LOCK_EX | LOCK_NB) == 0)
		return 1;
	return errno == EWOULDBLOCK ? 0 : -1;
}

/* Who has the lock, as he wrote; 0 while he has not. */
static pid_t
read_pid(const struct keep *k)
{
	char text[32], *end;
	ssize_t n;
	long pid;

	n = pread(k->lock, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	pid = strtol(text, &end, 10);
	return *end == '\n' && pid > 1 ? (pid_t)pid : 0;
}

static void
write_pid(const struct keep *k)
{
	char text[32];
	int n;

	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(k->lock, 0) < 0 ||
	    pwrite(k->lock, text, (size_t)n, 0) != n)
		log_warn("%s", k->lock_path);
}

/* Only what the sidecar is meant to have; the rest is wiped from our memory too. */
static void
choose_env(struct keep *k)
{
	static const char *const kept[] = {
		"HOME=", "JOURNAL_STREAM=", "LANG=", "LC_", "LD_LIBRARY_PATH=",
		"PATH=", "TZ=", "SIDEWIRE_", "ASAN_OPTIONS=", "UBSAN_OPTIONS="
	};
	const size_t n_kept = sizeof(kept) / sizeof(kept[0]);
	size_t i, j, n = 0;

	for (i = 0; environ[i] != NULL; i++) {
		for (j = 0; j < n_kept; j++) {
			if (strncmp(environ[i], kept[j], strlen(kept[j])) == 0)
				break;
		}
		if (j < n_kept && n < MAX_ENV)
			k->env[n++] = environ[i];
		else
			explicit_bzero(environ[i], strlen(environ[i]));
	}
	k->env[n] = NULL;
}

/* --- the sidecar --- */

static void
start_sidecar(struct keep *k)
{
	char name[] = "ws-sidecar", option[] = "-c";
	char *argv[] = { name, NULL, NULL, NULL };
	pid_t keeper = getpid();
	sigset_t none;

	if (k->cli->file != NULL) {
		argv[1] = option;
		argv[2] = (char *)(uintptr_t)k->cli->file;
	}
	k->started_ms = clock_mono_ms();
	k->child = fork();
	if (k->child < 0) {
		log_err("fork");
		k->child = 0;
		return;
	}
	if (k->child > 0) {
		log_info("started sidecar pid=%ld", (long)k->child);
		return;
	}
	/* A keeper that is killed takes the sidecar with it: the next has its own. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != keeper)
		_exit(EXIT_FAILURE);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(k->program, argv, k->env);
	log_err("%s", k->program);
	_exit(EXIT_FAILURE);
}

/* Looks whether the sidecar has ended; then says when there is to be another. */
static void
reap_sidecar(struct keep *k)
{
	int64_t now = clock_mono_ms();
	int status;

	if (k->child == 0 || waitpid(k->child, &status, WNOHANG) != k->child)
		return;
	if (now - k->started_ms >= STEADY_MS)
		k->wait_ms = WAIT_MIN_MS;
	log_warnx("sidecar ended pid=%ld %s=%d again_in_ms=%" PRId64,
	    (long)k->child, WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
	    k->wait_ms);
	k->child = 0;
	k->next_ms = now + k->wait_ms;
	k->wait_ms = k->wait_ms * 2 < WAIT_MAX_MS ? k->wait_ms * 2 :
	    WAIT_MAX_MS;
}

/* The signal that came within ms, or -1. */
static int
wait_signal(const struct keep *k, int64_t ms)
{
	struct timespec ts;

	ms = ms > 0 ? ms : 0;
	ts.tv_sec = (time_t)(ms / 1000);
	ts.tv_nsec = (long)(ms % 1000) * 1000000;
	return sigtimedwait(&k->signals, NULL, &ts);
}

static void
stop_sidecar(struct keep *k)
{
	int64_t end = clock_mono_ms() + DRAIN_MS;

	if (k->child == 0)
		return;
	(void)kill(k->child, SIGTERM);
	while (waitpid(k->child, NULL, WNOHANG) == 0) {
		if (clock_mono_ms() >= end) {
			log_warnx("sidecar does not end pid=%ld: killed",
			    (long)k->child);
			(void)kill(k->child, SIGKILL);
			(void)waitpid(k->child, NULL, 0);
			break;
		}
		(void)wait_signal(k, end - clock_mono_ms());
	}
	log_info("sidecar stopped pid=%ld", (long)k->child);
	k->child = 0;
}

/*
 * The sidecar goes on writing to the same file, so it is copied and made empty;
 * a line that comes between the two is lost.
 */
static void
trim_log(const struct keep *k)
{
	char old[MAX_PATH + 2];
	struct stat sb;
	off_t at = 0;
	int from, to;

	if (k->is_foreground || fstat(STDERR_FILENO, &sb) < 0 ||
	    sb.st_size < LOG_MAX)
		return;
	(void)snprintf(old, sizeof(old), "%s.1", k->log_path);
	from = open(k->log_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	to = open(old, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	while (from >= 0 && to >= 0 && at < sb.st_size &&
	    sendfile(to, from, &at, (size_t)(sb.st_size - at)) > 0)
		continue;
	if (ftruncate(STDERR_FILENO, 0) < 0)
		log_warn("%s", k->log_path);
	if (from >= 0)
		(void)close(from);
	if (to >= 0)
		(void)close(to);
}

static int
keep_sidecar(struct keep *k)
{
	int64_t now;
	int sig;

	k->wait_ms = WAIT_MIN_MS;
	for (;;) {
		trim_log(k);
		now = clock_mono_ms();
		if (k->child == 0 && now >= k->next_ms)
			start_sidecar(k);
		if (k->child == 0 && k->next_ms <= now)
			k->next_ms = now + WAIT_MAX_MS;	/* no process to be had */
		sig = wait_signal(k, k->child == 0 ? k->next_ms - now :
		    LOOK_MS);
		if (sig == SIGTERM || sig == SIGINT)
			break;
		if (sig == SIGHUP) {	/* a new program, or configuration */
			stop_sidecar(k);
			k->next_ms = 0;
		}
		reap_sidecar(k);
	}
	stop_sidecar(k);
	log_info("stopped");
	return CLI_OK;
}

/* --- becoming the keeper --- */

/* Nothing of the starter's: its descriptors may be a web server's sockets. */
static int
leave_descriptors(struct keep *k)
{
	int null, out;

	null = open("/dev/null", O_RDWR);
	out = open(k->log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW,
	    0600);
	if (null < 0 || out < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
		return cli_fail(k->cli, "%s: %s", k->log_path,
		    strerror(errno));
	if (k->lock > STDERR_FILENO + 1)
		(void)close_range(STDERR_FILENO + 1, (unsigned)k->lock - 1, 0);
	(void)close_range((unsigned)k->lock + 1, ~0U, 0);
	return CLI_OK;
}

static void
block_signals(struct keep *k)
{
	(void)sigemptyset(&k->signals);
	(void)sigaddset(&k->signals, SIGTERM);
	(void)sigaddset(&k->signals, SIGINT);
	(void)sigaddset(&k->signals, SIGHUP);
	(void)sigaddset(&k->signals, SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &k->signals, NULL);
	/* One that is ignored, as under nohup(1), would leave no child to wait for. */
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
}

/*
 * In the starter: its exit code; in the keeper it does not return.  The second
 * fork gives up the leadership of the session, and with it any terminal.
 */
static int
leave(struct keep *k)
{
	pid_t pid;
	int status;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		return cli_fail(k->cli, "fork: %s", strerror(errno));
	if (pid > 0) {
		while (waitpid(pid, &status, 0) < 0) {
			if (errno != EINTR)
				return cli_fail(k->cli, "%s", strerror(errno));
		}
		if (!WIFEXITED(status) || WEXITSTATUS(status) != CLI_OK)
			return CLI_FAIL;
		if (!k->is_quiet)
			(void)printf("started; the log is %s\n", k->log_path);
		return CLI_OK;
	}
	(void)setsid();
	if (leave_descriptors(k) != CLI_OK)
		_exit(CLI_FAIL);
	pid = fork();
	if (pid < 0)
		log_err("fork");
	if (pid != 0)
		_exit(pid > 0 ? CLI_OK : CLI_FAIL);
	write_pid(k);
	_exit(keep_sidecar(k));
}

static int
say_running(const struct keep *k)
{
	pid_t pid = read_pid(k);

	if (!k->is_quiet)
		(void)printf(pid > 0 ? "already running, pid %ld\n" :
		    "already running\n", (long)pid);
	return CLI_OK;
}

static int
stop_keeper(const struct keep *k)
{
	const struct timespec pause = { 0, STOP_POLL_MS * 1000000L };
	int64_t end = clock_mono_ms() + STOP_MS;
	pid_t pid = 0;

	/* One that has just started has not written its pid. */
	while (take_lock(k) == 0) {
		if (pid == 0) {
			pid = read_pid(k);
			if (pid > 0 && kill(pid, SIGTERM) < 0 && errno != ESRCH)
				return cli_fail(k->cli, "pid %ld: %s",
				    (long)pid, strerror(errno));
		}
		if (clock_mono_ms() >= end)
			return cli_fail(k->cli, "pid %ld does not end",
			    (long)pid);
		(void)nanosleep(&pause, NULL);
	}
	if (!k->is_quiet)
		(void)puts(pid > 0 ? "stopped" : "not running");
	return CLI_OK;
}

static int
run(struct keep *k)
{
	int rc;

	rc = open_lock(k);
	if (rc != CLI_OK)
		return rc;
	if (k->is_stop)
		return stop_keeper(k);
	rc = find_program(k);
	if (rc != CLI_OK)
		return rc;
	rc = take_lock(k);
	if (rc < 0)
		return cli_fail(k->cli, "%s: %s", k->lock_path,
		    strerror(errno));
	if (rc == 0)
		return say_running(k);
	/* Until there is another, the pid is of one that has ended. */
	if (ftruncate(k->lock, 0) < 0)
		return cli_fail(k->cli, "%s: %s", k->lock_path,
		    strerror(errno));
	choose_env(k);
	log_init("sidewire-keep", LOG_INFO_LEVEL);
	block_signals(k);
	if (!k->is_foreground)
		return leave(k);
	write_pid(k);
	return keep_sidecar(k);
}

int
cmd_keep(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "program", required_argument, NULL, 'p' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "stop", no_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 }
	};
	struct keep k = { .cli = cli, .lock = -1 };
	int c, rc;

	for (c = cli_option(argc, argv, options, NULL); c != -1;
	    c = cli_option(argc, argv, options, NULL)) {
		if (c == 'f')
			k.is_foreground = 1;
		else if (c == 'q')
			k.is_quiet = 1;
		else if (c == 's')
			k.is_stop = 1;
		else if (c == 'p' && strlen(optarg) < MAX_PATH)
			memcpy(k.program, optarg, strlen(optarg) + 1);
		else
			return cli_misuse_option(cli, argv);
	}
	if (optind != argc)
		return cli_misuse(cli, "takes no arguments");
	rc = run(&k);
	if (k.lock >= 0)
		(void)close(k.lock);
	return rc;
}

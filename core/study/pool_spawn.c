/* pool_spawn.c - starts a worker: fork, its own process group, its end tied to this process's, exec. */
#include "pool_private.h"

#include "clock.h"
#include "error.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIPTORS = 1024 }; /* those below are kept from workers, whoever opened them */

struct launch { /* all that the child needs, so that between fork and exec it allocates nothing */
    char **arguments, **environment;
    int nowhere, output, log, refusal; /* descriptors; refusal: a pipe for errno when exec fails */
    pid_t parent;
};

uint64_t resident_bytes(pid_t pid)
{
    char path[48], text[96];
    unsigned long long total, resident;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    if (sscanf(text, "%llu %llu", &total, &resident) != 2)
        return 0;
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* If memory runs out, the system is to take a worker, not the process that would notice. */
static void offer_memory_first(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "500", 3);
        close(fd);
    }
}

/* In the child. Handlers of the parent go with exec, but until then they would swallow a signal. */
static _Noreturn void become_worker(const struct launch *l)
{
    static const int usual[] = {SIGTERM, SIGINT, SIGPIPE, SIGCHLD};
    struct rlimit no_core = {0, 0};
    sigset_t none;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        signal(usual[i], SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != l->parent) /* it died before the line above */
        _exit(127);
    setrlimit(RLIMIT_CORE, &no_core);
    offer_memory_first();
    dup2(l->nowhere, STDIN_FILENO);
    dup2(l->output, STDOUT_FILENO);
    dup2(l->log, STDERR_FILENO);
    for (int fd = STDERR_FILENO + 1; fd < DESCRIPTORS; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(l->arguments[0], l->arguments, l->environment);
    int reason = errno;
    (void)!write(l->refusal, &reason, sizeof reason);
    _exit(127);
}

/* The descriptor, closed on exec and above the standard ones, which this process may have been started without. */
static int settle(int fd)
{
    if (fd < 0)
        return -1;
    int settled = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(fd);
    return settled;
}

static int make_pipe(int ends[2])
{
    if (pipe(ends) < 0) {
        ends[0] = ends[1] = -1;
        return fail(ERR_IO, "no pipe to a worker: %s", strerror(errno));
    }
    ends[0] = settle(ends[0]);
    ends[1] = settle(ends[1]);
    return ends[0] < 0 || ends[1] < 0 ? fail(ERR_IO, "no pipe to a worker: %s", strerror(errno)) : 0;
}

static void shut(int fd)
{
    if (fd >= 0)
        close(fd);
}

static char **make_arguments(const char *const *command, const char *argument)
{
    size_t count = 0;
    while (command[count])
        count++;
    char **arguments = mem_alloc(count + 2, sizeof *arguments);
    for (size_t i = 0; i < count && arguments; i++)
        arguments[i] = (char *)(uintptr_t)command[i]; /* execve wants them so and leaves them alone */
    if (arguments)
        arguments[count] = (char *)(uintptr_t)argument;
    return arguments;
}

/* Forks, and waits until the child has become the worker or says why not. Signals wait meanwhile: the child must
 * neither run the parent's handlers nor lose what is sent to it. */
static int fork_worker(pid_t *pid, const struct launch *l, int refusal)
{
    sigset_t all, before;
    int reason = 0;
    ssize_t n;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    *pid = fork();
    if (*pid == 0)
        become_worker(l);
    reason = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(l->refusal);
    if (*pid < 0)
        return fail(ERR_IO, "no process for a worker can be had: %s", strerror(reason));
    while ((n = read(refusal, &reason, sizeof reason)) < 0 && errno == EINTR)
        continue;
    if (n <= 0)
        return 0;
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return fail(ERR_IO, "%s cannot be started: %s", l->arguments[0], strerror(reason));
}

/* The log is added to, so that an earlier attempt's stays readable. */
static int open_log(const char *path, off_t *end)
{
    int fd = settle(open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
    if (fd < 0)
        return fail(ERR_IO, "the log %s cannot be written: %s", path, strerror(errno));
    *end = lseek(fd, 0, SEEK_END);
    return fd;
}

int worker_spawn(struct worker *w, const struct pool *p, const struct pool_job *job)
{
    int output[2] = {-1, -1}, refusal[2] = {-1, -1}, rc;
    off_t log_from = 0;
    pid_t pid = 0;
    struct launch l = {.environment = p->environment, .nowhere = -1, .parent = getpid()};
    l.log = rc = open_log(job->log, &log_from);
    if (rc >= 0)
        rc = make_pipe(output);
    if (rc >= 0)
        rc = make_pipe(refusal);
    if (rc >= 0 && (l.nowhere = settle(open("/dev/null", O_RDONLY | O_CLOEXEC))) < 0)
        rc = fail(ERR_IO, "/dev/null cannot be opened: %s", strerror(errno));
    if (rc >= 0 && !(l.arguments = make_arguments(p->spec->command, job->argument)))
        rc = ERR_MEMORY;
    double now = clock_seconds();
    uint64_t inherited = resident_bytes(l.parent);
    if (rc >= 0) {
        l.output = output[1];
        l.refusal = refusal[1];
        rc = fork_worker(&pid, &l, refusal[0]);
        refusal[1] = -1;
    }
    mem_free(l.arguments);
    shut(l.nowhere), shut(output[1]), shut(refusal[0]), shut(refusal[1]);
    if (rc < 0) {
        shut(l.log), shut(output[0]);
        return rc;
    }
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    *w = (struct worker){.pid = pid,
                         .output = output[0],
                         .log = l.log,
                         .log_from = log_from,
                         .tag = job->tag,
                         .began = now,
                         .limit = p->spec->limit_seconds * (job->times ? job->times : 1),
                         .sign = now,
                         .inherited = inherited};
    return 0;
}

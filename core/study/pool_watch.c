/* pool_watch.c - sees how workers do: reads their pipes, keeps the limits, and says how each ended.
 *
 * Neither sign alone tells the end: a worker may close its stdout and live on, and what it left behind may keep
 * the pipe open. So the process itself is asked, soon after its pipe ended and else a few times a second. */
#include "pool_private.h"

#include "clock.h"
#include "error.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LISTEN_LIMIT = 64 << 10, DRAIN_LIMIT = 1 << 20, LOG_TAIL = 4096, WORKERS_AT_ONCE = 256 };
static const double longest_wait = 3600, /* at once; in milliseconds an int */
    tick = 0.1,                          /* seconds between two looks at a worker's memory */
    soonest = 0.001;                     /* between a pipe's end and the first look at its worker */

void worker_doom(struct worker *w, enum pool_fate reason)
{
    if (w->doomed)
        return;
    w->doomed = 1;
    w->reason = reason;
    kill(w->pid, SIGKILL); /* the number is its own until it is reaped */
}

void worker_forsake(struct worker *w)
{
    if (w->output >= 0)
        close(w->output);
    if (w->log >= 0)
        close(w->log);
    w->output = w->log = -1;
}

/* The last line of the log since the job began that is not blank; "" when there is none. */
static void last_words(const struct worker *w, char *to, size_t size)
{
    static const char ours[] = "vitro: ";
    char tail[LOG_TAIL + 1];
    to[0] = 0;
    off_t end = lseek(w->log, 0, SEEK_END), from = end - LOG_TAIL;
    if (from < w->log_from)
        from = w->log_from;
    ssize_t n = end > from ? pread(w->log, tail, LOG_TAIL, from) : 0;
    while (n > 0 && (unsigned char)tail[n - 1] <= ' ')
        n--;
    if (n <= 0)
        return;
    ssize_t start = n;
    while (start > 0 && tail[start - 1] != '\n' && tail[start - 1] != '\r')
        start--;
    if ((size_t)(n - start) >= sizeof ours - 1 && memcmp(tail + start, ours, sizeof ours - 1) == 0)
        start += (ssize_t)sizeof ours - 1;
    while (start < n && (tail[start] == ' ' || tail[start] == '\t'))
        start++;
    text_clean(to, size, tail + start, (size_t)(n - start));
}

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static void tell_what_happened(struct worker *w, const struct pool_spec *limits)
{
    struct pool_event *e = &w->end;
    char said[512], *const happened = e->sentence;
    const size_t room = sizeof e->sentence;
    snprintf(said, sizeof said, "%s", w->talk.failed);
    if (!e->gave_up || !*said)
        last_words(w, said, sizeof said);
    switch (e->fate) {
    case POOL_EXITED:
        if (!e->gave_up && e->status)
            snprintf(happened, room, "it ended with status %d%s", e->status,
                     *said ? "" : " and did not say why");
        break;
    case POOL_CRASHED:
        snprintf(happened, room, "it crashed: %s (signal %d)", strsignal(e->signal), e->signal);
        break;
    case POOL_KILLED:
        snprintf(happened, room, "it was killed from outside (signal %d): by someone%s", e->signal,
                 e->signal == SIGKILL ? ", or by the system for want of memory" : "");
        break;
    case POOL_HUNG:
        snprintf(happened, room, "it gave no sign of life for %g s and was ended", limits->stall_seconds);
        break;
    case POOL_LATE: snprintf(happened, room, "it was not done after %g s and was ended", w->limit); break;
    case POOL_GREEDY:
        snprintf(happened, room, "it took more than the %.0f MiB of memory allowed and was ended",
                 mebibytes(limits->memory_bytes)); /* how much is chance, and the sentence becomes a result */
        break;
    case POOL_STOPPED:
        if (w->doomed)
            snprintf(happened, room, "it was to stop, had not after %g s and was ended", w->grace);
        else
            snprintf(happened, room, "it was stopped");
    }
    if (*happened && *said)
        strcat(happened, "; it said last: "); /* none of the above comes near the end */
    size_t used = strlen(happened);
    text_clean(happened + used, room - used, said, strlen(said));
}

/* Signals that someone sends; all others come of what the process did. */
static int is_from_outside(int number)
{
    return number == SIGKILL || number == SIGTERM || number == SIGINT || number == SIGHUP;
}

/* The fate from how the process ended and what was done to it. A kill of ours that came too late does not count. */
static void judge(struct worker *w, int status)
{
    struct pool_event *e = &w->end;
    if (WIFSIGNALED(status))
        e->signal = WTERMSIG(status);
    else
        e->status = WEXITSTATUS(status);
    if (w->doomed && e->signal == SIGKILL)
        e->fate = w->reason;
    else if (w->stop_by > 0 && (e->signal || e->status))
        e->fate =
            POOL_STOPPED; /* status 0 says that it was done before it could stop: that is not to be lost */
    else if (e->signal)
        e->fate = is_from_outside(e->signal) ? POOL_KILLED : POOL_CRASHED;
    else
        e->fate = POOL_EXITED;
}

void worker_reap(struct worker *w, const struct pool_spec *limits)
{
    siginfo_t info = {0};
    struct rusage used = {0};
    int status = 0xff00; /* as if it had exited with 255, should someone else have reaped it */
    if (w->ended || (waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && !info.si_pid))
        return;
    w->end = (struct pool_event){.kind = POOL_ENDED, .tag = w->tag, .seconds = clock_seconds() - w->began};
    kill(-w->pid, SIGKILL); /* what it started; until it is reaped, the group's number is its own */
    while (wait4(w->pid, &status, 0, &used) < 0 && errno == EINTR)
        continue;
    worker_listen(w, DRAIN_LIMIT);
    uint64_t most = (uint64_t)used.ru_maxrss * 1024;
    w->end.peak_bytes = most > w->inherited && most > w->peak ? most : w->peak;
    w->end.share = w->talk.share;
    w->end.spoke = w->talk.spoke;
    w->end.gave_up = w->talk.failed[0] != 0;
    judge(w, status);
    tell_what_happened(w, limits);
    worker_forsake(w);
    w->ended = 1;
}

static void keep_limits(struct worker *w, const struct pool_spec *limits, double now)
{
    uint64_t resident = 0;
    if (now >= w->next_look) {
        resident = resident_bytes(w->pid);
        w->next_look = now + tick;
        if (resident > w->peak)
            w->peak = resident;
    }
    if (limits->memory_bytes && resident > limits->memory_bytes)
        worker_doom(w, POOL_GREEDY);
    else if (w->stop_by > 0 && now > w->stop_by)
        worker_doom(w, POOL_STOPPED);
    else if (w->stop_by > 0)
        return; /* it has its grace */
    else if (w->limit > 0 && now - w->began > w->limit)
        worker_doom(w, POOL_LATE);
    else if (limits->stall_seconds > 0 && now - w->sign > limits->stall_seconds)
        worker_doom(w, POOL_HUNG);
}

/* Until the worker is to be looked at again even if it says nothing. */
static double patience(const struct worker *w, double now)
{
    if (w->ended)
        return 0;
    return w->output < 0 ? fmin(fmax((now - w->silent) / 2, soonest), tick) : tick;
}

/* One that floods its pipe is heard ten times a second: it waits for us and not we for it. */
static void listen_within_reason(struct worker *w)
{
    double now = clock_seconds();
    if (now >= w->deaf_until && worker_listen(w, LISTEN_LIMIT) >= LISTEN_LIMIT)
        w->deaf_until = now + tick;
}

int pool_look(struct pool *p, double seconds)
{
    struct pollfd watch[WORKERS_AT_ONCE];
    nfds_t count = 0;
    double now = clock_seconds();
    for (int i = 0; i < p->spec->workers; i++) {
        const struct worker *w = &p->workers[i];
        if (w->pid)
            seconds = fmin(seconds, w->talk.has_news ? 0 : patience(w, now));
        if (w->pid && w->output >= 0 && now >= w->deaf_until)
            watch[count++] = (struct pollfd){.fd = w->output, .events = POLLIN};
    }
    seconds = fmin(seconds, longest_wait);
    int ready = poll(watch, count, seconds > 0 ? (int)ceil(seconds * 1000) : 0);
    int interrupted = ready < 0 && errno == EINTR;
    if (ready < 0 && !interrupted)
        return fail(ERR_IO, "the workers cannot be watched: %s", strerror(errno));
    /* all that was said and all ends before any limit: this process may have been stopped for a while */
    for (int i = 0; i < p->spec->workers; i++)
        if (p->workers[i].pid && !p->workers[i].ended) {
            listen_within_reason(&p->workers[i]);
            worker_reap(&p->workers[i], p->spec);
        }
    now = clock_seconds();
    for (int i = 0; i < p->spec->workers; i++)
        if (p->workers[i].pid && !p->workers[i].ended)
            keep_limits(&p->workers[i], p->spec, now);
    return interrupted;
}

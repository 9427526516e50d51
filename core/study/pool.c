/* pool.c - see pool.h. A job's worker occupies its place until its end has been told. */
#include "pool_private.h"

#include "clock.h"
#include "error.h"
#include "memory.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS_MOST = 256 };
static const double longest_end = 5; /* seconds that a killed worker may take, stuck in a driver */

extern char **environ;

/* Whether one of the list sets the same name as `entry`. */
static int is_replaced(const char *entry, const char *const *list)
{
    size_t name = strcspn(entry, "=");
    for (; list && *list; list++)
        if (strcspn(*list, "=") == name && memcmp(*list, entry, name) == 0)
            return 1;
    return 0;
}

static int make_environment(struct pool *p, const char *const *ours)
{
    size_t count = 0, used = 0;
    while (environ && environ[count])
        count++;
    for (const char *const *o = ours; o && *o; o++)
        count++;
    p->environment = mem_alloc(count + 1, sizeof *p->environment);
    if (!p->environment)
        return ERR_MEMORY;
    for (char **e = environ; e && *e; e++)
        if (!is_replaced(*e, ours))
            p->environment[used++] = *e;
    for (const char *const *o = ours; o && *o; o++)
        p->environment[used++] = (char *)(uintptr_t)*o; /* execve wants them so and leaves them alone */
    return 0;
}

/* A parent that ignores its children's ends, which is inherited, would let the system swallow ours. */
static void want_to_know_ends(void)
{
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) == 0 &&
        (action.sa_handler == SIG_IGN || action.sa_flags & SA_NOCLDWAIT))
        signal(SIGCHLD, SIG_DFL);
}

int pool_create(struct pool **out, const struct pool_spec *spec)
{
    *out = NULL;
    if (spec->workers < 1 || spec->workers > WORKERS_MOST)
        return fail(ERR_INPUT, "%d workers are asked for; there can be 1 to %d", spec->workers, WORKERS_MOST);
    struct pool *p = mem_alloc(1, sizeof *p + (size_t)spec->workers * sizeof *p->workers);
    if (!p)
        return ERR_MEMORY;
    p->spec = spec;
    if (make_environment(p, spec->environment) < 0) {
        mem_free(p);
        return ERR_MEMORY;
    }
    want_to_know_ends();
    *out = p;
    return 0;
}

static int is_alive(const struct worker *w)
{
    return w->pid && !w->ended;
}

void pool_destroy(struct pool *p)
{
    if (!p)
        return;
    int alive = 0;
    double until = clock_seconds() + longest_end;
    for (int i = 0; i < p->spec->workers; i++)
        if (is_alive(&p->workers[i]))
            worker_doom(&p->workers[i], POOL_STOPPED);
    do {
        const struct timespec a_moment = {.tv_nsec = 2000000};
        if (alive)
            nanosleep(&a_moment, NULL);
        alive = 0;
        for (int i = 0; i < p->spec->workers; i++) {
            if (is_alive(&p->workers[i]))
                worker_reap(&p->workers[i], p->spec);
            alive += is_alive(&p->workers[i]);
        }
    } while (alive && clock_seconds() < until);
    for (int i = 0; i < p->spec->workers; i++)
        if (is_alive(&p->workers[i]))
            worker_forsake(&p->workers[i]);
    mem_free(p->environment);
    mem_free(p);
}

int pool_start(struct pool *p, const struct pool_job *job)
{
    for (int i = 0; i < p->spec->workers; i++)
        if (!p->workers[i].pid)
            return worker_spawn(&p->workers[i], p, job);
    return fail(ERR_INPUT, "all %d workers are busy; wait until one has ended", p->spec->workers);
}

int pool_running(const struct pool *p)
{
    return p->spec->workers - pool_free(p);
}

int pool_free(const struct pool *p)
{
    int count = 0;
    for (int i = 0; i < p->spec->workers; i++)
        count += !p->workers[i].pid;
    return count;
}

/* News of the first worker in turn that has any; its progress before its end. */
static int take_event(struct pool *p, struct pool_event *event)
{
    for (int k = 0; k < p->spec->workers; k++) {
        int i = (p->next + k) % p->spec->workers;
        struct worker *w = &p->workers[i];
        if (!w->pid || (!w->talk.has_news && !w->ended))
            continue;
        if (w->talk.has_news) {
            *event = (struct pool_event){.kind = POOL_PROGRESS,
                                         .tag = w->tag,
                                         .share = w->talk.share,
                                         .seconds = clock_seconds() - w->began,
                                         .peak_bytes = w->peak};
            memcpy(event->note, w->talk.note, sizeof event->note);
            w->talk.has_news = 0;
        } else {
            *event = w->end;
            *w = (struct worker){0};
        }
        p->next = i + 1;
        return 1;
    }
    return 0;
}

/* A signal to this process ends the wait early: whoever catches it wants to act on it. */
int pool_wait(struct pool *p, double seconds, struct pool_event *event)
{
    double until = clock_seconds() + seconds, left = seconds;
    int interrupted = 0;
    do {
        interrupted = pool_look(p, left);
        TRY(interrupted);
        if (take_event(p, event))
            return 1;
        left = until - clock_seconds();
    } while (left > 0 && !interrupted);
    return 0;
}

void pool_stop(struct pool *p, double grace)
{
    double by = clock_seconds() + grace;
    for (int i = 0; i < p->spec->workers; i++) {
        struct worker *w = &p->workers[i];
        if (is_alive(w))
            worker_reap(w, p->spec); /* an end that came before this one is its own */
        if (!is_alive(w) || w->doomed)
            continue;
        if (w->stop_by > 0 && w->stop_by <= by)
            continue;
        w->stop_by = by;
        w->grace = grace;
        kill(w->pid, SIGTERM);
    }
}

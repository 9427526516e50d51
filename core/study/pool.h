/* pool.h - worker processes: at most so many at a time, each watched for progress, time and memory. What a worker
 * does, dies of or hangs in is its own; the caller hears of it as an event.
 *
 * A worker is `command... ARGUMENT`. It writes lines "progress SHARE NOTE" (SHARE 0 .. 1) to its stdout; any line
 * counts as a sign of life. One that gives up writes "failed SENTENCE" before it ends: so it is told apart from one
 * that something within it ended, and heard even where no log can be written. Its stderr goes to the job's log. Workers end with their parent, however that dies. */
#ifndef VITRO_STUDY_POOL_H
#define VITRO_STUDY_POOL_H

#include <stdint.h>

struct pool;

struct pool_spec { /* lent until pool_destroy */
    int workers;
    const char *const *command; /* program and its first arguments, ended by NULL */
    const char *const
        *environment; /* "NAME=VALUE" beside or instead of this process's own, ended by NULL; NULL: none */
    double stall_seconds;  /* without a sign of life; 0: no limit */
    double limit_seconds;  /* of a job in all; 0: no limit */
    uint64_t memory_bytes; /* resident, of the worker's process; 0: no limit */
};
int pool_create(struct pool **out, const struct pool_spec *spec);
void pool_destroy(struct pool *p); /* NULL is fine; ends what still runs, at once */

struct pool_job {               /* lent for the call */
    const char *argument, *log; /* paths */
    void *tag;                  /* the caller's, given back with each event */
    int times;                  /* it may take limit_seconds so often; 0: once */
};
int pool_start(struct pool *p, const struct pool_job *job); /* refused when no worker is free */
int pool_running(const struct pool *p);
int pool_free(const struct pool *p);

enum pool_kind { POOL_PROGRESS, POOL_ENDED };
enum pool_fate {
    POOL_EXITED,  /* by itself, with `status` */
    POOL_CRASHED, /* by `signal` */
    POOL_KILLED, /* by a SIGKILL that was not ours: someone's, or the system's for want of memory; or asked to end */
    POOL_HUNG,    /* no sign of life in stall_seconds */
    POOL_LATE,    /* longer than limit_seconds */
    POOL_GREEDY,  /* more memory than memory_bytes */
    POOL_STOPPED, /* ended after pool_stop; one that still got done (status 0) is EXITED */
};
struct pool_event {
    enum pool_kind kind;
    void *tag;
    double share; /* PROGRESS */
    char note[96];
    enum pool_fate fate; /* ENDED */
    int status, signal;
    int spoke;           /* it wrote a line to its stdout: it had begun */
    int gave_up;         /* it said "failed" */
    double seconds;      /* since it was started */
    uint64_t peak_bytes; /* most resident memory */
    char sentence[512]; /* what it gave up with, or else said last on stderr, without "vitro: "; for the other
                          fates what happened */
};
/* The next event: 1; 0 when none came within `seconds`; negative when workers cannot be watched. */
int pool_wait(struct pool *p, double seconds, struct pool_event *event);
/* Asks all workers to stop in good order (SIGTERM), and ends those that have not after `grace` seconds; their
 * events still come. */
void pool_stop(struct pool *p, double grace);

#endif

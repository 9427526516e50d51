/* pool_private.h - what the files of the pool share: pool.c keeps the workers, pool_spawn.c starts one, pool_talk.c
 * understands what one prints, pool_watch.c sees how it does and how it ended. */
#ifndef VITRO_STUDY_POOL_PRIVATE_H
#define VITRO_STUDY_POOL_PRIVATE_H

#include "pool.h"

#include <sys/types.h>

struct talk { /* what a worker's stdout says; lines beyond the buffer lose their ends */
    char line[640];
    size_t used;
    int spoke;        /* there was a line */
    char failed[512]; /* why it gives up; "" */
    int has_news;     /* share and note changed since they were told */
    double share;
    char note[96];
};

struct worker {
    pid_t pid;      /* 0: free */
    int output;     /* the pipe from its stdout; -1 after its end */
    int log;        /* its stderr, still open here to be read */
    off_t log_from; /* where this job's part of the log begins */
    void *tag;
    struct talk talk;
    double began, sign; /* started; last sign of life */
    double limit;       /* seconds in all; 0: none */
    double silent;      /* since when stdout is closed */
    double deaf_until;  /* it prints too much: not listened to, so that it has to wait */
    double next_look;   /* at its memory */
    double stop_by;     /* 0, or asked to stop and ended then */
    double grace;
    uint64_t peak;
    uint64_t
        inherited; /* resident memory of this process when it forked: wait4 counts that as the worker's */
    int doomed;    /* a SIGKILL of ours is on its way, for this reason: */
    enum pool_fate reason;
    int ended; /* `end` is complete and not yet told */
    struct pool_event end;
};

struct pool {
    const struct pool_spec *spec;
    char **environment; /* for execve; the texts are lent */
    int next;           /* the worker whose news are told first: all get their turn */
    struct worker workers[];
};

/* Starts the job in a free worker. Refused when the program cannot be executed. */
int worker_spawn(struct worker *w, const struct pool *p, const struct pool_job *job);
uint64_t resident_bytes(pid_t pid); /* 0 when there is no such process any more */

/* Reads what is there, at most `limit` bytes, and returns how many; closes the pipe at its end. */
size_t worker_listen(struct worker *w, size_t limit);
/* One line for people from `length` bytes that may be anything; cut to `size`, between letters of UTF-8. */
void text_clean(char *to, size_t size, const char *from, size_t length);

/* Waits at most `seconds` for one of the workers to speak or end, and keeps the limits. Returns 1 when a signal to
 * this process cut it short, negative when workers cannot be watched. */
int pool_look(struct pool *p, double seconds);
/* Notices, if it is so, that the worker has ended: fills in `end`, ends what it left behind. */
void worker_reap(struct worker *w, const struct pool_spec *limits);
void worker_doom(struct worker *w, enum pool_fate reason); /* a SIGKILL, and why */
void worker_forsake(struct worker *w);                     /* closes what is open for it */

#endif

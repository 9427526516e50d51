/* child.h - work in a child process: what may crash or hang does so there, and the caller learns how it
 * ended. */
#ifndef VITRO_BASE_CHILD_H
#define VITRO_BASE_CHILD_H

#include <stddef.h>

enum child_fate {
    CHILD_DONE,    /* the work returned 0 or more */
    CHILD_REFUSED, /* it returned a negative code; the text is its sentence */
    CHILD_CRASHED, /* a signal or an exit ended it; the text says which */
    CHILD_HUNG,    /* it was not done in time and was ended; the text says so */
};

struct child_end {
    enum child_fate fate;
    int code;     /* what the work returned; of CRASHED and HUNG ERR_PLUGIN */
    int signal;   /* CRASHED: what ended it; 0: it exited */
    char *answer; /* DONE: what the work wrote, with a final 0; the caller frees it (mem_free) */
    size_t size;
    char text[512];
};

/* Runs work(context, answer) in a fork of this process, which must have no other thread. The work writes its
 * answer, at most 16 MiB, to the file descriptor `answer`; what it prints is dropped. Negative: no child could be
 * had; however the child ends, the result is 0 and *end says it. */
int child_run(struct child_end *end, int (*work)(void *context, int answer), void *context, double seconds);

/* Writes all bytes to a file descriptor. */
int child_write(int answer, const void *bytes, size_t size);

#endif

/* resources.h - what this process holds, to see whether it grows. */
#ifndef VITRO_LINT_RESOURCES_H
#define VITRO_LINT_RESOURCES_H

#include <stddef.h>

struct resources {
    size_t heap;  /* bytes allocated and not freed; 0 where the C library cannot say */
    size_t pages; /* mapped, without the heap's own growth where it is known */
    int files, threads;
};
void resources_count(struct resources *r);
/* From here on all threads share one heap, so that it is counted as a whole. */
void resources_keep_plain(void);

#endif

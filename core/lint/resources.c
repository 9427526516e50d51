/* resources.c - see resources.h. */
#include "resources.h"

#include <dirent.h>
#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__)
size_t __sanitizer_get_current_allocated_bytes(void);
#elif defined(__GLIBC__)
#include <malloc.h>
#endif

static int entries(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

#if !defined(__SANITIZE_ADDRESS__)
static size_t mapped_pages(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages;
}
#endif

void resources_keep_plain(void)
{
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
    mallopt(M_ARENA_MAX, 1);
#endif
}

void resources_count(struct resources *r)
{
    *r = (struct resources){.files = entries("/proc/self/fd"), .threads = entries("/proc/self/task")};
#if defined(__SANITIZE_ADDRESS__)
    r->heap = __sanitizer_get_current_allocated_bytes();
#elif defined(__GLIBC__)
    struct mallinfo2 info = mallinfo2();
    r->heap = info.uordblks + info.hblkhd;
    r->pages = mapped_pages() - (info.arena + info.hblkhd) / 4096;
#else
    r->pages = mapped_pages();
#endif
}

/* sweep.c - the oldest files of a folder go first. */
#include "sweep.h"

#include "memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct dated {
    const char *name;
    struct timespec time;
    uint64_t bytes;
};

static int by_time(const void *a, const void *b)
{
    const struct dated *x = a, *y = b;
    if (x->time.tv_sec != y->time.tv_sec)
        return x->time.tv_sec < y->time.tv_sec ? -1 : 1;
    return (x->time.tv_nsec > y->time.tv_nsec) - (x->time.tv_nsec < y->time.tv_nsec);
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

void sweep_folder(const char *folder, uint64_t limit)
{
    struct dirent **entries = NULL;
    int found = scandir(folder, &entries, is_visible, NULL),
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t count = 0;
    uint64_t bytes = 0;
    struct dated *files = found > 0 ? mem_alloc((size_t)found, sizeof *files) : NULL;
    for (int i = 0; files && fd >= 0 && i < found; i++) {
        struct stat about;
        if (fstatat(fd, entries[i]->d_name, &about, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(about.st_mode))
            continue;
        files[count++] = (struct dated){entries[i]->d_name, about.st_mtim, (uint64_t)about.st_size};
        bytes += (uint64_t)about.st_size;
    }
    if (bytes > limit) {
        qsort(files, count, sizeof *files, by_time);
        for (size_t i = 0; i < count && bytes > limit / 2; i++)
            if (unlinkat(fd, files[i].name, 0) == 0)
                bytes -= files[i].bytes;
    }
    if (fd >= 0)
        close(fd);
    for (int i = 0; i < found; i++)
        free(entries[i]); /* scandir's own */
    free(entries);
    mem_free(files);
}

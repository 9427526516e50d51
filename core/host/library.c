/* library.c - see library.h. */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "library.h"

#include "error.h"

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <unistd.h>

int library_open(const char *path, const void **symbol)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return fail(ERR_PLUGIN, "%s: cannot be loaded: %.300s", path, dlerror());
    *symbol = dlsym(library, "vitro_plugin"); /* the library stays open for good */
    if (!*symbol)
        return fail(ERR_PLUGIN, "%s: it exports no vitro_plugin, so it is not a plugin", path);
    return 0;
}

struct search {
    uintptr_t symbol;
    struct library_range *out;
    size_t room, count;
};

/* Where the loader write-protects what it has relocated (PT_GNU_RELRO), the globals begin behind. */
static uintptr_t protected_until(const struct dl_phdr_info *info, uintptr_t begin)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t from = (uintptr_t)(info->dlpi_addr + h->p_vaddr);
        if (h->p_type == PT_GNU_RELRO && from >= begin && from - begin < page)
            return (from + h->p_memsz) / page * page;
    }
    return begin;
}

static int visit(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *s = context;
    int here = 0;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t from = (uintptr_t)(info->dlpi_addr + h->p_vaddr);
        here |= h->p_type == PT_LOAD && s->symbol >= from && s->symbol - from < h->p_memsz;
    }
    for (int i = 0; here && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t from = (uintptr_t)(info->dlpi_addr + h->p_vaddr), to = from + h->p_memsz;
        if (h->p_type != PT_LOAD || !(h->p_flags & PF_W))
            continue;
        from = protected_until(info, from);
        if (from < to && s->count < s->room)
            s->out[s->count] = (struct library_range){(const unsigned char *)from, to - from};
        s->count += from < to;
    }
    return here;
}

size_t library_globals(const void *symbol, struct library_range *out, size_t room)
{
    struct search s = {(uintptr_t)symbol, out, room, 0};
    dl_iterate_phdr(visit, &s);
    return s.count < room ? s.count : room;
}

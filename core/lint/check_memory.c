/* check_memory.c - guard pages: each instance ends, and in a second round begins, where a page may not be
 * touched; what the host lends is a copy in a page that cannot be written to. A plugin that strays is
 * stopped by the processor, and the address says what it was after. */
#include "lab.h"

#include "error.h"
#include "memory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum guarded {
    SELF_END,
    SELF_BEGIN,
    LENT
}; /* which side of the bytes has the guard; LENT: both, read only */

struct zone { /* a mapping: guard, pages, guard */
    char *map;
    size_t map_size;
    const char *bytes; /* what the plugin was given */
    size_t size;
    enum guarded kind;
};

enum { ZONES = 4096 };
static struct zones { /* of this process: a signal handler has no other way to them */
    struct zone zone[ZONES];
    size_t count, page;
    enum guarded side;
    sigjmp_buf back;
    const char *volatile touched;
} zones;

static void *take_zone(const void *bytes, size_t size, enum guarded kind)
{
    size_t page = zones.page, inner = (size + page - 1) / page * page + (size ? 0 : page);
    char *map = zones.count < ZONES
                    ? mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                    : MAP_FAILED;
    if (map == MAP_FAILED || mprotect(map + page, inner, PROT_READ | PROT_WRITE) < 0) {
        fail(ERR_MEMORY, "out of memory: %zu guarded bytes could not be had", size);
        return NULL;
    }
    /* a struct's size is a multiple of its alignment, so it may end where the page ends */
    char *at = map + page + (kind == SELF_BEGIN ? 0 : inner - size);
    if (bytes)
        memcpy(at, bytes, size);
    if (kind == LENT)
        mprotect(map + page, inner, PROT_READ);
    zones.zone[zones.count++] = (struct zone){map, inner + 2 * page, at, size, kind};
    return at;
}

static void *guard_self(void *context, size_t size)
{
    (void)context;
    return take_zone(NULL, size, zones.side);
}

static const void *guard_lend(void *context, const void *bytes, size_t size)
{
    (void)context;
    const void *lent = take_zone(bytes, size, LENT);
    return lent ? lent : bytes;
}

static void on_fault(int number, siginfo_t *info, void *machine)
{
    const char *at = info->si_addr;
    (void)machine;
    for (size_t i = 0; i < zones.count; i++)
        if (at >= zones.zone[i].map && at < zones.zone[i].map + zones.zone[i].map_size) {
            zones.touched = at;
            siglongjmp(zones.back, 1);
        }
    signal(number, SIG_DFL); /* not ours: the instruction faults again, and the crash is told as such */
}

static void watch(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    zones.page = (size_t)sysconf(_SC_PAGESIZE);
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static const struct zone *zone_of(const char *at)
{
    const struct zone *z = zones.zone;
    while (!(at >= z->map && at < z->map + z->map_size))
        z++;
    return z;
}

/* The structs of method.h that are lent have sizes of their own; the host's private ones follow them. */
static const char *name_of(size_t size)
{
    return size == sizeof(vitro_model)  ? "vitro_model"
           : size == sizeof(vitro_site) ? "vitro_site"
                                        : "struct (vitro_decl or vitro_trace)";
}

static enum lint_result say_where(struct subject *s)
{
    const struct zone *z = zone_of(zones.touched);
    long offset = (long)(zones.touched - z->bytes);
    const char *when = s->note->text;
    if (z->kind == LENT && offset >= 0 && (size_t)offset < z->size)
        return verdict(s, LINT_FAIL,
                       "it wrote to byte %ld of the %s that the host lent it, %s; what is lent is "
                       "read only",
                       offset, name_of(z->size), when);
    if (z->kind == LENT)
        return verdict(s, LINT_FAIL,
                       "it touched byte %ld of the %s that the host lent it, which has %zu bytes, %s", offset,
                       name_of(z->size), z->size, when);
    return verdict(s, LINT_FAIL,
                   "it touched byte %ld of its instance, which has %zu bytes, %s; does self_size say "
                   "sizeof?",
                   offset, z->size, when);
}

static int live_guarded(struct subject *s, const char *text, const struct vit_shape *shape, enum guarded side)
{
    const struct method_memory memory = {NULL, guard_self, guard_lend};
    struct lab l = {0};
    zones.side = side;
    note(s, "while it was configured or declared");
    TRY(lab_declare_in(&l, s, text, shape, &memory));
    note(s, "while it was recorded");
    TRY(lab_record(&l, &(struct lab_run){.training = 1}));
    note(s, "while it was merged or counted");
    TRY(lab_try_merge(&l));
    note(s, "in finish");
    lab_close(&l);
    return 0;
}

enum lint_result check_memory(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    lab_text(s, text, "", s->options, "");
    MUST(s, lab_shape(s, text, &shape));
    watch();
    if (sigsetjmp(zones.back, 1))
        return say_where(s);
    MUST(s, live_guarded(s, text, &shape, SELF_END));
    MUST(s, live_guarded(s, text, &shape, SELF_BEGIN));
    return verdict(s, LINT_PASS, "it stays within its instance and does not write to what it is lent");
}

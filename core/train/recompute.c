/* recompute.c - see recompute.h. */
#include "recompute.h"

#include "again.h"
#include "error.h"
#include "memory.h"

static int rebuild(struct recompute *r, const struct run_spec *spec, const value *kept, size_t count)
{
    size_t roots = 0, given = 0, most = spec->log_count + spec->gradient_count + 4 + spec->table_count;
    value *lists = mem_alloc(most + count, sizeof *lists), *there = lists + most;
    if (!lists)
        return ERR_MEMORY;
    for (size_t i = 0; i < spec->log_count; i++)
        lists[roots++] = spec->logs[i];
    for (size_t i = 0; i < spec->gradient_count; i++)
        lists[roots++] = spec->gradients[i].gradient;
    for (size_t i = 0; i < count; i++)
        if (kept[i])
            there[given++] = kept[i];
    int rc = again_rebuild(&(struct again_spec){spec->tape, lists, roots, there, given}, &r->tape, r->values,
                           &r->repeated);
    mem_free(lists);
    return rc;
}

int recompute_apply(struct recompute *r, struct run_spec *spec, const value *kept, size_t count)
{
    uint32_t size = tape_size(spec->tape);
    r->values = mem_alloc(size + spec->log_count, sizeof *r->values);
    r->tables = mem_alloc(spec->table_count, sizeof *r->tables);
    r->gradients = mem_alloc(spec->gradient_count, sizeof *r->gradients);
    if (!r->values || !r->tables || !r->gradients)
        return ERR_MEMORY;
    TRY(rebuild(r, spec, kept, count));
    value *map = r->values, *logs = map + size;
    for (size_t i = 0; i < spec->log_count; i++)
        logs[i] = map[spec->logs[i]];
    for (size_t i = 0; i < spec->gradient_count; i++)
        r->gradients[i] = (struct run_gradient){spec->gradients[i].id, map[spec->gradients[i].gradient]};
    size_t tables = 0;
    for (size_t i = 0; i < spec->table_count; i++)
        if (map[spec->tables[i].leaf])
            r->tables[tables++] = (struct run_table){map[spec->tables[i].leaf], spec->tables[i].rows};
    spec->tape = r->tape;
    spec->images = map[spec->images];
    spec->index = map[spec->index];
    spec->labels = map[spec->labels];
    spec->weights = map[spec->weights];
    spec->scale = map[spec->scale];
    spec->logs = logs;
    spec->gradients = r->gradients;
    spec->tables = r->tables;
    spec->table_count = tables;
    return 0;
}

void recompute_finish(struct recompute *r)
{
    tape_destroy(r->tape);
    mem_free(r->values);
    mem_free(r->tables);
    mem_free(r->gradients);
    *r = (struct recompute){0};
}

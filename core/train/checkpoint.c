/* checkpoint.c - see checkpoint.h: a safetensors file of the arenas, the losses, and two notes. */
#include "checkpoint.h"

#include "error.h"
#include "memory.h"
#include "safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* what a checkpoint keeps of the bank; gradients are computed again */
static const struct kept {
    enum bank_arena arena;
    const char *name;
} kept[] = {{BANK_WEIGHTS, "weights"}, {BANK_FIRST, "first_moments"}, {BANK_SECOND, "second_moments"}};
enum { KEPT = sizeof kept / sizeof *kept };

int checkpoint_write(const char *path, const char *identity, struct bank *bank, const struct checkpoint *c)
{
    size_t floats = bank_arena_floats(bank);
    float *data = mem_alloc(KEPT * floats, sizeof *data);
    int rc = data ? 0 : ERR_MEMORY;
    struct safetensors_item items[KEPT + 1];
    char step[16], scaling[64];
    snprintf(step, sizeof step, "%u", c->step);
    snprintf(scaling, sizeof scaling, "%.9g %u %u", (double)c->scaling.scale, c->scaling.good,
             c->scaling.skipped);
    const struct safetensors_note notes[] = {{"identity", identity}, {"step", step}, {"loss_scale", scaling}};
    for (int i = 0; i < KEPT && rc == 0; i++) {
        rc = bank_arena_read(bank, kept[i].arena, data + (size_t)i * floats);
        items[i] = (struct safetensors_item){
            kept[i].name, SAFETENSORS_F32, 1, {(int64_t)floats}, data + (size_t)i * floats};
    }
    items[KEPT] = (struct safetensors_item){"losses", SAFETENSORS_F32, 1, {c->steps}, c->losses};
    if (rc == 0)
        rc = safetensors_write(path, items, KEPT + 1, notes, c->scaling.scale > 0 ? 3 : 2);
    mem_free(data);
    return rc;
}

static int read_notes(const struct safetensors *f, const char *path, const char *identity,
                      struct checkpoint *c)
{
    const char *found = safetensors_metadata(f, "identity"), *step = safetensors_metadata(f, "step");
    if (!found || !step)
        return fail(ERR_INPUT, "%s is not a checkpoint; name another file or delete it", path);
    if (strcmp(found, identity))
        return fail(ERR_INPUT, "%s belongs to another training (%.200s); delete it or name another file",
                    path, found);
    char *end;
    unsigned long n = strtoul(step, &end, 10);
    if (*end || n > c->steps)
        return fail(ERR_INPUT, "%s stands at step %s of %u; delete it and start again", path, step, c->steps);
    c->step = (uint32_t)n;
    const char *scaling = safetensors_metadata(f, "loss_scale");
    struct run_scaling *s = &c->scaling;
    if (scaling && (sscanf(scaling, "%f %u %u", &s->scale, &s->good, &s->skipped) != 3 || !(s->scale > 0)))
        return fail(ERR_INPUT, "%s: its loss_scale \"%.40s\" cannot be read; delete it and start again", path,
                    scaling);
    return 0;
}

int checkpoint_read(const char *path, const char *identity, struct bank *bank, struct checkpoint *c)
{
    struct safetensors *f = NULL;
    size_t floats = bank_arena_floats(bank);
    float *data = NULL;
    int rc = safetensors_open(&f, path);
    if (rc < 0)
        return rc;
    data = mem_alloc(floats, sizeof *data);
    if (!data) {
        rc = ERR_MEMORY;
        goto out;
    }
    TRY_OUT(read_notes(f, path, identity, c));
    TRY_OUT(safetensors_need(f, "losses", SAFETENSORS_F32, c->steps, c->losses));
    for (int i = 0; i < KEPT; i++) {
        TRY_OUT(safetensors_need(f, kept[i].name, SAFETENSORS_F32, floats, data));
        TRY_OUT(bank_arena_write(bank, kept[i].arena, data));
    }
out:
    mem_free(data);
    safetensors_close(f);
    return rc;
}

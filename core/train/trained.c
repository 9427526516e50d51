/* trained.c - a session's trained tensors in a file, and back. */
#include "session.h"

#include "error.h"
#include "memory.h"
#include "safetensors.h"
#include "session_private.h"

#include <string.h>

/* What training and plugins change. */
static int is_saved(const struct tensor *t)
{
    return t->kind == LEAF_TRAINABLE || t->kept;
}

static size_t saved_count(const struct session *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += (size_t)is_saved(&s->tensors[i]);
    return n;
}

static int read_item(struct session *s, size_t tensor, struct arena *arena, struct safetensors_item *item)
{
    const struct tensor *t = &s->tensors[tensor];
    float *data = arena_alloc(arena, (size_t)shape_count(t->shape), sizeof *data);
    if (!data)
        return ERR_MEMORY;
    *item = (struct safetensors_item){
        .name = t->name, .type = SAFETENSORS_F32, .rank = t->shape.rank, .data = data};
    for (int i = 0; i < t->shape.rank; i++)
        item->dim[i] = t->shape.dim[i];
    return bank_read(s->bank, tensor, data);
}

int session_save(struct session *s, const char *path, const char *const *notes)
{
    enum { NOTES_MAX = 32 };
    struct safetensors_note lines[NOTES_MAX];
    struct arena arena = {0};
    size_t note_count = 0, n = 0;
    int rc = ERR_MEMORY;
    for (; notes && notes[0] && note_count < NOTES_MAX; notes += 2)
        lines[note_count++] = (struct safetensors_note){notes[0], notes[1]};
    struct safetensors_item *items = arena_alloc(&arena, saved_count(s), sizeof *items);
    if (!items)
        goto out;
    for (size_t i = 0; i < s->count; i++)
        if (is_saved(&s->tensors[i]))
            TRY_OUT(read_item(s, i, &arena, &items[n++]));
    rc = safetensors_write(path, items, n, lines, note_count);
out:
    arena_finish(&arena);
    return rc;
}

/* The tensor that an entry of a file stands for, of its shape; or a refusal. */
static int match(const struct session *s, const char *path, const struct safetensors_entry *e, size_t *out)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct tensor *t = &s->tensors[i];
        if (!is_saved(t) || strcmp(t->name, e->name))
            continue;
        int same = e->rank == (size_t)t->shape.rank;
        for (size_t k = 0; same && k < e->rank; k++)
            same = e->dim[k] == t->shape.dim[k];
        char found[SAFETENSORS_TEXT], wanted[SHAPE_TEXT];
        if (!same)
            return fail(ERR_INPUT, "%s: %s has the shape %s, this method on this model wants %s", path,
                        e->name, safetensors_shape_text(e, found), shape_text(t->shape, wanted));
        *out = i;
        return 0;
    }
    return fail(ERR_INPUT, "%s: %s is not trained by this method on this model", path, e->name);
}

int session_load(struct session *s, const char *path)
{
    struct safetensors *f = NULL;
    float *data = NULL;
    int rc = safetensors_open(&f, path);
    if (rc < 0)
        return rc;
    if (safetensors_count(f) < saved_count(s)) /* names are unique: then one is missing */
        for (size_t i = 0; i < s->count; i++)
            if (is_saved(&s->tensors[i]) && !safetensors_find(f, s->tensors[i].name)) {
                rc = fail(ERR_INPUT, "%s: %s is missing; this method on this model needs it", path,
                          s->tensors[i].name);
                goto out;
            }
    for (size_t i = 0; i < safetensors_count(f); i++) {
        const struct safetensors_entry *e = safetensors_at(f, i);
        size_t tensor = 0;
        TRY_OUT(match(s, path, e, &tensor));
        float *grown = mem_grow(data, 0, e->count ? e->count : 1, sizeof *grown);
        if (!grown) {
            rc = ERR_MEMORY;
            goto out;
        }
        data = grown;
        TRY_OUT(safetensors_read(f, e, SAFETENSORS_F32, data));
        TRY_OUT(bank_write(s->bank, tensor, data));
    }
    s->prepared = 1;
out:
    mem_free(data);
    safetensors_close(f);
    return rc;
}

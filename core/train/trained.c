/* trained.c - see trained.h, and session.h for a session's. */
#include "trained.h"

#include "error.h"
#include "memory.h"
#include "safetensors.h"
#include "session.h"
#include "session_private.h"

#include <string.h>

enum { FIXED = 1, CHANGES = 2 };

/* What training and plugins change; what plugins declare and leave. Other tensors are the backbone's. */
static int kind_of(const struct tensor *t)
{
    return t->kind == LEAF_TRAINABLE || t->kept ? CHANGES : t->owner >= 0 ? FIXED : 0;
}

/* --- out */

static int read_item(const struct trained_place *from, const struct tensor *t, size_t tensor,
                     struct arena *arena, struct safetensors_item *item)
{
    float *data = arena_alloc(arena, (size_t)shape_count(t->shape), sizeof *data);
    if (!data)
        return ERR_MEMORY;
    *item = (struct safetensors_item){
        .name = t->name, .type = SAFETENSORS_F32, .rank = t->shape.rank, .data = data};
    for (int i = 0; i < t->shape.rank; i++)
        item->dim[i] = t->shape.dim[i];
    return from->read(from->context, tensor, data);
}

int trained_save(const struct tensor *tensors, size_t count, const struct trained_place *from, int fixed,
                 const char *path, const char *const *notes)
{
    enum { NOTES_MAX = 32 };
    struct safetensors_note lines[NOTES_MAX];
    struct arena arena = {0};
    size_t note_count = 0, n = 0;
    int rc = ERR_MEMORY;
    for (; notes && notes[0] && note_count < NOTES_MAX; notes += 2)
        lines[note_count++] = (struct safetensors_note){notes[0], notes[1]};
    struct safetensors_item *items = arena_alloc(&arena, count, sizeof *items);
    if (!items)
        goto out;
    for (size_t i = 0; i < count; i++)
        if (kind_of(&tensors[i]) >= (fixed ? FIXED : CHANGES))
            TRY_OUT(read_item(from, &tensors[i], i, &arena, &items[n++]));
    rc = safetensors_write(path, items, n, lines, note_count);
out:
    arena_finish(&arena);
    return rc;
}

/* --- in */

/* The tensor that an entry of a file stands for, of its shape; or a refusal. */
static int match(const struct tensor *tensors, size_t count, const char *path,
                 const struct safetensors_entry *e, size_t *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct tensor *t = &tensors[i];
        if (!kind_of(t) || strcmp(t->name, e->name))
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

static int find_missing(const struct tensor *tensors, size_t count, const struct safetensors *f,
                        const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (kind_of(&tensors[i]) == CHANGES && !safetensors_find(f, tensors[i].name))
            return fail(ERR_INPUT, "%s: %s is missing; this method on this model needs it", path,
                        tensors[i].name);
    return 0;
}

int trained_load(const struct tensor *tensors, size_t count, const struct trained_place *to, const char *path)
{
    struct safetensors *f = NULL;
    float *data = NULL;
    int rc = safetensors_open(&f, path);
    if (rc < 0)
        return rc;
    TRY_OUT(find_missing(tensors, count, f, path));
    for (size_t i = 0; i < safetensors_count(f); i++) {
        const struct safetensors_entry *e = safetensors_at(f, i);
        size_t tensor = 0;
        TRY_OUT(match(tensors, count, path, e, &tensor));
        float *grown = mem_grow(data, 0, e->count ? e->count : 1, sizeof *grown);
        if (!grown) {
            rc = ERR_MEMORY;
            goto out;
        }
        data = grown;
        TRY_OUT(safetensors_read(f, e, SAFETENSORS_F32, data));
        TRY_OUT(to->write(to->context, tensor, data));
    }
out:
    mem_free(data);
    safetensors_close(f);
    return rc;
}

/* --- a session's */

static int read_session(void *context, size_t tensor, float *out)
{
    return session_tensor(context, tensor, out);
}

static int write_session(void *context, size_t tensor, const float *data)
{
    return session_set_tensor(context, tensor, data);
}

int session_save(struct session *s, const char *path, const char *const *notes)
{
    const struct trained_place place = {s, read_session, write_session};
    return trained_save(s->tensors, s->count, &place, 0, path, notes);
}

int session_load(struct session *s, const char *path)
{
    const struct trained_place place = {s, read_session, write_session};
    TRY(trained_load(s->tensors, s->count, &place, path));
    s->prepared = 1;
    return 0;
}

/* --- in memory */

static int read_value(void *context, size_t tensor, float *out)
{
    const struct trained_values *v = context;
    memcpy(out, v->values[tensor], (size_t)shape_count(v->tensors[tensor].shape) * sizeof *out);
    return 0;
}

static int write_value(void *context, size_t tensor, const float *data)
{
    const struct trained_values *v = context;
    memcpy(v->values[tensor], data, (size_t)shape_count(v->tensors[tensor].shape) * sizeof *data);
    return 0;
}

struct trained_place trained_values_place(struct trained_values *v)
{
    return (struct trained_place){v, read_value, write_value};
}

int trained_values_create(struct trained_values *out, const struct method *m, uint64_t seed)
{
    int rc = 0;
    *out = (struct trained_values){0};
    out->tensors = method_tensors(m, &out->count);
    out->values = mem_alloc(out->count + 1, sizeof *out->values);
    if (!out->values)
        return ERR_MEMORY;
    for (size_t i = 0; i < out->count && rc == 0; i++) {
        out->values[i] = mem_alloc((size_t)shape_count(out->tensors[i].shape), sizeof(float));
        rc = out->values[i] ? method_initial(m, i, seed, out->values[i]) : ERR_MEMORY;
    }
    if (rc < 0)
        trained_values_destroy(out);
    return rc;
}

void trained_values_destroy(struct trained_values *v)
{
    for (size_t i = 0; v->values && i < v->count; i++)
        mem_free(v->values[i]);
    mem_free(v->values);
    *v = (struct trained_values){0};
}

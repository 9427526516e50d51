/* study_file.c - a resolved study as JSON, and back: the recipe, and beside it what was found on this machine. */
#include "study.h"

#include "error.h"
#include "file.h"
#include "space.h"
#include "study_private.h"

#include <string.h>

static const char schema[] = "vitro.study/1";
static const char *const splits[3] = {"train", "val", "test"};
static const char *const axis_kinds[] = {"list", "uniform", "log_uniform"};

/* --- writing */

static int put_backbone(struct json *j, const struct study_backbone *b)
{
    TRY(json_set_string(j, "sha256", b->sha256));
    TRY(json_set_string(j, "model", b->model));
    if (b->head)
        TRY(json_set_string(j, "head", b->head));
    return json_set_integer(j, "heads", b->heads);
}

static int put_pack(struct json *j, const struct study_pack *p)
{
    struct json *fingerprints = json_object(), *counts = json_object();
    int rc = 0;
    for (int k = 0; k < 3 && rc == 0; k++) {
        rc = json_set_string(fingerprints, splits[k], p->split[k]);
        if (rc == 0)
            rc = json_set_integer(counts, splits[k], p->count[k]);
    }
    if (rc < 0) {
        json_destroy(fingerprints);
        json_destroy(counts);
        return rc;
    }
    rc = json_take(j, "fingerprints", fingerprints);
    TRY(json_take(j, "counts", counts));
    TRY(rc);
    TRY(json_set_string(j, "file", p->file));
    TRY(json_set_string(j, "task", p->task));
    TRY(json_set_string(j, "group", p->group));
    TRY(json_set_string(j, "normalise", p->normalise));
    TRY(json_set_string(j, "fingerprint", p->fingerprint));
    TRY(json_set_integer(j, "classes", p->classes));
    return json_set_integer(j, "size", p->size);
}

static int put_axis(struct json *j, const struct study_axis *a)
{
    TRY(json_set_string(j, "name", a->name));
    TRY(json_set_integer(j, "part", a->part));
    TRY(json_set_string(j, "kind", axis_kinds[a->kind]));
    TRY(json_set_number(j, "low", a->low));
    TRY(json_set_number(j, "high", a->high));
    struct json *values = json_array();
    TRY(json_take(j, "values", values));
    for (uint32_t i = 0; i < a->count; i++)
        TRY(json_append_string(values, a->values[i]));
    return 0;
}

static int put_part(struct json *j, const struct study_part *p)
{
    TRY(json_set_string(j, "plugin", p->plugin));
    TRY(json_set_string(j, "path", p->path));
    TRY(json_set_string(j, "sha256", p->sha256));
    struct json *options = json_object();
    TRY(json_take(j, "options", options));
    for (uint32_t i = 0; i < p->count; i++)
        TRY(json_set_string(options, p->options[i].name, p->options[i].value));
    return 0;
}

static struct json *append_object(struct json *array)
{
    struct json *object = json_object();
    return json_append_take(array, object) < 0 ? NULL : object;
}

static int put_points(struct json *list, const struct study_method *m)
{
    for (uint32_t k = 0; k < m->point_count; k++) {
        struct json *point = json_array();
        TRY(json_append_take(list, point));
        for (uint32_t i = 0; i < m->axis_count; i++)
            TRY(json_append_string(point, m->points[(size_t)k * m->axis_count + i]));
    }
    return 0;
}

static int put_method(struct json *j, const struct study_method *m)
{
    struct json *parts = json_array(), *axes = json_array();
    int rc = json_take(j, "parts", parts);
    TRY(json_take(j, "axes", axes));
    TRY(rc);
    for (uint32_t i = 0; i < m->part_count; i++)
        TRY(put_part(append_object(parts), &m->parts[i]));
    for (uint32_t i = 0; i < m->axis_count; i++)
        TRY(put_axis(append_object(axes), &m->axes[i]));
    TRY(json_set_string(j, "plain", m->plain));
    struct json *points = json_array();
    TRY(json_take(j, "points", points));
    return put_points(points, m);
}

static int put_study(struct json *j, const struct study *s)
{
    struct json *list;
    TRY(json_set_string(j, "schema", schema));
    TRY(json_set_string(j, "hash", s->hash));
    TRY(json_take(j, "recipe", json_copy(s->document)));
    TRY(json_take(j, "backbones", list = json_array()));
    for (uint32_t i = 0; i < s->backbone_count; i++)
        TRY(put_backbone(append_object(list), &s->backbones[i]));
    TRY(json_take(j, "packs", list = json_array()));
    for (uint32_t i = 0; i < s->pack_count; i++)
        TRY(put_pack(append_object(list), &s->packs[i]));
    TRY(json_take(j, "methods", list = json_array()));
    for (uint32_t i = 0; i < s->method_count; i++)
        TRY(put_method(append_object(list), &s->methods[i]));
    return 0;
}

int study_save(const struct study *s, const char *path)
{
    struct json *j = json_object();
    int rc = put_study(j, s);
    if (rc == 0)
        rc = json_write_file(j, path);
    json_destroy(j);
    return rc;
}

/* --- reading */

static int damaged(const char *what)
{
    return fail(ERR_INPUT, "its %s cannot be read; run the study again from its recipe", what);
}

static int take_text(struct study *s, const struct json *j, const char *key, const char **out)
{
    const char *text = json_string(json_get(j, key));
    if (!text)
        return damaged(key);
    *out = arena_string(&s->arena, text);
    return *out ? 0 : ERR_MEMORY;
}

static int take_whole(const struct json *j, const char *key, int32_t *out)
{
    int64_t whole;
    if (json_integer(json_get(j, key), &whole) < 0 || whole < INT32_MIN || whole > INT32_MAX)
        return damaged(key);
    *out = (int32_t)whole;
    return 0;
}

static int take_backbone(struct study *s, const struct json *j, struct study_backbone *b)
{
    TRY(take_text(s, j, "sha256", &b->sha256));
    if (json_get(j, "model")) /* studies of older programs lack it, and are worked on where they were begun */
        TRY(take_text(s, j, "model", &b->model));
    if (json_get(j, "head"))
        TRY(take_text(s, j, "head", &b->head));
    return take_whole(j, "heads", &b->heads);
}

static int take_pack(struct study *s, const struct json *j, struct study_pack *p)
{
    for (int k = 0; k < 3; k++) {
        int32_t count = 0;
        TRY(take_text(s, json_get(j, "fingerprints"), splits[k], &p->split[k]));
        TRY(take_whole(json_get(j, "counts"), splits[k], &count));
        if (count < 0)
            return damaged("counts");
        p->count[k] = (uint32_t)count;
    }
    TRY(take_text(s, j, "file", &p->file));
    TRY(take_text(s, j, "task", &p->task));
    TRY(take_text(s, j, "group", &p->group));
    TRY(take_text(s, j, "normalise", &p->normalise));
    TRY(take_text(s, j, "fingerprint", &p->fingerprint));
    TRY(take_whole(j, "classes", &p->classes));
    return take_whole(j, "size", &p->size);
}

static int take_axis(struct study *s, const struct json *j, struct study_axis *a)
{
    const char *kind = "";
    TRY(take_text(s, j, "name", &a->name));
    TRY(take_text(s, j, "kind", &kind));
    TRY(take_whole(j, "part", &a->part));
    int at = 0;
    while (at < 3 && strcmp(kind, axis_kinds[at]) != 0)
        at++;
    if (at == 3)
        return damaged("kind");
    a->kind = (enum axis_kind)at;
    if (json_number(json_get(j, "low"), &a->low) < 0 || json_number(json_get(j, "high"), &a->high) < 0)
        return damaged("range");
    const struct json *values = json_get(j, "values"), *item = json_first(values);
    a->values = arena_alloc(&s->arena, json_count(values) + 1, sizeof *a->values);
    if (!a->values)
        return ERR_MEMORY;
    for (; item; item = json_next(item)) {
        if (!json_string(item) || !(a->values[a->count++] = arena_string(&s->arena, json_string(item))))
            return damaged("values");
    }
    return a->kind == AXIS_LIST && !a->count ? damaged("values") : 0;
}

static int take_part(struct study *s, const struct json *j, struct study_part *p)
{
    const struct json *options = json_get(j, "options");
    TRY(take_text(s, j, "plugin", &p->plugin));
    TRY(take_text(s, j, "path", &p->path));
    TRY(take_text(s, j, "sha256", &p->sha256));
    p->options = arena_alloc(&s->arena, json_count(options) + 1, sizeof *p->options);
    if (!p->options)
        return ERR_MEMORY;
    for (const struct json *item = json_first(options); item; item = json_next(item), p->count++) {
        p->options[p->count].name = arena_string(&s->arena, json_key(item));
        TRY(take_text(s, options, json_key(item), &p->options[p->count].value));
    }
    return 0;
}

/* The array `key` of `count` items, or of any number when *count is 0, each read by `take` into `items`. */
#define TAKE_LIST(s, j, key, items, count, take)                                 \
    do {                                                                         \
        const struct json *list_ = json_get(j, key), *item_ = json_first(list_); \
        if (!json_is_array(list_) || json_count(list_) != (count))               \
            return damaged(key);                                                 \
        for (uint32_t i_ = 0; i_ < (count); i_++, item_ = json_next(item_))      \
            TRY(take(s, item_, &(items)[i_]));                                   \
    } while (0)

static int take_points(struct study *s, const struct json *list, struct study_method *m)
{
    const size_t count = json_count(list);
    size_t used = 0;
    m->points = arena_alloc(&s->arena, count * m->axis_count + 1, sizeof *m->points);
    if (!m->points)
        return ERR_MEMORY;
    for (const struct json *point = json_first(list); point; point = json_next(point)) {
        if (!json_is_array(point) || json_count(point) != m->axis_count)
            return damaged("points");
        for (const struct json *value = json_first(point); value; value = json_next(value))
            if (!json_string(value) || !(m->points[used++] = arena_string(&s->arena, json_string(value))))
                return damaged("points");
    }
    m->point_count = (uint32_t)count;
    return count ? 0 : damaged("points");
}

static int take_method(struct study *s, const struct json *j, struct study_method *m)
{
    TRY(take_text(s, j, "plain", &m->plain));
    m->part_count = (uint32_t)json_count(json_get(j, "parts"));
    m->axis_count = (uint32_t)json_count(json_get(j, "axes"));
    if (m->axis_count > AXIS_LIMIT) /* a point has no room for more */
        return damaged("axes");
    m->parts = arena_alloc(&s->arena, m->part_count + 1, sizeof *m->parts);
    m->axes = arena_alloc(&s->arena, m->axis_count + 1, sizeof *m->axes);
    if (!m->parts || !m->axes)
        return ERR_MEMORY;
    TAKE_LIST(s, j, "parts", m->parts, m->part_count, take_part);
    TAKE_LIST(s, j, "axes", m->axes, m->axis_count, take_axis);
    return take_points(s, json_get(j, "points"), m);
}

static int take_study(struct study *s, const struct json *j)
{
    const char *hash = json_string(json_get(j, "hash"));
    if (!hash || strcmp(hash, s->hash) != 0)
        return fail(ERR_INPUT,
                    "its recipe does not match its hash: it was edited; run the study again from a recipe");
    TAKE_LIST(s, j, "backbones", s->backbones, s->backbone_count, take_backbone);
    TAKE_LIST(s, j, "packs", s->packs, s->pack_count, take_pack);
    TAKE_LIST(s, j, "methods", s->methods, s->method_count, take_method);
    s->resolved = 1;
    return 0;
}
#undef TAKE_LIST

int study_load(struct study **out, const char *path)
{
    struct json *j = NULL;
    *out = NULL;
    TRY(json_read_file(&j, path));
    const char *name = json_string(json_get(j, "schema"));
    int rc = name && strcmp(name, schema) == 0 ? study_parse(out, json_get(j, "recipe"), path)
                                               : fail(ERR_INPUT, "%s is no resolved study", path);
    if (rc == 0) {
        rc = take_study(*out, j);
        if (rc < 0)
            fail_in(rc, "%s", path);
    }
    json_destroy(j);
    if (rc < 0) {
        study_destroy(*out);
        *out = NULL;
    }
    return rc;
}

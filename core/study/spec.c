/* spec.c - a trial as JSON, from which its id comes: everything that decides its bits, nothing about where it runs. */
#include "spec.h"

#include "activation.h"
#include "error.h"
#include "memory.h"
#include "recipe_json.h"

#include <string.h>

static struct json *backbone_spec(const struct study_backbone *b, const struct study_pack *p)
{
    struct json *j = json_object();
    int rc = json_set_string(j, "name", b->name);
    if (rc == 0)
        rc = json_set_string(j, "sha256", b->sha256);
    if (rc == 0)
        rc = json_set_integer(j, "image", p->size);
    if (rc == 0)
        rc = json_set_integer(j, "heads", b->heads);
    if (rc == 0 && b->act) /* only then: a result of before keeps its id */
        rc = json_set_string(j, "act", vit_activations[b->act]);
    if (rc == 0)
        return j;
    json_destroy(j);
    return NULL;
}

static int fill_pack(struct json *j, const struct study_pack *p, enum stage stage)
{
    TRY(json_set_string(j, "name", p->name));
    TRY(json_set_string(j, "task", p->task));
    TRY(json_set_string(j, "train", p->split[0]));
    TRY(json_set_string(j, "val", p->split[1]));
    TRY(json_set_string(j, "normalise", p->normalise));
    TRY(json_set_integer(j, "classes", p->classes));
    return stage == STAGE_FINAL ? json_set_string(j, "test", p->split[2]) : 0;
}

static int fill(struct json *j, const struct spec_of *o)
{
    const struct study *s = o->study;
    const struct study_method *m = &s->methods[o->method];
    const struct study_pack *p = &s->packs[o->pack];
    struct recipe training = s->training;
    char text[4096];
    TRY(space_training(m, o->point, &training));
    training.seed = o->seed;
    if (o->epochs) {
        training.warmup = (int32_t)((double)training.warmup * o->epochs / training.epochs);
        training.epochs = o->epochs;
    }
    if (space_method(m, o->point, text, sizeof text) >= sizeof text)
        return fail(ERR_INPUT, "the method %s is longer than %zu letters with its options", m->name,
                    sizeof text);
    TRY(json_set_string(j, "schema", "vitro.trial/1"));
    TRY(json_set_string(j, "stage", stage_names[o->stage]));
    TRY(json_take(j, "backbone", backbone_spec(&s->backbones[o->backbone], p)));
    struct json *pack = json_object();
    TRY(json_take(j, "pack", pack));
    TRY(fill_pack(pack, p, o->stage));
    TRY(json_set_string(j, "name", m->name));
    TRY(json_set_string(j, "method", text));
    struct json *plugins = json_object();
    TRY(json_take(j, "plugins", plugins));
    for (uint32_t i = 0; i < m->part_count; i++)
        TRY(json_set_string(plugins, m->parts[i].plugin, m->parts[i].sha256));
    TRY(json_set_string(j, "split", o->stage == STAGE_TUNE || !s->refit_trainval ? "train" : "trainval"));
    TRY(json_take(j, "training", recipe_json(&training)));
    return o->refit ? json_set_string(j, "refit", o->refit) : 0;
}

int spec_build(struct json **out, const struct spec_of *o)
{
    *out = json_object();
    if (!*out)
        return ERR_MEMORY;
    int rc = fill(*out, o);
    if (rc < 0) {
        json_destroy(*out);
        *out = NULL;
    }
    return rc;
}

static int is_same(const struct json *a, const struct json *b, const char *key)
{
    const struct json *x = json_get(a, key), *y = json_get(b, key);
    if (!x || !y)
        return !x && !y;
    char *one = json_canonical(x), *other = json_canonical(y);
    const int same = one && other && strcmp(one, other) == 0;
    mem_free(one);
    mem_free(other);
    return same;
}

int spec_can_share(const struct json *a, const struct json *b)
{
    static const char *const trial[] = {"stage", "backbone", "pack", "split"}, *const training[] = {
                                                                                   "epochs", "batch",
                                                                                   "drop_last", "precision"};
    const struct json *of_a = json_get(a, "training"), *of_b = json_get(b, "training");
    int same = json_get(a, "refit") == NULL; /* finals are judged, not trained */
    for (size_t i = 0; i < sizeof trial / sizeof *trial && same; i++)
        same = is_same(a, b, trial[i]);
    for (size_t i = 0; i < sizeof training / sizeof *training && same; i++)
        same = is_same(of_a, of_b, training[i]);
    return same;
}

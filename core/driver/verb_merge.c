/* verb_merge.c - `vitro merge`: a trained method folded into the backbone's weights, measured before it is written. */
#include "driver.h"
#include "machine.h"
#include "memory.h"
#include "progress.h"
#include "ref.h"
#include "table.h"
#include "trial.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tape.h"

static const struct column card[] = {{"method", "method", FORM_TEXT},
                                     {"file", "written to", FORM_TEXT},
                                     {"tensors", "tensors", FORM_WHOLE},
                                     {"changed", "of these changed", FORM_WHOLE},
                                     {"images", "measured on images", FORM_WHOLE},
                                     {"largest_logit", "largest logit", FORM_BRIEF},
                                     {"largest_change", "largest change of a logit", FORM_ERROR},
                                     {"flipped", "labels flipped", FORM_WHOLE},
                                     {0}};

struct change { /* of logits, by merging */
    uint32_t images, flipped;
    double largest, logit; /* difference; of the logits themselves */
};

static int open_trained(struct trial *t, struct machine *machine, const struct settings *s,
                        const struct method_file *f, struct pack **pack)
{
    TRY(trial_method(t, machine, s, f->method));
    TRY(trial_pack(pack, s));
    const struct pack_info *info = pack_info(*pack);
    t->pack = *pack;
    TRY(pack_seal(*pack)); /* merging looks at no test image */
    TRY(method_file_check_data(f, s, info));
    TRY(trial_model(t, s, info->size, info->class_count));
    TRY(method_file_check_model(f, s, t->vit));
    TRY(trial_session(t, s, info->mean, info->deviation));
    return session_load(t->session, s->load);
}

/* --- the weights, in double through the reference */

/* A leaf takes its tensor's present contents. */
static int fill_leaf(struct trial *t, const struct tensor *tensor, size_t id, double *x)
{
    const int64_t count = shape_count(tensor->shape);
    float *numbers = mem_alloc((size_t)count, sizeof *numbers);
    int rc = numbers ? session_tensor(t->session, id, numbers) : ERR_MEMORY;
    for (int64_t i = 0; i < count && rc == 0; i++)
        x[i] = (double)numbers[i];
    mem_free(numbers);
    return rc;
}

static int fill_leaves(struct trial *t, const struct tape *tape, struct ref *r)
{
    size_t count;
    const struct tensor *tensors = method_tensors(t->method, &count);
    for (value v = 1; tape_node(tape, v); v++) {
        const struct node *n = tape_node(tape, v);
        double *x = n->op == OP_LEAF ? ref_leaf(r, v) : NULL;
        if (x && n->attr.leaf.id < count)
            TRY(fill_leaf(t, &tensors[n->attr.leaf.id], n->attr.leaf.id, x));
    }
    return 0;
}

static int compute(struct trial *t, const struct tape *tape, const value *merged, struct vit *out)
{
    struct ref *r = NULL;
    TRY(ref_create(&r, tape, merged, out->count));
    int rc = fill_leaves(t, tape, r);
    if (rc == 0)
        rc = ref_run(r);
    for (size_t i = 0; i < out->count && rc == 0; i++)
        for (int64_t k = 0; k < shape_count(out->tensors[i].shape); k++)
            out->tensors[i].data[k] = (float)ref_value(r, merged[i])[k];
    ref_destroy(r);
    return rc;
}

static int fold(struct trial *t, struct vit **out, int64_t *changed)
{
    struct tape *tape = tape_create();
    value *merged = mem_alloc(t->vit->count, sizeof *merged);
    int rc = tape && merged ? 0 : ERR_MEMORY;
    TRY_OUT(rc);
    TRY_OUT(vit_create(out, &t->vit->shape));
    TRY_OUT(method_merge(t->method, tape, merged));
    TRY_OUT(compute(t, tape, merged, *out));
    *changed = 0;
    for (size_t i = 0; i < t->vit->count; i++)
        *changed += memcmp((*out)->tensors[i].data, t->vit->tensors[i].data,
                           (size_t)shape_count(t->vit->tensors[i].shape) * sizeof(float)) != 0;
out:
    tape_destroy(tape);
    mem_free(merged);
    return rc;
}

/* --- the measure */

/* The first images of validation, then of training. */
static uint32_t images_of(const struct pack *pack, enum pack_split split, uint32_t limit, struct images *out)
{
    const struct pack_images p = pack_images(pack, split);
    *out = (struct images){.rgb = p.rgb, .labels = p.labels, .count = p.count < limit ? p.count : limit};
    return out->count;
}

static int logits_of(struct session *session, const struct pack *pack, uint32_t limit, int32_t batch,
                     int32_t classes, float *logits)
{
    static const enum pack_split splits[] = {PACK_VAL, PACK_TRAIN};
    for (size_t i = 0; i < 2; i++) {
        struct images images;
        const uint32_t count = images_of(pack, splits[i], limit, &images);
        if (count)
            TRY(session_logits(session, &images, (uint32_t)batch, logits, NULL));
        logits += (size_t)count * (size_t)classes;
        limit -= count;
    }
    return 0;
}

static void compare(const float *before, const float *after, int32_t classes, struct change *c)
{
    for (uint32_t i = 0; i < c->images; i++, before += classes, after += classes) {
        c->flipped += logits_likeliest(before, classes) != logits_likeliest(after, classes);
        for (int32_t k = 0; k < classes; k++) {
            c->largest = fmax(c->largest, fabs((double)after[k] - (double)before[k]));
            c->logit = fmax(c->logit, fabs((double)before[k]));
        }
    }
}

/* The hooked network's logits against those of the plain network with the merged weights, on the same device. */
static int measure(struct trial *t, const struct settings *s, struct vit *merged, struct change *c)
{
    const struct pack_info *info = pack_info(t->pack);
    const uint32_t all = pack_images(t->pack, PACK_VAL).count + pack_images(t->pack, PACK_TRAIN).count;
    const int32_t classes = merged->shape.classes;
    struct trial plain = {.vit = merged};
    *c = (struct change){.images = all < (uint32_t)s->images ? all : (uint32_t)s->images};
    float *before = mem_alloc((size_t)c->images * (size_t)classes + 1, sizeof *before);
    float *after = mem_alloc((size_t)c->images * (size_t)classes + 1, sizeof *after);
    int rc = before && after ? 0 : ERR_MEMORY;
    TRY_OUT(rc);
    TRY_OUT(logits_of(t->session, t->pack, c->images, s->recipe.batch, classes, before));
    TRY_OUT(trial_method(&plain, t->machine, s, "linear"));
    TRY_OUT(method_declare(plain.method, merged));
    TRY_OUT(trial_session(&plain, s, info->mean, info->deviation));
    TRY_OUT(logits_of(plain.session, t->pack, c->images, s->recipe.batch, classes, after));
    compare(before, after, classes, c);
out:
    plain.vit = NULL; /* the caller's */
    trial_finish(&plain);
    mem_free(before);
    mem_free(after);
    return rc;
}

static int describe(struct json *j, const struct trial *t, const struct settings *s, const struct change *c,
                    int64_t changed)
{
    TRY(json_set_string(j, "method", method_text(t->method)));
    TRY(json_set_string(j, "file", s->output));
    TRY(json_set_integer(j, "tensors", (int64_t)t->vit->count));
    TRY(json_set_integer(j, "changed", changed));
    TRY(json_set_integer(j, "images", c->images));
    TRY(json_set_number(j, "largest_logit", c->logit));
    TRY(json_set_number(j, "largest_change", c->largest));
    return json_set_integer(j, "flipped", c->flipped);
}

enum { NAMES_TIMM, NAMES_HF };
static const char *const names[] = {"timm", "hf", NULL};

static int save(const struct vit *merged, const struct settings *s, const struct pack_info *info)
{
    if (s->names == NAMES_TIMM)
        return vit_save(merged, s->output, 0);
    struct vit_save_hf about = {.classes = info->class_names};
    for (int i = 0; i < 3; i++) {
        about.mean[i] = info->mean[i];
        about.std[i] = info->deviation[i];
    }
    return vit_save_hf(merged, &about, s->output);
}

static int merge(const struct settings *s, const struct method_file *f)
{
    struct machine machine = {0};
    struct trial t = {0};
    struct pack *pack = NULL;
    struct vit *merged = NULL;
    struct change change;
    struct json *document = json_object();
    int64_t changed = 0;
    int rc;
    TRY_OUT(open_trained(&t, &machine, s, f, &pack));
    TRY_OUT(fold(&t, &merged, &changed));
    TRY_OUT(measure(&t, s, merged, &change));
    TRY_OUT(machine_check(&machine));
    if (!(change.largest <= (double)s->tolerance) || change.flipped)
        rc = fail(ERR_CHECK,
                  "merging would change a logit by %g (%g is allowed) and flip %u of %u labels; nothing was "
                  "written",
                  change.largest, (double)s->tolerance, change.flipped, change.images);
    TRY_OUT(rc);
    TRY_OUT(save(merged, s, pack_info(pack)));
    TRY_OUT(describe(document, &t, s, &change, changed));
    if (s->json)
        rc = json_print(document);
    else
        table_print_card(document, card);
out:
    vit_destroy(merged);
    trial_finish(&t);
    pack_close(pack);
    machine_close(&machine);
    json_destroy(document);
    return rc;
}

static int run(const struct settings *s)
{
    struct settings with = *s;
    struct method_file f = {0};
    stop_watch();
    if (!s->output)
        return fail(ERR_USAGE,
                    "merge needs --output FILE (of --names hf a folder): where the merged weights go");
    with.load = s->rest[0];
    TRY(method_file_open(&f, with.load));
    method_file_settings(&f, &with);
    if (!with.data)
        with.data = f.data;
    int rc = merge(&with, &f);
    method_file_close(&f);
    return rc;
}

static void preset(struct settings *s)
{
    s->images = 1000;
    s->tolerance = 1e-3f;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"output", 'o', ARGUMENT_TEXT, FIELD(output), 0, 0, NULL, "FILE",
     "the merged weights: a safetensors file; with --names hf a folder"},
    {"names", 0, ARGUMENT_CHOICE, FIELD(names), 0, 0, names, "NAME",
     "`timm`: a file that timm and Vitro read; `hf`: a folder for ViTForImageClassification.from_pretrained, "
     "with "
     "config.json and preprocessor_config.json"},
    {"images", 0, ARGUMENT_WHOLE, FIELD(images), 1, 1e6, NULL, "N",
     "images of validation, then of training, that the merge is measured on"},
    {"tolerance", 0, ARGUMENT_REAL, FIELD(tolerance), 0, 1e3, NULL, "X",
     "the largest change of a logit that is let pass; a flipped label never is"},
    {"other_data", 0, ARGUMENT_FLAG, FIELD(other_data), 0, 0, NULL, NULL,
     "measure on data other than what the method was trained on; the classes must be the same"},
    {"batch", 0, ARGUMENT_WHOLE, FIELD(recipe.batch), 1, 4096, NULL, "N", "images a step"},
    {0}};
static const struct argument_group group = {"Merging", rows};
static const struct argument_group *const groups[] = {
    &group, &group_data, &group_model, &group_machine, &group_plugins, &group_json, &group_general, NULL};
const struct verb verb_merge = {
    .name = "merge",
    .summary = "fold a trained method into full weights",
    .synopsis = "METHODFILE --output FILE",
    .about = "Folds a trained method into the backbone's weights and its head, so that the file is an "
             "ordinary ViT that "
             "needs no method. The merge measures itself first: the hooked network's logits against those of "
             "the merged "
             "weights, on real images; if one changes by more than --tolerance or a label flips, nothing is "
             "written. "
             "Methods that cannot be folded in (prompts, nonlinear adapters) are refused by name.",
    .examples = {"vitro merge lora.safetensors --output merged.safetensors",
                 "vitro merge ssf.safetensors --output merged.safetensors --images 2000 --tolerance 1e-4",
                 "vitro merge lora.safetensors --output merged-vit --names hf"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = 1,
    .rest_name = "METHODFILE",
    .preset = preset,
    .run = run,
};

/* check_sets.c - other options: nothing a user may set makes the plugin crash, and its formula for the
 * number of parameters holds for all of them. */
#include "sets.h"

#include "error.h"
#include "memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Declares and records it; 1: refused with a sentence, which is fine. */
static int try_set(struct subject *s, const char *options, const struct vit_shape *shape)
{
    char text[LAB_TEXT];
    struct lab l;
    note(s, "with [%.200s]", options);
    int rc = lab_declare(&l, s, lab_text(s, text, "", options, ""), shape);
    if (rc == 0)
        rc = lab_record(&l, &(struct lab_run){.training = 1});
    if (rc < 0 && !error_text()[0])
        rc = fail(ERR_PLUGIN, "[%s]: it refuses without a sentence", options);
    lab_close(&l);
    return rc == ERR_MEMORY ? rc : rc < 0;
}

enum lint_result check_sets(struct subject *s)
{
    char text[LAB_TEXT], refusal[200] = "";
    struct vit_shape shape;
    struct sets usual, extreme;
    int refused = 0;
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, sets_make(&usual, s, SETS_USUAL));
    MUST(s, sets_make(&extreme, s, SETS_EXTREME));
    for (size_t i = 0; i < usual.count; i++)
        MUST(s, try_set(s, usual.text[i], &shape));
    for (size_t i = 0; i < extreme.count; i++) {
        int rc = try_set(s, extreme.text[i], &shape);
        MUST(s, rc);
        if (rc && !refused++)
            snprintf(refusal, sizeof refusal, "; the first refusal: %.160s", error_text());
    }
    return verdict(s, LINT_PASS, "%zu sets from the seed, %d refused with a sentence%s",
                   usual.count + extreme.count, refused, refusal);
}

/* --- counts */

static const struct vit_shape count_shapes[] = {
    {.image = 24, .patch = 8, .dim = 96, .depth = 3, .heads = 3, .hidden = 160, .classes = 7, .eps = 1e-6f},
    {.image = 224,
     .patch = 16,
     .dim = 192,
     .depth = 12,
     .heads = 3,
     .hidden = 768,
     .classes = 10,
     .eps = 1e-6f},
    {.image = 224,
     .patch = 16,
     .dim = 768,
     .depth = 12,
     .heads = 12,
     .hidden = 3072,
     .classes = 100,
     .eps = 1e-6f},
    {.image = 24, /* as CLIP */
     .patch = 8,
     .dim = 96,
     .depth = 3,
     .heads = 3,
     .hidden = 160,
     .classes = 7,
     .eps = 1e-5f,
     .features = VIT_NORM_PRE | VIT_NO_PATCH_BIAS | VIT_QUICK_GELU,
     .projection = 64},
    {.image = 24, /* as DINOv2 with registers */
     .patch = 8,
     .dim = 96,
     .depth = 3,
     .heads = 3,
     .hidden = 160,
     .classes = 7,
     .eps = 1e-6f,
     .features = VIT_LAYER_SCALE | VIT_GRID_POSITIONS,
     .registers = 4},
};

struct tally {
    int compared, refused;
};

static enum lint_result count_one(struct subject *s, const char *options, const struct vit_shape *shape,
                                  struct tally *tally)
{
    char text[LAB_TEXT];
    struct lab l;
    struct method_part part;
    note(s, "in param_count, with [%.160s]", options);
    if (lab_declare(&l, s, lab_text(s, text, "", options, ""), shape) < 0) {
        tally->refused++;
        return LINT_PASS;
    }
    MUST(s, method_part(l.method, 0, &part));
    lab_close(&l);
    if (part.claimed < 0 && !part.plugin->info.param_count)
        return verdict(s, LINT_WARN,
                       "it has no param_count; the paper's formula there tells who reads the table "
                       "that the implementation is the paper's");
    tally->compared++;
    if (part.claimed == part.declared)
        return LINT_PASS;
    return verdict(s, LINT_FAIL,
                   "param_count says %" PRId64 ", declared are %" PRId64 ", with [%s] on a model %d wide, %d "
                   "deep, hidden %d",
                   part.claimed, part.declared, options, shape->dim, shape->depth, shape->hidden);
}

enum lint_result check_count(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct sets sets;
    struct tally tally = {0, 0};
    enum { SHAPES = sizeof count_shapes / sizeof *count_shapes };
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, sets_make(&sets, s, SETS_USUAL));
    for (size_t i = 0; i < sets.count; i++)
        for (int k = -1; k < SHAPES; k++) {
            enum lint_result r = count_one(s, sets.text[i], k < 0 ? &shape : &count_shapes[k], &tally);
            if (r != LINT_PASS)
                return r;
        }
    if (!tally.compared)
        return verdict(s, LINT_FAIL, "it refuses every model that was tried");
    return verdict(s, LINT_PASS, "equal for %zu option sets on %d models, %d pairs refused", sets.count,
                   SHAPES + 1, tally.refused);
}

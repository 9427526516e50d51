/* check_shapes.c - where it may stand: other batches, grids and depths, behind prompts of another method;
 * and what it does when an operation fails. */
#include "lab.h"

#include "error.h"

#include <stdio.h>
#include <string.h>

/* Grids of 1, 4, 9 and 25 patches: 2, 5, 10 and 26 tokens; one block, one head. */
static const struct geometry {
    int32_t grid, depth, heads, batch;
} geometries[] = {{1, 1, 1, 1}, {2, 2, 4, 1}, {3, 3, 2, 2}, {5, 1, 4, 1}};
enum { GEOMETRIES = sizeof geometries / sizeof *geometries };

static const char *const before[] = {"", "vpt[prompts=3]+", "vpt[prompts=2,mode=shallow]+", ""};
static const char *const behind[] = {"", "", "", "+vpt[prompts=3]"};
enum { PLACES = sizeof before / sizeof *before };

static int has_prompts(struct subject *s)
{
    const struct plugin_file *files;
    size_t count = 0;
    if (plugins_files(s->plugins, &files, &count) < 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(files[i].id, "vpt"))
            return 1;
    return 0;
}

/* Logits and gradients must be numbers. */
static enum lint_result compute(struct subject *s, const struct lab *l, const char *where)
{
    struct ref *r = NULL;
    MUST(s, lab_ref(&r, l, &l->loss, 1, LAB_TUNED, s->seed));
    MUST(s, ref_run(r));
    int finite = lab_finite(ref_value(r, l->loss), 1);
    ref_destroy(r);
    return finite ? LINT_PASS : verdict(s, LINT_FAIL, "%s the loss is infinite or no number", where);
}

static enum lint_result stand(struct subject *s, const struct vit_shape *like, const struct geometry *g,
                              int place)
{
    struct vit_shape shape = *like;
    char text[LAB_TEXT], where[160];
    struct lab l;
    enum lint_result r = LINT_PASS;
    shape.image = g->grid * shape.patch;
    shape.depth = g->depth;
    shape.heads = shape.dim % g->heads ? shape.heads : g->heads;
    snprintf(where, sizeof where, "%s%s%s, a grid of %d, depth %d, heads %d, batch %d:", before[place], "it",
             behind[place], g->grid, shape.depth, shape.heads, g->batch);
    note(s, "as %s", where);
    MUST(s, lab_open(&l, s, lab_text(s, text, before[place], s->options, behind[place]), &shape));
    for (int training = 0; training < 2 && r == LINT_PASS; training++) {
        if (lab_record(&l, &(struct lab_run){.batch = g->batch, .training = training}) < 0)
            r = verdict(s, LINT_FAIL, "%s %s", where, error_text());
        else if (training)
            r = compute(s, &l, where);
    }
    lab_close(&l);
    return r;
}

enum lint_result check_shapes(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    int places = has_prompts(s) ? PLACES : 1;
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    for (int place = 0; place < places; place++)
        for (int i = 0; i < GEOMETRIES; i++) {
            enum lint_result r = stand(s, &shape, &geometries[i], place);
            if (r != LINT_PASS)
                return r;
        }
    if (places == 1)
        return verdict(s, LINT_WARN, "%d shapes; not behind prompts, as the method vpt is not installed",
                       GEOMETRIES);
    return verdict(s, LINT_PASS, "%d shapes, alone and with prompts of vpt in front", GEOMETRIES);
}

/* --- faults */

enum lint_result check_faults(struct subject *s)
{
    enum { LIMIT = 200000 };
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct lab l;
    long k = 1;
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, lab_declare(&l, s, text, &shape));
    for (int rc = -1; rc < 0 && k < LIMIT; k++) {
        note(s, "when operation %ld had failed", k);
        rc = lab_record(&l, &(struct lab_run){.training = 1, .fail_after = k});
        if (rc < 0 && !strstr(error_text(), "told to fail here by a test"))
            return verdict(s, LINT_FAIL, "when operation %ld fails, that reason is lost and it says: %s", k,
                           error_text());
    }
    return verdict(s, LINT_PASS, "each of %ld operations failed in turn", k - 2);
}

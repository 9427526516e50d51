/* check_training.c - what the method does around training: where it starts from, and that the same seed gives
 * the same numbers. */
#include "school.h"

#include "error.h"
#include "memory.h"

#include <string.h>

enum { STEPS = 40 };

static int attend(struct subject *s, const char *text, const struct vit_shape *shape, struct lab *l,
                  struct school *c)
{
    TRY(lab_open(l, s, text, shape));
    TRY(school_open(c, l, s->seed));
    note(s, "in plan, scan or begin of its vitro.training/1");
    TRY(school_begin(c));
    note(s, "in step of its vitro.training/1");
    return school_steps(c, STEPS);
}

enum lint_result check_training(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct lab one, two;
    struct school a, b;
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, attend(s, text, &shape, &one, &a));
    if (!a.batches && !a.calls && !a.edited)
        return verdict(s, LINT_SKIP, "it does nothing around training");
    MUST(s, attend(s, text, &shape, &two, &b));
    for (size_t i = 0; i < one.tensor_count; i++) {
        const char *name = one.tensors[i].name;
        size_t count = (size_t)shape_count(one.tensors[i].shape);
        if (memcmp(a.data[i], b.data[i], count * sizeof **a.data) != 0)
            return verdict(s, LINT_FAIL, "two trainings from the same seed write different numbers into %s",
                           name);
    }
    return verdict(s, LINT_PASS, "%u batches scanned, %u of %d steps, %d tensors written; the same twice",
                   a.batches, a.calls, STEPS, a.edited);
}

enum lint_result check_start(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct lab l;
    struct school c;
    struct ref *r;
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, lab_open(&l, s, text, &shape));
    MUST(s, school_open(&c, &l, s->seed));
    MUST(s, school_begin(&c));
    MUST(s, lab_record(&l, &(struct lab_run){.training = 0}));
    const value roots[2] = {l.trace->logits, lab_plain(&l, NULL)};
    MUST(s, lab_ref(&r, &l, roots, 2, LAB_INITIAL, s->seed));
    MUST(s, lab_fill_from(&l, r, c.data, s->seed));
    MUST(s, ref_run(r));
    int64_t count = shape_count(tape_shape(l.tape, roots[0]));
    if (!lab_finite(ref_value(r, roots[0]), count))
        return verdict(s, LINT_FAIL, "the first logits hold infinities or are no numbers");
    double off = lab_distance(ref_value(r, roots[0]), ref_value(r, roots[1]), count);
    if (off == 0)
        return verdict(s, LINT_PASS, "training starts as the backbone, exactly");
    return verdict(s, LINT_PASS, "training starts %.2g away from the backbone's logits", off);
}

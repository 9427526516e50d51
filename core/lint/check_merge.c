/* check_merge.c - the method folded into the weights gives what its hooks give. */
#include "sets.h"

#include "error.h"
#include "memory.h"

/* The same sums in double, in another order. */
static const double SAME = 1e-10;

static int merged_values(struct lab *l, value **out)
{
    *out = mem_alloc(l->vit->count + 1, sizeof **out);
    return *out ? method_merge(l->method, l->tape, *out) : ERR_MEMORY;
}

/* Relative distance of merged from hooked logits. */
static int merge_distance(struct lab *l, uint64_t seed, double *off)
{
    struct ref *r = NULL;
    value *merged;
    TRY(lab_record(l, &(struct lab_run){.training = 0}));
    TRY(merged_values(l, &merged));
    value both[2] = {l->trace->logits, lab_plain(l, merged)};
    mem_free(merged);
    TRY(lab_ref(&r, l, both, 2, LAB_TUNED, seed));
    TRY(ref_run(r));
    *off = lab_distance(ref_value(r, both[1]), ref_value(r, both[0]), lab_logit_count(l));
    ref_destroy(r);
    return 0;
}

enum lint_result check_merge(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct sets sets;
    double worst = 0, off = 0;
    size_t compared = 0;
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, sets_make(&sets, s, SETS_USUAL));
    for (size_t i = 0; i < sets.count; i++) {
        struct lab l;
        struct method_part part;
        note(s, "with [%.200s]", sets.text[i]);
        if (lab_open(&l, s, lab_text(s, text, "", sets.text[i], ""), &shape) < 0)
            continue;
        MUST(s, method_part(l.method, 0, &part));
        if (part.mergeable) {
            MUST(s, merge_distance(&l, s->seed, &off));
            compared++;
        }
        if (part.mergeable && !(off <= SAME))
            return verdict(s, LINT_FAIL,
                           "the merged weights give logits that are off by %.2g, relative, from the "
                           "hooked network's, with [%s]",
                           off, sets.text[i]);
        worst = off > worst ? off : worst;
        lab_close(&l);
    }
    if (!compared)
        return verdict(s, LINT_SKIP,
                       "it hooks sites and has no merge, so it cannot be folded into the weights");
    return verdict(s, LINT_PASS, "off by at most %.1g over %zu option sets", worst, compared);
}

/* analysis_answers.c - test logits turned into answers, once, for every section that compares them. */
#include "analysis_private.h"

#include "error.h"

/* The largest of a row of logits; negative where one is not finite. */
static int32_t largest(const float *logits, int32_t classes)
{
    int32_t best = 0;
    for (int32_t k = 0; k < classes; k++) {
        if (!isfinite(logits[k]))
            return -1;
        if (logits[k] > logits[best])
            best = k;
    }
    return best;
}

double answers_accuracy(const float *logits, const int32_t *labels, uint32_t images, int32_t classes)
{
    uint32_t right = 0;
    for (uint32_t i = 0; i < images; i++)
        right += largest(logits + (size_t)i * (size_t)classes, classes) == labels[i];
    return images ? (double)right / images : NAN;
}

static int allocate(struct analysis *a, struct answers *s)
{
    size_t methods = a->panel->method_count, rows = methods * a->panel->seed_count;
    s->state = arena_alloc(&a->memory, rows, sizeof *s->state);
    s->reason = arena_alloc(&a->memory, rows, sizeof *s->reason);
    s->accuracy = arena_alloc(&a->memory, rows, sizeof *s->accuracy);
    s->label = arena_alloc(&a->memory, rows * s->images, sizeof *s->label);
    s->right = arena_alloc(&a->memory, rows * s->images, sizeof *s->right);
    s->confidence = arena_alloc(&a->memory, rows * s->images, sizeof *s->confidence);
    s->mean = arena_alloc(&a->memory, methods, sizeof *s->mean);
    s->complete = arena_alloc(&a->memory, methods, sizeof *s->complete);
    return s->state && s->reason && s->accuracy && s->label && s->right && s->confidence && s->mean &&
                   s->complete
               ? 0
               : ERR_MEMORY;
}

/* One run's answers into row `row`; how many are right, or -1 where its logits are not all finite. */
static int64_t read_run(struct answers *s, size_t row, const float *logits, const int32_t *labels)
{
    uint32_t right = 0;
    for (uint32_t i = 0; i < s->images; i++) {
        const float *z = logits + (size_t)i * (size_t)s->classes;
        size_t at = row * s->images + i;
        int32_t label = largest(z, s->classes);
        if (label < 0)
            return -1;
        double sum = 0;
        for (int32_t k = 0; k < s->classes; k++)
            sum += exp((double)z[k] - (double)z[label]);
        s->label[at] = label;
        s->confidence[at] = (float)(1 / sum);
        s->right[at] = label == labels[i];
        right += s->right[at];
    }
    s->accuracy[row] = (double)right / s->images;
    return right;
}

static void read_cell(struct analysis *a, struct answers *s, uint32_t method, uint32_t pack)
{
    const int32_t *labels = a->panel->packs[pack].test_labels;
    uint32_t seeds = a->panel->seed_count, done = 0;
    int64_t right = 0, of_run;
    for (uint32_t seed = 0; seed < seeds; seed++) {
        const struct panel_run *run = analysis_run(a, method, pack, seed);
        size_t row = answers_row(a, method, seed);
        s->state[row] = (unsigned char)run->state;
        s->reason[row] = run->state == PANEL_DONE ? NULL : run->reason;
        s->accuracy[row] = NAN;
        if (run->state != PANEL_DONE)
            continue;
        if (!run->logits || !labels || s->images == 0) {
            s->state[row] = PANEL_MISSING;
            s->reason[row] = labels ? "no test logits" : "the test split is sealed";
        } else if ((of_run = read_run(s, row, run->logits, labels)) < 0) {
            s->state[row] = PANEL_FAILED;
            s->reason[row] = "a test logit is not finite";
        } else {
            right += of_run;
            done++;
        }
    }
    s->complete[method] = seeds > 0 && done == seeds;
    s->completes += s->complete[method];
    s->mean[method] = s->complete[method] ? (double)right / ((double)seeds * s->images) : NAN;
}

static int check_labels(const struct panel_pack *pack, const int32_t *labels, uint32_t count,
                        const char *split)
{
    for (uint32_t i = 0; labels && i < count; i++)
        if (labels[i] < 0 || labels[i] >= pack->classes)
            return fail(ERR_INPUT, "%s: the label of image %u of %s is %d; it has %d classes", pack->name, i,
                        split, labels[i], pack->classes);
    return 0;
}

int answers_read(struct analysis *a)
{
    const struct panel *panel = a->panel;
    a->answers = arena_alloc(&a->memory, panel->pack_count, sizeof *a->answers);
    if (!a->answers)
        return ERR_MEMORY;
    for (uint32_t pack = 0; pack < panel->pack_count; pack++) {
        const struct panel_pack *p = &panel->packs[pack];
        struct answers *s = &a->answers[pack];
        TRY(check_labels(p, p->val_labels, p->val_images, "val"));
        TRY(check_labels(p, p->test_labels, p->test_images, "test"));
        s->images = p->test_images;
        s->classes = p->classes;
        TRY(allocate(a, s));
        for (uint32_t method = 0; method < panel->method_count; method++)
            read_cell(a, s, method, pack);
    }
    return 0;
}

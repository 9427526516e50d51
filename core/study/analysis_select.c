/* analysis_select.c - single, pair and greedy ensemble chosen on validation images (Caruana et al. 2004, "Ensemble
 * selection from libraries of models", without their repeated picks). The val logits are those of the chosen trial,
 * which was trained on train alone; test images have no say. */
#include "analysis_ensembles.h"

#include "error.h"

#include <string.h>

struct val {
    const int32_t *labels;
    uint32_t images;
    int32_t classes;
    float *probabilities; /* [candidate][image][class] */
};

struct score {
    uint32_t right;
    double nll;
};

static int better(struct score a, struct score b)
{
    return a.right > b.right || (a.right == b.right && a.nll < b.nll);
}

static const float *probabilities_of(const struct val *v, uint32_t candidate)
{
    return v->probabilities + (size_t)candidate * v->images * (size_t)v->classes;
}

/* Of the mean of `count` members' probabilities: those summed in `sum` (NULL: none) and one more. */
static struct score judge(const struct val *v, const float *sum, uint32_t candidate, uint32_t count)
{
    const float *one = probabilities_of(v, candidate);
    struct score score = {0, 0};
    for (uint32_t i = 0; i < v->images; i++) {
        size_t row = (size_t)i * (size_t)v->classes;
        int32_t best = 0;
        float top = -1, of_label = 0;
        for (int32_t k = 0; k < v->classes; k++) {
            float p = one[row + (size_t)k] + (sum ? sum[row + (size_t)k] : 0);
            if (p > top) {
                top = p;
                best = k;
            }
            of_label = k == v->labels[i] ? p : of_label;
        }
        score.right += best == v->labels[i];
        score.nll -= log(fmax((double)of_label / count, 1e-30));
    }
    return score;
}

static int gather(struct analysis *a, uint32_t pack, struct selection *out, struct val *v,
                  struct arena *scratch)
{
    const struct panel_pack *p = &a->panel->packs[pack];
    *v = (struct val){.labels = p->val_labels, .images = p->val_images, .classes = p->classes};
    size_t size = (size_t)v->images * (size_t)v->classes;
    double *row = arena_alloc(scratch, (size_t)v->classes, sizeof *row);
    out->method = arena_alloc(&a->memory, a->panel->method_count, sizeof *out->method);
    out->path = arena_alloc(&a->memory, a->panel->method_count, sizeof *out->path);
    if (!row || !out->method || !out->path)
        return ERR_MEMORY;
    for (uint32_t m = 0; m < a->panel->method_count; m++)
        if (v->labels && v->images && a->answers[pack].complete[m] && panel_at(a->panel, m, pack)->val_logits)
            out->method[out->candidates++] = m;
    v->probabilities = arena_alloc(scratch, out->candidates * size, sizeof *v->probabilities);
    if (!v->probabilities)
        return ERR_MEMORY;
    for (uint32_t c = 0; c < out->candidates; c++) {
        const float *logits = panel_at(a->panel, out->method[c], pack)->val_logits;
        for (size_t at = 0; at < size; at += (size_t)v->classes) {
            stats_softmax(logits + at, v->classes, 1, row);
            for (int32_t k = 0; k < v->classes; k++)
                v->probabilities[c * size + at + (size_t)k] = (float)row[k];
        }
    }
    return 0;
}

static int select_greedily(struct analysis *a, const struct val *v, struct selection *out,
                           struct arena *scratch)
{
    size_t size = (size_t)v->images * (size_t)v->classes;
    uint32_t most = a->options->ensemble_most < out->candidates ? a->options->ensemble_most : out->candidates;
    float *sum = arena_alloc(scratch, size, sizeof *sum);
    unsigned char *taken = arena_alloc(scratch, out->candidates, 1);
    struct score best_of_all = {0, INFINITY};
    if (!sum || !taken)
        return ERR_MEMORY;
    for (out->steps = 0; out->steps < most; out->steps++) {
        struct score best = {0, INFINITY};
        uint32_t pick = out->candidates;
        for (uint32_t c = 0; c < out->candidates; c++) {
            struct score score = taken[c] ? best : judge(v, sum, c, out->steps + 1);
            if (!taken[c] && (pick == out->candidates || better(score, best))) {
                best = score;
                pick = c;
            }
        }
        const float *joined = probabilities_of(v, pick);
        for (size_t i = 0; i < size; i++)
            sum[i] += joined[i];
        taken[pick] = 1;
        out->path[out->steps] = out->method[pick];
        if (out->steps == 0 || better(best, best_of_all)) {
            best_of_all = best;
            out->greedy = out->steps + 1;
        }
    }
    return 0;
}

static void select_pair(const struct val *v, struct selection *out)
{
    struct score best = {0, INFINITY};
    for (uint32_t x = 0; x < out->candidates; x++)
        for (uint32_t y = x + 1; y < out->candidates; y++) {
            struct score score = judge(v, probabilities_of(v, x), y, 2);
            if ((x == 0 && y == 1) || better(score, best)) {
                best = score;
                out->pair[0] = out->method[x];
                out->pair[1] = out->method[y];
            }
        }
}

static void select_single(const struct val *v, struct selection *out)
{
    struct score best = {0, INFINITY};
    for (uint32_t c = 0; c < out->candidates; c++) {
        struct score score = judge(v, NULL, c, 1);
        if (c == 0 || better(score, best)) {
            best = score;
            out->single = out->method[c];
        }
    }
}

int ensemble_select(struct analysis *a, uint32_t pack, struct selection *out)
{
    struct arena scratch = {0};
    struct val v;
    *out = (struct selection){0};
    int rc = gather(a, pack, out, &v, &scratch);
    if (rc == 0 && out->candidates) {
        select_single(&v, out);
        select_pair(&v, out);
        rc = select_greedily(a, &v, out, &scratch);
    }
    arena_finish(&scratch);
    return rc;
}

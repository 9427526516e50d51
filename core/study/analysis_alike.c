/* analysis_alike.c - two lists of answers to the same images, measured. */
#include "analysis_agreement.h"

#include "error.h"

#include <stdlib.h>

struct sure {
    float confidence;
    uint32_t image;
};
static int compare_sure(const void *left, const void *right)
{
    const struct sure *x = left, *y = right;
    if (x->confidence != y->confidence)
        return x->confidence > y->confidence ? -1 : 1;
    return x->image < y->image ? -1 : x->image > y->image;
}

static int mark_confident(const struct analysis *a, struct view *v, struct arena *scratch)
{
    uint32_t images = v->s->images;
    size_t rows = (size_t)a->panel->method_count * v->seeds;
    struct sure *order = arena_alloc(scratch, images, sizeof *order);
    v->confident = arena_alloc(scratch, rows * images, 1);
    if (!order || !v->confident)
        return ERR_MEMORY;
    for (size_t row = 0; row < rows; row++) {
        if (!v->s->complete[row / v->seeds])
            continue;
        for (uint32_t i = 0; i < images; i++)
            order[i] = (struct sure){v->s->confidence[row * images + i], i};
        qsort(order, images, sizeof *order, compare_sure);
        for (uint32_t i = 0; i < images / 2; i++)
            v->confident[row * images + order[i].image] = 1;
    }
    return 0;
}

static int order_by_class(struct view *v, struct arena *scratch)
{
    uint32_t at = 0;
    v->by_class = arena_alloc(scratch, v->s->images, sizeof *v->by_class);
    v->histogram = arena_alloc(scratch, (size_t)v->s->classes, sizeof *v->histogram);
    uint32_t *start = arena_alloc(scratch, (size_t)v->s->classes, sizeof *start);
    if (!v->by_class || !v->histogram || !start)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < v->s->images; i++)
        start[v->labels[i]]++;
    for (int32_t k = 0; k < v->s->classes; k++) {
        uint32_t count = start[k];
        start[k] = at;
        at += count;
    }
    for (uint32_t i = 0; i < v->s->images; i++)
        v->by_class[start[v->labels[i]]++] = i;
    return 0;
}

/* The rate of equal labels if, given the true class, the two answered independently: the mean over images of
 * sum_k q_x(k | class) q_y(k | class). The product of two estimated q would count each image against itself, and so
 * lean towards what was observed; answers to *different* images of a class do not. Classes of one image are left out. */
static double independent(const struct view *v, const int32_t *x, const int32_t *y)
{
    double sum = 0;
    uint32_t counted = 0;
    for (uint32_t from = 0, to; from < v->s->images; from = to) {
        int32_t class = v->labels[v->by_class[from]];
        uint64_t together = 0, itself = 0;
        for (to = from; to < v->s->images && v->labels[v->by_class[to]] == class; to++)
            v->histogram[x[v->by_class[to]]]++;
        for (uint32_t i = from; i < to; i++) {
            together += v->histogram[y[v->by_class[i]]];
            itself += x[v->by_class[i]] == y[v->by_class[i]];
        }
        for (uint32_t i = from; i < to; i++)
            v->histogram[x[v->by_class[i]]] = 0;
        if (to - from < 2)
            continue;
        sum += (double)(together - itself) / (to - from - 1);
        counted += to - from;
    }
    return counted ? sum / counted : NAN;
}

double view_same_label(const struct view *v, size_t x, size_t y)
{
    const int32_t *first = v->s->label + x * v->s->images, *second = v->s->label + y * v->s->images;
    uint32_t same = 0;
    for (uint32_t i = 0; i < v->s->images; i++)
        same += first[i] == second[i];
    return (double)same / v->s->images;
}

/* |x and y| / |x or y| of two sets of sizes `x` and `y`; null when both are empty */
static double jaccard(double x, double y, double both)
{
    return x + y - both > 0 ? both / (x + y - both) : NAN;
}

static void compare_confident(const struct view *v, size_t x, size_t y, double *out)
{
    size_t n = v->s->images;
    const unsigned char *right_x = v->s->right + x * n, *sure_x = v->confident + x * n;
    const unsigned char *right_y = v->s->right + y * n, *sure_y = v->confident + y * n;
    double count[2][3] = {{0}}; /* [wrong, right][x, y, both] */
    for (size_t i = 0; i < n; i++) {
        count[right_x[i]][0] += sure_x[i];
        count[right_y[i]][1] += sure_y[i];
        count[right_x[i]][2] += sure_x[i] && sure_y[i] && right_x[i] == right_y[i];
    }
    for (int right = 0; right < 2; right++) {
        double *c = count[right];
        out[right ? CONFIDENT_RIGHT : CONFIDENT_WRONG] = jaccard(c[0], c[1], c[2]);
        out[right ? CONFIDENT_RIGHT_CHANCE : CONFIDENT_WRONG_CHANCE] =
            jaccard(c[0], c[1], c[0] * c[1] / (double)n);
    }
}

void view_compare(const struct view *v, size_t x, size_t y, double *out)
{
    size_t n = v->s->images;
    const int32_t *label_x = v->s->label + x * n, *label_y = v->s->label + y * n;
    const unsigned char *right_x = v->s->right + x * n, *right_y = v->s->right + y * n;
    uint32_t wrong = 0, same_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        wrong += !right_x[i] && !right_y[i];
        same_wrong += !right_x[i] && label_x[i] == label_y[i];
    }
    uint32_t either = 0;
    for (size_t i = 0; i < n; i++)
        either += right_x[i] || right_y[i];
    out[SAME_LABEL] = view_same_label(v, x, y);
    out[INDEPENDENT] = independent(v, label_x, label_y);
    out[KAPPA] = stats_kappa(label_x, label_y, n, v->s->classes);
    out[ERROR_CONSISTENCY] = stats_error_consistency(right_x, right_y, n);
    out[SAME_WRONG] = wrong ? (double)same_wrong / wrong : NAN;
    out[ORACLE] = (double)either / (double)n;
    compare_confident(v, x, y, out);
}

int view_open(struct analysis *a, uint32_t pack, struct view *v, struct arena *scratch)
{
    *v = (struct view){
        .s = &a->answers[pack], .labels = a->panel->packs[pack].test_labels, .seeds = a->panel->seed_count};
    TRY(mark_confident(a, v, scratch));
    return order_by_class(v, scratch);
}

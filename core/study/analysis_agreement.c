/* analysis_agreement.c - how alike the answers of two methods are, beside the two controls without which a number
 * says nothing: the same method with another seed, and what accuracy alone would give. */
#include "analysis_agreement.h"

#include "error.h"

static const char *const keys[] = {
#define X(id, key) key,
    MEASURES(X)
#undef X
};

struct table {                      /* of one pack, or of their mean */
    double *measure[MEASURE_COUNT]; /* [method][method] */
    double *within, *within_kappa;  /* [method] */
};

static int allocate(struct analysis *a, struct table *t, double value)
{
    size_t methods = a->panel->method_count, cells = methods * methods,
           count = MEASURE_COUNT * cells + 2 * methods;
    double *values = arena_alloc(&a->memory, count, sizeof *values);
    if (!values)
        return ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        values[i] = value;
    for (size_t i = 0; i < MEASURE_COUNT; i++)
        t->measure[i] = values + i * cells;
    t->within = values + MEASURE_COUNT * cells;
    t->within_kappa = t->within + methods;
    return 0;
}

static double other_seed(const struct analysis *a, const struct view *v, uint32_t x, uint32_t y)
{
    double sum = 0;
    for (uint32_t s = 0; s < v->seeds; s++)
        for (uint32_t t = 0; t < v->seeds; t++)
            if (s != t)
                sum += view_same_label(v, answers_row(a, x, s), answers_row(a, y, t));
    return v->seeds > 1 ? sum / ((double)v->seeds * (v->seeds - 1)) : NAN;
}

static void compare_methods(const struct analysis *a, const struct view *v, uint32_t x, uint32_t y,
                            struct table *t)
{
    uint32_t methods = a->panel->method_count;
    double sum[MEASURE_COUNT] = {0}, one[MEASURE_COUNT] = {0};
    for (uint32_t s = 0; s < v->seeds; s++) {
        view_compare(v, answers_row(a, x, s), answers_row(a, y, s), one);
        for (int i = 0; i < MEASURE_COUNT; i++)
            sum[i] += one[i] / v->seeds;
    }
    sum[OTHER_SEED] = other_seed(a, v, x, y);
    for (int i = 0; i < MEASURE_COUNT; i++)
        t->measure[i][(size_t)x * methods + y] = t->measure[i][(size_t)y * methods + x] = sum[i];
}

/* The control: one method, two seeds. */
static void compare_seeds(const struct analysis *a, const struct view *v, uint32_t method, struct table *t)
{
    size_t n = v->s->images;
    const int32_t *labels = v->s->label + answers_row(a, method, 0) * n;
    double kappa = 0;
    for (uint32_t s = 0; s < v->seeds; s++)
        for (uint32_t other = s + 1; other < v->seeds; other++)
            kappa += stats_kappa(labels + s * n, labels + other * n, n, v->s->classes);
    t->within[method] = t->measure[OTHER_SEED][(size_t)method * a->panel->method_count + method];
    t->within_kappa[method] = v->seeds > 1 ? 2 * kappa / ((double)v->seeds * (v->seeds - 1)) : NAN;
}

static int compare_pack(struct analysis *a, uint32_t pack, struct table *t)
{
    struct arena scratch = {0};
    struct view v;
    int rc = view_open(a, pack, &v, &scratch);
    for (uint32_t x = 0; rc == 0 && x < a->panel->method_count; x++) {
        if (!v.s->complete[x])
            continue;
        for (uint32_t y = x; y < a->panel->method_count; y++)
            if (v.s->complete[y])
                compare_methods(a, &v, x, y, t);
        compare_seeds(a, &v, x, t);
    }
    arena_finish(&scratch);
    return rc;
}

static int put_table(const struct analysis *a, struct json *object, const struct table *t)
{
    size_t methods = a->panel->method_count;
    for (int i = 0; i < MEASURE_COUNT; i++)
        TRY(analysis_matrix(object, keys[i], t->measure[i], methods, methods));
    TRY(analysis_numbers(object, "same_method", t->within, methods));
    return analysis_numbers(object, "same_method_kappa", t->within_kappa, methods);
}

static void add_table(const struct analysis *a, struct table *sum, const struct table *t)
{
    size_t methods = a->panel->method_count;
    for (int i = 0; i < MEASURE_COUNT; i++)
        for (size_t cell = 0; cell < methods * methods; cell++)
            sum->measure[i][cell] += t->measure[i][cell] / a->whole.count;
    for (size_t m = 0; m < methods; m++) {
        sum->within[m] += t->within[m] / a->whole.count;
        sum->within_kappa[m] += t->within_kappa[m] / a->whole.count;
    }
}

/* Over the pairs of different methods that are there. */
static double mean_between(const struct analysis *a, const double *matrix)
{
    uint32_t methods = a->panel->method_count, count = 0;
    double sum = 0;
    for (uint32_t x = 0; x < methods; x++)
        for (uint32_t y = x + 1; y < methods; y++)
            if (isfinite(matrix[(size_t)x * methods + y])) {
                sum += matrix[(size_t)x * methods + y];
                count++;
            }
    return count ? sum / count : NAN;
}

static int put_summary(struct analysis *a, struct json *section, const struct table *mean)
{
    struct json *summary;
    struct control control;
    double within = 0;
    uint32_t count = 0;
    for (uint32_t m = 0; m < a->panel->method_count; m++)
        if (isfinite(mean->within[m])) {
            within += mean->within[m];
            count++;
        }
    TRY(analysis_object(&summary, section, "summary"));
    TRY(json_set_number(summary, "between", mean_between(a, mean->measure[SAME_LABEL])));
    TRY(json_set_number(summary, "between_other_seed", mean_between(a, mean->measure[OTHER_SEED])));
    TRY(json_set_number(summary, "within", count ? within / count : NAN));
    TRY(json_set_number(summary, "independent", mean_between(a, mean->measure[INDEPENDENT])));
    TRY(control_measure(a, &control));
    TRY(json_set_number(summary, "between_minus_within", control.value));
    return analysis_interval(summary, "between_minus_within_low", "between_minus_within_high",
                             control.interval);
}

int analysis_agreement(struct analysis *a)
{
    struct json *section, *packs, *object;
    struct table mean;
    TRY(analysis_object(&section, a->document, "agreement"));
    TRY(analysis_array(&packs, section, "packs"));
    TRY(allocate(a, &mean, a->whole.count ? 0 : NAN));
    for (uint32_t i = 0; i < a->whole.count; i++) {
        struct table t;
        TRY(allocate(a, &t, NAN));
        TRY(compare_pack(a, a->whole.packs[i], &t));
        TRY(analysis_object(&object, packs, NULL));
        TRY(json_set_integer(object, "pack", a->whole.packs[i]));
        TRY(put_table(a, object, &t));
        add_table(a, &mean, &t);
    }
    TRY(analysis_object(&object, section, "mean"));
    TRY(put_table(a, object, &mean));
    return put_summary(a, section, &mean);
}

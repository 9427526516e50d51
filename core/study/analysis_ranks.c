/* analysis_ranks.c - how often a method is first, second, ...: over the packs, and over the bootstrap's replicates. */
#include "analysis_private.h"

#include "error.h"

/* Methods that are complete on every pack of a group, and their accuracies there. */
struct field {
    uint32_t *method, methods;
    double *values; /* [packs][methods] */
};

static int gather(struct analysis *a, const struct group *g, struct field *out)
{
    uint32_t all = a->panel->method_count;
    *out = (struct field){.method = arena_alloc(&a->memory, all, sizeof *out->method),
                          .values = arena_alloc(&a->memory, (size_t)g->count * all, sizeof *out->values)};
    if (!out->method || !out->values)
        return ERR_MEMORY;
    for (uint32_t m = 0; m < all; m++) {
        int complete = g->count > 0;
        for (uint32_t i = 0; i < g->count; i++)
            complete = complete && a->answers[g->packs[i]].complete[m];
        if (complete)
            out->method[out->methods++] = m;
    }
    for (uint32_t i = 0; i < g->count; i++)
        for (uint32_t m = 0; m < out->methods; m++)
            out->values[(size_t)i * out->methods + m] = a->answers[g->packs[i]].mean[out->method[m]];
    return 0;
}

static double *filled(struct analysis *a, size_t count, double value)
{
    double *values = arena_alloc(&a->memory, count, sizeof *values);
    for (size_t i = 0; values && i < count; i++)
        values[i] = value;
    return values;
}

/* Rows of methods that are ranked start at 0, the others stay null. */
static double *frequencies(struct analysis *a, const uint32_t *method, uint32_t count)
{
    size_t all = a->panel->method_count;
    double *values = filled(a, all * all, NAN);
    for (uint32_t m = 0; values && m < count; m++)
        for (size_t rank = 0; rank < all; rank++)
            values[method[m] * all + rank] = 0;
    return values;
}

static int put_group(struct analysis *a, struct json *groups, const struct group *g)
{
    size_t all = a->panel->method_count;
    struct json *object;
    struct field f;
    TRY(gather(a, g, &f));
    double *ranks = arena_alloc(&a->memory, all, sizeof *ranks);
    double *frequency = frequencies(a, f.method, f.methods), *mean = filled(a, all, NAN);
    if (!ranks || !frequency || !mean)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < g->count; i++) {
        const double *values = f.values + (size_t)i * f.methods;
        TRY(stats_ranks(values, f.methods, RANK_BEST, ranks));
        for (uint32_t m = 0; m < f.methods; m++)
            frequency[f.method[m] * all + (size_t)ranks[m] - 1] += 1;
        TRY(stats_ranks(values, f.methods, RANK_MEAN, ranks));
        for (uint32_t m = 0; m < f.methods; m++)
            mean[f.method[m]] = (i ? mean[f.method[m]] : 0) + ranks[m] / g->count;
    }
    TRY(analysis_object(&object, groups, NULL));
    TRY(json_set_string(object, "name", g->name));
    TRY(analysis_matrix(object, "frequency", frequency, all, all));
    return analysis_numbers(object, "mean_rank", mean, all);
}

static int put_bootstrap(struct analysis *a, struct json *section)
{
    const struct resample *r = &a->overall;
    size_t all = a->panel->method_count;
    double *ranks = arena_alloc(&a->memory, all, sizeof *ranks);
    double *share = frequencies(a, r->method, r->methods);
    if (!ranks || !share)
        return ERR_MEMORY;
    for (size_t i = 0; r->methods && i < r->replicates; i++) {
        TRY(stats_ranks(r->scores + i * r->methods, r->methods, RANK_BEST, ranks));
        for (uint32_t m = 0; m < r->methods; m++)
            share[r->method[m] * all + (size_t)ranks[m] - 1] += 1;
    }
    for (size_t i = 0; i < all * all; i++)
        share[i] /= (double)r->replicates;
    return analysis_matrix(section, "bootstrap", share, all, all);
}

/* Needs two packs and two methods; null as well where every pack is one tie. */
static int put_friedman(struct analysis *a, struct json *section)
{
    double chi2 = NAN, p = NAN;
    struct json *object;
    struct field f;
    TRY(gather(a, &a->whole, &f));
    if (a->whole.count >= 2 && f.methods >= 2)
        TRY(stats_friedman(f.values, a->whole.count, f.methods, &chi2, &p));
    if (!isfinite(chi2) || !isfinite(p))
        return analysis_null(section, "friedman");
    TRY(analysis_object(&object, section, "friedman"));
    TRY(json_set_number(object, "chi2", chi2));
    return json_set_number(object, "p", p);
}

int analysis_ranks(struct analysis *a)
{
    struct json *section, *groups;
    TRY(analysis_object(&section, a->document, "ranks"));
    TRY(analysis_array(&groups, section, "groups"));
    TRY(put_group(a, groups, &a->whole));
    for (uint32_t g = 0; g < a->group_count; g++)
        TRY(put_group(a, groups, &a->groups[g]));
    TRY(put_bootstrap(a, section));
    return put_friedman(a, section);
}

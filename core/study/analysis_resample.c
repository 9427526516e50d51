/* analysis_resample.c - one bootstrap of the methods that are complete on a set of packs, and what it says of each
 * method and of each pair. Holm's family is all pairs, whichever method turns out best: a family of the comparisons
 * with the observed best alone would forget that it was picked from the same data. */
#include "analysis_private.h"

#include "error.h"

#include <string.h>

enum { MOST_REPLICATES = 10000 };

/* A bootstrap p is at least 2 / (replicates + 1); with too few replicates no pair could pass Holm's first step. */
size_t resample_replicates(const struct analysis *a)
{
    double pairs = 0.5 * a->panel->method_count * (a->panel->method_count - 1.0);
    double needed = ceil(2.5 * pairs / (1 - a->options->level));
    if (needed > MOST_REPLICATES)
        needed = MOST_REPLICATES;
    return needed > (double)a->options->replicates ? (size_t)needed : a->options->replicates;
}

static int pick_methods(struct analysis *a, const uint32_t *packs, uint32_t count, struct resample *out)
{
    out->method = arena_alloc(&a->memory, a->panel->method_count, sizeof *out->method);
    if (!out->method)
        return ERR_MEMORY;
    for (uint32_t method = 0; method < a->panel->method_count; method++) {
        int complete = count > 0;
        for (uint32_t i = 0; i < count; i++)
            complete = complete && a->answers[packs[i]].complete[method];
        if (complete)
            out->method[out->methods++] = method;
    }
    return 0;
}

/* The rows of the picked methods side by side, as stats_bootstrap wants them. */
static int gather(struct analysis *a, struct arena *scratch, const uint32_t *packs, uint32_t count,
                  const struct resample *r, struct bootstrap_task *tasks)
{
    size_t seeds = a->panel->seed_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct answers *s = &a->answers[packs[i]];
        size_t bytes = seeds * s->images;
        unsigned char *right = arena_alloc(scratch, r->methods, bytes);
        if (!right)
            return ERR_MEMORY;
        for (uint32_t m = 0; m < r->methods; m++)
            memcpy(right + m * bytes, s->right + answers_row(a, r->method[m], 0) * s->images, bytes);
        tasks[i] = (struct bootstrap_task){.images = s->images, .right = right};
    }
    return 0;
}

static int draw(struct analysis *a, const uint32_t *packs, uint32_t count, struct resample *r)
{
    struct arena scratch = {0};
    struct bootstrap_task *tasks = arena_alloc(&scratch, count, sizeof *tasks);
    struct bootstrap b = {.methods = r->methods,
                          .seeds = a->panel->seed_count,
                          .tasks = count,
                          .task = tasks,
                          .levels = BOOTSTRAP_TASKS | BOOTSTRAP_SEEDS | BOOTSTRAP_IMAGES,
                          .replicates = r->replicates,
                          .seed = a->options->seed};
    int rc = tasks ? gather(a, &scratch, packs, count, r, tasks) : ERR_MEMORY;
    if (rc == 0)
        rc = stats_bootstrap(&b, r->scores);
    arena_finish(&scratch);
    return rc;
}

static void compare_pair(const struct analysis *a, const struct resample *r, double *differences,
                         struct resample_pair *pair)
{
    double ahead = 0;
    for (size_t i = 0; i < r->replicates; i++) {
        const double *scores = r->scores + i * r->methods;
        differences[i] = scores[pair->a] - scores[pair->b];
        ahead += differences[i] > 0 ? 1 : differences[i] == 0 ? 0.5 : 0;
    }
    pair->difference = r->mean[pair->a] - r->mean[pair->b];
    pair->improvement = ahead / (double)r->replicates;
    pair->interval = stats_percentile(differences, r->replicates, a->options->level, &pair->p);
}

static int compare(struct analysis *a, struct resample *r)
{
    r->pairs = arena_alloc(&a->memory, (size_t)r->methods * (r->methods - 1) / 2, sizeof *r->pairs);
    double *column = mem_alloc(r->replicates, sizeof *column);
    double *p = mem_alloc((size_t)r->methods * r->methods, sizeof *p);
    int rc = r->pairs && column && p ? 0 : ERR_MEMORY;
    for (uint32_t m = 0; rc == 0 && m < r->methods; m++) {
        double unused;
        for (size_t i = 0; i < r->replicates; i++)
            column[i] = r->scores[i * r->methods + m];
        r->interval[m] = stats_percentile(column, r->replicates, a->options->level, &unused);
    }
    for (uint32_t x = 0; rc == 0 && x < r->methods; x++)
        for (uint32_t y = x + 1; y < r->methods; y++) {
            struct resample_pair *pair = &r->pairs[r->pair_count];
            *pair = (struct resample_pair){.a = x, .b = y};
            compare_pair(a, r, column, pair);
            p[r->pair_count++] = pair->p;
        }
    if (rc == 0)
        rc = stats_holm(p, r->pair_count);
    for (uint32_t i = 0; rc == 0 && i < r->pair_count; i++)
        r->pairs[i].p_holm = p[i];
    mem_free(p);
    mem_free(column);
    return rc;
}

int resample_run(struct analysis *a, const uint32_t *packs, uint32_t count, struct resample *out)
{
    *out = (struct resample){.replicates = a->replicates};
    TRY(pick_methods(a, packs, count, out));
    if (out->methods == 0)
        return 0;
    out->scores = arena_alloc(&a->memory, out->replicates * out->methods, sizeof *out->scores);
    out->mean = arena_alloc(&a->memory, out->methods, sizeof *out->mean);
    out->interval = arena_alloc(&a->memory, out->methods, sizeof *out->interval);
    if (!out->scores || !out->mean || !out->interval)
        return ERR_MEMORY;
    for (uint32_t m = 0; m < out->methods; m++) {
        for (uint32_t i = 0; i < count; i++)
            out->mean[m] += a->answers[packs[i]].mean[out->method[m]];
        out->mean[m] /= count;
    }
    TRY(draw(a, packs, count, out));
    return compare(a, out);
}

static const struct resample_pair *find(const struct resample *r, uint32_t x, uint32_t y)
{
    for (uint32_t i = 0; i < r->pair_count; i++)
        if (r->pairs[i].a == x && r->pairs[i].b == y)
            return &r->pairs[i];
    return NULL;
}

uint32_t resample_best(const struct analysis *a, const struct resample *r, uint32_t *best)
{
    uint32_t top = 0, count = 0;
    for (uint32_t m = 1; m < r->methods; m++)
        if (r->mean[m] > r->mean[top])
            top = m;
    for (uint32_t m = 0; m < r->methods; m++) {
        const struct resample_pair *pair = m < top ? find(r, m, top) : find(r, top, m);
        if (m == top || (pair && pair->p_holm >= 1 - a->options->level))
            best[count++] = r->method[m];
    }
    return count;
}

const struct resample_pair *resample_pair(const struct resample *r, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < r->pair_count; i++)
        if (r->method[r->pairs[i].a] == a && r->method[r->pairs[i].b] == b)
            return &r->pairs[i];
    return NULL;
}

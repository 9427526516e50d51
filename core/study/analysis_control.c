/* analysis_control.c - do two methods differ more than two seeds of one method? Both rates are taken over pairs of
 * different seeds, since runs of one seed also share the order of the data and what else the seed decides. */
#include "analysis_agreement.h"

#include "error.h"
#include "rng.h"

/* Pairs of answers to one image that are the same, by kind of pair. */
struct tally {
    uint32_t between, within;
};

static struct tally count_same(const struct analysis *a, const struct answers *s, uint32_t image)
{
    const struct resample *r = &a->overall;
    uint32_t seeds = a->panel->seed_count;
    struct tally tally = {0, 0};
    for (uint32_t x = 0; x < r->methods; x++)
        for (uint32_t y = x; y < r->methods; y++) {
            const int32_t *of_x = s->label + answers_row(a, r->method[x], 0) * s->images + image;
            const int32_t *of_y = s->label + answers_row(a, r->method[y], 0) * s->images + image;
            uint32_t same = 0;
            for (uint32_t i = 0; i < seeds; i++)
                for (uint32_t j = 0; j < seeds; j++)
                    same += i != j && of_x[(size_t)i * s->images] == of_y[(size_t)j * s->images];
            *(x == y ? &tally.within : &tally.between) += same;
        }
    return tally;
}

/* [image] rate between methods minus rate within, of one pack */
static double *differences(struct analysis *a, uint32_t pack, struct arena *scratch)
{
    const struct answers *s = &a->answers[pack];
    double methods = a->overall.methods, orders = (double)a->panel->seed_count * (a->panel->seed_count - 1.0);
    double *values = arena_alloc(scratch, s->images, sizeof *values);
    for (uint32_t i = 0; values && i < s->images; i++) {
        struct tally tally = count_same(a, s, i);
        values[i] =
            tally.between / (orders * methods * (methods - 1) / 2) - tally.within / (orders * methods);
    }
    return values;
}

static double draw(const double *values, uint32_t images, struct rng *r)
{
    double sum = 0;
    for (uint32_t i = 0; i < images; i++)
        sum += values[rng_below(r, images)];
    return sum / images;
}

static int resample(struct analysis *a, struct control *out, struct arena *scratch)
{
    const struct group *g = &a->whole;
    struct rng r = rng_named(a->options->seed, "agreement");
    double *replicates = arena_alloc(scratch, a->options->replicates, sizeof *replicates);
    if (!replicates)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < g->count; i++) {
        uint32_t images = a->answers[g->packs[i]].images;
        double *values = differences(a, g->packs[i], scratch);
        if (!values)
            return ERR_MEMORY;
        out->value += stats_mean(values, images) / g->count;
        for (size_t k = 0; k < a->options->replicates; k++)
            replicates[k] += draw(values, images, &r) / g->count;
    }
    out->interval = stats_percentile(replicates, a->options->replicates, a->options->level, NULL);
    return 0;
}

int control_measure(struct analysis *a, struct control *out)
{
    struct arena scratch = {0};
    *out = (struct control){NAN, {NAN, NAN}};
    if (a->overall.methods < 2 || a->panel->seed_count < 2)
        return 0;
    out->value = 0;
    int rc = resample(a, out, &scratch);
    arena_finish(&scratch);
    return rc;
}

/* shift_stats.c - accuracies under shift with intervals. Corrupted sets show the images of the clean one: a replicate
 * draws them once for all of these, else a mean over corruptions would look far surer than it is. */
#include "shift.h"

#include "error.h"
#include "rng.h"
#include "stats.h"

#include <math.h>
#include <string.h>

/* Sets of one base share their images. */
static int shares_images(const struct shift_set *a, const struct shift_set *b)
{
    const int own_a = a->kind == SET_CLEAN || a->kind == SET_CORRUPTION,
              own_b = b->kind == SET_CLEAN || b->kind == SET_CORRUPTION;
    return own_a && own_b && a->images == b->images;
}

struct group {      /* sets that share images, weighted together */
    uint32_t first; /* a set of it */
    uint32_t images;
    double *over, *under; /* [runs][images] */
};

static double right(const struct shift_set *s, uint32_t alpha, uint32_t image, int control)
{
    const int32_t *answers = control ? s->control : s->answers;
    return answers[(size_t)alpha * s->images + image] == s->labels[image];
}

static struct group *find_group(struct group *groups, uint32_t *count, const struct shift_run *run,
                                uint32_t set)
{
    for (uint32_t g = 0; g < *count; g++)
        if (groups[g].first == set || shares_images(&run->sets[groups[g].first], &run->sets[set]))
            return &groups[g];
    groups[*count] = (struct group){.first = set, .images = run->sets[set].images};
    return &groups[(*count)++];
}

static int add_part(struct group *g, struct arena *arena, const struct shift_run *const *runs,
                    uint32_t run_count, uint32_t alpha, const struct shift_part *part, int control)
{
    if (!g->over) {
        g->over = arena_alloc(arena, (size_t)run_count * g->images, sizeof *g->over);
        g->under = arena_alloc(arena, (size_t)run_count * g->images, sizeof *g->under);
        if (!g->over || !g->under)
            return ERR_MEMORY;
    }
    for (uint32_t r = 0; r < run_count; r++)
        for (uint32_t i = 0; i < g->images; i++) {
            const double is = right(&runs[r]->sets[part->set], alpha, i, control);
            g->over[(size_t)r * g->images + i] += part->over * is;
            g->under[(size_t)r * g->images + i] += part->under * is;
        }
    return 0;
}

/* One draw of everything, or with r NULL what was measured. */
static double evaluate(const struct group *groups, uint32_t count, uint32_t runs, int ratio, struct rng *r)
{
    uint32_t drawn[64];
    double over = 0, under = 0;
    for (uint32_t k = 0; k < runs; k++)
        drawn[k] = r ? rng_below(r, runs) : k;
    for (uint32_t g = 0; g < count; g++)
        for (uint32_t i = 0; i < groups[g].images; i++) {
            const uint32_t image = r ? rng_below(r, groups[g].images) : i;
            for (uint32_t k = 0; k < runs; k++) {
                const size_t at = (size_t)drawn[k] * groups[g].images + image;
                const double share = 1.0 / ((double)groups[g].images * runs);
                over += share * groups[g].over[at];
                under += share * groups[g].under[at];
            }
        }
    return !ratio ? over : under > 0 ? over / under : NAN;
}

static int check_runs(const struct shift_run *const *runs, uint32_t count, uint32_t alpha,
                      const struct shift_part *parts, uint32_t part_count, int control)
{
    if (count == 0 || count > 64)
        return fail(ERR_INPUT, "%u seeds cannot be judged together under shift; 1 to 64 can", count);
    for (uint32_t r = 0; r < count; r++)
        for (uint32_t p = 0; p < part_count; p++) {
            const uint32_t set = parts[p].set;
            if (set >= runs[r]->set_count || alpha >= runs[r]->alpha_count ||
                runs[r]->sets[set].images != runs[0]->sets[set].images ||
                strcmp(runs[r]->sets[set].name, runs[0]->sets[set].name) != 0)
                return fail(ERR_INPUT, "the seeds of %s were judged on different sets; judge them again",
                            runs[0]->method);
            if (control && !runs[r]->sets[set].control)
                return fail(ERR_INPUT, "%s was judged without a control", runs[0]->method);
        }
    return 0;
}

int shift_estimate(const struct shift_run *const *runs, uint32_t run_count, uint32_t alpha,
                   const struct shift_part *parts, uint32_t part_count, const struct shift_options *o,
                   struct shift_estimate *out)
{
    struct arena arena = {0};
    uint32_t count = 0;
    int ratio = 0, rc = check_runs(runs, run_count, alpha, parts, part_count, o->control);
    TRY(rc);
    struct group *groups = arena_alloc(&arena, part_count + 1, sizeof *groups);
    double *draws = arena_alloc(&arena, o->replicates + 1, sizeof *draws);
    rc = groups && draws ? 0 : ERR_MEMORY;
    for (uint32_t p = 0; rc == 0 && p < part_count; p++) {
        ratio |= parts[p].under > 0;
        rc = add_part(find_group(groups, &count, runs[0], parts[p].set), &arena, runs, run_count, alpha,
                      &parts[p], o->control);
    }
    if (rc == 0) {
        out->mean = evaluate(groups, count, run_count, ratio, NULL);
        for (size_t i = 0; i < o->replicates; i++) {
            struct rng r = rng_named(o->seed, "shift"); /* the same draws for every method */
            r.stream += (i + 1) * 0x9E3779B97F4A7C15u;
            draws[i] = evaluate(groups, count, run_count, ratio, &r);
        }
        const struct interval interval = stats_percentile(draws, o->replicates, o->level, NULL);
        out->low = interval.low;
        out->high = interval.high;
    }
    arena_finish(&arena);
    return rc;
}

static double logit(double p)
{
    static const double least = 1e-3; /* keeps 0 and 1 on the line's axes */
    p = p < least ? least : p > 1 - least ? 1 - least : p;
    return log(p / (1 - p));
}

double shift_effective(const double *x, const double *y, uint32_t count, uint32_t index)
{
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    if (isnan(x[index]) || isnan(y[index]))
        return NAN;
    for (uint32_t i = 0; i < count; i++) {
        if (i == index || isnan(x[i]) || isnan(y[i]))
            continue;
        const double u = logit(x[i]), v = logit(y[i]);
        n++;
        sx += u;
        sy += v;
        sxx += u * u;
        sxy += u * v;
    }
    const double spread = n * sxx - sx * sx;
    if (n < 3 || !(spread > 1e-9))
        return NAN;
    const double slope = (n * sxy - sx * sy) / spread, at = (sy - slope * sx) / n + slope * logit(x[index]);
    return y[index] - 1 / (1 + exp(-at));
}

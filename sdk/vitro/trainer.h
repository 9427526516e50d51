/* trainer.h - sugar over training.h: the callback that gives the extension, picking by size, and ranks that are
 * shared out between the blocks of a method b diag(kept e) a, as in AdaLoRA (Zhang et al. 2023,
 * arXiv:2303.10512). */
#ifndef VITRO_TRAINER_H
#define VITRO_TRAINER_H
#include <string.h>
#include <vitro/sdk.h>
#include <vitro/training.h>

/* The plugin's `extension`: gives vitro.training/1 with these slots, VITRO_TRAINER(.begin = begin) */
#define VITRO_TRAINER(...)                                                                    \
    static const void *extension(const void *self, const char *id)                            \
    {                                                                                         \
        static const vitro_training training = {.size = sizeof(vitro_training), __VA_ARGS__}; \
        (void)self;                                                                           \
        return strcmp(id, VITRO_TRAINING) == 0 ? &training : NULL;                            \
    }

/* The places of the k largest of n numbers in size, largest first, of equals the first. x is used up. */
static inline void vitro_largest(float *x, int32_t n, float *index, int32_t k)
{
    for (int32_t i = 0; i < n; i++)
        x[i] = x[i] < 0 ? -x[i] : x[i];
    for (int32_t i = 0; i < k; i++) {
        int32_t best = 0;
        for (int32_t j = 1; j < n; j++)
            best = x[j] > x[best] ? j : best;
        index[i] = (float)best;
        x[best] = -1;
    }
}

/* A sum over the batches of a scan: of a linear layer's weight the gradients, [out, in]. To be called in each scan,
 * which adds that batch's, and in begin, which gets the sum; NULL where something went wrong. The room it takes is
 * block VITRO_SITE_COUNT + site. */
static inline float *vitro_gradient_sum(vitro_trainer *t, int32_t site, int32_t block)
{
    const uint32_t slot = (uint32_t)(block * VITRO_SITE_COUNT + site);
    const size_t n = (size_t)vitro_width(t->model, site) * (size_t)vitro_fan_in(t->model, site);
    const int scans = t->step > 0;
    const float *d = scans ? t->weight_gradient(t, site, VITRO_WEIGHT, block) : NULL;
    float *sum = t->room(t, slot, n);
    for (size_t i = 0; d && sum && i < n; i++)
        sum[i] += d[i];
    return d || !scans ? sum : NULL;
}

/* One more look at n numbers w with gradients d (equations 8 to 10): with s = |w d| the moving averages
 * become m = beta m + (1 - beta) s, then u = beta u + (1 - beta) |s - m|. A number's importance is m u. */
static inline void vitro_look(const float *w, const float *d, size_t n, float beta, float *m, float *u)
{
    for (size_t i = 0; i < n; i++) {
        const float s = w[i] * d[i] < 0 ? -w[i] * d[i] : w[i] * d[i];
        m[i] = beta * m[i] + (1 - beta) * s;
        u[i] = beta * u[i] + (1 - beta) * (s < m[i] ? m[i] - s : s - m[i]);
    }
}

/* The mean importance of n numbers, each `stride` after the one before: a row's or a column's. */
static inline float vitro_importance(const float *m, const float *u, size_t n, size_t stride)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)(m[i * stride] * u[i * stride]);
    return (float)(sum / (double)n);
}

/* The k-th smallest, from 1 to n, of n numbers of which none is negative. Their bits are in their order, so
 * it is found by halving the range of the bits. */
static inline float vitro_smallest(const float *x, size_t n, size_t k)
{
    uint32_t low = 0, high = 0x7f800000; /* infinity */
    float edge;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        size_t count = 0;
        memcpy(&edge, &middle, sizeof edge);
        for (size_t i = 0; i < n; i++)
            count += x[i] <= edge;
        low = count < k ? middle + 1 : low;
        high = count < k ? high : middle;
    }
    memcpy(&edge, &low, sizeof edge);
    return edge;
}

struct vitro_ranks {
    vitro_param a, b, e, kept; /* of each block: [r, in], [out, r], [r], and frozen [r], ones at first */
    vitro_param seen;          /* frozen zeros [2, r (in + out + 1)]: m of a, b and e, then their u */
    int32_t depth, in, out, r, target_r, every;
    float warmup, settle,
        beta; /* shares of the training before and after the budget falls; of the averages */
};

/* Declares the parameters, by their names here, of a linear layer; r to beta are to be set before. a and b start
 * normal of that deviation, e at zero. -1 where target_r is above r. */
static inline int vitro_ranks_declare(struct vitro_ranks *k, vitro_decl *d, int32_t site, float deviation)
{
    const int32_t r = k->r, in = k->in = vitro_fan_in(d->model, site),
                  out = k->out = vitro_width(d->model, site);
    const uint32_t size = sizeof(vitro_param_info), kept = VITRO_FROZEN;
    const vitro_blocks all = {0, 0};
    const vitro_param_info info[] = {
        {size, "a", {2, {r, in, 0, 0}}, all, VITRO_NORMAL, VITRO_KEEP, 0, deviation, 0, 0},
        {size, "b", {2, {out, r, 0, 0}}, all, VITRO_NORMAL, VITRO_KEEP, 0, deviation, 0, 0},
        {size, "e", {1, {r, 0, 0, 0}}, all, VITRO_ZEROS, VITRO_TO_ZERO, 0, 0, 0, 0},
        {size, "kept", {1, {r, 0, 0, 0}}, all, VITRO_ONES, VITRO_KEEP, kept, 0, 0, 0},
        {size, "seen", {2, {2, r * (in + out + 1), 0, 0}}, all, VITRO_ZEROS, VITRO_KEEP, kept, 0, 0, 0},
    };
    if (k->target_r > r)
        return d->host->fail(d->host, "option target_r is larger than r; ranks only fall");
    k->depth = d->model->depth;
    k->a = d->param(d, &info[0]);
    k->b = d->param(d, &info[1]);
    k->e = d->param(d, &info[2]);
    k->kept = d->param(d, &info[3]);
    k->seen = d->param(d, &info[4]);
    return 0;
}

/* The step at which the budget has fallen. */
static inline uint32_t vitro_ranks_end(const struct vitro_ranks *k, uint32_t steps)
{
    return steps - (uint32_t)(k->settle * (float)steps);
}

/* For `next`: every so many steps until then. */
static inline uint32_t vitro_ranks_next(const struct vitro_ranks *k, uint32_t step, uint32_t steps)
{
    const uint32_t every = (uint32_t)k->every, end = vitro_ranks_end(k, steps),
                   due = step - step % every + every;
    return step >= end ? 0 : due < end ? due : end;
}

/* Triplets to go after a step: of depth r they fall with the cube of the way left to depth target_r. */
static inline size_t vitro_ranks_surplus(const struct vitro_ranks *k, uint32_t step, uint32_t steps)
{
    const double start = (double)(uint32_t)(k->warmup * (float)steps), end = vitro_ranks_end(k, steps);
    const double left = step < end ? 1 - (step - start) / (end - start) : 0;
    const double all = (double)k->r * k->depth, target = (double)k->target_r * k->depth;
    const double budget = (all - target) * left * left * left + target;
    return step <= start && step < end ? 0 : (size_t)all - (size_t)budget;
}

/* A block's triplets: an entry of e, its row of a and its column of b, whose importances are added. The
 * gradients are looked at before; but not at the budget's end. */
static inline int vitro_ranks_score(const struct vitro_ranks *k, vitro_trainer *t, int32_t block,
                                    float *score)
{
    const vitro_param own[] = {k->a, k->b, k->e};
    const size_t r = (size_t)k->r, width[] = {(size_t)k->in, (size_t)k->out, 1};
    const int looks = t->step < vitro_ranks_end(k, t->steps);
    float *m = t->edit(t, k->seen, block);
    if (!m)
        return -1;
    for (size_t i = 0; i < 3; m += r * width[i++]) {
        const float *w = t->param(t, own[i], block), *d = looks ? t->param_gradient(t, own[i], block) : w;
        float *u = m + r * (width[0] + width[1] + 1);
        if (!w || !d)
            return -1;
        if (looks)
            vitro_look(w, d, r * width[i], k->beta, m, u);
        for (size_t j = 0, at = 0; j < r; j++, at += i == 1 ? 1 : width[i])
            score[j] = (i ? score[j] : 0) + vitro_importance(m + at, u + at, width[i], i == 1 ? r : 1);
    }
    return 0;
}

/* For `step`: e becomes 0 where triplets must go; at the budget's end kept does, too. */
static inline int vitro_ranks_step(const struct vitro_ranks *k, vitro_trainer *t)
{
    const size_t n = (size_t)k->r * (size_t)k->depth, surplus = vitro_ranks_surplus(k, t->step, t->steps);
    float *scores = t->room(t, 0, n);
    for (int32_t i = 0; i < k->depth; i++)
        if (!scores || vitro_ranks_score(k, t, i, scores + i * k->r) < 0)
            return -1;
    const float edge = surplus ? vitro_smallest(scores, n, surplus) : -1;
    for (int32_t i = 0; i < k->depth; i++) {
        float *e = t->edit(t, k->e, i), *kept = t->edit(t, k->kept, i);
        if (!e || !kept)
            return -1;
        for (int32_t j = 0; j < k->r; j++) {
            const int stays = scores[i * k->r + j] > edge;
            e[j] = stays ? e[j] : 0;
            kept[j] = t->step < vitro_ranks_end(k, t->steps) || stays ? kept[j] : 0;
        }
    }
    return 0;
}
#endif

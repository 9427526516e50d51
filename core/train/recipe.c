/* recipe.c - see recipe.h. */
#include "recipe.h"

#include "error.h"
#include "memory.h"
#include "number.h"
#include "rng.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

const char *const recipe_schedules[] = {"study", "plain", NULL};

const struct recipe recipe_default = {
#define X(name, init, low, high, help) .name = init,
    RECIPE_WHOLE(X) RECIPE_REAL(X)
#undef X
        .schedule = SCHEDULE_STUDY,
    .drop_last = 1,
    .seed = 42,
};

static int check_range(const char *name, double x, double low, double high)
{
    if (x >= low && x <= high)
        return 0;
    return fail(ERR_INPUT, "%s is %g; it must be between %g and %g", name, x, low, high);
}

uint32_t recipe_steps(const struct recipe *r, uint32_t images)
{
    uint32_t batch = (uint32_t)r->batch;
    return r->drop_last ? images / batch : (images + batch - 1) / batch;
}

int recipe_check(const struct recipe *r, uint32_t images)
{
#define X(name, init, low, high, help) TRY(check_range(#name, (double)r->name, low, high));
    RECIPE_WHOLE(X)
    RECIPE_REAL(X)
#undef X
    if (r->schedule < 0 || r->schedule >= SCHEDULE_COUNT)
        return fail(ERR_INPUT, "there is no schedule %d", r->schedule);
    if (r->precision < 0 || r->precision >= NUMBER_COUNT)
        return fail(ERR_INPUT, "there is no precision %d", r->precision);
    if (recipe_steps(r, images) == 0)
        return fail(ERR_INPUT,
                    "%u training images give no step of batch %d; use a smaller batch or keep the last one",
                    images, r->batch);
    return 0;
}

/* lr(t) of timm's CosineLRScheduler without a warm-up prefix: the cosine counts from epoch 0. */
static double rate_study(const struct recipe *r, int32_t epoch)
{
    double t = epoch > 0 ? epoch - 1 : 0, top = (double)r->lr, low = (double)r->lr_min,
           start = (double)r->lr_start;
    if (t < r->warmup)
        return start + t * (top - start) / r->warmup;
    return low + 0.5 * (top - low) * (1 + cos(3.14159265358979323846 * t / r->epochs));
}

static double rate_plain(const struct recipe *r, int32_t epoch)
{
    double top = (double)r->lr, low = (double)r->lr_min;
    if (epoch < r->warmup)
        return top * (epoch + 1) / (r->warmup + 1);
    double part = (double)(epoch - r->warmup) / (r->epochs > r->warmup ? r->epochs - r->warmup : 1);
    return low + 0.5 * (top - low) * (1 + cos(3.14159265358979323846 * part));
}

float recipe_rate(const struct recipe *r, int32_t epoch)
{
    return (float)(r->schedule == SCHEDULE_PLAIN ? rate_plain(r, epoch) : rate_study(r, epoch));
}

int recipe_order(const struct recipe *r, int32_t epoch, uint32_t images, int32_t *order)
{
    uint32_t *rows = mem_alloc(images, sizeof *rows);
    if (!rows)
        return ERR_MEMORY;
    char purpose[48];
    snprintf(purpose, sizeof purpose, "order of epoch %d", epoch);
    struct rng g = rng_named(r->seed, purpose);
    for (uint32_t i = 0; i < images; i++)
        rows[i] = i;
    rng_shuffle(&g, rows, images);
    uint32_t entries = recipe_steps(r, images) * (uint32_t)r->batch;
    for (uint32_t i = 0; i < entries; i++)
        order[i] = i < images ? (int32_t)rows[i] : -1;
    mem_free(rows);
    return 0;
}

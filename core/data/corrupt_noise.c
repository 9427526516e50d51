/* corrupt_noise.c - noise of the sensor: normal, Poisson, and single values lost. */
#include "corrupt_private.h"

#include <math.h>

int corrupt_gaussian_noise(struct field *x, int severity, struct rng *r)
{
    static const double deviation[] = {.08, .12, .18, .26, .38};
    for (size_t i = 0; i < field_count(x); i++)
        x->v[i] += (float)(deviation[severity] * rng_normal(r));
    return 0;
}

/* Knuth's product of uniforms: means here are 60 at most. */
static int poisson(struct rng *r, double mean)
{
    const double limit = exp(-mean);
    double product = rng_uniform(r);
    int n = 0;
    for (; product > limit; n++)
        product *= rng_uniform(r);
    return n;
}

int corrupt_shot_noise(struct field *x, int severity, struct rng *r)
{
    static const double photons[] = {60, 25, 12, 5, 3}; /* that make white */
    for (size_t i = 0; i < field_count(x); i++)
        x->v[i] = (float)(poisson(r, (double)x->v[i] * photons[severity]) / photons[severity]);
    return 0;
}

/* Each value of each colour by itself, as often to white as to black. */
int corrupt_impulse_noise(struct field *x, int severity, struct rng *r)
{
    static const double share[] = {.03, .06, .09, .17, .27};
    for (size_t i = 0; i < field_count(x); i++) {
        const double lost = rng_uniform(r), white = rng_uniform(r);
        if (lost < share[severity])
            x->v[i] = white < 0.5;
    }
    return 0;
}

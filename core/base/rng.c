/* rng.c - see rng.h. */
#include "rng.h"

#include <math.h>

/* In four variables, not an array: under a sanitizer this is most of what tests of statistics do. */
struct philox philox4x32(uint64_t key, uint64_t counter_low, uint64_t counter_high)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t a = (uint32_t)counter_low, b = (uint32_t)(counter_low >> 32), c = (uint32_t)counter_high,
             d = (uint32_t)(counter_high >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * a, p1 = (uint64_t)0xCD9E8D57u * c;
        a = (uint32_t)(p1 >> 32) ^ b ^ k0;
        b = (uint32_t)p1;
        c = (uint32_t)(p0 >> 32) ^ d ^ k1;
        d = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* the golden ratio and sqrt(3) - 1, in 32 bits */
        k1 += 0xBB67AE85u;
    }
    return (struct philox){{a, b, c, d}};
}

struct rng rng_named(uint64_t seed, const char *purpose)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *purpose; purpose++)
        hash = (hash ^ (unsigned char)*purpose) * 0x100000001b3u;
    return (struct rng){.seed = seed, .stream = hash};
}

uint32_t rng_u32(struct rng *r)
{
    uint64_t i = r->next++;
    if (i % 4 == 0)
        r->block = philox4x32(r->seed, i / 4, r->stream);
    return r->block.word[i % 4];
}

double rng_uniform(struct rng *r)
{
    return rng_u32(r) * (1.0 / 4294967296.0);
}

double rng_normal(struct rng *r)
{
    double u = (rng_u32(r) + 0.5) * (1.0 / 4294967296.0), v = rng_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
    uint32_t limit = UINT32_MAX - (UINT32_MAX % n + 1) % n, draw;
    do
        draw = rng_u32(r);
    while (draw > limit);
    return draw % n;
}

void rng_shuffle(struct rng *r, uint32_t *items, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        uint32_t j = rng_below(r, (uint32_t)i), t = items[i - 1];
        items[i - 1] = items[j];
        items[j] = t;
    }
}

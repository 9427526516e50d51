/* rng.h - Philox 4x32-10, the counter-based generator of Salmon et al. 2011 (SC'11): the same
 * function on the host and in shaders/lib/philox.glsl, so a number depends only on (key, counter)
 * and never on order, thread or device. */
#ifndef VITRO_BASE_RNG_H
#define VITRO_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct philox {
    uint32_t word[4];
};
struct philox philox4x32(uint64_t key, uint64_t counter_low, uint64_t counter_high);

/* A stream of draws: counter_low counts, `stream` names the purpose. Drawn from its begin on: `next` is 0 at first. */
struct rng {
    uint64_t seed, stream, next;
    struct philox block; /* of four draws, the last of which was drawn from here */
};
/* The stream's number comes from a text (a parameter's name, say) by FNV-1a, so that adding a
 * parameter does not shift the numbers of the others. */
struct rng rng_named(uint64_t seed, const char *purpose);

uint32_t rng_u32(struct rng *r);
double rng_uniform(struct rng *r);               /* [0, 1), 32 random bits */
double rng_normal(struct rng *r);                /* mean 0, deviation 1, Box-Muller */
uint32_t rng_below(struct rng *r, uint32_t n);   /* 0 .. n-1, without bias; n > 0 */
void rng_shuffle(struct rng *r, uint32_t *items, size_t count); /* Fisher-Yates */

#endif

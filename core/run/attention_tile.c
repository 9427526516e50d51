/* attention_tile.c - see attention_tile.h. The constants mirror shaders/lib/attention_gpu.glsl.
 *
 * Every tile that fits is given a cost, and untuned the cheapest is taken. The cost counts multiplications and, at
 * their weight, reads of shared memory for all rows that are computed, those beyond the last one included: 197
 * rows are 5 tiles of 40 or 7 of 32. More rows an invocation mean fewer reads, as long as their sums stay in
 * registers, and more shared memory, which leaves a compute unit fewer invocations to turn to. */
#include "attention_tile.h"

#include "program.h"

enum {
    VECTOR_BYTES = 16,
    UNIT_SHARED = 65536, /* what the workgroups on a compute unit share: 64 KiB on AMD, more on others */
    UNIT_WAITS = 64,     /* with this many invocations on a unit, half of the time is waiting */
    ROWS_MAX = 6,
    SUMS_MAX = 64, /* floats of sums an invocation: half of 128 registers */
    READ_COST = 4  /* a vector read from shared memory takes as long as 4 multiplications and additions */
};

static const struct shape_of { /* of a pass */
    uint32_t owned, passing;   /* tiles in shared memory */
    uint32_t scores, sums;     /* products of each kind */
} passes[] = {
    [ATTENTION_FORWARD] = {1, 1, 1, 1},
    [ATTENTION_BACK_Q] = {2, 1, 2, 1},
    [ATTENTION_BACK_KV] = {2, 2, 2, 2},
};

static double cost(const struct shape_of *pass, const struct attention_tile *t, uint32_t vectors,
                   uint32_t count)
{
    const uint32_t across = t->step / 4, columns = tiles(vectors, across);
    const double rows = t->rows;
    const double scores = pass->scores * vectors * (16 * rows + READ_COST * (rows + 4));
    const double sums = pass->sums * across * (16 * rows * columns + READ_COST * (rows + 4 * columns));
    /* a tile of the passing side is carried to shared memory by all invocations together */
    const double carry = 2.0 * READ_COST * pass->passing * tiles(t->step * vectors, t->group);
    const double resident = (double)(UNIT_SHARED / t->shared_bytes) * t->group;
    return tiles(count, t->owned) * (double)t->group / t->step * (scores + sums + carry) *
           (1 + UNIT_WAITS / resident);
}

/* In code, per invocation; two rows, so that loops over them are loops. */
static double length(const struct attention_tile *t, uint32_t vectors)
{
    const double copies = tiles(t->step * vectors, t->group), columns = tiles(vectors, t->step / 4);
    return (copies + columns) * (t->rows == 2 ? 1 : t->rows == 1 ? 2 : 4);
}

uint32_t attention_tile_insert(struct attention_tile *list, uint32_t count, uint32_t room,
                               const struct attention_tile *t)
{
    uint32_t at = count;
    while (at && list[at - 1].cost > t->cost)
        at--;
    for (uint32_t i = count < room ? count : room - 1; i > at; i--)
        list[i] = list[i - 1];
    if (at < room)
        list[at] = *t;
    return count < room ? count + 1 : room;
}

uint32_t attention_tile_list(struct attention_tile *out, uint32_t room, enum attention_pass which,
                             uint32_t width, uint32_t count, const struct attention_limits *limits)
{
    static const uint32_t steps[] = {32, 16}, groups[] = {128, 64, 32, 16, 8, 4};
    const struct shape_of *pass = &passes[which];
    const uint32_t vectors = tiles(width, 4), pitch = vectors | 1;
    const uint32_t most = limits->shared_bytes < UNIT_SHARED ? limits->shared_bytes : UNIT_SHARED;
    uint32_t found = 0;
    for (uint32_t s = 0; s < sizeof steps / sizeof *steps; s++)
        for (uint32_t g = 0; g < sizeof groups / sizeof *groups; g++)
            for (uint32_t rows = 1; rows <= ROWS_MAX; rows++) {
                struct attention_tile t = {.step = steps[s], .group = groups[g], .rows = rows};
                const uint32_t across = t.step / 4;
                if (across > limits->lanes || t.group % limits->lanes || t.group > limits->max_invocations)
                    continue;
                if (rows > 1 && pass->sums * rows * 4 * tiles(vectors, across) > SUMS_MAX)
                    continue;
                t.owned = t.group / across * rows;
                t.unroll = limits->brief || vectors % 2 ? 1 : vectors % 4 ? 2 : 4;
                t.shared_bytes = VECTOR_BYTES * (pass->owned * t.owned * pitch +
                                                 pass->passing * t.step * pitch + t.owned * (across + 1));
                if (t.shared_bytes > most)
                    continue;
                t.cost = limits->brief ? length(&t, vectors) : cost(pass, &t, vectors, count);
                found = attention_tile_insert(out, found, room, &t);
            }
    return found;
}

/* lower_attention_tiles.c - attention in tiles that are computed as products are, for lavapipe. */
#include "lower_attention.h"

#include "gemm_cpu.h"
#include "processors.h"

#include <string.h>

static struct attention_sizes part_of(const struct attention_sizes *z, uint32_t first, uint32_t images)
{
    struct attention_sizes part = *z;
    part.batch = first + images < z->batch ? images : z->batch - first;
    return part;
}

enum { PANELLED = 11 }; /* of a partition's constants */

/* How the CPU-device kernels (shaders/lib/attention_tile_cpu.glsl) divide a pass. Scratch memory is for `images` at a
 * time, so that it does not grow with the batch and what the first half of the backward leaves is still in a cache when the
 * second reads it. */
struct partition {
    uint32_t constants[12];
    uint32_t tiles, rows; /* tiles of queries; keys of a tile */
    uint32_t images;
    uint64_t queries; /* in that many images: of whole tiles, in all heads */
};

/* Bytes of scratch memory: about what the processors' caches keep. With 16 MiB a processor instead of 1, two with 512 KiB
 * of second cache took 10 to 15 % longer for the backward; two with 2 MiB take 2 to 8 % less for a step with 4 than with 1, as
 * there are fewer dispatches. */
static uint64_t scratch_max(void)
{
    enum { PROCESSORS = 32 };
    const uint64_t least = 1 << 20, most = 4 << 20, twice = 2 * processor_second_cache();
    return processor_count(PROCESSORS) * (twice < least ? least : twice > most ? most : twice);
}

/* Tiles nearly as for products: 6 x 2 vectors where there are 16 registers of 256 bits, 8 x 2 where there are 32 of
 * 512; with 8 x 3 a fifth of the queries of 197 would be none. Turns are what was fastest of 24 to 99 steps. Scratch memory
 * has `floats` a query. */
static struct partition partition_of(const struct program *p, const struct attention_sizes *z,
                                     uint32_t floats)
{
    enum { VECTORS = 2 };
    const uint32_t lanes = engine_lanes(p->engine), keys = z->tokens - z->k_from, tile = VECTORS * lanes;
    const uint32_t rows = lanes == 16 ? 8 : 6, turn = lanes == 16 ? 66 : 48, d_turn = lanes == 16 ? 64 : 32;
    struct partition t = {.tiles = tiles(z->queries, tile), .rows = rows < z->width ? rows : z->width};
    const uint32_t constants[] = {z->width,
                                  0, /* STEP, which these do not use */
                                  z->heads,
                                  keys,
                                  z->queries,
                                  t.rows,
                                  VECTORS,
                                  keys / tiles(keys, turn),
                                  z->queries / tiles(z->queries, turn),
                                  z->width / tiles(z->width, d_turn),
                                  (uint32_t)engine_in_step(p->engine),
                                  0 /* PANELLED */};
    memcpy(t.constants, constants, sizeof constants);
    if (keys < t.rows)
        t.rows = keys;
    const uint64_t each = (uint64_t)z->heads * t.tiles * tile, images = scratch_max() / 4 / (each * floats);
    t.images = images < 1 ? 1 : images < z->batch ? (uint32_t)images : z->batch;
    t.queries = t.images * each;
    return t;
}

static void apply(struct work *w, const struct partition *t)
{
    memcpy(w->constants, t->constants, sizeof t->constants);
    w->constant_count = sizeof t->constants / sizeof *t->constants;
}

void attention_tiles_forward(struct program *p, const struct node *n, const struct attention_sizes *z,
                             struct ref out, struct ref lse)
{
    const uint32_t floats = z->width + z->tokens - z->k_from + 2;
    const struct partition t = partition_of(p, z, floats);
    const struct push_attention_tile push = {
        .tokens = z->tokens, .scale = z->scale, .q_from = z->q_from, .k_from = z->k_from};
    const struct ref qkv = program_value(p, n->in[0]),
                     weights = attention_scratch(p, "attention weights", t.queries * floats);
    const int64_t width = (int64_t)z->heads * z->width, rows = (int64_t)z->heads * z->queries;
    for (uint32_t first = 0; first < z->batch; first += t.images) {
        const struct attention_sizes part = part_of(z, first, t.images);
        const struct ref refs[] = {ref_at(qkv, first * 3 * width * z->tokens),
                                   ref_at(out, first * width * z->queries), ref_at(lse, first * rows),
                                   weights};
        const uint32_t groups[3] = {t.tiles, z->heads, part.batch};
        struct work *w =
            program_emit(p, SHADER_ATTENTION_TILE_CPU, &push, sizeof push, refs, 4, 2 | 4 | 8, groups);
        apply(w, &t);
        w->flops = attention_flops(&part, 2);
        w->bytes = attention_bytes(&part, 4, 4, 0);
    }
}

/* Each half's products are its own: the second reads the weights that the first left. */
void attention_tiles_back(struct program *p, value v, const struct node *n, const struct attention_sizes *z)
{
    const uint32_t of_weights = 2 * (z->tokens - z->k_from), of_panels = 2 * z->width + 1;
    struct partition t = partition_of(p, z, of_weights + of_panels);
    const struct push_attention_back_tile push = {.tokens = z->tokens,
                                                  .scale = z->scale,
                                                  .q_from = z->q_from,
                                                  .k_from = z->k_from,
                                                  .rows = z->batch * z->tokens};
    t.constants[PANELLED] = p->in_panels[v];
    const struct ref qkv = program_value(p, n->in[0]), out = program_value(p, n->in[1]),
                     lse = program_value(p, n->in[2]), d_out = program_value(p, n->in[3]),
                     weights = attention_scratch(p, "attention weights", t.queries * of_weights),
                     panels = attention_scratch(p, "attention panels", t.queries * of_panels),
                     d_qkv = program_value(p, v);
    const int64_t width = (int64_t)z->heads * z->width, rows = (int64_t)z->heads * z->queries;
    for (uint32_t first = 0; first < z->batch; first += t.images) {
        const struct attention_sizes part = part_of(z, first, t.images);
        const int64_t fused = first * 3 * width * z->tokens, result = first * width * z->queries;
        const int64_t d_fused = p->in_panels[v] ? (int64_t)first * z->tokens * PANEL : fused;
        const struct ref refs[] = {ref_at(qkv, fused),
                                   ref_at(out, result),
                                   ref_at(lse, first * rows),
                                   ref_at(d_out, result),
                                   weights,
                                   ref_at(d_qkv, d_fused),
                                   panels};
        const uint32_t by_query[3] = {t.tiles, z->heads, part.batch};
        const uint32_t by_key[3] = {tiles(z->tokens - z->k_from, t.rows), z->heads, part.batch};
        struct work *w = program_emit(p, SHADER_ATTENTION_BACK_Q_TILE_CPU, &push, sizeof push, refs, 7,
                                      64 | 32 | 16, by_query);
        apply(w, &t);
        w->flops = attention_flops(&part, 3);
        w->bytes = attention_bytes(&part, 4, 8, 4);
        w = program_emit(p, SHADER_ATTENTION_BACK_KV_TILE_CPU, &push, sizeof push, refs, 7, 32, by_key);
        apply(w, &t);
        w->flops = attention_flops(&part, 2);
        w->bytes = attention_bytes(&part, 4, 4, 8);
    }
}

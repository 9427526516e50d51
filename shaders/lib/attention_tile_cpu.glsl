// attention_tile_cpu.glsl - what the CPU-device attention kernels share: tiles computed as gemm_cpu.comp computes
// products, and scratch memory in which one stage leaves what the next reads.
//
// Queries stand along the lanes, Q = NR LANES of them in a tile, so that keys and values are uniform scalars and
// weights p[key][query] are at once what multiplies values (vectors of queries) and, with rows read as scalars,
// what multiplies queries (sums over a row). Each stage sums tiles of MR x NR vectors in registers.
#define IN_STEP_ID 11
#include "lanes.glsl"
#include "turns.glsl"

layout(constant_id = 3) const uint HEADS = 1;
layout(constant_id = 4) const uint KEYS = 1;
layout(constant_id = 5) const uint QUERIES = 1;
layout(constant_id = 6) const uint MR = 4;         // rows of a tile, even, at most D
layout(constant_id = 7) const uint NR = 2;         // vectors of a tile's row: two, which are stored as pairs
layout(constant_id = 8) const uint KEY_TURN = 8;   // keys in a turn of a loop over them
layout(constant_id = 9) const uint QUERY_TURN = 8; // queries, likewise
layout(constant_id = 10) const uint D_TURN = 8;    // columns, likewise
layout(constant_id = 12) const uint PANELLED = 0;  // 1: d_qkv is in panels of 16 columns, as products pack them; 16 divides D
#include "attention.glsl"

const uint KR = KEYS < MR ? KEYS : MR; // rows of a tile whose rows are keys
const uint Q = NR * LANES, TILES = (QUERIES + Q - 1u) / Q;
const uint PITCH = TILES * Q; // of a row of p or ds, in the backward
const uint WIDTH = HEADS * D, ROW = 3u * WIDTH;

#define FOR_ROWS(count) [[unroll]] for (uint i = 0u; i < (count); i++)
#define FOR_VECTORS [[unroll]] for (uint j = 0u; j < NR; j++)

// A row of scratch memory has the queries in order. A vector j of which lane l has query NR l + j can be stored
// with half the instructions, two neighbours at once as 64 bits. So that products come out in such PAIRED vectors,
// panels of queries are in that order: query QUERY_AT(m) is at place m.
#define PAIRED(j) (NR * lane + (j))
#define IN_ORDER(j) ((j) * LANES + lane)
#define QUERY_AT(m) ((m) % LANES * NR + (m) / LANES)

// A row of scratch memory from vectors of PAIRED queries.
void store_paired(RF p, float x[NR])
{
    store_pair(PAIR(p + 2u * lane), vec2(x[0], x[1]));
}

// What the lanes of a workgroup have stored can be loaded by the others of it.
#define STAGE_ENDS subgroupMemoryBarrierBuffer();

// acc[i][j] = sum over k < COUNT, of ROWS rows, of a[k A_STEP + i A_ROW] b[k B_STEP + j LANES + lane], TURN of k at a time;
// all are constants but the pointers.
#define ACCUMULATE_STEPS(ROWS, steps, a, A_STEP, A_ROW, b, B_STEP)                                        \
    {                                                                                               \
        RF ka = a + k * (A_STEP), kb = b + k * (B_STEP);                                            \
        [[unroll]] for (uint u = 0u; u < (steps); u++) {                                            \
            float y[NR];                                                                            \
            FOR_VECTORS y[j] = lane_load(kb + (u * (B_STEP) + j * LANES));                          \
            FOR_ROWS(ROWS) {                                                                        \
                float x = ka[u * (A_STEP) + i * (A_ROW)].v;                                         \
                FOR_VECTORS acc[i][j] = fma(x, y[j], acc[i][j]);                                    \
            }                                                                                       \
        }                                                                                           \
    }
#define ACCUMULATE(ROWS, COUNT, TURN, a, A_STEP, A_ROW, b, B_STEP)                                  \
    {                                                                                               \
        FOR_ROWS(ROWS) FOR_VECTORS acc[i][j] = 0.0;                                                 \
        [[dont_unroll]] for (uint turned = turns_from_0();;) {                                      \
            const uint k = next_turn(turned, TURN, COUNT);                                          \
            ACCUMULATE_STEPS(ROWS, TURN, a, A_STEP, A_ROW, b, B_STEP)                               \
            if (is_last_turn(k, TURN, COUNT))                                                       \
                break;                                                                              \
        }                                                                                           \
        if ((COUNT) % (TURN) != 0u) {                                                               \
            const uint k = (COUNT) / (TURN) * (TURN);                                               \
            ACCUMULATE_STEPS(ROWS, (COUNT) % (TURN), a, A_STEP, A_ROW, b, B_STEP)                       \
        }                                                                                           \
    }

// panel[d][m] = factor p[row of the tile's query QUERY_AT(m)][d], rows `stride` apart; queries beyond the last
// repeat it.
#define LOAD_PANEL(panel, p, first, stride, factor)                                        \
    {                                                                                      \
        RF row[NR];                                                                        \
        FOR_VECTORS row[j] = p + min((first) + QUERY_AT(PAIRED(j)), QUERIES - 1u) * (stride); \
        [[dont_unroll]] for (uint d = 0u; d < D; d += 2u) {                                                \
            float x[NR], y[NR];                                                            \
            FOR_VECTORS {                                                                  \
                vec2 pair = load_pair(PAIR(row[j] + d)) * (factor);                        \
                x[j] = pair.x;                                                             \
                y[j] = pair.y;                                                             \
            }                                                                              \
            store_paired((panel) + d * Q, x);                                              \
            store_paired((panel) + (d + 1u) * Q, y);                                       \
            if (d + 2u >= D)                                                               \
                break;                                                                     \
        }                                                                                  \
    }

// Writes columns d to d + MR - 1 of the tile's queries IN_ORDER, which follow `first`, times factor[j]; `to` is
// where row t of column d goes.
#define STORE_COLUMNS(to, first, factor)                                                       \
    FOR_VECTORS {                                                                              \
        const uint t = (first) + IN_ORDER(j);                                                  \
        if (t < QUERIES)                                                                       \
            [[unroll]] for (uint i = 0u; i < MR; i += 2u)                                      \
                store_pair(PAIR((to) + i), vec2(acc[i][j], acc[i + 1u][j]) * factor[j]);       \
    }

// Column `column` of d_qkv in row `row` of `rows`, and what is between two rows there.
#define STEP_OF_ROWS (PANELLED != 0u ? 16u : ROW)
RF place_of(RF d_qkv, uint row, uint column, uint rows)
{
    return d_qkv + (PANELLED != 0u ? column / 16u * (16u * rows) + row * 16u + column % 16u : row * ROW + column);
}

// Zeros for a head's D columns from `column` on, in the rows from `first` to before `end`.
void clear(RF d_qkv, uint column, uint rows, uint first, uint end)
{
    [[dont_unroll]] for (uint row = first; row < end; row++)
        for (uint d = lane; d < D; d += LANES)
            place_of(d_qkv, row, column + d, rows).v = 0.0;
}

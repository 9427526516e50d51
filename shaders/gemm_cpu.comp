// gemm_cpu.comp - matrix product for a CPU device: lib/gemm.glsl has the formula and the arguments.
//
// One subgroup computes an MR x (NR LANES) tile of C in registers: rows of A as uniform scalars, columns
// of B along the lanes. Where strides are KNOWN when compiling, every address in the loop is a pointer plus
// a constant, and the last tile is moved up to end at row M (its rows are computed twice, to the same
// values, so C must not be `residual`). Else rows beyond M repeat row M - 1. Columns beyond N are not stored.
// Grid, with a = ceil(N / (NR LANES)) and d = ceil(M / MR): (a, d, batch); where the tiles go DOWN the rows first,
// (d, a, batch); where they do so in blocks of h tiles, (h, a, ceil(d / h)), and there is no batch. Where strides are
// known, a workgroup is a TEAM of subgroups, which are so many tiles of the first dimension, and the grid's is divided
// by that; surplus tiles repeat the last.
#version 450
#extension GL_GOOGLE_include_directive : require
#define TEAM_ID 12
#define IN_STEP_ID 13
#include "lanes.glsl"
#include "turns.glsl"
#include "gemm.glsl"

layout(constant_id = 3) const uint A_UNIT = 0; // 0: a_col is 1; 1: a_row is 1; 2: neither; 3: A transposed is
                                               // in panels of 16 rows, a_row apart, and MR divides 16 and M
layout(constant_id = 4) const uint MR = 16;
layout(constant_id = 5) const uint NR = 1;
layout(constant_id = 6) const uint KU = 16;    // steps of k in a turn of the loop
// Where they are known when compiling, which lets addresses be constants: all or none of them. Then A_UNIT is
// not 2, M at least MR and C_ROW is N.
layout(constant_id = 7) const uint A_ROW = 0;  // a_row; with A_UNIT 1 a_col; with A_UNIT 3 the panel's 16
layout(constant_id = 8) const uint B_ROW = 0;  // b_row
layout(constant_id = 9) const uint C_ROW = 0;  // c_row
layout(constant_id = 10) const uint DEPTH = 0; // K
layout(constant_id = 11) const uint DOWN = 0;  // 1: the grid's first dimension goes down the rows; 2: in blocks
// Which matrices are in panels, [columns / 16][M][16], though not packed for this product: the sum of the next three. Then
// strides are known and there is no batch; KU is a multiple of 16 for A, and for the others a tile is whole panels.
layout(constant_id = 14) const uint PANELLED = 0;
const uint PANELLED_A = 1, PANELLED_C = 2, PANELLED_PRE = 4;
// Steps of a second product, of second_a [M][SECOND] and second_b in panels: second_alpha times it is added to alpha times
// the first. 0: there is none. Else strides are known, and every vector is inside C.
layout(constant_id = 15) const uint SECOND = 0;

const bool KNOWN = A_ROW != 0u;
const bool A_PANELS = (PANELLED & PANELLED_A) != 0u, C_PANELS = (PANELLED & PANELLED_C) != 0u,
           PRE_PANELS = (PANELLED & PANELLED_PRE) != 0u;
const uint REST = C_ROW % (NR * LANES); // 0: every vector is inside C

#define FOR_ROWS [[unroll]] for (uint i = 0u; i < MR; i++)
#define FOR_VECTORS [[unroll]] for (uint j = 0u; j < NR; j++)

// `steps` of k, from k on. Only k is carried from turn to turn: lavapipe keeps what a loop carries in
// vectors. A pointer moves once a turn, by k; everything else is a constant offset where strides are known.
#define STEPS(steps)                                                                        \
    {                                                                                       \
        RF ka[steps / 16u + 1u], kb[NR];                                                    \
        [[unroll]] for (uint h = 0u; h <= steps / 16u; h++)                                 \
            ka[h] = pa[0] + (A_PANELS                ? (k + 16u * h) * M                    \
                             : KNOWN && A_UNIT != 0u ? k * A_ROW                            \
                                                     : k);                                  \
        FOR_VECTORS kb[j] = pb[j] + k * b_step;                                             \
        [[unroll]] for (uint u = 0u; u < steps; u++) {                                      \
            float y[NR];                                                                    \
            FOR_VECTORS y[j] = lane_load(kb[j] + u * b_step);                               \
            FOR_ROWS {                                                                      \
                float x = A_PANELS       ? ka[u / 16u][u % 16u + i * 16u].v                 \
                          : KNOWN        ? ka[0][A_UNIT == 0u ? u + i * A_ROW : u * A_ROW + i].v \
                          : A_UNIT == 1u ? pa[0][(k + u) * a_col + i].v                     \
                                         : pa[i][A_UNIT == 0u ? k + u : (k + u) * a_col].v; \
                FOR_VECTORS acc[i][j] = fma(x, y[j], acc[i][j]);                            \
            }                                                                               \
        }                                                                                   \
    }

// A processor keeps some tens of stores until their cache lines are there, and then stands still: for 9 % of a product of
// K = 192 whose C is not in its caches. So each turn stores a zero to the lines of some of the tile's rows, which asks for
// them and which the end overwrites. Where there are many turns to a tile that costs more than it saves. In panels the
// tile's lines follow each other, and those of the tile before: no need to ask. Steps with vectors of 16 lanes took 1 to 3 %
// longer with it.
const bool TOUCH = LANES == 8u && IN_STEP != 0u && KNOWN && REST == 0u && DEPTH <= 2u * MR * KU;

// `to` and `kept`: the tile's first element in C and in pre.
void touch(RF to, RF kept, uint turn)
{
    const uint turns = max(DEPTH / KU, 1u), rows = (MR + turns - 1u) / turns; // of each turn
    [[unroll]] for (uint i = 0u; i < MR; i++)
        if (i < rows) {
            const uint at = min(turn * rows + i, MR - 1u) * C_ROW;
            if (!C_PANELS)
                to[at].v = 0.0;
            if ((EPILOGUE & EPILOGUE_PRE) != 0u && !PRE_PANELS)
                kept[at].v = 0.0;
        }
}

// What follows the sum alpha x + shift; `kept` and `added` are where its vector stands in the epilogue's operands.
float epilogue(float x, RF kept, RF added)
{
    if ((EPILOGUE & EPILOGUE_ACT) != 0u)
        x = unary(ACT, x);
    if ((EPILOGUE & EPILOGUE_BACK) != 0u)
        x *= unary_derivative(ACT, lane_load(kept));
    if ((EPILOGUE & EPILOGUE_RESIDUAL) != 0u)
        x += lane_load(added);
    return x;
}

// Where a row's vector j stands behind its first.
uint along(uint j, bool in_panels)
{
    const uint at = j * LANES;
    return in_panels ? at / 16u * (16u * M) + at % 16u : at;
}

// A row of a tile whose vectors are all inside C; of 8 lanes, two vectors at a time.
void store_row(RF to, bool in_panels, float x[NR])
{
    const uint pairs = LANES == 8u ? NR / 2u : 0u;
    [[unroll]] for (uint j = 0u; j < pairs; j++)
        lane_store2(to + along(2u * j, in_panels), x[2u * j], x[2u * j + 1u]);
    [[unroll]] for (uint j = 2u * pairs; j < NR; j++)
        lane_store(to + along(j, in_panels), x[j]);
}

void main()
{
    uvec2 tile = gl_WorkGroupID.xy;
    if (DOWN == 2u)
        tile.x += gl_WorkGroupID.z * gl_NumWorkGroups.x;
    tile.x = tile.x * TEAM + team_member;
    if (DOWN != 0u)
        tile = tile.yx;
    else if (TEAM != 1u)
        tile.x = min(tile.x, (N - 1u) / (NR * LANES));
    const uint z = DOWN == 2u ? 0u : gl_WorkGroupID.z, col = tile.x * (NR * LANES);
    const uint row = KNOWN ? min(tile.y * MR, M - MR) : tile.y * MR;
    const uint b_step = KNOWN ? B_ROW : b_row;
    RF pa[MR], pb[NR];
    float acc[MR][NR];
    FOR_ROWS {
        pa[i] = a + z * a_batch
                + (A_UNIT == 3u   ? row / 16u * a_row + row % 16u
                   : A_UNIT == 1u ? row + (KNOWN ? 0u : i)
                   : A_PANELS     ? row * 16u
                                  : (KNOWN ? row * A_ROW : min(row + i, M - 1u) * a_row));
        FOR_VECTORS acc[i][j] = 0.0;
    }
    FOR_VECTORS {
        uint n = min(col + j * LANES, (N - 1u) / LANES * LANES);
        pb[j] = b + z * b_batch + ((n / 16u) * b_panel + n % 16u);
    }

    uint k = 0u;
    if (KNOWN) {
        const uint first = z * c_batch + row * C_ROW + col; // asked for here: in the loop, c and pre were loaded each turn
        RF to = c + first, kept = pre + first;
        for (uint counted = turns_from_0();;) {
            const uint k = next_turn(counted, KU, DEPTH);
            if (TOUCH && lane == 0u)
                touch(to, kept, k / KU);
            STEPS(KU)
            if (is_last_turn(k, KU, DEPTH))
                break;
        }
        k = DEPTH / KU * KU;
    } else {
        WHILE(k + KU <= K, STEPS(KU) k += KU;)
    }
    if (KNOWN && DEPTH % KU != 0u)
        STEPS(DEPTH % KU)
    if (!KNOWN)
        WHILE(k < K, STEPS(1u) k++;)

    if (!KNOWN && A_UNIT == 1u) // A was read past row M - 1: those rows become copies of it after all
        [[unroll]] for (uint i = 1u; i < MR; i++)
            FOR_VECTORS acc[i][j] = mix(acc[i - 1u][j], acc[i][j], row + i < M);

    if (SECOND != 0u) {
        FOR_ROWS FOR_VECTORS acc[i][j] *= alpha;
        RF rows = second_a + row * SECOND, panel[NR];
        FOR_VECTORS {
            const uint n = col + j * LANES;
            panel[j] = second_b + (n / 16u * (16u * SECOND) + n % 16u);
        }
        [[unroll]] for (uint u = 0u; u < SECOND; u++) {
            float y[NR];
            FOR_VECTORS y[j] = lane_load(panel[j] + u * 16u);
            FOR_ROWS {
                const float x = second_alpha * rows[i * SECOND + u].v;
                FOR_VECTORS acc[i][j] = fma(x, y[j], acc[i][j]);
            }
        }
    }

    float shift[NR];
    FOR_VECTORS {
        const uint n = col + j * LANES;
        shift[j] = (EPILOGUE & EPILOGUE_BIAS) != 0u ? lane_load(bias + (z * bias_batch + n)) : 0.0;
    }
    if (KNOWN && REST == 0u) {
        const uint in_rows = z * c_batch + row * C_ROW + col, in_panel = col * M + row * 16u;
        const uint c_step = C_PANELS ? 16u : C_ROW, pre_step = PRE_PANELS ? 16u : C_ROW;
        RF top = c + (C_PANELS ? in_panel : in_rows), kept = pre + (PRE_PANELS ? in_panel : in_rows),
           added = residual + in_rows;
        FOR_ROWS {
            FOR_VECTORS acc[i][j] = SECOND != 0u ? acc[i][j] + shift[j] : fma(alpha, acc[i][j], shift[j]);
            if ((EPILOGUE & EPILOGUE_PRE) != 0u)
                store_row(kept + i * pre_step, PRE_PANELS, acc[i]);
            FOR_VECTORS {
                RF kept_at = kept + (i * pre_step + along(j, PRE_PANELS)), added_at = added + (i * C_ROW + j * LANES);
                acc[i][j] = epilogue(acc[i][j], kept_at, added_at);
            }
        }
        FOR_ROWS store_row(top + i * c_step, C_PANELS, acc[i]);
        return;
    }
    FOR_VECTORS {
        const uint n = col + j * LANES;
        const bool inside = n + lane < N;
        RF to[MR];
        FOR_ROWS {
            const uint r = KNOWN ? row + i : min(row + i, M - 1u),
                       at = z * c_batch + r * (KNOWN ? C_ROW : c_row) + n;
            to[i] = c + at;
            acc[i][j] = fma(alpha, acc[i][j], shift[j]);
            if ((EPILOGUE & EPILOGUE_PRE) != 0u && inside)
                lane_store(pre + at, acc[i][j]);
            acc[i][j] = epilogue(acc[i][j], pre + at, residual + at);
        }
        if (inside) // addresses are scalars only outside the branch
            FOR_ROWS lane_store(to[i], acc[i][j]);
    }
}

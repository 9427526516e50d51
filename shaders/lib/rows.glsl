// rows.glsl - loops of one subgroup over the N columns of a row, for any N.
//
// EACH_COLUMN(N, BODY) runs BODY for every LANES columns, four at a time while they last. BODY sees `at`,
// the first column, and `inside`, whether this lane's column at + lane exists; what lanes outside load is
// garbage that must not be kept.
#include "lanes.glsl"

#define EACH_COLUMN(N, BODY)                                    \
    {                                                           \
        uint column = 0u;                                       \
        WHILE(column + 4u * LANES <= N,                         \
            [[unroll]] for (uint u = 0u; u < 4u; u++) {         \
                const uint at = column + u * LANES;             \
                const bool inside = true;                       \
                BODY                                            \
            }                                                   \
            column += 4u * LANES;                               \
        )                                                       \
        WHILE(column < N,                                       \
            const uint at = column;                             \
            const bool inside = at + lane < N;                  \
            BODY                                                \
            column += LANES;                                    \
        )                                                       \
    }

// x where the column exists, else 0 (a select: garbage, even NaN, is dropped)
#define KEEP(x) mix(0.0, x, inside)
#define STORE(p, x) if (inside) lane_store(p, x);

const uint ROWS_PER_GROUP = 4; // grid x is ceil(rows / ROWS_PER_GROUP)
#define EACH_ROW(row, rows)                                              \
    const uint first_row = gl_WorkGroupID.x * ROWS_PER_GROUP;            \
    const uint end_row = min(first_row + ROWS_PER_GROUP, rows);          \
    for (uint row = first_row; row < end_row; row++)

// or, faster, all of them in every turn of a loop over columns; rows past the end repeat the last one
#define FOR_ROWS [[unroll]] for (uint i = 0u; i < ROWS_PER_GROUP; i++)
#define ROW_BASE(i, rows, N) (min(gl_WorkGroupID.x * ROWS_PER_GROUP + i, rows - 1u) * N)

// rows.glsl - loops of one subgroup over the N columns of a row, for any N.
//
// EACH_COLUMN(N, BODY) runs BODY for every LANES columns, several at a time while they last. BODY sees `at`,
// the first column, and `inside`, whether this lane's column at + lane exists; what lanes outside load is
// garbage that must not be kept. A kernel with a KNOWN_ID has a constant KNOWN, which is N, or 0 where that is known
// only when it runs; `half_of_pair` then says how STORE_ROW may store.
#include "lanes.glsl"

#include "turns.glsl"
#ifdef KNOWN_ID
layout(constant_id = KNOWN_ID) const uint KNOWN = 0;
#else
const uint KNOWN = 0;
#endif
const uint VECTORS_A_TURN = KNOWN > 0u ? 8u : 4u; // with more of them SwiftShader's stack overflows
#define COLUMN_TURN (VECTORS_A_TURN * LANES)
#define EACH_COLUMN(N, BODY)                                                               \
    {                                                                                      \
        const uint columns = KNOWN != 0u ? KNOWN : N, whole = columns / COLUMN_TURN * COLUMN_TURN; \
        if (whole > 0u)                                                                    \
            [[dont_unroll]] for (uint turned = turns_from_0();;) {                         \
                const uint column = next_turn(turned, COLUMN_TURN, whole);                 \
                [[unroll]] for (uint u = 0u; u < VECTORS_A_TURN; u++) {                    \
                    const uint at = column + u * LANES;                                    \
                    const bool inside = true;                                              \
                    const uint half_of_pair = KNOWN > 0u && KNOWN % 2u == 0u ? u % 2u + 1u : 0u; \
                    BODY                                                                   \
                }                                                                          \
                if (is_last_turn(column, COLUMN_TURN, whole))                              \
                    break;                                                                 \
            }                                                                              \
        uint at = whole;                                                                   \
        WHILE(at < columns,                                                                \
            const bool inside = at + lane < columns;                                       \
            const uint half_of_pair = 0u;                                                  \
            BODY                                                                           \
            at += LANES;                                                                   \
        )                                                                                  \
    }

// x where the column exists, else 0 (a select: garbage, even NaN, is dropped)
#define KEEP(x) mix(0.0, x, inside)
#define STORE(p, x) if (inside) lane_store(p, x);
// the vector x of the row p at column `at`; of a pair the first is held, and stored with the second (lane_store2)
#define STORE_ROW(p, x, held)                     \
    if (half_of_pair == 1u) {                     \
        held = x;                                 \
    } else if (half_of_pair == 2u) {              \
        lane_store2((p) + (at - LANES), held, x); \
    } else {                                      \
        STORE((p) + at, x)                        \
    }

const uint ROWS_PER_GROUP = 4; // grid x is ceil(rows / (ROWS_PER_GROUP TEAM))
#define EACH_ROW(row, rows)                                              \
    const uint first_row = gl_WorkGroupID.x * ROWS_PER_GROUP;            \
    const uint end_row = min(first_row + ROWS_PER_GROUP, rows);          \
    for (uint row = first_row; row < end_row; row++)

// or, faster, all of them in every turn of a loop over columns; rows past the end repeat the last one
#define FOR_ROWS [[unroll]] for (uint i = 0u; i < ROWS_PER_GROUP; i++)
#define ROW_BASE(i, rows, N) \
    (min((gl_WorkGroupID.x * TEAM + team_member) * ROWS_PER_GROUP + i, rows - 1u) * N)

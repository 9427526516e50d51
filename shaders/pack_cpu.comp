// pack_cpu.comp - a matrix B [K][N] into panels of 16 columns, [ceil(N / 16)][K][16], zeros beyond N.
//
// The matrix is of floats, which are rounded to NUMBER, or (HALVES) kept as such halves. B[k][n] is
// from[k k_stride + n n_stride], so a weight stored as [N][K] is packed as its transpose. EVEN: floats are packed, 16
// divides N, and K is at least STEPS; 1: rows (n_stride is 1), in vectors that divide 16; 2: columns (k_stride is 1), by
// 8 lanes, STEPS and K being multiples of 8. A long STEPS is for columns, which are read along k.
// Grid: (ceil(N / 16), ceil(K / STEPS), batch); any subgroup size.
#version 450
#extension GL_GOOGLE_include_directive : require
#define IN_STEP_ID 4
#include "lanes.glsl"
#include "number.glsl"
#include "turns.glsl"

layout(constant_id = 1) const uint NUMBER = 0;
layout(constant_id = 2) const uint HALVES = 0;
layout(constant_id = 3) const uint EVEN = 0;
layout(constant_id = 5) const uint STEPS = 64; // of k, of a workgroup
const uint TURN = 8u;                          // and of a turn
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RU { uint v; };
const uint VECTORS = LANES < 16u ? 16u / LANES : 1u; // of a panel's row

layout(push_constant) uniform Push {
    RF from, panels;
    uint N, K;
    uint k_stride, n_stride;
    uint from_batch, panels_batch;
};

const uint ROWS = LANES == 16u ? 2u : 1u; // that are packed at once

// ROWS rows of 16 floats, `apart`, as pairs, one a lane: loaded as floats, lavapipe would put each pair together anew.
void copy_rows(RF to, RF rows, uint apart)
{
    PAIR pairs = PAIR(rows), next = PAIR(rows + apart);
    uint64_t x = pairs[0].bits;
    [[unroll]] for (uint l = 1u; l < LANES; l++) {
        const uint64_t y = l < 8u ? pairs[l].bits : next[l - 8u].bits;
        x = lane_is[l] ? y : x;
    }
    PAIR(to)[lane].bits = x;
}

void pack_rows(RF to, RF rows, uint apart)
{
    if (NUMBER == NUMBER_FP32 && (LANES == 8u || LANES == 16u)) {
        copy_rows(to, rows, apart);
        return;
    }
    [[unroll]] for (uint u = 0u; u < ROWS; u++) {
        float x[VECTORS];
        [[unroll]] for (uint j = 0u; j < VECTORS; j++)
            x[j] = rounded(NUMBER, lane_load(rows + u * apart + j * LANES));
        if (VECTORS == 2u)
            lane_store2(to + u * 16u, x[0], x[VECTORS - 1u]);
        else
            [[unroll]] for (uint j = 0u; j < VECTORS; j++)
                lane_store(to + u * 16u + j * LANES, x[j]);
    }
}

// x[i][lane] becomes x[lane][i]: three times, halves change places. The shuffles are known when compiling. (A build for
// devices without them is never told to pack columns.)
void turn_around(inout float x[8])
{
#ifndef PLAIN
    [[unroll]] for (uint s = 4u; s > 0u; s /= 2u)
        [[unroll]] for (uint i = 0u; i < 8u; i++)
            if ((i & s) == 0u) {
                const float low = x[i], high = x[i + s];
                x[i] = mix(low, subgroupShuffleXor(high, s), (lane & s) != 0u);
                x[i + s] = mix(subgroupShuffleXor(low, s), high, (lane & s) != 0u);
            }
#endif
}

// Eight steps of k of a panel of columns that lie along k. Vectors of 16 lanes would be shuffled lane by lane; each lane reads
// pairs of its own column instead.
void pack_across(RF to, RF columns)
{
    if (LANES == 16u) {
        RF column = columns + lane * n_stride;
        [[unroll]] for (uint k = 0u; k < 8u; k += 2u) {
            const vec2 x = load_pair(PAIR(column + k));
            lane_store(to + k * 16u, rounded(NUMBER, x.x));
            lane_store(to + (k + 1u) * 16u, rounded(NUMBER, x.y));
        }
        return;
    }
    float x[2][8];
    [[unroll]] for (uint h = 0u; h < 2u; h++) {
        [[unroll]] for (uint n = 0u; n < 8u; n++)
            x[h][n] = rounded(NUMBER, lane_load(columns + (8u * h + n) * n_stride));
        turn_around(x[h]);
    }
    [[unroll]] for (uint k = 0u; k < 8u; k++)
        lane_store2(to + k * 16u, x[0][k], x[1][k]);
}

void main()
{
    RF panel = panels + gl_WorkGroupID.z * panels_batch + gl_WorkGroupID.x * (16u * K);
    if (EVEN != 0u) { // the last workgroup starts early enough to be whole
        const uint first = min(gl_WorkGroupID.y * STEPS, K - STEPS);
        RF rows = from + (gl_WorkGroupID.z * from_batch + gl_WorkGroupID.x * 16u),
           columns = from + (gl_WorkGroupID.z * from_batch + gl_WorkGroupID.x * 16u * n_stride);
        for (uint turned = turns_from_0();;) {
            const uint k = first + next_turn(turned, TURN, STEPS);
            if (EVEN == 2u)
                pack_across(panel + k * 16u, columns + k);
            else
                [[unroll]] for (uint u = 0u; u < TURN; u += ROWS)
                    pack_rows(panel + (k + u) * 16u, rows + (k + u) * k_stride, k_stride);
            if (is_last_turn(k - first, TURN, STEPS))
                break;
        }
        return;
    }
    const uint first = gl_WorkGroupID.y * STEPS, end = min(first + STEPS, K);
    if (HALVES == 0u && n_stride == 1u && 16u % LANES == 0u) { // rows to rows: vector loads, no gathers
        const uint columns = gl_WorkGroupID.x * 16u;
        RF rows = from + gl_WorkGroupID.z * from_batch + columns;
        for (uint k = first; k < end; k++) {
            float x[VECTORS];
            [[unroll]] for (uint j = 0u; j < VECTORS; j++) {
                const uint n = j * LANES;
                x[j] = 0.0;
                if (columns + n < N) // the same in all lanes
                    x[j] = mix(0.0, rounded(NUMBER, lane_load(rows + k * k_stride + n)), columns + n + lane < N);
            }
            if (LANES == 8u)
                lane_store2(panel + k * 16u, x[0], x[VECTORS - 1u]);
            else
                [[unroll]] for (uint j = 0u; j < VECTORS; j++)
                    lane_store(panel + k * 16u + j * LANES, x[j]);
        }
        return;
    }
    for (uint i = first * 16u + lane; i < end * 16u; i += LANES) {
        uint k = i / 16u, n = gl_WorkGroupID.x * 16u + i % 16u;
        uint at = gl_WorkGroupID.z * from_batch + k * k_stride + min(n, N - 1u) * n_stride;
        float x;
        if (HALVES != 0u)
            x = widen2(NUMBER, RU(from)[at / 2u].v >> 16u * (at % 2u)).x;
        else
            x = rounded(NUMBER, from[at].v);
        panel[i].v = n < N ? x : 0.0;
    }
}

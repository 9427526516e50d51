// attention_gpu.glsl - the GPU attention kernels' workgroup, tiles and loops.
//
// GROUP invocations stand in TY rows of TX (a row lies within a subgroup) and own BQ = ROWS TY rows, which
// stay in shared memory; the other side passes through it STEP = 4 TX rows at a time. Invocation (tx, ty) has
// rows ty + i TY of the owned tile, and of every other tile rows tx + j TX; of sums with D columns it has the
// vectors tx + c TX. Shared rows are an odd number of vectors apart, so that neither way of reading a tile
// meets a bank twice. What is to be loaded next is fetched to registers before the work on what is there.
//
// Constants are chosen by core/run/attention_tile.c.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(constant_id = 0) const uint LANES = 8;
layout(constant_id = 3) const uint GROUP = 64;
layout(constant_id = 4) const uint ROWS = 4;
layout(local_size_x_id = 3, local_size_y = 1, local_size_z = 1) in;
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RF { float v; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer R4 { vec4 v; };
#include "attention.glsl"

const uint TX = STEP / 4, TY = GROUP / TX, BQ = ROWS * TY;
const uint DV = (D + 3) / 4;                             // vectors of a row, the last one filled up with zeros
const uint PITCH = DV + 1 - DV % 2;                      // of a shared row, in vectors
const uint W_PITCH = TX + 1;                             // of a row of weights (TX is even)
const uint COLUMNS = (DV + TX - 1) / TX;                 // an invocation's share of a row, in vectors
const uint FETCH = (STEP * DV + GROUP - 1) / GROUP;      // an invocation's share of a tile, in vectors
layout(constant_id = 5) const uint UNROLL = 1; // a divisor of DV

#define FOR_ROWS [[unroll]] for (uint i = 0u; i < ROWS; i++)
#define FOR_4 [[unroll]] for (uint j = 0u; j < 4u; j++)
#define FOR_COLUMNS [[unroll]] for (uint c = 0u; c < COLUMNS; c++)

// The order of invocations that puts a row of TX into one subgroup, whatever the driver's own is.
#define me (gl_SubgroupID * LANES + gl_SubgroupInvocationID)
#define tx (me % TX)
#define ty (me / TX)

vec4 row_load(RF row, uint c)
{
    if (D % 4u == 0u)
        return R4(row)[c].v;
    vec4 x = vec4(0.0);
    [[unroll]] for (uint n = 0u; n < 4u; n++)
        if (4u * c + n < D)
            x[n] = row[4u * c + n].v;
    return x;
}

void row_store(RF row, uint c, vec4 x)
{
    if (D % 4u == 0u) {
        if (c < DV)
            R4(row)[c].v = x;
        return;
    }
    [[unroll]] for (uint n = 0u; n < 4u; n++)
        if (4u * c + n < D)
            row[4u * c + n].v = x[n];
}

float dot_add(vec4 x, vec4 y, float sum)
{
    return fma(x.w, y.w, fma(x.z, y.z, fma(x.y, y.y, fma(x.x, y.x, sum))));
}

// over the TX invocations of a row, the same in all of them
float row_add(float x)
{
    [[unroll]] for (uint n = 1u; n < TX; n *= 2u)
        x += subgroupShuffleXor(x, n);
    return x;
}

float row_max(float x)
{
    [[unroll]] for (uint n = 1u; n < TX; n *= 2u)
        x = max(x, subgroupShuffleXor(x, n));
    return x;
}

// `count` rows from `first` on of a matrix of `total` rows, `stride` floats apart, times factor; rows beyond
// repeat the last one
#define LOAD_OWN(tile, p, stride, first, total, factor)                                                 \
    for (uint e = me; e < BQ * DV; e += GROUP)                                                          \
        tile[e / DV * PITCH + e % DV] =                                                                 \
            row_load((p) + min((first) + e / DV, (total) - 1u) * (stride), e % DV) * (factor);

// STEP rows from `first` on, to registers, and from there to shared memory
#define FETCH_TILE(to, p, stride, first, total)                                                         \
    [[unroll]] for (uint n = 0u; n < FETCH; n++) {                                                      \
        const uint e = min(me + n * GROUP, STEP * DV - 1u);                                             \
        to[n] = row_load((p) + min((first) + e / DV, (total) - 1u) * (stride), e % DV);                 \
    }
#define PUT_TILE(tile, from)                                                                            \
    [[unroll]] for (uint n = 0u; n < FETCH; n++) {                                                      \
        const uint e = me + n * GROUP;                                                                  \
        if (STEP * DV % GROUP == 0u || e < STEP * DV)                                                   \
            tile[e / DV * PITCH + e % DV] = from[n];                                                    \
    }

// s[i][j] = the product of owned row ty + i TY and the other's row tx + j TX
#define SCORES(s, own, other)                                                                           \
    FOR_ROWS FOR_4 s[i][j] = 0.0;                                                                       \
    [[dont_unroll]] for (uint d = 0u; d < DV; d += UNROLL)                                              \
        [[unroll]] for (uint u = 0u; u < UNROLL; u++) {                                                 \
            vec4 y[4];                                                                                  \
            FOR_4 y[j] = other[(tx + j * TX) * PITCH + d + u];                                          \
            FOR_ROWS {                                                                                  \
                vec4 x = own[(ty + i * TY) * PITCH + d + u];                                            \
                FOR_4 s[i][j] = dot_add(x, y[j], s[i][j]);                                              \
            }                                                                                           \
        }

// weights of the owned rows and the other's first `count`, kept for WEIGH_UP; read by the same subgroup
#define KEEP_WEIGHTS(w) FOR_ROWS weights[(ty + i * TY) * W_PITCH + tx] = vec4(w[i][0], w[i][1], w[i][2], w[i][3]);
#define WEIGH_UP(sum, other, count)                                                                     \
    [[dont_unroll]] for (uint m = 0u; m < min(TX, count); m++) {                                        \
        vec4 w[ROWS];                                                                                   \
        FOR_ROWS w[i] = weights[(ty + i * TY) * W_PITCH + m];                                           \
        FOR_4 FOR_COLUMNS {                                                                             \
            const vec4 y = other[(m + j * TX) * PITCH + min(tx + c * TX, DV - 1u)];                     \
            FOR_ROWS sum[i][c] = fma(vec4(w[i][j]), y, sum[i][c]);                                      \
        }                                                                                               \
    }
#define STORE_SUM(row, sum, factor) FOR_COLUMNS row_store(row, tx + c * TX, sum[i][c] * (factor));

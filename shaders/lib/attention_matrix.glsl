// attention_matrix.glsl - the attention kernels' workgroup on the matrix units of subgroups. Operands of products
// are of the one type of 16 bits, which is fp16, or bf16 in the twin of core/run/bfloat_module.c; sums are fp32.
//
// A subgroup owns MM rows, a workgroup of GROUP invocations BQ, which stay in shared memory (in registers they would
// take RADV three times their size); the other side passes through it, STEP rows at a time. What an invocation holds of
// a matrix is the driver's affair, so that sums become operands by way of the subgroup's part of `stash`: lane l has row
// l % MM there, and of its STEP numbers every SHARES-th eight. First they lie in it as floats, then, in the first half of each row, rounded. A number per
// row (or per column) becomes a matrix by being loaded with a stride of 0.
//
// qkv, gradients and what is written may be stored as those 16 bits, two in a word; addresses count words: `n >> half`.
//
// core/run/attention_matrix.c chooses the constants: D is a multiple of NN and KK, STEP of NN, KK and 8 SHARES, all
// of these of 8, LANES of MM; NN and KK are at most STEP.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(constant_id = 0) const uint LANES = 32;
layout(constant_id = 3) const uint GROUP = 128;
layout(constant_id = 4) const uint MM = 16; // a matrix: MM x KK times KK x NN
layout(constant_id = 5) const uint NN = 16;
layout(constant_id = 6) const uint KK = 16;
layout(constant_id = 7) const uint UNROLL = 1; // matrices of keys (or queries) that are multiplied at a time
layout(constant_id = 8) const uint SKIPS = 0;  // subgroups that own no row do nothing; not where they would be waited for
layout(constant_id = 9) const uint QKV_HALF = 0;    // 1: it is stored as 16 bits
layout(constant_id = 10) const uint D_OUT_HALF = 0; // likewise
layout(constant_id = 11) const uint NUMBER = 0;     // other than fp32: what is written is stored as NUMBER
layout(local_size_x_id = 3, local_size_y = 1, local_size_z = 1) in;
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RF { float v; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer R4 { vec4 v; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer RU4 { uvec4 v; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer RU2 { uvec2 v; };
#include "number.glsl"
#include "attention.glsl"

const uint BQ = GROUP / LANES * MM, SHARES = LANES / MM;
const uint EIGHTS = D / 8, PITCH = EIGHTS + 1 - EIGHTS % 2; // of a row of a tile, in eights of 16 bytes; odd
const uint S_PITCH = STEP / 4 + 1;                          // of a row of the stash, in fours of floats; odd
const uint FETCH = (STEP * EIGHTS + GROUP - 1) / GROUP;     // an invocation's share of a tile, in eights
const uint DEPTH = D / KK, ACROSS = D / NN, KEYS = STEP / NN, PARTS_OF_ROW = STEP / 8 / SHARES;
const uint QKV_PIECES = 2 - QKV_HALF, D_OUT_PIECES = 2 - D_OUT_HALF; // of 16 bytes, of eight numbers in memory
const uint STORED_HALF = NUMBER == NUMBER_FP32 ? 0 : 1;

#define Left coopmat<float16_t, gl_ScopeSubgroup, MM, KK, gl_MatrixUseA>
#define Right coopmat<float16_t, gl_ScopeSubgroup, KK, NN, gl_MatrixUseB>
#define Sums coopmat<float, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator>

shared uvec4 stash[BQ * S_PITCH];

#define lane gl_SubgroupInvocationID
#define me (gl_SubgroupID * LANES + lane)
#define mine (gl_SubgroupID * MM) // the subgroup's first row in the workgroup
#define my_row (mine + lane % MM)
#define my_part (lane / MM)
#define FOR_ACROSS [[unroll]] for (uint c = 0u; c < ACROSS; c++)
#define FOR_DEPTH [[unroll]] for (uint d = 0u; d < DEPTH; d++)
#define FOR_EIGHTS [[unroll]] for (uint n = 0u; n < PARTS_OF_ROW; n++)
#define FOR_LENGTH(m) [[unroll]] for (int i = 0; i < m.length(); i++)
#define EIGHT(n) (my_part + (n) * SHARES) // of its row's eights the lane's nth

// To the nearest; what is too large becomes infinite, and so a gradient that the loss's scale is lowered for.
uvec4 narrow8(vec4 x, vec4 y)
{
    return uvec4(packFloat2x16(f16vec2(x.xy)), packFloat2x16(f16vec2(x.zw)), packFloat2x16(f16vec2(y.xy)),
                 packFloat2x16(f16vec2(y.zw)));
}

// eight numbers from their first and their last piece
uvec4 rounded8(uint pieces, uvec4 first, uvec4 last)
{
    return pieces == 1u ? first : narrow8(uintBitsToFloat(first), uintBitsToFloat(last));
}

// four of the eight again
vec4 widened4(uvec4 eight, uint which)
{
    const uvec2 bits = which == 0u ? eight.xy : eight.zw;
    return vec4(unpackFloat2x16(bits.x), unpackFloat2x16(bits.y));
}

float sum4(vec4 x)
{
    return (x.x + x.y) + (x.z + x.w);
}

float max4(vec4 x)
{
    return max(max(x.x, x.y), max(x.z, x.w));
}

// over the lanes of a row, the same in all of them
float row_add(float x)
{
    [[unroll]] for (uint n = MM; n < LANES; n *= 2u)
        x += subgroupShuffleXor(x, n);
    return x;
}

float row_max(float x)
{
    [[unroll]] for (uint n = MM; n < LANES; n *= 2u)
        x = max(x, subgroupShuffleXor(x, n));
    return x;
}

// the workgroup's rows of a matrix of `total` rows, `stride` words apart, from `first` on; rows beyond repeat the last
#define LOAD_OWN(tile, pieces, p, stride, first, total)                                                    \
    for (uint e = me; e < BQ * EIGHTS; e += GROUP) {                                                       \
        RF from = (p) + min((first) + e / EIGHTS, (total) - 1u) * (stride);                                \
        const uint at = e % EIGHTS;                                                                        \
        tile[e / EIGHTS * PITCH + at] =                                                                    \
            rounded8(pieces, RU4(from)[pieces * at].v, RU4(from)[pieces * at + (pieces - 1u)].v);          \
    }

// STEP rows from `first` on, as they are, to registers, and from there, rounded, to shared memory
#define FETCH_TILE(to, pieces, p, stride, first, total)                                                    \
    [[unroll]] for (uint n = 0u; n < FETCH; n++) {                                                         \
        const uint e = min(me + n * GROUP, STEP * EIGHTS - 1u);                                            \
        RF from = (p) + min((first) + e / EIGHTS, (total) - 1u) * (stride);                                \
        [[unroll]] for (uint i = 0u; i < pieces; i++)                                                      \
            to[pieces * n + i] = RU4(from)[e % EIGHTS * pieces + i].v;                                     \
    }
#define PUT_TILE(tile, pieces, from)                                                                       \
    [[unroll]] for (uint n = 0u; n < FETCH; n++) {                                                         \
        const uint e = me + n * GROUP;                                                                     \
        if (STEP * EIGHTS % GROUP == 0u || e < STEP * EIGHTS)                                              \
            tile[e / EIGHTS * PITCH + e % EIGHTS] =                                                        \
                rounded8(pieces, from[pieces * n], from[pieces * n + (pieces - 1u)]);                      \
    }

// the tile's rows, UNROLL times NN from j NN on
#define FOR_KEYS [[dont_unroll]] for (uint j = 0u; j < KEYS; j += UNROLL)
#define FOR_UNROLL [[unroll]] for (uint u = 0u; u < UNROLL; u++)

// s[u] = the subgroup's rows times the tile's NN from (j + u) NN on
#define MULTIPLY(s, own, tile)                                                                             \
    FOR_UNROLL s[u] = Sums(0.0);                                                                           \
    FOR_DEPTH {                                                                                            \
        Left x;                                                                                            \
        coopMatLoad(x, own, mine * PITCH + d * (KK / 8u), PITCH, gl_CooperativeMatrixLayoutRowMajor);      \
        FOR_UNROLL {                                                                                       \
            Right y;                                                                                       \
            coopMatLoad(y, tile, (j + u) * NN * PITCH + d * (KK / 8u), PITCH,                              \
                        gl_CooperativeMatrixLayoutColumnMajor);                                            \
            s[u] = coopMatMulAdd(x, y, s[u]);                                                              \
        }                                                                                                  \
    }
#define STASH(s, place, j)                                                                                 \
    coopMatStore(s, place, mine * S_PITCH + (j) * (NN / 4u), S_PITCH, gl_CooperativeMatrixLayoutRowMajor);
#define STASHED(place, row, four) uintBitsToFloat(place[(row) * S_PITCH + (four)])

// what the subgroup stashed, rounded, and zeros from column `count` on
#define NARROW(place, count)                                                                               \
    {                                                                                                      \
        vec4 w[2 * PARTS_OF_ROW];                                                                          \
        FOR_EIGHTS [[unroll]] for (uint i = 0u; i < 2u; i++) {                                             \
            const uint four = 2u * EIGHT(n) + i;                                                           \
            const uvec4 column = 4u * four + uvec4(0u, 1u, 2u, 3u);                                        \
            w[2u * n + i] = mix(vec4(0.0), STASHED(place, my_row, four), lessThan(column, uvec4(count)));  \
        }                                                                                                  \
        subgroupBarrier();                                                                                 \
        FOR_EIGHTS place[my_row * S_PITCH + EIGHT(n)] = narrow8(w[2u * n], w[2u * n + 1u]);                \
    }

// sum += the weights in `place` times the tile's rows
#define WEIGH_UP(sum, place, tile)                                                                         \
    [[dont_unroll]] for (uint k = 0u; k < STEP / KK; k++) {                                                \
        Left x;                                                                                            \
        coopMatLoad(x, place, mine * S_PITCH + k * (KK / 8u), S_PITCH, gl_CooperativeMatrixLayoutRowMajor); \
        FOR_ACROSS {                                                                                       \
            Right y;                                                                                       \
            coopMatLoad(y, tile, k * KK * PITCH + c * (NN / 8u), PITCH, gl_CooperativeMatrixLayoutRowMajor); \
            sum[c] = coopMatMulAdd(x, y, sum[c]);                                                          \
        }                                                                                                  \
    }

// to[r][i] = numbers[r], of the subgroup's rows
#define SPREAD_ROWS(to, numbers) coopMatLoad(to, numbers, mine, 0u, gl_CooperativeMatrixLayoutColumnMajor);
// to[r][i] = numbers[first + i]
#define SPREAD_COLUMNS(to, numbers, first) coopMatLoad(to, numbers, first, 0u, gl_CooperativeMatrixLayoutRowMajor);

// The sums of the subgroup's rows r for which EXISTS, times FACTOR, to the rows ROW (expressions of r).
#define STORE_SUMS(sum, EXISTS, FACTOR, ROW)                                                               \
    FOR_ACROSS {                                                                                           \
        STASH(sum[c], stash, 0u)                                                                           \
        subgroupBarrier();                                                                                 \
        for (uint e = lane; e < MM * (NN / 4u); e += LANES) {                                              \
            const uint r = mine + e / (NN / 4u), four = e % (NN / 4u);                                     \
            if (EXISTS) {                                                                                  \
                const vec4 x = STASHED(stash, r, four) * (FACTOR);                                         \
                if (STORED_HALF != 0u)                                                                     \
                    RU2(ROW)[c * (NN / 4u) + four].v = uvec2(narrow2(NUMBER, x.xy), narrow2(NUMBER, x.zw)); \
                else                                                                                       \
                    R4(ROW)[c * (NN / 4u) + four].v = x;                                                   \
            }                                                                                              \
        }                                                                                                  \
        subgroupBarrier();                                                                                 \
    }

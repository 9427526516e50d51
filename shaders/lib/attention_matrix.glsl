// attention_matrix.glsl - the attention kernels' workgroup on the matrix units of subgroups: products of fp16
// (or bf16, see gemm_subgroup.comp), sums in fp32.
//
// A subgroup owns MM rows, a workgroup of GROUP invocations BQ; the other side passes through shared memory, STEP
// rows at a time. What an invocation holds of a matrix is the driver's affair, so that scores go through shared
// memory, where lane l has row l % MM, and there every SHARES-th four columns; a factor per row becomes a matrix
// by being loaded with a stride of 0. D is a multiple of 8, NN and KK, and STEP of NN, KK and 4 SHARES; a
// subgroup has MM lanes at least.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require

layout(constant_id = 0) const uint LANES = 32;
layout(constant_id = 3) const uint GROUP = 128;
layout(constant_id = 4) const uint NUMBER = 1;
layout(constant_id = 5) const uint MM = 16; // a matrix: MM x KK times KK x NN
layout(constant_id = 6) const uint NN = 16;
layout(constant_id = 7) const uint KK = 16;
layout(local_size_x_id = 3, local_size_y = 1, local_size_z = 1) in;
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RF { float v; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer R4 { vec4 v; };
#include "attention.glsl"
#include "number.glsl"

const uint SUBGROUPS = GROUP / LANES, BQ = SUBGROUPS * MM, SHARES = LANES / MM;
const uint EIGHTS = D / 8, PITCH = EIGHTS + 1;       // of a row in shared memory, in eights of 16 bytes
const uint S_PITCH = STEP / 4 + 1;                   // of a row of scores, in fours of fp32
const uint W_PITCH = STEP / 4 + 2;                   // of a row of weights, in fours of fp16
const uint FETCH = (STEP * EIGHTS + GROUP - 1) / GROUP; // an invocation's share of a tile, in eights
const uint DEPTH = D / KK, ACROSS = D / NN, KEYS = STEP / NN;

#define Left coopmat<float16_t, gl_ScopeSubgroup, MM, KK, gl_MatrixUseA>
#define Right coopmat<float16_t, gl_ScopeSubgroup, KK, NN, gl_MatrixUseB>
#define Sums coopmat<float, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator>

#define me (gl_SubgroupID * LANES + gl_SubgroupInvocationID)
#define mine (gl_SubgroupID * MM)                    // the subgroup's first row in the workgroup
#define my_row (gl_SubgroupInvocationID % MM)
#define my_part (gl_SubgroupInvocationID / MM)
#define FOR_FOURS [[unroll]] for (uint n = 0u; n < STEP / 4u / SHARES; n++)
#define FOUR(n) (my_part + (n) * SHARES)              // of a row's fours, the lane's nth
#define FOR_ACROSS [[unroll]] for (uint c = 0u; c < ACROSS; c++)

uvec4 eight_load(RF row, uint c, float factor)
{
    vec4 x = R4(row)[2u * c].v * factor, y = R4(row)[2u * c + 1u].v * factor;
    return uvec4(narrow2(NUMBER, x.xy), narrow2(NUMBER, x.zw), narrow2(NUMBER, y.xy), narrow2(NUMBER, y.zw));
}

uvec2 four(vec4 x)
{
    return uvec2(narrow2(NUMBER, x.xy), narrow2(NUMBER, x.zw));
}

float highest(vec4 x)
{
    return max(max(x.x, x.y), max(x.z, x.w));
}

// over the lanes of a row, the same in all of them
float parts_add(float x)
{
    [[unroll]] for (uint n = MM; n < LANES; n *= 2u)
        x += subgroupShuffleXor(x, n);
    return x;
}

float parts_max(float x)
{
    [[unroll]] for (uint n = MM; n < LANES; n *= 2u)
        x = max(x, subgroupShuffleXor(x, n));
    return x;
}

// as in attention_gpu.glsl, in eights
#define LOAD_OWN(tile, p, stride, first, total, factor)                                                       \
    for (uint e = me; e < BQ * EIGHTS; e += GROUP)                                                            \
        tile[e / EIGHTS * PITCH + e % EIGHTS] =                                                               \
            eight_load((p) + min((first) + e / EIGHTS, (total) - 1u) * (stride), e % EIGHTS, factor);
#define FETCH_TILE(to, p, stride, first, total)                                                               \
    [[unroll]] for (uint n = 0u; n < FETCH; n++) {                                                            \
        const uint e = min(me + n * GROUP, STEP * EIGHTS - 1u);                                               \
        to[n] = eight_load((p) + min((first) + e / EIGHTS, (total) - 1u) * (stride), e % EIGHTS, 1.0);        \
    }
#define PUT_TILE(tile, from)                                                                                  \
    [[unroll]] for (uint n = 0u; n < FETCH; n++) {                                                            \
        const uint e = me + n * GROUP;                                                                        \
        if (STEP * EIGHTS % GROUP == 0u || e < STEP * EIGHTS)                                                 \
            tile[e / EIGHTS * PITCH + e % EIGHTS] = from[n];                                                  \
    }

// scores[row][j] = the product of the subgroup's rows of `own` and the other's rows
#define SCORES(scores, own, other)                                                                            \
    [[unroll]] for (uint j = 0u; j < KEYS; j++) {                                                             \
        Sums s = Sums(0.0);                                                                                   \
        [[unroll]] for (uint d = 0u; d < DEPTH; d++) {                                                        \
            Left x;                                                                                           \
            Right y;                                                                                          \
            coopMatLoad(x, own, mine * PITCH + d * (KK / 8u), PITCH, gl_CooperativeMatrixLayoutRowMajor);     \
            coopMatLoad(y, other, j * NN * PITCH + d * (KK / 8u), PITCH, gl_CooperativeMatrixLayoutColumnMajor); \
            s = coopMatMulAdd(x, y, s);                                                                       \
        }                                                                                                     \
        coopMatStore(s, scores, mine * S_PITCH + j * (NN / 4u), S_PITCH, gl_CooperativeMatrixLayoutRowMajor); \
    }
#define SCORE(scores, n) scores[(mine + my_row) * S_PITCH + FOUR(n)]
#define WEIGHT(n) weights[(mine + my_row) * W_PITCH + FOUR(n)]

// sum += weights times the other's rows
#define WEIGH_UP(sum, other)                                                                                  \
    [[unroll]] for (uint k = 0u; k < STEP / KK; k++) {                                                        \
        Left x;                                                                                               \
        coopMatLoad(x, weights, mine * W_PITCH + k * (KK / 4u), W_PITCH, gl_CooperativeMatrixLayoutRowMajor); \
        FOR_ACROSS {                                                                                          \
            Right y;                                                                                          \
            coopMatLoad(y, other, k * KK * PITCH + c * (NN / 8u), PITCH, gl_CooperativeMatrixLayoutRowMajor); \
            sum[c] = coopMatMulAdd(x, y, sum[c]);                                                             \
        }                                                                                                     \
    }

// each row of the sums times its factor
#define SCALE_ROWS(sum, factor)                                                                               \
    {                                                                                                         \
        if (my_part == 0u)                                                                                    \
            factors[mine + my_row] = factor;                                                                  \
        subgroupBarrier();                                                                                    \
        Sums by;                                                                                              \
        coopMatLoad(by, factors, mine, 0u, gl_CooperativeMatrixLayoutColumnMajor);                            \
        FOR_ACROSS                                                                                            \
            for (int i = 0; i < by.length(); i++)                                                             \
                sum[c][i] *= by[i];                                                                           \
        subgroupBarrier();                                                                                    \
    }

// the sums of the subgroup's rows, through shared memory, to where ROW_OF (an expression of `r`) says, for
// those r that EXISTS
#define STORE_SUMS(sum, scores, EXISTS, ROW_OF)                                                               \
    FOR_ACROSS {                                                                                              \
        coopMatStore(sum[c], scores, mine * S_PITCH, S_PITCH, gl_CooperativeMatrixLayoutRowMajor);            \
        subgroupBarrier();                                                                                    \
        for (uint e = gl_SubgroupInvocationID; e < MM * (NN / 4u); e += LANES) {                              \
            const uint r = mine + e / (NN / 4u);                                                              \
            if (EXISTS)                                                                                       \
                R4(ROW_OF)[c * (NN / 4u) + e % (NN / 4u)].v = scores[r * S_PITCH + e % (NN / 4u)];            \
        }                                                                                                     \
        subgroupBarrier();                                                                                    \
    }

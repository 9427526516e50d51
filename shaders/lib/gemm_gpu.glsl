// gemm_gpu.glsl - what the products for GPUs have in common: lib/gemm.glsl has the formula, this the slices of
// the operands on their way into shared memory, and the epilogue.
//
// A workgroup computes ROWS x COLUMNS of C. Along z lie the batch and, where k is cut, its shares: a share of
// k_share steps adds up its part, which gemm_reduce.comp adds to the others. Operands lie in memory along k or
// across it, whole floats or halves; everything that depends on that is a constant.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer RF { float v; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer R4 { vec4 v; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RU { uint v; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer RU2 { uvec2 v; };
#include "number.glsl"
#include "gemm.glsl"

layout(constant_id = 0) const uint LANES = 32;
layout(constant_id = 3) const uint INVOCATIONS = 256;
layout(local_size_x_id = 3, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 4) const uint ROWS = 64;
layout(constant_id = 5) const uint COLUMNS = 64;
layout(constant_id = 6) const uint DEPTH = 16;   // steps of k between two barriers
layout(constant_id = 7) const uint MI = 4;       // rows and columns of an invocation, or of a subgroup
layout(constant_id = 8) const uint NI = 4;
layout(constant_id = 9) const uint BUFFERS = 1;  // slices in shared memory, 1 or 2
layout(constant_id = 10) const uint NUMBER = 0;  // what operands are rounded to
layout(constant_id = 11) const uint A_KIND = 0;  // how an operand lies in memory: the sum of these
layout(constant_id = 12) const uint B_KIND = 0;
layout(constant_id = 13) const uint C_KIND = 0;
const uint KIND_ACROSS = 1; // its rows run along m or n, not along k
const uint KIND_HALF = 2;   // it is stored as NUMBER, which is then 16 bits wide
const uint KIND_FOUR = 4;   // rows are whole fours, so that fours can be moved at once

uint batch_of_group() { return gl_WorkGroupID.z % batches; }
uint first_of_share() { return gl_WorkGroupID.z / batches * k_share; }
uint end_of_share() { return min(K, first_of_share() + k_share); }

// Four numbers of row `outer` from `inner` on of the matrix that starts at number `start` of p, as they are
// stored (floats, or halves in x and y); zeros outside.
uvec4 fetch(RF p, uint start, uint kind, uint outer, uint inner, uint stride, uint outer_end, uint inner_end)
{
    const uint at = start + outer * stride + inner;
    uvec4 raw = uvec4(0u);
    if (outer >= outer_end || inner >= inner_end)
        return raw;
    if ((kind & KIND_FOUR) != 0u) {
        if ((kind & KIND_HALF) != 0u)
            raw.xy = RU2(uint64_t(p) + 2ul * at).v;
        else
            raw = floatBitsToUint(R4(p + at).v);
        return raw;
    }
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        if (inner + i >= inner_end)
            break;
        if ((kind & KIND_HALF) != 0u)
            raw[i / 2u] |= (RU(p)[(at + i) / 2u].v >> 16u * ((at + i) % 2u) & 0xffffu) << 16u * (i % 2u);
        else
            raw[i] = floatBitsToUint(p[at + i].v);
    }
    return raw;
}

// The same four as floats, rounded as products want them.
vec4 opened(uint kind, uvec4 raw)
{
    if ((kind & KIND_HALF) != 0u)
        return vec4(widen2(NUMBER, raw.x), widen2(NUMBER, raw.y));
    vec4 x = uintBitsToFloat(raw);
    return vec4(rounded(NUMBER, x.x), rounded(NUMBER, x.y), rounded(NUMBER, x.z), rounded(NUMBER, x.w));
}

vec4 load4(RF p, uint at)
{
    return (C_KIND & KIND_FOUR) != 0u ? R4(p + at).v : vec4(p[at].v, p[at + 1u].v, p[at + 2u].v, p[at + 3u].v);
}

void store4(RF p, uint at, uint n, vec4 x)
{
    if ((C_KIND & KIND_FOUR) != 0u)
        R4(p + at).v = x;
    else
        [[unroll]] for (uint i = 0u; i < 4u; i++)
            if (n + i < N)
                p[at + i].v = x[i];
}

#define EACH_OF_4(f, four) vec4(f(ACT, four.x), f(ACT, four.y), f(ACT, four.z), f(ACT, four.w))

// Four numbers of C, in row m from column n on, both inside.
void finish(uint m, uint n, vec4 sum)
{
    const uint z = gl_WorkGroupID.z, at = z * c_batch + m * c_row + n;
    vec4 x = alpha * sum;
    if ((EPILOGUE & EPILOGUE_BIAS) != 0u)
        x += load4(bias, z * bias_batch + n);
    if ((EPILOGUE & EPILOGUE_PRE) != 0u)
        store4(pre, at, n, x);
    if ((EPILOGUE & EPILOGUE_ACT) != 0u)
        x = EACH_OF_4(unary, x);
    if ((EPILOGUE & EPILOGUE_BACK) != 0u) {
        vec4 y = load4(pre, at);
        x *= EACH_OF_4(unary_derivative, y);
    }
    if ((EPILOGUE & EPILOGUE_RESIDUAL) != 0u)
        x += load4(residual, at);
    if ((C_KIND & KIND_HALF) != 0u) // then rows are whole fours
        RU2(uint64_t(c) + 2ul * at).v = uvec2(narrow2(NUMBER, x.xy), narrow2(NUMBER, x.zw));
    else
        store4(c, at, n, x);
}

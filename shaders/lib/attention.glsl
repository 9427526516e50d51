// attention.glsl - what the attention kernels share: the layout of the fused tensor.
//
// qkv is [batch][T][3 heads D]: in a token's row stand the queries of all heads, then the keys, then the
// values, D floats each (D even). Queries are `queries` tokens from q_from on; keys and values are the
// tokens from k_from to the last. out and d_out are [batch][queries][heads D], lse and delta
// [batch][heads][queries]; d_qkv is like qkv, with zeros where no gradient flows.
#include "pair.glsl"

layout(constant_id = 1) const uint D = 64;   // a head's width, even
layout(constant_id = 2) const uint STEP = 4; // keys (or queries) in a turn of the loop

const float LOG2_E = 1.44269504, LN_2 = 0.69314718;
const float LOWEST = -3.402823466e38;

#define FOR_D [[unroll]] for (uint i = 0u; i < D; i++)
#define FOR_STEP [[unroll]] for (uint u = 0u; u < STEP; u++)

// Dot products are summed in PARTS interleaved parts (1, 2 or 4), as additions of one chain would wait for each
// other: STEP PARTS chains should fill the registers and no more. PARTS_ID makes it a constant of the pipeline.
#ifdef PARTS_ID
layout(constant_id = PARTS_ID) const uint PARTS = 4;
#else
const uint PARTS = 4;
#endif
#define FOR_PARTS [[unroll]] for (uint n = 0u; n < PARTS; n++)
float sum_parts(float x[PARTS])
{
    [[unroll]] for (uint left = PARTS / 2u; left > 0u; left /= 2u)
        [[unroll]] for (uint n = 0u; n < left; n++)
            x[n] = x[2u * n] + x[2u * n + 1u];
    return x[0];
}

// Where the gradient kernels write: the tokens of a range come first, those after it and before it follow.
uint wrapped(uint token, uint T)
{
    return token < T ? token : token - T;
}

// p again, in a form that the compiler cannot know to be p: what was loaded through p is then loaded anew,
// where it would otherwise be kept, spread over whole vectors, in memory. T is below 2^31.
#define AGAIN(p) ((p) + (T >> 31u))

// Each lane its own row, in pairs.
#define LOAD_ROW(to, p) [[unroll]] for (uint i = 0u; i < D; i += 2u) { \
        vec2 pair = load_pair(PAIR((p) + i));                          \
        to[i] = pair.x;                                                \
        to[i + 1u] = pair.y;                                           \
    }
#define STORE_ROW(p, from, factor) [[unroll]] for (uint i = 0u; i < D; i += 2u) \
        store_pair(PAIR((p) + i), vec2(from[i], from[i + 1u]) * factor);

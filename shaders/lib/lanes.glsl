// lanes.glsl - floats through 64-bit addresses, one subgroup's worth at a time.
//
// A workgroup is one subgroup of LANES invocations. With PLAIN, the build for devices that have no arithmetic
// over subgroups or do not let us choose their size, it is any LANES invocations, a power of two, which add up
// through shared memory; the order of additions may be another. lane_load reads LANES consecutive floats. On
// lavapipe (Mesa 26) a load whose address differs between lanes becomes a slow gather, but one at a
// uniform address is a scalar load, and gl_SubgroupInvocationID is the constant vector 0, 1, 2, ...:
// so the selects below fold into a single vector load. On other devices LANES is neither 8 nor 16 or
// the plain form is as good; the values are the same either way.
//
// Reads may pass the end of a tensor by up to LANES floats: buffers have slack behind them.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_control_flow_attributes : require
#ifndef PLAIN
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#include "pair.glsl"

layout(constant_id = 0) const uint LANES = 8;
#ifdef TEAM_ID // which constant says how many subgroups a workgroup has: lavapipe goes from one to the next
               // much faster than from workgroup to workgroup
layout(constant_id = TEAM_ID) const uint TEAM = 1;
layout(local_size_x_id = 0, local_size_y_id = TEAM_ID, local_size_z = 1) in;
#else
const uint TEAM = 1;
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
#endif

layout(buffer_reference, std430, buffer_reference_align = 4) buffer RF { float v; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer R4 { vec4 v; };

#ifdef PLAIN
#define lane gl_LocalInvocationID.x
#define team_member gl_LocalInvocationID.y

shared uint lane_words[LANES];

// All invocations must get here together.
#define LANES_REDUCE(name, type, to_word, from_word, operation)                                       \
    type name(type x)                                                                                  \
    {                                                                                                  \
        barrier();                                                                                     \
        lane_words[lane] = to_word(x);                                                                 \
        for (uint half_way = LANES / 2u; half_way > 0u; half_way /= 2u) {                              \
            barrier();                                                                                 \
            type y = from_word(lane_words[lane]), z = from_word(lane_words[(lane + half_way) % LANES]); \
            if (lane < half_way)                                                                       \
                lane_words[lane] = to_word(operation);                                                 \
        }                                                                                              \
        barrier();                                                                                     \
        return from_word(lane_words[0]);                                                               \
    }
LANES_REDUCE(lanes_add, float, floatBitsToUint, uintBitsToFloat, y + z)
LANES_REDUCE(lanes_max, float, floatBitsToUint, uintBitsToFloat, max(y, z))
LANES_REDUCE(lanes_add, uint, uint, uint, y + z)
#undef LANES_REDUCE
#define subgroupAdd lanes_add
#define subgroupMax lanes_max
#else
#define lane gl_SubgroupInvocationID
#define team_member gl_SubgroupID
#endif

// A loop whose condition is asked behind its body, too: lavapipe leaves a loop at its end only, so a
// condition that fails at the top costs one more turn, with all lanes off.
#define WHILE(condition, BODY)               \
    for (; condition;) {                     \
        BODY                                 \
        if (!(condition))                    \
            break;                           \
    }

// Asked here, before everything else. Asked in a loop that the compiler knows to be entered, the answer would be
// taken from there for what follows the loop, too; lavapipe carries what leaves a loop as a variable, and the
// selects below no longer fold.
bool lane_is[16] = bool[](lane == 0u, lane == 1u, lane == 2u, lane == 3u, lane == 4u, lane == 5u, lane == 6u,
                          lane == 7u, lane == 8u, lane == 9u, lane == 10u, lane == 11u, lane == 12u,
                          lane == 13u, lane == 14u, lane == 15u);

float lane_pick4(float x, vec4 y, uint first)
{
    x = mix(x, y.x, lane_is[first]);
    x = mix(x, y.y, lane_is[first + 1u]);
    x = mix(x, y.z, lane_is[first + 2u]);
    return mix(x, y.w, lane_is[first + 3u]);
}

// p[lane], for a p that is the same in all lanes
float lane_load(RF p)
{
    if (LANES == 8u || LANES == 16u) {
        R4 q = R4(p);
        vec4 y0 = q[0].v, y1 = q[1].v;
        float x = lane_pick4(lane_pick4(y0.x, y0, 0u), y1, 4u);
        if (LANES == 16u) {
            vec4 y2 = q[2].v, y3 = q[3].v;
            x = lane_pick4(lane_pick4(x, y2, 8u), y3, 12u);
        }
        return x;
    }
    return p[lane].v;
}

void lane_store(RF p, float x)
{
    p[lane].v = x;
}

// x and behind it y, to an address that 8 divides. Lavapipe stores lane by lane, and 64 bits as fast as 32; what the
// lanes exchange for that folds away, as the 64-bit numbers are the two vectors' bits as they stand.
void lane_store2(RF p, float x, float y)
{
#ifndef PLAIN
    if (LANES == 8u) {
        const uint from = 2u * lane % 8u;
        const float even = mix(subgroupShuffle(y, from), subgroupShuffle(x, from), lane < 4u),
                    odd = mix(subgroupShuffle(y, from + 1u), subgroupShuffle(x, from + 1u), lane < 4u);
        store_pair(PAIR(p + 2u * lane), vec2(even, odd));
        return;
    }
#endif
    lane_store(p, x);
    lane_store(p + LANES, y);
}

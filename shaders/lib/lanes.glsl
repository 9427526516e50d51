// lanes.glsl - floats through 64-bit addresses, one subgroup's worth at a time.
//
// A workgroup is one subgroup of LANES invocations. lane_load reads LANES consecutive floats. On
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
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(constant_id = 0) const uint LANES = 8;
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;

layout(buffer_reference, std430, buffer_reference_align = 4) buffer RF { float v; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer R4 { vec4 v; };

#define lane gl_SubgroupInvocationID

// A loop whose condition is asked behind its body, too: lavapipe leaves a loop at its end only, so a
// condition that fails at the top costs one more turn, with all lanes off.
#define WHILE(condition, BODY)               \
    for (; condition;) {                     \
        BODY                                 \
        if (!(condition))                    \
            break;                           \
    }

float lane_pick4(float x, vec4 y, uint first)
{
    x = mix(x, y.x, lane == first);
    x = mix(x, y.y, lane == first + 1u);
    x = mix(x, y.z, lane == first + 2u);
    return mix(x, y.w, lane == first + 3u);
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

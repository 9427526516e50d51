// gather.comp - rows of a table: out[b][i] = table[index[b]][i], i < n.
//
// Grid: (ceil(n / CHUNK), rows of out).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"

layout(push_constant) uniform Push {
    RF out_, table, index;
    uint n;
};
const uint CHUNK = 1024;

void main()
{
    uint row = gl_WorkGroupID.y;
    RF from = table + uint64_t(index[row].v) * uint64_t(n), to = out_ + row * n;
    uint i = gl_WorkGroupID.x * CHUNK, end = min(i + CHUNK, n);
    for (; i + 4u * LANES <= end; i += 4u * LANES) {
        float x[4];
        [[unroll]] for (uint k = 0u; k < 4u; k++)
            x[k] = lane_load(from + (i + k * LANES));
        [[unroll]] for (uint k = 0u; k < 4u; k++)
            lane_store(to + (i + k * LANES), x[k]);
    }
    for (; i < end; i += LANES)
        if (i + lane < end)
            to[i + lane].v = from[i + lane].v;
}

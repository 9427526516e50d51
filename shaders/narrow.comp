// narrow.comp - numbers rounded to NUMBER: FORM 0 as halves, two in a word; 1 as floats, for kernels that read
// floats; 2 the other way, floats of halves. Four each; reads and writes may pass the end by three, where slack is.
// Grid: (ceil(count / 4 / INVOCATIONS), 1, 1), or the same number of workgroups along x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#include "number.glsl"

layout(constant_id = 0) const uint LANES = 32; // not used
layout(constant_id = 1) const uint INVOCATIONS = 64;
layout(local_size_x_id = 1, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 2) const uint NUMBER = 1;
layout(constant_id = 3) const uint FORM = 0;

layout(buffer_reference, std430, buffer_reference_align = 16) buffer R4 { vec4 v; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer RU2 { uvec2 v; };
layout(push_constant) uniform Push {
    uint64_t from, to;
    uint fours;
};

void main()
{
    const uint i = gl_WorkGroupID.y * gl_NumWorkGroups.x * INVOCATIONS + gl_GlobalInvocationID.x;
    if (i >= fours)
        return;
    if (FORM == 2u) {
        const uvec2 bits = RU2(from)[i].v;
        R4(to)[i].v = vec4(widen2(NUMBER, bits.x), widen2(NUMBER, bits.y));
        return;
    }
    const vec4 x = R4(from)[i].v;
    if (FORM == 1u)
        R4(to)[i].v = vec4(rounded(NUMBER, x.x), rounded(NUMBER, x.y), rounded(NUMBER, x.z), rounded(NUMBER, x.w));
    else
        RU2(to)[i].v = uvec2(narrow2(NUMBER, x.xy), narrow2(NUMBER, x.zw));
}

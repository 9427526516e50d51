// scale_sum.comp - out[i] = sum over r of d[r][i] x[r][i]: rows of n floats, summed from the first to the last.
//
// An invocation takes every so many columns.
#version 450
#extension GL_EXT_buffer_reference : require

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer In { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) writeonly buffer Out { float v[]; };

layout(push_constant) uniform Push {
    In d, x;
    Out sum;
    uint rows, n;
};

layout(constant_id = 0) const uint LANES = 8;
layout(local_size_x_id = 0) in;

void main()
{
    for (uint i = gl_GlobalInvocationID.x; i < n; i += LANES * gl_NumWorkGroups.x) {
        float s = 0.0;
        for (uint r = 0u; r < rows; r++)
            s += d.v[r * n + i] * x.v[r * n + i];
        sum.v[i] = s;
    }
}

// kernel_probe.comp - y[i] = x[i] gain[i mod n] k + C for `count` floats.
#version 450
#extension GL_EXT_buffer_reference : require

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer In { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) writeonly buffer Out { float v[]; };
layout(push_constant) uniform Push {
    In x, gain;
    Out y;
    uint count, n;
    float k;
};
layout(constant_id = 0) const uint LANES = 8;
layout(constant_id = 1) const float C = 0.0;
layout(local_size_x_id = 0) in;

void main()
{
    for (uint i = gl_GlobalInvocationID.x; i < count; i += LANES * gl_NumWorkGroups.x)
        y.v[i] = x.v[i] * gain.v[i % n] * k + C;
}

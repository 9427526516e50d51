// scale_shift.comp - y[r][i] = x[r][i] scale[i] + shift[i], or without the shift: rows of n floats.
//
// A workgroup takes every so many rows; its invocations go along the row.
#version 450
#extension GL_EXT_buffer_reference : require

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer In { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) writeonly buffer Out { float v[]; };

layout(push_constant) uniform Push {
    In x, scale, shift; // the inputs, in order
    Out y;              // the output
    uint rows, n;       // the plugin's own
};

layout(constant_id = 0) const uint LANES = 8; // a subgroup of the device
layout(constant_id = 1) const uint WITH_SHIFT = 1;
layout(local_size_x_id = 0) in;

void main()
{
    for (uint r = gl_WorkGroupID.x; r < rows; r += gl_NumWorkGroups.x)
        for (uint i = gl_LocalInvocationID.x; i < n; i += LANES) {
            float scaled = x.v[r * n + i] * scale.v[i];
            y.v[r * n + i] = WITH_SHIFT != 0u ? scaled + shift.v[i] : scaled;
        }
}

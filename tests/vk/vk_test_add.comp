// vk_test_add.comp - out[i] = a[i] + scale * b[i] + bias, i < count: constants of both kinds, addresses.
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const float scale = 0.0;
layout(constant_id = 2) const int bias = 0;

layout(buffer_reference, scalar) readonly buffer In { float x[]; };
layout(buffer_reference, scalar) writeonly buffer Out { float x[]; };
layout(push_constant, scalar) uniform Push {
    In a, b;
    Out result;
    uint count;
};

void main()
{
    uint i = gl_GlobalInvocationID.x;
    if (i < count)
        result.x[i] = a.x[i] + scale * b.x[i] + float(bias);
}

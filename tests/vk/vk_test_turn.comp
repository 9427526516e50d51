// vk_test_turn.comp - to[i] = from[count - 1 - i] + 1: every element depends on another workgroup's.
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require

layout(local_size_x = 64) in;

layout(buffer_reference, scalar) readonly buffer From { uint x[]; };
layout(buffer_reference, scalar) writeonly buffer To { uint x[]; };
layout(push_constant, scalar) uniform Push {
    From from;
    To to;
    uint count;
};

void main()
{
    uint i = gl_GlobalInvocationID.x;
    if (i < count)
        to.x[i] = from.x[count - 1 - i] + 1;
}

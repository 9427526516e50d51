// vk_test_step.comp - state = state * factor + term, by one invocation: what happened, and in which order.
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require

layout(local_size_x = 1) in;

layout(buffer_reference, scalar) buffer State { uint x; };
layout(push_constant, scalar) uniform Push {
    State state;
    uint factor, term;
};

void main()
{
    state.x = state.x * factor + term;
}

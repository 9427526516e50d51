// vk_test_lanes.comp - every invocation writes its subgroup's size; [workgroups * size].
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;

layout(buffer_reference, scalar) writeonly buffer To { uint x[]; };
layout(push_constant, scalar) uniform Push {
    To to;
};

void main()
{
    to.x[gl_GlobalInvocationID.x] = subgroupAdd(1u) + 1000 * gl_NumSubgroups;
}

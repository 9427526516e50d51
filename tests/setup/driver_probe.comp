// driver_probe.comp - what scripts/driver.sh has a newly unpacked driver compute; see driver_probe.c.
#version 450
#extension GL_KHR_shader_subgroup_arithmetic : require
layout(local_size_x = 8) in;
layout(std430, binding = 0) buffer Numbers { float number[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x;
    float x = number[i];
    for (uint k = 0u; k < 4u; k++)
        x = fma(x, 2.0, float(k));
    number[i] = x + exp2(float(i % 8u)) + subgroupAdd(1.0) / float(gl_SubgroupSize);
}

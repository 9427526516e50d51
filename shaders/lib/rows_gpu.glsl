// rows_gpu.glsl - a row of N floats in the registers of one subgroup, for GPUs: read once, written once.
//
// A workgroup is GROUP invocations, each of its subgroups on a row of its own. Lane l holds the vectors of
// four floats l + j LANES, j < VECTORS; what lies behind the row's end is held as zero.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(constant_id = 0) const uint LANES = 8;
layout(constant_id = 1) const uint GROUP = 128;
layout(constant_id = 2) const uint N = 64;
layout(local_size_x_id = 1, local_size_y = 1, local_size_z = 1) in;
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RF { float v; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer R4 { vec4 v; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer RU2 { uvec2 v; };

const uint SUBGROUPS = GROUP / LANES;
const uint VECTORS = (N + 4 * LANES - 1) / (4 * LANES);

#define FOR_VECTORS [[unroll]] for (uint j = 0u; j < VECTORS; j++)
#define AT(j) (gl_SubgroupInvocationID + (j) * LANES)

// x where the row has numbers, else 0
vec4 keep(vec4 x, uint c)
{
    if (N % (4u * LANES) == 0u)
        return x;
    return mix(vec4(0.0), x, lessThan(uvec4(4u * c) + uvec4(0u, 1u, 2u, 3u), uvec4(N)));
}

vec4 row_load(RF row, uint c)
{
    vec4 x = vec4(0.0);
    if (N % 4u == 0u) {
        if (N % (4u * LANES) == 0u || 4u * c < N)
            x = R4(row)[c].v;
        return x;
    }
    [[unroll]] for (uint n = 0u; n < 4u; n++)
        if (4u * c + n < N)
            x[n] = row[4u * c + n].v;
    return x;
}

void row_store(RF row, uint c, vec4 x)
{
    if (N % 4u == 0u) {
        if (N % (4u * LANES) == 0u || 4u * c < N)
            R4(row)[c].v = x;
        return;
    }
    [[unroll]] for (uint n = 0u; n < 4u; n++)
        if (4u * c + n < N)
            row[4u * c + n].v = x[n];
}

// four halves; rows are whole fours
void row_store_halves(uint64_t row, uint c, uvec2 bits)
{
    if (N % (4u * LANES) == 0u || 4u * c < N)
        RU2(row)[c].v = bits;
}

float sum_of(vec4 x)
{
    return (x.x + x.y) + (x.z + x.w);
}

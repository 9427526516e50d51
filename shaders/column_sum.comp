// column_sum.comp - out[z][c][n] = sum of x[z][r][n] (times y[z][r][n] where PRODUCT) over the rows r of
// chunk c, in order, for GPUs.
//
// x, y: rows of x_row floats, of which the first N are summed. Two dispatches make a long sum: many chunks
// of rows_per_chunk rows, then one chunk of all of those. Each subgroup adds every SUBGROUPS-th row of a
// chunk, a lane four columns, neighbours where VECTOR (then everything is a multiple of four floats), else
// LANES apart; the subgroups' sums are added in their order.
// Grid: (ceil(N / (4 LANES)), chunks, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require

layout(constant_id = 0) const uint LANES = 8;
layout(constant_id = 1) const uint PRODUCT = 0;
layout(constant_id = 2) const uint GROUP = 128;
layout(constant_id = 3) const uint VECTOR = 1;
layout(local_size_x_id = 2, local_size_y = 1, local_size_z = 1) in;
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RF { float v; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer R4 { vec4 v; };

layout(push_constant) uniform Push {
    RF x, y, out_sums;
    uint rows, N, rows_per_chunk, x_row;
    uint x_batch, out_batch;
};

const uint SUBGROUPS = GROUP / LANES;
shared vec4 sums[GROUP];

#define lane gl_SubgroupInvocationID
#define FOR_4 [[unroll]] for (uint j = 0u; j < 4u; j++)

// columns that do not exist are read as those of the last vector that does, or as 0
vec4 load(RF row, uint columns)
{
    if (VECTOR != 0u)
        return R4(row)[min(lane, columns / 4u - 1u)].v;
    vec4 v = vec4(0.0);
    FOR_4
        if (lane + j * LANES < columns)
            v[j] = row[lane + j * LANES].v;
    return v;
}

void main()
{
    const uint column = gl_WorkGroupID.x * (4u * LANES), columns = min(N - column, 4u * LANES);
    const uint first = gl_WorkGroupID.y * rows_per_chunk, end = min(first + rows_per_chunk, rows);
    RF px = x + (gl_WorkGroupID.z * x_batch + column), py = y + (gl_WorkGroupID.z * x_batch + column);
    vec4 sum = vec4(0.0);
    uint r = first + gl_SubgroupID;
    for (; r + 3u * SUBGROUPS < end; r += 4u * SUBGROUPS) {
        vec4 v[4];
        FOR_4 v[j] = load(px + (r + j * SUBGROUPS) * x_row, columns);
        FOR_4 sum = PRODUCT != 0u ? fma(v[j], load(py + (r + j * SUBGROUPS) * x_row, columns), sum) : sum + v[j];
    }
    for (; r < end; r += SUBGROUPS) {
        vec4 v = load(px + r * x_row, columns);
        sum = PRODUCT != 0u ? fma(v, load(py + r * x_row, columns), sum) : sum + v;
    }
    sums[gl_SubgroupID * LANES + lane] = sum;
    barrier();
    if (gl_SubgroupID != 0u)
        return;
    for (uint s = 1u; s < SUBGROUPS; s++)
        sum += sums[s * LANES + lane];
    RF to = out_sums + (gl_WorkGroupID.z * out_batch + gl_WorkGroupID.y * N + column);
    if (VECTOR != 0u) {
        if (4u * lane < columns)
            R4(to)[lane].v = sum;
        return;
    }
    FOR_4
        if (lane + j * LANES < columns)
            to[lane + j * LANES].v = sum[j];
}

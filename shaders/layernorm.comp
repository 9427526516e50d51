// layernorm.comp - y = (x - mean) / sqrt(var + eps), times w plus b where AFFINE, along rows of N floats, for
// GPUs. Where ADD, x is x + add, which is kept in sum.
//
// x, add, sum, y [rows][N]; w, b [N]; y may be x. The variance is the biased one, in two passes over
// registers, so that no square of a large mean is subtracted. NUMBER other than fp32: y is stored as halves of it, and N
// is whole fours. Grid: (ceil(rows / SUBGROUPS), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "rows_gpu.glsl"
#include "number.glsl"

layout(constant_id = 3) const uint AFFINE = 1;
layout(constant_id = 4) const uint ADD = 0;
layout(constant_id = 5) const uint NUMBER = 0;

layout(push_constant) uniform Push {
    RF x, w, b, y, add, sum;
    uint rows, width; // width: N
    float eps;
};

void main()
{
    const uint row = gl_WorkGroupID.x * SUBGROUPS + gl_SubgroupID;
    if (row >= rows)
        return;
    vec4 v[VECTORS];
    float mean = 0.0, scale = 0.0;
    FOR_VECTORS {
        v[j] = row_load(x + row * N, AT(j));
        if (ADD != 0u) {
            v[j] += row_load(add + row * N, AT(j));
            row_store(sum + row * N, AT(j), v[j]);
        }
        mean += sum_of(v[j]);
    }
    mean = subgroupAdd(mean) / float(N);
    FOR_VECTORS {
        v[j] = keep(v[j] - mean, AT(j));
        scale += dot(v[j], v[j]);
    }
    scale = inversesqrt(subgroupAdd(scale) / float(N) + eps);
    FOR_VECTORS {
        v[j] *= scale;
        if (AFFINE != 0u)
            v[j] = fma(v[j], row_load(w, AT(j)), row_load(b, AT(j)));
        if (NUMBER != NUMBER_FP32)
            row_store_halves(uint64_t(y) + 2ul * (row * N), AT(j), uvec2(narrow2(NUMBER, v[j].xy), narrow2(NUMBER, v[j].zw)));
        else
            row_store(y + row * N, AT(j), v[j]);
    }
}

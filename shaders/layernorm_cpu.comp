// layernorm_cpu.comp - y = (x - mean) / sqrt(var + eps), times w plus b where AFFINE, along rows of N floats.
//
// x, y [rows][N]; w, b [N]; y may be x. The variance is the biased one. A subgroup takes four rows, in two
// passes over cached data, so that no square of a large mean is subtracted. Grid: (ceil(rows / (4 TEAM)), 1, 1).
#version 460
#extension GL_GOOGLE_include_directive : require
#define TEAM_ID 2
#define KNOWN_ID 3
#define IN_STEP_ID 4
#include "rows.glsl"

layout(constant_id = 1) const uint AFFINE = 1;

layout(push_constant) uniform Push {
    RF x, w, b, y, add, sum; // the last two are not used
    uint rows, N;
    float eps;
};

void main()
{
    float mean[ROWS_PER_GROUP], scale[ROWS_PER_GROUP];
    uint base[ROWS_PER_GROUP];
    FOR_ROWS {
        base[i] = ROW_BASE(i, rows, N);
        mean[i] = scale[i] = 0.0;
    }
    EACH_COLUMN(N, FOR_ROWS mean[i] += KEEP(lane_load(x + (base[i] + at)));)
    FOR_ROWS mean[i] = subgroupAdd(mean[i]) / float(N);
    EACH_COLUMN(N, FOR_ROWS {
        float d = KEEP(lane_load(x + (base[i] + at)) - mean[i]);
        scale[i] = fma(d, d, scale[i]);
    })
    FOR_ROWS scale[i] = inversesqrt(subgroupAdd(scale[i]) / float(N) + eps);
    float held[ROWS_PER_GROUP];
    EACH_COLUMN(N,
        float v[ROWS_PER_GROUP];
        FOR_ROWS {
            v[i] = (lane_load(x + (base[i] + at)) - mean[i]) * scale[i];
            if (AFFINE != 0u)
                v[i] = fma(v[i], lane_load(w + at), lane_load(b + at));
        }
        FOR_ROWS STORE_ROW(y + base[i], v[i], held[i])) // equal values where a row is repeated
}

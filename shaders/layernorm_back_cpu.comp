// layernorm_back_cpu.comp - the gradient of layernorm.comp's x, and of its gain and bias where PARAMS, with mean and
// deviation computed again from x.
//
// With xh the normalised row, r = 1 / sqrt(var + eps) and g = w dy (or dy where not AFFINE):
//     dx = r (g - mean(g) - xh mean(g xh)), plus add[row] where ADD (the gradient of a residual branch);
//     dw = sum over rows of dy xh, db = sum over rows of dy: of each subgroup's four rows in partial [ceil(rows / 4)][2][N].
// x, dy, add, dx [rows][N]; w [N]; dx may be dy or add itself. Grid: (ceil(rows / (4 TEAM)), 1, 1).
#version 460
#extension GL_GOOGLE_include_directive : require
#define TEAM_ID 3
#define KNOWN_ID 4
#define IN_STEP_ID 5
#include "rows.glsl"

layout(constant_id = 1) const uint AFFINE = 1;
layout(constant_id = 2) const uint ADD = 0;
layout(constant_id = 6) const uint PARAMS = 0;

layout(push_constant) uniform Push {
    RF x, w, dy, add, dx, partial;
    uint rows, N;
    float eps;
    uint rows_per_group; // not used
};

float gradient(uint base, uint at)
{
    float g = lane_load(dy + (base + at));
    return AFFINE != 0u ? g * lane_load(w + at) : g;
}

void main()
{
    float mean[ROWS_PER_GROUP], r[ROWS_PER_GROUP], mean_g[ROWS_PER_GROUP], slope[ROWS_PER_GROUP];
    uint base[ROWS_PER_GROUP];
    FOR_ROWS {
        base[i] = ROW_BASE(i, rows, N);
        mean[i] = r[i] = mean_g[i] = slope[i] = 0.0;
    }
    EACH_COLUMN(N, FOR_ROWS mean[i] += KEEP(lane_load(x + (base[i] + at)));)
    FOR_ROWS mean[i] = subgroupAdd(mean[i]) / float(N);
    EACH_COLUMN(N, FOR_ROWS {
        float d = KEEP(lane_load(x + (base[i] + at)) - mean[i]);
        float g = KEEP(gradient(base[i], at));
        r[i] = fma(d, d, r[i]);
        mean_g[i] += g;
        slope[i] = fma(g, d, slope[i]);
    })
    FOR_ROWS {
        r[i] = inversesqrt(subgroupAdd(r[i]) / float(N) + eps);
        mean_g[i] = subgroupAdd(mean_g[i]) / float(N);
        slope[i] = subgroupAdd(slope[i]) / float(N) * r[i] * r[i];
    }
    const uint subgroup = gl_WorkGroupID.x * TEAM + team_member;
    RF dw = partial + subgroup * (2u * N), db = dw + N;
    float held[ROWS_PER_GROUP], held_w, held_b;
    EACH_COLUMN(N,
        float v[ROWS_PER_GROUP]; // all read before any is written: dx may be dy or add, and a row repeated
        float sum_w = 0.0;
        float sum_b = 0.0;
        FOR_ROWS {
            float d = lane_load(x + (base[i] + at)) - mean[i];
            if (PARAMS != 0u) {
                float g = subgroup * ROWS_PER_GROUP + i < rows ? lane_load(dy + (base[i] + at)) : 0.0;
                sum_w = fma(g, d * r[i], sum_w);
                sum_b += g;
            }
            v[i] = (gradient(base[i], at) - mean_g[i] - d * slope[i]) * r[i];
            if (ADD != 0u)
                v[i] += lane_load(add + (base[i] + at));
        }
        FOR_ROWS STORE_ROW(dx + base[i], v[i], held[i])
        if (PARAMS != 0u) {
            STORE_ROW(dw, sum_w, held_w)
            STORE_ROW(db, sum_b, held_b)
        })
}

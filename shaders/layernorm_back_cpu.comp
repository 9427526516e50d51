// layernorm_back_cpu.comp - the gradient of layernorm.comp's x, with mean and deviation computed again from x.
//
// With xh the normalised row, r = 1 / sqrt(var + eps) and g = w dy (or dy where not AFFINE):
//     dx = r (g - mean(g) - xh mean(g xh)), plus add[row] where ADD (the gradient of a residual branch).
// x, dy, add, dx [rows][N]; w [N]; dx may be dy or add itself. Grid: (ceil(rows / (4 TEAM)), 1, 1).
#version 460
#extension GL_GOOGLE_include_directive : require
#define TEAM_ID 3
#define KNOWN_ID 4
#define IN_STEP_ID 5
#include "rows.glsl"

layout(constant_id = 1) const uint AFFINE = 1;
layout(constant_id = 2) const uint ADD = 0;

layout(push_constant) uniform Push {
    RF x, w, dy, add, dx, partial; // the last one is not used
    uint rows, N;
    float eps;
    uint rows_per_group;
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
    float held[ROWS_PER_GROUP];
    EACH_COLUMN(N,
        float v[ROWS_PER_GROUP]; // all read before any is written: dx may be dy or add, and a row repeated
        FOR_ROWS {
            v[i] = gradient(base[i], at) - mean_g[i] - (lane_load(x + (base[i] + at)) - mean[i]) * slope[i];
            v[i] *= r[i];
            if (ADD != 0u)
                v[i] += lane_load(add + (base[i] + at));
        }
        FOR_ROWS STORE_ROW(dx + base[i], v[i], held[i]))
}

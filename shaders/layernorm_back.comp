// layernorm_back.comp - the gradient of layernorm.comp's x, with mean and deviation computed again from x.
//
// With xh the normalised row, r = 1 / sqrt(var + eps) and g = w dy (or dy where not AFFINE):
//     dx = r (g - mean(g) - xh mean(g xh)), plus add[row] where ADD (the gradient of a residual branch).
// x, dy, add, dx [rows][N]; w [N]; dx may be dy or add itself. Grid: (ceil(rows / 4), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"

layout(constant_id = 1) const uint AFFINE = 1;
layout(constant_id = 2) const uint ADD = 0;

layout(push_constant) uniform Push {
    RF x, w, dy, add, dx;
    uint rows, N;
    float eps;
};

float gradient(RF dy_row, uint at)
{
    float g = lane_load(dy_row + at);
    return AFFINE != 0u ? g * lane_load(w + at) : g;
}

void main()
{
    EACH_ROW(row, rows) {
        RF x_row = x + row * N, dy_row = dy + row * N;
        float sum = 0.0, squares = 0.0, sum_g = 0.0, sum_gd = 0.0;
        EACH_COLUMN(N, sum += KEEP(lane_load(x_row + at));)
        const float mean = subgroupAdd(sum) / float(N);
        EACH_COLUMN(N,
            float d = KEEP(lane_load(x_row + at) - mean);
            float g = KEEP(gradient(dy_row, at));
            squares = fma(d, d, squares);
            sum_g += g;
            sum_gd = fma(g, d, sum_gd);)
        const float r = inversesqrt(subgroupAdd(squares) / float(N) + eps);
        const float mean_g = subgroupAdd(sum_g) / float(N);
        const float slope = subgroupAdd(sum_gd) / float(N) * r * r;
        EACH_COLUMN(N,
            float v = (gradient(dy_row, at) - mean_g - (lane_load(x_row + at) - mean) * slope) * r;
            if (ADD != 0u)
                v += lane_load(add + (row * N + at));
            STORE(dx + (row * N + at), v))
    }
}

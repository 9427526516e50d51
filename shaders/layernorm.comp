// layernorm.comp - y = (x - mean) / sqrt(var + eps), times w plus b where AFFINE, along rows of N floats.
//
// x, y [rows][N]; w, b [N]. The variance is the biased one. A subgroup takes a row, in two passes over
// cached data, so that no square of a large mean is subtracted. Grid: (ceil(rows / 4), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"

layout(constant_id = 1) const uint AFFINE = 1;

layout(push_constant) uniform Push {
    RF x, w, b, y;
    uint rows, N;
    float eps;
};

void main()
{
    EACH_ROW(row, rows) {
        RF in_row = x + row * N, out_row = y + row * N;
        float sum = 0.0, squares = 0.0;
        EACH_COLUMN(N, sum += KEEP(lane_load(in_row + at));)
        const float mean = subgroupAdd(sum) / float(N);
        EACH_COLUMN(N, float d = KEEP(lane_load(in_row + at) - mean); squares = fma(d, d, squares);)
        const float scale = inversesqrt(subgroupAdd(squares) / float(N) + eps);
        EACH_COLUMN(N,
            float v = (lane_load(in_row + at) - mean) * scale;
            if (AFFINE != 0u)
                v = fma(v, lane_load(w + at), lane_load(b + at));
            STORE(out_row + at, v))
    }
}

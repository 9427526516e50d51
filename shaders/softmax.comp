// softmax.comp - y[n] = exp(x[n] - max) / sum exp(x - max) along rows of N floats; x, y [rows][N]; y may
// be x. Grid: (ceil(rows / 4), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"

layout(push_constant) uniform Push {
    RF x, y;
    uint rows, N;
};

const float LOWEST = -3.402823466e38;

void main()
{
    EACH_ROW(row, rows) {
        RF in_row = x + row * N, out_row = y + row * N;
        float top = LOWEST, sum = 0.0;
        EACH_COLUMN(N, top = max(top, mix(LOWEST, lane_load(in_row + at), inside));)
        top = subgroupMax(top);
        EACH_COLUMN(N, sum += KEEP(exp(lane_load(in_row + at) - top));)
        const float scale = 1.0 / subgroupAdd(sum);
        EACH_COLUMN(N, STORE(out_row + at, exp(lane_load(in_row + at) - top) * scale))
    }
}

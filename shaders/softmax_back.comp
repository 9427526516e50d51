// softmax_back.comp - dx = y (dy - sum y dy) along rows of N floats; y, dy, dx [rows][N], dx may be y or dy.
// Grid: (ceil(rows / 4), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"

layout(push_constant) uniform Push {
    RF y, dy, dx;
    uint rows, N;
};

void main()
{
    EACH_ROW(row, rows) {
        RF y_row = y + row * N, dy_row = dy + row * N, out_row = dx + row * N;
        float dot = 0.0;
        EACH_COLUMN(N, dot = fma(KEEP(lane_load(y_row + at)), KEEP(lane_load(dy_row + at)), dot);)
        dot = subgroupAdd(dot);
        EACH_COLUMN(N, STORE(out_row + at, lane_load(y_row + at) * (lane_load(dy_row + at) - dot)))
    }
}

// layernorm_params_back.comp - first stage of the gradients of layernorm.comp's w and b.
//
// Group c sums dy xh (for w) and dy (for b) over its rows c R .. c R + R - 1, in order, into
// partial[c] [2][N]; column_sum.comp adds up the groups ([chunks][2 N]). R is rows_per_chunk.
// Grid: (ceil(rows / R), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"

layout(push_constant) uniform Push {
    RF x, dy, partial;
    uint rows, N, rows_per_chunk;
    float eps;
};

const uint R = 8; // rows handled together
#define FOR_R [[unroll]] for (uint i = 0u; i < R; i++)

void main()
{
    const uint first = gl_WorkGroupID.x * rows_per_chunk, end = min(first + rows_per_chunk, rows);
    RF d_w = partial + gl_WorkGroupID.x * (2u * N), d_b = d_w + N;
    for (uint row = first; row < end; row += R) {
        float mean[R], scale[R], count[R];
        uint base[R];
        FOR_R {
            base[i] = min(row + i, rows - 1u) * N;
            count[i] = row + i < end ? 1.0 : 0.0; // rows past the end count nothing
            mean[i] = scale[i] = 0.0;
        }
        EACH_COLUMN(N, FOR_R { mean[i] += KEEP(lane_load(x + (base[i] + at))); })
        FOR_R mean[i] = subgroupAdd(mean[i]) / float(N);
        EACH_COLUMN(N, FOR_R {
            float d = KEEP(lane_load(x + (base[i] + at)) - mean[i]);
            scale[i] = fma(d, d, scale[i]);
        })
        FOR_R scale[i] = inversesqrt(subgroupAdd(scale[i]) / float(N) + eps);
        EACH_COLUMN(N,
            float w_sum = 0.0;
            float b_sum = 0.0;
            FOR_R {
                float g = lane_load(dy + (base[i] + at)) * count[i];
                b_sum += g;
                w_sum = fma(g, (lane_load(x + (base[i] + at)) - mean[i]) * scale[i], w_sum);
            }
            if (row > first) {
                w_sum += lane_load(d_w + at);
                b_sum += lane_load(d_b + at);
            }
            STORE(d_w + at, w_sum)
            STORE(d_b + at, b_sum))
    }
}

// cross_entropy.comp - softmax cross-entropy of rows of logits [rows][classes] with labels [rows]:
// forward out[r] = log sum exp x - x[label]; backward (BACK) out[r][i] = dy[r] (softmax(x)[i] - [i = label]).
//
// One subgroup a row. Grid: (1, rows, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "unary.glsl"

layout(push_constant) uniform Push {
    RF out_, logits, labels, d_loss;
    uint classes;
};
layout(constant_id = 1) const uint BACK = 0;

void main()
{
    uint r = gl_WorkGroupID.y;
    RF x = logits + r * classes;
    float top = -3.0e38;
    for (uint i = 0u; i < classes; i += LANES)
        top = max(top, mix(-3.0e38, lane_load(x + i), i + lane < classes));
    top = subgroupMax(top);
    float sum = 0.0;
    for (uint i = 0u; i < classes; i += LANES)
        sum += mix(0.0, exp_exact(lane_load(x + i) - top), i + lane < classes);
    sum = subgroupAdd(sum);
    uint label = uint(labels[r].v);
    if (BACK == 0u) {
        if (lane == 0u)
            out_[r].v = top + log(sum) - x[label].v;
        return;
    }
    float d = d_loss[r].v;
    for (uint i = 0u; i < classes; i += LANES) {
        float p = exp_exact(lane_load(x + i) - top) / sum;
        if (i + lane < classes)
            out_[r * classes + i + lane].v = d * mix(p, p - 1.0, i + lane == label);
    }
}

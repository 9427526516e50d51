// adamw.comp - AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101, as PyTorch computes it) over all
// trainable tensors at once: they lie one behind the other, padded to BLOCK floats.
//
//     m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
//     w = w - lr (wd w + (m / (1 - b1^t)) / (sqrt(v) / sqrt(1 - b2^t) + eps))
//
// g is divided by the loss's scale where it has one (a power of two: exact). A step whose gradients are not finite
// changes nothing; t counts the others.
//
// Grid: (ceil(blocks / each), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "philox.glsl"
#include "unary.glsl"

layout(buffer_reference, std430, buffer_reference_align = 16) buffer Steps {
    vec4 v; // learning rate, 1 / (1 - b1^t), 1 / sqrt(1 - b2^t), unused
};
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Factors {
    vec2 v; // of one block: on the learning rate, on the weight decay
};
layout(push_constant) uniform Push {
    RF w, g, m, v;
    Steps steps; // from control.first on
    Factors factors;
    Control control;
    uint blocks, each; // each: of a workgroup
    float beta1, beta2, eps, decay;
    float log_beta1, log_beta2; // natural logarithms
};
const uint BLOCK = 64;

// 1 - exp(x) for x < 0; near 0 by its series, whose next term is 3e-8 of the first at -0.5
float one_minus_exp(float x)
{
    float series = 1.0 + x / 8.0;
    [[unroll]] for (float n = 7.0; n >= 2.0; n -= 1.0)
        series = fma(series, x / n, 1.0);
    return x > -0.5 ? -x * series : 1.0 - exp_exact(x);
}

void main()
{
    if (control.overflow != 0u)
        return;
    const float unscale = control.scale > 0.0 ? 1.0 / control.scale : 1.0;
    vec4 now = steps[control.step - control.first].v;
    if (control.skipped > 0u) { // the host did not know it
        const float t = float(control.step + 1u - control.skipped);
        now.y = 1.0 / one_minus_exp(log_beta1 * t);
        now.z = 1.0 / sqrt(one_minus_exp(log_beta2 * t));
    }
    uint end = min((gl_WorkGroupID.x + 1u) * each, blocks);
    for (uint block = gl_WorkGroupID.x * each; block < end; block++) {
        vec2 factor = factors[block].v;
        float rate = now.x * factor.x;
        [[unroll]] for (uint k = 0u; k < BLOCK; k += LANES) {
            uint i = block * BLOCK + k;
            if (LANES > BLOCK && lane >= BLOCK)
                continue;
            float grad = unscale * lane_load(g + i);
            float first = fma(beta1, lane_load(m + i), (1.0 - beta1) * grad);
            float second = fma(beta2, lane_load(v + i), (1.0 - beta2) * grad * grad);
            float old = lane_load(w + i);
            m[i + lane].v = first;
            v[i + lane].v = second;
            old -= rate * decay * factor.y * old;
            w[i + lane].v = old - rate * (first * now.y) / fma(sqrt(second), now.z, eps);
        }
    }
}

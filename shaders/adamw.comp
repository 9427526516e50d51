// adamw.comp - AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101, as PyTorch computes it) over all
// trainable tensors at once: they lie one behind the other, padded to BLOCK floats.
//
//     m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
//     w = w - lr (wd w + (m / (1 - b1^t)) / (sqrt(v) / sqrt(1 - b2^t) + eps))
//
// Grid: (ceil(blocks / 16), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "philox.glsl"

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
    uint blocks;
    float beta1, beta2, eps, decay;
};
const uint BLOCK = 64, BLOCKS = 16;

void main()
{
    vec4 now = steps[control.step - control.first].v;
    uint end = min((gl_WorkGroupID.x + 1u) * BLOCKS, blocks);
    for (uint block = gl_WorkGroupID.x * BLOCKS; block < end; block++) {
        vec2 factor = factors[block].v;
        float rate = now.x * factor.x;
        [[unroll]] for (uint k = 0u; k < BLOCK; k += LANES) {
            uint i = block * BLOCK + k;
            if (LANES > BLOCK && lane >= BLOCK)
                continue;
            float grad = lane_load(g + i);
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

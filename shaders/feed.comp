// feed.comp - the batch of this step: entries of `order` into index, labels and weights of the rows. An
// entry NONE pads the last batch: its row is image 0 with weight 0. Weights are 1 / (rows that count), so
// that the sum of weighted losses is their mean.
//
// One workgroup.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "philox.glsl"

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint v; };
layout(push_constant) uniform Push {
    RF index, labels, weights;
    Words order, all_labels;
    Control control;
    uint batch;
};
const uint NONE = 0xffffffffu;

void main()
{
    Words entries = order + (control.step - control.first) * batch;
    uint count = 0u;
    for (uint i = 0u; i < batch; i += LANES)
        count += i + lane < batch && entries[min(i + lane, batch - 1u)].v != NONE ? 1u : 0u;
    count = subgroupAdd(count);
    for (uint i = lane; i < batch; i += LANES) {
        uint entry = entries[i].v, image = entry == NONE ? 0u : entry;
        index[i].v = float(image);
        labels[i].v = float(all_labels[image].v);
        weights[i].v = entry == NONE ? 0.0 : 1.0 / float(count);
    }
}

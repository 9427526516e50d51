// philox.glsl - Philox 4x32-10 (Salmon et al. 2011), the same numbers as core/base/rng.c, and the block
// of memory that changes from step to step.
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Control {
    uint step;      // counted by the device, one up at the end of each replay
    uint first;     // the step at which this series of replays began: records count from it
    uint seed_low, seed_high;
    float scale;    // of the loss, where products are of fp16; 0: it has none
    uint good;      // steps in a row whose gradients were finite
    uint overflow;  // this step's are not
    uint skipped;   // updates that were left out for that
};

uvec4 philox4x32(uvec2 key, uvec4 c)
{
    [[unroll]] for (int round = 0; round < 10; round++) {
        uint high0, low0, high1, low1;
        umulExtended(0xD2511F53u, c.x, high0, low0);
        umulExtended(0xCD9E8D57u, c.z, high1, low1);
        c = uvec4(high1 ^ c.y ^ key.x, low1, high0 ^ c.w ^ key.y, low0);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// The draws of a dropout for elements 4 block to 4 block + 3.
uvec4 dropout_words(uvec2 seed, uint step, uint stream, uint block)
{
    return philox4x32(seed, uvec4(block, 0u, step, stream));
}

uint word_at(uvec4 words, uint index)
{
    const uint pick = index & 3u;
    return pick < 2u ? (pick == 0u ? words.x : words.y) : (pick == 2u ? words.z : words.w);
}

// The draw of element `index` of a dropout.
uint dropout_draw(uvec2 seed, uint step, uint stream, uint index)
{
    return word_at(dropout_words(seed, step, stream, index >> 2), index);
}

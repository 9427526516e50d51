/* ref_movement.c - ops that move or sum elements, and the way from images to patches. */
#include "ref_private.h"

#include <string.h>

/* Leaves are filled from outside. */
void compute_leaf(const struct call *c)
{
    (void)c;
}

void compute_detach(const struct call *c)
{
    memcpy(c->out, c->in[0], (size_t)shape_count(c->node->shape) * sizeof *c->out);
}

void compute_hooked(const struct call *c)
{
    compute_detach(c);
}

void compute_custom(const struct call *c)
{
    compute_detach(c);
}

void compute_reshape(const struct call *c)
{
    compute_detach(c);
}

/* Row-major strides of a shape, in elements. */
static void strides_of(struct shape s, int64_t stride[SHAPE_RANK])
{
    int64_t n = 1;
    for (int k = s.rank - 1; k >= 0; k--) {
        stride[k] = n;
        n *= s.dim[k];
    }
}

static void digits_of(struct shape s, int64_t i, int64_t digit[SHAPE_RANK])
{
    for (int k = s.rank - 1; k >= 0; k--) {
        digit[k] = i % s.dim[k];
        i /= s.dim[k];
    }
}

static int64_t index_of(struct shape s, const int64_t digit[SHAPE_RANK])
{
    int64_t stride[SHAPE_RANK], at = 0;
    strides_of(s, stride);
    for (int k = 0; k < s.rank; k++)
        at += digit[k] * stride[k];
    return at;
}

void compute_permute(const struct call *c)
{
    struct shape s = c->node->shape;
    int64_t to[SHAPE_RANK] = {0}, from[SHAPE_RANK] = {0};
    for (int64_t i = 0, n = shape_count(s); i < n; i++) {
        digits_of(s, i, to);
        for (int k = 0; k < s.rank; k++)
            from[c->node->attr.permute.axes[k]] = to[k];
        c->out[i] = c->in[0][index_of(c->in_shape[0], from)];
    }
}

void compute_concat(const struct call *c)
{
    struct shape s = c->node->shape;
    int axis = c->node->attr.concat.axis;
    int64_t digit[SHAPE_RANK] = {0}, split = c->in_shape[0].dim[axis];
    for (int64_t i = 0, n = shape_count(s); i < n; i++) {
        digits_of(s, i, digit);
        int second = digit[axis] >= split;
        digit[axis] -= second ? split : 0;
        c->out[i] = c->in[second][index_of(c->in_shape[second], digit)];
    }
}

void compute_slice(const struct call *c)
{
    struct shape s = c->node->shape;
    int64_t digit[SHAPE_RANK] = {0};
    for (int64_t i = 0, n = shape_count(s); i < n; i++) {
        digits_of(s, i, digit);
        digit[c->node->attr.slice.axis] += c->node->attr.slice.from;
        c->out[i] = c->in[0][index_of(c->in_shape[0], digit)];
    }
}

void compute_pad(const struct call *c)
{
    struct shape s = c->in_shape[0];
    int64_t digit[SHAPE_RANK] = {0};
    for (int64_t i = 0, n = shape_count(s); i < n; i++) {
        digits_of(s, i, digit);
        digit[c->node->attr.pad.axis] += c->node->attr.pad.before;
        c->out[index_of(c->node->shape, digit)] = c->in[0][i];
    }
}

void compute_sum(const struct call *c)
{
    struct shape s = c->in_shape[0];
    int64_t digit[SHAPE_RANK] = {0};
    for (int64_t i = 0, n = shape_count(s); i < n; i++) {
        digits_of(s, i, digit);
        for (int k = 0; k < s.rank; k++)
            if (c->node->attr.sum.axes >> k & 1)
                digit[k] = 0;
        c->out[index_of(c->node->shape, digit)] += c->in[0][i];
    }
}

void compute_gather(const struct call *c)
{
    int64_t rows = c->node->shape.dim[0], each = shape_count(c->node->shape) / rows;
    for (int64_t b = 0; b < rows; b++)
        memcpy(c->out + b * each, c->in[0] + (int64_t)c->in[1][b] * each, (size_t)each * sizeof *c->out);
}

/* Calls visit for every pair (element of [b h w c], element of [b h w k k c]) that unfold joins. */
static void neighbours(struct shape image, int64_t k, const struct call *c,
                       void (*visit)(const struct call *, int64_t plain, int64_t unfolded))
{
    int64_t channels = image.dim[3], height = image.dim[1], width = image.dim[2], r = k / 2;
    for (int64_t b = 0; b < image.dim[0]; b++)
        for (int64_t y = 0; y < height; y++)
            for (int64_t x = 0; x < width; x++)
                for (int64_t tap = 0; tap < k * k; tap++) {
                    int64_t sy = y + tap / k - r, sx = x + tap % k - r;
                    if (sy < 0 || sy >= height || sx < 0 || sx >= width)
                        continue;
                    for (int64_t e = 0; e < channels; e++)
                        visit(c, ((b * height + sy) * width + sx) * channels + e,
                              (((b * height + y) * width + x) * k * k + tap) * channels + e);
                }
}

static void take(const struct call *c, int64_t plain, int64_t unfolded)
{
    c->out[unfolded] = c->in[0][plain];
}

static void give_back(const struct call *c, int64_t plain, int64_t unfolded)
{
    c->out[plain] += c->in[0][unfolded];
}

void compute_unfold(const struct call *c)
{
    neighbours(c->in_shape[0], c->node->attr.unfold.k, c, take);
}

void compute_fold(const struct call *c)
{
    neighbours(c->node->shape, c->node->attr.unfold.k, c, give_back);
}

void compute_patches(const struct call *c)
{
    struct shape images = c->in_shape[0], s = c->node->shape;
    int64_t p = c->node->attr.patches.patch, across = images.dim[2] / p, i = 0;
    for (int64_t b = 0; b < s.dim[0]; b++) {
        const double *image = c->in[0] + (int64_t)c->in[1][b] * images.dim[1] * images.dim[2] * 3;
        for (int64_t g = 0; g < s.dim[1]; g++)
            for (int64_t e = 0; e < s.dim[2]; e++) { /* e counts channel, y, x */
                int64_t ch = e / (p * p), y = g / across * p + e / p % p, x = g % across * p + e % p;
                double pixel = image[(y * images.dim[2] + x) * 3 + ch] / 255;
                c->out[i++] =
                    (pixel - (double)c->node->attr.patches.mean[ch]) / (double)c->node->attr.patches.std[ch];
            }
    }
}

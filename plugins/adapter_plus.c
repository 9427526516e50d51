/* Adapter+: a bottleneck after each block, with a learned scale per channel.  Steitz and Roth 2024.
 *     x += scale z,  z = droppath(h upT + up_bias),  h = gelu(a),  a = x downT + down_bias
 * down and up start small and not at zero, so at first the stream changes a little. Its drop-path is its own:
 * the same in every block and beside the backbone's. */
#include <vitro/sdk.h>

struct adapter_plus {
    int32_t r;
    float drop_path;
    vitro_param down, down_bias, up, up_bias, scale;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct adapter_plus, r, 8, 1, 1024, "8 16 32", "width of the bottleneck"),
    VITRO_OPT_FLOAT(struct adapter_plus, drop_path, 0.1, 0, 0.99, NULL,
                    "how often an image skips an adapter"),
    VITRO_OPT_END,
};

/* Houlsby's start: normal with deviation 0.01, cut at two deviations. Only matrices decay. */
static int declare(void *self, vitro_decl *d)
{
    struct adapter_plus *p = self;
    const int32_t dim = d->model->dim, r = p->r;
    const vitro_start houlsby = {VITRO_TRUNCATED, 0.01f};
    p->down = VITRO_PARAM(d, VITRO_MATRIX("down", r, dim), VITRO_START(houlsby));
    p->down_bias = VITRO_PARAM(d, VITRO_VECTOR("down_bias", r), .flags = VITRO_NO_DECAY);
    p->up = VITRO_PARAM(d, VITRO_MATRIX("up", dim, r), VITRO_START(houlsby));
    p->up_bias = VITRO_PARAM(d, VITRO_VECTOR("up_bias", dim), .flags = VITRO_NO_DECAY);
    p->scale = VITRO_PARAM(d, VITRO_VECTOR("scale", dim), .init = VITRO_ONES, .wise = VITRO_TO_ZERO,
                           .flags = VITRO_NO_DECAY);
    vitro_hook(d, VITRO_BIT(BLOCK_OUT));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct adapter_plus *)self)->r;
    return m->depth * (2 * m->dim * r + r + 2 * m->dim);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct adapter_plus *p = self;
    (void)site;
    vitro_value a = vitro_linear(t, x, p->down, p->down_bias), h = t->op->unary(t, a, VITRO_GELU);
    vitro_value z = t->op->dropout(t, vitro_linear(t, h, p->up, p->up_bias), p->drop_path, 1u << 0);
    VITRO_SAVE(t, x, a, h, z);
    return vitro_add(t, x, vitro_gain(t, z, p->scale));
}

/* dscale = sum dy z;  dz = the mask of z on dy scale;  dup = dzT h, dup_bias = sum dz;
 * da = gelu'(a) (dz up);  ddown = daT x, ddown_bias = sum da;  dx = dy + da down */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct adapter_plus *p = self;
    (void)site;
    vitro_value x = vitro_saved(t, 0), a = vitro_saved(t, 1), h = vitro_saved(t, 2), z = vitro_saved(t, 3);
    vitro_value dz = t->op->redrop(t, 0, vitro_gain_back(t, z, dy, p->scale));
    vitro_value dh = vitro_linear_back(t, h, dz, p->up, p->up_bias);
    vitro_value da = t->op->unary_back(t, a, dh, VITRO_GELU);
    return vitro_add(t, dy, vitro_linear_back(t, x, da, p->down, p->down_bias));
}

VITRO_METHOD(struct adapter_plus, "adapter_plus", "1.0", "arXiv:2406.06820",
             "a bottleneck after each block, scaled per channel", .options = options);

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
    struct adapter_plus *a = self;
    int32_t dim = d->model->dim, r = a->r;
    a->down = VITRO_PARAM(d, .name = "down", .shape = VITRO_SHAPE(r, dim), .init = VITRO_TRUNCATED,
                          .init_arg = 0.01f);
    a->down_bias = VITRO_PARAM(d, .name = "down_bias", .shape = VITRO_SHAPE(r), .flags = VITRO_NO_DECAY);
    a->up = VITRO_PARAM(d, .name = "up", .shape = VITRO_SHAPE(dim, r), .init = VITRO_TRUNCATED,
                        .init_arg = 0.01f);
    a->up_bias = VITRO_PARAM(d, .name = "up_bias", .shape = VITRO_SHAPE(dim), .flags = VITRO_NO_DECAY);
    a->scale = VITRO_PARAM(d, .name = "scale", .shape = VITRO_SHAPE(dim), .init = VITRO_ONES,
                           .wise = VITRO_TO_ZERO, .flags = VITRO_NO_DECAY);
    d->hook(d, VITRO_BIT(BLOCK_OUT), (vitro_blocks){0, 0});
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
    t->op->save(t, 0, x);
    t->op->save(t, 1, a);
    t->op->save(t, 2, h);
    t->op->save(t, 3, z);
    return vitro_add(t, x, vitro_mul(t, z, vitro_get(t, p->scale)));
}

/* dscale = sum dy z;  dz = the mask of z on dy scale;  dup = dzT h, dup_bias = sum dz;
 * da = gelu'(a) (dz up);  ddown = daT x, ddown_bias = sum da;  dx = dy + da down */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct adapter_plus *p = self;
    (void)site;
    vitro_value scale = vitro_get(t, p->scale);
    t->op->grad(t, scale, vitro_sum_rows(t, vitro_mul(t, dy, t->op->saved(t, 3))));
    vitro_value dz = t->op->redrop(t, 0, vitro_mul(t, dy, scale));
    vitro_value dh = vitro_linear_back(t, t->op->saved(t, 2), dz, p->up, p->up_bias);
    vitro_value da = t->op->unary_back(t, t->op->saved(t, 1), dh, VITRO_GELU);
    return vitro_add(t, dy, vitro_linear_back(t, t->op->saved(t, 0), da, p->down, p->down_bias));
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "adapter_plus",
    .version = "1.0",
    .summary = "a bottleneck after each block, scaled per channel",
    .paper = "arXiv:2406.06820",
    .options = options,
    .self_size = sizeof(struct adapter_plus),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
};

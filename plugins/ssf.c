/* SSF: y = x scale + shift, channel by channel, after every affine unit.  Lian et al. 2022. */
#include <vitro/merge.h>

static const uint32_t units = VITRO_BIT(EMBED) | VITRO_BIT(NORM1) | VITRO_BIT(QKV) | VITRO_BIT(PROJ) |
                              VITRO_BIT(NORM2) | VITRO_BIT(FC1) | VITRO_BIT(FC2) | VITRO_BIT(NORM);

struct ssf {
    vitro_param scale[VITRO_SITE_COUNT], shift[VITRO_SITE_COUNT];
};

static int declare(void *self, vitro_decl *d)
{
    struct ssf *f = self;
    for (int32_t s = -1; (s = vitro_next(units, s)) >= 0;) {
        const vitro_shape channels = VITRO_SHAPE(vitro_width(d->model, s));
        const uint32_t flags = s == VITRO_AT_EMBED || s == VITRO_AT_NORM ? VITRO_SHARED : 0;
        f->scale[s] = VITRO_PARAM_AT(d, s, .name = "scale", .shape = channels, .wise = VITRO_TO_ONE,
                                     .init = VITRO_NORMAL, .init_mean = 1, .init_arg = 0.02f, .flags = flags);
        f->shift[s] = VITRO_PARAM_AT(d, s, .name = "shift", .shape = channels, .wise = VITRO_TO_ZERO,
                                     .init = VITRO_NORMAL, .init_arg = 0.02f, .flags = flags);
    }
    vitro_hook(d, units);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    (void)self;
    const int64_t D = m->dim, F = m->hidden;
    return 2 * (m->depth * (4 * D + 3 * D + F) + 2 * D);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct ssf *f = self;
    VITRO_SAVE(t, x);
    return vitro_add(t, vitro_gain(t, x, f->scale[site->kind]), vitro_get(t, f->shift[site->kind]));
}

/* dscale = sum dy x, dshift = sum dy over all tokens;  dx = dy scale */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct ssf *f = self;
    vitro_grad(t, f->shift[site->kind], vitro_sum_rows(t, dy));
    return vitro_gain_back(t, vitro_saved(t, 0), dy, f->scale[site->kind]);
}

/* W's rows and the bias times scale, the bias plus shift */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct ssf *f = self;
    for (int32_t s = -1; (s = vitro_next(vitro_sites_of(block, units), s)) >= 0;) {
        vitro_scale_unit(t, s, vitro_get(t, f->scale[s]));
        vitro_add_bias(t, s, vitro_get(t, f->shift[s]));
    }
    return 0;
}

VITRO_METHOD(struct ssf, "ssf", "1.0", "arXiv:2210.08823",
             "a scale and a shift per channel after every affine unit", .merge = merge);

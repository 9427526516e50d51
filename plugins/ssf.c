/* SSF: y = x scale + shift, channel by channel, after every affine unit.  Lian et al. 2022. */
#include <vitro/sdk.h>

#define UNITS(X) X(EMBED) X(NORM1) X(QKV) X(PROJ) X(NORM2) X(FC1) X(FC2) X(NORM)
#define X(id) {VITRO_AT_##id, "scale." #id, "shift." #id},
static const struct unit {
    int32_t site;
    const char *scale, *shift;
} units[] = {UNITS(X)};
#undef X
enum { UNIT_COUNT = sizeof units / sizeof *units };

struct ssf {
    vitro_param scale[VITRO_SITE_COUNT], shift[VITRO_SITE_COUNT];
};

static int in_block(int32_t site)
{
    return site != VITRO_AT_EMBED && site != VITRO_AT_NORM;
}

static int declare(void *self, vitro_decl *d)
{
    struct ssf *f = self;
    for (int i = 0; i < UNIT_COUNT; i++) {
        const struct unit *u = &units[i];
        int32_t n = vitro_width(d->model, u->site);
        uint32_t flags = in_block(u->site) ? 0 : VITRO_SHARED;
        f->scale[u->site] =
            VITRO_PARAM(d, .name = u->scale, .shape = VITRO_SHAPE(n), .wise = VITRO_TO_ONE,
                        .init = VITRO_NORMAL, .init_mean = 1, .init_arg = 0.02f, .flags = flags);
        f->shift[u->site] = VITRO_PARAM(d, .name = u->shift, .shape = VITRO_SHAPE(n), .wise = VITRO_TO_ZERO,
                                        .init = VITRO_NORMAL, .init_arg = 0.02f, .flags = flags);
        d->hook(d, 1u << u->site, (vitro_blocks){0, 0});
    }
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
    t->op->save(t, 0, x);
    vitro_value scaled = vitro_mul(t, x, vitro_get(t, f->scale[site->kind]));
    return vitro_add(t, scaled, vitro_get(t, f->shift[site->kind]));
}

/* dscale = sum dy x, dshift = sum dy over all tokens;  dx = dy scale */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct ssf *f = self;
    vitro_value scale = vitro_get(t, f->scale[site->kind]);
    t->op->grad(t, scale, vitro_sum_rows(t, vitro_mul(t, dy, t->op->saved(t, 0))));
    t->op->grad(t, vitro_get(t, f->shift[site->kind]), vitro_sum_rows(t, dy));
    return vitro_mul(t, dy, scale);
}

/* W's rows and the bias times scale, the bias plus shift; a norm's gain is a row of one */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct ssf *f = self;
    for (int i = 0; i < UNIT_COUNT; i++) {
        int32_t s = units[i].site;
        if (in_block(s) != (block >= 0))
            continue;
        vitro_value w = t->op->weight(t, s, VITRO_WEIGHT), b = t->op->weight(t, s, VITRO_BIAS);
        vitro_value scale = vitro_get(t, f->scale[s]);
        vitro_shape rows = t->op->shape(t, w);
        for (int32_t axis = 1; axis < rows.rank; axis++)
            rows.dim[axis] = 1;
        t->op->replace(t, s, VITRO_WEIGHT, vitro_mul(t, w, t->op->reshape(t, scale, rows)));
        t->op->replace(t, s, VITRO_BIAS, vitro_add(t, vitro_mul(t, b, scale), vitro_get(t, f->shift[s])));
    }
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "ssf",
    .version = "1.0",
    .summary = "a scale and a shift per channel after every affine unit",
    .paper = "arXiv:2210.08823",
    .self_size = sizeof(struct ssf),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};

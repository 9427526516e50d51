/* FacT-TT: all weights of all blocks share one low-rank update, a tensor train.  Jie and Deng 2023.
 *     W += s V S U, chunk by chunk of dim outputs and dim inputs, for qkv, proj, fc1 and fc2
 * U [r, dim] and V [dim, r] serve every block; S [outs r, ins r] is a site's own, r by r for each chunk.
 *     u = x UT,  z = s dropout(u ST),  y += z VT
 * V starts at zero, so at first nothing changes. */
#include <vitro/sdk.h>

static const struct unit {
    int32_t input, outs, ins; /* outs and ins in chunks of dim */
    const char *name;
} units[VITRO_SITE_COUNT] = {
    [VITRO_AT_QKV] = {VITRO_AT_NORM1, 3, 1, "S.QKV"},
    [VITRO_AT_PROJ] = {VITRO_AT_ATTN, 1, 1, "S.PROJ"},
    [VITRO_AT_FC1] = {VITRO_AT_NORM2, 4, 1, "S.FC1"},
    [VITRO_AT_FC2] = {VITRO_AT_ACT, 1, 4, "S.FC2"},
};
enum { PAPER, OSU_RELEASE };
static const char *const inits[] = {"paper", "osu_release", NULL};

struct fact {
    int32_t r, init, dim;
    float scale, dropout;
    vitro_param U, V, S[VITRO_SITE_COUNT];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct fact, r, 16, 1, 1024, "8 16 32", "rank: width of the update"),
    VITRO_OPT_FLOAT(struct fact, scale, 1, 0, 1000, "0.01 0.1 1 10 100", "strength of the update"),
    VITRO_OPT_FLOAT(struct fact, dropout, 0.1, 0, 0.99, NULL, "dropout of the cores' outputs"),
    VITRO_OPT_ENUM(struct fact, init, PAPER, inits, NULL,
                   "V zero, U and S uniform; or all normal of 0.02, as the study's code in fact starts them"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct fact *f = self;
    const int osu = f->init == OSU_RELEASE;
    const uint32_t start = osu ? VITRO_NORMAL : VITRO_KAIMING, zero = osu ? VITRO_NORMAL : VITRO_ZEROS;
    const int32_t r = f->r, dim = f->dim = d->model->dim;
    const float arg = osu ? 0.02f : 0;
    if (d->model->hidden != 4 * dim)
        return d->host->fail(d->host, "it needs a model whose MLP is 4 times as wide as its tokens");
    f->U = VITRO_PARAM(d, .name = "U", .shape = VITRO_SHAPE(r, dim), .flags = VITRO_SHARED, .init = start,
                       .init_arg = arg);
    f->V = VITRO_PARAM(d, .name = "V", .shape = VITRO_SHAPE(dim, r), .flags = VITRO_SHARED, .init = zero,
                       .init_arg = arg, .wise = VITRO_TO_ZERO);
    for (int32_t i = 0; i < VITRO_SITE_COUNT; i++) {
        const struct unit *u = &units[i];
        if (!u->name)
            continue;
        f->S[i] = VITRO_PARAM(d, .name = u->name, .shape = VITRO_SHAPE(u->outs * r, u->ins * r),
                              .init = start, .init_arg = arg);
        d->hook(d, 1u << i, (vitro_blocks){0, 0});
    }
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct fact *)self)->r;
    return 2 * m->dim * r + m->depth * 12 * r * r;
}

/* The same numbers in rows of n: each token's chunks of n side by side become rows of their own, or back. */
static vitro_value cut(vitro_trace *t, vitro_value x, int32_t n)
{
    vitro_shape s = t->op->shape(t, x);
    return t->op->reshape(t, x, VITRO_SHAPE(s.dim[0], s.dim[1] * s.dim[2] / n, n));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value y)
{
    struct fact *f = self;
    const struct unit *unit = &units[site->kind];
    vitro_value x = cut(t, vitro_at(t, unit->input), f->dim);
    vitro_value u = cut(t, vitro_linear(t, x, f->U, 0), unit->ins * f->r);
    vitro_value z = vitro_dropout(t, vitro_linear(t, u, f->S[site->kind], 0), f->dropout);
    z = cut(t, vitro_scale(t, z, f->scale), f->r);
    t->op->save(t, 0, u);
    t->op->save(t, 1, z);
    vitro_value update = cut(t, vitro_linear(t, z, f->V, 0), unit->outs * f->dim);
    return vitro_add(t, y, update);
}

/* dV = dyT z, dz = s the mask of z on dy V;  dS = dzT u, du = dz S;  dU = duT x, dx = du U */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct fact *f = self;
    const struct unit *unit = &units[site->kind];
    vitro_value x = vitro_at(t, unit->input), u = t->op->saved(t, 0), z = t->op->saved(t, 1);
    vitro_value dz = cut(t, vitro_linear_back(t, z, cut(t, dy, f->dim), f->V, 0), unit->outs * f->r);
    dz = t->op->redrop(t, 0, vitro_scale(t, dz, f->scale));
    vitro_value du = cut(t, vitro_linear_back(t, u, dz, f->S[site->kind], 0), f->r);
    vitro_value dx = vitro_linear_back(t, cut(t, x, f->dim), du, f->U, 0);
    t->op->grad(t, x, cut(t, dx, unit->ins * f->dim));
    return dy;
}

/* S's chunks [outs r ins, r] times U; V times each chunk of outputs [r, ins dim] */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct fact *f = self;
    for (int32_t i = 0; block >= 0 && i < VITRO_SITE_COUNT; i++) {
        const struct unit *u = &units[i];
        if (!u->name)
            continue;
        vitro_value w = t->op->weight(t, i, VITRO_WEIGHT), S = vitro_get(t, f->S[i]);
        S = t->op->reshape(t, S, VITRO_SHAPE(u->outs * f->r * u->ins, f->r));
        vitro_value SU = vitro_matmul(t, S, vitro_get(t, f->U));
        SU = t->op->reshape(t, SU, VITRO_SHAPE(u->outs, f->r, u->ins * f->dim));
        vitro_value dw = vitro_scale(t, vitro_matmul(t, vitro_get(t, f->V), SU), f->scale);
        t->op->replace(t, i, VITRO_WEIGHT, vitro_add(t, w, t->op->reshape(t, dw, t->op->shape(t, w))));
    }
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "fact_tt",
    .version = "1.0",
    .summary = "one tensor-train update of all weights",
    .paper = "arXiv:2212.03145",
    .options = options,
    .self_size = sizeof(struct fact),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};

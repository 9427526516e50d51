/* Convpass: a bottleneck with a 3x3 convolution over the patch grid, beside the attention and beside the
 * MLP.  Jie and Deng 2022.
 *     branch += s (h upT + up_bias),  h = dropout(f(conv(z) + conv_bias)),  z = f(u downT + down_bias)
 * u is the branch's input, norm1 or norm2; f(x) = x sigmoid(1.702 x). Every token before the grid, the class
 * token and prompts alike, is an image of one pixel: only the kernel's centre acts on it. up starts at zero,
 * so at first nothing changes. Both terms of a branch share its drop-path. */
#include <vitro/conv.h>

static const uint32_t branches = VITRO_BIT(ATTN_OUT) | VITRO_BIT(MLP_OUT);

enum { DELTA, XAVIER };
static const char *const convs[] = {"delta", "xavier", NULL};
enum { PAPER, OSU_RELEASE };
static const char *const inits[] = {"paper", "osu_release", NULL};
static const struct {
    vitro_start down, up;
} starts[] = {
    [PAPER] = {{VITRO_XAVIER, 0}, {VITRO_ZEROS, 0}},
    [OSU_RELEASE] = {{VITRO_NORMAL, 0.02f}, {VITRO_NORMAL, 0.02f}},
};

struct convpass {
    int32_t r, conv, init;
    float scale, dropout;
    struct pass {
        vitro_param down, down_bias, conv, conv_bias, up, up_bias;
    } at[VITRO_SITE_COUNT];
    struct vitro_grid grid;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct convpass, r, 8, 1, 1024, "8 16", "width of the bottleneck"),
    VITRO_OPT_FLOAT(struct convpass, scale, 0.1, 0, 1000, "0.01 0.1 1 10 100", "strength of the branch"),
    VITRO_OPT_ENUM(struct convpass, conv, DELTA, convs, "delta xavier",
                   "start of the 3x3 kernel: delta passes its input"),
    VITRO_OPT_ENUM(struct convpass, init, PAPER, inits, NULL,
                   "start of down and up; osu_release: both N(0, 0.02^2)"),
    VITRO_OPT_FLOAT(struct convpass, dropout, 0.1, 0, 0.99, NULL, "dropout in the bottleneck"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct convpass *c = self;
    const int32_t n = d->model->dim, r = c->r;
    c->grid = (struct vitro_grid){d->model->grid_h, d->model->grid_w, 3};
    for (int32_t s = -1; (s = vitro_next(branches, s)) >= 0;)
        c->at[s] = (struct pass){
            VITRO_PARAM_AT(d, s, VITRO_MATRIX("down", r, n), VITRO_START(starts[c->init].down)),
            VITRO_PARAM_AT(d, s, VITRO_VECTOR("down_bias", r)),
            VITRO_PARAM_AT(d, s, .name = "conv", .shape = VITRO_SHAPE(r, 3, 3, r),
                           .init = c->conv == DELTA ? VITRO_EYE : VITRO_XAVIER),
            VITRO_PARAM_AT(d, s, VITRO_VECTOR("conv_bias", r)),
            VITRO_PARAM_AT(d, s, VITRO_MATRIX("up", n, r), VITRO_START(starts[c->init].up),
                           .wise = VITRO_TO_ZERO),
            VITRO_PARAM_AT(d, s, VITRO_VECTOR("up_bias", n), .wise = VITRO_TO_ZERO),
        };
    vitro_hook(d, branches);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct convpass *)self)->r;
    return 2 * m->depth * (2 * m->dim * r + m->dim + 2 * r + 9 * r * r);
}

/* The norm that the branch begins with. */
static vitro_value input(vitro_trace *t, const vitro_site *site)
{
    return vitro_at(t, site->kind == VITRO_AT_MLP_OUT ? VITRO_AT_NORM2 : VITRO_AT_NORM1);
}

/* s up: scaling the weights is less work than scaling the branch. */
static vitro_value scaled_up(const struct convpass *c, vitro_trace *t, const vitro_site *site)
{
    return vitro_scale(t, vitro_get(t, c->at[site->kind].up), c->scale);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct convpass *c = self;
    const struct pass *k = &c->at[site->kind];
    vitro_value a = vitro_linear(t, input(t, site), k->down, k->down_bias);
    vitro_value around = vitro_neighbours(t, site, &c->grid, t->op->unary(t, a, VITRO_QUICK_GELU));
    vitro_value o = vitro_conv(t, around, k->conv, k->conv_bias);
    vitro_value h = vitro_dropout(t, t->op->unary(t, o, VITRO_QUICK_GELU), c->dropout);
    VITRO_SAVE(t, a, around, o, h);
    vitro_value bias = vitro_scale(t, vitro_get(t, k->up_bias), c->scale);
    return vitro_add(t, x, vitro_add(t, vitro_matmul_t(t, h, scaled_up(c, t, site)), bias));
}

/* dup = s dyT h, dup_bias = s sum dy;  do = f'(o) the mask of h on dy (s up);  dconv = doT neighbours(z),
 * dconv_bias = sum do;  dz = neighbours, back, of do conv;  da = f'(a) dz;  ddown = daT u, ddown_bias = sum da;
 * du = da down */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct convpass *c = self;
    const struct pass *k = &c->at[site->kind];
    vitro_value a = vitro_saved(t, 0), around = vitro_saved(t, 1), o = vitro_saved(t, 2),
                h = vitro_saved(t, 3);
    vitro_grad(t, k->up, vitro_scale(t, vitro_outer(t, dy, h), c->scale));
    vitro_grad(t, k->up_bias, vitro_scale(t, vitro_sum_rows(t, dy), c->scale));
    vitro_value dh = t->op->redrop(t, 0, vitro_matmul(t, dy, scaled_up(c, t, site)));
    vitro_value d_o = t->op->unary_back(t, o, dh, VITRO_QUICK_GELU);
    vitro_value d_around = vitro_conv_back(t, around, d_o, k->conv, k->conv_bias);
    vitro_value dz = vitro_neighbours_back(t, site, &c->grid, d_around);
    vitro_value u = input(t, site), da = t->op->unary_back(t, a, dz, VITRO_QUICK_GELU);
    t->op->grad(t, u, vitro_linear_back(t, u, da, k->down, k->down_bias));
    return dy;
}

VITRO_METHOD(struct convpass, "convpass", "1.0", "arXiv:2207.07039",
             "a bottleneck with a 3x3 convolution beside the attention and the MLP", .options = options);

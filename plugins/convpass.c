/* Convpass: a bottleneck with a 3x3 convolution over the patch grid, beside the attention and beside the
 * MLP.  Jie and Deng 2022.
 *     branch += s (h upT + up_bias),  h = dropout(f(conv(z) + conv_bias)),  z = f(u downT + down_bias)
 * u is the branch's input, norm1 or norm2; f(x) = x sigmoid(1.702 x). Every token before the grid, the class
 * token and prompts alike, is an image of one pixel: only the kernel's centre acts on it. up starts at zero,
 * so at first nothing changes. Both terms of a branch share its drop-path. */
#include <vitro/sdk.h>

enum { SITES = 2, K = 3 };
static const struct place {
    int32_t site, input;
    const char *down, *down_bias, *conv, *conv_bias, *up, *up_bias;
} places[SITES] = {
#define X(id, in)                                                    \
    {VITRO_AT_##id, VITRO_AT_##in,    "down." #id, "down_bias." #id, \
     "conv." #id,   "conv_bias." #id, "up." #id,   "up_bias." #id},
    X(ATTN_OUT, NORM1) X(MLP_OUT, NORM2)
#undef X
};

enum { DELTA, XAVIER };
static const char *const convs[] = {"delta", "xavier", NULL};
enum { PAPER, OSU_RELEASE };
static const char *const inits[] = {"paper", "osu_release", NULL};

struct convpass {
    int32_t r, conv, init, grid_h, grid_w;
    float scale, dropout;
    struct pass {
        vitro_param down, down_bias, conv, conv_bias, up, up_bias;
    } at[SITES];
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
    int32_t n = d->model->dim, r = c->r;
    int osu = c->init == OSU_RELEASE;
    c->grid_h = d->model->grid_h, c->grid_w = d->model->grid_w;
    for (int i = 0; i < SITES; i++) {
        const struct place *q = &places[i];
        c->at[i] = (struct pass){
            VITRO_PARAM(d, .name = q->down, .shape = VITRO_SHAPE(r, n),
                        .init = osu ? VITRO_NORMAL : VITRO_XAVIER, .init_arg = osu ? 0.02f : 0),
            VITRO_PARAM(d, .name = q->down_bias, .shape = VITRO_SHAPE(r)),
            VITRO_PARAM(d, .name = q->conv, .shape = VITRO_SHAPE(r, K, K, r),
                        .init = c->conv == DELTA ? VITRO_EYE : VITRO_XAVIER),
            VITRO_PARAM(d, .name = q->conv_bias, .shape = VITRO_SHAPE(r)),
            VITRO_PARAM(d, .name = q->up, .shape = VITRO_SHAPE(n, r), .wise = VITRO_TO_ZERO,
                        .init = osu ? VITRO_NORMAL : VITRO_ZEROS, .init_arg = osu ? 0.02f : 0),
            VITRO_PARAM(d, .name = q->up_bias, .shape = VITRO_SHAPE(n), .wise = VITRO_TO_ZERO),
        };
        d->hook(d, 1u << q->site, (vitro_blocks){0, 0});
    }
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct convpass *)self)->r;
    return SITES * m->depth * (2 * m->dim * r + m->dim + 2 * r + K * K * r * r);
}

/* Tokens from .. to of x [batch, tokens, n], images of h x w tokens each: the 3x3 neighbourhoods of every
 * token, n to 9 n, or back, 9 n to n. */
static vitro_value windows(vitro_trace *t, const vitro_site *s, vitro_value x, int32_t from, int32_t to,
                           int32_t h, int32_t w, int back)
{
    int32_t n = t->op->shape(t, x).dim[2], count = to - from;
    x = t->op->slice(t, x, 1, from, to);
    x = t->op->reshape(t, x, VITRO_SHAPE(s->batch * count / (h * w), h, w, n));
    x = back ? t->op->fold(t, x, K) : t->op->unfold(t, x, K);
    return t->op->reshape(t, x, VITRO_SHAPE(s->batch, count, back ? n / (K * K) : n * K * K));
}

/* Of tokens in front of the grid, one by one, and of the grid. */
static vitro_value neighbours(vitro_trace *t, const struct convpass *c, const vitro_site *s, vitro_value x,
                              int back)
{
    vitro_value front = windows(t, s, x, 0, s->prefix, 1, 1, back);
    return t->op->concat(t, front, windows(t, s, x, s->prefix, s->tokens, c->grid_h, c->grid_w, back), 1);
}

/* The kernel as a matrix on neighbourhoods, [r, 9 r]. */
static vitro_value taps(vitro_trace *t, const struct convpass *c, const struct pass *k)
{
    return t->op->reshape(t, vitro_get(t, k->conv), VITRO_SHAPE(c->r, K * K * c->r));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *s, vitro_value x)
{
    struct convpass *c = self;
    int i = s->kind == VITRO_AT_MLP_OUT;
    const struct pass *k = &c->at[i];
    vitro_value a = vitro_linear(t, vitro_at(t, places[i].input), k->down, k->down_bias);
    vitro_value z = t->op->unary(t, a, VITRO_QUICK_GELU);
    vitro_value around = neighbours(t, c, s, z, 0);
    vitro_value o = t->op->matmul(t, around, taps(t, c, k), 0, 1);
    o = vitro_add(t, o, vitro_get(t, k->conv_bias));
    vitro_value h = vitro_dropout(t, t->op->unary(t, o, VITRO_QUICK_GELU), c->dropout);
    t->op->save(t, 0, a);
    t->op->save(t, 1, around);
    t->op->save(t, 2, o);
    t->op->save(t, 3, h);
    /* Scaling the weights is less work than scaling the branch. */
    vitro_value up = vitro_scale(t, vitro_get(t, k->up), c->scale);
    vitro_value bias = vitro_scale(t, vitro_get(t, k->up_bias), c->scale);
    return vitro_add(t, x, vitro_add(t, t->op->matmul(t, h, up, 0, 1), bias));
}

/* dup = s dyT h, dup_bias = s sum dy;  do = f'(o) the mask of h on dy (s up);  dconv = doT neighbours(z),
 * dconv_bias = sum do;  dz = neighbours, back, of do conv;  da = f'(a) dz;  ddown = daT u, ddown_bias = sum da;
 * du = da down */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *s, vitro_value dy)
{
    struct convpass *c = self;
    int i = s->kind == VITRO_AT_MLP_OUT;
    const struct pass *k = &c->at[i];
    vitro_value a = t->op->saved(t, 0), around = vitro_rows(t, t->op->saved(t, 1)), o = t->op->saved(t, 2);
    vitro_value dup = t->op->matmul(t, vitro_rows(t, dy), vitro_rows(t, t->op->saved(t, 3)), 1, 0);
    t->op->grad(t, vitro_get(t, k->up), vitro_scale(t, dup, c->scale));
    t->op->grad(t, vitro_get(t, k->up_bias), vitro_scale(t, vitro_sum_rows(t, dy), c->scale));
    vitro_value up = vitro_scale(t, vitro_get(t, k->up), c->scale);
    vitro_value dh = t->op->redrop(t, 0, vitro_matmul(t, dy, up));
    vitro_value d_o = t->op->unary_back(t, o, dh, VITRO_QUICK_GELU), conv = vitro_get(t, k->conv);
    vitro_value dconv = t->op->matmul(t, vitro_rows(t, d_o), around, 1, 0);
    t->op->grad(t, conv, t->op->reshape(t, dconv, t->op->shape(t, conv)));
    t->op->grad(t, vitro_get(t, k->conv_bias), vitro_sum_rows(t, d_o));
    vitro_value dz = neighbours(t, c, s, vitro_matmul(t, d_o, taps(t, c, k)), 1);
    vitro_value u = vitro_at(t, places[i].input), da = t->op->unary_back(t, a, dz, VITRO_QUICK_GELU);
    t->op->grad(t, u, vitro_linear_back(t, u, da, k->down, k->down_bias));
    return dy;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "convpass",
    .version = "1.0",
    .summary = "a bottleneck with a 3x3 convolution beside the attention and the MLP",
    .paper = "arXiv:2207.07039",
    .options = options,
    .self_size = sizeof(struct convpass),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
};

/* FacT-TK: all weights of all blocks share one low-rank update, a Tucker decomposition.  Jie and Deng 2023.
 *     G[p, b, j] = sum over k of C[p, b, k] P[k, j];  W += s V S U, chunk by chunk of dim outputs and inputs
 * U [r, dim], V [dim, r] and C [r, r, r] serve every block; P is a block's own, with a column j for each of
 * q, k, v, proj, fc1's 4 chunks of outputs and fc2's 4 of inputs.  S [outs r, ins r] is a site's G in order
 *     qkv and proj S[j r + b, p],  fc1 S[4 b + j, p],  fc2 S[p, 4 b + j]
 * so in fc1 and fc2 a chunk, r entries in a row, mixes all j, as it does in the authors' code.
 *     u = x UT,  z = s dropout(u ST),  y += z VT
 * V starts at zero, so at first nothing changes. */
#include <vitro/sdk.h>

static const struct unit {
    int32_t input, outs, ins, order[4], back[4]; /* outs, ins: chunks of dim; order of p 0, b 1, j 2 in S */
    const char *name;
} units[VITRO_SITE_COUNT] = {
    [VITRO_AT_QKV] = {VITRO_AT_NORM1, 3, 1, {2, 1, 0}, {2, 1, 0}, "P.QKV"},
    [VITRO_AT_PROJ] = {VITRO_AT_ATTN, 1, 1, {2, 1, 0}, {2, 1, 0}, "P.PROJ"},
    [VITRO_AT_FC1] = {VITRO_AT_NORM2, 4, 1, {1, 2, 0}, {2, 0, 1}, "P.FC1"},
    [VITRO_AT_FC2] = {VITRO_AT_ACT, 1, 4, {0, 1, 2}, {0, 1, 2}, "P.FC2"},
};
enum { PAPER, OSU_RELEASE };
static const char *const inits[] = {"paper", "osu_release", NULL};

struct fact {
    int32_t r, init, dim;
    float scale, dropout;
    vitro_param U, V, C, P[VITRO_SITE_COUNT];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct fact, r, 32, 1, 256, "16 32 64", "rank: width of the update"),
    VITRO_OPT_FLOAT(struct fact, scale, 0.1, 0, 1000, "0.01 0.1 1 10 100", "strength of the update"),
    VITRO_OPT_FLOAT(struct fact, dropout, 0.1, 0, 0.99, NULL, "dropout of the cores' outputs"),
    VITRO_OPT_ENUM(struct fact, init, PAPER, inits, NULL,
                   "V zero, U uniform; or both normal of 0.02, as the study's code in fact starts them"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct fact *f = self;
    const int osu = f->init == OSU_RELEASE;
    const int32_t r = f->r, dim = f->dim = d->model->dim;
    if (d->model->hidden != 4 * dim)
        return d->host->fail(d->host, "it needs a model whose MLP is 4 times as wide as its tokens");
    f->U = VITRO_PARAM(d, .name = "U", .shape = VITRO_SHAPE(r, dim), .flags = VITRO_SHARED,
                       .init = osu ? VITRO_NORMAL : VITRO_KAIMING, .init_arg = osu ? 0.02f : 0);
    f->V = VITRO_PARAM(d, .name = "V", .shape = VITRO_SHAPE(dim, r), .flags = VITRO_SHARED,
                       .init = osu ? VITRO_NORMAL : VITRO_ZEROS, .init_arg = 0.02f, .wise = VITRO_TO_ZERO);
    f->C = VITRO_PARAM(d, .name = "C", .shape = VITRO_SHAPE(r, r, r), .flags = VITRO_SHARED,
                       .init = VITRO_XAVIER);
    for (int32_t i = 0; i < VITRO_SITE_COUNT; i++) {
        const struct unit *u = &units[i];
        if (!u->name)
            continue;
        /* Xavier's bound is that of the paper's one P [r, 12 depth]. */
        f->P[i] = VITRO_PARAM(d, .name = u->name, .shape = VITRO_SHAPE(r, u->outs * u->ins),
                              .init = VITRO_XAVIER, .init_arg = (float)(r + 12 * d->model->depth));
        d->hook(d, 1u << i, (vitro_blocks){0, 0});
    }
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct fact *)self)->r;
    return 2 * m->dim * r + r * r * r + m->depth * 12 * r;
}

static vitro_value core(const struct fact *f, vitro_trace *t, int32_t i)
{
    const struct unit *u = &units[i];
    const int32_t r = f->r;
    vitro_value C = t->op->reshape(t, vitro_get(t, f->C), VITRO_SHAPE(r * r, r));
    vitro_value G = vitro_matmul(t, C, vitro_get(t, f->P[i]));
    vitro_value S = t->op->permute(t, t->op->reshape(t, G, VITRO_SHAPE(r, r, u->outs * u->ins)), u->order);
    return t->op->reshape(t, S, VITRO_SHAPE(u->outs * r, u->ins * r));
}

/* dG is dS with the axes back in the order p b j;  dC = dG PT,  dP = CT dG */
static void core_back(const struct fact *f, vitro_trace *t, int32_t i, vitro_value dS)
{
    const struct unit *u = &units[i];
    const int32_t r = f->r, G[] = {r, r, u->outs * u->ins}, *to = u->order;
    vitro_value C = vitro_get(t, f->C), P = vitro_get(t, f->P[i]);
    dS = t->op->reshape(t, dS, VITRO_SHAPE(G[to[0]], G[to[1]], G[to[2]]));
    vitro_value dG = t->op->reshape(t, t->op->permute(t, dS, u->back), VITRO_SHAPE(r * r, G[2]));
    t->op->grad(t, C, t->op->reshape(t, t->op->matmul(t, dG, P, 0, 1), VITRO_SHAPE(r, r, r)));
    t->op->grad(t, P, t->op->matmul(t, t->op->reshape(t, C, VITRO_SHAPE(r * r, r)), dG, 1, 0));
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
    vitro_value x = cut(t, vitro_at(t, unit->input), f->dim), S = core(f, t, site->kind);
    vitro_value u = cut(t, vitro_linear(t, x, f->U, 0), unit->ins * f->r);
    vitro_value z = vitro_dropout(t, t->op->matmul(t, u, S, 0, 1), f->dropout);
    z = cut(t, vitro_scale(t, z, f->scale), f->r);
    t->op->save(t, 0, S);
    t->op->save(t, 1, u);
    t->op->save(t, 2, z);
    vitro_value update = cut(t, vitro_linear(t, z, f->V, 0), unit->outs * f->dim);
    return vitro_add(t, y, update);
}

/* dV = dyT z, dz = s the mask of z on dy V;  dS = dzT u, du = dz S;  dU = duT x, dx = du U */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct fact *f = self;
    const struct unit *unit = &units[site->kind];
    vitro_value x = vitro_at(t, unit->input), S = t->op->saved(t, 0), u = t->op->saved(t, 1);
    vitro_value dz = vitro_linear_back(t, t->op->saved(t, 2), cut(t, dy, f->dim), f->V, 0);
    dz = cut(t, dz, unit->outs * f->r);
    dz = t->op->redrop(t, 0, vitro_scale(t, dz, f->scale));
    core_back(f, t, site->kind, t->op->matmul(t, vitro_rows(t, dz), vitro_rows(t, u), 1, 0));
    vitro_value du = cut(t, vitro_matmul(t, dz, S), f->r);
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
        vitro_value w = t->op->weight(t, i, VITRO_WEIGHT);
        vitro_value S = t->op->reshape(t, core(f, t, i), VITRO_SHAPE(u->outs * f->r * u->ins, f->r));
        vitro_value SU = vitro_matmul(t, S, vitro_get(t, f->U));
        SU = t->op->reshape(t, SU, VITRO_SHAPE(u->outs, f->r, u->ins * f->dim));
        vitro_value dw = vitro_scale(t, vitro_matmul(t, vitro_get(t, f->V), SU), f->scale);
        t->op->replace(t, i, VITRO_WEIGHT, vitro_add(t, w, t->op->reshape(t, dw, t->op->shape(t, w))));
    }
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "fact_tk",
    .version = "1.0",
    .summary = "one Tucker update of all weights",
    .paper = "arXiv:2212.03145",
    .options = options,
    .self_size = sizeof(struct fact),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};

/* FacT-TK: all weights of all blocks share one low-rank update, a Tucker decomposition.  Jie and Deng 2023.
 *     G[p, b, j] = sum over k of C[p, b, k] P[k, j];  W += s V S U, chunk by chunk of dim outputs and inputs
 * U [r, dim], V [dim, r] and C [r, r, r] serve every block; P is a block's own, with a column j for each of
 * q, k, v, proj, fc1's 4 chunks of outputs and fc2's 4 of inputs.  S [outs r, ins r] is a site's G in order
 *     qkv and proj S[j r + b, p],  fc1 S[4 b + j, p],  fc2 S[p, 4 b + j]
 * so in fc1 and fc2 a chunk, r entries in a row, mixes all j, as it does in the authors' code.
 *     u = x UT,  z = s dropout(u ST),  y += z VT
 * V starts at zero, so at first nothing changes. */
#include <vitro/chunks.h>

static const struct order {
    int32_t of[4], back[4]; /* of p 0, b 1, j 2 in S, and of S's axes in G */
} orders[VITRO_SITE_COUNT] = {
    [VITRO_AT_QKV] = {{2, 1, 0}, {2, 1, 0}},
    [VITRO_AT_PROJ] = {{2, 1, 0}, {2, 1, 0}},
    [VITRO_AT_FC1] = {{1, 2, 0}, {2, 0, 1}},
    [VITRO_AT_FC2] = {{0, 1, 2}, {0, 1, 2}},
};
enum { PAPER, OSU_RELEASE };
static const char *const inits[] = {"paper", "osu_release", NULL};
static const struct vitro_chunks_start starts[] = {
    [PAPER] = {{VITRO_KAIMING, 0}, {VITRO_ZEROS, 0}},
    [OSU_RELEASE] = {{VITRO_NORMAL, 0.02f}, {VITRO_NORMAL, 0.02f}},
};

struct fact {
    struct vitro_chunks shared; /* first, as r, scale and dropout are options; U and V */
    int32_t init;
    vitro_param C, P[VITRO_SITE_COUNT];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct vitro_chunks, r, 32, 1, 256, "16 32 64", "rank: width of the update"),
    VITRO_OPT_FLOAT(struct vitro_chunks, scale, 0.1, 0, 1000, "0.01 0.1 1 10 100", "strength of the update"),
    VITRO_OPT_FLOAT(struct vitro_chunks, dropout, 0.1, 0, 0.99, NULL, "dropout of the cores' outputs"),
    VITRO_OPT_ENUM(struct fact, init, PAPER, inits, NULL,
                   "V zero, U uniform; or both normal of 0.02, as the study's code in fact starts them"),
    VITRO_OPT_END,
};

static int32_t chunks_of(int32_t site)
{
    return vitro_chunk_outs(site) * vitro_chunk_ins(site);
}

/* Xavier's bound of P is that of the paper's one P [r, 12 depth]. */
static int declare(void *self, vitro_decl *d)
{
    struct fact *f = self;
    const int32_t r = f->shared.r;
    if (vitro_chunks_declare(&f->shared, d, &starts[f->init]) < 0)
        return -1;
    f->C = VITRO_PARAM(d, .name = "C", .shape = VITRO_SHAPE(r, r, r), .flags = VITRO_SHARED,
                       .init = VITRO_XAVIER);
    for (int32_t s = -1; (s = vitro_next(VITRO_LAYERS, s)) >= 0;)
        f->P[s] = VITRO_PARAM_AT(d, s, VITRO_MATRIX("P", r, chunks_of(s)), .init = VITRO_XAVIER,
                                 .init_arg = (float)(r + VITRO_CHUNKS * d->model->depth));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct fact *)self)->shared.r;
    return 2 * m->dim * r + r * r * r + m->depth * VITRO_CHUNKS * r;
}

/* S of G = C P */
static vitro_value core(const struct fact *f, vitro_trace *t, int32_t s)
{
    const int32_t r = f->shared.r;
    vitro_value G = vitro_matmul(t, vitro_rows(t, vitro_get(t, f->C)), vitro_get(t, f->P[s]));
    G = t->op->reshape(t, G, VITRO_SHAPE(r, r, chunks_of(s)));
    vitro_value S = t->op->permute(t, G, orders[s].of);
    return t->op->reshape(t, S, vitro_chunk_shape(s, r));
}

/* dG is dS with the axes back in the order p b j;  dC = dG PT,  dP = CT dG */
static void core_back(const struct fact *f, vitro_trace *t, int32_t s, vitro_value dS)
{
    const int32_t G[] = {f->shared.r, f->shared.r, chunks_of(s)}, *of = orders[s].of;
    vitro_value C = vitro_get(t, f->C), P = vitro_get(t, f->P[s]);
    dS = t->op->reshape(t, dS, VITRO_SHAPE(G[of[0]], G[of[1]], G[of[2]]));
    vitro_value dG = vitro_rows(t, t->op->permute(t, dS, orders[s].back));
    t->op->grad(t, C, vitro_like(t, vitro_matmul_t(t, dG, P), C));
    t->op->grad(t, P, vitro_outer(t, C, dG));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value y)
{
    struct fact *f = self;
    return vitro_chunks_apply(t, &f->shared, site->kind, core(f, t, site->kind), y);
}

/* dS, and from there dC and dP; dU and dV are added on the way */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct fact *f = self;
    core_back(f, t, site->kind, vitro_chunks_back(t, &f->shared, site->kind, dy));
    return dy;
}

static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct fact *f = self;
    for (int32_t s = -1; (s = vitro_next(vitro_sites_of(block, VITRO_LAYERS), s)) >= 0;)
        vitro_chunks_merge(t, &f->shared, s, core(f, t, s));
    return 0;
}

VITRO_METHOD(struct fact, "fact_tk", "1.0", "arXiv:2212.03145", "one Tucker update of all weights",
             .options = options, .merge = merge);

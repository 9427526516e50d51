/* FacT-TT: all weights of all blocks share one low-rank update, a tensor train.  Jie and Deng 2023.
 *     W += s V S U, chunk by chunk of dim outputs and dim inputs, for qkv, proj, fc1 and fc2
 * U [r, dim] and V [dim, r] serve every block; S [outs r, ins r] is a site's own, r by r for each chunk.
 *     u = x UT,  z = s dropout(u ST),  y += z VT
 * V starts at zero, so at first nothing changes. */
#include <vitro/chunks.h>

enum { PAPER, OSU_RELEASE };
static const char *const inits[] = {"paper", "osu_release", NULL};
static const struct vitro_chunks_start starts[] = {
    [PAPER] = {{VITRO_KAIMING, 0}, {VITRO_ZEROS, 0}},
    [OSU_RELEASE] = {{VITRO_NORMAL, 0.02f}, {VITRO_NORMAL, 0.02f}},
};

struct fact {
    struct vitro_chunks shared; /* first, as r, scale and dropout are options; U and V */
    int32_t init;
    vitro_param S[VITRO_SITE_COUNT]; /* which start as U does */
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct vitro_chunks, r, 16, 1, 1024, "8 16 32", "rank: width of the update"),
    VITRO_OPT_FLOAT(struct vitro_chunks, scale, 1, 0, 1000, "0.01 0.1 1 10 100", "strength of the update"),
    VITRO_OPT_FLOAT(struct vitro_chunks, dropout, 0.1, 0, 0.99, NULL, "dropout of the cores' outputs"),
    VITRO_OPT_ENUM(struct fact, init, PAPER, inits, NULL,
                   "V zero, U and S uniform; or all normal of 0.02, as the study's code in fact starts them"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct fact *f = self;
    if (vitro_chunks_declare(&f->shared, d, &starts[f->init]) < 0)
        return -1;
    for (int32_t s = -1; (s = vitro_next(VITRO_LAYERS, s)) >= 0;)
        f->S[s] = VITRO_PARAM_AT(d, s, .name = "S", .shape = vitro_chunk_shape(s, f->shared.r),
                                 VITRO_START(starts[f->init].U));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct fact *)self)->shared.r;
    return 2 * m->dim * r + m->depth * VITRO_CHUNKS * r * r;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value y)
{
    struct fact *f = self;
    return vitro_chunks_apply(t, &f->shared, site->kind, vitro_get(t, f->S[site->kind]), y);
}

/* dS as it comes; dU and dV are added on the way */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct fact *f = self;
    vitro_grad(t, f->S[site->kind], vitro_chunks_back(t, &f->shared, site->kind, dy));
    return dy;
}

static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct fact *f = self;
    for (int32_t s = -1; (s = vitro_next(vitro_sites_of(block, VITRO_LAYERS), s)) >= 0;)
        vitro_chunks_merge(t, &f->shared, s, vitro_get(t, f->S[s]));
    return 0;
}

VITRO_METHOD(struct fact, "fact_tt", "1.0", "arXiv:2212.03145", "one tensor-train update of all weights",
             .options = options, .merge = merge);

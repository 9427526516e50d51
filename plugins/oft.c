/* OFT: the input of qkv is rotated, in blocks of channels.  Qiu et al. 2023.
 *     qkv = (u R) WT + bias,  R = diag(R_1, R_2, ..),  u = norm1, which nothing but qkv reads
 * R_k [block, block] comes from a skew Q_k, whose part above the diagonal is q[k], row after row:
 *     exact    R = (I - Q)(I + Q)^-1, Cayley's; orthogonal
 *     neumann  R = I + 2 Q + 2 Q^2 + 2 Q^3 + Q^4, near (I + Q)(I - Q)^-1: the opposite sense, and orthogonal
 *              only where Q is small. What HF peft does by default; its q is -q of exact, as here.
 * q starts at zero, so at first nothing changes. */
#include <vitro/blocks.h>
#include <vitro/cayley.h>

enum { NEUMANN, EXACT };
static const char *const ways[] = {"neumann", "exact", NULL};

struct oft {
    int32_t block, cayley;
    vitro_param q;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct oft, block, 32, 2, 64, "8 16 32 64",
                  "channels that rotate together; divides the model's"),
    VITRO_OPT_ENUM(struct oft, cayley, NEUMANN, ways, NULL, "how a rotation follows from its parameters"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct oft *o = self;
    if (d->model->dim % o->block)
        return d->host->fail(d->host, "block must divide the model's channels");
    o->q = VITRO_PARAM(d, VITRO_MATRIX("q", d->model->dim / o->block, vitro_triangle_size(o->block)));
    vitro_hook(d, VITRO_BIT(NORM1));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int32_t block = ((const struct oft *)self)->block;
    return (int64_t)m->depth * (m->dim / block) * vitro_triangle_size(block);
}

/* Q [blocks, block, block] */
static vitro_value skew(const struct oft *o, vitro_trace *t)
{
    return vitro_skew(t, vitro_get(t, o->q), o->block);
}

static vitro_value rotation(const struct oft *o, vitro_trace *t)
{
    return o->cayley == EXACT ? vitro_cayley(t, skew(o, t)) : vitro_neumann(t, skew(o, t));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct oft *o = self;
    (void)site;
    vitro_value u = vitro_apart(t, x, o->block);
    VITRO_SAVE(t, u);
    return vitro_together(t, vitro_matmul(t, u, rotation(o, t)), x);
}

/* block by block:  dR = uT dy;  du = dy RT;  dq from dQ - dQT above the diagonal */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct oft *o = self;
    (void)site;
    vitro_value u = vitro_saved(t, 0), g = vitro_apart(t, dy, o->block), q = skew(o, t);
    vitro_value dr = t->op->matmul(t, u, g, 1, 0);
    vitro_value dq = o->cayley == EXACT ? vitro_cayley_back(t, q, dr) : vitro_neumann_back(t, q, dr);
    vitro_grad(t, o->q, vitro_skew_back(t, dq, o->block));
    return vitro_together(t, vitro_matmul_t(t, g, rotation(o, t)), dy);
}

/* W = W RT */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct oft *o = self;
    if (block < 0)
        return 0;
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT);
    vitro_value turned = vitro_matmul_t(t, vitro_apart(t, w, o->block), rotation(o, t));
    t->op->replace(t, VITRO_AT_QKV, VITRO_WEIGHT, vitro_together(t, turned, w));
    return 0;
}

VITRO_METHOD(struct oft, "oft", "1.0", "arXiv:2306.07280",
             "block-diagonal rotation of the input of the qkv projection", .options = options,
             .merge = merge);

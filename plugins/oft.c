/* OFT: the input of qkv is rotated, in blocks of channels.  Qiu et al. 2023.
 *     qkv = (u R) WT + bias,  R = diag(R_1, R_2, ..),  u = norm1, which nothing but qkv reads
 * R_k [block, block] comes from a skew Q_k, whose part above the diagonal is q[k], row after row:
 *     exact    R = (I - Q)(I + Q)^-1, Cayley's; orthogonal
 *     neumann  R = I + 2 Q + 2 Q^2 + 2 Q^3 + Q^4, near (I + Q)(I - Q)^-1: the opposite sense, and orthogonal
 *              only where Q is small. What HF peft does by default; its q is -q of exact, as here.
 * q starts at zero, so at first nothing changes. */
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

static int32_t entries(const struct oft *o)
{
    return o->block * (o->block - 1) / 2;
}

static int declare(void *self, vitro_decl *d)
{
    struct oft *o = self;
    if (d->model->dim % o->block)
        return d->host->fail(d->host, "block must divide the model's channels");
    o->q = VITRO_PARAM(d, .name = "q", .shape = VITRO_SHAPE(d->model->dim / o->block, entries(o)));
    d->hook(d, VITRO_BIT(NORM1), (vitro_blocks){0, 0});
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    return (int64_t)m->depth * (m->dim / ((const struct oft *)self)->block) * entries(self);
}

/* Q [blocks, block, block] */
static vitro_value skew(const struct oft *o, vitro_trace *t)
{
    return vitro_skew(t, vitro_get(t, o->q), o->block);
}

/* R = h[0] = I + Q h[1],  h[1] = 2 I + Q h[2],  h[2] = 2 I + Q h[3],  h[3] = 2 I + Q */
static void horner(const struct oft *o, vitro_trace *t, vitro_value q, vitro_value h[4])
{
    vitro_value eye = vitro_eye(t, o->block), twice = vitro_scale(t, eye, 2);
    h[3] = vitro_add(t, q, twice);
    h[2] = vitro_add(t, vitro_matmul(t, q, h[3]), twice);
    h[1] = vitro_add(t, vitro_matmul(t, q, h[2]), twice);
    h[0] = vitro_add(t, vitro_matmul(t, q, h[1]), eye);
}

static vitro_value rotation(const struct oft *o, vitro_trace *t)
{
    vitro_value q = skew(o, t), h[4];
    if (o->cayley == EXACT)
        return vitro_cayley(t, q);
    horner(o, t, q, h);
    return h[0];
}

/* dQ, as if its entries were free; neumann: dq += dh[i] h[i+1]T, dh[i+1] = QT dh[i], dh[0] = dR */
static vitro_value rotation_back(const struct oft *o, vitro_trace *t, vitro_value dr)
{
    vitro_value q = skew(o, t), dq = 0, h[4];
    if (o->cayley == EXACT)
        return vitro_cayley_back(t, q, dr);
    horner(o, t, q, h);
    for (int i = 0; i < 3; i++) {
        vitro_value d = t->op->matmul(t, dr, h[i + 1], 0, 1);
        dq = i ? vitro_add(t, dq, d) : d;
        dr = t->op->matmul(t, q, dr, 1, 0);
    }
    return vitro_add(t, dq, dr);
}

/* [.., dim] to [blocks, rows, block], and back to the shape of `like` */
static vitro_value apart(const struct oft *o, vitro_trace *t, vitro_value x)
{
    vitro_shape s = t->op->shape(t, x = vitro_rows(t, x));
    x = t->op->reshape(t, x, VITRO_SHAPE(s.dim[0], s.dim[1] / o->block, o->block));
    return t->op->permute(t, x, (const int32_t[4]){1, 0, 2});
}

static vitro_value together(vitro_trace *t, vitro_value x, vitro_value like)
{
    x = t->op->permute(t, x, (const int32_t[4]){1, 0, 2});
    return t->op->reshape(t, x, t->op->shape(t, like));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct oft *o = self;
    (void)site;
    vitro_value u = apart(o, t, x);
    t->op->save(t, 0, u);
    return together(t, vitro_matmul(t, u, rotation(o, t)), x);
}

/* block by block:  dR = uT dy;  du = dy RT;  dq from dQ - dQT above the diagonal */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct oft *o = self;
    (void)site;
    vitro_value g = apart(o, t, dy);
    vitro_value dq = rotation_back(o, t, t->op->matmul(t, t->op->saved(t, 0), g, 1, 0));
    t->op->grad(t, vitro_get(t, o->q), vitro_skew_back(t, dq, o->block));
    return together(t, t->op->matmul(t, g, rotation(o, t), 0, 1), dy);
}

/* W = W RT */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct oft *o = self;
    if (block < 0)
        return 0;
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT);
    vitro_value turned = t->op->matmul(t, apart(o, t, w), rotation(o, t), 0, 1);
    t->op->replace(t, VITRO_AT_QKV, VITRO_WEIGHT, together(t, turned, w));
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "oft",
    .version = "1.0",
    .summary = "block-diagonal rotation of the input of the qkv projection",
    .paper = "arXiv:2306.07280",
    .options = options,
    .self_size = sizeof(struct oft),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};

/* LoRA: W x += s b a dropout(x), of low rank r, beside linear layers.  Hu et al. 2022.
 *     s = alpha / r, or alpha / sqrt(r), which keeps a large r's update from fading (Kalajdzievski 2023)
 * a [r, in] is shared by query, key and value; b [out, r] starts at zero, so at first nothing changes. */
#include <math.h>
#include <vitro/sdk.h>

static const struct layer {
    int32_t site;
    const char *a, *b;
} layers[] = {{VITRO_AT_Q, "a.Q", "b.Q"},       {VITRO_AT_V, "a.V", "b.V"},
              {VITRO_AT_QKV, "a", "b"},         {VITRO_AT_PROJ, "a.PROJ", "b.PROJ"},
              {VITRO_AT_FC1, "a.FC1", "b.FC1"}, {VITRO_AT_FC2, "a.FC2", "b.FC2"}};
static const char *const targets[] = {"qkv", "qv", "attention", "mlp", "all", NULL};
static const int first[] = {2, 0, 2, 4, 2}, end[] = {3, 2, 4, 6, 6}; /* of layers, by target */

enum { KAIMING, OSU_RELEASE };
static const char *const inits[] = {"kaiming", "osu_release", NULL};

struct lora {
    int32_t r, rslora, targets, init;
    float alpha, dropout;
    vitro_param a[VITRO_SITE_COUNT], b[VITRO_SITE_COUNT];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct lora, r, 8, 1, 1024, "1 8 16 32", "rank: width of the update"),
    VITRO_OPT_FLOAT(struct lora, alpha, 0, 0, 1e4, NULL,
                    "strength: the update is scaled by alpha / r; 0 stands for a scale of 1"),
    VITRO_OPT_BOOL(struct lora, rslora, 0, NULL, "scale by alpha / sqrt(r) instead"),
    VITRO_OPT_FLOAT(struct lora, dropout, 0.1, 0, 0.99, NULL, "dropout of the update's input"),
    VITRO_OPT_ENUM(struct lora, targets, 0, targets, NULL,
                   "layers: qkv as one; q and v apart; qkv and proj; fc1 and fc2; all four"),
    VITRO_OPT_ENUM(struct lora, init, KAIMING, inits, NULL,
                   "a uniform, b zero; or both normal of 0.02, as the study's code in fact starts them"),
    VITRO_OPT_END,
};

static float strength(const struct lora *l)
{
    return l->alpha > 0 ? l->alpha / (l->rslora ? sqrtf((float)l->r) : (float)l->r) : 1;
}

static int declare(void *self, vitro_decl *d)
{
    struct lora *l = self;
    const int osu = l->init == OSU_RELEASE;
    const float arg = osu ? 0.02f : 0;
    for (int i = first[l->targets]; i < end[l->targets]; i++) {
        const struct layer *y = &layers[i];
        const int32_t in = vitro_width(d->model, vitro_input(y->site)), out = vitro_width(d->model, y->site);
        l->a[y->site] = VITRO_PARAM(d, .name = y->a, .shape = VITRO_SHAPE(l->r, in),
                                    .init = osu ? VITRO_NORMAL : VITRO_KAIMING, .init_arg = arg);
        l->b[y->site] = VITRO_PARAM(d, .name = y->b, .shape = VITRO_SHAPE(out, l->r), .wise = VITRO_TO_ZERO,
                                    .init = osu ? VITRO_NORMAL : VITRO_ZEROS, .init_arg = arg);
        d->hook(d, 1u << y->site, (vitro_blocks){0, 0});
    }
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const struct lora *l = self;
    const int64_t D = m->dim, F = m->hidden, widths[] = {4 * D, 4 * D, 6 * D, 2 * (D + F), 8 * D + 2 * F};
    return m->depth * l->r * widths[l->targets];
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct lora *l = self;
    vitro_value u = vitro_dropout(t, vitro_at(t, vitro_input(site->kind)), l->dropout);
    vitro_value h = vitro_linear(t, u, l->a[site->kind], 0);
    t->op->save(t, 0, u);
    t->op->save(t, 1, h);
    return vitro_add(t, x, vitro_scale(t, vitro_linear(t, h, l->b[site->kind], 0), strength(l)));
}

/* g = s dy;  db = gT h;  dh = g b;  da = dhT u;  du = dh a;  dx = the mask of u on du */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct lora *l = self;
    vitro_value g = vitro_scale(t, dy, strength(l));
    vitro_value dh = vitro_linear_back(t, t->op->saved(t, 1), g, l->b[site->kind], 0);
    vitro_value du = vitro_linear_back(t, t->op->saved(t, 0), dh, l->a[site->kind], 0);
    t->op->grad(t, vitro_at(t, vitro_input(site->kind)), t->op->redrop(t, 0, du));
    return dy;
}

/* W += s b a, for q and v in their rows of qkv's */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct lora *l = self;
    for (int i = first[l->targets]; i < end[l->targets] && block >= 0; i++) {
        const int32_t s = layers[i].site, part = s == VITRO_AT_Q || s == VITRO_AT_V;
        vitro_value ba = vitro_matmul(t, vitro_get(t, l->b[s]), vitro_get(t, l->a[s]));
        vitro_value none = part ? t->op->fill(t, t->op->shape(t, ba), 0) : 0, whole = ba;
        if (part)
            whole = t->op->concat(t, t->op->concat(t, s == VITRO_AT_Q ? ba : none, none, 0),
                                  s == VITRO_AT_V ? ba : none, 0);
        vitro_value w = t->op->weight(t, part ? VITRO_AT_QKV : s, VITRO_WEIGHT);
        w = vitro_add(t, w, vitro_scale(t, whole, strength(l)));
        t->op->replace(t, part ? VITRO_AT_QKV : s, VITRO_WEIGHT, w);
    }
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "lora",
    .version = "1.1",
    .summary = "low-rank update of linear layers, usually query, key and value",
    .paper = "arXiv:2106.09685",
    .options = options,
    .self_size = sizeof(struct lora),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};

/* token_gate.c - the method of the tutorial: each token decides how much of a branch it takes.
 *
 *     y = x s,   s = 2 sigmoid(x v + c)      v [dim] and c learned for each gated branch of each block
 *
 * x is what the attention or the MLP is about to add to the stream. At the start v and c are 0, so s is 1 and
 * the network is the backbone; the same values are what WiSE leads them back to. */
#include <vitro/sdk.h>

enum { ATTENTION, MLP, GATES };
enum { ONLY_ATTENTION, ONLY_MLP, BOTH };

struct token_gate {
    int32_t branches, bias; /* the options */
    vitro_param v[GATES], c[GATES];
};

static const char *const branch_names[] = {"attention", "mlp", "both", NULL};
static const vitro_option options[] = {
    VITRO_OPT_ENUM(struct token_gate, branches, BOTH, branch_names, "attention mlp both",
                   "which branches are gated"),
    VITRO_OPT_BOOL(struct token_gate, bias, 1, NULL, "a constant c beside the token's own say"),
    VITRO_OPT_END,
};

static const struct {
    int32_t site;
    const char *v, *c;
} gates[GATES] = {{VITRO_AT_ATTN_OUT, "v.attention", "c.attention"}, {VITRO_AT_MLP_OUT, "v.mlp", "c.mlp"}};

static int is_gated(const struct token_gate *m, int gate)
{
    return m->branches == BOTH || m->branches == (gate == MLP ? ONLY_MLP : ONLY_ATTENTION);
}

static int declare(void *self, vitro_decl *d)
{
    struct token_gate *m = self;
    for (int g = 0; g < GATES; g++) {
        if (!is_gated(m, g))
            continue;
        m->v[g] = VITRO_PARAM(d, VITRO_MATRIX(gates[g].v, 1, d->model->dim), .wise = VITRO_TO_ZERO);
        if (m->bias)
            m->c[g] = VITRO_PARAM(d, VITRO_VECTOR(gates[g].c, 1), .wise = VITRO_TO_ZERO);
        vitro_hook(d, 1u << gates[g].site);
    }
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *model)
{
    const struct token_gate *m = self;
    return (int64_t)(m->branches == BOTH ? 2 : 1) * model->depth * (model->dim + (m->bias ? 1 : 0));
}

/* Slots: 0 is x, 1 the logit of the gate [batch, tokens, 1], 2 the gate. */
static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct token_gate *m = self;
    int g = site->kind == VITRO_AT_MLP_OUT ? MLP : ATTENTION;
    vitro_value logit = vitro_linear(t, x, m->v[g], m->c[g]);
    vitro_value gate = vitro_scale(t, t->op->unary(t, logit, VITRO_SIGMOID), 2);
    VITRO_SAVE(t, x, logit, gate);
    return vitro_mul(t, x, gate);
}

/* d_x = d_y s + d_logit v,  d_logit = 2 sigmoid'(logit) sum_i d_y_i x_i,  and v and c as of a linear layer. */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct token_gate *m = self;
    int g = site->kind == VITRO_AT_MLP_OUT ? MLP : ATTENTION;
    vitro_value x = vitro_saved(t, 0), logit = vitro_saved(t, 1), gate = vitro_saved(t, 2);
    vitro_value d_gate = vitro_scale(t, t->op->sum(t, vitro_mul(t, dy, x), 1u << 2), 2);
    vitro_value d_logit = t->op->unary_back(t, logit, d_gate, VITRO_SIGMOID);
    vitro_value through = vitro_linear_back(t, x, d_logit, m->v[g], m->c[g]);
    return vitro_add(t, vitro_mul(t, dy, gate), through);
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "token_gate",
    .version = "1.0",
    .summary = "each token gates what the branches add to it",
    .paper = "unpublished",
    .options = options,
    .self_size = sizeof(struct token_gate),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
};

/* lower_attention.c - attention and its derivative, from fused queries, keys and values. */
#include "lower_attention.h"

#include "attention_ladder.h"
#include "attention_matrix.h"
#include "error.h"
#include "gemm_cpu.h"

#include <math.h>
#include <string.h>

enum { WIDTH_MAX = 256 };

static struct attention_sizes sizes_of(struct program *p, const struct node *n)
{
    struct shape s = tape_shape(p->tape, n->in[0]);
    struct attention a = n->attr.attention;
    struct attention_sizes z = {.batch = (uint32_t)s.dim[0],
                                .tokens = (uint32_t)s.dim[1],
                                .heads = (uint32_t)a.heads,
                                .q_from = (uint32_t)a.q_from,
                                .queries = (uint32_t)(a.q_to - a.q_from),
                                .k_from = (uint32_t)a.k_from};
    z.width = (uint32_t)s.dim[2] / 3 / z.heads;
    z.scale = 1 / sqrtf((float)z.width);
    if (z.width % 2 || z.width > WIDTH_MAX)
        program_refuse(
            p, fail(ERR_INPUT,
                    "attention: heads of width %u are not supported; the width must be even and at most %d",
                    z.width, WIDTH_MAX));
    return z;
}

double attention_flops(const struct attention_sizes *z, int products)
{
    return 2.0 * products * z->batch * z->heads * z->queries * (z->tokens - z->k_from) * z->width;
}

double attention_bytes(const struct attention_sizes *z, int qkv, int outs, int parts)
{
    const double width = (double)z->heads * z->width, keys = z->tokens - z->k_from, queries = z->queries;
    return z->batch * width * (qkv * (queries + 2 * keys) + outs * queries + parts * (double)z->tokens);
}

static int bytes_of(struct stored s)
{
    return s.halves ? 2 : 4;
}

int attention_rounds(struct program *p, const struct node *n)
{
    return attention_matrix_unit(p->engine, p->number, sizes_of(p, n).width) != NULL;
}

static int in_tiles(const struct program *p, const struct attention_sizes *z)
{
    return attention_is_in_tiles(p->engine, p->number, z->width);
}

/* The kernel of a pass, which is noted among the program's products. */
static struct attention_choice choose(struct program *p, enum attention_pass pass,
                                      const struct attention_sizes *z)
{
    const struct attention_task task = {.pass = pass,
                                        .number = p->number,
                                        .batch = z->batch,
                                        .tokens = z->tokens,
                                        .heads = z->heads,
                                        .width = z->width,
                                        .queries = z->queries,
                                        .keys = z->tokens - z->k_from};
    struct attention_choice c = {.owned = 1};
    const int rc = products_choose_attention(p->engine, &task, &c);
    if (rc < 0)
        program_refuse(p, rc);
    return c;
}

int attention_leaves_panels(struct program *p, const struct node *n)
{
    const struct attention_sizes z = sizes_of(p, n);
    return in_tiles(p, &z) && z.width % PANEL == 0;
}

/* An operand of the kernel's, which rounds it on matrix units. */
static struct stored operand_of(struct program *p, const struct attention_choice *c, value v)
{
    return c->rung == RUNG_SUBGROUP ? program_operand(p, v, 0) : (struct stored){program_value(p, v), 0};
}

static struct stored result_of(struct program *p, const struct attention_choice *c, value v)
{
    struct stored s;
    s.at = program_result(p, v, c->rung == RUNG_SUBGROUP, &s.halves);
    return s;
}

/* What the kernel reads, the gradient of the result where there is one, and what it writes. */
static void apply(const struct program *p, struct work *w, const struct attention_choice *c,
                  struct stored qkv, struct stored d_out, struct stored to)
{
    const uint32_t halves[] = {(uint32_t)qkv.halves, (uint32_t)d_out.halves,
                               (uint32_t)(to.halves ? p->number : NUMBER_FP32)};
    memcpy(w->constants, c->constants, sizeof c->constants);
    w->constant_count = c->constant_count;
    if (c->rung == RUNG_SUBGROUP) {
        memcpy(w->constants + w->constant_count, halves, sizeof halves);
        w->constant_count += sizeof halves / sizeof *halves;
    }
}

struct ref attention_scratch(struct program *p, const char *name, uint64_t floats)
{
    return (struct ref){program_slot(p, name, floats * 4), 0};
}

static void emit_forward(struct program *p, const struct node *n, const struct attention_sizes *z,
                         const struct attention_choice *c, struct stored out, struct ref lse)
{
    if (in_tiles(p, z)) {
        attention_tiles_forward(p, n, z, out.at, lse);
        return;
    }
    struct push_attention push = {.tokens = z->tokens,
                                  .heads = z->heads,
                                  .scale = z->scale,
                                  .q_from = z->q_from,
                                  .queries = z->queries,
                                  .k_from = z->k_from};
    const struct stored qkv = operand_of(p, c, n->in[0]), none = {0};
    const struct ref refs[] = {qkv.at, out.at, lse};
    const uint32_t groups[3] = {tiles(z->queries, c->owned), z->heads, z->batch};
    struct work *w = program_emit(p, c->shader, &push, sizeof push, refs, 3, 2 | 4, groups);
    apply(p, w, c, qkv, none, out);
    w->flops = attention_flops(z, 2);
    w->bytes = attention_bytes(z, bytes_of(qkv), bytes_of(out), 0);
}

/* The live log-sum-exp of the same operand and ranges as the attention n, or 0. */
static value find_lse(const struct program *p, const struct node *n)
{
    for (value v = 1; v < tape_size(p->tape); v++) {
        const struct node *m = tape_node(p->tape, v);
        if (p->live[v] && m->op == OP_ATTENTION_LSE &&
            program_root(p, m->in[0]) == program_root(p, n->in[0]) &&
            !memcmp(&m->attr.attention, &n->attr.attention, sizeof m->attr.attention))
            return v;
    }
    return 0;
}

void lower_attention(struct program *p, value v, const struct node *n)
{
    struct attention_sizes z = sizes_of(p, n);
    value lse = find_lse(p, n);
    struct ref sums = lse ? program_value(p, lse)
                          : attention_scratch(p, "log sum exp", (uint64_t)z.batch * z.heads * z.queries);
    const struct attention_choice c = choose(p, ATTENTION_FORWARD, &z);
    emit_forward(p, n, &z, &c, result_of(p, &c, v), sums);
}

/* Written along with the attention of the same operand, when that is wanted too and came first. */
void lower_attention_lse(struct program *p, value v, const struct node *n)
{
    if (p->slot_of[v])
        return;
    struct attention_sizes z = sizes_of(p, n);
    const struct attention_choice c = choose(p, ATTENTION_FORWARD, &z);
    const struct stored scratch = {
        attention_scratch(p, "attention", (uint64_t)z.batch * z.queries * z.heads * z.width), 0};
    emit_forward(p, n, &z, &c, scratch, program_value(p, v));
}

/* Two halves, each ordered, so without atomics: the queries' gradient, then the keys' and values'. Both
 * cover all tokens, with zeros for those out of the ranges. */
void lower_attention_back(struct program *p, value v, const struct node *n)
{
    struct attention_sizes z = sizes_of(p, n);
    const struct attention_choice choices[] = {choose(p, ATTENTION_BACK_Q, &z),
                                               choose(p, ATTENTION_BACK_KV, &z)};
    if (in_tiles(p, &z)) {
        attention_tiles_back(p, v, n, &z);
        return;
    }
    struct push_attention_back push = {.tokens = z.tokens,
                                       .heads = z.heads,
                                       .scale = z.scale,
                                       .q_from = z.q_from,
                                       .queries = z.queries,
                                       .k_from = z.k_from};
    const struct stored qkv = operand_of(p, choices, n->in[0]), d_out = operand_of(p, choices, n->in[3]),
                        d_qkv = result_of(p, choices, v);
    const struct ref refs[] = {
        qkv.at,
        program_value(p, n->in[1]),
        program_value(p, n->in[2]),
        d_out.at,
        attention_scratch(p, "attention delta", (uint64_t)z.batch * z.heads * z.queries),
        d_qkv.at,
    };
    static const struct half {
        int products, parts; /* parts: thirds of the gradient that it writes */
        uint32_t writes;
    } halves[] = {{3, 1, 32 | 16}, {4, 2, 32}};
    for (int i = 0; i < 2; i++) {
        const struct half *h = &halves[i];
        const struct attention_choice *c = &choices[i];
        const uint32_t groups[3] = {tiles(z.tokens, c->owned), z.heads, z.batch};
        struct work *w = program_emit(p, c->shader, &push, sizeof push, refs, 6, h->writes, groups);
        apply(p, w, c, qkv, d_out, d_qkv);
        w->flops = attention_flops(&z, h->products);
        w->bytes = attention_bytes(&z, bytes_of(qkv), bytes_of(d_out) + (i == 0 ? 4 : 0),
                                   h->parts * bytes_of(d_qkv));
    }
}

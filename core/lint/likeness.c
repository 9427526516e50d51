/* likeness.c - see likeness.h. A method's record is a graph; every value gets a number from its operation,
 * and in each round a new one from its own, its operands' and its users'. */
#include "likeness.h"

#include "error.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

/* Widths that methods seldom choose for themselves, and the MLP four times as wide, as some insist on. */
static const struct vit_shape shapes[LIKENESS_SHAPES] = {
    {.image = 24, .patch = 8, .dim = 96, .depth = 2, .heads = 3, .hidden = 384, .classes = 7, .eps = 1e-6f},
    {.image = 40, .patch = 8, .dim = 160, .depth = 3, .heads = 5, .hidden = 640, .classes = 7, .eps = 1e-6f},
};

struct graph {
    const struct lab *lab;
    uint32_t count;
    unsigned char *live;
    value *stands_for; /* of values that only pass on another one */
    uint64_t *now, *next, *users;
};

/* The finaliser of splitmix64, Steele et al. 2014 (OOPSLA). */
static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) + 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

/* --- what a value is by itself */

/* Scaling by a number, dropping out, stretching and reshaping change no structure. */
static int passes_on(const struct node *n)
{
    return n->op == OP_DROPOUT || n->op == OP_RESHAPE || n->op == OP_EXPAND || n->op == OP_HOOKED ||
           (n->op == OP_AFFINE && n->attr.affine.shift == 0.0f);
}

/* The model's widths have names; whatever a method chose is all the same. */
static uint64_t name_of_width(const struct vit_shape *s, int32_t n)
{
    const int32_t names[] = {1, s->dim, 3 * s->dim, s->hidden, 3 * s->patch * s->patch, s->classes};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i] == n)
            return i + 1;
    return 99;
}

/* Regardless of the axes' order, which is a matter of taste. */
static uint64_t label_of_param(const struct vit_shape *s, const struct tensor *t)
{
    uint64_t widths = 0, random = t->init != VITRO_ZEROS && t->init != VITRO_ONES && t->init != VITRO_EYE &&
                                  t->init != VITRO_COUNT;
    for (int i = 0; i < t->shape.rank; i++)
        widths += mix(7, name_of_width(s, t->shape.dim[i]));
    uint64_t h = mix(widths, (uint64_t)t->kind);
    return mix(mix(h, random ? 99 : t->init), t->block < 0);
}

static uint64_t label_of_leaf(const struct lab *l, const struct node *n)
{
    if (n->attr.leaf.kind == LEAF_INPUT || n->attr.leaf.kind == LEAF_IMAGES)
        return 1;
    const struct tensor *t = &l->tensors[n->attr.leaf.id];
    if (t->source < 0)
        return mix(2, label_of_param(&l->vit->shape, t));
    const struct vit_tensor *b = &l->vit->tensors[t->source];
    return mix(mix(3, (uint64_t)b->site), (uint64_t)(b->part * 2 + (t->kind == LEAF_TRAINABLE)));
}

static int is_leaf(const struct graph *g, value v)
{
    return tape_node(g->lab->tape, g->stands_for[v])->op == OP_LEAF;
}

/* Numbers that tell one kind of the operation from another; axes count from the last. */
static uint64_t attribute_of(const struct graph *g, const struct node *n)
{
    int rank = n->shape.rank;
    uint64_t h = 0;
    switch (n->op) {
    case OP_UNARY: return (uint64_t)n->attr.unary.fn;
    case OP_FILL: return n->attr.fill.value == 0.0f ? 0 : n->attr.fill.value == 1.0f ? 1 : 2;
    case OP_MATMUL: /* how a parameter lies in memory is a matter of taste, too */
        return is_leaf(g, n->in[0]) || is_leaf(g, n->in[1])
                   ? 9
                   : (uint64_t)(n->attr.matmul.a_t * 2 + n->attr.matmul.b_t);
    case OP_CONCAT: return (uint64_t)(rank - n->attr.concat.axis);
    case OP_SLICE: return (uint64_t)(rank - n->attr.slice.axis);
    case OP_PAD: return (uint64_t)(rank - n->attr.pad.axis);
    case OP_UNFOLD:
    case OP_FOLD: return (uint64_t)n->attr.unfold.k;
    case OP_SUM:
        for (int i = 0; i < rank; i++)
            h |= (uint64_t)(n->attr.sum.axes >> i & 1) << (rank - i);
        return h;
    default: return 0;
    }
}

static uint64_t label(const struct graph *g, value v)
{
    const struct node *n = tape_node(g->lab->tape, v);
    if (n->op == OP_LEAF)
        return label_of_leaf(g->lab, n);
    return mix(mix(4, (uint64_t)n->op), attribute_of(g, n));
}

/* --- rounds */

static int is_commutative(enum op op)
{
    return op == OP_ADD || op == OP_MUL;
}

static void look_around(struct graph *g)
{
    const struct tape *t = g->lab->tape;
    memset(g->users, 0, g->count * sizeof *g->users);
    for (value v = 1; v < g->count; v++) {
        const struct node *n = tape_node(t, v);
        if (!g->live[v] || g->stands_for[v] != v)
            continue;
        uint64_t below = 0;
        for (int i = 0; i < op_arity[n->op]; i++) {
            value in = g->stands_for[n->in[i]];
            uint64_t side = is_commutative(n->op) ? 0 : (uint64_t)i + 1;
            below += mix(g->now[in], side); /* a sum: the order is in `side` where it counts */
            g->users[in] += mix(g->now[v], side + 100);
        }
        g->next[v] = mix(g->now[v], below);
    }
    for (value v = 1; v < g->count; v++)
        if (g->live[v] && g->stands_for[v] == v)
            g->now[v] = mix(g->next[v], g->users[v]);
}

/* --- which values are the method's */

static int is_own(const struct graph *g, value v)
{
    const struct node *n = tape_node(g->lab->tape, v);
    if (g->stands_for[v] != v)
        return 0;
    if (n->op != OP_LEAF)
        return g->live[v] && n->name != NULL; /* the place where a plugin recorded it */
    if (n->attr.leaf.kind == LEAF_INPUT || n->attr.leaf.kind == LEAF_IMAGES)
        return 0;
    const struct tensor *tensor = &g->lab->tensors[n->attr.leaf.id];
    return tensor->owner >= 0 || (tensor->kind == LEAF_TRAINABLE && !tensor->is_head);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int take_view(const struct graph *g, struct view *out)
{
    out->features = mem_alloc(g->count, sizeof *out->features);
    if (!out->features)
        return ERR_MEMORY;
    for (value v = 1; v < g->count; v++)
        if (is_own(g, v))
            out->features[out->count++] = g->now[v];
    qsort(out->features, out->count, sizeof *out->features, by_number);
    return 0;
}

static int build(struct graph *g)
{
    g->count = tape_size(g->lab->tape);
    g->live = mem_alloc(g->count, 1);
    g->stands_for = mem_alloc(g->count, sizeof *g->stands_for);
    g->now = mem_alloc(g->count, sizeof *g->now);
    g->next = mem_alloc(g->count, sizeof *g->next);
    g->users = mem_alloc(g->count, sizeof *g->users);
    if (!g->live || !g->stands_for || !g->now || !g->next || !g->users)
        return ERR_MEMORY;
    tape_live(g->lab->tape, &g->lab->loss, 1, g->live);
    for (value v = 1; v < g->count; v++) {
        const struct node *n = tape_node(g->lab->tape, v);
        g->stands_for[v] = passes_on(n) ? g->stands_for[n->in[0]] : v;
    }
    for (value v = 1; v < g->count; v++)
        g->now[v] = label(g, v);
    return 0;
}

static void drop(struct graph *g)
{
    mem_free(g->live);
    mem_free(g->stands_for);
    mem_free(g->now);
    mem_free(g->next);
    mem_free(g->users);
}

static int look_at(struct view *views, struct subject *s, const char *text, const struct vit_shape *shape)
{
    struct lab lab;
    struct graph g = {.lab = &lab};
    TRY(lab_declare(&lab, s, text, shape));
    int rc = lab_record(&lab, &(struct lab_run){.training = 1, .derive = 1});
    if (rc == 0)
        rc = build(&g);
    for (int round = 0; round < LIKENESS_ROUNDS && rc == 0; round++) {
        rc = take_view(&g, &views[round]);
        if (rc == 0)
            look_around(&g);
    }
    drop(&g);
    lab_close(&lab);
    return rc;
}

int likeness_of(struct likeness *out, struct subject *s, const char *text)
{
    int rc = 0;
    *out = (struct likeness){0};
    for (int i = 0; i < LIKENESS_SHAPES && rc == 0; i++)
        rc = look_at(&out->view[i * LIKENESS_ROUNDS], s, text, &shapes[i]);
    if (rc < 0)
        likeness_free(out);
    return rc;
}

void likeness_free(struct likeness *l)
{
    for (int i = 0; i < LIKENESS_VIEWS; i++)
        mem_free(l->view[i].features);
    *l = (struct likeness){0};
}

/* Of two sorted bags: what both have over what either has. */
static double shared(const struct view *a, const struct view *b)
{
    size_t i = 0, k = 0, both = 0;
    while (i < a->count && k < b->count) {
        both += a->features[i] == b->features[k];
        if (a->features[i] == b->features[k])
            i++, k++;
        else if (a->features[i] < b->features[k])
            i++;
        else
            k++;
    }
    size_t either = a->count + b->count - both;
    return either ? (double)both / (double)either : 1;
}

double likeness_compare(const struct likeness *a, const struct likeness *b)
{
    double sum = 0;
    for (int i = 0; i < LIKENESS_VIEWS; i++)
        sum += shared(&a->view[i], &b->view[i]);
    return sum / LIKENESS_VIEWS;
}

/* tape.c - storage of the tape: appending, finding equal operations, poison and its reason. */
#include "tape_private.h"

#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const op_names[OP_COUNT] = {
#define OP(NAME, name, arity) #name,
#include "ops.def"
#undef OP
};

const int op_arity[OP_COUNT] = {
#define OP(NAME, name, arity) arity,
#include "ops.def"
#undef OP
};

enum { FIRST_ROOM = 1024 };

struct tape *tape_create(void)
{
    struct tape *t = mem_alloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->count = 1; /* value 0 is poison */
    t->fail_countdown = -1;
    return t;
}

void tape_destroy(struct tape *t)
{
    if (!t)
        return;
    mem_free(t->nodes);
    mem_free(t->table);
    mem_free(t->rules);
    mem_free(t->slices);
    arena_finish(&t->names);
    mem_free(t->calls);
    mem_free(t);
}

uint32_t tape_size(const struct tape *t)
{
    return t->count;
}

const struct node *tape_node(const struct tape *t, value v)
{
    return v && v < t->count ? &t->nodes[v] : NULL;
}

struct shape tape_shape(const struct tape *t, value v)
{
    return v && v < t->count ? t->nodes[v].shape : (struct shape){0};
}

const char *tape_why(const struct tape *t)
{
    return t->why[0] ? t->why : NULL;
}

value tape_fail(struct tape *t, const char *format, ...)
{
    if (t->why[0])
        return 0;
    char text[WHY_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (t->place)
        snprintf(t->why, sizeof t->why, "%.160s: %.340s", t->place, text);
    else
        memcpy(t->why, text, sizeof text);
    return 0;
}

void tape_place(struct tape *t, const char *place)
{
    t->place = place ? arena_string(&t->names, place) : NULL;
}

void tape_fail_after(struct tape *t, long successes)
{
    t->fail_countdown = successes;
}

static uint64_t node_hash(const struct node *n)
{
    uint64_t h = 0xcbf29ce484222325u;
    const unsigned char *parts[] = {(const unsigned char *)&n->op, (const unsigned char *)&n->shape,
                                    (const unsigned char *)n->in, (const unsigned char *)&n->attr,
                                    (const unsigned char *)&n->again};
    const size_t sizes[] = {sizeof n->op, sizeof n->shape, sizeof n->in, sizeof n->attr, sizeof n->again};
    for (int p = 0; p < 5; p++)
        for (size_t i = 0; i < sizes[p]; i++)
            h = (h ^ parts[p][i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static int node_equal(const struct node *a, const struct node *b)
{
    return a->op == b->op && a->again == b->again && !memcmp(&a->shape, &b->shape, sizeof a->shape) &&
           !memcmp(a->in, b->in, sizeof a->in) && !memcmp(&a->attr, &b->attr, sizeof a->attr);
}

/* The slot of an equal node, or the free one where it belongs. */
static uint32_t *table_slot(struct tape *t, const struct node *n)
{
    uint32_t i = (uint32_t)node_hash(n) & (t->table_size - 1);
    while (t->table[i] && !node_equal(&t->nodes[t->table[i]], n))
        i = (i + 1) & (t->table_size - 1);
    return &t->table[i];
}

/* Room for one more node, and a table at most half full. */
static int tape_reserve(struct tape *t)
{
    if (t->count < t->room)
        return 0;
    uint32_t room = t->room ? t->room * 2 : FIRST_ROOM;
    struct node *nodes = mem_grow(t->nodes, t->room, room, sizeof *nodes);
    if (!nodes)
        return ERR_MEMORY;
    t->nodes = nodes;
    uint32_t *table = mem_alloc((size_t)room * 2, sizeof *table);
    if (!table)
        return ERR_MEMORY;
    mem_free(t->table);
    t->table = table;
    t->table_size = room * 2;
    t->room = room;
    for (value v = 1; v < t->count; v++)
        *table_slot(t, &t->nodes[v]) = v;
    return 0;
}

value record(struct tape *t, enum op op, struct shape shape, const value in[OP_INPUTS], union attr attr,
             const char *name)
{
    if (t->fail_countdown >= 0 && t->fail_countdown-- == 0)
        return tape_fail(t, "%s: told to fail here by a test", op_names[op]);
    for (int i = 0; i < op_arity[op]; i++)
        if (!in[i] || in[i] >= t->count)
            return tape_fail(t, "%s: operand %d is not a value", op_names[op], i);
    if (shape_count(shape) > INT32_MAX)
        return tape_fail(t, "%s: the result has more than 2^31 elements; use a smaller batch", op_names[op]);
    if (tape_reserve(t) < 0)
        return tape_fail(t, "%s", error_text());
    struct node n = {.op = op, .shape = shape, .attr = attr, .again = t->again, .derivative = t->derivative};
    memcpy(n.in, in, sizeof n.in);
    uint32_t *slot = table_slot(t, &n);
    if (*slot)
        return *slot;
    n.name = name ? arena_string(&t->names, name) : t->place;
    t->nodes[t->count] = n;
    *slot = t->count;
    return t->count++;
}

int keep_rule(struct tape *t, struct rule rule, uint32_t *at)
{
    struct rule *rules = mem_grow(t->rules, t->rule_count, t->rule_count + 1, sizeof *rules);
    if (!rules) {
        tape_fail(t, "%s", error_text());
        return ERR_MEMORY;
    }
    t->rules = rules;
    rules[t->rule_count] = rule;
    *at = t->rule_count++;
    return 0;
}

void tape_live_with(const struct tape *t, const value *roots, size_t count, const unsigned char *kernels,
                    unsigned char *live)
{
    memset(live, 0, t->count);
    for (size_t i = 0; i < count; i++)
        if (roots[i] && roots[i] < t->count)
            live[roots[i]] = 1;
    for (value v = t->count - 1; v > 0; v--) {
        const struct node *n = &t->nodes[v];
        int custom = n->op == OP_CUSTOM, kernel = custom && kernels && kernels[v];
        int first = kernel, last = custom && !kernel ? 1 : op_arity[n->op];
        for (int i = first; live[v] && i < last; i++)
            live[n->in[i]] = 1;
    }
}

void tape_live(const struct tape *t, const value *roots, size_t count, unsigned char *live)
{
    tape_live_with(t, roots, count, NULL, live);
}

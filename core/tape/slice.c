/* slice.c - slices, moved down to where they save work: rows that nobody reads are never computed.
 *
 * slice(f(x)) = f(slice(x)) for every f that treats the rows apart; of attention's rows only the queries
 * are cut. Followed from the class token down, this leaves the last block's queries, projection and MLP one
 * row an image; followed from where a method takes its prompts off, the prompts serve as keys and values
 * only. Both are exact: the same numbers, fewer.
 *
 * A value's rows are computed by themselves only if nobody so far needs the whole value: else all of it is
 * computed anyway. Hence not while differentiating, where most users are still to come: there a slice finds
 * what was cut before. A hooked value's rows keep its rule, which is told of zeros for the other rows. */
#include "slice.h"

#include "error.h"

enum {
    SPARE = 1, /* has been asked for in parts, or was made for such a value */
    IDLE = 2,  /* spare, and nobody so far needs it whole; nor its operands for it */
    PARTS = 4, /* its rows are made of rows of its operands */
};

/* Whether v is needed whole, as far as the cut knows; tells its operands when that changes. */
static void set_needed(struct cut *c, value v, int needed)
{
    const struct node *n = &c->tape->nodes[v];
    if (needed == !(c->flags[v] & IDLE))
        return;
    c->flags[v] ^= IDLE;
    for (int i = 0; i < op_arity[n->op]; i++) {
        c->uses[n->in[i]] += needed ? 1 : UINT32_MAX; /* one more or less */
        c->flags[n->in[i]] |= SPARE;
    }
}

/* The uses so far, without those by idle values. While differentiating, all values may yet be used. */
static void count_uses(struct cut *c)
{
    struct tape *t = c->tape;
    for (value v = 1; t->backward && v < t->count; v++)
        c->uses[v] = 1;
    if (t->backward)
        return;
    for (uint32_t i = 0; i < t->slice_count; i++)
        c->flags[t->slices[i].of] |= SPARE;
    for (value v = t->count - 1; v > 0; v--) {
        const struct node *n = &t->nodes[v];
        int idle = c->flags[v] & SPARE && !c->uses[v];
        c->flags[v] |= idle ? IDLE : 0;
        for (int i = 0; i < op_arity[n->op]; i++) {
            c->uses[n->in[i]] += !idle;
            c->flags[n->in[i]] |= idle ? SPARE : 0;
        }
    }
}

/* What was cut out of v before, or out of that; v itself if all is asked for. */
static value made_before(const struct cut *c, value v)
{
    struct rows r = c->rows[v];
    if (r.to - r.from == c->tape->nodes[v].shape.dim[c->axis])
        return v;
    const struct kept_slice *k = slice_kept(c->tape, v, c->axis, r.from, r.to);
    return k ? tape_slice(c->tape, k->made, c->axis, r.from - k->from, r.to - k->from) : 0;
}

/* One that asks for other rows than those before is served apart. */
static void ask(struct cut *c, value x, struct rows r)
{
    if (!c->rows[x].to)
        c->rows[x] = r;
    else if (c->rows[x].from != r.from || c->rows[x].to != r.to)
        c->uses[x]++;
}

/* Decides how to come by what is asked of v, and asks its operands. */
static void decide(struct cut *c, value v)
{
    struct rows need[OP_INPUTS] = {{0, 0}};
    const struct node *n = &c->tape->nodes[v];
    enum way way = rows_way(c, v, c->rows[v], need);
    if (way == ROWS_STAY || (way == ROWS_BELOW && c->uses[v]))
        return;
    c->flags[v] |= PARTS;
    for (int i = 0; i < op_arity[n->op]; i++)
        if (need[i].to)
            ask(c, n->in[i], need[i]);
        else if (way == ROWS_BELOW)
            c->uses[n->in[i]]++; /* whole, by what will be made */
}

/* From v down, users before operands. */
static void mark(struct cut *c, value v)
{
    for (; v > 0; v--) {
        int asked = c->rows[v].to > 0;
        if (asked && !(c->made[v] = made_before(c, v)))
            decide(c, v);
        int whole = c->made[v] ? c->made[v] == v : asked && !(c->flags[v] & PARTS);
        if (asked || c->flags[v] & SPARE)
            set_needed(c, v, whole || c->uses[v]);
    }
}

/* Remembers what stands for the rows of v: derivatives will ask for it. */
static value keep(struct cut *c, value v, value made)
{
    struct tape *t = c->tape;
    struct kept_slice *grown = mem_grow(t->slices, t->slice_count, t->slice_count + 1, sizeof *grown);
    if (!grown)
        return tape_fail(t, "%s", error_text());
    t->slices = grown;
    t->slices[t->slice_count++] = (struct kept_slice){
        .of = v, .made = made, .axis = c->axis, .from = c->rows[v].from, .to = c->rows[v].to};
    return made;
}

static value plain_slice(struct cut *c, value x)
{
    struct shape s = tape_shape(c->tape, x);
    union attr attr = attr_zero();
    attr.slice.axis = c->axis;
    attr.slice.from = c->rows[x].from;
    attr.slice.to = c->rows[x].to;
    s.dim[c->axis] = attr.slice.to - attr.slice.from;
    return record1(c->tape, OP_SLICE, s, attr, x);
}

/* What was asked for, operands before users. */
static value make(struct cut *c, value top, struct rows r)
{
    count_uses(c);
    ask(c, top, r);
    mark(c, top);
    const char *place = c->tape->place;
    for (value v = 1; v <= top; v++)
        if (c->rows[v].to && !c->made[v]) {
            const struct node *n = &c->tape->nodes[v];
            c->tape->place = n->op == OP_LEAF ? place : n->name; /* the rows are recorded where the whole was */
            c->made[v] = c->flags[v] & PARTS ? keep(c, v, rows_make(c, v)) : plain_slice(c, v);
        }
    c->tape->place = place;
    return c->made[top];
}

int reshape_rows(struct shape of, struct shape other, int32_t axis, int32_t *from, int32_t *to)
{
    int64_t each = 1, other_each = 1;
    if (axis >= other.rank)
        return 0;
    for (int i = 0; i < axis; i++)
        if (of.dim[i] != other.dim[i])
            return 0;
    for (int i = axis + 1; i < of.rank; i++)
        each *= of.dim[i];
    for (int i = axis + 1; i < other.rank; i++)
        other_each *= other.dim[i];
    if (*from * each % other_each || *to * each % other_each)
        return 0;
    *from = (int32_t)(*from * each / other_each);
    *to = (int32_t)(*to * each / other_each);
    return 1;
}

int dropout_cut(struct dropout *d, struct shape s, int32_t axis, int32_t from)
{
    if (!(d->axes >> axis & 1))
        return 1; /* one draw serves for all rows */
    if (d->total && d->axis != axis)
        return 0;
    if (!d->total)
        d->total = s.dim[axis];
    d->axis = axis;
    d->from += from;
    return 1;
}

const struct kept_slice *slice_kept(const struct tape *t, value v, int32_t axis, int32_t from, int32_t to)
{
    const struct kept_slice *found = NULL;
    for (uint32_t i = 0; i < t->slice_count; i++) {
        const struct kept_slice *k = &t->slices[i];
        if (k->of == v && k->axis == axis && k->from <= from && k->to >= to &&
            (!found || k->to - k->from < found->to - found->from))
            found = k;
    }
    return found;
}

value tape_slice(struct tape *t, value x, int32_t axis, int32_t from, int32_t to)
{
    if (!x)
        return 0;
    char text[SHAPE_TEXT];
    struct shape s = tape_shape(t, x);
    if (axis < 0 || axis >= s.rank)
        return tape_fail(t, "slice: axis %d of a value of shape %s does not exist", axis,
                         shape_text(s, text));
    if (from < 0 || to > s.dim[axis] || from >= to)
        return tape_fail(t, "slice: %d to %d is not a part of an axis of %d", from, to, s.dim[axis]);
    if (to - from == s.dim[axis])
        return x;
    struct cut c = {.tape = t, .axis = axis};
    c.uses = mem_alloc(t->count, sizeof *c.uses);
    c.flags = mem_alloc(t->count, sizeof *c.flags);
    c.rows = mem_alloc(t->count, sizeof *c.rows);
    c.made = mem_alloc(t->count, sizeof *c.made);
    value result = 0;
    if (c.uses && c.flags && c.rows && c.made)
        result = make(&c, x, (struct rows){from, to});
    else
        tape_fail(t, "%s", error_text());
    mem_free(c.uses);
    mem_free(c.flags);
    mem_free(c.rows);
    mem_free(c.made);
    return result;
}

/* fronts.c - what a hook may do to a shape: the tokens in front of the class token, and whose they are. */
#include "ops_private.h"

#include "error.h"

#include <string.h>

enum { GAIN = 1, LOSE = 2 };

/* Each instance may put tokens on once before every block and once at K or V. */
static size_t front_room(const struct method *m)
{
    return m->count * ((size_t)m->model.depth + 2);
}

int fronts_begin(struct trace *tr)
{
    for (int i = 0; i < FRONTS; i++)
        if (!(tr->front[i].put = arena_alloc(&tr->arena, front_room(tr->method), sizeof *tr->front[i].put)))
            return ERR_MEMORY;
    return 0;
}

static void put_in_front(struct trace *tr, struct front *f, int32_t owner, int32_t tokens)
{
    if (f->count == front_room(tr->method)) {
        tape_fail(tr->tape, "tokens were put in front %zu times, more than a stack of methods can", f->count);
        return;
    }
    f->put[f->count].owner = owner;
    f->put[f->count++].tokens = tokens;
}

/* Last on, first off: a plugin may take off only what it put on, in the stream when nobody's tokens are
 * before; those who ask are asked in any order, so of keys and values also from between. */
static void take_off_front(struct trace *tr, struct front *f, const struct instance *in, int32_t tokens)
{
    size_t n = f->count, at = n;
    while (at > 0 && f->put[at - 1].owner != in->owner && f != &tr->front[STREAM])
        at--;
    if (!at || f->put[at - 1].owner != in->owner) {
        tape_fail(tr->tape, "it takes off %d tokens, but those in front are %s%s", tokens,
                  n ? "put there by " : "the model's own",
                  n ? tr->method->instances[f->put[n - 1].owner].name : "");
        return;
    }
    if (f->put[at - 1].tokens != tokens) {
        tape_fail(tr->tape, "it put on %d tokens and takes off %d", f->put[at - 1].tokens, tokens);
        return;
    }
    memmove(&f->put[at - 1], &f->put[at], (n - at) * sizeof *f->put);
    f->count--;
}

/* The tokens in front at a site, and which way their number may go. */
static struct front *front_at(struct trace *tr, int32_t kind, int *ways)
{
    static const struct {
        int ways, front;
    } sites[VITRO_SITE_COUNT] = {
        [VITRO_AT_BLOCK_IN] = {GAIN, STREAM},
        [VITRO_AT_K] = {GAIN | LOSE, KEYS},
        [VITRO_AT_V] = {GAIN | LOSE, VALUES},
        [VITRO_AT_BLOCK_OUT] = {LOSE, STREAM},
    };
    *ways = sites[kind].ways;
    return &tr->front[sites[kind].front];
}

void fronts_check(struct trace *tr, const struct record *r, value y)
{
    struct shape before = tape_shape(tr->tape, r->x), after = tape_shape(tr->tape, y), rows = after;
    char before_text[SHAPE_TEXT], after_text[SHAPE_TEXT];
    int32_t gained = after.dim[1] - before.dim[1];
    int ways;
    struct front *f = front_at(tr, r->site.kind, &ways);
    rows.dim[1] = before.dim[1];
    if (shape_equal(before, after))
        return;
    if (shape_equal(before, rows) && gained > 0 && ways & GAIN)
        put_in_front(tr, f, r->in->owner, gained);
    else if (shape_equal(before, rows) && gained < 0 && ways & LOSE)
        take_off_front(tr, f, r->in, -gained);
    else
        tape_fail(
            tr->tape,
            "it was given %s and returned %s; a hook keeps the shape, only BLOCK_IN, K and V may add tokens "
            "and BLOCK_OUT, K and V take them off",
            shape_text(before, before_text), shape_text(after, after_text));
}

/* At the last norm everything put in front must be off again. */
static void check_all_off(struct trace *tr)
{
    const struct front *f = &tr->front[STREAM];
    if (!f->count || tape_why(tr->tape))
        return;
    tape_fail(tr->tape, "%s put on %d tokens and never takes them off",
              tr->method->instances[f->put[f->count - 1].owner].name, f->put[f->count - 1].tokens);
    tr->refused = 1;
}

void fronts_arrive(struct trace *tr, int32_t kind)
{
    int ways;
    struct front *f = front_at(tr, kind, &ways);
    if (kind == VITRO_AT_NORM)
        check_all_off(tr);
    if (kind != VITRO_AT_K && kind != VITRO_AT_V)
        return;
    f->count = tr->front[STREAM].count;
    memcpy(f->put, tr->front[STREAM].put, f->count * sizeof *f->put);
}

void fronts_compare(struct trace *tr, int32_t block, value v)
{
    value k = tr->seen[(size_t)(block + 1) * VITRO_SITE_COUNT + VITRO_AT_K];
    int32_t keys = tape_shape(tr->tape, k).dim[1], values = tape_shape(tr->tape, v).dim[1];
    if (tape_why(tr->tape) || keys == values)
        return;
    tape_fail(
        tr->tape,
        "block %d has keys of %d tokens and values of %d; what adds tokens at K or takes them off does the "
        "same at V",
        block, keys, values);
    tr->refused = 1;
}

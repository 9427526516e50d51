/* text_encode.c - see text_encode.h. One program for all prompts, as long as the longest of them; each step's
 * tokens are written into its leaves. */
#include "text_encode.h"

#include "bank.h"
#include "error.h"
#include "memory.h"
#include "run.h"

#include <string.h>

enum { PROMPTS = 32, LENGTH_STEP = 4 };

struct encoder {
    const struct text_batch *b;
    struct tape *tape;
    struct bank *bank;
    struct run *run;
    struct text_trace trace;
    value features;
    value *leaves;
    float *tokens, *ends, *mask;
};

static const uint32_t *prompt(const struct text_batch *b, size_t i)
{
    return b->tokens + i * (size_t)b->tower->shape.context;
}

/* Where a prompt's end stands: at its highest number. */
static int32_t end_of(const struct text_batch *b, size_t i)
{
    const uint32_t *p = prompt(b, i);
    int32_t end = 0;
    for (int32_t k = 1; k < b->tower->shape.context; k++)
        if (p[k] > p[end])
            end = k;
    return end;
}

static int check(const struct text_batch *b)
{
    const uint32_t vocabulary = (uint32_t)b->tower->shape.vocabulary;
    for (size_t i = 0; i < b->count; i++) {
        for (int32_t k = 0; k < b->tower->shape.context; k++)
            if (prompt(b, i)[k] >= vocabulary)
                return fail(ERR_INPUT, "token %u of prompt %zu is not among the text tower's %u",
                            prompt(b, i)[k], i, vocabulary);
        if (prompt(b, i)[end_of(b, i)] != vocabulary - 1)
            return fail(ERR_INPUT, "prompt %zu does not end: it has more than %d tokens", i,
                        b->tower->shape.context);
    }
    return 0;
}

static int32_t length_of(const struct text_batch *b)
{
    int32_t longest = 0;
    for (size_t i = 0; i < b->count; i++)
        longest = end_of(b, i) + 1 > longest ? end_of(b, i) + 1 : longest;
    longest = (longest + LENGTH_STEP - 1) / LENGTH_STEP * LENGTH_STEP;
    return longest < b->tower->shape.context ? longest : b->tower->shape.context;
}

static int make_bank(struct encoder *e)
{
    const struct text_tower *t = e->b->tower;
    struct bank_tensor *tensors = mem_alloc(t->count, sizeof *tensors);
    if (!tensors)
        return ERR_MEMORY;
    for (size_t i = 0; i < t->count; i++)
        tensors[i] = (struct bank_tensor){.name = "text", .shape = t->tensors[i].shape, .kind = LEAF_FROZEN};
    int rc = bank_create(&e->bank, e->b->engine, tensors, t->count);
    for (size_t i = 0; i < t->count && rc == 0; i++)
        rc = bank_write(e->bank, i, t->tensors[i].data);
    mem_free(tensors);
    return rc;
}

static int make_program(struct encoder *e)
{
    const struct text_tower *t = e->b->tower;
    struct text_trace *v = &e->trace;
    const int32_t n = v->prompts * v->length;
    e->tape = tape_create();
    e->leaves = mem_alloc(t->count, sizeof *e->leaves);
    if (!e->tape || !e->leaves)
        return ERR_MEMORY;
    for (size_t i = 0; i < t->count; i++)
        e->leaves[i] = tape_leaf(e->tape, LEAF_FROZEN, t->tensors[i].shape, (uint32_t)i, "text");
    const uint32_t id = (uint32_t)t->count;
    v->tape = e->tape;
    v->tower = t;
    v->tensors = e->leaves;
    v->tokens = tape_leaf(e->tape, LEAF_INPUT, SHAPE(n), id, "tokens");
    v->ends = tape_leaf(e->tape, LEAF_INPUT, SHAPE(v->prompts), id + 1, "ends");
    v->mask = tape_leaf(e->tape, LEAF_INPUT, SHAPE(v->length, v->length), id + 2, "mask");
    e->features = text_trace(v);
    if (!e->features)
        return fail(ERR_INPUT, "%s", tape_why(e->tape));
    const struct run_spec spec = {
        .tape = e->tape, .bank = e->bank, .logs = &e->features, .log_count = 1, .series = 1};
    return run_create(&e->run, &spec);
}

static int write_mask(struct encoder *e)
{
    const int32_t n = e->trace.length;
    for (int32_t i = 0; i < n; i++)
        for (int32_t k = 0; k < n; k++)
            e->mask[i * n + k] = k > i ? TEXT_MASKED : 0;
    return run_write(e->run, e->trace.mask, e->mask);
}

static int prepare(struct encoder *e)
{
    const struct text_batch *b = e->b;
    const size_t wanted = b->prompts ? (size_t)b->prompts : PROMPTS;
    e->trace.prompts = (int32_t)(b->count < wanted ? b->count : wanted);
    e->trace.length = length_of(b);
    const size_t n = (size_t)e->trace.length;
    e->tokens = mem_alloc((size_t)e->trace.prompts * n, sizeof *e->tokens);
    e->ends = mem_alloc((size_t)e->trace.prompts, sizeof *e->ends);
    e->mask = mem_alloc(n * n, sizeof *e->mask);
    if (!e->tokens || !e->ends || !e->mask)
        return ERR_MEMORY;
    TRY(make_bank(e));
    TRY(make_program(e));
    return write_mask(e);
}

/* Features of the prompts from `first` on; rows beyond the last prompt repeat the first. */
static int step(struct encoder *e, size_t first, size_t count, float *out)
{
    const int32_t n = e->trace.length, projection = e->b->tower->shape.projection;
    const struct run_series series = {.steps = 1};
    for (int32_t r = 0; r < e->trace.prompts; r++) {
        const size_t i = (size_t)r < count ? first + (size_t)r : first;
        for (int32_t k = 0; k < n; k++)
            e->tokens[r * n + k] = (float)prompt(e->b, i)[k];
        e->ends[r] = (float)(r * n + end_of(e->b, i));
    }
    TRY(run_write(e->run, e->trace.tokens, e->tokens));
    TRY(run_write(e->run, e->trace.ends, e->ends));
    TRY(run_begin(e->run, &series));
    TRY(run_go(e->run, 1));
    TRY(run_wait(e->run, 0));
    float *rows = mem_alloc((size_t)e->trace.prompts * (size_t)projection, sizeof *rows);
    if (!rows)
        return ERR_MEMORY;
    int rc = run_log(e->run, 0, 0, 1, rows);
    if (rc == 0)
        memcpy(out, rows, count * (size_t)projection * sizeof *out);
    mem_free(rows);
    return rc;
}

static int encode(struct encoder *e, float *out)
{
    const struct text_batch *b = e->b;
    const size_t each = (size_t)e->trace.prompts, width = (size_t)b->tower->shape.projection;
    for (size_t i = 0; i < b->count; i += each) {
        const size_t count = b->count - i < each ? b->count - i : each;
        TRY(step(e, i, count, out + i * width));
        if (b->report && b->report(b->context, i + count, b->count))
            return fail(ERR_STOPPED, "stopped after %zu of %zu prompts", i + count, b->count);
    }
    return 0;
}

int text_encode(const struct text_batch *b, float *features)
{
    struct encoder e = {.b = b};
    if (!b->count)
        return 0;
    int rc = check(b);
    if (rc == 0)
        rc = prepare(&e);
    if (rc == 0)
        rc = encode(&e, features);
    run_destroy(e.run);
    bank_destroy(e.bank);
    tape_destroy(e.tape);
    mem_free(e.leaves);
    mem_free(e.tokens);
    mem_free(e.ends);
    mem_free(e.mask);
    return rc;
}

/* test_plugin_cost.c - what a method's step costs: rows that nobody asks for are computed neither forward
 * nor backward, whoever wrote the derivative. */
#include "goldens.h"
#include "tiny.h"

/* Two ways to write a product of three matrices differ by this share of a small model's step. */
static const double OTHER_ORDER = 0.02;
/* A derivative by hand that is called for parts of dy sums its parameters' gradients piece by piece. */
static const double IN_PIECES = 0.05;

/* Besides every method of goldens.h: dropout and stacks. */
static const char *const stacks[] = {
    "lora[r=4,dropout=0.3]",
    "vpt[prompts=5,dropout=0.3]",
    "vpt[prompts=5,mode=shallow,dropout=0.3]",
    "adaptformer[r=5,dropout=0.3]",
    "vpt[prompts=2,mode=shallow]+vpt[prompts=3]+ssf+bitfit+lora[r=2]+adaptformer[r=3]",
};
enum { STACKS = sizeof stacks / sizeof *stacks, GOLDENS = sizeof goldens / sizeof *goldens };

static const char *stack_at(int i)
{
    return i < GOLDENS ? goldens[i].text : stacks[i - GOLDENS];
}

/* Multiplications and additions of a live value's matrix products. */
static double products_of(const struct tape *t, const struct node *n)
{
    struct shape a = tape_shape(t, n->in[0]);
    struct attention part = n->attr.attention;
    double pairs = 2.0 * a.dim[0] * (part.q_to - part.q_from) * (a.dim[1] - part.k_from) * a.dim[2] / 3;
    switch (n->op) {
    case OP_MATMUL: return 2.0 * (double)shape_count(n->shape) * a.dim[a.rank - (n->attr.matmul.a_t ? 2 : 1)];
    case OP_ATTENTION: return 2 * pairs;
    case OP_ATTENTION_BACK: return 7 * pairs;
    default: return 0;
    }
}

struct cost {
    double products, elements;
};

/* Which values the loss and the gradients need. */
static unsigned char *live_values(const struct tiny *n)
{
    unsigned char *live = mem_alloc(tape_size(n->tape), 1);
    value *roots = mem_alloc(n->count + 1, sizeof *roots);
    assert_true(live && roots);
    memcpy(roots, n->grads, n->count * sizeof *roots);
    roots[n->count] = n->loss;
    tape_live(n->tape, roots, n->count + 1, live);
    mem_free(roots);
    return live;
}

static struct cost cost_of_step(const char *text, struct method_step step)
{
    struct cost c = {0, 0};
    struct tiny n;
    tiny_open(&n, text, &step);
    unsigned char *live = live_values(&n);
    for (value v = 1; v < tape_size(n.tape); v++) {
        const struct node *node = tape_node(n.tape, v);
        if (!live[v] || node->op == OP_LEAF || node->op == OP_HOOKED || node->op == OP_RESHAPE)
            continue;
        c.products += products_of(n.tape, node);
        c.elements += (double)shape_count(node->shape);
    }
    mem_free(live);
    tiny_close(&n);
    return c;
}

static void a_derivative_written_by_hand_costs_what_the_derived_one_does(void **state)
{
    (void)state;
    for (int i = 0; i < GOLDENS + STACKS; i++) {
        struct cost written = cost_of_step(stack_at(i), (struct method_step){.training = 1});
        struct cost derived = cost_of_step(stack_at(i), (struct method_step){.training = 1, .derive = 1});
        if (written.products > derived.products * (1 + OTHER_ORDER))
            fail_msg("%s: products of %g against %g", stack_at(i), written.products, derived.products);
        if (written.elements > derived.elements * (1 + IN_PIECES))
            fail_msg("%s: %g elements against %g", stack_at(i), written.elements, derived.elements);
    }
}

static void in_the_last_block_the_class_token_alone_asks(void **state)
{
    (void)state;
    for (int i = 0; i < GOLDENS + STACKS; i++) {
        struct tiny n;
        int asking_alone = 0;
        if (strstr(stack_at(i), "convpass")) /* takes its norm's rows apart itself, so all are computed */
            continue;
        tiny_open(&n, stack_at(i), &(struct method_step){.training = 1});
        unsigned char *live = live_values(&n);
        for (value v = 1; v < tape_size(n.tape); v++)
            if (live[v] && tape_node(n.tape, v)->op == OP_ATTENTION)
                asking_alone += tape_shape(n.tape, v).dim[1] == 1;
        if (asking_alone != 1)
            fail_msg("%s: %d times of %d", stack_at(i), asking_alone, tiny_shape.depth);
        mem_free(live);
        tiny_close(&n);
    }
}

/* What they bring back learns; no gradient goes through the rows of the image. */
static void learned_queries_learn_by_their_own_rows(void **state)
{
    (void)state;
    enum { QUERIES = 5 };
    for (int derive = 0; derive < 2; derive++) {
        struct tiny n;
        int32_t seen = 0;
        tiny_open(&n, "vqt[queries=5]", &(struct method_step){.training = 1, .derive = derive});
        unsigned char *live = live_values(&n);
        for (value v = 1; v < tape_size(n.tape); v++) {
            const struct node *node = tape_node(n.tape, v);
            if (!live[v] || (node->op != OP_LAYERNORM_BACK && node->op != OP_ATTENTION_BACK))
                continue;
            struct attention a = node->attr.attention;
            assert_true((node->op == OP_LAYERNORM_BACK ? node->shape.dim[1] : a.q_to - a.q_from) == QUERIES);
            seen++;
        }
        assert_int_equal(seen, 3 * tiny_shape.depth);
        mem_free(live);
        tiny_close(&n);
    }
}

/* A matrix product over rows of all tokens, prompts included, is that for queries, keys and values, or of
 * its derivative. */
static void deep_prompts_serve_as_keys_and_values_only(void **state)
{
    (void)state;
    enum { PROMPTS = 5 };
    for (int derive = 0; derive < 2; derive++) {
        struct tiny n;
        int32_t dim = tiny_shape.dim, tokens = vit_tokens(&tiny_shape), seen = 0;
        tiny_open(&n, "vpt[prompts=5]", &(struct method_step){.training = 1, .derive = derive});
        unsigned char *live = live_values(&n);
        for (value v = 1; v < tape_size(n.tape); v++) {
            const struct node *node = tape_node(n.tape, v);
            struct shape s = node->shape;
            if (!live[v])
                continue;
            if (node->op == OP_ATTENTION)
                assert_true(s.dim[1] <= tokens);
            if (node->op != OP_MATMUL || s.rank != 3 || s.dim[1] != tokens + PROMPTS)
                continue;
            assert_true(s.dim[2] == 3 * dim || tape_shape(n.tape, node->in[0]).dim[2] == 3 * dim);
            seen++;
        }
        assert_int_equal(seen, 2 * tiny_shape.depth - 1); /* in block 0 the prompts' rows alone learn */
        mem_free(live);
        tiny_close(&n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_derivative_written_by_hand_costs_what_the_derived_one_does),
        cmocka_unit_test(in_the_last_block_the_class_token_alone_asks),
        cmocka_unit_test(learned_queries_learn_by_their_own_rows),
        cmocka_unit_test(deep_prompts_serve_as_keys_and_values_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

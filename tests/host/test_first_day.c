/* test_first_day.c - plugins built when the contract became 1.0 still load and mean what they meant: fixture/. */
#include "tiny.h"

#include <stdlib.h>

/* The losses of the first day. Both numbers follow from the contract and from tiny.h's random numbers alone. */
static const double loss_of_day = 5.6371575837410131, loss_of_back = 3.5169591121864507;
static const double rounding = 1e-9; /* another order of double additions; a changed op is off by percents */

static struct tiny compute(const char *text, const struct method_step *step)
{
    struct tiny n;
    tiny_open(&n, text, step);
    tiny_must(ref_run(n.ref));
    return n;
}

static void same(const char *was, const char *now, int derive, double loss)
{
    const struct method_step step = {.training = 1, .derive = derive};
    struct tiny a = compute(was, &step), b = compute(now, &step);
    assert_string_equal(strchr(method_text(a.method), '['), strchr(method_text(b.method), '['));
    assert_int_equal(a.count, b.count);
    assert_int_equal(a.tensor_count, b.tensor_count);
    assert_memory_equal(ref_value(a.ref, a.trace->logits), ref_value(b.ref, b.trace->logits),
                        TINY_BATCH * (size_t)tiny_shape.classes * sizeof(double));
    for (size_t i = 0; i < a.count; i++) {
        assert_string_equal(a.tensors[a.ids[i]].name, b.tensors[b.ids[i]].name);
        assert_memory_equal(ref_value(a.ref, a.grads[i]), ref_value(b.ref, b.grads[i]),
                            (size_t)shape_count(a.tensors[a.ids[i]].shape) * sizeof(double));
    }
    double got = ref_value(a.ref, a.loss)[0];
    if (!(fabs(got - loss) < rounding))
        fail_msg("the loss is %.17g, on the first day it was %.17g", got, loss);
    tiny_close(&a);
    tiny_close(&b);
}

static void the_first_plugin_computes_what_its_source_does(void **state)
{
    (void)state;
    same(WAS "/vitro_first_day.so", NOW "/vitro_first_day.so", 0, loss_of_day);
}

static void the_first_derivative_by_hand_is_its_sources(void **state)
{
    (void)state;
    same(WAS "/vitro_first_day_back.so", NOW "/vitro_first_day_back.so", 0, loss_of_back);
    same(WAS "/vitro_first_day_back.so", NOW "/vitro_first_day_back.so", 1, loss_of_back);
}

static void its_card_and_its_claims_are_read(void **state)
{
    (void)state;
    struct tiny n = {0};
    struct method_part part;
    tiny_must(tiny_stack(&n, WAS "/vitro_first_day.so[width=5,level=low]", &tiny_shape));
    tiny_must(method_part(n.method, 0, &part));
    assert_string_equal(part.plugin->info.id, "first_day");
    assert_string_equal(part.plugin->options[3].names[1], "high");
    assert_int_equal(part.declared, part.claimed);
    assert_int_equal(part.hooks, VITRO_BIT(BLOCK_IN) | VITRO_BIT(BLOCK_OUT) | VITRO_BIT(QKV) |
                                     VITRO_BIT(MLP_OUT) | VITRO_BIT(ATTN_OUT));
    assert_int_equal(part.unfreezes, VITRO_BIT(NORM1) | VITRO_BIT(PROJ));
    tiny_close(&n);
}

static void its_refusal_arrives(void **state)
{
    (void)state;
    struct tiny n = {0};
    assert_int_equal(tiny_stack(&n, WAS "/vitro_first_day.so[width=64]", &tiny_shape), ERR_PLUGIN);
    assert_non_null(strstr(error_text(), "a width of 64 is refused, to see a refusal"));
    tiny_close(&n);
}

/* The merged weight at (0, 0) of block 1: w + strength b a, with the tensors of tiny_randomise. */
static void it_merges_as_its_source_does(void **state)
{
    (void)state;
    const char *const files[] = {WAS "/vitro_first_day.so", NOW "/vitro_first_day.so"};
    double sums[2] = {0};
    for (int k = 0; k < 2; k++) {
        struct tiny n = {0};
        struct ref *r;
        tiny_must(tiny_stack(&n, files[k], &tiny_shape));
        value *merged = mem_alloc(n.vit->count, sizeof *merged);
        n.tape = tape_create();
        assert_non_null(merged);
        assert_non_null(n.tape);
        tiny_must(method_merge(n.method, n.tape, merged));
        tiny_must(ref_create(&r, n.tape, merged, n.vit->count));
        for (value v = 1; v < tape_size(n.tape); v++) /* a leaf's id is its tensor's */
            if (tape_node(n.tape, v)->op == OP_LEAF && ref_leaf(r, v))
                tiny_randomise(&n.tensors[tape_node(n.tape, v)->attr.leaf.id], ref_leaf(r, v));
        tiny_must(ref_run(r));
        for (size_t i = 0; i < n.vit->count; i++)
            for (int64_t e = 0; e < shape_count(n.vit->tensors[i].shape); e++)
                sums[k] += ref_value(r, merged[i])[e] * (double)(i + 1) * (double)(e % 7 + 1);
        ref_destroy(r);
        mem_free(merged);
        tiny_close(&n);
    }
    assert_true(sums[0] != 0);
    assert_memory_equal(&sums[0], &sums[1], sizeof sums[0]);
}

/* Not of the first day, but of another language: method.h and the inline functions of sdk.h as C++20. */
static void a_plugin_in_cxx_works_like_one_in_c(void **state)
{
    (void)state;
    struct tiny n = compute(NOW "/vitro_in_cxx.so", &(struct method_step){.training = 1});
    assert_int_equal(method_trainable(n.method), 2 * 24);
    assert_true(isfinite(ref_value(n.ref, n.loss)[0]) && ref_value(n.ref, n.grads[0])[0] != 0);
    tiny_close(&n);
}

int main(void)
{
#if !defined __x86_64__ || !defined __linux__
    printf("the plugins of the first day are for x86-64 Linux\n");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_plugin_computes_what_its_source_does),
        cmocka_unit_test(the_first_derivative_by_hand_is_its_sources),
        cmocka_unit_test(its_card_and_its_claims_are_read),
        cmocka_unit_test(its_refusal_arrives),
        cmocka_unit_test(it_merges_as_its_source_does),
        cmocka_unit_test(a_plugin_in_cxx_works_like_one_in_c),
    };
    unsetenv("VITRO_PLUGIN_PATH");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_kernels.c - every op's kernels on this machine's device against the reference interpreter. */
#include "check_report.h"

static void check(struct engine *engine, const char *filter)
{
    int seen = 0;
    assert_int_equal(check_ops(engine, filter, 0, report, &seen), 0);
    assert_true(seen > 0);
}

static void check_style(enum engine_style style, const char *filter)
{
    struct engine *engine;
    assert_int_equal(engine_create(&engine, device, style), 0);
    check(engine, filter);
    engine_destroy(engine);
}

static void every_kernel_agrees_with_the_reference(void **state)
{
    (void)state;
    check_style(ENGINE_AUTO, getenv("VITRO_CHECK"));
}

/* the kernels that a GPU would get, where they differ: right here too, if slow; products: test_products.c */
static void attention_in_the_gpu_style_agrees(void **state)
{
    (void)state;
    check_style(ENGINE_GPU, "attention 2"); /* a few widths: each is compiled */
}

/* With Mesa 26.1 those in tiles, from 26.2 on those with a row a lane. */
static void attention_agrees_by_the_kernels_that_this_lavapipe_would_not_take(void **state)
{
    struct engine *engine;
    (void)state;
    if (!device_info(device)->is_llvmpipe)
        skip();
    assert_int_equal(engine_create(&engine, device, ENGINE_AUTO), 0);
    engine_turn_attention(engine);
    check(engine, "attention 2x47");
    check(engine, "attention 2x21"); /* fewer keys than a tile has rows */
    check(engine, "steep");
    engine_destroy(engine);
}

static void normalisations_and_sums_in_the_gpu_style_agree(void **state)
{
    (void)state;
    check_style(ENGINE_GPU, "norm");
    check_style(ENGINE_GPU, "sum");
}

static void what_kernels_in_the_gpu_style_store_as_halves_agrees(void **state)
{
    (void)state;
    check_style(ENGINE_GPU, "halves");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_agrees_with_the_reference),
        cmocka_unit_test(attention_in_the_gpu_style_agrees),
        cmocka_unit_test(attention_agrees_by_the_kernels_that_this_lavapipe_would_not_take),
        cmocka_unit_test(normalisations_and_sums_in_the_gpu_style_agree),
        cmocka_unit_test(what_kernels_in_the_gpu_style_store_as_halves_agrees),
        cmocka_unit_test(the_validation_layers_have_nothing_to_say),
    };
    return RUN_ON_DEVICE(as_it_is(), tests);
}

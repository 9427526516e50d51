/* test_products.c - matrix products on the rungs of the ladder that this machine's device can run, by tiles small
 * enough for a software driver to compile in seconds. `vitro selftest` goes over all of a device's tiles. */
#include "check_report.h"

#include "ladder.h"

static int check(enum engine_style style, const char *filter)
{
    struct engine *engine;
    int seen = 0;
    assert_int_equal(engine_create(&engine, device, style), 0);
    assert_int_equal(check_products(engine, filter, 0, report, &seen), 0);
    engine_destroy(engine);
    return seen;
}

static void fp32_tiles_agree_in_every_precision(void **state)
{
    (void)state;
    assert_true(check(ENGINE_GPU, "tiled 32x32: nt") > 0);
    assert_true(check(ENGINE_GPU, "tiled 32x32: nn fp32") > 0);
    assert_true(check(ENGINE_GPU, "tiled 32x32: tn fp32") > 0);
    assert_true(check(ENGINE_GPU, "tiled 32x32: tt fp32") > 0);
    assert_true(check(ENGINE_GPU, "tiled 64x64 twice: nt fp32") > 0);
    assert_true(check(ENGINE_GPU, "tiled 16x128: tn fp16") > 0);
}

static void packed_tiles_agree(void **state)
{
    (void)state;
    int seen = check(ENGINE_GPU, "packed 32x32: n") + check(ENGINE_GPU, "packed 128x16 / 2");
    assert_true(!device_info(device)->has_fp16 || seen > 0);
}

/* lavapipe takes seconds to compile each of these */
static void matrix_units_of_subgroups_agree(void **state)
{
    (void)state;
    int seen = check(ENGINE_GPU, "subgroup 32x32: nt fp16 70x76x72") +
               check(ENGINE_GPU, "subgroup 32x32: tn fp16") +
               check(ENGINE_GPU, "subgroup 32x32: nt fp16 48x56x64 twice") +
               check(ENGINE_GPU, "subgroup 32x32 / 2: tn fp16");
    assert_true(!device_info(device)->has_coopmat || seen > 3);
}

static void matrix_units_of_workgroups_agree(void **state)
{
    (void)state;
    int seen = check(ENGINE_GPU, "workgroup");
    assert_true(!device_info(device)->has_coopmat2 || seen > 0);
}

static void the_style_of_a_cpu_agrees_in_every_precision(void **state)
{
    (void)state;
    assert_true(check(ENGINE_CPU, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_style_of_a_cpu_agrees_in_every_precision),
        cmocka_unit_test(fp32_tiles_agree_in_every_precision),
        cmocka_unit_test(packed_tiles_agree),
        cmocka_unit_test(matrix_units_of_subgroups_agree),
        cmocka_unit_test(matrix_units_of_workgroups_agree),
    };
    return RUN_ON_DEVICE(with_matrix_units(), tests);
}

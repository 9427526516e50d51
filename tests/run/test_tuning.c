/* test_tuning.c - kernels for products that are wrong on a device are found and not used; what a tuner found is kept
 * in a file, which counts for its own device and shaders only. */
#include "check.h"
#include "file.h"
#include "listening.h"
#include "products.h"
#include "tuning.h"

#include <unistd.h>

#include "wrong_product_spv.h"

static void note(void *context, const struct check_result *r)
{
    int *ran = context;
    ++*ran;
    if (!r->passed)
        print_message("%s: error %g, allowed %g\n", r->name, r->error, r->tolerance);
}

static const char *const some_products = "matmul nt 13x37x19";

/* The GPU's fp32 kernel replaced by one that computes nothing: products are right all the same. */
static void a_wrong_kernel_is_told_and_another_is_taken(void **state)
{
    (void)state;
    int ran = 0;
    struct engine *e = make_engine(ENGINE_GPU);
    engine_replace(e, SHADER_GEMM, wrong_product_spv, sizeof wrong_product_spv);
    assert_int_equal(check_ops(e, some_products, 0, note, &ran), 0);
    assert_true(ran > 0);
    assert_non_null(strstr(said, "warning: the kernel \"tiled"));
    assert_non_null(strstr(said, "is wrong on"));
    engine_destroy(e);
}

static void a_device_without_a_right_kernel_is_refused(void **state)
{
    (void)state;
    int ran = 0;
    struct engine *e = make_engine(ENGINE_AUTO);
    engine_replace(e, SHADER_GEMM, wrong_product_spv, sizeof wrong_product_spv);
    engine_replace(e, SHADER_GEMM_CPU, wrong_product_spv, sizeof wrong_product_spv);
    assert_true(check_ops(e, some_products, 0, note, &ran) != 0);
    assert_non_null(strstr(error_text(), "no kernel for matrix products gives right numbers on"));
    engine_destroy(e);
}

static void right_kernels_are_not_spoken_of(void **state)
{
    (void)state;
    static const enum engine_style styles[] = {ENGINE_CPU, ENGINE_GPU};
    for (int i = 0; i < 2; i++) {
        int ran = 0;
        struct engine *e = make_engine(styles[i]);
        assert_int_equal(check_ops(e, some_products, 0, note, &ran), 0);
        assert_string_equal(said, "");
        assert_true(products_count(e) > 0);
        engine_destroy(e);
    }
}

static int count_rows(void *context, const struct tuning_row *row)
{
    int *rows = context;
    ++*rows;
    assert_true(row->candidates >= 1 && row->best_seconds > 0 && row->best_seconds <= row->first_seconds);
    return 0;
}

static int stop_at_once(void *context, const struct tuning_row *row)
{
    (void)context;
    (void)row;
    return 1;
}

static void a_tuning_is_kept_and_taken_again(void **state)
{
    (void)state;
    static const char *path = "test_tuning.tuning";
    int ran = 0, rows = 0;
    char digest[2][HASH_TEXT];
    struct tuning *t;
    struct engine *e = make_engine(ENGINE_GPU);
    unlink(path);
    must(tuning_read(&t, e, path));
    assert_null(t);
    assert_non_null(strstr(error_text(), "there is no test_tuning.tuning"));
    assert_int_equal(check_ops(e, some_products, 0, note, &ran), 0);
    assert_int_equal(tuning_make(e, path, 1, stop_at_once, NULL), ERR_STOPPED);
    assert_false(file_exists(path));
    must(tuning_make(e, path, 1, count_rows, &rows));
    assert_int_equal(rows, products_count(e));
    engine_destroy(e);
    for (int i = 0; i < 2; i++) { /* the same choices by the same file */
        e = make_engine(ENGINE_GPU);
        must(tuning_read(&t, e, path));
        assert_non_null(t);
        assert_int_equal(strlen(tuning_hash(t)), HASH_TEXT - 1);
        tuning_use(t, e);
        assert_int_equal(check_ops(e, some_products, 0, note, &ran), 0);
        must(products_digest(e, digest[i]));
        engine_destroy(e);
        tuning_destroy(t);
    }
    assert_string_equal(digest[0], digest[1]);
    unlink(path);
}

static void a_tuning_of_another_driver_or_none_at_all_is_not_used(void **state)
{
    (void)state;
    static const char path[] = "test_tuning.other";
    static const struct {
        const char *text, *says;
    } files[] = {{"{\"schema\": \"vitro.tuning/1\", \"device\": \"another\"}", "made for another device"},
                 {"{\"schema\": \"vitro.tuning/9\"}", "made for another schema"},
                 {"{}", "made for another schema"},
                 {"not JSON", path}};
    struct engine *e = make_engine(ENGINE_AUTO);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct tuning *t;
        must(file_write(path, files[i].text, strlen(files[i].text)));
        must(tuning_read(&t, e, path));
        assert_null(t);
        if (!strstr(error_text(), files[i].says))
            fail_msg("\"%s\" does not say \"%s\"", error_text(), files[i].says);
    }
    unlink(path);
    engine_destroy(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_kernel_is_told_and_another_is_taken),
        cmocka_unit_test(a_device_without_a_right_kernel_is_refused),
        cmocka_unit_test(right_kernels_are_not_spoken_of),
        cmocka_unit_test(a_tuning_is_kept_and_taken_again),
        cmocka_unit_test(a_tuning_of_another_driver_or_none_at_all_is_not_used),
    };
    /* a small device, which few tiles fit: each is compiled for each tuning */
    const struct device_limits small = {.shared_bytes = 8192, .no_fp16 = 1, .no_coopmat = 1};
    return RUN_ON_DEVICE(((struct device_spec){.index = -1, .limits = &small}), tests);
}

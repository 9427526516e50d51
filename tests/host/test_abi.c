/* test_abi.c - the layout of the plugin contract, frozen: a change here breaks plugins in the field.
 * Appending at a struct's end changes its size only; everything else needs another major number. */
#include <vitro/method.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define AT(type, field, offset) assert_int_equal(offsetof(type, field), offset)

static void sizes_are_golden(void **state)
{
    (void)state;
    assert_int_equal(sizeof(vitro_blocks), 8);
    assert_int_equal(sizeof(vitro_shape), 20);
    assert_int_equal(sizeof(vitro_model), 40);
    assert_int_equal(sizeof(vitro_site), 24);
    assert_int_equal(sizeof(vitro_option), 64);
    assert_int_equal(sizeof(vitro_param_info), 72);
    assert_int_equal(sizeof(vitro_host), 32);
    assert_int_equal(sizeof(vitro_decl), 48);
    assert_int_equal(sizeof(vitro_trace), 16);
    assert_int_equal(sizeof(vitro_ops), 8 + 29 * 8);
    assert_int_equal(sizeof(vitro_plugin_info), 136);
}

static void fields_stand_where_they_stood(void **state)
{
    (void)state;
    AT(vitro_shape, dim, 4);
    AT(vitro_model, prefix, 32);
    AT(vitro_site, kind, 4);
    AT(vitro_site, prefix, 20);
    AT(vitro_option, type, 16);
    AT(vitro_option, offset, 20);
    AT(vitro_option, init, 24);
    AT(vitro_option, names, 48);
    AT(vitro_option, grid, 56);
    AT(vitro_param_info, name, 8);
    AT(vitro_param_info, shape, 16);
    AT(vitro_param_info, blocks, 36);
    AT(vitro_param_info, init, 44);
    AT(vitro_param_info, flags, 52);
    AT(vitro_param_info, init_arg, 56);
    AT(vitro_param_info, lr_mul, 64);
    AT(vitro_host, log, 8);
    AT(vitro_host, fail, 16);
    AT(vitro_host, extension, 24);
    AT(vitro_decl, host, 8);
    AT(vitro_decl, param, 24);
    AT(vitro_decl, unfreeze, 40);
    AT(vitro_trace, op, 0);
    AT(vitro_trace, host, 8);
    AT(vitro_plugin_info, option_size, 8);
    AT(vitro_plugin_info, id, 16);
    AT(vitro_plugin_info, options, 48);
    AT(vitro_plugin_info, self_size, 56);
    AT(vitro_plugin_info, declare, 80);
    AT(vitro_plugin_info, forward, 96);
    AT(vitro_plugin_info, backward, 104);
    AT(vitro_plugin_info, merge, 120);
    AT(vitro_plugin_info, extension, 128);
}

static void operations_stand_in_their_order(void **state)
{
    (void)state;
#define OPS(X)                                                                                           \
    X(param)                                                                                             \
    X(at)                                                                                                \
    X(weight)                                                                                            \
    X(replace) X(shape) X(fill) X(matmul) X(add) X(mul) X(affine) X(unary) X(softmax) X(normalize)       \
        X(dropout) X(reshape) X(permute) X(expand) X(concat) X(slice) X(sum) X(unfold) X(fold) X(detach) \
            X(fail) X(save) X(saved) X(grad) X(redrop) X(unary_back)
    size_t at = 8;
#define X(name)              \
    AT(vitro_ops, name, at); \
    at += 8;
    OPS(X)
#undef X
    assert_int_equal(at, sizeof(vitro_ops));
}

static void numbers_mean_what_they_meant(void **state)
{
    (void)state;
#define X(id) #id,
    static const char *const names[] = {VITRO_SITES(X)};
#undef X
    static const char *const golden[] = {"EMBED",    "TOKENS",  "NORM_PRE",  "BLOCK_IN", "NORM1", "QKV",
                                         "Q",        "K",       "V",         "ATTN",     "PROJ",  "LS1",
                                         "ATTN_OUT", "MID",     "NORM2",     "FC1",      "ACT",   "FC2",
                                         "LS2",      "MLP_OUT", "BLOCK_OUT", "NORM",     "HEAD"};
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++)
        assert_string_equal(names[i], golden[i]);
    assert_int_equal(VITRO_ENUM, 3);
    assert_int_equal(VITRO_EYE, 6);
    assert_int_equal(VITRO_TO_ONE, 2);
    assert_int_equal(VITRO_FROZEN, 4);
    assert_int_equal(VITRO_BIAS, 2);
    assert_int_equal(VITRO_RECIP, 6);
    assert_int_equal(VITRO_ABS, 9);
}

/* A reader must be able to check before it reads on. */
static void every_struct_that_can_grow_begins_with_its_size(void **state)
{
    (void)state;
    AT(vitro_model, size, 0);
    AT(vitro_site, size, 0);
    AT(vitro_param_info, size, 0);
    AT(vitro_host, abi, 0), AT(vitro_host, size, 4);
    AT(vitro_decl, abi, 0), AT(vitro_decl, size, 4);
    AT(vitro_ops, abi, 0), AT(vitro_ops, size, 4);
    AT(vitro_plugin_info, abi, 0), AT(vitro_plugin_info, size, 4);
}

int main(void)
{
    if (sizeof(void *) != 8)
        return 77; /* the golden numbers are those of 64-bit systems */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_golden),
        cmocka_unit_test(fields_stand_where_they_stood),
        cmocka_unit_test(operations_stand_in_their_order),
        cmocka_unit_test(numbers_mean_what_they_meant),
        cmocka_unit_test(every_struct_that_can_grow_begins_with_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_abi.c - the layout of the plugin contract and its extensions, frozen: a change here breaks plugins in the
 * field.
 * Appending at a struct's end changes its size only; everything else needs another major number. */
#include <vitro/kernel.h>
#include <vitro/training.h>

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
    assert_int_equal(sizeof(vitro_model), 52); /* 40 in 1.0 */
    assert_int_equal(sizeof(vitro_site), 24);
    assert_int_equal(sizeof(vitro_option), 64);
    assert_int_equal(sizeof(vitro_param_info), 72);
    assert_int_equal(sizeof(vitro_host), 32);
    assert_int_equal(sizeof(vitro_decl), 48);
    assert_int_equal(sizeof(vitro_trace), 16);
    assert_int_equal(sizeof(vitro_ops), 8 + 29 * 8);
    assert_int_equal(sizeof(vitro_plugin_info), 136);
    assert_int_equal(sizeof(vitro_scan), 40);
    assert_int_equal(sizeof(vitro_trainer), 88);
    assert_int_equal(sizeof(vitro_training), 48);
    assert_int_equal(sizeof(vitro_dispatch), 56);
    assert_int_equal(sizeof(vitro_kernel), 56);
    assert_int_equal(sizeof(vitro_kernel_ops), 16);
}

static void fields_stand_where_they_stood(void **state)
{
    (void)state;
    AT(vitro_shape, rank, 0), AT(vitro_shape, dim, 4);
    AT(vitro_blocks, first, 0), AT(vitro_blocks, count, 4);
    AT(vitro_model, depth, 4), AT(vitro_model, dim, 8), AT(vitro_model, heads, 12);
    AT(vitro_model, hidden, 16), AT(vitro_model, patch, 20), AT(vitro_model, grid_h, 24);
    AT(vitro_model, grid_w, 28), AT(vitro_model, prefix, 32), AT(vitro_model, classes, 36);
    AT(vitro_model, weights, 40), AT(vitro_model, biases, 44), AT(vitro_model, positions, 48); /* 1.1 */
    AT(vitro_site, kind, 4), AT(vitro_site, block, 8), AT(vitro_site, batch, 12);
    AT(vitro_site, tokens, 16);
    AT(vitro_site, prefix, 20);
    AT(vitro_option, name, 0), AT(vitro_option, help, 8);
    AT(vitro_option, type, 16);
    AT(vitro_option, offset, 20);
    AT(vitro_option, init, 24);
    AT(vitro_option, min, 32), AT(vitro_option, max, 40);
    AT(vitro_option, names, 48);
    AT(vitro_option, grid, 56);
    AT(vitro_param_info, name, 8);
    AT(vitro_param_info, shape, 16);
    AT(vitro_param_info, blocks, 36);
    AT(vitro_param_info, init, 44);
    AT(vitro_param_info, wise, 48);
    AT(vitro_param_info, flags, 52);
    AT(vitro_param_info, init_arg, 56);
    AT(vitro_param_info, init_mean, 60);
    AT(vitro_param_info, lr_mul, 64);
    AT(vitro_host, log, 8);
    AT(vitro_host, fail, 16);
    AT(vitro_host, extension, 24);
    AT(vitro_decl, host, 8);
    AT(vitro_decl, model, 16);
    AT(vitro_decl, param, 24);
    AT(vitro_decl, hook, 32);
    AT(vitro_decl, unfreeze, 40);
    AT(vitro_trace, op, 0);
    AT(vitro_trace, host, 8);
    AT(vitro_plugin_info, option_size, 8);
    AT(vitro_plugin_info, id, 16);
    AT(vitro_plugin_info, version, 24);
    AT(vitro_plugin_info, summary, 32);
    AT(vitro_plugin_info, paper, 40);
    AT(vitro_plugin_info, options, 48);
    AT(vitro_plugin_info, self_size, 56);
    AT(vitro_plugin_info, init, 64);
    AT(vitro_plugin_info, finish, 72);
    AT(vitro_plugin_info, declare, 80);
    AT(vitro_plugin_info, param_count, 88);
    AT(vitro_plugin_info, forward, 96);
    AT(vitro_plugin_info, backward, 104);
    AT(vitro_plugin_info, penalty, 112);
    AT(vitro_plugin_info, merge, 120);
    AT(vitro_plugin_info, extension, 128);
}

static void fields_of_extensions_stand_where_they_stood(void **state)
{
    (void)state;
    AT(vitro_scan, batches, 4);
    AT(vitro_scan, sites, 8);
    AT(vitro_scan, parts, 12);
    AT(vitro_scan, blocks, 16);
    AT(vitro_scan, host, 24);
    AT(vitro_scan, model, 32);
    AT(vitro_trainer, host, 8);
    AT(vitro_trainer, model, 16);
    AT(vitro_trainer, step, 24);
    AT(vitro_trainer, weight, 32);
    AT(vitro_trainer, weight_gradient, 40);
    AT(vitro_trainer, param, 48);
    AT(vitro_trainer, param_gradient, 56);
    AT(vitro_trainer, edit, 64);
    AT(vitro_trainer, room, 72);
    AT(vitro_trainer, svd, 80);
    AT(vitro_training, plan, 8);
    AT(vitro_training, scan, 16);
    AT(vitro_training, begin, 24);
    AT(vitro_training, next, 32);
    AT(vitro_training, step, 40);
    AT(vitro_dispatch, shape, 4);
    AT(vitro_dispatch, groups, 24);
    AT(vitro_dispatch, push, 40);
    AT(vitro_dispatch, constants, 48);
    AT(vitro_kernel, inputs, 4);
    AT(vitro_kernel, push_size, 8);
    AT(vitro_kernel, constants, 12);
    AT(vitro_kernel, name, 16);
    AT(vitro_kernel, spirv, 24);
    AT(vitro_kernel, spirv_size, 32);
    AT(vitro_kernel, equivalent, 40);
    AT(vitro_kernel, vjp, 48);
    AT(vitro_kernel_ops, dispatch, 8);
}

static void operations_stand_in_their_order(void **state)
{
    (void)state;
#define OPS(X)                                                                                             \
    X(param)                                                                                               \
    X(at)                                                                                                  \
    X(weight)                                                                                              \
    X(replace)                                                                                             \
    X(shape)                                                                                               \
    X(fill)                                                                                                \
    X(matmul)                                                                                              \
    X(add)                                                                                                 \
    X(mul) X(affine) X(unary) X(softmax) X(normalize) X(dropout) X(reshape) X(permute) X(expand) X(concat) \
        X(slice) X(sum) X(unfold) X(fold) X(detach) X(fail) X(save) X(saved) X(grad) X(redrop) X(unary_back)
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
    assert_int_equal(VITRO_SITE_COUNT, sizeof golden / sizeof *golden);
    static const struct {
        int is, was;
    } numbers[] = {
        {VITRO_INT, 0},        {VITRO_FLOAT, 1},         {VITRO_BOOL, 2},         {VITRO_ENUM, 3},
        {VITRO_ZEROS, 0},      {VITRO_ONES, 1},          {VITRO_NORMAL, 2},       {VITRO_UNIFORM, 3},
        {VITRO_XAVIER, 4},     {VITRO_KAIMING, 5},       {VITRO_EYE, 6},          {VITRO_TRUNCATED, 7},
        {VITRO_COUNT, 8},      {VITRO_KEEP, 0},          {VITRO_TO_ZERO, 1},      {VITRO_TO_ONE, 2},
        {VITRO_SHARED, 1},     {VITRO_NO_DECAY, 2},      {VITRO_FROZEN, 4},       {VITRO_WEIGHT, 1},
        {VITRO_BIAS, 2},       {VITRO_RELU, 0},          {VITRO_GELU, 1},         {VITRO_SIGMOID, 2},
        {VITRO_TANH, 3},       {VITRO_EXP, 4},           {VITRO_SQRT, 5},         {VITRO_RECIP, 6},
        {VITRO_QUICK_GELU, 7}, {VITRO_LOG, 8},           {VITRO_ABS, 9},          {VITRO_SLOTS, 16},
        {VITRO_ABI_MAJOR, 1},  {VITRO_KERNEL_INPUTS, 7}, {VITRO_KERNEL_PUSH, 64}, {VITRO_KERNEL_CONSTANTS, 8},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_int_equal(numbers[i].is, numbers[i].was);
}

static void extensions_keep_their_names(void **state)
{
    (void)state;
    assert_string_equal(VITRO_TRAINING, "vitro.training/1");
    assert_string_equal(VITRO_KERNEL, "vitro.kernel/1");
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
    AT(vitro_scan, size, 0);
    AT(vitro_trainer, abi, 0), AT(vitro_trainer, size, 4);
    AT(vitro_training, size, 0);
    AT(vitro_dispatch, size, 0);
    AT(vitro_kernel, size, 0);
    AT(vitro_kernel_ops, size, 0);
}

int main(void)
{
    if (sizeof(void *) != 8)
        return 77; /* the golden numbers are those of 64-bit systems */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_golden),
        cmocka_unit_test(fields_stand_where_they_stood),
        cmocka_unit_test(fields_of_extensions_stand_where_they_stood),
        cmocka_unit_test(extensions_keep_their_names),
        cmocka_unit_test(operations_stand_in_their_order),
        cmocka_unit_test(numbers_mean_what_they_meant),
        cmocka_unit_test(every_struct_that_can_grow_begins_with_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

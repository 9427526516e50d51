/* test_vit_model.c - the list of tensors, its limits and its first values. */
#include "error.h"
#include "memory.h"
#include "model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <vitro/method.h>

/* A sample's mean and deviation lie this many standard errors off with odds of 1 in 10^6. */
static const double errors_off = 5;

static const struct vit_shape tiny = {.image = 224,
                                      .patch = 16,
                                      .dim = 192,
                                      .depth = 12,
                                      .heads = 3,
                                      .hidden = 768,
                                      .classes = 1000,
                                      .eps = 1e-6f};
static const struct vit_shape small = {
    .image = 16, .patch = 4, .dim = 64, .depth = 2, .heads = 2, .hidden = 128, .classes = 5, .eps = 1e-6f};

static struct vit *create(struct vit_shape shape)
{
    struct vit *m = NULL;
    assert_int_equal(vit_create(&m, &shape), 0);
    return m;
}

static void a_vit_tiny_has_152_tensors_and_5717416_numbers(void **state)
{
    (void)state;
    struct vit *m = create(tiny);
    int64_t numbers = 0;
    for (size_t i = 0; i < m->count; i++) {
        numbers += shape_count(m->tensors[i].shape);
        assert_true(m->tensors[i].data[shape_count(m->tensors[i].shape) - 1] == 0);
    }
    assert_int_equal(m->count, 152);
    assert_int_equal(numbers, 5717416);
    assert_string_equal(m->tensors[0].name, "cls_token");
    assert_string_equal(m->tensors[4 + 12 * 12].name, "norm.weight");
    assert_string_equal(m->tensors[151].name, "head.bias");
    vit_destroy(m);
    vit_destroy(NULL);
}

static void a_tensor_is_found_by_site_part_and_block(void **state)
{
    (void)state;
    struct vit *m = create(small);
    assert_string_equal(vit_find(m, VITRO_AT_QKV, 1, 1)->name, "blocks.1.attn.qkv.weight");
    assert_string_equal(vit_find(m, VITRO_AT_TOKENS, 1, -1)->name, "pos_embed");
    assert_string_equal(vit_find(m, VITRO_AT_TOKENS, 2, -1)->name, "cls_token");
    assert_null(vit_find(m, VITRO_AT_QKV, 1, 2));
    assert_null(vit_find(m, VITRO_AT_ACT, 1, 0));
    for (size_t i = 0; i < m->count; i++) {
        const struct vit_tensor *t = &m->tensors[i];
        assert_ptr_equal(vit_find(m, t->site, t->part, t->block), t);
    }
    vit_destroy(m);
}

static void impossible_shapes_are_refused_by_number(void **state)
{
    (void)state;
    static const struct {
        size_t field;
        int32_t number;
        const char *sentence;
    } cases[] = {
        {offsetof(struct vit_shape, heads), 3, "3 heads do not divide a ViT's width of 64"},
        {offsetof(struct vit_shape, heads), 0, "heads 0"},
        {offsetof(struct vit_shape, image), 18, "18 pixels cannot be cut into patches of 4"},
        {offsetof(struct vit_shape, image), 8192, "at most 1024 times"},
        {offsetof(struct vit_shape, image), -16, "image -16"},
        {offsetof(struct vit_shape, patch), 0, "patch 0"},
        {offsetof(struct vit_shape, dim), 1 << 20, "dim 1048576"},
        {offsetof(struct vit_shape, depth), 0, "depth 0"},
        {offsetof(struct vit_shape, hidden), INT32_MAX, "hidden 2147483647"},
        {offsetof(struct vit_shape, classes), INT32_MIN, "classes -2147483648"},
    };
    struct vit *m = NULL;
    struct vit_shape shape;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shape = small;
        memcpy((char *)&shape + cases[i].field, &cases[i].number, sizeof cases[i].number);
        assert_int_equal(vit_create(&m, &shape), ERR_INPUT);
        assert_null(m);
        if (!strstr(error_text(), cases[i].sentence))
            fail_msg("expected \"%s\" in: %s", cases[i].sentence, error_text());
    }
    shape = small;
    shape.eps = NAN;
    assert_int_equal(vit_create(&m, &shape), ERR_INPUT);
}

/* mean 0 and the deviation given, within the sampling error of both */
static void check_sample(const struct vit_tensor *t, double deviation)
{
    const double n = (double)shape_count(t->shape);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < (int64_t)n; i++) {
        sum += (double)t->data[i];
        squares += (double)t->data[i] * (double)t->data[i];
    }
    assert_true(fabs(sum / n) < errors_off * deviation / sqrt(n));
    assert_true(fabs(sqrt(squares / n) / deviation - 1) < errors_off / sqrt(2 * n));
}

static void check_within(const struct vit_tensor *t, double bound)
{
    double largest = 0;
    for (int64_t i = 0; i < shape_count(t->shape); i++)
        largest = fmax(largest, fabs((double)t->data[i]));
    assert_true(largest <= bound && largest > 0.9 * bound);
}

static void check_constant(const struct vit_tensor *t, float number)
{
    for (int64_t i = 0; i < shape_count(t->shape); i++)
        assert_true(t->data[i] == number);
}

static void random_weights_are_timm_s(void **state)
{
    (void)state;
    struct vit *m = create(small);
    vit_random(m, 3);
    for (size_t i = 0; i < m->count; i++) {
        const struct vit_tensor *t = &m->tensors[i];
        if (strstr(t->name, "norm"))
            check_constant(t, t->part == 1 ? 1.0f : 0.0f);
        else if (strstr(t->name, "patch_embed"))
            check_within(t, 1 / sqrt(3 * 4 * 4));
        else if (strcmp(t->name, "cls_token") == 0)
            check_sample(t, 1e-6);
        else if (t->part == 2)
            check_constant(t, 0);
        else
            check_sample(t, 0.02);
    }
    vit_destroy(m);
}

static void a_tensor_s_numbers_depend_on_seed_and_name_only(void **state)
{
    (void)state;
    struct vit_shape deeper = small;
    deeper.depth = 3;
    struct vit *a = create(small), *b = create(deeper);
    const size_t bytes = 3 * 64 * 64 * sizeof(float);
    vit_random(a, 3);
    vit_random(b, 3);
    const float *first = vit_find(a, VITRO_AT_QKV, 1, 0)->data,
                *second = vit_find(a, VITRO_AT_QKV, 1, 1)->data;
    assert_memory_equal(second, vit_find(b, VITRO_AT_QKV, 1, 1)->data, bytes);
    assert_memory_not_equal(first, second, bytes);
    vit_random(b, 4);
    assert_memory_not_equal(second, vit_find(b, VITRO_AT_QKV, 1, 1)->data, bytes);
    vit_destroy(a);
    vit_destroy(b);
}

static void a_new_head_is_uniform_and_leaves_the_rest(void **state)
{
    (void)state;
    struct vit *m = create(small);
    vit_random(m, 1);
    const float before = vit_find(m, VITRO_AT_QKV, 1, 0)->data[0];
    const float *weight = vit_find(m, VITRO_AT_HEAD, 1, -1)->data;
    vit_reset_head(m, 1);
    check_within(vit_find(m, VITRO_AT_HEAD, 1, -1), 1 / sqrt(64));
    assert_true(fabsf(vit_find(m, VITRO_AT_HEAD, 2, -1)->data[4]) <= 0.125f);
    assert_true(vit_find(m, VITRO_AT_HEAD, 2, -1)->data[4] != 0);
    assert_true(vit_find(m, VITRO_AT_QKV, 1, 0)->data[0] == before);
    const float first = weight[0];
    vit_reset_head(m, 2);
    assert_true(weight[0] != first);
    vit_reset_head(m, 1);
    assert_true(weight[0] == first);
    vit_destroy(m);
}

static void no_memory_is_refused_at_every_allocation(void **state)
{
    (void)state;
    struct vit *m = NULL;
    int rc = ERR_MEMORY;
    for (long k = 0; rc < 0; k++) {
        mem_fail_after(k);
        rc = vit_create(&m, &small);
        mem_fail_after(-1);
        assert_true(rc == 0 || (rc == ERR_MEMORY && !m));
    }
    vit_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vit_tiny_has_152_tensors_and_5717416_numbers),
        cmocka_unit_test(a_tensor_is_found_by_site_part_and_block),
        cmocka_unit_test(impossible_shapes_are_refused_by_number),
        cmocka_unit_test(random_weights_are_timm_s),
        cmocka_unit_test(a_tensor_s_numbers_depend_on_seed_and_name_only),
        cmocka_unit_test(a_new_head_is_uniform_and_leaves_the_rest),
        cmocka_unit_test(no_memory_is_refused_at_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

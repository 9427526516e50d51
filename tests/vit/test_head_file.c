/* test_head_file.c - a head is put on the models that it fits, and on no others. */
#include "error.h"
#include "file.h"
#include "head_file.h"
#include "json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <vitro/method.h>

static const char path[] = "test_head_file.safetensors";
enum { CLASSES = 3, WIDTH = 8 };

static struct vit *model(int32_t classes, int32_t projection)
{
    const struct vit_shape shape = {.image = 8,
                                    .patch = 4,
                                    .dim = 16,
                                    .depth = 1,
                                    .heads = 2,
                                    .hidden = 32,
                                    .classes = classes,
                                    .eps = 1e-5f,
                                    .projection = projection};
    struct vit *m = NULL;
    assert_int_equal(vit_create(&m, &shape), 0);
    vit_random(m, 1);
    strcpy(m->source_hash, "model");
    return m;
}

static void write_head(void)
{
    float weight[CLASSES * WIDTH], bias[CLASSES] = {0.5f, 0, -1};
    for (int i = 0; i < CLASSES * WIDTH; i++)
        weight[i] = (float)i / 4;
    struct head_file h = {CLASSES, WIDTH, weight, bias, 1, json_array(), json_object(), ""};
    for (int i = 0; i < CLASSES; i++)
        json_append_string(h.names, i ? "dog" : "cat");
    json_set_string(h.about, "templates", "a {}");
    assert_int_equal(head_file_write(&h, path), 0);
    json_destroy(h.names);
    json_destroy(h.about);
}

static void a_head_is_read_and_put_on_a_model_as_it_was_written(void **state)
{
    (void)state;
    struct head_file h;
    struct vit *m = model(CLASSES, WIDTH);
    write_head();
    assert_int_equal(head_file_open(&h, path), 0);
    assert_int_equal(h.classes, CLASSES);
    assert_string_equal(json_string(json_first(h.names)), "cat");
    assert_string_equal(json_string(json_get(h.about, "templates")), "a {}");
    assert_int_equal(head_file_apply(&h, m), 0);
    const struct vit_tensor *w = vit_find(m, VITRO_AT_HEAD, VITRO_WEIGHT, -1);
    assert_true(w->data[5] == 1.25f);
    assert_true(vit_find(m, VITRO_AT_HEAD, VITRO_BIAS, -1)->data[2] == -1);
    assert_true(vit_has(&m->shape, VIT_UNIT_FEATURES));
    assert_int_equal(strlen(m->source_hash), 64);
    vit_destroy(m);
    head_file_close(&h);
}

static void a_head_of_another_width_or_of_other_classes_is_refused(void **state)
{
    (void)state;
    struct head_file h;
    struct vit *narrow = model(CLASSES, 0), *more = model(CLASSES + 1, WIDTH);
    write_head();
    assert_int_equal(head_file_open(&h, path), 0);
    assert_true(head_file_apply(&h, narrow) < 0);
    assert_non_null(strstr(error_text(), "reads 8 numbers of an image, the model gives 16"));
    assert_true(head_file_apply(&h, more) < 0);
    assert_non_null(strstr(error_text(), "the head has 3 classes, but 4 are wanted"));
    vit_destroy(narrow);
    vit_destroy(more);
    head_file_close(&h);
}

static void a_whole_model_is_no_head(void **state)
{
    (void)state;
    struct head_file h;
    struct vit *m = model(CLASSES, WIDTH);
    assert_int_equal(vit_save(m, path, 0), 0);
    assert_true(head_file_open(&h, path) < 0);
    assert_non_null(strstr(error_text(), "is no head alone"));
    vit_destroy(m);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read_and_put_on_a_model_as_it_was_written),
        cmocka_unit_test(a_head_of_another_width_or_of_other_classes_is_refused),
        cmocka_unit_test(a_whole_model_is_no_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

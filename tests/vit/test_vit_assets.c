/* test_vit_assets.c - the real ViT-Ti/16 is imported as it is. Needs its file: VITRO_ASSETS names the
 * folder that holds vit_tiny_patch16_224_augreg/; skipped without. */
#include "error.h"
#include "half.h"
#include "model.h"
#include "safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vitro/method.h>

#define COPY "vit_tiny_copy.safetensors"
static char path[1024];

static struct vit *load(const char *from, struct vit_import want)
{
    struct vit *m = NULL;
    if (vit_load(&m, from, &want) < 0)
        fail_msg("%s", error_text());
    return m;
}

static void the_real_vit_tiny_has_its_known_shape_and_bytes(void **state)
{
    (void)state;
    struct vit *m = load(path, (struct vit_import){0});
    const struct vit_shape s = {.image = 224,
                                .patch = 16,
                                .dim = 192,
                                .depth = 12,
                                .heads = 3,
                                .hidden = 768,
                                .classes = 1000,
                                .eps = 1e-6f};
    assert_memory_equal(&m->shape, &s, sizeof s);
    assert_int_equal(m->count, 152);
    assert_string_equal(m->source_hash, "4e5ce944135198610079233e82a87aa50807ef723a2c38fdd9605e69b6b5424b");
    vit_destroy(m);
}

static void the_real_vit_tiny_survives_a_round_trip(void **state)
{
    (void)state;
    struct vit *m = load(path, (struct vit_import){0});
    for (int half = 0; half < 2; half++) {
        assert_int_equal(vit_save(m, COPY, half), 0);
        struct vit *copy = load(COPY, (struct vit_import){0});
        assert_memory_equal(&copy->shape, &m->shape, sizeof m->shape);
        for (size_t i = 0; i < m->count; i++)
            for (int64_t j = 0; j < shape_count(m->tensors[i].shape); j++) {
                float number = m->tensors[i].data[j];
                if (copy->tensors[i].data[j] != (half ? half_to_float(half_from_float(number)) : number))
                    fail_msg("%s: element %lld differs", m->tensors[i].name, (long long)j);
            }
        vit_destroy(copy);
    }
    unlink(COPY);
    vit_destroy(m);
}

static void the_real_vit_tiny_takes_other_images_and_classes(void **state)
{
    (void)state;
    struct vit *m = load(path, (struct vit_import){.image = 96, .classes = 10});
    assert_int_equal(vit_tokens(&m->shape), 37);
    assert_int_equal(vit_find(m, VITRO_AT_HEAD, 1, -1)->shape.dim[0], 10);
    double largest = 0;
    const struct vit_tensor *positions = vit_find(m, VITRO_AT_TOKENS, 1, -1);
    for (int64_t i = 0; i < shape_count(positions->shape); i++)
        largest = fmax(largest, fabs((double)positions->data[i]));
    assert_true(largest > 0.1 && largest < 10);
    vit_destroy(m);
}

int main(void)
{
    const char *assets = getenv("VITRO_ASSETS");
    snprintf(path, sizeof path, "%s/vit_tiny_patch16_224_augreg/model.safetensors", assets ? assets : "");
    if (!assets || access(path, R_OK) != 0) {
        printf("skipped: VITRO_ASSETS names no folder with vit_tiny_patch16_224_augreg/model.safetensors\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_vit_tiny_has_its_known_shape_and_bytes),
        cmocka_unit_test(the_real_vit_tiny_survives_a_round_trip),
        cmocka_unit_test(the_real_vit_tiny_takes_other_images_and_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_vit_load.c - ViTs are saved and loaded exactly, and files that are not one are refused by name. */
#include "error.h"
#include "file.h"
#include "half.h"
#include "hash.h"
#include "memory.h"
#include "model.h"
#include "resample.h"
#include "rng.h"
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

#define PATH "vit.safetensors"
enum { FLIPS = 1500, EXTRA = 4096 }; /* numbers enough for any tensor of the small ViT */

static const struct vit_shape small = {
    .image = 12, .patch = 4, .dim = 8, .depth = 2, .heads = 2, .hidden = 16, .classes = 3, .eps = 1e-5f};
static char folder[64];

static int enter_folder(void **state)
{
    (void)state;
    strcpy(folder, "vitro_load_XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    unlink(PATH);
    return chdir("..") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static struct vit *random_vit(const struct vit_shape *shape)
{
    struct vit *m = NULL;
    assert_int_equal(vit_create(&m, shape), 0);
    vit_random(m, 5);
    return m;
}

static struct vit *load(struct vit_import want)
{
    struct vit *m = NULL;
    if (vit_load(&m, PATH, &want) < 0)
        fail_msg("%s", error_text());
    return m;
}

static void refuse_wanting(struct vit_import want, const char *name, const char *sentence)
{
    struct vit *m = NULL;
    int rc = vit_load(&m, PATH, &want);
    assert_null(m);
    if (rc != ERR_INPUT || !strstr(error_text(), name) || !strstr(error_text(), sentence))
        fail_msg("expected a refusal with \"%s\" and \"%s\", got %d: %s", name, sentence, rc,
                 rc ? error_text() : "accepted");
}
static void refuse(const char *name, const char *sentence)
{
    refuse_wanting((struct vit_import){0}, name, sentence);
}

/* What to spoil in a file that would be good. */
struct change {
    const char *drop, *drop_too, *add; /* names */
    const char *misshape;              /* one more on the first axis */
    const char *flatten;               /* all in one axis */
    const char *retype;                /* I32 */
    const struct safetensors_note *notes;
    size_t note_count;
};

static int is(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

static void write_changed(const struct vit *m, struct change c)
{
    static float extra[EXTRA];
    struct safetensors_item *items = calloc(m->count + 1, sizeof *items);
    size_t n = 0;
    assert_non_null(items);
    for (size_t i = 0; i < m->count; i++) {
        const struct vit_tensor *t = &m->tensors[i];
        if (is(c.drop, t->name) || is(c.drop_too, t->name))
            continue;
        struct safetensors_item *item = &items[n++];
        *item = (struct safetensors_item){.name = t->name, .rank = t->shape.rank, .data = t->data};
        for (int j = 0; j < t->shape.rank; j++)
            item->dim[j] = t->shape.dim[j];
        if (is(c.misshape, t->name)) {
            item->dim[0]++;
            item->data = extra;
        }
        if (is(c.flatten, t->name)) {
            item->dim[0] = shape_count(t->shape);
            item->rank = 1;
        }
        if (is(c.retype, t->name))
            item->type = SAFETENSORS_I32;
    }
    if (c.add)
        items[n++] = (struct safetensors_item){.name = c.add, .rank = 1, .dim = {2}, .data = extra};
    assert_int_equal(safetensors_write(PATH, items, n, c.notes, c.note_count), 0);
    free(items);
}

static const struct safetensors_note heads[] = {{"heads", "2"}};
#define GOOD .notes = heads, .note_count = 1

static void every_number_survives_saving_and_loading(void **state)
{
    (void)state;
    struct vit *a = random_vit(&small);
    char hash[HASH_TEXT];
    assert_int_equal(vit_save(a, PATH, 0), 0);
    assert_int_equal(hash_file(PATH, hash), 0);
    struct vit *b = load((struct vit_import){0});
    assert_memory_equal(&b->shape, &small, sizeof small);
    assert_string_equal(b->source_hash, hash);
    assert_int_equal(b->count, a->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->tensors[i].name, b->tensors[i].name);
        assert_memory_equal(a->tensors[i].data, b->tensors[i].data,
                            (size_t)shape_count(a->tensors[i].shape) * sizeof(float));
    }
    vit_destroy(a);
    vit_destroy(b);
}

static void patches_of_14_and_32_pixels_load_as_well(void **state)
{
    (void)state;
    static const int32_t patches[] = {14, 32};
    for (size_t i = 0; i < 2; i++) {
        struct vit_shape shape = small;
        shape.patch = patches[i];
        shape.image = 2 * patches[i];
        struct vit *m = random_vit(&shape);
        assert_int_equal(vit_save(m, PATH, 0), 0);
        struct vit *loaded = load((struct vit_import){.image = 3 * patches[i]});
        assert_int_equal(loaded->shape.patch, patches[i]);
        assert_int_equal(vit_tokens(&loaded->shape), 10);
        vit_destroy(loaded);
        vit_destroy(m);
    }
}

static void half_the_bytes_hold_the_nearest_halves(void **state)
{
    (void)state;
    struct vit *a = random_vit(&small);
    assert_int_equal(vit_save(a, PATH, 1), 0);
    struct vit *b = load((struct vit_import){0});
    for (size_t i = 0; i < a->count; i++)
        for (int64_t j = 0; j < shape_count(a->tensors[i].shape); j++)
            assert_true(b->tensors[i].data[j] == half_to_float(half_from_float(a->tensors[i].data[j])));
    vit_destroy(b);
    a->tensors[5].data[3] = 1e6f;
    assert_int_equal(vit_save(a, PATH, 1), ERR_INPUT);
    assert_non_null(strstr(error_text(), "blocks.0.norm1.bias: element 3 is 1e+06, which F16 cannot hold"));
    vit_destroy(a);
}

static void every_missing_tensor_is_named(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small);
    char sentence[VIT_NAME + 32];
    for (size_t i = 0; i < m->count; i++) {
        write_changed(m, (struct change){.drop = m->tensors[i].name, GOOD});
        snprintf(sentence, sizeof sentence, "tensor %s is missing", m->tensors[i].name);
        refuse(PATH, sentence);
    }
    vit_destroy(m);
}

static void every_misshapen_tensor_is_named(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small);
    for (size_t i = 0; i < m->count; i++) {
        const struct vit_tensor *t = &m->tensors[i];
        write_changed(m, (struct change){.misshape = t->name, GOOD});
        refuse(t->name, "width");
        if (t->shape.rank > 1) {
            write_changed(m, (struct change){.flatten = t->name, GOOD});
            refuse(t->name, "[");
        }
    }
    vit_destroy(m);
}

static void extra_tensors_are_named_and_those_of_other_families_explained(void **state)
{
    (void)state;
    static const struct {
        const char *name, *sentence;
    } cases[] = {
        {"surplus", "would be left out without effect"},
        {"blocks.0.attn.gate.weight", "would be left out"},
        {"blocks.99999999999999999999.norm1.weight", "would be left out"},
        {"blocks.-1.norm1.weight", "would be left out"},
        {"blocks.01.norm1.weight", "would be left out"},
        {"blocks.0.ls1.gamma", "[8] is needed"},
        {"blocks.2.ls1.gamma", "would be left out"},
        {"dist_token", "DeiT"},
        {"fc_norm.weight", "averages the patch tokens"},
        {"blocks.0.attn.q_norm.weight", "normalised"},
        {"vit.embeddings.cls_token", "Hugging Face"},
        {"visual.conv1.weight", "OpenAI"},
        {"module.norm.weight", "module."},
    };
    struct vit *m = random_vit(&small);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_changed(m, (struct change){.add = cases[i].name, GOOD});
        refuse(cases[i].name, cases[i].sentence);
    }
    write_changed(m, (struct change){.add = "norm_pre.weight", GOOD});
    refuse(PATH, "say which with --act"); /* a CLIP then */
    write_changed(m, (struct change){.add = "blocks.2.norm1.weight", GOOD});
    refuse("blocks.2.norm1.weight is [2]; [8] is needed", "3 blocks"); /* a third block, not all there */
    vit_destroy(m);
}

static void wrong_types_and_numbers_are_refused(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small);
    write_changed(m, (struct change){.retype = "norm.weight", GOOD});
    refuse("norm.weight", "is of type I32; F32, F16, BF16 or F64 is needed");
    m->tensors[0].data[2] = NAN;
    write_changed(m, (struct change){GOOD});
    refuse("cls_token", "element 2 is infinite or not a number");
    vit_destroy(m);
}

static void positions_without_a_square_grid_are_refused(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small);
    struct shape *positions = &m->tensors[1].shape;
    assert_string_equal(m->tensors[1].name, "pos_embed");
    positions->dim[1] = 8; /* 9 would be a grid's alone, 10 have the class token's */
    write_changed(m, (struct change){GOOD});
    refuse("pos_embed has 8 positions", "such as 197");
    vit_destroy(m);
}

static void heads_come_from_the_caller_the_metadata_or_the_width(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small), *loaded;
    write_changed(m, (struct change){0});
    refuse("heads", "width 8 is no multiple of 64");
    loaded = load((struct vit_import){.heads = 4});
    assert_int_equal(loaded->shape.heads, 4);
    vit_destroy(loaded);
    refuse_wanting((struct vit_import){.heads = 3}, PATH, "3 heads do not divide");
    refuse_wanting((struct vit_import){.heads = -1}, PATH, "heads -1");
    const struct safetensors_note wrong[] = {{"heads", "2x"}};
    write_changed(m, (struct change){.notes = wrong, .note_count = 1});
    refuse("heads = \"2x\"", "no number");
    vit_destroy(m);
    struct vit_shape wide = small;
    wide.dim = 128;
    m = random_vit(&wide);
    write_changed(m, (struct change){0});
    loaded = load((struct vit_import){0});
    assert_int_equal(loaded->shape.heads, 2);
    assert_true(loaded->shape.eps == 1e-6f); /* timm's, where the file says nothing */
    vit_destroy(loaded);
    vit_destroy(m);
}

static void metadata_that_changes_the_arithmetic_is_heeded(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small);
    const struct safetensors_note quick[] = {heads[0], {"act", "gelu_tanh"}},
                                  eps[] = {heads[0], {"norm_eps", "x"}};
    write_changed(m, (struct change){.notes = quick, .note_count = 2});
    refuse("gelu_tanh", "exact GELU");
    write_changed(m, (struct change){.notes = eps, .note_count = 2});
    refuse("norm_eps", "no number");
    vit_destroy(m);
}

static void a_model_without_a_head_needs_a_number_of_classes(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small);
    write_changed(m, (struct change){.drop = "head.weight", .drop_too = "head.bias", GOOD});
    refuse(PATH, "has no head; say how many classes");
    struct vit *loaded = load((struct vit_import){.classes = 7});
    assert_int_equal(loaded->shape.classes, 7);
    assert_int_equal(vit_find(loaded, VITRO_AT_HEAD, 1, -1)->shape.dim[0], 7);
    vit_destroy(loaded);
    vit_destroy(m);
}

static void another_number_of_classes_gives_a_new_head_of_zeros(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small);
    assert_int_equal(vit_save(m, PATH, 0), 0);
    struct vit *loaded = load((struct vit_import){.classes = 3});
    const struct vit_tensor *head = vit_find(loaded, VITRO_AT_HEAD, 1, -1);
    for (int64_t i = 0; i < shape_count(head->shape); i++)
        assert_true(head->data[i] == 0);
    vit_destroy(loaded);
    vit_destroy(m);
    refuse_wanting((struct vit_import){.classes = -3}, PATH, "classes -3");
}

static void another_image_size_resamples_the_positions_only(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small);
    assert_int_equal(vit_save(m, PATH, 0), 0);
    struct vit *loaded = load((struct vit_import){.image = 20});
    float expected[26 * 8];
    assert_int_equal(resample_positions(RESAMPLE_ANTIALIAS, vit_find(m, VITRO_AT_TOKENS, 1, -1)->data, 3,
                                        expected, 5, 1, 8),
                     0);
    assert_int_equal(vit_tokens(&loaded->shape), 26);
    assert_memory_equal(vit_find(loaded, VITRO_AT_TOKENS, 1, -1)->data, expected, sizeof expected);
    assert_memory_equal(vit_find(loaded, VITRO_AT_QKV, 1, 1)->data, vit_find(m, VITRO_AT_QKV, 1, 1)->data,
                        24 * 8 * sizeof(float));
    vit_destroy(loaded);
    vit_destroy(m);
    refuse_wanting((struct vit_import){.image = 22}, PATH,
                   "images of 22 pixels cannot be cut into patches of 4");
}

static void no_memory_is_refused_at_every_allocation(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small);
    assert_int_equal(vit_save(m, PATH, 0), 0);
    vit_destroy(m);
    int rc = ERR_MEMORY;
    for (long k = 0; rc < 0; k++) {
        mem_fail_after(k);
        rc = vit_load(&m, PATH, &(struct vit_import){.image = 20});
        mem_fail_after(-1);
        assert_true(rc == 0 || (rc == ERR_MEMORY && !m));
    }
    vit_destroy(m);
}

/* Without the care of file_write: it would wait for the disk each time. */
static void put_file(const char *bytes, size_t size)
{
    FILE *f = fopen(PATH, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void flipped_bits_and_cut_ends_are_loaded_or_refused_without_harm(void **state)
{
    (void)state;
    struct vit *m = random_vit(&small);
    char *bytes;
    size_t size;
    uint64_t header;
    assert_int_equal(vit_save(m, PATH, 1), 0);
    vit_destroy(m);
    assert_int_equal(file_read(PATH, 1 << 20, &bytes, &size), 0);
    memcpy(&header, bytes, 8);
    struct rng r = rng_named(2, "flips");
    int refused = 0;
    for (int i = 0; i < FLIPS; i++) {
        uint32_t at = rng_below(&r, (uint32_t)header + 8), bit = rng_below(&r, 8);
        bytes[at] = (char)(bytes[at] ^ (1 << bit));
        put_file(bytes, i % 8 ? size : rng_below(&r, (uint32_t)size));
        bytes[at] = (char)(bytes[at] ^ (1 << bit));
        int rc = vit_load(&m, PATH, NULL);
        assert_true(rc == 0 || (!m && strlen(error_text()) > 10));
        refused += rc < 0;
        vit_destroy(m);
    }
    assert_true(refused > FLIPS * 9 / 10 && refused < FLIPS);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_survives_saving_and_loading),
        cmocka_unit_test(patches_of_14_and_32_pixels_load_as_well),
        cmocka_unit_test(half_the_bytes_hold_the_nearest_halves),
        cmocka_unit_test(every_missing_tensor_is_named),
        cmocka_unit_test(every_misshapen_tensor_is_named),
        cmocka_unit_test(extra_tensors_are_named_and_those_of_other_families_explained),
        cmocka_unit_test(wrong_types_and_numbers_are_refused),
        cmocka_unit_test(positions_without_a_square_grid_are_refused),
        cmocka_unit_test(heads_come_from_the_caller_the_metadata_or_the_width),
        cmocka_unit_test(metadata_that_changes_the_arithmetic_is_heeded),
        cmocka_unit_test(a_model_without_a_head_needs_a_number_of_classes),
        cmocka_unit_test(another_number_of_classes_gives_a_new_head_of_zeros),
        cmocka_unit_test(another_image_size_resamples_the_positions_only),
        cmocka_unit_test(no_memory_is_refused_at_every_allocation),
        cmocka_unit_test(flipped_bits_and_cut_ends_are_loaded_or_refused_without_harm),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}

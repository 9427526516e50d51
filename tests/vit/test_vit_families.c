/* test_vit_families.c - each family in each format that users have computes here what its own implementation does.
 * The files and numbers are golden/families, by tests/reference/make_family_golden.py. */
#include "error.h"
#include "model.h"
#include "ref.h"
#include "safetensors.h"
#include "trace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDER GOLDEN "/families/"
#define COPY "family_copy.safetensors"
enum { BATCH = 2, HEADS = 2, SMALL = 16, LARGE = 24 };
/* Of the largest number: the golden ones are float32 (1e-7 an operation), and float32 decides the taps of resampling. */
static const double SAME = 2e-6;

static const struct family {
    const char *file, *golden; /* the golden tensors' name, and with _large behind at the other image size */
    const char *format, *normalise;
    int32_t activation, large; /* large: also at 24 pixels */
} families[] = {
    {"timm.safetensors", "timm_logits", "timm", "", 0, 1},
    {"timm_nested.pth", "timm_logits", "timm", "", 0, 1},
    {"timm_views.pt", "timm_logits", "timm", "", 0, 1},
    {"google.npz", "timm_logits", "ViT, Google's names", "half", 0, 1},
    {"google_opt.npz", "timm_logits", "ViT, Google's names", "half", 0, 1},
    {"big_vision.npz", "timm_logits", "ViT, big_vision's names", "half", 0, 1},
    {"mae.pth", "mae_features", "MAE", "imagenet", 0, 1},
    {"hf_vit", "hf_vit_logits", "ViT, Hugging Face's names", "half", 0, 1},
    {"hf_dinov2.safetensors", "hf_dinov2_features", "DINOv2, Hugging Face's names", "imagenet", 0, 1},
    {"dinov2.pth", "dinov2_features", "DINOv2", "imagenet", 0, 1},
    {"hf_registers.safetensors", "registers_features", "DINOv2 with registers, Hugging Face's names",
     "imagenet", 0, 1},
    {"registers.pth", "registers_features", "DINOv2 with registers", "imagenet", 0, 1},
    {"timm_registers.safetensors", "timm_registers_features", "timm", "", 0, 0},
    {"hf_clip.safetensors", "hf_clip_features", "CLIP, Hugging Face's names", "clip", 0, 1},
    {"open_clip.bin", "open_clip_features", "CLIP, OpenAI's or open_clip's names", "clip",
     VIT_ACTIVATION_GELU, 0},
    {"openai_clip.pt", "openai_clip_features", "CLIP, OpenAI's or open_clip's names", "clip", 0, 0},
    {"openai_clip_script.pt", "openai_clip_features", "CLIP, OpenAI's or open_clip's names", "clip", 0, 0},
};

static void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

struct net {
    struct tape *tape;
    struct ref *ref;
    value out;
};

/* What the network gives for the golden images, [batch, n]. */
static const double *compute(struct net *n, const struct vit *m, const struct safetensors *golden)
{
    char name[32];
    value tensors[256];
    unsigned char pixels[BATCH * LARGE * LARGE * 3];
    const int32_t side = m->shape.image;
    assert_true(m->count <= 256 && (n->tape = tape_create()));
    value images = tape_leaf(n->tape, LEAF_IMAGES, SHAPE(BATCH, side, side, 3), 0, "images");
    value index = tape_leaf(n->tape, LEAF_INPUT, SHAPE(BATCH), 1, "index");
    for (size_t i = 0; i < m->count; i++)
        tensors[i] =
            tape_leaf(n->tape, LEAF_FROZEN, m->tensors[i].shape, 2 + (uint32_t)i, m->tensors[i].name);
    const struct vit_trace trace = {.tape = n->tape,
                                    .vit = m,
                                    .images = images,
                                    .index = index,
                                    .mean = {0.5f, 0.5f, 0.5f},
                                    .std = {0.5f, 0.5f, 0.5f},
                                    .tensors = tensors};
    n->out = vit_trace(&trace);
    if (!n->out)
        fail_msg("%s", tape_why(n->tape));
    must(ref_create(&n->ref, n->tape, &n->out, 1));
    snprintf(name, sizeof name, "images_%d", side);
    must(safetensors_need(golden, name, SAFETENSORS_U8, (size_t)(BATCH * side * side * 3), pixels));
    for (int i = 0; i < BATCH * side * side * 3; i++)
        ref_leaf(n->ref, images)[i] = pixels[i];
    for (int i = 0; i < BATCH; i++)
        ref_leaf(n->ref, index)[i] = i;
    for (size_t i = 0; i < m->count; i++)
        for (int64_t k = 0; k < shape_count(m->tensors[i].shape); k++)
            ref_leaf(n->ref, tensors[i])[k] = (double)m->tensors[i].data[k];
    must(ref_run(n->ref));
    return ref_value(n->ref, n->out);
}

static double largest_difference(const struct vit *m, const struct safetensors *golden, const char *name)
{
    struct net n = {0};
    float wanted[256];
    const double *out = compute(&n, m, golden);
    const struct shape shape = tape_shape(n.tape, n.out);
    double off = 0, size = 0;
    must(safetensors_need(golden, name, SAFETENSORS_F32, (size_t)shape_count(shape), wanted));
    for (int64_t i = 0; i < shape_count(shape); i++) {
        off = fmax(off, fabs(out[i] - (double)wanted[i]));
        size = fmax(size, fabs((double)wanted[i]));
    }
    ref_destroy(n.ref);
    tape_destroy(n.tape);
    return off / size;
}

static void check(const struct family *f, const struct safetensors *golden, int32_t image)
{
    char path[1024], name[64];
    struct vit *m = NULL, *copy = NULL;
    const struct vit_import want = {
        .image = image, .heads = HEADS, .headless = 1, .activation = f->activation};
    snprintf(path, sizeof path, FOLDER "%s", f->file);
    snprintf(name, sizeof name, "%s%s", f->golden, image == LARGE ? "_large" : "");
    must(vit_load(&m, path, &want));
    assert_string_equal(m->format, f->format);
    assert_string_equal(m->normalise, f->normalise);
    const double off = largest_difference(m, golden, name);
    print_message("%-28s %2d pixels: %.1e of the largest number\n", f->file, m->shape.image, off);
    if (!(off <= SAME))
        fail_msg("%s differs by %g of the largest number", f->file, off);
    must(vit_save(m, COPY, 0)); /* our own file says all that its format, folder and the caller said */
    must(vit_load(&copy, COPY, &(struct vit_import){.headless = 1}));
    assert_memory_equal(&copy->shape, &m->shape, sizeof m->shape);
    for (size_t i = 0; i < m->count; i++)
        assert_memory_equal(copy->tensors[i].data, m->tensors[i].data,
                            (size_t)shape_count(m->tensors[i].shape) * sizeof(float));
    unlink(COPY);
    vit_destroy(copy);
    vit_destroy(m);
}

static void every_family_computes_what_its_own_implementation_does(void **state)
{
    (void)state;
    struct safetensors *golden = NULL;
    must(safetensors_open(&golden, FOLDER "golden.safetensors"));
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        check(&families[i], golden, 0);
        if (families[i].large)
            check(&families[i], golden, LARGE);
    }
    safetensors_close(golden);
}

static void a_clip_that_does_not_say_its_activation_is_asked_for_it(void **state)
{
    (void)state;
    struct vit *m = NULL;
    assert_int_equal(
        vit_load(&m, FOLDER "open_clip.bin", &(struct vit_import){.heads = HEADS, .headless = 1}), ERR_INPUT);
    assert_non_null(strstr(error_text(), "say which with --act"));
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_computes_what_its_own_implementation_does),
        cmocka_unit_test(a_clip_that_does_not_say_its_activation_is_asked_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

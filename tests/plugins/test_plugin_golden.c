/* test_plugin_golden.c - logits, loss and every gradient of each shipped method against PyTorch's
 * (reference/make_methods_golden.py). */
#include "goldens.h"
#include "tiny.h"

#include "safetensors.h"

/* The file is float32 of a float64 computation: 1e-7 relative; a wrong formula is off by percents. */
static const double TOLERANCE = 1e-4;

static double *read_as_double(const struct safetensors *f, const char *name, int64_t count)
{
    float *single = mem_alloc((size_t)count, sizeof *single);
    double *out = mem_alloc((size_t)count, sizeof *out);
    assert_true(single && out);
    tiny_must(safetensors_need(f, name, SAFETENSORS_F32, (size_t)count, single));
    for (int64_t i = 0; i < count; i++)
        out[i] = (double)single[i];
    mem_free(single);
    return out;
}

static double worst;

static void compare(const struct safetensors *f, const char *name, const double *ours, int64_t count)
{
    double *theirs = read_as_double(f, name, count);
    double off = tiny_distance(ours, theirs, count);
    if (!(off <= TOLERANCE))
        fail_msg("%s is off by %g", name, off);
    worst = off > worst ? off : worst;
    mem_free(theirs);
}

/* `shared` is the model's file, `f` the method's. */
static void load_leaves(struct tiny *n, const struct safetensors *shared, const struct safetensors *f)
{
    char name[128];
    int64_t pixels = shape_count(tape_shape(n->tape, n->images));
    unsigned char *bytes = mem_alloc((size_t)pixels, 1);
    int32_t labels[TINY_BATCH];
    assert_non_null(bytes);
    tiny_must(safetensors_need(shared, "images", SAFETENSORS_U8, (size_t)pixels, bytes));
    tiny_must(safetensors_need(shared, "labels", SAFETENSORS_I32, TINY_BATCH, labels));
    for (int64_t i = 0; i < pixels; i++)
        ref_leaf(n->ref, n->images)[i] = bytes[i];
    mem_free(bytes);
    for (int i = 0; i < TINY_BATCH; i++) {
        ref_leaf(n->ref, n->index)[i] = i;
        ref_leaf(n->ref, n->labels)[i] = labels[i];
    }
    for (size_t i = 0; i < n->tensor_count; i++) {
        const struct tensor *t = &n->tensors[i];
        golden_name("param", t, name, sizeof name);
        double *x = read_as_double(t->owner < 0 ? shared : f, name, shape_count(t->shape));
        double *leaf = ref_leaf(n->ref, n->trace->leaves[i]);
        if (leaf) /* NULL: neither loss nor gradients need it */
            memcpy(leaf, x, (size_t)shape_count(t->shape) * sizeof *x);
        mem_free(x);
    }
}

/* How many gradients the file holds: none may be left uncompared. */
static size_t gradients_in_file(const struct safetensors *f)
{
    size_t count = 0;
    for (size_t i = 0; i < safetensors_count(f); i++)
        count += !strncmp(safetensors_at(f, i)->name, "grad/", 5);
    return count;
}

static void check_golden(const struct safetensors *shared, const struct golden *g)
{
    struct tiny n;
    struct safetensors *f;
    char name[512];
    golden_path(GOLDEN_FOLDER, g->key, name, sizeof name);
    tiny_must(safetensors_open(&f, name));
    tiny_open(&n, g->text, &(struct method_step){.training = 1});
    load_leaves(&n, shared, f);
    tiny_must(ref_run(n.ref));
    compare(f, "logits", ref_value(n.ref, n.trace->logits), shape_count(tape_shape(n.tape, n.trace->logits)));
    compare(f, "loss", ref_value(n.ref, n.loss), 1);
    for (size_t i = 0; i < n.count; i++) {
        const struct tensor *t = &n.tensors[n.ids[i]];
        golden_name("grad", t, name, sizeof name);
        compare(f, name, ref_value(n.ref, n.grads[i]), shape_count(t->shape));
    }
    assert_int_equal(n.count, gradients_in_file(f));
    tiny_close(&n);
    safetensors_close(f);
}

static void each_method_has_pytorchs_logits_loss_and_gradients(void **state)
{
    (void)state;
    struct safetensors *shared = NULL;
    char path[512];
    golden_path(GOLDEN_FOLDER, "model", path, sizeof path);
    tiny_must(safetensors_open(&shared, path));
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
        check_golden(shared, &goldens[i]);
    safetensors_close(shared);
    print_message("worst relative difference from PyTorch %.1e\n", worst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_has_pytorchs_logits_loss_and_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

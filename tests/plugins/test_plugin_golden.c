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

static void load_leaves(struct tiny *n, const struct safetensors *f, const char *key)
{
    char name[128];
    int64_t pixels = shape_count(tape_shape(n->tape, n->images));
    unsigned char *bytes = mem_alloc((size_t)pixels, 1);
    int32_t labels[TINY_BATCH];
    assert_non_null(bytes);
    tiny_must(safetensors_need(f, "images", SAFETENSORS_U8, (size_t)pixels, bytes));
    tiny_must(safetensors_need(f, "labels", SAFETENSORS_I32, TINY_BATCH, labels));
    for (int64_t i = 0; i < pixels; i++)
        ref_leaf(n->ref, n->images)[i] = bytes[i];
    mem_free(bytes);
    for (int i = 0; i < TINY_BATCH; i++) {
        ref_leaf(n->ref, n->index)[i] = i;
        ref_leaf(n->ref, n->labels)[i] = labels[i];
    }
    for (size_t i = 0; i < n->tensor_count; i++) {
        const struct tensor *t = &n->tensors[i];
        golden_name(key, "param", t, name, sizeof name);
        double *x = read_as_double(f, name, shape_count(t->shape));
        memcpy(ref_leaf(n->ref, n->trace->leaves[i]), x, (size_t)shape_count(t->shape) * sizeof *x);
        mem_free(x);
    }
}

/* How many gradients the file holds for the method: none may be left uncompared. */
static size_t gradients_in_file(const struct safetensors *f, const char *key)
{
    char prefix[64];
    size_t count = 0;
    snprintf(prefix, sizeof prefix, "%s/grad/", key);
    for (size_t i = 0; i < safetensors_count(f); i++)
        count += !strncmp(safetensors_at(f, i)->name, prefix, strlen(prefix));
    return count;
}

static void check_golden(const struct safetensors *f, const struct golden *g)
{
    struct tiny n;
    char name[128];
    tiny_open(&n, g->text, &(struct method_step){.training = 1});
    load_leaves(&n, f, g->key);
    tiny_must(ref_run(n.ref));
    snprintf(name, sizeof name, "%s/logits", g->key);
    compare(f, name, ref_value(n.ref, n.trace->logits), shape_count(tape_shape(n.tape, n.trace->logits)));
    snprintf(name, sizeof name, "%s/loss", g->key);
    compare(f, name, ref_value(n.ref, n.loss), 1);
    for (size_t i = 0; i < n.count; i++) {
        const struct tensor *t = &n.tensors[n.ids[i]];
        golden_name(g->key, "grad", t, name, sizeof name);
        compare(f, name, ref_value(n.ref, n.grads[i]), shape_count(t->shape));
    }
    assert_int_equal(n.count, gradients_in_file(f, g->key));
    tiny_close(&n);
}

static void each_method_has_pytorchs_logits_loss_and_gradients(void **state)
{
    (void)state;
    struct safetensors *f = NULL;
    tiny_must(safetensors_open(&f, GOLDEN_FOLDER "/methods.safetensors"));
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
        check_golden(f, &goldens[i]);
    safetensors_close(f);
    print_message("worst relative difference from PyTorch %.1e\n", worst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_has_pytorchs_logits_loss_and_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

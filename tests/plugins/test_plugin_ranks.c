/* test_plugin_ranks.c - PiSSA's start against PyTorch's singular values, AdaLoRA's steps against HF peft's. */
#include "safetensors.h"
#include "world.h"

/* Singular values in double, rounded to float32; b0 a0 adds four products of such. */
static const double FACTORS = 1e-6;
/* The start of PiSSA cancels b a against b0 a0, the same numbers, in double. */
static const double NOTHING = 1e-12;
/* Averages of 30 steps in float32, of which e's steps of 0.1 d are the last digits. */
static const double STEPPED = 1e-5;

/* --- PiSSA */

static float *need(const struct safetensors *f, const char *name, size_t count)
{
    float *data = mem_alloc(count, sizeof *data);
    assert_non_null(data);
    tiny_must(safetensors_need(f, name, SAFETENSORS_F32, count, data));
    return data;
}

/* The backbone as in golden/methods/model.safetensors. */
static void load_model(struct world *w)
{
    struct safetensors *f;
    tiny_must(safetensors_open(&f, GOLDEN_FOLDER "/methods/model.safetensors"));
    for (size_t i = 0; i < w->n.vit->count; i++) {
        char name[128];
        snprintf(name, sizeof name, "model/%s", w->n.tensors[i].name);
        size_t count = (size_t)shape_count(w->n.tensors[i].shape);
        tiny_must(safetensors_need(f, name, SAFETENSORS_F32, count, w->values[i]));
    }
    safetensors_close(f);
}

static void check_factors(struct world *w, const struct safetensors *f, int block)
{
    enum { RANK = 4, DIM = 24 };
    char name[64];
    snprintf(name, sizeof name, "pissa/part/%d", block);
    float *part = need(f, name, 3 * DIM * DIM);
    snprintf(name, sizeof name, "pissa/values/%d", block);
    float *values = need(f, name, RANK);
    snprintf(name, sizeof name, "pissa/%d/a0", block);
    const float *a = w->values[find(w, name)];
    snprintf(name, sizeof name, "pissa/%d/b0", block);
    const float *b = w->values[find(w, name)];
    const double scale = 6 / 4.0;
    double ours[3 * DIM * DIM], theirs[3 * DIM * DIM];
    for (int i = 0; i < 3 * DIM * DIM; i++) {
        ours[i] = 0;
        theirs[i] = (double)part[i];
        for (int k = 0; k < RANK; k++)
            ours[i] += scale * (double)b[i / DIM * RANK + k] * (double)a[k * DIM + i % DIM];
    }
    assert_true(tiny_distance(ours, theirs, 3 * DIM * DIM) < FACTORS);
    for (int k = 0; k < RANK; k++) { /* half of each singular value on either side */
        double length = 0;
        for (int i = 0; i < DIM; i++)
            length += scale * (double)(a[k * DIM + i] * a[k * DIM + i]);
        assert_true(fabs(length - (double)values[k]) < FACTORS * (double)values[k] * 10);
    }
    mem_free(part);
    mem_free(values);
}

static void pissa_starts_at_pytorchs_singular_values(void **state)
{
    (void)state;
    struct world w;
    uint32_t batches;
    struct safetensors *f;
    open_world(&w, "pissa[r=4,alpha=6]", &tiny_shape);
    load_model(&w);
    tiny_must(prepare(&w, 9, 10, &batches));
    tiny_must(safetensors_open(&f, GOLDEN_FOLDER "/training.safetensors"));
    for (int block = 0; block < tiny_shape.depth; block++)
        check_factors(&w, f, block);
    safetensors_close(f);
    assert_memory_equal(w.values[find(&w, "pissa/1/a")], w.values[find(&w, "pissa/1/a0")], 4 * 24 * 4);
    assert_memory_equal(w.values[find(&w, "pissa/1/b")], w.values[find(&w, "pissa/1/b0")], 72 * 4 * 4);
    close_world(&w);
}

/* Logits of the stack with the world's tensors. */
static void logits_of(struct world *w, double *out)
{
    struct tiny n = {0};
    tiny_open(&n, method_text(w->n.method), &(struct method_step){.training = 0});
    for (size_t i = 0; i < n.tensor_count; i++) {
        double *leaf = ref_leaf(n.ref, n.trace->leaves[i]);
        for (int64_t k = 0; leaf && k < shape_count(n.tensors[i].shape); k++)
            leaf[k] = (double)w->values[i][k];
    }
    tiny_must(ref_run(n.ref));
    memcpy(out, ref_value(n.ref, n.trace->logits), 3 * 7 * sizeof *out);
    tiny_close(&n);
}

static void pissas_start_changes_nothing(void **state)
{
    (void)state;
    struct world plain, w;
    uint32_t batches;
    double before[21], after[21];
    open_world(&plain, "linear", &tiny_shape);
    open_world(&w, "pissa[r=4,targets=all]", &tiny_shape);
    load_model(&plain);
    load_model(&w);
    tiny_must(prepare(&w, 9, 10, &batches));
    assert_true(w.values[find(&w, "pissa/1/a.FC2")][5] != 0);
    logits_of(&plain, before);
    logits_of(&w, after);
    assert_true(tiny_distance(after, before, 21) < NOTHING);
    close_world(&plain);
    close_world(&w);
}

/* --- AdaLoRA */

enum { STEPS = 30, RANK = 5, DIM = 8, BLOCKS = 2 };
static const struct vit_shape small_shape = {.image = 16,
                                             .patch = 8,
                                             .dim = DIM,
                                             .depth = BLOCKS,
                                             .heads = 2,
                                             .hidden = 16,
                                             .classes = 3,
                                             .eps = 1e-6f};

static size_t part_of(const struct world *w, const char *part, int block)
{
    char name[64];
    snprintf(name, sizeof name, "adalora/%d/%s", block, part);
    return find(w, name);
}

static void start_adalora(struct world *w, const struct safetensors *f)
{
    static const char *const parts[] = {"a", "b", "e"};
    for (int i = 0; i < 3 * BLOCKS; i++) {
        char name[64];
        size_t id = part_of(w, parts[i % 3], i / 3);
        snprintf(name, sizeof name, "adalora/start/%s/%d", parts[i % 3], i / 3);
        tiny_must(safetensors_need(f, name, SAFETENSORS_F32, (size_t)shape_count(w->n.tensors[id].shape),
                                   w->values[id]));
    }
}

/* The golden file's gradients of a step, and its optimiser. */
static void descend(struct world *w, const struct safetensors *f, int step)
{
    static const char *const parts[] = {"a", "b", "e"};
    for (int i = 0; i < 3 * BLOCKS; i++) {
        char name[64];
        size_t id = part_of(w, parts[i % 3], i / 3), n = (size_t)shape_count(w->n.tensors[id].shape);
        snprintf(name, sizeof name, "adalora/gradient/%s/%d", parts[i % 3], i / 3);
        float *all = need(f, name, STEPS * n);
        for (size_t k = 0; k < n; k++) {
            w->gradients[id][k] = all[(size_t)(step - 1) * n + k];
            w->values[id][k] -= 0.1f * w->gradients[id][k];
        }
        mem_free(all);
    }
}

/* e as it counts, which HF peft sets to zero again after each of the last steps. Returns how many are zero. */
static int compare_e(const struct world *w, const struct safetensors *f, int step)
{
    int gone = 0;
    for (int block = 0; block < BLOCKS; block++) {
        char name[64];
        snprintf(name, sizeof name, "adalora/after/e/%d", block);
        float *theirs = need(f, name, STEPS * RANK);
        for (int k = 0; k < RANK; k++) {
            float ours = w->values[part_of(w, "e", block)][k] * w->values[part_of(w, "kept", block)][k];
            float wanted = theirs[(step - 1) * RANK + k];
            if ((ours == 0) != (wanted == 0) || fabs((double)ours - (double)wanted) > STEPPED)
                fail_msg("step %d, block %d: e[%d] is %g, not %g", step, block, k, (double)ours,
                         (double)wanted);
            gone += ours == 0;
        }
        mem_free(theirs);
    }
    return gone;
}

static void adalora_cuts_what_peft_cuts(void **state)
{
    (void)state;
    struct world w;
    struct safetensors *f;
    int gone = 0, budgets = 0;
    uint32_t next, calls = 0;
    open_world(&w, "adalora[r=5,target_r=3,warmup=0.2,settle=0.3]", &small_shape);
    const struct training_tensors at = tensors_of(&w);
    tiny_must(safetensors_open(&f, GOLDEN_FOLDER "/training.safetensors"));
    start_adalora(&w, f);
    for (int step = 1; step <= STEPS; step++) {
        tiny_must(method_training_next(w.n.method, (uint32_t)step - 1, STEPS, &next));
        descend(&w, f, step);
        tiny_must(method_training_step(w.n.method, &at, (uint32_t)step, STEPS));
        calls += next == (uint32_t)step;
        int now = compare_e(&w, f, step);
        budgets += now != gone;
        gone = now;
    }
    assert_int_equal(gone, BLOCKS * (5 - 3));
    assert_true(budgets >= 4);       /* it fell step by step */
    assert_int_equal(calls, 30 - 9); /* and the last steps replay undisturbed */
    safetensors_close(f);
    close_world(&w);
}

static void adalora_looks_as_often_as_told(void **state)
{
    (void)state;
    static const uint32_t expected[] = {4, 8, 12, 14}; /* every fourth, and where the budget has fallen */
    struct world w;
    uint32_t next = 0;
    open_world(&w, "adalora[every=4,settle=0.3]", &small_shape);
    for (size_t i = 0; i < 4; i++) {
        tiny_must(method_training_next(w.n.method, next, 20, &next));
        assert_int_equal(next, expected[i]);
    }
    tiny_must(method_training_next(w.n.method, next, 20, &next));
    assert_int_equal(next, 0);
    close_world(&w);
}

static void adaloras_penalty_is_pefts(void **state)
{
    (void)state;
    struct world w;
    struct safetensors *f;
    struct tiny n = {0};
    struct ref *r = NULL;
    static const char *const text = "adalora[r=5,target_r=3,orthogonality=1]";
    open_world(&w, text, &small_shape);
    tiny_must(safetensors_open(&f, GOLDEN_FOLDER "/training.safetensors"));
    start_adalora(&w, f);
    float *wanted = need(f, "adalora/penalty", 1);
    tiny_must(tiny_stack(&n, text, &small_shape));
    tiny_must(tiny_record(&n, &(struct method_step){.training = 1}, -1));
    tiny_must(ref_create(&r, n.tape, &n.trace->penalty, 1));
    for (size_t i = 0; i < n.tensor_count; i++) {
        double *leaf = ref_leaf(r, n.trace->leaves[i]);
        for (int64_t k = 0; leaf && k < shape_count(n.tensors[i].shape); k++)
            leaf[k] = (double)w.values[i][k];
    }
    tiny_must(ref_run(r));
    assert_true(fabs(ref_value(r, n.trace->penalty)[0] - (double)wanted[0]) < 1e-6 * (double)wanted[0]);
    mem_free(wanted);
    ref_destroy(r);
    tiny_close(&n);
    safetensors_close(f);
    close_world(&w);
}

static void adalora_refuses_ranks_that_grow(void **state)
{
    (void)state;
    struct tiny n = {0};
    assert_int_equal(tiny_stack(&n, "adalora[r=4,target_r=5]", &tiny_shape), ERR_PLUGIN);
    assert_string_equal(error_text(), "adalora: option target_r is larger than r; ranks only fall");
    tiny_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pissa_starts_at_pytorchs_singular_values),
        cmocka_unit_test(pissas_start_changes_nothing),
        cmocka_unit_test(adalora_cuts_what_peft_cuts),
        cmocka_unit_test(adalora_looks_as_often_as_told),
        cmocka_unit_test(adaloras_penalty_is_pefts),
        cmocka_unit_test(adalora_refuses_ranks_that_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

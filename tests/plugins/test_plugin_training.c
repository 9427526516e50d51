/* test_plugin_training.c - what plugins do around training: the host's side of vitro/training.h, with tensors that
 * lie in plain memory, and its singular values. */
#include "singular.h"
#include "world.h"

/* --- the conversation */

static void what_plan_names_is_what_a_scan_gives(void **state)
{
    (void)state;
    struct world w;
    uint32_t batches;
    open_world(&w, STEERED, &tiny_shape);
    unsigned char *wanted = mem_alloc(w.n.tensor_count, 1);
    assert_non_null(wanted);
    tiny_must(method_training_plan(w.n.method, 9, wanted, &batches));
    assert_int_equal(batches, 2);
    for (size_t i = 0; i < w.n.tensor_count; i++)
        assert_int_equal(wanted[i], strstr(w.n.tensors[i].name, "attn.qkv.bias") != NULL ||
                                        strstr(w.n.tensors[i].name, "attn.proj.bias") != NULL);
    mem_free(wanted);
    close_world(&w);
}

static void each_callback_comes_in_its_turn(void **state)
{
    (void)state;
    enum { STEPS = 10 };
    struct world w;
    uint32_t batches;
    open_world(&w, STEERED, &tiny_shape);
    const float *log = w.values[find(&w, "steered/log")], *shift = w.values[find(&w, "steered/0/shift")];
    float expected[] = {2, 2 * 4900, STEPS, 0, 0}; /* two scans of 1 1 + 2 2 + .. + 24 24 */
    tiny_must(prepare(&w, 9, STEPS, &batches));
    assert_memory_equal(log, expected, sizeof expected);
    tiny_must(go_through(&w, STEPS));
    expected[3] = 3; /* after 3, 6 and 9 */
    expected[4] = 9;
    assert_memory_equal(log, expected, sizeof expected);
    for (int i = 0; i < 24; i++) /* x = x / 2 - d / 10, three times */
        assert_true(fabs((double)shift[i] + 0.175 * (i + 1)) < 1e-5);
    assert_true(w.values[find(&w, "steered/1/shift")][0] == 0);
    close_world(&w);
}

static void a_pass_shorter_than_asked_for_is_the_limit(void **state)
{
    (void)state;
    struct world w;
    uint32_t batches;
    open_world(&w, STEERED, &tiny_shape);
    tiny_must(prepare(&w, 1, 10, &batches));
    assert_int_equal(batches, 1);
    assert_true(w.values[find(&w, "steered/log")][0] == 1);
    close_world(&w);
}

static void instances_do_not_see_each_others_memory(void **state)
{
    (void)state;
    struct world w;
    uint32_t batches;
    open_world(&w, STEERED "+lora+" STEERED, &tiny_shape);
    tiny_must(prepare(&w, 9, 4, &batches));
    tiny_must(go_through(&w, 4));
    size_t one = find(&w, "steered/log"), two = find(&w, "steered-2/log");
    assert_memory_equal(w.values[one], w.values[two], 5 * sizeof(float));
    assert_true(w.values[one][0] == 2 && w.values[one][3] == 1);
    close_world(&w);
}

static void frozen_parameters_are_kept_where_a_plugin_writes_them(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "pissa+" PROBE "+lora", &tiny_shape);
    for (size_t i = 0; i < w.n.tensor_count; i++) {
        const char *last = strrchr(w.n.tensors[i].name, '/');
        int writes = !strncmp(w.n.tensors[i].name, "pissa/", 6);
        assert_int_equal(w.n.tensors[i].kept, writes && (!strcmp(last, "/a0") || !strcmp(last, "/b0")));
    }
    assert_int_equal(w.n.tensors[find(&w, "probe/0/fixed")].kind, LEAF_FROZEN);
    close_world(&w);
}

static void a_stack_without_the_extension_is_left_alone(void **state)
{
    (void)state;
    struct world w;
    uint32_t batches, next;
    open_world(&w, "lora+vpt[prompts=2]+ssf", &tiny_shape);
    w.fails = ERR_DEVICE; /* nothing is read or written */
    tiny_must(prepare(&w, 9, 10, &batches));
    assert_int_equal(batches, 0);
    tiny_must(method_training_next(w.n.method, 0, 10, &next));
    assert_int_equal(next, 0);
    close_world(&w);
}

/* --- what is refused */

static const struct {
    const char *kind, *sentence;
} bads[] = {
    {"empty", "steered: vitro.training/1: it has no scan, begin or step"},
    {"short_table", "steered: vitro.training/1: its table says it has 2 bytes"},
    {"plan_alone", "steered: vitro.training/1: plan and scan go together"},
    {"next_alone", "steered: vitro.training/1: next without step has nothing to name"},
    {"plan_fails", "steered: not in the mood"},
    {"plan_silent", "steered: plan returned -1 without saying why"},
    {"plan_too_many", "steered: plan asks for 10 batches to scan; one pass over the training images has 9"},
    {"plan_nothing", "steered: plan names no tensor of the backbone whose gradient is wanted"},
    {"plan_blocks", "steered: blocks from 2 (0 of them) are not all there; the model has 2"},
    {"scan_fails", "steered: a scan too far"},
    {"scan_edits", "steered: edit cannot be used in scan"},
    {"scan_unplanned", "steered: scan: the gradient of blocks.0.attn.proj.weight was not asked for in plan"},
    {"scan_no_site", "steered: scan: there is no bias at site ATTN of block 0"},
    {"begin_fails", "steered: there is nothing to begin with"},
    {"begin_silent", "steered: begin returned -1 without saying why"},
    {"begin_foreign", "steered: begin: 99 is none of its own parameters"},
    {"begin_block", "steered: begin: parameter shift is not declared for block 2"},
    {"begin_gradient", "steered: param_gradient cannot be used in begin"},
    {"begin_infinite", "steered: begin makes entry 4 of steered/log inf"},
    {"begin_room", "steered: begin: room 7 has 2 floats, not 3"},
    {"begin_no_room", "steered: begin: a room of 18446744073709551615 floats is impossible"},
    {"begin_rank", "steered: begin: a 2 by 2 matrix has no 3 singular values"},
    {"begin_no_matrix", "steered: begin: a matrix whose singular values are wanted is missing"},
    {"begin_goes_on", "steered: begin: 0 is none of its own parameters"},
    {"next_back", "steered: next, after step 9 of 10, names step 9"},
    {"next_beyond", "steered: next, after step 0 of 10, names step 11"},
    {"step_fails", "steered: a step too far"},
    {"step_frozen", "steered: step: steered/log is frozen and has no gradient"},
    {"step_infinite", "steered: step makes entry 4 of steered/log inf"},
};

static void each_mistake_is_refused_with_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        char text[512];
        uint32_t batches;
        struct tiny unborn = {0};
        struct world w;
        snprintf(text, sizeof text, STEERED "[kind=%s]", bads[i].kind);
        int rc = tiny_stack(&unborn, text, &tiny_shape);
        tiny_close(&unborn);
        if (rc == 0) {
            open_world(&w, text, &tiny_shape);
            rc = prepare(&w, 9, 10, &batches);
            if (rc == 0)
                rc = go_through(&w, 10);
            close_world(&w);
        }
        if (rc != ERR_PLUGIN || strcmp(error_text(), bads[i].sentence) != 0)
            fail_msg("%s: code %d, \"%s\"", bads[i].kind, rc, error_text());
    }
}

static void what_a_failing_callback_edited_is_forgotten(void **state)
{
    (void)state;
    static const char *const kinds[] = {"begin_fails", "begin_infinite", "begin_goes_on", "begin_rank"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char text[512];
        uint32_t batches;
        struct world w;
        static const float untouched[5];
        snprintf(text, sizeof text, STEERED "[kind=%s]", kinds[i]);
        open_world(&w, text, &tiny_shape);
        assert_int_equal(prepare(&w, 9, 10, &batches), ERR_PLUGIN);
        assert_memory_equal(w.values[find(&w, "steered/log")], untouched, sizeof untouched);
        close_world(&w);
    }
}

static void the_hosts_own_trouble_keeps_its_code_and_sentence(void **state)
{
    (void)state;
    struct world w;
    uint32_t batches;
    open_world(&w, "pissa", &tiny_shape);
    w.fails = ERR_DEVICE;
    assert_int_equal(prepare(&w, 9, 10, &batches), ERR_DEVICE);
    assert_string_equal(error_text(), "the device is on fire");
    close_world(&w);
}

static void every_allocation_failing_in_turn_gives_an_error(void **state)
{
    (void)state;
    struct world w;
    int rc = -1, failures = 0;
    open_world(&w, STEERED "+pissa[r=2]+adalora[r=3,target_r=2]", &tiny_shape);
    for (long k = 0; rc < 0; k++) {
        const struct training_tensors at = tensors_of(&w);
        mem_fail_after(k);
        rc = method_training_begin(w.n.method, &at, 9);
        if (rc == 0)
            rc = method_training_step(w.n.method, &at, 6, 9);
        mem_fail_after(-1);
        failures += rc < 0;
        assert_true(rc == 0 || rc == ERR_MEMORY);
    }
    assert_true(failures > 20);
    close_world(&w);
}

/* --- singular values */

static void check_decomposition(int32_t rows, int32_t columns, int32_t true_rank)
{
    enum { MOST = 7 * 5 };
    float a[MOST] = {0}, u[MOST], s[5], vt[MOST];
    int32_t rank = rows < columns ? rows : columns;
    struct rng g = rng_named(TINY_SEED, "matrix");
    for (int32_t k = 0; k < true_rank; k++) {
        float x[7], y[7];
        for (int i = 0; i < 7; i++) {
            x[i] = (float)rng_normal(&g);
            y[i] = (float)rng_normal(&g);
        }
        for (int32_t i = 0; i < rows * columns; i++)
            a[i] += x[i / columns] * y[i % columns];
    }
    tiny_must(singular_values(a, rows, columns, rank, u, s, vt));
    for (int32_t i = 0; i < rows * columns; i++) {
        double sum = 0;
        for (int32_t k = 0; k < rank; k++)
            sum += (double)(u[i / columns * rank + k] * s[k]) * (double)vt[k * columns + i % columns];
        assert_true(fabs(sum - (double)a[i]) < 1e-5);
    }
    for (int32_t k = 0; k < rank; k++) {
        double length = 0, top = 0;
        assert_true(s[k] >= 0 && (k == 0 || s[k] <= s[k - 1]) && (k < true_rank || s[k] < 1e-5f));
        for (int32_t i = 0; i < rows; i++) {
            double x = (double)u[i * rank + k];
            length += x * x;
            top = fabs(x) > fabs(top) ? x : top;
        }
        assert_true(fabs(length - 1) < 1e-5 && top > 0);
    }
}

static void a_matrix_is_the_product_of_its_singular_vectors(void **state)
{
    (void)state;
    check_decomposition(7, 5, 5);
    check_decomposition(5, 7, 5);
    check_decomposition(7, 5, 2); /* the others are zero, their vectors still of length 1 */
    check_decomposition(4, 4, 1);
    check_decomposition(1, 1, 1);
    check_decomposition(5, 5, 0);
}

static void a_matrix_that_is_not_finite_is_refused(void **state)
{
    (void)state;
    float a[4] = {1, 2, INFINITY, 4}, out[4];
    assert_int_equal(singular_values(a, 2, 2, 1, out, out, out), ERR_INPUT);
    assert_non_null(strstr(error_text(), "not finite"));
    a[2] = NAN;
    assert_int_equal(singular_values(a, 2, 2, 1, out, out, out), ERR_INPUT);
    assert_int_equal(singular_values(a, 0, 2, 1, out, out, out), ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_plan_names_is_what_a_scan_gives),
        cmocka_unit_test(each_callback_comes_in_its_turn),
        cmocka_unit_test(a_pass_shorter_than_asked_for_is_the_limit),
        cmocka_unit_test(instances_do_not_see_each_others_memory),
        cmocka_unit_test(frozen_parameters_are_kept_where_a_plugin_writes_them),
        cmocka_unit_test(a_stack_without_the_extension_is_left_alone),
        cmocka_unit_test(each_mistake_is_refused_with_a_sentence),
        cmocka_unit_test(what_a_failing_callback_edited_is_forgotten),
        cmocka_unit_test(the_hosts_own_trouble_keeps_its_code_and_sentence),
        cmocka_unit_test(every_allocation_failing_in_turn_gives_an_error),
        cmocka_unit_test(a_matrix_is_the_product_of_its_singular_vectors),
        cmocka_unit_test(a_matrix_that_is_not_finite_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_plugin_probe.c - what a plugin declares arrives as declared: probe.c uses all of it. */
#include "tiny.h"

static struct tiny open_probe(const char *text)
{
    struct tiny n = {0};
    tiny_must(tiny_stack(&n, text, &tiny_shape));
    return n;
}

static const struct tensor *find(const struct tiny *n, const char *name, size_t *id)
{
    for (*id = 0; *id < n->tensor_count; ++*id)
        if (!strcmp(n->tensors[*id].name, name))
            return &n->tensors[*id];
    return NULL;
}

static void declarations_become_tensors(void **state)
{
    (void)state;
    struct tiny n = open_probe(PROBE);
    size_t id;
    const struct tensor *t = find(&n, "probe/gain", &id);
    assert_non_null(t);
    assert_int_equal(t->kind, LEAF_TRAINABLE);
    assert_int_equal(t->block, -1);
    assert_true(t->no_decay && t->lr_mul == 0.5f && t->wise == VITRO_TO_ONE);
    t = find(&n, "probe/1/conv", &id);
    assert_non_null(t);
    assert_true(!t->no_decay && t->lr_mul == 1 && t->block == 1 && t->owner == 0 && t->source < 0);
    assert_int_equal(find(&n, "probe/0/fixed", &id)->kind, LEAF_FROZEN);
    assert_null(find(&n, "probe/0/shift", &id));
    assert_non_null(find(&n, "probe/1/shift", &id));
    assert_int_equal(find(&n, "blocks.1.mlp.fc2.weight", &id)->kind, LEAF_TRAINABLE);
    assert_int_equal(find(&n, "blocks.0.mlp.fc2.weight", &id)->kind, LEAF_FROZEN);
    assert_int_equal(method_trainable(n.method), 1 + 2 * 4 * 36 + 24 + 2 * 24 + 24 * 96);
    tiny_close(&n);
}

static void each_kind_of_start_is_as_declared(void **state)
{
    (void)state;
    struct tiny n = open_probe(PROBE);
    size_t id;
    float x[4 * 36];
    double mean = 0;
    assert_non_null(find(&n, "probe/0/conv", &id));
    tiny_must(method_initial(n.method, id, 1, x));
    for (int out = 0; out < 4; out++)
        for (int i = 0; i < 36; i++) /* the centre tap of 9, the channel of the output */
            assert_true(x[out * 36 + i] == (i == 4 * 4 + out ? 1.0f : 0.0f));
    assert_non_null(find(&n, "probe/0/fixed", &id));
    tiny_must(method_initial(n.method, id, 1, x));
    for (int i = 0; i < 4 * 24; i++)
        assert_true(x[i] >= -0.5f && x[i] <= 0.5f);
    assert_non_null(find(&n, "probe/1/shift", &id));
    tiny_must(method_initial(n.method, id, 1, x));
    for (int i = 0; i < 24; i++)
        mean += (double)x[i] / 24;
    assert_true(fabs(mean - 3) < 0.1);
    tiny_close(&n);
}

static void a_backbone_tensor_starts_as_it_is(void **state)
{
    (void)state;
    struct tiny n = open_probe("full");
    size_t id;
    float x[24 * 24];
    vit_random(n.vit, 5);
    assert_non_null(find(&n, "blocks.1.attn.proj.weight", &id));
    tiny_must(method_initial(n.method, id, 1, x));
    assert_memory_equal(x, n.vit->tensors[n.tensors[id].source].data, sizeof x);
    assert_true(x[0] != 0);
    tiny_close(&n);
}

static void penalties_of_the_blocks_are_summed(void **state)
{
    (void)state;
    struct tiny n;
    size_t id;
    double expected = 0;
    struct ref *r = NULL;
    tiny_open(&n, PROBE, &(struct method_step){.training = 1});
    tiny_must(ref_create(&r, n.tape, &n.trace->penalty, 1));
    static const char *const names[] = {"probe/gain", "probe/1/conv"};
    for (int k = 0; k < 2; k++) {
        const struct tensor *t = find(&n, names[k], &id);
        double *x = ref_leaf(r, n.trace->leaves[id]);
        for (int64_t i = 0; i < shape_count(t->shape); i++) {
            x[i] = 0.01 * (double)(i + 1);
            expected += 0.5 * x[i] * x[i];
        }
    }
    tiny_must(ref_run(r));
    assert_true(fabs(ref_value(r, n.trace->penalty)[0] - expected) < 1e-12); /* a sum of 145 doubles */
    ref_destroy(r);
    tiny_close(&n);
}

static void evaluation_has_no_penalty(void **state)
{
    (void)state;
    struct tiny n;
    tiny_open(&n, PROBE, &(struct method_step){.training = 0});
    assert_int_equal(n.trace->penalty, 0);
    tiny_close(&n);
}

static void keep_line(void *context, int level, const char *id, const char *text)
{
    snprintf(context, 128, "%d %s: %s", level, id, text);
}

static void log_lines_reach_the_driver(void **state)
{
    (void)state;
    char line[128] = "";
    const char *const folders[] = {NULL};
    struct plugins *p = NULL;
    struct method *m = NULL;
    tiny_must(plugins_create(&p, folders));
    plugins_set_log(p, keep_line, line);
    tiny_must(method_create(&m, p, PROBE));
    assert_string_equal(line, "2 probe: the probe is in");
    method_destroy(m);
    plugins_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declarations_become_tensors),
        cmocka_unit_test(each_kind_of_start_is_as_declared),
        cmocka_unit_test(a_backbone_tensor_starts_as_it_is),
        cmocka_unit_test(penalties_of_the_blocks_are_summed),
        cmocka_unit_test(evaluation_has_no_penalty),
        cmocka_unit_test(log_lines_reach_the_driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

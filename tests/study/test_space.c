/* test_space.c - what tuning tries: as even as it can be, nothing twice, the same wherever it is asked; and what a
 * recipe's method is resolved to, with the plugins as they are shipped. */
#include "hand_study.h"
#include "host.h"
#include "resolve.h"
#include "rng.h"
#include "space.h"

#include <math.h>

enum { MOST = 512 };
static struct point points[MOST], again[MOST];

static const char *const numbers[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"};

static struct study_axis list(const char *name, uint32_t count)
{
    return (struct study_axis){.name = name,
                               .part = -1,
                               .kind = AXIS_LIST,
                               .values = (const char **)(uintptr_t)numbers,
                               .count = count};
}

static struct study_axis range(const char *name, enum axis_kind kind, double low, double high)
{
    return (struct study_axis){.name = name, .part = -1, .kind = kind, .low = low, .high = high};
}

static uint32_t draw(const struct study_method *m, const struct study_tune *tune, uint32_t count,
                     struct point *out)
{
    int64_t n = space_points(m, tune, count, out);
    must((int)(n < 0 ? n : 0));
    return (uint32_t)n;
}

static int same_point(const struct study_method *m, const struct point *a, const struct point *b)
{
    for (uint32_t i = 0; i < m->axis_count; i++)
        if (strcmp(a->value[i], b->value[i]) != 0)
            return 0;
    return 1;
}

static void assert_no_point_twice(const struct study_method *m, uint32_t count)
{
    for (uint32_t a = 0; a < count; a++)
        for (uint32_t b = 0; b < a; b++)
            assert_false(same_point(m, &points[a], &points[b]));
}

static void a_grid_is_walked_with_its_last_axis_fastest(void **state)
{
    (void)state;
    struct study_axis axes[] = {list("lr", 2), list("decay", 3)};
    const struct study_method m = {.axes = axes, .axis_count = 2};
    const struct study_tune tune = {.strategy = TUNE_GRID};
    assert_true(space_size(&m) == 6);
    assert_int_equal(draw(&m, &tune, MOST, points), 6);
    static const char *const wanted[6][2] = {{"1", "1"}, {"1", "2"}, {"1", "3"},
                                             {"2", "1"}, {"2", "2"}, {"2", "3"}};
    for (int k = 0; k < 6; k++)
        for (int i = 0; i < 2; i++)
            assert_string_equal(points[k].value[i], wanted[k][i]);
    assert_int_equal(draw(&m, &tune, 4, points), 4);
    assert_string_equal(points[3].value[0], "2");
    const struct study_method none = {0};
    assert_true(space_size(&none) == 1);
    assert_int_equal(draw(&none, &tune, MOST, points), 1);
    axes[0] = range("lr", AXIS_UNIFORM, 0, 1);
    assert_true(isinf(space_size(&m)));
}

static void a_budget_beyond_the_space_is_all_of_it(void **state)
{
    (void)state;
    struct study_axis axes[] = {list("lr", 4), list("decay", 3)};
    const struct study_method m = {.axes = axes, .axis_count = 2};
    for (int strategy = TUNE_GRID; strategy <= TUNE_HALVING; strategy++)
        for (uint32_t trials = 12; trials < 15; trials++) {
            const struct study_tune tune = {.strategy = strategy, .trials = trials};
            assert_int_equal(draw(&m, &tune, trials, points), 12);
            assert_no_point_twice(&m, 12);
        }
}

/* Each value of a list is used n / values times, or once more. */
static void assert_even(const struct study_method *m, uint32_t count)
{
    for (uint32_t i = 0; i < m->axis_count; i++)
        for (uint32_t v = 0; v < m->axes[i].count; v++) {
            uint32_t uses = 0;
            for (uint32_t k = 0; k < count; k++)
                uses += strcmp(points[k].value[i], m->axes[i].values[v]) == 0;
            const uint32_t least = count / m->axes[i].count;
            if (uses < least || uses > least + (count % m->axes[i].count > 0))
                fail_msg("%s of %u: %u of %u points", m->axes[i].values[v], m->axes[i].count, uses, count);
        }
}

static void every_value_of_a_list_is_used_evenly_and_no_point_twice(void **state)
{
    (void)state;
    static const uint32_t sizes[][4] = {{5},       {3, 2},    {2, 2, 2}, {4, 4},    {3, 4, 5}, {2, 12},
                                        {7, 3, 2}, {1, 6, 1}, {12, 12},  {3, 3, 3}, {8, 3},    {2, 2, 2, 2}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        static const char *const names[] = {"lr", "decay", "r", "batch"};
        struct study_axis axes[4];
        struct study_method m = {.axes = axes};
        for (int i = 0; i < 4 && sizes[s][i]; i++)
            axes[m.axis_count++] = list(names[i], sizes[s][i]);
        for (uint32_t count = 1; count < space_size(&m) && count < 60; count++)
            for (uint64_t seed = 0; seed < 5; seed++) {
                const struct study_tune tune = {.strategy = TUNE_RANDOM, .trials = count, .seed = seed};
                assert_int_equal(draw(&m, &tune, count, points), count);
                assert_no_point_twice(&m, count);
                assert_even(&m, count);
            }
    }
}

/* In as many equal shares as there are points; a value that was rounded to three digits may sit on a border. */
static void each_share_of_a_range_is_used_once(void **state)
{
    (void)state;
    struct study_axis axes[] = {range("lr", AXIS_LOG_UNIFORM, 1e-4, 1e-1), range("x", AXIS_UNIFORM, -2, 6),
                                list("r", 3)};
    const struct study_method m = {.axes = axes, .axis_count = 3};
    const double round = 0.006; /* of three digits, relative */
    for (uint32_t count = 1; count <= 40; count++) {
        const struct study_tune tune = {.strategy = TUNE_RANDOM, .trials = count, .seed = count};
        assert_int_equal(draw(&m, &tune, count, points), count);
        for (uint32_t i = 0; i < 2; i++)
            for (uint32_t share = 0; share < count; share++) {
                double low = (double)share / count, high = (double)(share + 1) / count;
                uint32_t inside = 0;
                for (uint32_t k = 0; k < count; k++) {
                    const double v = strtod(points[k].value[i], NULL), slack = round * fabs(v);
                    const double a = i ? -2 + 8 * low : 1e-4 * pow(1e3, low),
                                 b = i ? -2 + 8 * high : 1e-4 * pow(1e3, high);
                    assert_true(v >= axes[i].low && v <= axes[i].high);
                    inside += v >= a - slack && v <= b + slack;
                }
                assert_true(inside >= 1);
            }
        struct study_axis r = axes[2];
        const struct study_method of_r = {.axes = &r, .axis_count = 1};
        for (uint32_t k = 0; k < count; k++)
            strcpy(again[k].value[0], points[k].value[2]);
        memcpy(points, again, sizeof points);
        assert_even(&of_r, count);
    }
}

static void points_are_a_function_of_axes_strategy_and_seed(void **state)
{
    (void)state;
    struct study_axis axes[] = {range("lr", AXIS_LOG_UNIFORM, 1e-4, 1e-1), list("r", 12)};
    const struct study_method m = {.axes = axes, .axis_count = 2},
                              named = {.name = "other", .axes = axes, .axis_count = 2};
    struct study_tune tune = {.strategy = TUNE_RANDOM, .trials = 20, .seed = 5};
    draw(&m, &tune, 20, points);
    draw(&named, &tune, 20, again);
    for (int k = 0; k < 20; k++)
        assert_true(same_point(&m, &points[k], &again[k]));
    tune.seed = 6;
    draw(&m, &tune, 20, again);
    int same = 0;
    for (int k = 0; k < 20; k++)
        same += same_point(&m, &points[k], &again[k]);
    assert_true(same < 10);
}

/* Where time ends the search nobody knows how many points there will be. */
static void the_first_points_do_not_depend_on_how_many_follow(void **state)
{
    (void)state;
    struct study_axis axes[] = {range("lr", AXIS_LOG_UNIFORM, 1e-4, 1e-1), list("decay", 5), list("r", 4)};
    const struct study_method wide = {.axes = axes, .axis_count = 3},
                              small = {.axes = axes + 1, .axis_count = 2};
    for (int k = 0; k < 2; k++)
        for (int strategy = TUNE_GRID; strategy <= TUNE_RANDOM; strategy++) {
            const struct study_method *m = k ? &small : &wide;
            const struct study_tune tune = {.strategy = strategy, .seconds = 10, .seed = 3};
            const uint32_t all = draw(m, &tune, 100, again);
            assert_int_equal(all, k ? 20 : 100);
            memcpy(points, again, sizeof points);
            assert_no_point_twice(m, all);
            for (uint32_t count = 1; count < all; count++) {
                assert_int_equal(draw(m, &tune, count, points), count);
                for (uint32_t i = 0; i < count; i++)
                    assert_true(same_point(m, &points[i], &again[i]));
            }
            memcpy(points, again, sizeof points);
            const struct study_method r = {.axes = axes + 1, .axis_count = 1};
            for (uint32_t i = 0; i < 8; i++) /* the first eight are even already */
                strcpy(points[i].value[0], again[i].value[k ? 0 : 1]);
            assert_even(&r, 8);
        }
}

static void memory_that_is_out_is_said(void **state)
{
    (void)state;
    struct study_axis axes[] = {list("lr", 5), list("r", 4)};
    const struct study_method m = {.axes = axes, .axis_count = 2};
    const struct study_tune tune = {.strategy = TUNE_RANDOM, .trials = 9};
    int64_t rc = ERR_MEMORY;
    for (long after = 0; rc < 0; after++) {
        mem_fail_after(after);
        rc = space_points(&m, &tune, 9, points);
        mem_fail_after(-1);
        assert_true(rc == 9 || rc == ERR_MEMORY);
    }
}

static void edges_are_told(void **state)
{
    (void)state;
    char text[SPACE_TEXT];
    static const char *words[] = {"qkv", "mlp"}, *ranks[] = {"8", "1", "16"}, *one[] = {"3"};
    struct study_axis axes[] = {
        range("lr", AXIS_LOG_UNIFORM, 1e-4, 1e-1),
        {.name = "lora.r", .kind = AXIS_LIST, .values = ranks, .count = 3},
        {.name = "targets", .kind = AXIS_LIST, .values = words, .count = 2},
        {.name = "batch", .kind = AXIS_LIST, .values = one, .count = 1},
        range("x", AXIS_UNIFORM, -1, 1),
    };
    const struct study_method m = {.axes = axes, .axis_count = 5};
    struct point p = {{"0.003", "8", "qkv", "3", "0"}};
    space_edges(&m, &p, text);
    assert_string_equal(text, "");
    p = (struct point){{"0.09", "1", "mlp", "3", "-0.9"}};
    space_edges(&m, &p, text);
    assert_string_equal(text, "lr at its highest, lora.r at its lowest, x at its lowest");
    p = (struct point){{"0.00011", "16", "qkv", "3", "0.95"}};
    space_edges(&m, &p, text);
    assert_string_equal(text, "lr at its lowest, lora.r at its highest, x at its highest");
    space_text(&m, text);
    assert_string_equal(text, "lr 0.0001 .. 0.1 (log), lora.r 8 1 16, targets qkv mlp, batch 3, x -1 .. 1");
    const struct study_method none = {0};
    space_text(&none, text);
    assert_string_equal(text, "nothing: its defaults");
}

static void long_texts_are_cut_not_overrun(void **state)
{
    (void)state;
    static char name[200];
    struct {
        char text[SPACE_TEXT], after[16];
    } room;
    memset(name, 'x', sizeof name - 1);
    memset(&room, 7, sizeof room);
    struct study_axis axes[AXIS_LIMIT];
    struct point p;
    for (int i = 0; i < AXIS_LIMIT; i++) {
        axes[i] = list(name, 12);
        strcpy(p.value[i], "1");
    }
    const struct study_method m = {.axes = axes, .axis_count = AXIS_LIMIT};
    space_edges(&m, &p, room.text);
    assert_true(strlen(room.text) < SPACE_TEXT);
    space_text(&m, room.text);
    assert_true(strlen(room.text) < SPACE_TEXT);
    for (int i = 0; i < 16; i++)
        assert_int_equal(room.after[i], 7);
}

static void the_training_takes_the_points_numbers(void **state)
{
    (void)state;
    struct study_axis axes[] = {list("lr", 2), list("batch", 2), {.name = "r", .part = 0}};
    const struct study_method m = {.axes = axes, .axis_count = 3};
    struct recipe r = recipe_default;
    struct point p = {{"0.25", "32", "words"}};
    must(space_training(&m, &p, &r));
    assert_true(r.lr == 0.25f && r.batch == 32 && r.decay == recipe_default.decay);
    p = (struct point){{"fast", "32", ""}};
    assert_int_equal(space_training(&m, &p, &r), ERR_INPUT);
    assert_non_null(strstr(error_text(), "lr"));
    p = (struct point){{"1", "1.5", ""}};
    assert_int_equal(space_training(&m, &p, &r), ERR_INPUT);
    assert_non_null(strstr(error_text(), "batch"));
    p = (struct point){{"1e9", "1", ""}};
    assert_int_equal(space_training(&m, &p, &r), ERR_INPUT);
}

/* --- with real plugins */

static struct vit *vit;
static struct plugins *plugins;
static struct study *study;

static int meet(void **state)
{
    static const struct vit_shape shape = {
        .image = 32, .patch = 8, .dim = 24, .depth = 2, .heads = 3, .hidden = 96, .classes = 7, .eps = 1e-6f};
    const char *const folders[] = {PLUGIN_FOLDER, NULL};
    if (hand_enter(state) < 0)
        return -1;
    must(vit_create(&vit, &shape));
    must(plugins_create(&plugins, folders));
    return 0;
}

static int part(void **state)
{
    plugins_destroy(plugins);
    vit_destroy(vit);
    return hand_leave(state);
}

static int forget(void **state)
{
    (void)state;
    study_destroy(study);
    study = NULL;
    return 0;
}

/* One method of a recipe with this strategy and search, resolved; the code. */
static int resolved(const char *method, const char *search, const char *tune)
{
    char text[HAND_TEXT];
    forget(NULL);
    snprintf(
        text, sizeof text,
        "{'schema': 'vitro.recipe/1', 'name': 'n', 'backbones': [{'model': 'bundled'}], 'packs': ['one'],"
        " 'methods': [%s], 'search': {%s}, 'tune': {%s}, 'seeds': [4], 'training': {'batch': 4}}",
        method, search, tune);
    must(hand_parse(&study, text));
    return resolve_method(study, 0, plugins, vit);
}

static void assert_space(const char *method, const char *search, const char *tune, const char *wanted)
{
    char text[SPACE_TEXT];
    must(resolved(method, search, tune));
    space_text(&study->methods[0], text);
    assert_string_equal(text, wanted);
}

#define GRID "'strategy': 'grid'"
#define RANDOM "'strategy': 'random', 'trials': 4"

static void a_plugins_grids_become_axes(void **state)
{
    (void)state;
    assert_space("'lora'", "", GRID, "lr 0.001 0.003 0.01, decay 0.0001 0.001, r 1 8 16 32");
    assert_space("'adaptformer'", "", GRID,
                 "lr 0.001 0.003 0.01, decay 0.0001 0.001, r 4 16 32, scale 0.05 0.1 0.2");
    assert_space("'lora'", "", RANDOM, "lr 0.0003 .. 0.03 (log), decay 0.0001 0.001, r 1 8 16 32");
    assert_space("'lora'", "", "", "nothing: its defaults");
}

static void what_the_text_fixes_is_not_searched(void **state)
{
    (void)state;
    assert_space("'lora[r=4]'", "", GRID, "lr 0.001 0.003 0.01, decay 0.0001 0.001");
    assert_space("'adaptformer[scale=1]'", "", GRID, "lr 0.001 0.003 0.01, decay 0.0001 0.001, r 4 16 32");
    assert_space("'adaptformer[dropout=0,r=2]'", "", GRID,
                 "lr 0.001 0.003 0.01, decay 0.0001 0.001, scale 0.05 0.1 0.2");
    assert_int_equal(resolved("{'name': 'x', 'method': 'lora[r=4]', 'search': {'r': [1, 2]}}", "", GRID),
                     ERR_INPUT);
    assert_non_null(strstr(error_text(), "fixed"));
}

static void rates_are_of_the_family(void **state)
{
    (void)state;
    assert_space("'linear'", "", GRID, "lr 0.001 0.01 0.1, decay 0.0001 0.001");
    assert_space("'full'", "", GRID, "lr 0.00003 0.0001 0.0003 0.001, decay 0.0001 0.001");
    assert_space("'bitfit'", "", RANDOM, "lr 0.0003 .. 0.03 (log), decay 0.0001 0.001");
    assert_space("'full'", "", RANDOM, "lr 1e-05 .. 0.001 (log), decay 0.0001 0.001");
    static const char by[] = "'lr': {'head': [0.5], 'full': [0.1, 0.2], 'peft': {'uniform': [0.1, 0.3]}}";
    assert_space("'linear'", by, RANDOM, "lr 0.5, decay 0.0001 0.001");
    assert_space("'full'", by, RANDOM, "lr 0.1 0.2, decay 0.0001 0.001");
    assert_space("'bitfit'", by, RANDOM, "lr 0.1 .. 0.3, decay 0.0001 0.001");
    assert_int_equal(resolved("'linear'", "'lr': {'heads': [0.5]}", RANDOM), ERR_INPUT);
    assert_non_null(strstr(error_text(), "did you mean head"));
}

static void a_methods_own_search_comes_before_everyones(void **state)
{
    (void)state;
    assert_space("{'name': 'x', 'method': 'lora', 'search': {'lr': [0.5], 'r': [2, 4], 'warmup': [1, 2]}}",
                 "'lr': [0.1], 'decay': [0.2], 'drop_path': [0, 0.1]", GRID,
                 "lr 0.5, decay 0.2, warmup 1 2, drop_path 0 0.1, r 2 4");
}

static void options_of_stacks_are_called_by_their_plugin(void **state)
{
    (void)state;
    assert_space("'lora+adaptformer[scale=0.1]'", "", GRID,
                 "lr 0.001 0.003 0.01, decay 0.0001 0.001, lora.r 1 8 16 32, adaptformer.r 4 16 32");
    assert_space("{'name': 'x', 'method': 'lora+adaptformer[scale=0.1]', 'search': {'lora.r': [2, 3]}}", "",
                 GRID, "lr 0.001 0.003 0.01, decay 0.0001 0.001, lora.r 2 3, adaptformer.r 4 16 32");
    assert_space("{'name': 'x', 'method': 'lora[r=1]+lora', 'search': {'lora-2.r': [2, 3]}}", "", GRID,
                 "lr 0.001 0.003 0.01, decay 0.0001 0.001, lora-2.r 2 3");
    assert_int_equal(
        resolved("{'name': 'x', 'method': 'lora+adaptformer', 'search': {'r': [2, 3]}}", "", GRID),
        ERR_INPUT); /* of which? both would be drawn in step */
    assert_non_null(strstr(error_text(), "\"r\""));
}

static void a_search_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *search, *tune, *words[2];
    } bad[] = {
        {"'search': {'rr': [1]}", "", GRID, {"rr", "did you mean lr"}},
        {"'search': {'seed': [1]}", "", GRID, {"seed", "search"}},
        {"'search': {'r': [0, 1]}", "", GRID, {"r is 0", "between 1 and 1024"}},
        {"'search': {'r': [1, 2000]}", "", GRID, {"2000", "1024"}},
        {"'search': {'r': [1.5]}", "", GRID, {"1.5", "whole number"}},
        {"'search': {'targets': ['qkv', 'mpl']}", "", GRID, {"mpl", "one of qkv"}},
        {"'search': {'dropout': {'uniform': [0.1, 1.5]}}", "", RANDOM, {"dropout", "0.99"}},
        {"'search': {'r': {'uniform': [1, 8]}}", "", RANDOM, {"r takes no range", "list"}},
        {"'search': {'batch': {'uniform': [8, 64]}}", "", RANDOM, {"batch takes no range", "list"}},
        {"'search': {'lr': [-1]}", "", GRID, {"lr", "between"}},
        {"'search': {'lr': ['fast']}", "", GRID, {"lr", "JSON"}},
        {"'search': {'lr': [[1]]}", "", GRID, {"lr", "number or word"}},
        {"'search': {'lr': []}", "", GRID, {"lr", "list of values"}},
        {"'search': {'lr': 0.1}", "", GRID, {"lr", "list of values"}},
        {"'search': {'lr': [0.1, 0.10]}", "", GRID, {"0.1", "twice"}},
        {"'search': {'lr': {'log_uniform': [0, 1]}}", "", RANDOM, {"lr", "above 0"}},
        {"'search': {'lr': {'log_uniform': [0.1, 0.01]}}", "", RANDOM, {"lr", "the lower first"}},
        {"'search': {'lr': {'uniform': [1, 1]}}", "", RANDOM, {"lr", "the lower first"}},
        {"'search': {'lr': {'uniform': [1]}}", "", RANDOM, {"lr", "two numbers"}},
        {"'search': {'lr': {'uniform': ['a', 'b']}}", "", RANDOM, {"lr", "two numbers"}},
        {"'search': {'lr': {'normal': [0, 1]}}", "", RANDOM, {"lr", "log_uniform"}},
        {"'search': {'lr': {'uniform': [0, 1e9]}}", "", RANDOM, {"lr", "between"}},
        {"'search': {'lr': {'uniform': [0.1, 1]}}", "", GRID, {"grid", "trials"}},
        {"'search': {'epochs': [1, 2]}", "", "'strategy': 'halving', 'trials': 4", {"epochs", "halving"}},
        {"'search': {'r': [1, 2]}", "", "", {"tune", "grid or random"}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char method[512];
        snprintf(method, sizeof method, "{'name': 'x', 'method': 'lora', %s}", bad[i].method);
        if (resolved(method, bad[i].search, bad[i].tune) != ERR_INPUT)
            fail_msg("%s was taken", method);
        assert_memory_equal(error_text(), "the method x: ", 14);
        for (int k = 0; k < 2; k++)
            if (!strstr(error_text(), bad[i].words[k]))
                fail_msg("\"%s\" is not in: %s", bad[i].words[k], error_text());
    }
    if (resolved("'lorra'", "", GRID) != ERR_INPUT || !strstr(error_text(), "lora?"))
        fail_msg("%s", error_text());
}

static void a_grid_of_hostile_size_is_refused(void **state)
{
    (void)state;
    static char search[HAND_TEXT / 2];
    size_t used = 0;
    for (int axis = 0; axis < 3; axis++) {
        static const char *const names[] = {"lr", "decay", "eps"};
        used += (size_t)snprintf(search + used, sizeof search - used, "%s'%s': [", axis ? "], " : "",
                                 names[axis]);
        for (int i = 1; i <= 100; i++)
            used += (size_t)snprintf(search + used, sizeof search - used, "%s0.%03d", i > 1 ? "," : "", i);
    }
    snprintf(search + used, sizeof search - used, "]");
    assert_int_equal(resolved("'linear'", search, GRID), ERR_INPUT);
    assert_non_null(strstr(error_text(), "1e+06"));
    must(resolved("'linear'", search, RANDOM));
}

static void one_value_to_try_needs_no_strategy(void **state)
{
    (void)state;
    assert_space("{'name': 'x', 'method': 'lora', 'search': {'r': [2]}}", "'lr': [0.1]", "", "lr 0.1, r 2");
}

/* What a point writes is a method's text, and reading that text gives it again. */
static void a_points_text_reads_back_as_itself(void **state)
{
    (void)state;
    static const char *const methods[] = {
        "'lora'",
        "'adaptformer'",
        "'vpt'",
        "'linear'",
        "'lora+adaptformer'",
        "'lora[r=1]+lora+bitfit'",
        "{'name': 'x', 'method': 'lora', 'search': {'targets': ['qkv', 'mlp'], 'rslora': [true, false],"
        " 'dropout': {'uniform': [0, 0.5]}, 'alpha': {'log_uniform': [0.5, 64]}}}",
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        must(resolved(methods[i], "", "'strategy': 'random', 'trials': 30"));
        const struct study_method *m = &study->methods[0];
        const uint32_t count = draw(m, &study->tune, 30, points);
        for (uint32_t k = 0; k < count; k++) {
            char text[1024], cut[8];
            struct method *read = NULL;
            const size_t length = space_method(m, &points[k], text, sizeof text);
            assert_int_equal(length, strlen(text));
            assert_int_equal(space_method(m, &points[k], cut, sizeof cut), length);
            assert_true(strlen(cut) < sizeof cut && memcmp(cut, text, strlen(cut)) == 0);
            must(method_create(&read, plugins, text));
            assert_string_equal(method_text(read), text);
            method_destroy(read);
        }
    }
}

static void the_parts_are_spelt_out(void **state)
{
    (void)state;
    must(resolved("'lora[r=2]+bitfit'", "", ""));
    const struct study_method *m = &study->methods[0];
    char digest[HASH_TEXT];
    assert_int_equal(m->part_count, 2);
    assert_string_equal(m->parts[0].plugin, "lora");
    assert_int_equal(m->parts[0].count, 6);
    assert_string_equal(m->parts[0].options[0].name, "r");
    assert_string_equal(m->parts[0].options[0].value, "2");
    assert_string_equal(m->parts[0].options[3].name, "dropout");
    assert_string_equal(m->parts[0].options[3].value, "0.1");
    assert_string_equal(m->parts[1].plugin, "bitfit");
    must(hash_file(m->parts[1].path, digest));
    assert_string_equal(m->parts[1].sha256, digest);
}

static void the_same_data_twice_and_data_without_splits_are_refused(void **state)
{
    (void)state;
    struct pack_info info = {.task = "t",
                             .kind = "natural",
                             .normalise = "half",
                             .size = 32,
                             .class_count = 2,
                             .count = {8, 4, 0},
                             .split_fingerprint = {"a", "b", "c"},
                             .fingerprint = "whole"};
    forget(NULL);
    must(hand_parse(&study,
                    "{'schema': 'vitro.recipe/1', 'name': 'n', 'backbones': [{'model': 'bundled'}],"
                    " 'packs': ['one', {'name': 'two', 'data': 'x', 'group': 'g'}], 'methods': ['linear'],"
                    " 'seeds': [4], 'training': {'batch': 4}}"));
    must(resolve_pack(study, 0, &info, "f.pack"));
    assert_string_equal(study->packs[0].group, "natural");
    assert_int_equal(study->packs[0].count[2], 0);
    assert_int_equal(resolve_pack(study, 1, &info, "f.pack"), ERR_INPUT);
    assert_non_null(strstr(error_text(), "one and two are the same data"));
    info.fingerprint = "other";
    must(resolve_pack(study, 1, &info, "f.pack"));
    assert_string_equal(study->packs[1].group, "g");
    info.count[1] = 0;
    assert_int_equal(resolve_pack(study, 1, &info, "f.pack"), ERR_INPUT);
    info.count[1] = 4;
    info.count[0] = 3; /* no whole batch */
    assert_int_equal(resolve_pack(study, 1, &info, "f.pack"), ERR_INPUT);
    assert_non_null(strstr(error_text(), "batch"));
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, forget)
    const struct CMUnitTest tests[] = {
        T(a_grid_is_walked_with_its_last_axis_fastest),
        T(a_budget_beyond_the_space_is_all_of_it),
        T(every_value_of_a_list_is_used_evenly_and_no_point_twice),
        T(each_share_of_a_range_is_used_once),
        T(points_are_a_function_of_axes_strategy_and_seed),
        T(the_first_points_do_not_depend_on_how_many_follow),
        T(memory_that_is_out_is_said),
        T(edges_are_told),
        T(long_texts_are_cut_not_overrun),
        T(the_training_takes_the_points_numbers),
        T(a_plugins_grids_become_axes),
        T(what_the_text_fixes_is_not_searched),
        T(rates_are_of_the_family),
        T(a_methods_own_search_comes_before_everyones),
        T(options_of_stacks_are_called_by_their_plugin),
        T(a_search_that_cannot_be_is_refused),
        T(a_grid_of_hostile_size_is_refused),
        T(one_value_to_try_needs_no_strategy),
        T(a_points_text_reads_back_as_itself),
        T(the_parts_are_spelt_out),
        T(the_same_data_twice_and_data_without_splits_are_refused),
    };
    return cmocka_run_group_tests(tests, meet, part);
}

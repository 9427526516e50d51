/* test_works.c - what a work of a step declares is all that it reads and writes: every shipped method's set-up and step, work
 * by work (run/walk.h). Groups, barriers and memory rest on these declarations. */
#include "../run/take_only.h"
#include "../run/walk.h"
#include "all_methods.h"

#include <stdlib.h>

enum { PACK = 3 };

struct way {
    struct engine *engine;
    enum number number;
    uint32_t batch;
    int again, evaluates;
};

struct stage { /* a run's first step, ready */
    struct method *method[PACK];
    struct session *session[PACK];
    struct traced traced[PACK];
    struct frozen *shared;
    struct feed feed;
    struct run *run;
    uint32_t count;
};

static void trace(struct stage *s, uint32_t i, const struct way *w, const char *name)
{
    static struct recipe recipe;
    recipe = short_training().recipe;
    recipe.drop_path = 0.1f;
    recipe.precision = (int32_t)w->number;
    must(method_create(&s->method[i], plugins, name));
    must(method_declare(s->method[i], vit));
    must(session_create(&s->session[i], &(struct session_spec){.engine = w->engine,
                                                               .method = s->method[i],
                                                               .vit = vit,
                                                               .mean = {0.5f, 0.5f, 0.5f},
                                                               .std = {0.5f, 0.5f, 0.5f},
                                                               .seed = 3,
                                                               .number = w->number,
                                                               .shared = s->shared}));
    must(session_trace(s->session[i],
                       &(struct program_spec){.feed = &s->feed,
                                              .batch = w->batch,
                                              .series = 1,
                                              .recipe = w->evaluates ? NULL : &recipe,
                                              .update = !w->evaluates,
                                              .again = w->again},
                       &s->traced[i]));
}

/* The last row of the batch is padding. */
static void begin(struct stage *s, uint32_t part, uint32_t batch)
{
    int32_t order[64];
    const float rate = 1e-2f;
    for (uint32_t i = 0; i < batch; i++)
        order[i] = i + 1 < batch ? (int32_t)(i * 7 % IMAGES) : RUN_PADDING;
    must(run_begin(s->run,
                   &(struct run_series){
                       .part = part, .first = 2, .steps = 1, .seed = 9, .order = order, .rates = &rate}));
}

static void finish(struct stage *s)
{
    run_destroy(s->run);
    for (uint32_t i = 0; i < s->count; i++) {
        session_trace_finish(&s->traced[i]);
        session_destroy(s->session[i]);
        method_destroy(s->method[i]);
    }
    frozen_destroy(s->shared);
    feed_destroy(&s->feed);
}

static void walk(const struct way *w, const char *const *names, uint32_t count)
{
    struct stage s = {.count = count};
    struct run_spec specs[PACK];
    uint32_t works = 0;
    must(feed_create(&s.feed, w->engine, rgb, labels, IMAGES, SIDE));
    if (count > 1)
        must(frozen_create(&s.shared, w->engine));
    for (uint32_t i = 0; i < count; i++) {
        trace(&s, i, w, names[i]);
        specs[i] = s.traced[i].spec;
    }
    must(run_create_packed(&s.run, specs, count, RUN_SIDE_BY_SIDE));
    for (uint32_t i = 0; i < count; i++)
        begin(&s, i, w->batch);
    if (walk_run(w->engine, s.run, &works) < 0)
        fail_msg("%s, %s: %s", names[0], number_names[w->number], error_text());
    assert_true(works > 10);
    finish(&s);
}

static void the_works_of_every_method_read_and_write_what_they_declare(void **state)
{
    (void)state;
    const struct way way = {.engine = engine, .batch = 5};
    for (int i = 0; i < METHODS; i++)
        walk(&way, &methods[i], 1);
}

/* Rows enough for what is done in several stages, or by several subgroups. */
static void nor_do_those_of_larger_batches_break_their_word(void **state)
{
    (void)state;
    static const char *const name = "full";
    static const struct way ways[] = {
        {.batch = 64}, {.batch = 16, .again = 1}, {.batch = 16, .evaluates = 1}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct way way = ways[i];
        way.engine = engine;
        walk(&way, &name, 1);
    }
}

static void nor_those_of_packed_trials(void **state)
{
    (void)state;
    static const char *const names[PACK] = {"lora[r=2,dropout=0.3]", "linear", "vpt[prompts=3]"};
    const struct way way = {.engine = engine, .batch = 5};
    walk(&way, names, PACK);
}

/* In GPU style, in every precision, in fp16 with attention and products on matrix units. */
static void nor_those_for_gpus(void **state)
{
    (void)state;
    static const struct {
        const char *method, *tile;
        enum number number;
        uint32_t batch;
        int again, units;
    } rows[] = {
        {"full", "tiled 32x32", NUMBER_FP32, 16, 0, 0},
        {"vpt[prompts=3]+lora[r=2,dropout=0.3]", "tiled 32x32", NUMBER_FP32, 5, 1, 0},
        {"convpass[r=5]+adapter_plus[r=5]", "tiled 32x32", NUMBER_FP32, 5, 0, 0},
        {"full", "tiled 32x32", NUMBER_FP16, 16, 1, 1},
        {"linear", "subgroup 32x32", NUMBER_FP16, 5, 0, 0},
        {"full", "tiled 32x32", NUMBER_BF16, 5, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct way way = {.number = rows[i].number, .batch = rows[i].batch, .again = rows[i].again};
        must(engine_create(&way.engine, device, ENGINE_GPU));
        if (rows[i].units)
            take_beside_units(way.engine, rows[i].tile);
        if (rows[i].units || take_only(way.engine, rows[i].tile, rows[i].number))
            walk(&way, &rows[i].method, 1);
        engine_destroy(way.engine);
    }
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shipped_method_is_among_them),
        cmocka_unit_test(the_works_of_every_method_read_and_write_what_they_declare),
        cmocka_unit_test(nor_do_those_of_larger_batches_break_their_word),
        cmocka_unit_test(nor_those_of_packed_trials),
        cmocka_unit_test(nor_those_for_gpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    static const char *const folders[] = {PLUGINS, NULL};
    if (setenv("VITRO_VECTOR_WIDTH", "256", 0) != 0) /* run/device_world.h says why */
        abort();
    return run_world_of(run, folders, 4, 2);
}

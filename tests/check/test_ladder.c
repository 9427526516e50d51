/* test_ladder.c - which kernel a product gets: what an engine allows, sets and forbids. */
#include "ladder.h"

#include "../run/device_world.h"
#include "engine.h"

#include <string.h>

enum { ROOM = 256 };

static struct engine *engine(enum engine_style style)
{
    struct engine *e;
    assert_int_equal(engine_create(&e, device, style), 0);
    return e;
}

static const struct product example = {
    .batches = 1, .m = 1576, .n = 768, .k = 192, .b_t = 1, .number = NUMBER_FP32};

static void every_candidate_suits_and_survives_its_text(void **state)
{
    (void)state;
    struct engine *e = engine(ENGINE_GPU);
    struct ladder_choice all[ROOM];
    uint32_t count = ladder_candidates(e, &example, all, ROOM);
    assert_true(count > 0 && count < ROOM);
    for (uint32_t i = 0; i < count; i++) {
        char text[LADDER_TEXT];
        struct ladder_choice back;
        assert_true(ladder_suits(e, all[i].tile, &example));
        assert_int_equal(ladder_parse(ladder_text(&all[i], text), &back), 0);
        assert_ptr_equal(back.tile, all[i].tile);
        assert_int_equal(back.splits, all[i].splits);
    }
    engine_destroy(e);
}

static void a_text_that_names_no_tile_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "tiled",
                                        "tiled 64x64 / 3",
                                        "tiled 64x64 / 0",
                                        "tiled 64x64 / 2x",
                                        "tiled 64x64 / 128",
                                        "tiled 64x64/2"};
    struct ladder_choice c;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(ladder_parse(wrong[i], &c), ERR_INPUT);
        assert_non_null(strstr(error_text(), wrong[i]));
    }
}

static void the_likeliest_is_chosen_until_another_is_set(void **state)
{
    (void)state;
    struct engine *e = engine(ENGINE_GPU);
    struct ladder_choice all[ROOM];
    uint32_t count = ladder_candidates(e, &example, all, ROOM);
    struct product other = example;
    other.m++;
    assert_ptr_equal(ladder_choose(e, &example).tile, all[0].tile);
    assert_int_equal(ladder_set(e, &example, &all[count - 1]), 0);
    assert_ptr_equal(ladder_choose(e, &example).tile, all[count - 1].tile);
    assert_int_equal(ladder_choose(e, &example).splits, all[count - 1].splits);
    assert_ptr_equal(ladder_choose(e, &other).tile, all[0].tile);
    engine_destroy(e);
}

static void a_forbidden_tile_is_not_chosen_again(void **state)
{
    (void)state;
    struct engine *e = engine(ENGINE_GPU);
    struct ladder_choice all[ROOM];
    const struct tile *first = ladder_choose(e, &example).tile;
    ladder_forbid(e, first);
    uint32_t count = ladder_candidates(e, &example, all, ROOM);
    for (uint32_t i = 0; i < count && count > 1; i++)
        assert_ptr_not_equal(all[i].tile, first);
    for (const struct tile *t = ladder_tiles; t->name; t++)
        ladder_forbid(e, t);
    assert_non_null(ladder_choose(e, &example).tile); /* something must compute it */
    engine_destroy(e);
}

static void the_style_and_the_environment_name_the_rung(void **state)
{
    (void)state;
    struct engine *cpu = engine(ENGINE_CPU), *gpu = engine(ENGINE_GPU);
    assert_int_equal(ladder_choose(cpu, &example).tile->rung, RUNG_CPU);
    assert_int_not_equal(ladder_choose(gpu, &example).tile->rung, RUNG_CPU);
    ladder_only(gpu, RUNG_CPU);
    assert_int_equal(ladder_choose(gpu, &example).tile->rung, RUNG_CPU);
    engine_destroy(cpu);
    engine_destroy(gpu);
    assert_int_equal(setenv("VITRO_LADDER", "tiled", 1), 0);
    struct engine *e = engine(ENGINE_CPU);
    assert_int_equal(ladder_choose(e, &example).tile->rung, RUNG_TILED);
    engine_destroy(e);
    assert_int_equal(setenv("VITRO_LADDER", "fast", 1), 0);
    assert_int_equal(engine_create(&e, device, ENGINE_AUTO), ERR_INPUT);
    assert_non_null(strstr(error_text(), "VITRO_LADDER"));
    assert_int_equal(unsetenv("VITRO_LADDER"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_candidate_suits_and_survives_its_text),
        cmocka_unit_test(a_text_that_names_no_tile_is_refused),
        cmocka_unit_test(the_likeliest_is_chosen_until_another_is_set),
        cmocka_unit_test(a_forbidden_tile_is_not_chosen_again),
        cmocka_unit_test(the_style_and_the_environment_name_the_rung),
    };
    return RUN_ON_DEVICE((struct device_spec){.index = -1}, tests);
}

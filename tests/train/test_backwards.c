/* test_backwards.c - what may run in any order does: a device that pretends to work backwards, each group's works and each
 * dispatch's parts the other way round, trains every method to the same bits. On a small random ViT and random images. */
#include "../run/take_only.h"
#include "all_methods.h"
#include "bank.h"
#include "train_world.h"

#include <stdlib.h>

enum { STEPS = 6, PACK = 8 };

static struct device *backwards;

struct way { /* to train */
    struct engine *engine;
    enum number number;
    enum run_together together;
    int again; /* activations are computed again */
};

struct outcome {
    float losses[STEPS], logits[IMAGES * CLASSES];
    float *arenas; /* weights and both moments */
    size_t floats;
    struct train_result result;
};

static const enum bank_arena kept[] = {BANK_WEIGHTS, BANK_FIRST, BANK_SECOND};
enum { KEPT = sizeof kept / sizeof *kept };

static void take(struct outcome *o, struct session *s)
{
    const struct images images = {rgb, labels, IMAGES};
    o->floats = bank_arena_floats(s->bank);
    o->arenas = mem_alloc(KEPT * o->floats, sizeof *o->arenas);
    assert_non_null(o->arenas);
    for (int a = 0; a < KEPT; a++)
        must(bank_arena_read(s->bank, kept[a], o->arenas + (size_t)a * o->floats));
    must(session_logits(s, &images, 16, o->logits, NULL));
}

/* Two epochs, each with padding in its last step; packed where there are several. */
static void train(const struct way *w, const char *const *names, uint32_t count, struct outcome *out)
{
    struct method *method[PACK];
    struct session *session[PACK] = {0};
    struct train_spec spec[PACK] = {0};
    struct train_result result[PACK];
    struct frozen *shared = NULL;
    if (count > 1)
        must(frozen_create(&shared, w->engine));
    for (uint32_t i = 0; i < count; i++) {
        must(method_create(&method[i], plugins, names[i]));
        must(method_declare(method[i], vit));
        must(session_create(&session[i], &(struct session_spec){.engine = w->engine,
                                                                .method = method[i],
                                                                .vit = vit,
                                                                .mean = {0.5f, 0.5f, 0.5f},
                                                                .std = {0.5f, 0.5f, 0.5f},
                                                                .seed = 3,
                                                                .number = w->number,
                                                                .shared = shared}));
        spec[i] = short_training();
        spec[i].recipe.drop_path = 0.1f;
        spec[i].recipe.precision = (int32_t)w->number;
        spec[i].checkpoint_activations = w->again;
        spec[i].feature_cache = FEATURES_AUTO;
        spec[i].losses = out[i].losses;
    }
    must(session_train_packed(session, spec, count, w->together, result));
    for (uint32_t i = 0; i < count; i++) {
        out[i].result = result[i];
        assert_int_equal(result[i].steps, STEPS);
        take(&out[i], session[i]);
        session_destroy(session[i]);
        method_destroy(method[i]);
    }
    frozen_destroy(shared);
}

static void compare(const char *name, const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->floats, b->floats);
    if (memcmp(a->losses, b->losses, sizeof a->losses) != 0)
        fail_msg("%s: other losses backwards", name);
    if (memcmp(a->arenas, b->arenas, KEPT * a->floats * sizeof *a->arenas) != 0)
        fail_msg("%s: other weights or moments backwards", name);
    if (memcmp(a->logits, b->logits, sizeof a->logits) != 0)
        fail_msg("%s: other logits backwards", name);
}

/* Alone in the usual order, and packed, where there are several, backwards. */
static void same_bits(const struct way *usual, const struct way *turned, const char *const *names,
                      uint32_t count)
{
    struct outcome one, all[PACK];
    train(turned, names, count, all);
    for (uint32_t i = 0; i < count; i++) {
        train(usual, &names[i], 1, &one);
        compare(names[i], &one, &all[i]);
        mem_free(one.arenas);
        mem_free(all[i].arenas);
    }
}

static struct engine *engine_on(struct device *d, enum engine_style style)
{
    struct engine *e;
    must(engine_create(&e, d, style));
    return e;
}

static void every_method_alone_is_itself_packed_and_backwards(void **state)
{
    (void)state;
    const struct way usual = {.engine = engine},
                     turned = {.engine = engine_on(backwards, ENGINE_AUTO), .together = RUN_SIDE_BY_SIDE};
    for (uint32_t i = 0; i < METHODS; i += PACK)
        same_bits(&usual, &turned, methods + i, METHODS - i < PACK ? METHODS - i : PACK);
    engine_destroy(turned.engine);
}

static void nor_does_it_matter_when_trials_take_turns_or_compute_activations_again(void **state)
{
    (void)state;
    static const char *const some[] = {"full", "lora[r=2,dropout=0.3]", "linear"};
    struct engine *e = engine_on(backwards, ENGINE_AUTO);
    const struct way usual = {.engine = engine}, turned = {.engine = e, .together = RUN_IN_TURN, .again = 1};
    same_bits(&usual, &turned, some, sizeof some / sizeof *some);
    engine_destroy(e);
}

/* In GPU style, whose kernels are slow to compile here. */
static void nor_in_the_kernels_for_gpus(void **state)
{
    (void)state;
    static const char *const some[] = {"full", "lora[r=2,dropout=0.3]+ssf", "vpt[prompts=3]",
                                       "convpass[r=5]"};
    struct engine *one = engine_on(device, ENGINE_GPU), *other = engine_on(backwards, ENGINE_GPU);
    const struct way usual = {.engine = one}, turned = {.engine = other, .together = RUN_SIDE_BY_SIDE};
    same_bits(&usual, &turned, some, sizeof some / sizeof *some);
    engine_destroy(one);
    engine_destroy(other);
}

/* Products by one tile; in fp16 attention is on matrix units, where there are some. */
static struct engine *engine_for(struct device *d, enum number number)
{
    struct engine *e = engine_on(d, ENGINE_GPU);
    if (number == NUMBER_FP16)
        take_beside_units(e, "tiled 32x32");
    else
        assert_true(take_only(e, "tiled 32x32", number));
    return e;
}

/* In fp16 the loss is scaled; products, and attention, read and store halves. */
static void nor_in_fp16_and_bf16(void **state)
{
    (void)state;
    static const char *const some[] = {"full", "lora[r=2,dropout=0.3]"};
    static const struct {
        enum number number;
        uint32_t count;
    } rows[] = {{NUMBER_FP16, 2}, {NUMBER_BF16, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct engine *one = engine_for(device, rows[i].number),
                      *other = engine_for(backwards, rows[i].number);
        const struct way usual = {.engine = one, .number = rows[i].number},
                         turned = {.engine = other, .number = rows[i].number, .again = 1};
        same_bits(&usual, &turned, some, rows[i].count);
        engine_destroy(one);
        engine_destroy(other);
    }
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shipped_method_is_among_them),
        cmocka_unit_test(every_method_alone_is_itself_packed_and_backwards),
        cmocka_unit_test(nor_does_it_matter_when_trials_take_turns_or_compute_activations_again),
        cmocka_unit_test(nor_in_the_kernels_for_gpus),
        cmocka_unit_test(nor_in_fp16_and_bf16),
    };
    const char *pretended = getenv("VITRO_PRETEND");
    struct device_limits limits;
    if (device_limits_parse(&limits, pretended ? pretended : "") < 0)
        return 1;
    limits.backwards = 1;
    if (device_open(&backwards, &(struct device_spec){.index = -1, .limits = &limits}) < 0)
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    device_close(backwards);
    return rc;
}

int main(void)
{
    static const char *const folders[] = {PLUGINS, NULL};
    if (setenv("VITRO_VECTOR_WIDTH", "256", 0) != 0) /* run/device_world.h says why */
        abort();
    return run_world_of(run, folders, 4, 2);
}

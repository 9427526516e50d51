/* test_profile.c - the profile of a step: every dispatch has a time, an owner and a place, and the trace is what
 * its viewers read. */
#include "ceiling.h"
#include "profile.h"
#include "train_world.h"

enum { STEPS = 3 };

static struct profile profile_of(struct setting *s, int inference)
{
    struct profile p;
    struct recipe r = recipe_default;
    r.batch = 8;
    must(profile_session(&p, s->session,
                         &(struct profile_spec){.recipe = &r, .inference = inference, .steps = STEPS}));
    return p;
}

static int owned(const struct profile *p, const char *owner, enum run_phase phase)
{
    int count = 0;
    for (uint32_t i = 0; i < p->count; i++)
        count += !strcmp(p->owners[i], owner) && p->works[i].phase == phase;
    return count;
}

static void each_plugin_of_a_stack_has_its_own_work(void **state)
{
    (void)state;
    struct setting s = begin_on(engine, "lora[r=2]+bitfit");
    struct profile p = profile_of(&s, 0);
    assert_true(owned(&p, "backbone", RUN_FORWARD) > 0 && owned(&p, "backbone", RUN_BACKWARD) > 0);
    assert_true(owned(&p, "lora", RUN_FORWARD) > 0 && owned(&p, "lora", RUN_BACKWARD) > 0);
    assert_int_equal(owned(&p, "bitfit", RUN_FORWARD), 0); /* it adds nothing to the network */
    assert_true(owned(&p, "bitfit", RUN_BACKWARD) > 0);    /* but asks for gradients */
    assert_true(owned(&p, "head", RUN_FORWARD) > 0 && owned(&p, "head", RUN_BACKWARD) > 0);
    assert_true(owned(&p, "loss", RUN_FORWARD) > 0);
    assert_true(owned(&p, "step", RUN_STEP) >= 3); /* feed, record, adamw, advance */
    int placed = 0;
    for (uint32_t i = 0; i < p.count; i++)
        placed += p.works[i].place && !strcmp(p.works[i].place, "lora at QKV of block 1") &&
                  !strcmp(p.owners[i], "lora");
    assert_true(placed > 0);
    profile_finish(&p);
    end(&s);
}

static void a_weight_gradient_belongs_to_who_trains_the_weight(void **state)
{
    (void)state;
    struct setting s = begin_on(engine, "full");
    struct profile p = profile_of(&s, 0);
    assert_true(owned(&p, "full", RUN_BACKWARD) > 8); /* four weights and biases a block */
    assert_true(owned(&p, "backbone", RUN_BACKWARD) > 0);
    for (uint32_t i = 0; i < p.count; i++)
        if (p.works[i].gradient >= 0)
            assert_int_equal(p.works[i].phase, RUN_BACKWARD);
    profile_finish(&p);
    end(&s);
}

static void inference_has_no_backward_part(void **state)
{
    (void)state;
    struct setting s = begin_on(engine, "lora[r=2]");
    struct profile p = profile_of(&s, 1);
    for (uint32_t i = 0; i < p.count; i++)
        assert_true(p.works[i].phase == RUN_FORWARD || p.works[i].phase == RUN_STEP);
    profile_finish(&p);
    end(&s);
}

static void dispatches_follow_one_another(void **state)
{
    (void)state;
    struct setting s = begin_on(engine, "bitfit");
    struct profile p = profile_of(&s, 0);
    double busy = 0;
    assert_true(p.count > 20);
    for (uint32_t i = 0; i < STEPS; i++)
        for (uint32_t k = 0; k < p.count; k++) {
            uint32_t at = i * p.count + k;
            assert_true(p.times[at] >= 0);
            assert_true(k == 0 ? p.starts[at] == 0 : p.starts[at] >= p.starts[at - 1]);
        }
    for (uint32_t k = 0; k < p.count; k++) {
        busy += p.works[k].ns * 1e-9;
        assert_true(p.works[k].bytes > 0);
        assert_non_null(p.works[k].kernel);
    }
    assert_true(p.busy_seconds > 0 && p.busy_seconds == busy);
    assert_true(p.span_seconds > 0 && p.seconds >= p.span_seconds && p.plain_seconds > 0);
    profile_finish(&p);
    end(&s);
}

static double number(const struct json *event, const char *key)
{
    double n = -1;
    json_number(json_get(event, key), &n);
    return n;
}

/* What ui.perfetto.dev needs: an array of events, each with a phase, process, track, time and length; and that no
 * two of one track overlap, which it would show as one inside the other. */
static void the_trace_is_chromes(void **state)
{
    (void)state;
    struct setting s = begin_on(engine, "lora[r=2]");
    struct profile p = profile_of(&s, 0);
    struct json *made, *trace;
    must(profile_trace(&made, &p, "a \"device\""));
    char *text = json_text(made, 1);
    must(json_parse(&trace, text, strlen(text), "the trace"));
    const struct json *events = json_get(trace, "traceEvents");
    double until[3] = {0, -1e300, -1e300};
    uint32_t complete = 0, names = 0;
    assert_true(json_is_array(events));
    for (const struct json *e = json_first(events); e; e = json_next(e)) {
        const char *phase = json_string(json_get(e, "ph"));
        double track = number(e, "tid"), begins = number(e, "ts"), length = number(e, "dur");
        assert_non_null(phase);
        assert_non_null(json_string(json_get(e, "name")));
        assert_true(json_is_object(json_get(e, "args")));
        names += *phase == 'M';
        if (*phase != 'X')
            continue;
        complete++;
        assert_true(track == 1 || track == 2);
        assert_true(length >= 0);
        assert_true(begins >= until[(int)track] - 1e-3); /* microseconds: rounding of the text */
        until[(int)track] = begins + length;
        if (track == 1)
            assert_true(number(json_get(e, "args"), "flops") >= 0 &&
                        number(json_get(e, "args"), "bytes") > 0);
    }
    assert_int_equal(names, 3);
    assert_int_equal(complete, STEPS * (p.count + 3));
    json_destroy(trace);
    json_destroy(made);
    mem_free(text);
    profile_finish(&p);
    end(&s);
}

static void the_ceiling_is_measured(void **state)
{
    (void)state;
    for (int number = 0; number < NUMBER_COUNT; number++) {
        struct ceiling c;
        must(ceiling_measure(&c, engine, (enum number)number));
        assert_int_equal(c.number, number);
        assert_true(c.flops > 1e8 && c.flops < 1e16); /* any processor; no device of this decade */
        assert_true(c.bytes > 1e7 && c.bytes < 1e14);
    }
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_plugin_of_a_stack_has_its_own_work),
        cmocka_unit_test(a_weight_gradient_belongs_to_who_trains_the_weight),
        cmocka_unit_test(inference_has_no_backward_part),
        cmocka_unit_test(dispatches_follow_one_another),
        cmocka_unit_test(the_trace_is_chromes),
        cmocka_unit_test(the_ceiling_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    const char *const folders[] = {PLUGINS, NULL};
    return run_world(run, folders, 2);
}

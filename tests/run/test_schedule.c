/* test_schedule.c - the order of work: what depends stays in order, what does not shares a group, and memory does
 * not grow; on programs made by hand and drawn at random. No device is needed. */
#include "error.h"
#include "plan.h"
#include "program.h"
#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const double MEMORY_MOST = 1.05; /* of the program's own order: schedule.c's promise */

static void begin(struct program *p)
{
    *p = (struct program){0};
}

static uint32_t slot(struct program *p, uint64_t bytes)
{
    return program_slot(p, "slot", bytes);
}

/* A work that reads a and b and writes `to`; 0: none. Its label tells it apart. */
static void emit(struct program *p, const char *label, uint32_t to, uint32_t a, uint32_t b)
{
    const struct ref refs[] = {{to, 0}, {a, 0}, {b, 0}};
    static const unsigned char push[24];
    struct work *w = program_emit(p, SHADER_MAP, push, sizeof push, refs, 3, 1, (const uint32_t[3]){1, 1, 1});
    w->label = label;
}

static int32_t group_of(const struct program *p, const char *label)
{
    for (uint32_t i = 0; i < p->work_count; i++)
        if (!strcmp(p->works[i].label, label))
            return p->works[i].group;
    fail_msg("there is no work %s", label);
    return -1;
}

static void independent_work_further_down_shares_a_group(void **state)
{
    (void)state;
    struct program p;
    begin(&p);
    uint32_t x = slot(&p, 1 << 20), a = slot(&p, 4), b = slot(&p, 4), c = slot(&p, 4), d = slot(&p, 4),
             e = slot(&p, 4), out = slot(&p, 4);
    emit(&p, "x", x, 0, 0);
    emit(&p, "a = f(x)", a, x, 0);
    emit(&p, "b = f(a)", b, a, 0);
    emit(&p, "c = f(b)", c, b, 0);
    emit(&p, "d = f(x)", d, x, 0); /* behind c, needs only x */
    emit(&p, "e = f(d)", e, d, 0);
    emit(&p, "out = f(c, e)", out, c, e);
    assert_int_equal(schedule_works(&p), 0);
    assert_int_equal(group_of(&p, "x"), 0);
    assert_int_equal(group_of(&p, "a = f(x)"), 1);
    assert_int_equal(group_of(&p, "d = f(x)"), 2); /* beside b */
    assert_int_equal(group_of(&p, "b = f(a)"), 2);
    assert_int_equal(group_of(&p, "e = f(d)"), 3);
    assert_int_equal(group_of(&p, "c = f(b)"), 3);
    assert_int_equal(group_of(&p, "out = f(c, e)"), 4); /* one less than as it was written */
    program_finish(&p);
}

static void what_writes_a_slot_waits_for_its_readers(void **state)
{
    (void)state;
    struct program p;
    begin(&p);
    uint32_t x = slot(&p, 4), a = slot(&p, 4);
    emit(&p, "first", x, 0, 0);
    emit(&p, "reads", a, x, 0);
    emit(&p, "writes again", x, 0, 0);
    assert_int_equal(schedule_works(&p), 0);
    assert_true(group_of(&p, "reads") < group_of(&p, "writes again"));
    program_finish(&p);
}

/* An arena and two tensors in it, as AdamW sees gradients: the tensors are written side by side, before the
 * arena is read. */
static void slots_at_fixed_places_conflict_where_they_overlap(void **state)
{
    (void)state;
    struct program p;
    begin(&p);
    uint32_t arena = program_slot_at(&p, "arena", 512, 4096), one = program_slot_at(&p, "one", 256, 4096),
             two = program_slot_at(&p, "two", 256, 4352), out = slot(&p, 4);
    emit(&p, "one", one, 0, 0);
    emit(&p, "two", two, 0, 0);
    emit(&p, "update", out, arena, 0);
    emit(&p, "one again", one, 0, 0);
    assert_int_equal(schedule_works(&p), 0);
    assert_int_equal(group_of(&p, "one"), 0);
    assert_int_equal(group_of(&p, "two"), 0);
    assert_int_equal(group_of(&p, "update"), 1);
    assert_int_equal(group_of(&p, "one again"), 2);
    program_finish(&p);
}

static int conflicts(const struct work *a, const struct work *b)
{
    for (uint32_t i = 0; i < a->ref_count; i++)
        for (uint32_t j = 0; j < b->ref_count; j++)
            if (a->refs[i].slot && a->refs[i].slot == b->refs[j].slot &&
                ((a->writes >> i | b->writes >> j) & 1))
                return 1;
    return 0;
}

/* Bytes by the program's own order, each work a group of its own: what memory takes at the least grouping. */
static uint64_t memory_of(const struct program *p)
{
    struct span spans[512] = {{0}};
    uint64_t bytes;
    for (uint32_t s = 1; s < p->slot_count; s++)
        if (p->slots[s].last >= 0)
            spans[s] = (struct span){
                .size = p->slots[s].bytes, .first = p->slots[s].first, .last = p->slots[s].last};
    assert_int_equal(plan_offsets(spans, p->slot_count, 0, &bytes), 0);
    return bytes;
}

static void groups_of_program_order(struct program *p)
{
    int32_t group = 0;
    uint32_t first = 0;
    for (uint32_t i = 0; i < p->work_count; i++) {
        for (uint32_t j = first; j < i; j++)
            if (conflicts(&p->works[i], &p->works[j])) {
                group++;
                first = i;
                break;
            }
        for (uint32_t k = 0; k < 3; k++) {
            struct slot *s = &p->slots[p->works[i].refs[k].slot];
            s->first = group < s->first ? group : s->first;
            s->last = group > s->last ? group : s->last;
        }
    }
    p->works[p->work_count - 1].group = group;
}

/* Reads mostly of what was written lately, as networks do. */
static void draw(struct program *p, uint64_t seed, char labels[][8])
{
    enum { WORKS = 120, SLOTS = 90 };
    struct rng g = {.seed = seed};
    begin(p);
    for (uint32_t i = 0; i < SLOTS; i++)
        slot(p, 256 * (1 + rng_below(&g, 64)));
    for (uint32_t i = 0; i < WORKS; i++) {
        uint32_t near = i * SLOTS / WORKS, to = 1 + (near + rng_below(&g, 6)) % SLOTS;
        uint32_t a = near > 4 ? 1 + near - rng_below(&g, 4) : 0,
                 b = rng_below(&g, 3) ? 0 : 1 + rng_below(&g, SLOTS);
        snprintf(labels[i], 8, "%u", i);
        emit(p, labels[i], to, a, b);
    }
}

static void random_programs_keep_their_meaning_and_their_memory(void **state)
{
    (void)state;
    enum { PROGRAMS = 40 };
    static char labels[128][8];
    int fewer = 0;
    for (uint64_t seed = 1; seed <= PROGRAMS; seed++) {
        struct program p, own;
        draw(&own, seed, labels);
        groups_of_program_order(&own);
        draw(&p, seed, labels);
        assert_int_equal(schedule_works(&p), 0);
        assert_int_equal(p.work_count, own.work_count);
        for (uint32_t i = 0; i < own.work_count; i++)
            for (uint32_t j = i + 1; j < own.work_count; j++)
                if (conflicts(&own.works[i], &own.works[j]))
                    assert_true(group_of(&p, own.works[i].label) < group_of(&p, own.works[j].label));
        for (uint32_t i = 0; i < p.work_count; i++) {
            assert_true(i == 0 || p.works[i].group >= p.works[i - 1].group);
            for (uint32_t k = 0; k < 3; k++) {
                const struct slot *s = &p.slots[p.works[i].refs[k].slot];
                assert_true(s->first <= p.works[i].group && p.works[i].group <= s->last);
            }
        }
        int32_t groups = p.works[p.work_count - 1].group, before = own.works[own.work_count - 1].group;
        assert_true(groups <= before);
        fewer += groups < before;
        assert_true((double)memory_of(&p) <= MEMORY_MOST * (double)memory_of(&own));
        program_finish(&p);
        program_finish(&own);
    }
    assert_true(fewer > 0);
}

static void the_same_program_gets_the_same_order(void **state)
{
    (void)state;
    static char labels[128][8];
    struct program a, b;
    draw(&a, 7, labels);
    draw(&b, 7, labels);
    assert_int_equal(schedule_works(&a), 0);
    assert_int_equal(schedule_works(&b), 0);
    for (uint32_t i = 0; i < a.work_count; i++) {
        assert_string_equal(a.works[i].label, b.works[i].label);
        assert_int_equal(a.works[i].group, b.works[i].group);
    }
    program_finish(&a);
    program_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(independent_work_further_down_shares_a_group),
        cmocka_unit_test(what_writes_a_slot_waits_for_its_readers),
        cmocka_unit_test(slots_at_fixed_places_conflict_where_they_overlap),
        cmocka_unit_test(random_programs_keep_their_meaning_and_their_memory),
        cmocka_unit_test(the_same_program_gets_the_same_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_works_of_ops.c - what the kernels of single ops read and write is what their works declare (run/walk.h): every case of
 * the self-test, at awkward shapes, and products by each rung of the ladder. */
#include "../run/device_world.h"
#include "../run/walk.h"
#include "check_private.h"
#include "ladder.h"
#include "memory.h"
#include "program.h"
#include "rng.h"

#include <math.h>
#include <string.h>

static void fill(struct run *run, const struct check_net *n, uint32_t i)
{
    const struct check_leaf *l = &n->leaves[i];
    const size_t count = (size_t)shape_count(tape_shape(n->tape, l->leaf));
    const int whole = l->high - l->low > 2 && floor(l->low) == l->low && floor(l->high) == l->high;
    float *data = mem_alloc(count, sizeof *data);
    struct rng g = {.seed = 7, .stream = i};
    assert_non_null(data);
    for (size_t k = 0; k < count; k++)
        data[k] = (float)(isinf(l->low) ? rng_normal(&g)
                          : whole       ? l->low + rng_below(&g, (uint32_t)(l->high - l->low))
                                        : l->low + (l->high - l->low) * rng_uniform(&g));
    must(run_write(run, l->leaf, data));
    mem_free(data);
}

/* Of a traced net, which ends here; `spoil` makes its program wrong. Returns what walk_run does. */
static int walk(struct engine *e, struct check_net *n, void (*spoil)(struct program *p))
{
    struct bank *bank;
    struct run *run;
    uint32_t works;
    assert_null(tape_why(n->tape));
    must(bank_create(&bank, e, NULL, 0));
    must(run_create(&run, &(struct run_spec){.tape = n->tape,
                                             .bank = bank,
                                             .logs = n->outputs,
                                             .log_count = n->output_count,
                                             .series = 1,
                                             .number = n->number}));
    for (uint32_t i = 0; i < n->leaf_count; i++)
        fill(run, n, i);
    must(run_begin(run, &(struct run_series){.first = 5, .steps = 1, .seed = 11}));
    if (spoil)
        spoil(walk_program(run));
    const int rc = walk_run(e, run, &works);
    assert_true(rc < 0 || works > 1);
    run_destroy(run);
    bank_destroy(bank);
    tape_destroy(n->tape);
    return rc;
}

static void walk_right(struct engine *e, const char *name, struct check_net *n)
{
    if (walk(e, n, NULL) < 0)
        fail_msg("%s: %s", name, error_text());
}

static void walk_cases(struct engine *e, const char *filter)
{
    int seen = 0;
    for (const struct check_case *c = check_cases; c->name; c++) {
        struct check_net n = {0};
        if (filter && !strstr(c->name, filter))
            continue;
        n.tape = tape_create();
        assert_non_null(n.tape);
        c->trace(&n);
        walk_right(e, c->name, &n);
        seen++;
    }
    assert_true(seen > 0);
}

static struct engine *open_engine(enum engine_style style)
{
    struct engine *e;
    must(engine_create(&e, device, style));
    return e;
}

static void kernels_read_and_write_what_their_works_declare(void **state)
{
    (void)state;
    struct engine *e = open_engine(ENGINE_AUTO);
    walk_cases(e, getenv("VITRO_CHECK"));
    engine_destroy(e);
}

static void so_do_those_for_gpus(void **state)
{
    (void)state;
    static const char *const some[] = {"norm", "sum", "halves", "attention 2x5"};
    struct engine *e = open_engine(ENGINE_GPU);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        walk_cases(e, some[i]);
    engine_destroy(e);
}

/* A product that two need, with a bias and a kept pre-activation, of rests along every axis. */
static void trace_kept(struct check_net *n)
{
    const value y = tape_matmul(n->tape, check_input(n, SHAPE(37, 51)), check_input(n, SHAPE(45, 51)), 0, 1),
                pre = tape_add(n->tape, y, check_input(n, SHAPE(45))),
                act = tape_unary(n->tape, pre, UNARY_GELU);
    check_output(n, tape_unary_back(n->tape, pre, act, UNARY_GELU));
    check_output(n, act);
}

/* What one product stores for another, as halves where it can, and k long enough to be cut. */
static void trace_twice(struct check_net *n)
{
    const value y =
        tape_matmul(n->tape, check_input(n, SHAPE(520, 36)), check_input(n, SHAPE(520, 44)), 1, 0);
    check_output(n, tape_matmul(n->tape, y, check_input(n, SHAPE(44, 61)), 0, 0));
}

static void so_do_products_on_every_rung_of_the_ladder(void **state)
{
    (void)state;
    static const struct {
        const char *choice;
        enum number number;
        enum engine_style style;
    } rows[] = {
        {"cpu", NUMBER_FP32, ENGINE_CPU},
        {"cpu", NUMBER_BF16, ENGINE_CPU},
        {"tiled 32x32", NUMBER_FP32, ENGINE_GPU},
        {"tiled 32x32 / 2", NUMBER_FP16, ENGINE_GPU},
        {"packed 32x32", NUMBER_FP16, ENGINE_GPU},
        {"subgroup 32x32", NUMBER_FP16, ENGINE_GPU},
        {"subgroup 32x32 / 2", NUMBER_FP16, ENGINE_GPU},
        {"workgroup 64x64", NUMBER_FP16, ENGINE_GPU},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct engine *e = open_engine(rows[i].style);
        const struct product any = {
            .batches = 1, .m = 37, .n = 45, .k = 51, .b_t = 1, .number = rows[i].number};
        struct ladder_choice choice;
        must(ladder_parse(rows[i].choice, &choice));
        if (ladder_suits(e, choice.tile, &any)) {
            struct check_net kept = {.tape = tape_create(), .number = rows[i].number},
                             twice = {.tape = tape_create(), .number = rows[i].number};
            assert_true(kept.tape && twice.tape);
            ladder_pin(e, &choice);
            trace_kept(&kept);
            trace_twice(&twice);
            walk_right(e, rows[i].choice, &kept);
            walk_right(e, rows[i].choice, &twice);
        } else {
            print_message("%s in %s: not on this device\n", rows[i].choice, number_names[rows[i].number]);
        }
        engine_destroy(e);
    }
}

/* --- wrong programs: out = a + b by work 0 */

static struct work *addition(struct program *p)
{
    assert_int_equal(p->works[0].shader, SHADER_MAP);
    return &p->works[0];
}

static void forget_that_it_writes(struct program *p)
{
    addition(p)->writes = 0;
}

static void forget_an_operand(struct program *p)
{
    addition(p)->refs[2].slot = 0;
}

/* Its last vector is still read whole. */
static void shorten_an_operand(struct program *p)
{
    p->slots[addition(p)->refs[1].slot].bytes /= 2;
}

static void shorten_the_result(struct program *p)
{
    p->slots[addition(p)->refs[0].slot].bytes /= 2;
}

static void leave_out_the_end(struct program *p)
{
    addition(p)->groups[2] -= 1;
}

static void wrong_declarations_are_found_and_told(void **state)
{
    (void)state;
    static const struct {
        void (*spoil)(struct program *p);
        const char *told;
    } rows[] = {
        {forget_that_it_writes,
         "work 0, add by map in group 0, writes what it does not declare: byte 0 of 'add'"},
        {shorten_the_result, "writes what it does not declare: byte 1224 of 'add', which has 1224"},
        {forget_an_operand,
         "reads what it does not declare, on which depends byte 0 of 'add', which has 2448"},
        {shorten_an_operand, "reads what it does not declare, on which depends byte 1232 of 'add'"},
        {leave_out_the_end,
         "the step, work by work and with poison in what is still to be written, differs in 'log'"},
    };
    struct engine *e = open_engine(ENGINE_AUTO);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct check_net n = {.tape = tape_create()};
        assert_non_null(n.tape);
        check_output(&n, tape_add(n.tape, check_input(&n, SHAPE(4, 9, 17)), check_input(&n, SHAPE(17))));
        assert_true(walk(e, &n, rows[i].spoil) < 0);
        if (!strstr(error_text(), rows[i].told))
            fail_msg("%zu: %s", i, error_text());
    }
    engine_destroy(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_declarations_are_found_and_told),
        cmocka_unit_test(kernels_read_and_write_what_their_works_declare),
        cmocka_unit_test(so_do_those_for_gpus),
        cmocka_unit_test(so_do_products_on_every_rung_of_the_ladder),
        cmocka_unit_test(the_validation_layers_have_nothing_to_say),
    };
    return RUN_ON_DEVICE(as_it_is(), tests);
}

/* attention_matrix.c - see attention_matrix.h. The constants mirror shaders/lib/attention_matrix.glsl.
 *
 * A workgroup has as many subgroups as make the work cheapest: more of them share what passes by, which each
 * workgroup carries to shared memory for itself; too many own rows that are not there, or leave a compute unit few
 * workgroups to turn to. Not measured: no device with matrix units was at hand. */
#include "attention_matrix.h"

#include "engine.h"
#include "ladder.h"
#include "products.h"
#include "program.h"

enum {
    STEP = 32,        /* 197 keys are 7 turns, the last one two thirds empty; 64 would leave a fifth over */
    EIGHT_BYTES = 16, /* eight numbers of 16 bits, or four floats */
    SUBGROUPS_MAX = 8,
    UNIT_SHARED = 65536, /* as in attention_tile.c */
    UNIT_WAITS = 64,
    REGISTERS_MAX = 144, /* of what stays in an invocation's registers: some 255 less what comes and goes */
    CARRY_COST = 48 /* bringing in a row, fetched and rounded, takes as long as 48 rows' products with it */
};

static const struct shape_of {       /* of a pass */
    uint32_t own, sums;              /* operands of the owned rows, and their sums */
    uint32_t stashes;                /* through which scores become operands */
    uint32_t floats, floats_of_step; /* numbers in shared memory per owned row, and per row of a turn */
    enum shader shaders[NUMBER_COUNT];
} passes[] = {
    [ATTENTION_FORWARD] = {1, 1, 1, 1, 0, {0, SHADER_ATTENTION_MATRIX, SHADER_ATTENTION_MATRIX_BF16}},
    [ATTENTION_BACK_Q] =
        {2, 1, 1, 2, 0, {0, SHADER_ATTENTION_MATRIX_BACK_Q, SHADER_ATTENTION_MATRIX_BACK_Q_BF16}},
    [ATTENTION_BACK_KV] =
        {2, 2, 2, 0, 2, {0, SHADER_ATTENTION_MATRIX_BACK_KV, SHADER_ATTENTION_MATRIX_BACK_KV_BF16}},
};
enum { PASSES = sizeof passes / sizeof *passes };

enum shader attention_matrix_shader(enum attention_pass pass, enum number number)
{
    return passes[pass].shaders[number];
}

/* Where lanes do not split a row into whole eights, the kernels cannot turn scores into operands. */
static int suits(uint32_t width, uint32_t lanes, const struct device_matrix *unit)
{
    return width % unit->n == 0 && width % unit->k == 0 && STEP % unit->n == 0 && STEP % unit->k == 0 &&
           lanes % unit->m == 0 && STEP % (8 * (lanes / unit->m)) == 0;
}

uint32_t attention_matrix_list(struct attention_tile *out, uint32_t room, enum attention_pass which,
                               uint32_t width, uint32_t count, const struct attention_limits *limits,
                               const struct device_matrix *unit)
{
    const struct shape_of *pass = &passes[which];
    const uint32_t eights = width / 8, pitch = eights | 1;
    uint32_t found = 0;
    if (!suits(width, limits->lanes, unit))
        return 0;
    for (uint32_t subgroups = 1; subgroups <= SUBGROUPS_MAX; subgroups++) {
        struct attention_tile t = {.step = STEP};
        t.skips = !limits->brief; /* lavapipe's subgroupBarrier() waits for the whole workgroup */
        t.unroll = limits->brief ? 1 : STEP / unit->n;
        t.group = subgroups * limits->lanes;
        t.owned = subgroups * unit->m;
        const uint32_t fetch = tiles(STEP * eights, t.group);
        const uint32_t registers = pass->sums * unit->m * width / limits->lanes + 2 * 8 * fetch;
        t.shared_bytes = EIGHT_BYTES * ((2 * STEP + pass->own * t.owned) * pitch +
                                        pass->stashes * t.owned * (STEP / 4 + 1)) +
                         4 * (pass->floats * t.owned + pass->floats_of_step * STEP);
        if (t.group > limits->max_invocations || t.shared_bytes > limits->shared_bytes ||
            t.shared_bytes > UNIT_SHARED || (!limits->brief && registers > REGISTERS_MAX))
            continue;
        const double resident = (double)(UNIT_SHARED / t.shared_bytes) * t.group;
        const double carry = CARRY_COST * (double)(fetch * t.group) / (STEP * eights);
        /* in brief: the least code, and the same for any count, as each is compiled */
        t.cost =
            limits->brief ? fetch : tiles(count, t.owned) * (t.owned + carry) * (1 + UNIT_WAITS / resident);
        found = attention_tile_insert(out, found, room, &t);
    }
    return found;
}

const struct device_matrix *attention_matrix_unit(const struct engine *e, enum number number, uint32_t width)
{
    const uint32_t lanes = engine_lanes(e), edge = width & -width; /* the power of two in it */
    if (number == NUMBER_FP32 || !ladder_takes_units(e) || products_attention_is_wrong(e, number, width))
        return NULL;
    const struct device_info *info = device_info(engine_device(e));
    const uint32_t most = edge < STEP ? edge : STEP;
    const struct device_matrix *unit = ladder_unit(e, number, lanes, most, most);
    const struct attention_limits limits = {lanes, info->max_invocations, info->shared_bytes, info->is_cpu};
    for (int pass = 0; unit && pass < PASSES; pass++) {
        struct attention_tile any;
        if (!engine_has(e, passes[pass].shaders[number]) ||
            !attention_matrix_list(&any, 1, (enum attention_pass)pass, width, 1, &limits, unit))
            return NULL;
    }
    return unit;
}

/* attention_ladder.c - see attention_ladder.h. */
#include "attention_ladder.h"

#include "attention_matrix.h"
#include "engine.h"

#include <stdio.h>
#include <string.h>

static const char *const pass_names[] = {
    [ATTENTION_FORWARD] = "forward", [ATTENTION_BACK_Q] = "back_q", [ATTENTION_BACK_KV] = "back_kv"};

static const struct shaders_of { /* of a pass: in fp32 */
    enum shader gpu, cpu, tiles;
} shaders[] = {
    [ATTENTION_FORWARD] = {SHADER_ATTENTION, SHADER_ATTENTION_CPU, SHADER_ATTENTION_TILE_CPU},
    [ATTENTION_BACK_Q] = {SHADER_ATTENTION_BACK_Q, SHADER_ATTENTION_BACK_Q_CPU,
                          SHADER_ATTENTION_BACK_Q_TILE_CPU},
    [ATTENTION_BACK_KV] = {SHADER_ATTENTION_BACK_KV, SHADER_ATTENTION_BACK_KV_CPU,
                           SHADER_ATTENTION_BACK_KV_TILE_CPU},
};

static struct attention_limits limits_of(const struct engine *e)
{
    const struct device_info *info = device_info(engine_device(e));
    return (struct attention_limits){engine_lanes(e), info->max_invocations, info->shared_bytes,
                                     info->is_cpu};
}

static struct attention_choice sized(enum rung rung, enum shader shader, const struct attention_tile *t)
{
    return (struct attention_choice){
        .rung = rung, .shader = shader, .owned = t->owned, .step = t->step, .group = t->group};
}

static struct attention_choice on_units(const struct attention_task *task, const struct attention_tile *t,
                                        const struct device_matrix *unit)
{
    struct attention_choice c = sized(RUNG_SUBGROUP, attention_matrix_shader(task->pass, task->number), t);
    const uint32_t constants[] = {task->width, t->step, t->group,  unit->m,
                                  unit->n,     unit->k, t->unroll, t->skips};
    memcpy(c.constants, constants, sizeof constants);
    c.constant_count = ATTENTION_CONSTANTS;
    return c;
}

static struct attention_choice in_fp32(const struct attention_task *task, const struct attention_tile *t)
{
    struct attention_choice c = sized(RUNG_TILED, shaders[task->pass].gpu, t);
    const uint32_t constants[] = {task->width, t->step, t->group, t->rows, t->unroll};
    memcpy(c.constants, constants, sizeof constants);
    c.constant_count = sizeof constants / sizeof *constants;
    return c;
}

/* The CPU style, which needs no shared memory. Not in tiles it owns a row a lane: chains of additions that fill the
 * registers, 32 or 16 of them. Measured with 512-bit vectors: 4 keys 7 % slower, 8 as fast; with 256-bit ones, where
 * 6 x 4 chains spill: 6 x 4 a quarter slower. */
static struct attention_choice on_cpu(const struct engine *e, const struct attention_task *task)
{
    const int narrow = engine_lanes(e) <= 8;
    const uint32_t turn = narrow ? 8 : 6;
    struct attention_choice c = {.rung = RUNG_CPU};
    if (attention_is_in_tiles(e, task->number, task->width)) {
        c.shader = shaders[task->pass].tiles;
        return c;
    }
    c.shader = shaders[task->pass].cpu;
    c.owned = engine_lanes(e);
    c.constants[0] = task->width;
    c.constant_count = 1;
    if (task->pass == ATTENTION_FORWARD) {
        c.constants[1] = task->keys < turn ? task->keys : turn;
        c.constants[2] = task->heads;
        c.constants[3] = narrow ? 1 : 4;
        c.constant_count = 4;
    }
    return c;
}

int attention_is_in_tiles(const struct engine *e, enum number number, uint32_t width)
{
    return engine_attention_in_tiles(e) && !attention_matrix_unit(e, number, width);
}

uint32_t attention_candidates(const struct engine *e, const struct attention_task *task,
                              struct attention_choice out[ATTENTION_CANDIDATES])
{
    struct attention_tile list[ATTENTION_CANDIDATES];
    const struct attention_limits limits = limits_of(e);
    const struct device_matrix *unit = attention_matrix_unit(e, task->number, task->width);
    const uint32_t count = task->pass == ATTENTION_BACK_KV ? task->keys : task->queries;
    uint32_t found = 0;
    if (unit)
        found =
            attention_matrix_list(list, ATTENTION_CANDIDATES, task->pass, task->width, count, &limits, unit);
    else if (!engine_cpu_style(e))
        found = attention_tile_list(list, ATTENTION_CANDIDATES, task->pass, task->width, count, &limits);
    for (uint32_t i = 0; i < found; i++)
        out[i] = unit ? on_units(task, &list[i], unit) : in_fp32(task, &list[i]);
    if (!found)
        out[found++] = on_cpu(e, task);
    return found;
}

const char *attention_choice_text(const struct attention_choice *c, char out[LADDER_TEXT])
{
    if (c->rung == RUNG_CPU)
        snprintf(out, LADDER_TEXT, "cpu in %s", c->owned ? "rows" : "tiles");
    else
        snprintf(out, LADDER_TEXT, "%s %ux%u by %u", rung_names[c->rung], (unsigned)c->owned,
                 (unsigned)c->step, (unsigned)c->group);
    return out;
}

const char *attention_task_text(const struct attention_task *t, char out[PRODUCT_TEXT])
{
    snprintf(out, PRODUCT_TEXT, "attention %s %ux%ux%ux%u, %u of %u, %s", pass_names[t->pass],
             (unsigned)t->batch, (unsigned)t->tokens, (unsigned)t->heads, (unsigned)t->width,
             (unsigned)t->queries, (unsigned)t->keys, number_names[t->number]);
    return out;
}

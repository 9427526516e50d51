/* attention_ladder.h - which kernel computes a pass of attention, and with which workgroups: for attention what ladder.h
 * is for matrix products.
 *
 * Whether matrix units are taken is decided for a width of heads and a precision, for all passes together: the gradient
 * computes weights again and must round as forward did. What is left to choose is the workgroup. */
#ifndef VITRO_RUN_ATTENTION_LADDER_H
#define VITRO_RUN_ATTENTION_LADDER_H

#include "attention_tile.h"
#include "ladder.h"
#include "shaders.h"

struct attention_task { /* all that its kernel may be chosen by */
    enum attention_pass pass;
    enum number number;
    uint32_t batch, tokens, heads, width;
    uint32_t queries, keys; /* of the tokens */
};

enum { ATTENTION_CONSTANTS = 8, ATTENTION_CANDIDATES = 12 };
struct attention_choice {
    enum rung rung;       /* SUBGROUP, TILED or CPU */
    enum shader shader;   /* the pass's kernel */
    uint32_t owned;       /* rows of a workgroup */
    uint32_t step, group; /* rows that pass it in a turn, and its invocations; of CPU: 0 */
    uint32_t constants[ATTENTION_CONSTANTS], constant_count; /* CPU in tiles: none here */
};

/* The choices that the task has on this engine's device, the likeliest first; returns how many. There is always one. */
uint32_t attention_candidates(const struct engine *e, const struct attention_task *task,
                              struct attention_choice out[ATTENTION_CANDIDATES]);

/* Whether the CPU-device style's kernels in tiles compute it (lower_attention_tiles.c). */
int attention_is_in_tiles(const struct engine *e, enum number number, uint32_t width);

/* "subgroup 64x32 by 128": 64 rows owned, 32 passing, 128 invocations; "cpu in tiles". */
const char *attention_choice_text(const struct attention_choice *choice, char out[LADDER_TEXT]);
/* "attention back_q 8x197x3x64, 1 of 197, fp16": batch x tokens x heads x width, queries of keys. */
const char *attention_task_text(const struct attention_task *task, char out[PRODUCT_TEXT]);

#endif

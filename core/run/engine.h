/* engine.h - a device with its compiled kernels: each shader's pipeline is made when a program first
 * asks for it, with the specialisation constants it asks for, and kept. */
#ifndef VITRO_RUN_ENGINE_H
#define VITRO_RUN_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "hash.h"
#include "kernel.h"
#include "shaders.h"

struct engine;

/* Which style of kernels, on devices whose subgroups can be relied on (elsewhere only the CPU-device style is
 * sure to be right): AUTO is the device's own; the others are for comparisons and tests, right on
 * any device and slow on the wrong one. */
enum engine_style { ENGINE_AUTO, ENGINE_CPU, ENGINE_GPU };

/* `device` is lent for the engine's life. */
int engine_create(struct engine **out, struct device *device, enum engine_style style);
void engine_destroy(struct engine *e); /* NULL is fine */
struct device *engine_device(const struct engine *e);
/* After a loss: forgets the kernels and opens the device anew. All else on it must be gone. */
int engine_recover(struct engine *e);

/* Floats that one workgroup moves at a time: constant 0 of every shader. */
uint32_t engine_lanes(const struct engine *e);
/* Whether kernels of the CPU-device style are chosen. */
int engine_cpu_style(const struct engine *e);
/* Whether the lanes of a subgroup run in step, as vectors of one thread, which lib/turns.glsl makes use of: lavapipe. */
int engine_in_step(const struct engine *e);
/* Into how few workgroups so many subgroups go: of a workgroup, 1 or, where lavapipe is slow from workgroup to workgroup and
 * there are enough for all its threads, 4. Of samples of a product of 1576 x 768 x 192 a tenth were between workgroups of one
 * subgroup, and half as many between those of four; 8 and 16 were no better. */
uint32_t engine_team(const struct engine *e, uint64_t subgroups);
/* Of those of the CPU-device style, whether attention takes the ones in tiles (lower_attention_tiles.c) and not those with
 * a row a lane. */
int engine_attention_in_tiles(const struct engine *e);

/* What it knows of matrix products (ladder.h). */
struct ladder;
struct ladder *engine_ladder(const struct engine *e);
/* Which of them its programs asked for (products.h). */
struct products;
struct products *engine_products(const struct engine *e);
/* A fingerprint of all shaders. */
int engine_shaders_digest(char text[HASH_TEXT]);
/* Whether kernels store as halves what products alone read, attention's too (halves.c): not in the CPU-device style, where
 * lavapipe converts them slowly. */
int engine_stores_halves(const struct engine *e);
/* For comparisons: 0 has everything stored as floats. */
void engine_want_halves(struct engine *e, int want);
/* For tests: the other kernels of the two that attention can take on lavapipe. */
void engine_turn_attention(struct engine *e);
/* For tests: another module in a shader's stead, lent for the engine's life. */
void engine_replace(struct engine *e, enum shader shader, const uint32_t *spirv, size_t bytes);

/* Every kernel that was asked for so far, with its constants from 1 on. */
typedef void engine_see(void *context, const struct kernel *kernel, const uint32_t *constants,
                        uint32_t count);
void engine_kernels(const struct engine *e, engine_see *see, void *context);

/* Whether the shader is in this program: those that need a newer compiler may not be. */
int engine_has(const struct engine *e, enum shader shader);
/* Constant 0 is the lanes; constants[0 .. count - 1] are 1 and up. *out is lent for the engine's life. */
int engine_kernel(struct engine *e, enum shader shader, const uint32_t *constants, uint32_t count,
                  const struct kernel **out);

/* The same kernel, made to compute parts of a dispatch: 1 and *out; 0 where the shader cannot be divided, as it
 * asks how many workgroups there are. */
int engine_kernel_in_parts(struct engine *e, enum shader shader, const uint32_t *constants, uint32_t count,
                           const struct kernel **out);

/* How long a submit may take before a driver's watchdog looks at it: 0.1 s, far below the shortest (0.6 s).
 * A single dispatch that takes longer is divided into at most so many parts; not on a software driver, which has no
 * watchdog: 1. */
struct engine_pace {
    double submit_seconds;
    uint32_t parts;
};
struct engine_pace engine_pace(const struct engine *e);
void engine_set_pace(struct engine *e, struct engine_pace pace); /* for tests */

/* A kernel from outside (tape.h): 1 and *out, lent for the engine's life; 0 where the device refuses it, which
 * the log is told once, or where none are wanted; negative: out of memory. */
struct custom;
int engine_custom(struct engine *e, const struct custom *call, const struct kernel **out);
/* For comparisons: 0 has the equivalents computed instead, as on a device that refuses all. */
void engine_want_custom(struct engine *e, int want);
/* Where that log goes; NULL: nowhere. */
void engine_set_log(struct engine *e, void (*log)(void *context, const char *text), void *context);
void engine_say(const struct engine *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

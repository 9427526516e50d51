/* engine.h - a device with its compiled kernels: each shader's pipeline is made when a program first
 * asks for it, with the specialisation constants it asks for, and kept. */
#ifndef VITRO_RUN_ENGINE_H
#define VITRO_RUN_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "kernel.h"
#include "shaders.h"

struct engine;

/* Which style of kernels: AUTO is the device's own; the others are for comparisons and tests, right on
 * any device and slow on the wrong one. */
enum engine_style { ENGINE_AUTO, ENGINE_CPU, ENGINE_GPU };

/* `device` is lent for the engine's life. */
int engine_create(struct engine **out, struct device *device, enum engine_style style);
void engine_destroy(struct engine *e); /* NULL is fine */
struct device *engine_device(const struct engine *e);

/* Floats that one workgroup moves at a time: constant 0 of every shader. */
uint32_t engine_lanes(const struct engine *e);
/* Whether kernels of the CPU-device style are chosen. */
int engine_cpu_style(const struct engine *e);

/* What it knows of matrix products (ladder.h). */
struct ladder;
struct ladder *engine_ladder(const struct engine *e);

/* Every kernel that was asked for so far, with its constants from 1 on. */
typedef void engine_see(void *context, const struct kernel *kernel, const uint32_t *constants, uint32_t count);
void engine_kernels(const struct engine *e, engine_see *see, void *context);

/* Whether the shader is in this program: those that need a newer compiler may not be. */
int engine_has(const struct engine *e, enum shader shader);
/* Constant 0 is the lanes; constants[0 .. count - 1] are 1 and up. *out is lent for the engine's life. */
int engine_kernel(struct engine *e, enum shader shader, const uint32_t *constants, uint32_t count,
                  const struct kernel **out);

/* A kernel from outside (tape.h): 1 and *out, lent for the engine's life; 0 where the device refuses it, which
 * the log is told once, or where none are wanted; negative: out of memory. */
struct custom;
int engine_custom(struct engine *e, const struct custom *call, const struct kernel **out);
/* For comparisons: 0 has the equivalents computed instead, as on a device that refuses all. */
void engine_want_custom(struct engine *e, int want);
/* Where that log goes; NULL: nowhere. */
void engine_set_log(struct engine *e, void (*log)(void *context, const char *text), void *context);

#endif

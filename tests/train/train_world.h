/* train_world.h - what tests of trainings share: a device, a small random ViT, random images. */
#ifndef VITRO_TESTS_TRAIN_WORLD_H
#define VITRO_TESTS_TRAIN_WORLD_H

#include "error.h"
#include "memory.h"
#include "rng.h"
#include "session.h"
#include "session_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, CLASSES = 5, IMAGES = 44 };

static struct device *device;
static struct engine *engine;
static struct plugins *plugins;
static struct vit *vit;
static unsigned char rgb[IMAGES * SIDE * SIDE * 3];
static int32_t labels[IMAGES];

static inline void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

struct setting {
    struct method *method;
    struct session *session;
};

static inline struct setting begin_on(struct engine *e, const char *method)
{
    struct setting s = {0};
    must(method_create(&s.method, plugins, method));
    must(method_declare(s.method, vit));
    must(session_create(&s.session, &(struct session_spec){.engine = e,
                                                           .method = s.method,
                                                           .vit = vit,
                                                           .mean = {0.5f, 0.5f, 0.5f},
                                                           .std = {0.5f, 0.5f, 0.5f},
                                                           .seed = 3}));
    return s;
}

static inline void end(struct setting *s)
{
    session_destroy(s->session);
    method_destroy(s->method);
}

static inline struct train_spec short_training(void)
{
    struct train_spec t = {.recipe = recipe_default, .images = {rgb, labels, IMAGES}};
    t.recipe.epochs = 2;
    t.recipe.warmup = 1;
    t.recipe.batch = 16;
    t.recipe.drop_last = 0;
    t.recipe.lr = 1e-2f;
    t.recipe.seed = 9;
    return t;
}

/* Runs the tests on the first device; 77 where there is none. */
static inline int run_world_of(int (*run)(void), const char *const *folders, int32_t patch, int32_t depth)
{
    struct rng g = {.seed = 5};
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (unsigned char)rng_u32(&g);
    for (int i = 0; i < IMAGES; i++)
        labels[i] = (int32_t)rng_below(&g, CLASSES);
    if (device_open(&device, &(struct device_spec){.index = -1}) < 0 ||
        engine_create(&engine, device, ENGINE_AUTO) < 0 || plugins_create(&plugins, folders) < 0 ||
        vit_create(&vit, &(struct vit_shape){.image = SIDE,
                                             .patch = patch,
                                             .dim = 24,
                                             .depth = depth,
                                             .heads = 3,
                                             .hidden = 96,
                                             .classes = CLASSES,
                                             .eps = 1e-6f}) < 0) {
        fprintf(stderr, "%s\n", error_text());
        return 77;
    }
    vit_random(vit, 1);
    int rc = run();
    vit_destroy(vit);
    plugins_destroy(plugins);
    engine_destroy(engine);
    device_close(device);
    return rc;
}

static inline int run_world(int (*run)(void), const char *const *folders, int32_t depth)
{
    return run_world_of(run, folders, 8, depth);
}

#endif

/* recipe.h - how one trial trains: what it takes to repeat it, and nothing about where it runs. */
#ifndef VITRO_TRAIN_RECIPE_H
#define VITRO_TRAIN_RECIPE_H

#include <stdint.h>

/* name, default, least, most, help. Whole-number rows are int32_t, the others float. */
#define RECIPE_WHOLE(X)                                          \
    X(epochs, 100, 1, 100000, "passes over the training images") \
    X(warmup, 10, 0, 100000, "epochs of linear warm-up")         \
    X(batch, 64, 1, 4096, "images a step")
#define RECIPE_REAL(X)                                                        \
    X(lr, 1e-3f, 0, 1e3f, "learning rate at its top")                         \
    X(lr_min, 1e-5f, 0, 1e3f, "learning rate that the cosine falls to")       \
    X(lr_start, 1e-6f, 0, 1e3f, "learning rate that the warm-up starts from") \
    X(decay, 1e-4f, 0, 1e2f, "AdamW's weight decay")                          \
    X(drop_path, 0.1f, 0, 0.99f, "stochastic depth of the last block")        \
    X(beta1, 0.9f, 0, 0.9999f, "AdamW's decay of the first moment")           \
    X(beta2, 0.999f, 0, 0.999999f, "AdamW's decay of the second moment")      \
    X(eps, 1e-8f, 1e-12f, 1, "AdamW's epsilon")

/* STUDY: timm's cosine by epoch as the study's released code runs it: epochs 0 and 1 both at
 * lr_start, every rate one epoch late. PLAIN: linear warm-up from lr / (warmup + 1) in the first
 * epoch, then the cosine from lr at the end of the warm-up to lr_min after the last epoch. */
enum recipe_schedule { SCHEDULE_STUDY, SCHEDULE_PLAIN, SCHEDULE_COUNT };
extern const char *const recipe_schedules[]; /* names, ended by NULL */

struct recipe {
#define X(name, init, low, high, help) int32_t name;
    RECIPE_WHOLE(X)
#undef X
#define X(name, init, low, high, help) float name;
    RECIPE_REAL(X)
#undef X
    int32_t schedule;  /* enum recipe_schedule */
    int32_t precision; /* enum number: what the operands of products are rounded to (docs/precision.md) */
    int32_t drop_last; /* leave out the images that do not fill a batch (the study); else the last batch
                          of an epoch is smaller, its missing rows masked */
    uint64_t seed;     /* of initialisation, order, dropout and drop-path */
};
extern const struct recipe recipe_default;

/* Refuses values outside the ranges above, naming them, and a training set that gives no step. */
int recipe_check(const struct recipe *r, uint32_t images);
uint32_t recipe_steps(const struct recipe *r, uint32_t images); /* of one epoch */
/* The learning rate of an epoch, 0 .. epochs - 1. */
float recipe_rate(const struct recipe *r, int32_t epoch);
/* The rows of epoch's batches: `order` holds recipe_steps * batch entries, -1 for masked rows. The
 * order depends on (seed, epoch) alone. Negative: out of memory. */
int recipe_order(const struct recipe *r, int32_t epoch, uint32_t images, int32_t *order);

#endif

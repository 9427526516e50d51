/* session.h - a method on a backbone on a device: the tensors in device memory, and the programs that
 * train and evaluate them.
 *
 *     session_create -> session_train -> session_logits -> session_save
 *
 * One thread at a time. */
#ifndef VITRO_TRAIN_SESSION_H
#define VITRO_TRAIN_SESSION_H

#include "engine.h"
#include "hash.h"
#include "host.h"
#include "number.h"
#include "recipe.h"
#include "run.h"

struct session;
struct frozen;

struct session_spec { /* everything is lent for the session's life */
    struct engine *engine;
    struct method *method; /* declared against `vit` */
    const struct vit *vit;
    float mean[3], std[3]; /* of the pixels' scale 0..1 */
    uint64_t seed;         /* of the initialisation */
    int wide;              /* for comparisons: frozen weights are kept as floats even where halves would do */
    enum number number;    /* what the operands of products are rounded to: the recipe's precision */
    struct frozen *shared; /* where sessions of packed trials have the backbone in common; NULL: none has */
};
int session_create(struct session **out, const struct session_spec *spec);
void session_destroy(struct session *s); /* NULL is fine */

struct images { /* uint8 [count][side][side][3] and labels [count]; lent */
    const unsigned char *rgb;
    const int32_t *labels; /* NULL when unknown */
    uint32_t count;
};

struct train_features {    /* what was computed once for all epochs, see feature_cache.h */
    uint32_t images, done; /* of how many; before the first step, while done < images. 0: nothing was */
    uint64_t bytes;        /* kept on the device */
    double saved;          /* share of a step's arithmetic that this spares */
    double seconds;        /* that it took */
};
struct train_progress { /* lent for the call */
    int32_t epoch, epochs;
    uint32_t step, steps; /* submitted, of the whole training */
    float loss;           /* mean of the last finished epoch; NaN before the first */
    double images_a_second;
    struct train_features features;
};
/* Called after every few steps and at the end of each epoch; other than 0 stops with ERR_STOPPED, after
 * a checkpoint where there is one. */
typedef int train_report(void *context, const struct train_progress *p);

enum { FEATURES_AUTO = -1 };
struct train_spec {
    struct recipe recipe;
    struct images images; /* of the backbone's size, labelled */
    train_report *report; /* NULL: none */
    void *context;
    const char *checkpoint;     /* path, or NULL for none; resumed from when it exists */
    const char *identity;       /* what the checkpoint belongs to (recipe, data, weights), compared on
                                  resume; NULL: "" */
    uint32_t checkpoint_steps;  /* steps between checkpoints; 0: one at the end of each epoch */
    float *losses;              /* NULL, or room for the loss of every step */
    int checkpoint_activations; /* compute the blocks' forward part again in the backward pass: same bits, less
                                   memory, more time */
    int32_t feature_cache;      /* MiB of device memory at most for what is computed once for all epochs;
                                  0: none; FEATURES_AUTO: 1 GiB or a quarter of the device's */
    float loss_scale;           /* in fp16: what it starts at; 0: RUN_SCALE_FIRST */
};

struct train_result {
    uint32_t steps;
    uint32_t resumed;       /* steps that a checkpoint saved us */
    uint32_t recovered;     /* times that the device was lost and the training went on */
    float last_loss;        /* mean over the last epoch */
    double seconds;         /* of training and features; compilation and checkpoints left out */
    double compile_seconds; /* until the first step was submitted */
    double images_a_second;
    uint64_t device_bytes; /* most device memory in use */
    float loss_scale;      /* at the end; 0 where it has none */
    uint32_t skipped;      /* steps without an update, as their gradients overflowed */
    struct train_features features;
    uint32_t
        packed; /* trainings that shared the command buffer, 1: it was alone; `seconds` is its share of theirs,
                           `device_bytes` that of all */
    int in_turn;        /* they followed each other within a step */
    char diverged[256]; /* "", or the sentence of how */
};
/* Compiles a training step of the recipe, or evaluation for NULL, and drops it: the engine then knows what products it
 * is made of (products.h). */
int session_compile(struct session *s, const struct recipe *recipe, uint32_t batch);

/* A fingerprint of the products that the session's programs were made of so far, and of their kernels: equal ones give
 * equal bits on one device. */
int session_products(const struct session *s, char digest[HASH_TEXT]);

/* Trains from the session's present tensors, or from the checkpoint. A device that is lost is opened anew, a few times
 * at most, and the training goes on from the last checkpoint, in memory or in the file, to the same bits; the engine's
 * log is told. A loss that is not finite ends it
 * with ERR_DIVERGED at the end of that epoch; the tensors are then worthless. */
int session_train(struct session *s, const struct train_spec *spec, struct train_result *result);

/* Several trainings in one command buffer (docs/packed.md), each to the bits that session_train gives it. They agree on
 * engine, backbone, normalisation and `shared` of their sessions, and on images, batch, epochs, drop_last and
 * precision; methods and all else differ freely. Each has its own checkpoint; those that stand further back catch up
 * first. One that diverges ends alone, see train_result.diverged; any other failure ends all. `together`: run.h's; what does not
 * fit side by side is trained in turn. */
int session_train_packed(struct session *const *sessions, const struct train_spec *specs, uint32_t count,
                         enum run_together together, struct train_result *results);

/* Logits [count][classes] of images in evaluation mode; `batch` images at a time. */
int session_logits(struct session *s, const struct images *images, uint32_t batch, float *logits,
                   double *seconds /* NULL, or of the replays */);

/* Loss (mean cross-entropy) and gradients of one batch without an update, dropout and drop-path off;
 * read the gradients with session_gradient. For tests and tools. */
int session_gradients(struct session *s, const struct images *batch, float *loss);
int session_gradient(struct session *s, size_t tensor, float *out);
int session_tensor(struct session *s, size_t tensor, float *out);
int session_set_tensor(struct session *s, size_t tensor, const float *data); /* before the first use */

/* The trained tensors by name, with notes (key, value, ..., NULL) in the metadata; and back, refusing what
 * is missing, extra or misshapen. */
int session_save(struct session *s, const char *path, const char *const *notes);
int session_load(struct session *s, const char *path);

/* The class with the largest logit of a row (the first of equals). */
int32_t logits_likeliest(const float *row, int32_t classes);
/* Share of rows whose largest logit is at their label (the first of equals), 0 .. 1. */
double logits_accuracy(const float *logits, const int32_t *labels, uint32_t count, uint32_t classes);

#endif

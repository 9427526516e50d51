/* trial.h - one method on one model and one pack, from settings to numbers: what train, eval, predict,
 * pretrain and demo have in common. */
#ifndef VITRO_DRIVER_TRIAL_H
#define VITRO_DRIVER_TRIAL_H

#include "driver.h"
#include "json.h"
#include "machine.h"
#include "method_file.h"
#include "pack.h"
#include "progress.h"
#include "session.h"

struct trial { /* a zeroed one is empty; all but the machine and the pack are its own */
    struct machine *machine;
    const struct pack *pack; /* lent; NULL in predict */
    struct method *method;
    struct vit *vit;
    struct session *session;
    struct frozen *shared; /* where trials that join this one have the backbone in common */
    uint64_t seed;         /* of one that others join */
    int joined;            /* shared, and all of vit but the head, are another's */
};
void trial_finish(struct trial *t);

/* The steps in order; each refuses what is wrong before the next costs time. `machine` is lent; its
 * plugins and its device are opened by the first trial that needs them. */
int trial_method(struct trial *t, struct machine *machine, const struct settings *s, const char *text);
/* The pack of settings.data, at the side that --image, the pack or else the model asks for. */
int trial_pack(struct pack **out, const struct settings *s);
/* The model at that image side; classes 0: with its own head. */
int trial_model(struct trial *t, const struct settings *s, int size, int classes);
/* Both for a labelled pack, which is lent to the trial: its classes, its image side, its normalisation. */
int trial_start(struct trial *t, const struct settings *s, const struct pack *pack);
/* Before trial_start: others will join, to be trained in one command buffer. */
int trial_host(struct trial *t, const struct settings *s);
/* Instead of trial_start: the pack, the backbone and the device are those of `host`, which must outlive it. */
int trial_join(struct trial *t, const struct settings *s, const struct trial *host);
/* The device, and the tensors on it. */
int trial_session(struct trial *t, const struct settings *s, const double mean[3], const double deviation[3]);

struct trial_bar { /* how far a training is, on a bar that may be longer than it */
    struct progress *progress;
    double before; /* images on the bar when the training began */
    int32_t batch;
    const char *name; /* put before the loss; "" for none */
    int verbose;      /* a line for each epoch on stderr */
    int32_t epoch;    /* the last that was told */
    int told;         /* what is kept for all epochs */
};
/* How it trains on a split, for session_train; `identity` is the caller's to free (mem_free). `notes` may be NULL. */
int trial_training(const struct trial *t, const struct settings *s, enum pack_split split,
                   const struct json *notes, struct trial_bar *bar, struct train_spec *spec, char **identity);
/* Trains on a split, resuming from settings.checkpoint where that is; `notes` may be NULL. */
int trial_train(struct trial *t, const struct settings *s, enum pack_split split, const struct json *notes,
                struct trial_bar *bar, struct train_result *result);

/* A split's images, lent by the pack. */
struct images trial_images(const struct pack *pack, enum pack_split split);

struct accuracy {
    double share;
    uint32_t right, images;
    double seconds;
};
int trial_accuracy(struct trial *t, const struct settings *s, enum pack_split split, struct accuracy *out);
/* The same with a word on the terminal meanwhile. */
int trial_evaluate(struct trial *t, const struct settings *s, enum pack_split split, struct accuracy *out);

/* What the method was trained by and on: method_file.h's notes. */
int trial_notes(struct json **out, const struct trial *t, const struct settings *s);

#endif

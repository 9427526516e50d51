/* panel.h - what an analysis looks at: the finished trials of a study (or of several that may be compared) on
 * one backbone, in memory. Methods x packs x seeds; everything an analysis says is computed from the logits
 * held here, never from a stored accuracy. */
#ifndef VITRO_STUDY_PANEL_H
#define VITRO_STUDY_PANEL_H

#include <stdint.h>

enum { PANEL_ID = 65 };

enum panel_state {                /* of a trial */
                   PANEL_MISSING, /* not run, or its test split is still sealed */
                   PANEL_DONE,
                   PANEL_DIVERGED, /* the loss became infinite */
                   PANEL_FAILED,   /* crashed, hung, out of memory, refused; `reason` says which */
};
extern const char *const panel_states[]; /* "missing", "done", "diverged", "failed" */

struct panel_trial { /* one trial of the search for hyper-parameters, on train, judged on val */
    char id[PANEL_ID];
    const char *method; /* every option spelt out */
    double lr, decay;
    int32_t epochs; /* successive halving trains some for fewer */
    enum panel_state state;
    const char *reason;
    double val_accuracy; /* 0 .. 1; NaN unless done */
    double val_nll;
    double seconds; /* of training */
};

struct panel_run { /* the selected configuration trained again with one seed, and judged on test */
    enum panel_state state;
    const char *reason;
    char refit[PANEL_ID], final[PANEL_ID]; /* results' ids; "" when missing */
    const float *logits;                   /* [test_images][classes]; NULL unless done */
    double seconds, images_a_second;       /* of training */
    double test_images_a_second;
    uint64_t host_bytes, device_bytes; /* peaks */
    uint64_t stored_bytes;             /* of the trained method's file */
    const char *device;                /* name and driver */
};

struct panel_cell { /* a method on a pack */
    struct panel_trial *trials;
    uint32_t trial_count;
    int32_t chosen;    /* index into trials; -1: none */
    int32_t ties;      /* other trials with the same val accuracy as the chosen one */
    const char *edges; /* "lr at its lowest, r at its highest"; "" when the choice is inside its space */
    int64_t parameters, parameters_head; /* trainable, of the chosen configuration; head apart */
    const float *val_logits; /* [val_images][classes] of the chosen trial, which never saw val; NULL: none */
    struct panel_run *runs;  /* one a seed, in the panel's order of seeds */
};

struct panel_pack {
    const char *name, *task, *group; /* group: natural, specialised, structured, given */
    const char *fingerprint;
    int32_t classes, image;
    const char *normalise;
    uint32_t train_images, val_images, test_images;
    const int32_t *val_labels, *test_labels; /* test_labels NULL while every test split is sealed */
};

struct panel_method {
    const char *name;  /* as the recipe calls it: the row's name */
    const char *text;  /* as the recipe gives it: "lora[r=8]" */
    const char *space; /* what was searched, one line */
    double space_size; /* grid points; infinite for continuous ranges */
    uint32_t budget;   /* trials allowed a cell; 0: not limited by number */
};

struct panel_opening {                         /* a line of the ledger that concerns this panel */
    const char *when, *method, *pack, *reason; /* when: ISO 8601, UTC */
    uint64_t seed;
    char trial[PANEL_ID];
    int again; /* not the first of its (method, pack, seed) */
};

struct shift_run;
struct panel {
    const char *study, *recipe_hash; /* name; SHA-256 of the canonical recipe */
    const char *backbone, *backbone_hash;
    int32_t heads, act;   /* what the recipe has the weights read as (study.h) */
    const char *strategy; /* "grid of 6 trials a method", one line */
    int equal_budget;
    int refit_on_trainval;
    uint32_t method_count, pack_count, seed_count;
    const struct panel_method *methods;
    const struct panel_pack *packs;
    const uint64_t *seeds;
    struct panel_cell *cells; /* [method][pack] */
    const struct panel_opening *openings;
    uint32_t opening_count;
    int ledger_intact; /* the chain of the ledger's lines is unbroken */
    const struct shift_run
        *shifts; /* answers under shift (shift.h), of this panel's methods, packs and seeds */
    uint32_t shift_count;
    const char *const *flags; /* sentences that a reader must see: edited results, broken ledger ... */
    uint32_t flag_count;
};

static inline struct panel_cell *panel_at(const struct panel *p, uint32_t method, uint32_t pack)
{
    return &p->cells[(uint64_t)method * p->pack_count + pack];
}

#endif

/* analysis_ensembles.h - the parts of the ensembles' section: how answers are joined, and what is chosen on val. */
#ifndef VITRO_STUDY_ANALYSIS_ENSEMBLES_H
#define VITRO_STUDY_ANALYSIS_ENSEMBLES_H

#include "analysis_private.h"

enum rule { RULE_LOGITS, RULE_PROBABILITIES, RULE_VOTE, RULE_COUNT };

struct member {              /* one trained model */
    const float *logits;     /* [images][classes] */
    const int32_t *label;    /* [images] */
    const float *confidence; /* [images] of that label */
};
/* The joint answer to one image: the largest mean logit, the largest mean probability, or the label with most votes,
 * among equals the one whose voters are surest in sum, among those the lowest. `scratch` [2][classes]. */
int32_t ensemble_answer(enum rule rule, const struct member *members, uint32_t count, size_t image,
                        int32_t classes, double *scratch);

/* What val says of the methods that are complete on a pack and whose chosen trial has val logits. Better is more
 * right answers, then less negative log-likelihood, then the earlier method. */
struct selection {
    uint32_t candidates, *method; /* the panel's indices */
    uint32_t single;              /* the best alone */
    uint32_t pair[2];             /* the best pair; there with two candidates or more */
    uint32_t *path, steps;        /* greedy forward selection, in the order of joining */
    uint32_t greedy;              /* steps of it that were best */
};
int ensemble_select(struct analysis *a, uint32_t pack, struct selection *out);

enum kind { KIND_ALL, KIND_GREEDY, KIND_PAIR, KIND_SEEDS };
/* What a row of every pack's table means; the same rows on all packs, so that they can be averaged. */
struct definition {
    enum kind kind;
    enum rule rule;
    uint32_t size; /* of KIND_SEEDS: models joined */
};

struct gain {
    double value;
    struct interval interval;
};

struct outcome { /* of a definition on a pack */
    int there;
    const uint32_t *members; /* methods */
    uint32_t member_count, size;
    double accuracy, over_best;
    struct interval interval;
    struct gain over_single, over_seeds;
};

struct work { /* on one pack */
    uint32_t pack;
    struct selection chosen;
    uint32_t *complete; /* methods */
    double best, worst, mean;
    uint32_t best_single;
    struct outcome *outcomes; /* [definition] */
    unsigned char *right;     /* [definitions + 1][seed][image]; last: the method chosen on val */
    double *size_accuracy;    /* [steps of the greedy path] */
    struct member *members;   /* scratch [methods or seeds] */
    double *scratch;          /* [2][classes] */
};

struct plan {
    struct definition *rows;
    uint32_t count;
};

/* analysis_ensembles_table.c; `works` [packs of the basis] */
int ensemble_put_pack(struct analysis *a, struct json *packs, const struct work *w, const struct plan *plan);
/* A mean of rows is there when every pack of the basis has the row. */
int ensemble_put_mean(struct analysis *a, struct json *means, const struct work *works, uint32_t row,
                      const struct definition *d);
int ensemble_put_size_curve(struct analysis *a, struct json *section, const struct work *works);

#endif

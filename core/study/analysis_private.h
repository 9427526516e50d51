/* analysis_private.h - what the sections of an analysis share: answers read off the logits once, the bootstrap of a
 * set of packs, and helpers that hang values into the document. */
#ifndef VITRO_STUDY_ANALYSIS_PRIVATE_H
#define VITRO_STUDY_ANALYSIS_PRIVATE_H

#include "analysis.h"
#include "memory.h"
#include "stats.h"

#include <math.h>

/* One pack's answers on its test images. A method is complete when every seed is done: a mean over the seeds that
 * happened to survive would flatter a method that diverges. */
struct answers {
    uint32_t images;
    int32_t classes;
    unsigned char *state;    /* [method][seed] of enum panel_state: done only where logits can be used */
    const char **reason;     /* [method][seed] NULL where done */
    int32_t *label;          /* [method][seed][image] largest logit, the lowest class among equals */
    unsigned char *right;    /* [method][seed][image] */
    float *confidence;       /* [method][seed][image] largest probability */
    double *accuracy;        /* [method][seed] NaN unless done */
    double *mean;            /* [method] over seeds; NaN unless complete */
    unsigned char *complete; /* [method] */
    uint32_t completes;      /* how many */
};

/* The bootstrap of the methods that are complete on every pack of a list, all drawn alike. */
struct resample {
    uint32_t methods;
    uint32_t *method; /* [methods] the panel's indices, rising */
    size_t replicates;
    double *scores;            /* [replicates][methods] */
    double *mean;              /* [methods] as measured */
    struct interval *interval; /* [methods] */
    struct resample_pair {     /* a minus b, positions in `method`, a < b */
        uint32_t a, b;
        double difference, p, p_holm, improvement;
        struct interval interval;
    } * pairs; /* [methods (methods - 1) / 2] ordered by a, then b */
    uint32_t pair_count;
};

struct group {
    const char *name;
    uint32_t *packs, count;
};

struct analysis {
    const struct panel *panel;
    const struct analysis_options *options;
    struct arena memory;
    struct answers *answers;       /* [pack] */
    struct group *groups, whole;   /* in the order of their first pack; whole: every pack of the basis */
    uint32_t group_count;          /* packs that no method completed are in no group */
    unsigned char *overall_method; /* [method] complete on every pack of the basis */
    struct resample overall;
    size_t replicates; /* of the comparisons, see resample.c */
    struct json *document, *flags;
};

/* A text of the arena, printed as printf does; NULL when memory is out. */
char *analysis_format(struct analysis *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
int analysis_flag(struct analysis *a, const char *sentence); /* NULL is refused as out of memory */

/* analysis_json.c: a new value that hangs in `parent` at once, so that whoever fails frees only the document.
 * `key` is NULL when the parent is an array. */
int analysis_object(struct json **out, struct json *parent, const char *key);
int analysis_array(struct json **out, struct json *parent, const char *key);
int analysis_null(struct json *parent, const char *key);
int analysis_numbers(struct json *parent, const char *key, const double *values, size_t count);
int analysis_matrix(struct json *parent, const char *key, const double *values, size_t rows, size_t columns);
int analysis_indices(struct json *parent, const char *key, const uint32_t *values, size_t count);
int analysis_interval(struct json *object, const char *low, const char *high, struct interval i);

/* analysis_answers.c */
int answers_read(struct analysis *a);
double answers_accuracy(const float *logits, const int32_t *labels, uint32_t images, int32_t classes);
static inline size_t answers_row(const struct analysis *a, uint32_t method, uint32_t seed)
{
    return (size_t)method * a->panel->seed_count + seed;
}
static inline const struct panel_run *analysis_run(const struct analysis *a, uint32_t method, uint32_t pack,
                                                   uint32_t seed)
{
    return &panel_at(a->panel, method, pack)->runs[seed];
}

/* analysis_resample.c */
size_t resample_replicates(const struct analysis *a);
int resample_run(struct analysis *a, const uint32_t *packs, uint32_t count, struct resample *out);
/* The methods not told apart from the one with the highest mean, it included; [methods] at most. */
uint32_t resample_best(const struct analysis *a, const struct resample *r, uint32_t *best);
/* Of the overall bootstrap, the pair of two of the panel's methods (a < b); NULL where one of them has no overall mean. */
const struct resample_pair *resample_pair(const struct resample *r, uint32_t a, uint32_t b);

/* The sections, in the document's order. */
int analysis_study(struct analysis *a);
int analysis_badges(struct analysis *a, struct json *badges);
int analysis_packs(struct analysis *a);
int analysis_methods(struct analysis *a);
int analysis_accuracy(struct analysis *a);
int analysis_ranks(struct analysis *a);
int analysis_pairs(struct analysis *a);
int analysis_agreement(struct analysis *a);
int analysis_ensembles(struct analysis *a);
int analysis_calibration(struct analysis *a);
int analysis_tuning(struct analysis *a);
int analysis_shifts(struct analysis *a);
int analysis_cost(struct analysis *a);
int analysis_ledger(struct analysis *a);
int analysis_results(struct analysis *a);

#endif

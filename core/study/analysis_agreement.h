/* analysis_agreement.h - the measures of how alike two lists of answers are. */
#ifndef VITRO_STUDY_ANALYSIS_AGREEMENT_H
#define VITRO_STUDY_ANALYSIS_AGREEMENT_H

#include "analysis_private.h"

/* symbol, key: [method][method], the same seed of both unless said */
#define MEASURES(X)                                                                \
    X(SAME_LABEL, "same_label")                                                    \
    X(OTHER_SEED, "same_label_other_seed") /* over all pairs of different seeds */ \
    X(INDEPENDENT, "independent_same_label")                                       \
    X(KAPPA, "kappa")                                                              \
    X(ERROR_CONSISTENCY, "error_consistency")                                      \
    X(SAME_WRONG, "same_wrong") /* of the images that both get wrong */            \
    X(CONFIDENT_RIGHT, "confident_right")                                          \
    X(CONFIDENT_RIGHT_CHANCE, "confident_right_independent")                       \
    X(CONFIDENT_WRONG, "confident_wrong")                                          \
    X(CONFIDENT_WRONG_CHANCE, "confident_wrong_independent")                       \
    X(ORACLE, "oracle")

enum {
#define X(id, key) id,
    MEASURES(X)
#undef X
        MEASURE_COUNT
};
/* What is known of a pack before pairs are looked at. */
struct view {
    const struct answers *s;
    const int32_t *labels;
    uint32_t seeds;
    unsigned char *confident; /* [method][seed][image] in the half of which the method is surest */
    uint32_t *by_class;       /* [image] images ordered by label */
    uint32_t *histogram;      /* [class] all 0 between uses */
};

/* Everything that lasts as long as `scratch`. */
int view_open(struct analysis *a, uint32_t pack, struct view *v, struct arena *scratch);
/* Two rows of answers by every measure but OTHER_SEED: `out` [MEASURE_COUNT]. */
void view_compare(const struct view *v, size_t x, size_t y, double *out);
double view_same_label(const struct view *v, size_t x, size_t y);

/* How much more rarely two methods agree than two seeds of one, both with different seeds: the difference of rates, the
 * mean over packs, with an interval over images. */
struct control {
    double value;
    struct interval interval;
};
int control_measure(struct analysis *a, struct control *out);

#endif

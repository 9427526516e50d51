/* analysis_combine.c - one answer out of several models': the three rules. */
#include "analysis_ensembles.h"

static int32_t largest(const double *values, int32_t classes)
{
    int32_t best = 0;
    for (int32_t k = 1; k < classes; k++)
        if (values[k] > values[best])
            best = k;
    return best;
}

static void add_vote(const struct member *m, size_t image, double *votes, double *confidence)
{
    votes[m->label[image]] += 1;
    confidence[m->label[image]] += (double)m->confidence[image];
}

/* softmax from what is known already: exp(z - largest z) times the largest probability */
static void add_probabilities(const struct member *m, size_t image, int32_t classes, double *sum)
{
    const float *z = m->logits + image * (size_t)classes;
    double top = (double)z[m->label[image]], confidence = (double)m->confidence[image];
    for (int32_t k = 0; k < classes; k++)
        sum[k] += exp((double)z[k] - top) * confidence;
}

static int32_t most_votes(const double *votes, const double *confidence, int32_t classes)
{
    int32_t best = 0;
    for (int32_t k = 1; k < classes; k++)
        if (votes[k] > votes[best] || (votes[k] == votes[best] && confidence[k] > confidence[best]))
            best = k;
    return best;
}

int32_t ensemble_answer(enum rule rule, const struct member *members, uint32_t count, size_t image,
                        int32_t classes, double *scratch)
{
    double *sum = scratch, *confidence = scratch + classes;
    for (int32_t k = 0; k < 2 * classes; k++)
        scratch[k] = 0;
    for (uint32_t i = 0; i < count; i++) {
        const float *z = members[i].logits + image * (size_t)classes;
        if (rule == RULE_VOTE)
            add_vote(&members[i], image, sum, confidence);
        else if (rule == RULE_PROBABILITIES)
            add_probabilities(&members[i], image, classes, sum);
        else
            for (int32_t k = 0; k < classes; k++)
                sum[k] += (double)z[k];
    }
    return rule == RULE_VOTE ? most_votes(sum, confidence, classes) : largest(sum, classes);
}

/* stats.h - the statistics of a comparison. Plain arrays in, numbers out; nothing here knows a study.
 * Every function is deterministic: what draws at random takes a seed. */
#ifndef VITRO_STUDY_STATS_H
#define VITRO_STUDY_STATS_H

#include <stddef.h>
#include <stdint.h>

struct interval {
    double low, high;
};

/* Wilson's score interval for `right` of `count` (Wilson 1927), z = 1.96 for 95 %; 0 .. 1 of none. */
struct interval stats_wilson(uint64_t right, uint64_t count, double z);
double stats_mean(const double *values, size_t count);      /* NaN of none */
double stats_deviation(const double *values, size_t count); /* n - 1 below; 0 of fewer than two */
/* The q-quantile of sorted values, linear between neighbours (Hyndman and Fan's type 7, as NumPy); NaN of none. */
double stats_quantile(const double *sorted, size_t count, double q);

/* Exact two-sided McNemar test (McNemar 1947): of b + c discordant pairs, the binomial probability of a
 * split at least as uneven under p = 1/2; at most 1. */
double stats_mcnemar(uint64_t b, uint64_t c);
/* Holm's step-down adjustment (Holm 1979) of p-values, in place; each at most 1. Refuses what is no p-value, and
 * then changes none. */
int stats_holm(double *p, size_t count);

/* Cohen's kappa (Cohen 1960) of two labellings with labels 0 .. classes - 1; NaN when chance agreement is 1, of
 * no images, and when a label is not among the classes. */
double stats_kappa(const int32_t *a, const int32_t *b, size_t count, int32_t classes);
/* Error consistency (Geirhos et al. 2020, arXiv 2006.16736): kappa of right (not 0) and wrong (0). */
double stats_error_consistency(const unsigned char *right_a, const unsigned char *right_b, size_t count);

/* Ranks of values, 1 the largest; ties get the better rank (RANK_BEST) or the mean of theirs. NaN is refused, here
 * and wherever values are ordered. */
enum rank_ties { RANK_BEST, RANK_MEAN };
int stats_ranks(const double *values, size_t count, enum rank_ties ties, double *ranks);
/* How often each method has each rank: frequency[m * methods + r] tasks have method m at rank r + 1, from
 * values [tasks][methods]. A mean rank between two whole ones counts for the better of the two. */
int stats_rank_frequency(const double *values, size_t tasks, size_t methods, enum rank_ties ties,
                         uint32_t *frequency);
/* Friedman's chi-squared (Friedman 1937) of values [blocks][treatments], ranked within blocks, ties by their mean
 * rank and with the correction for them, and its p with treatments - 1 degrees of freedom; 0 and 1 where every
 * block is one tie. */
int stats_friedman(const double *values, size_t blocks, size_t treatments, double *chi2, double *p);

/* Expected best validation score of n trials drawn with replacement from those seen (Dodge et al. 2019,
 * arXiv 1909.03004, equation 4): out[n - 1] for n = 1 .. count, which is all that so many trials can tell. */
int stats_expected_best(const double *scores, size_t count, double *out);

/* Calibration. `logits` [count][classes], finite; a probability is the softmax of logits / temperature; the top label
 * is the first of the largest logits. */
enum { CALIBRATION_BINS = 15 };
struct calibration {
    double ece;   /* expected calibration error of the top label, equal-width bins (Guo et al. 2017,
                   * arXiv 1706.04599), closed above */
    double nll;   /* mean negative log-likelihood, natural logarithm */
    double brier; /* mean over images of the squared distance to the one-hot label, 0 .. 2 */
    double accuracy, confidence; /* means */
    struct {
        uint64_t count;
        double confidence, accuracy; /* means inside the bin; 0 when empty */
    } bins[CALIBRATION_BINS];
};
int stats_calibrate(const float *logits, const int32_t *labels, size_t count, int32_t classes,
                    double temperature, struct calibration *out);
/* The temperature in 0.01 .. 100 with the least NLL on these images (Guo et al. 2017); 1 where it changes nothing,
 * NaN of images that stats_calibrate refuses. */
double stats_temperature(const float *logits, const int32_t *labels, size_t count, int32_t classes);
/* Softmax of one row of logits / temperature into `out`. */
void stats_softmax(const float *logits, int32_t classes, double temperature, double *out);

/* Hierarchical bootstrap over tasks, seeds and images, paired over methods (Davison and Hinkley 1997,
 * section 3.8; rliable, arXiv 2108.13264, for stratification). Each replicate draws tasks, within a task seeds,
 * within a task images, with replacement, the same draw for all methods; a method's score is the mean over
 * drawn tasks of the mean over drawn seeds and images. Levels left out keep what was measured. A task that is
 * drawn twice draws its seeds and images twice; all seeds of a task share its images. Replicate i depends on
 * `seed` and i, not on how many there are. */
enum { BOOTSTRAP_TASKS = 1, BOOTSTRAP_SEEDS = 2, BOOTSTRAP_IMAGES = 4 };
struct bootstrap_task {
    uint32_t images;
    const unsigned char *right; /* [method][seed][image], 1 where right */
};
struct bootstrap {
    size_t methods, seeds, tasks;
    const struct bootstrap_task *task;
    uint32_t levels; /* what is drawn anew */
    size_t replicates;
    uint64_t seed;
};
/* scores [replicates][methods], each 0 .. 1 */
int stats_bootstrap(const struct bootstrap *b, double *scores);
/* Of paired replicate differences: percentile interval, and two-sided p = 2 min(share <= 0, share >= 0), at most
 * 1 and at least 2 / (count + 1); `p` may be NULL. `differences` gets sorted; NaN of none. */
struct interval stats_percentile(double *differences, size_t count, double level, double *p);

#endif

/* analysis_calibration.c - how far confidence means accuracy, before and after a temperature. The temperature is fitted
 * on the val logits of the chosen trial, which saw train alone, and applied to the test logits of every seed. */
#include "analysis_private.h"

#include "error.h"

struct sums {
    double ece, nll, brier, ece_after, nll_after, brier_after;
    double confidence[CALIBRATION_BINS], accuracy[CALIBRATION_BINS]; /* sums over images */
    uint64_t count[CALIBRATION_BINS];
};

/* NaN where there are no val logits */
static double fit(const struct analysis *a, uint32_t method, uint32_t pack)
{
    const struct panel_pack *p = &a->panel->packs[pack];
    const float *logits = panel_at(a->panel, method, pack)->val_logits;
    return logits && p->val_labels && p->val_images
               ? stats_temperature(logits, p->val_labels, p->val_images, p->classes)
               : NAN;
}

static int add_run(const struct analysis *a, uint32_t method, uint32_t pack, uint32_t seed,
                   double temperature, struct sums *sums)
{
    const struct panel_pack *p = &a->panel->packs[pack];
    const float *logits = analysis_run(a, method, pack, seed)->logits;
    double seeds = a->panel->seed_count;
    struct calibration before, after = {.ece = NAN, .nll = NAN, .brier = NAN};
    TRY(stats_calibrate(logits, p->test_labels, p->test_images, p->classes, 1, &before));
    if (isfinite(temperature))
        TRY(stats_calibrate(logits, p->test_labels, p->test_images, p->classes, temperature, &after));
    sums->ece += before.ece / seeds;
    sums->nll += before.nll / seeds;
    sums->brier += before.brier / seeds;
    sums->ece_after += after.ece / seeds;
    sums->nll_after += after.nll / seeds;
    sums->brier_after += after.brier / seeds;
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        double count = (double)before.bins[i].count;
        sums->count[i] += before.bins[i].count;
        sums->confidence[i] += before.bins[i].confidence * count;
        sums->accuracy[i] += before.bins[i].accuracy * count;
    }
    return 0;
}

static int put_bins(struct json *object, const struct sums *sums)
{
    struct json *bins, *bin;
    TRY(analysis_array(&bins, object, "bins"));
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        double count = (double)sums->count[i];
        TRY(analysis_object(&bin, bins, NULL));
        TRY(json_set_number(bin, "confidence", count > 0 ? sums->confidence[i] / count : NAN));
        TRY(json_set_number(bin, "accuracy", count > 0 ? sums->accuracy[i] / count : NAN));
        TRY(json_set_integer(bin, "count", (int64_t)sums->count[i]));
    }
    return 0;
}

static int put_cell(struct analysis *a, struct json *row, uint32_t method, uint32_t pack)
{
    struct sums sums = {0};
    struct json *object;
    if (!a->answers[pack].complete[method])
        return analysis_null(row, NULL);
    double temperature = fit(a, method, pack);
    for (uint32_t seed = 0; seed < a->panel->seed_count; seed++)
        TRY(add_run(a, method, pack, seed, temperature, &sums));
    TRY(analysis_object(&object, row, NULL));
    TRY(json_set_number(object, "ece", sums.ece));
    TRY(json_set_number(object, "nll", sums.nll));
    TRY(json_set_number(object, "brier", sums.brier));
    TRY(json_set_number(object, "temperature", temperature));
    TRY(json_set_number(object, "ece_after", sums.ece_after));
    TRY(json_set_number(object, "nll_after", sums.nll_after));
    TRY(json_set_number(object, "brier_after", sums.brier_after));
    return put_bins(object, &sums);
}

int analysis_calibration(struct analysis *a)
{
    struct json *section, *row;
    TRY(analysis_array(&section, a->document, "calibration"));
    for (uint32_t method = 0; method < a->panel->method_count; method++) {
        TRY(analysis_array(&row, section, NULL));
        for (uint32_t pack = 0; pack < a->panel->pack_count; pack++)
            TRY(put_cell(a, row, method, pack));
    }
    return 0;
}

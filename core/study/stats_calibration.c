/* stats_calibration.c - probabilities from logits, how well they are calibrated, and the temperature that
 * calibrates them; see stats.h. */
#include "stats.h"

#include "error.h"
#include "session.h"

#include <math.h>
#include <string.h>

static const double TEMPERATURE_LEAST = 0.01, TEMPERATURE_MOST = 100;

void stats_softmax(const float *logits, int32_t classes, double temperature, double *out)
{
    if (classes < 1)
        return;
    double largest = (double)logits[logits_likeliest(logits, classes)], sum = 0;
    for (int32_t c = 0; c < classes; c++) {
        out[c] = exp(((double)logits[c] - largest) / temperature);
        sum += out[c];
    }
    for (int32_t c = 0; c < classes; c++)
        out[c] /= sum;
}

static int refuse_images(const char *who, const float *logits, const int32_t *labels, size_t count,
                         int32_t classes)
{
    if (!count || classes < 1)
        return fail(ERR_INPUT, "%s: %zu images of %d classes; it takes one of each at least", who, count,
                    (int)classes);
    for (size_t i = 0; i < count; i++) {
        if (labels[i] < 0 || labels[i] >= classes)
            return fail(ERR_INPUT, "%s: image %zu has label %d; there are %d classes", who, i, (int)labels[i],
                        (int)classes);
        for (int32_t c = 0; c < classes; c++)
            if (!isfinite(logits[i * (size_t)classes + (size_t)c]))
                return fail(ERR_INPUT,
                            "%s: logit %d of image %zu is not a finite number; leave this trial out", who,
                            (int)c, i);
    }
    return 0;
}

/* Bins are open below and closed above, but for the first (Guo et al.), and their edges the nearest doubles to
 * i / CALIBRATION_BINS: an exact tie of three classes lies in the bin that ends at 1/3. */
static int bin_of(double confidence)
{
    int bin = (int)(confidence * CALIBRATION_BINS);
    if (bin >= CALIBRATION_BINS)
        bin = CALIBRATION_BINS - 1;
    while (bin > 0 && confidence <= (double)bin / CALIBRATION_BINS)
        bin--;
    while (bin < CALIBRATION_BINS - 1 && confidence > (double)(bin + 1) / CALIBRATION_BINS)
        bin++;
    return bin;
}

/* Adds one image. With e_c = exp((z_c - max) / T), all that differs from 1 by little is kept as its distance
 * to 1, which comes from the sum over the other classes. */
static void add_image(struct calibration *out, const float *logits, int32_t label, int32_t classes,
                      double temperature)
{
    int32_t top = logits_likeliest(logits, classes);
    double largest = (double)logits[top], below_top = 0, not_label = 0, squares = 0;
    for (int32_t c = 0; c < classes; c++) {
        double e = exp(((double)logits[c] - largest) / temperature);
        if (c != top)
            below_top += e;
        if (c != label) {
            not_label += e;
            squares += e * e;
        }
    }
    double sum = 1 + below_top, confidence = 1 / sum, miss = not_label / sum;
    out->nll += log1p(below_top) + (largest - (double)logits[label]) / temperature;
    out->brier += miss * miss + squares / (sum * sum);
    int bin = bin_of(confidence);
    out->bins[bin].count++;
    out->bins[bin].confidence += confidence;
    out->bins[bin].accuracy += top == label;
    out->confidence += confidence;
    out->accuracy += top == label;
}

int stats_calibrate(const float *logits, const int32_t *labels, size_t count, int32_t classes,
                    double temperature, struct calibration *out)
{
    memset(out, 0, sizeof *out);
    if (!(temperature > 0) || isinf(temperature))
        return fail(ERR_INPUT, "calibration: the temperature is %g; it must be positive", temperature);
    TRY(refuse_images("calibration", logits, labels, count, classes));
    for (size_t i = 0; i < count; i++)
        add_image(out, logits + i * (size_t)classes, labels[i], classes, temperature);
    double n = (double)count;
    for (int b = 0; b < CALIBRATION_BINS; b++) {
        out->ece += fabs(out->bins[b].accuracy - out->bins[b].confidence) / n;
        if (out->bins[b].count) {
            out->bins[b].confidence /= (double)out->bins[b].count;
            out->bins[b].accuracy /= (double)out->bins[b].count;
        }
    }
    out->nll /= n;
    out->brier /= n;
    out->accuracy /= n;
    out->confidence /= n;
    return 0;
}

/* First and second derivative, by the inverse temperature, of the mean NLL: the mean of E[z] - z_label and of
 * Var[z], both under the softmax of inverse * z. */
static void nll_slope(const float *logits, const int32_t *labels, size_t count, int32_t classes,
                      double inverse, double *slope, double *curvature)
{
    *slope = *curvature = 0;
    for (size_t i = 0; i < count; i++) {
        const float *z = logits + i * (size_t)classes;
        double largest = (double)z[logits_likeliest(z, classes)], sum = 0, first = 0, second = 0;
        for (int32_t c = 0; c < classes; c++) {
            double d = (double)z[c] - largest, e = exp(inverse * d);
            sum += e;
            first += e * d;
            second += e * d * d;
        }
        first /= sum;
        *slope += first - ((double)z[labels[i]] - largest);
        *curvature += second / sum - first * first;
    }
    *slope /= (double)count;
    *curvature /= (double)count;
}

/* NLL is convex in 1 / T, so its slope has one root: Newton's step, halving the bracket where that leaves it. */
double stats_temperature(const float *logits, const int32_t *labels, size_t count, int32_t classes)
{
    enum { MOST_STEPS = 200 };
    const double close = 1e-14; /* relative; a step of rounding */
    if (refuse_images("temperature", logits, labels, count, classes) < 0)
        return NAN;
    double low = 1 / TEMPERATURE_MOST, high = 1 / TEMPERATURE_LEAST, inverse = 1, slope, least, curvature;
    nll_slope(logits, labels, count, classes, low, &least, &curvature);
    nll_slope(logits, labels, count, classes, high, &slope, &curvature);
    if (least == 0 && slope == 0)
        return 1; /* every row of logits is constant: no temperature changes anything */
    if (least >= 0)
        return TEMPERATURE_MOST;
    if (slope <= 0)
        return TEMPERATURE_LEAST;
    for (int i = 0; i < MOST_STEPS; i++) {
        nll_slope(logits, labels, count, classes, inverse, &slope, &curvature);
        double next = inverse - slope / curvature;
        if (fabs(next - inverse) <= close * inverse)
            break;
        if (slope < 0)
            low = inverse;
        else
            high = inverse;
        inverse = next > low && next < high ? next : sqrt(low * high); /* also where the curvature is 0 */
    }
    return 1 / inverse;
}

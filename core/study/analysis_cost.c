/* analysis_cost.c - what each cell cost, and where its numbers come from: the ledger's lines and the results' names. */
#include "analysis_private.h"

#include "error.h"

#include <stdio.h>
#include <string.h>

/* Of the runs that were trained, tested or not: times are means over them, bytes the most. */
struct cost {
    uint32_t trained, tested;
    double seconds, rate, test_rate;
    uint64_t host, device_bytes, stored;
    const char *device;
};

static struct cost sum_runs(const struct analysis *a, uint32_t method, uint32_t pack)
{
    struct cost c = {0};
    for (uint32_t seed = 0; seed < a->panel->seed_count; seed++) {
        const struct panel_run *run = analysis_run(a, method, pack, seed);
        if (!(run->seconds > 0) || run->state == PANEL_DIVERGED || run->state == PANEL_FAILED)
            continue;
        c.trained++;
        c.seconds += run->seconds;
        c.rate += run->images_a_second;
        c.tested += run->test_images_a_second > 0;
        c.test_rate += run->test_images_a_second > 0 ? run->test_images_a_second : 0;
        c.host = run->host_bytes > c.host ? run->host_bytes : c.host;
        c.device_bytes = run->device_bytes > c.device_bytes ? run->device_bytes : c.device_bytes;
        c.stored = run->stored_bytes > c.stored ? run->stored_bytes : c.stored;
        if (!c.device)
            c.device = run->device;
    }
    return c;
}

static double spent(const struct panel_cell *cell)
{
    double seconds = 0;
    for (uint32_t i = 0; i < cell->trial_count; i++)
        seconds += isfinite(cell->trials[i].seconds) ? cell->trials[i].seconds : 0;
    return seconds;
}

static int put_cell(struct analysis *a, struct json *row, uint32_t method, uint32_t pack)
{
    struct cost c = sum_runs(a, method, pack);
    struct json *object;
    TRY(analysis_object(&object, row, NULL));
    TRY(json_set_number(object, "tuning_seconds", spent(panel_at(a->panel, method, pack))));
    TRY(json_set_number(object, "train_seconds", c.trained ? c.seconds / c.trained : NAN));
    TRY(json_set_number(object, "images_a_second", c.trained ? c.rate / c.trained : NAN));
    TRY(json_set_number(object, "test_images_a_second", c.tested ? c.test_rate / c.tested : NAN));
    TRY(json_set_number(object, "host_bytes", c.trained ? (double)c.host : NAN));
    TRY(json_set_number(object, "device_bytes", c.trained ? (double)c.device_bytes : NAN));
    TRY(json_set_number(object, "stored_bytes", c.trained ? (double)c.stored : NAN));
    return json_set_string(object, "device", c.device);
}

/* Seconds of two devices do not compare. */
static int flag_devices(struct analysis *a)
{
    const char *first = NULL;
    for (uint32_t method = 0; method < a->panel->method_count; method++)
        for (uint32_t pack = 0; pack < a->panel->pack_count; pack++)
            for (uint32_t seed = 0; seed < a->panel->seed_count; seed++) {
                const struct panel_run *run = analysis_run(a, method, pack, seed);
                if (!run->device || !*run->device)
                    continue;
                if (first && strcmp(first, run->device) != 0)
                    return analysis_flag(
                        a, analysis_format(a,
                                           "times are of different devices, %s and %s among them; "
                                           "they do not compare",
                                           first, run->device));
                first = run->device;
            }
    return 0;
}

int analysis_cost(struct analysis *a)
{
    struct json *section, *row;
    TRY(analysis_array(&section, a->document, "cost"));
    for (uint32_t method = 0; method < a->panel->method_count; method++) {
        TRY(analysis_array(&row, section, NULL));
        for (uint32_t pack = 0; pack < a->panel->pack_count; pack++)
            TRY(put_cell(a, row, method, pack));
    }
    return flag_devices(a);
}

static int put_seed(struct json *object, uint64_t seed)
{
    char text[24]; /* a JSON number would round seeds above 2^53 */
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    return json_set_string(object, "seed", text);
}

int analysis_ledger(struct analysis *a)
{
    struct json *section, *object;
    TRY(analysis_array(&section, a->document, "ledger"));
    for (uint32_t i = 0; i < a->panel->opening_count; i++) {
        const struct panel_opening *o = &a->panel->openings[i];
        TRY(analysis_object(&object, section, NULL));
        TRY(json_set_string(object, "when", o->when));
        TRY(json_set_string(object, "method", o->method));
        TRY(json_set_string(object, "pack", o->pack));
        TRY(put_seed(object, o->seed));
        TRY(json_set_string(object, "trial", o->trial));
        TRY(json_set_string(object, "reason", o->reason));
        TRY(json_set_bool(object, "again", o->again));
    }
    return 0;
}

int analysis_results(struct analysis *a)
{
    const struct panel *panel = a->panel;
    struct json *section, *object;
    TRY(analysis_array(&section, a->document, "results"));
    for (uint32_t method = 0; method < panel->method_count; method++)
        for (uint32_t pack = 0; pack < panel->pack_count; pack++)
            for (uint32_t seed = 0; seed < panel->seed_count; seed++) {
                const struct panel_run *run = analysis_run(a, method, pack, seed);
                size_t row = answers_row(a, method, seed);
                TRY(analysis_object(&object, section, NULL));
                TRY(json_set_integer(object, "method", method));
                TRY(json_set_integer(object, "pack", pack));
                TRY(put_seed(object, panel->seeds[seed]));
                TRY(json_set_string(object, "refit", run->refit));
                TRY(json_set_string(object, "final", run->final));
                TRY(json_set_string(object, "state", panel_states[a->answers[pack].state[row]]));
                TRY(json_set_string(object, "reason", a->answers[pack].reason[row]));
            }
    return 0;
}

/* verb_robust.c - `vitro robust`: how much trained methods lose where the images have changed. */
#include "opening.h"
#include "shift_work.h"
#include "study_view.h"

static int run(const struct settings *s)
{
    return shift_work(s, SHIFT_ROBUST);
}

static const struct argument_group *const groups[] = {&group_shift, &group_opening, &group_view,
                                                      &group_data,  &group_machine, &group_plugins,
                                                      &group_json,  &group_general, NULL};
const struct verb verb_robust = {
    .name = "robust",
    .summary = "how much methods lose on corrupted images and other data",
    .synopsis = "STUDY|FILE.safetensors [--shifts LIST] [--final]",
    .about =
        "Judges every trained method of a study, or one that `vitro train --save` wrote, on its validation "
        "images "
        "corrupted in ImageNet-C's 15 ways, and on other data sets of the same classes; with --final on test "
        "images, which the store's ledger records. The answers stay in the store; the report of the study "
        "shows "
        "them. docs/robustness.md says what the numbers are.",
    .examples = {"vitro robust demo --final",
                 "vitro robust demo --shifts corruptions:3,sketch=sketch-224.pack --final",
                 "vitro robust lora.safetensors --shifts fog,snow"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = 1,
    .rest_name = "STUDY",
    .run = run,
};

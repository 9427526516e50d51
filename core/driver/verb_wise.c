/* verb_wise.c - `vitro wise`: trained methods on their way back to the backbone. */
#include "opening.h"
#include "shift_work.h"
#include "study_view.h"
#include "way.h"

#include <stddef.h>

static int run(const struct settings *s)
{
    if (s->alphas == 1)
        return fail(ERR_USAGE, "--alphas needs at least 2: the backbone and the trained method");
    return shift_work(s, SHIFT_WISE);
}

/* settings.way_head counts from 1; 0 leaves it to the recipe. */
static const char *const heads[] = {"recipe", "own", "probe", "tuned", NULL};
_Static_assert(sizeof heads / sizeof *heads == WAY_HEADS + 2, "every head of way.h has a name here");

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"alphas", 0, ARGUMENT_WHOLE, FIELD(alphas), 0, 101, NULL, "N",
     "points from 0 to 1; 0: as many as the study's recipe says, else 11"},
    {"head", 0, ARGUMENT_CHOICE, FIELD(way_head), 0, 0, heads, "NAME",
     "of alpha 0: `recipe` what the study's recipe says, else probe; `probe` the linear probe's (a study's "
     "own, or --probe) and `tuned` where there is none; "
     "`tuned` the "
     "trained one, so that only the body goes back; `own` the one that training began with"},
    {"probe", 0, ARGUMENT_TEXT, FIELD(probe), 0, 0, NULL, "FILE",
     "the linear probe of a single method: `vitro train --method linear --save` on the same data"},
    {0}};
static const struct argument_group group = {"Way back", rows};
static const struct argument_group *const groups[] = {
    &group,         &group_shift,   &group_opening, &group_view,    &group_data,
    &group_machine, &group_plugins, &group_json,    &group_general, NULL};
const struct verb verb_wise = {
    .name = "wise",
    .summary = "accuracy between the backbone and trained methods (WiSE)",
    .synopsis = "STUDY|FILE.safetensors [--shifts LIST] [--final]",
    .about =
        "Interpolates the weights of trained methods, plugin or full fine-tuning, with the backbone's "
        "(WiSE-FT, "
        "Wortsman et al. 2022) and judges them at each alpha on clean and on shifted images. The best alpha "
        "is "
        "chosen on validation images alone. Beside it the control: the probabilities of backbone and trained "
        "model, mixed. A method without a way back says so and shows the control. docs/robustness.md says "
        "more.",
    .examples = {"vitro wise demo --shifts corruptions:3 --final",
                 "vitro wise lora.safetensors --probe linear.safetensors --shifts fog:3"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = 1,
    .rest_name = "STUDY",
    .run = run,
};

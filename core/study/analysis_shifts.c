/* analysis_shifts.c - what the methods answer where the images have changed, and on their way back to the backbone. */
#include "analysis_private.h"

#include "shift.h"

int analysis_shifts(struct analysis *a)
{
    static const size_t most = 1000; /* each replicate draws every image of every set */
    const struct shift_options options = {.replicates =
                                              a->options->replicates < most ? a->options->replicates : most,
                                          .level = a->options->level,
                                          .seed = a->options->seed};
    return shift_describe(a->document, a->panel->shifts, a->panel->shift_count, a->panel->method_count,
                          &options);
}

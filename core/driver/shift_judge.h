/* shift_judge.h - a trained method judged on shifted images, as it is or on its way back to the backbone. */
#ifndef VITRO_DRIVER_SHIFT_JUDGE_H
#define VITRO_DRIVER_SHIFT_JUDGE_H

#include "machine.h"
#include "shift_sets.h"
#include "way.h"

struct subject {          /* all lent */
    const char *file;     /* what `vitro train --save` wrote, or a refit's */
    const char *name;     /* for people */
    const char *refit;    /* the result's id, or "" */
    const char *probe;    /* a linear probe's file on the same data, or NULL */
    struct settings with; /* model, plugins, batch */
};

struct judging {
    struct machine *machine;
    struct shift_sets *sets;
    const struct study *study; /* NULL: none */
    enum shift_kind kind;
    enum way_head head;   /* WISE; WAY_PROBE falls back to WAY_TUNED where there is no probe */
    uint32_t alpha_count; /* WISE: from 0 to 1 */
};

/* What is judged, canonical: its hash names the result. The caller destroys it. */
int shift_spec(struct json **out, const struct judging *j, const struct subject *subject);
/* The answers, in the arena; `total` and what is done of it go to the bar. */
struct progress;
int shift_judge(struct shift_run *out, struct arena *arena, const struct judging *j,
                const struct subject *subject, struct progress *bar);

#endif

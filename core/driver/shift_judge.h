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

/* What the plain backbone with a probe's head answers, kept for the methods that go back to the same one. */
struct anchors {
    char probe[HASH_TEXT]; /* of its file; "": none yet */
    float **logits;        /* [sets], NULL: not yet, or too many to keep */
    uint32_t count;
    size_t held; /* bytes */
};
void anchors_finish(struct anchors *a);

struct judging {
    struct machine *machine;
    struct shift_sets *sets;
    const struct study *study; /* NULL: none */
    enum shift_kind kind;
    enum way_head head;      /* WISE; WAY_PROBE falls back to WAY_TUNED where there is no probe */
    uint32_t alpha_count;    /* WISE: from 0 to 1 */
    struct anchors *anchors; /* WISE; NULL: keep none */
};

/* What is judged, canonical: its hash names the result. The caller destroys it. */
int shift_spec(struct json **out, const struct judging *j, const struct subject *subject);
/* The answers, in the arena; `total` and what is done of it go to the bar. */
struct progress;
int shift_judge(struct shift_run *out, struct arena *arena, const struct judging *j,
                const struct subject *subject, struct progress *bar);

#endif

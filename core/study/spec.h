/* spec.h - a trial as JSON (docs/store.md). */
#ifndef VITRO_STUDY_SPEC_H
#define VITRO_STUDY_SPEC_H

#include "plan.h"

struct spec_of { /* a point of a resolved study */
    const struct study *study;
    uint32_t backbone, pack, method;
    const struct point *point;
    enum stage stage;
    uint64_t seed;
    int32_t epochs;    /* 0: the study's; halving trains some for fewer, with its warm-up in proportion */
    const char *refit; /* FINAL: the id of what is judged; else NULL */
};
int spec_build(struct json **out, const struct spec_of *o);

/* Whether two trials can be trained in one command buffer (session_train_packed): the same stage, backbone, data and
 * split, and as many steps of as many images in the same precision. */
int spec_can_share(const struct json *a, const struct json *b);

#endif

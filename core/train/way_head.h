/* way_head.h - which head the backbone's end of a way has (way.h). */
#ifndef VITRO_TRAIN_WAY_HEAD_H
#define VITRO_TRAIN_WAY_HEAD_H

enum way_head {
    WAY_OWN,   /* the backbone's, as method_initial gives it */
    WAY_PROBE, /* of a linear probe: `weight` and `bias` */
    WAY_TUNED, /* the trained one: the head does not move */
    WAY_HEADS
};
extern const char *const way_heads[]; /* own, probe, tuned; ended by NULL */

#endif

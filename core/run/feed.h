/* feed.h - a data set on the device: all images as bytes, all labels. */
#ifndef VITRO_RUN_FEED_H
#define VITRO_RUN_FEED_H

#include "buffer.h"
#include "engine.h"

struct feed {
    struct buffer images, labels;
    struct device *device;
    int32_t count, side; /* images [count][side][side][3] */
};

/* Copies; the caller keeps its arrays. */
int feed_create(struct feed *out, struct engine *engine, const unsigned char *images, const int32_t *labels,
                int32_t count, int32_t side);
/* Frees the images, which then no program may use; the labels stay. */
void feed_drop_images(struct feed *f);
void feed_destroy(struct feed *f); /* zeroed is fine */

#endif

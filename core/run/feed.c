/* feed.c - see feed.h. */
#include "feed.h"

#include "error.h"

int feed_create(struct feed *out, struct engine *engine, const unsigned char *images, const int32_t *labels,
                int32_t count, int32_t side)
{
    int rc;
    struct feed f = {.device = engine_device(engine), .count = count, .side = side};
    size_t bytes = (size_t)count * (size_t)side * (size_t)side * 3,
           label_bytes = (size_t)count * sizeof *labels;
    TRY_OUT(buffer_create(&f.images, f.device, BUFFER_DEVICE, (bytes + 3) & ~(size_t)3, "images"));
    TRY_OUT(buffer_create(&f.labels, f.device, BUFFER_DEVICE, label_bytes, "labels"));
    TRY_OUT(buffer_write(f.device, &f.images, 0, images, bytes));
    TRY_OUT(buffer_write(f.device, &f.labels, 0, labels, label_bytes));
    *out = f;
    return 0;
out:
    feed_destroy(&f);
    return rc;
}

void feed_drop_images(struct feed *f)
{
    buffer_destroy(f->device, &f->images);
}

void feed_destroy(struct feed *f)
{
    if (!f || !f->device)
        return;
    buffer_destroy(f->device, &f->images);
    buffer_destroy(f->device, &f->labels);
    *f = (struct feed){0};
}

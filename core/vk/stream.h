/* stream.h - recorded work: a command buffer filled once and submitted any number of times.
 *
 * Submits of one device run in order. A recording holds addresses and push constants as they were;
 * what changes from replay to replay lives in device memory. */
#ifndef VITRO_VK_STREAM_H
#define VITRO_VK_STREAM_H

#include <stdint.h>

struct device;
struct kernel;
struct buffer;
struct stream;

/* `profile` gives every dispatch a pair of timestamps. */
int stream_create(struct stream **out, struct device *d, int profile);
void stream_destroy(struct stream *s); /* waits for its submits; NULL is fine */

/* Recording. The first error is kept and returned by stream_end. `flops` and `bytes` describe the
 * work for profiles; 0: unknown. `label` is lent for the stream's life. */
struct dispatch {
    const struct kernel *kernel;
    const void *push; /* the kernel's push_bytes, copied */
    uint32_t groups[3];
    const char *label;
    double flops, bytes;
};
int stream_begin(struct stream *s); /* forgets what was recorded */
void stream_dispatch(struct stream *s, const struct dispatch *work);
void stream_barrier(struct stream *s); /* later work sees what earlier work wrote */
void stream_copy(struct stream *s, const struct buffer *from, uint64_t from_offset, const struct buffer *to,
                 uint64_t to_offset, uint64_t size);
int stream_end(struct stream *s);

/* Submits the recording and returns at once; its completion is counted. At most 8 submits of a
 * stream wait in the queue: one more blocks until the oldest is done. */
int stream_submit(struct stream *s);
/* Waits until at most `pending` of this stream's submits are unfinished (0: all done). */
int stream_wait(struct stream *s, uint32_t pending);

/* After a finished submit of a profiled stream: nanoseconds of dispatch i of the last submit. */
uint32_t stream_dispatch_count(const struct stream *s);
int stream_time(struct stream *s, uint32_t i, const char **label, const struct kernel **kernel, double *ns,
                double *flops, double *bytes);
/* Nanoseconds from the start of that submit's first dispatch to the start of dispatch i. */
int stream_start(struct stream *s, uint32_t i, double *ns);

#endif

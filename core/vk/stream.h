/* stream.h - recorded work: filled once and submitted any number of times.
 *
 * A recording is one segment or, where it was cut, several: command buffers that are submitted one by one, so
 * that no submit lasts long enough for a driver's watchdog. Submits of one device run in order. A recording holds addresses and push constants as they were;
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
/* Part of a dispatch, by a kernel that was made in_parts: workgroups are numbered from `base` on. */
void stream_dispatch_part(struct stream *s, const struct dispatch *work, const uint32_t base[3]);
void stream_barrier(struct stream *s); /* later work sees what earlier work wrote */
void stream_copy(struct stream *s, const struct buffer *from, uint64_t from_offset, const struct buffer *to,
                 uint64_t to_offset, uint64_t size);
void stream_cut(struct stream *s); /* what follows is another segment */
int stream_end(struct stream *s);
uint32_t stream_segment_count(const struct stream *s);

/* Submits the recording and returns at once; its completion is counted. At most 8 submits of a
 * stream wait in the queue: one more blocks until the oldest is done. */
int stream_submit(struct stream *s);
/* The recording `times` times over; one of a single segment `at_once` times a submit, at most 64. */
int stream_repeat(struct stream *s, uint32_t times, uint32_t at_once);
/* Once, each segment alone and waited for: seconds [segments] that the host saw it take. */
int stream_submit_timed(struct stream *s, double *seconds);
/* Waits until at most `pending` of the recording's submitted runs are unfinished (0: all done). */
int stream_wait(struct stream *s, uint32_t pending);

/* After a finished submit of a profiled stream: nanoseconds of dispatch i of the last submit. */
uint32_t stream_dispatch_count(const struct stream *s);
int stream_time(struct stream *s, uint32_t i, const char **label, const struct kernel **kernel, double *ns,
                double *flops, double *bytes);
/* Nanoseconds from the start of that submit's first dispatch to the start of dispatch i. */
int stream_start(struct stream *s, uint32_t i, double *ns);

#endif

/* buffer.h - device memory, reached from kernels by its 64-bit address. */
#ifndef VITRO_VK_BUFFER_H
#define VITRO_VK_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct device;

struct buffer {       /* read only; a zeroed one is none */
    uint64_t address; /* on the device */
    size_t size;      /* bytes asked for; 64 KiB of readable slack follow, so that a vector load
                         may run past the end */
    void *mapped;     /* host pointer when the memory is host-visible, else NULL */
    struct buffer_object *object;
};

/* HOST: host-visible and coherent (staging, results, small control blocks); DEVICE: wherever the
 * device is fastest (may be mapped too where memory is shared). `name` is the debug name. Contents
 * start zeroed. */
enum buffer_kind { BUFFER_DEVICE, BUFFER_HOST };
int buffer_create(struct buffer *out, struct device *d, enum buffer_kind kind, size_t size, const char *name);
void buffer_destroy(struct device *d, struct buffer *b); /* zeroes *b; NULL and zeroed are fine */

/* Copies between host memory and any buffer, for set-up and results (staged if needed). They come after all work that
 * was submitted to the device before, and before all that is submitted later. */
int buffer_write(struct device *d, const struct buffer *b, size_t offset, const void *bytes, size_t size);
int buffer_read(struct device *d, const struct buffer *b, size_t offset, void *bytes, size_t size);

/* For tests: every buffer that there is on the device. */
typedef void buffer_see(void *context, const struct buffer *b);
void buffer_each(const struct device *d, buffer_see *see, void *context);

#endif

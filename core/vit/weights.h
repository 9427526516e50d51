/* weights.h - one weight file seen through its format: which of its tensors are which of ours. */
#ifndef VITRO_VIT_WEIGHTS_H
#define VITRO_VIT_WEIGHTS_H

#include "formats.h"
#include "model.h"
#include "tensor_file.h"

enum { WEIGHT_PARTS = 3, WEIGHT_NAME = 512 };

struct weights {
    struct tensor_file *file;
    const char *path;
    const struct weight_format *format;
    const char *wrapper, *prefix; /* in front of all names ("module."), and of most ("vit.") */
    unsigned char *used;          /* one per tensor of the file: it has been found */
};

struct weight_parts { /* what of the file makes up one of our tensors */
    const struct tensor_entry *part[WEIGHT_PARTS];
    int count; /* 0: it is not there */
    enum form form;
    char missing[WEIGHT_NAME]; /* count 0: the name looked for; "" where the format has no such tensor */
};

/* Opens the file and recognises its format by its names; a file of none is taken for timm's. */
int weights_open(struct weights *s, const char *path);
int weights_view(struct weights *s, const void *bytes, size_t size, const char *what);
void weights_close(struct weights *s); /* a zeroed one is fine */

/* One alternative of a row, `length` bytes of "encoder.layer.#.attention.{query,key,value}.weight", as the names it stands
 * for; how many. Of *s only wrapper and prefix are looked at. */
int weights_names(const struct weights *s, const char *pattern, size_t length, int32_t block,
                  char names[WEIGHT_PARTS][WEIGHT_NAME]);

/* The parts of our tensor `suffix` ("norm1.weight" with a block, "cls_token" with -1). */
void weights_find(struct weights *s, const char *suffix, int32_t block, struct weight_parts *out);
/* The next name from tensor *from on (which moves behind it) that is neither used nor known to be ignorable. */
const char *weights_extra(const struct weights *s, size_t *from);

/* Each part has the layout that `form` gives `shape` (ours, of that part); `heads` 0 leaves heads open. */
int weights_check(const struct weights *s, const struct weight_parts *p, struct shape shape, int32_t heads,
                  const char *about);
/* Elements of all parts, in our layout. */
int weights_read(struct weights *s, const struct weight_parts *p, struct shape shape, float *out);

#endif

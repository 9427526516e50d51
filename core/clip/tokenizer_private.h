/* tokenizer_private.h - what the tokenizer and the readers of its files share. */
#ifndef VITRO_CLIP_TOKENIZER_PRIVATE_H
#define VITRO_CLIP_TOKENIZER_PRIVATE_H

#include "tokenizer.h"

enum { TOKENIZER_BYTES = 256, TOKENIZER_MERGES_MAX = 1 << 20 };

/* One merge, in the letters that stand for bytes: "t" and "h", "th" and "e</w>". Returns 0 or negative with the
 * reason, without the place. The strings need not outlive the call. */
int tokenizer_add_merge(struct tokenizer *t, const char *left, size_t left_length, const char *right,
                        size_t right_length);
/* The number of the token so written, or -1. */
int64_t tokenizer_find(const struct tokenizer *t, const char *name, size_t length);

/* Reads every merge of a file. */
int tokenizer_read(struct tokenizer *t, const char *path);

#endif

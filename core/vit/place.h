/* place.h - where a value of a tape comes from, in words that the tape keeps (tape_place): "backbone at NORM1
 * of block 3", "lora at QKV of block 3", "lora's backward at NORM". */
#ifndef VITRO_VIT_PLACE_H
#define VITRO_VIT_PLACE_H

#include <stdint.h>

#include <vitro/method.h>

enum { PLACE_TEXT = 128 };

extern const char *const site_names[VITRO_SITE_COUNT]; /* "QKV" */
extern const char place_backbone[];                    /* who records what no method does */

/* `who` is a name, perhaps with what it does: "lora's backward". site -1: none; block -1: of no block. */
char *place_text(const char *who, int32_t site, int32_t block, char text[PLACE_TEXT]);

struct place {
    char who[PLACE_TEXT]; /* the name alone: "lora" */
    int32_t site, block;  /* -1: none */
};
/* 1 and *out, or 0 where the text is no place. NULL is none. */
int place_read(const char *text, struct place *out);

#endif

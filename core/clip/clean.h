/* clean.h - what CLIP does to a text before it is cut into words. */
#ifndef VITRO_CLIP_CLEAN_H
#define VITRO_CLIP_CLEAN_H

#include <stdint.h>

/* The text's code points, ended by a 0: HTML's character references resolved (by number, and the names amp,
 * lt, gt, quot, apos and nbsp), typographic quotes, ligatures and full-width forms made plain, control
 * characters left out, composed (NFC), white space single and none at the ends, lower case. What the original
 * does beyond that, guessing at texts whose encoding was mistaken, is not done. The caller frees *out
 * (mem_free). Negative: not UTF-8, out of memory; `text` is quoted in the sentence. */
int clean_text(const char *text, uint32_t **out);

#endif

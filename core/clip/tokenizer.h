/* tokenizer.h - CLIP's tokenizer: text to the numbers that its text tower takes (Radford et al. 2021,
 * arXiv:2103.00020; byte-pair encoding: Sennrich et al. 2016, arXiv:1508.07909).
 *
 * A text is cleaned (clean.h), cut into words, and each word's bytes are joined pair by pair in the order
 * of a list of merges. Tokens are numbered: the 256 bytes, the 256 bytes that end a word, the merges in
 * their order, the start and the end of a text. */
#ifndef VITRO_CLIP_TOKENIZER_H
#define VITRO_CLIP_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

struct tokenizer; /* read only once open */

/* Reads the merges from OpenAI's bpe_simple_vocab_16e6.txt.gz (of which the first 48,894 count), or from
 * Hugging Face's merges.txt or tokenizer.json; `path` may be a folder with one of them. */
int tokenizer_open(struct tokenizer **out, const char *path);
void tokenizer_close(struct tokenizer *t); /* NULL is fine */

uint32_t tokenizer_size(const struct tokenizer *t); /* rows that an embedding of its tokens has: 49,408 */

enum { TOKENIZER_TEXT_LIMIT = 16384 }; /* bytes of a text */
/* Start, the text's tokens, end; then zeros up to `room`. Returns how many there are, start and end
 * included, which may be more than `room`: then ids[room - 1] is not the end. Negative: not UTF-8, too long. */
int tokenizer_encode(const struct tokenizer *t, const char *text, uint32_t *ids, size_t room);

#endif

/* ledger_text.h - one line of the ledger as text: a JSON object whose "previous" is the SHA-256 of the line before
 * it (64 zeros for the first) and whose last member, "sha256", is that of all that stands before it in the line. So
 * the last line, which no other vouches for, cannot be changed by a slip either. */
#ifndef VITRO_STUDY_LEDGER_TEXT_H
#define VITRO_STUDY_LEDGER_TEXT_H

#include "hash.h"
#include "ledger.h"
#include "memory.h"

/* The text without a newline; the caller frees it (mem_free). */
int ledger_text_write(char **out, const struct ledger_line *line, const char *previous);
/* Reads `length` bytes; the texts are the arena's. Returns 1 when the line is whole and unchanged and follows
 * `previous` as that number, 0 when it is not but could be read, ERR_INPUT when it could not. */
int ledger_text_read(struct ledger_line *line, struct arena *texts, const char *bytes, size_t length,
                     const char *previous, uint64_t number);

#endif

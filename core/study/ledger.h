/* ledger.h - the append-only record of every time a test split was opened: one JSON line each, chained by hashes
 * so that a line changed or taken out shows. */
#ifndef VITRO_STUDY_LEDGER_H
#define VITRO_STUDY_LEDGER_H

#include <stddef.h>
#include <stdint.h>

struct ledger_line {                              /* texts lent by the ledger */
    uint64_t number;                              /* 1, 2, ... */
    const char *when;                             /* "2026-11-28T20:31:07Z" */
    const char *study, *method, *pack, *backbone; /* names, as the recipe gives them */
    const char *test;                             /* fingerprint of the test split */
    const char *model;                            /* SHA-256 of the weights */
    uint64_t seed;
    const char *trial;  /* id of the result that the opening is for */
    const char *reason; /* "" for the first opening of its (method, test split, weights, seed) */
};

struct ledger;
/* Reads the file, which need not be there; `intact` is 0 when the chain is broken, and `break_at` the first
 * line that does not fit. A line cut short by a crash at the very end is no break: it is dropped. */
int ledger_open(struct ledger **out, const char *path);
void ledger_close(struct ledger *l); /* NULL is fine */
size_t ledger_count(const struct ledger *l);
const struct ledger_line *ledger_at(const struct ledger *l, size_t i);
int ledger_intact(const struct ledger *l, uint64_t *break_at);

/* Records an opening, on disk before it returns, under a lock that other processes honour. The same trial again
 * (after a crash) adds nothing. Another trial of the same (method, test split, weights, seed) is refused
 * with a sentence unless `reason` says why; number and when of `line` are set here. */
int ledger_append(struct ledger *l, const struct ledger_line *line);

#endif

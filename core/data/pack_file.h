/* pack_file.h - writing packs, in one pass, to a file or to memory; for pack_build.c and builtin.c. */
#ifndef VITRO_DATA_PACK_FILE_H
#define VITRO_DATA_PACK_FILE_H

#include "pack.h"

/* Where each part lies, a function of the counts and the size alone. */
struct pack_layout {
    uint64_t labels[PACK_SPLITS], rgb[PACK_SPLITS], about;
};
struct pack_layout pack_layout(const uint32_t count[PACK_SPLITS], int size);

enum { PACK_VERSION = 1, PACK_HEAD = 64, PACK_TAIL = 80, PACK_COUNT_LIMIT = 1 << 24 };
extern const char pack_magic[8], pack_end_magic[8];

/* Labels are used as they lie in the file: refuses a big-endian machine. */
int pack_check_machine(void);

/* The whole's fingerprint, from the others in `info`. */
int pack_fingerprint(const struct pack_info *info, char text[65]);

struct pack_writer;

/* `info` (all but the fingerprints) and the labels must live until the end. A NULL path writes to
 * memory. */
int pack_writer_create(struct pack_writer **out, const char *path, const struct pack_info *info,
                       const int32_t *const labels[PACK_SPLITS]);
/* The pictures in order: train, val, test. */
int pack_writer_put(struct pack_writer *w, const unsigned char *rgb, size_t count);
/* Ends the writer either way; `out` receives an in-memory pack (NULL for a file). */
int pack_writer_finish(struct pack_writer *w, struct pack **out);
void pack_writer_abandon(struct pack_writer *w); /* NULL is fine */

/* Takes a block of a pack's bytes, also on failure. */
int pack_open_take(struct pack **out, unsigned char *bytes, size_t size);

#endif

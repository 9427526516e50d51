/* store.h - the folder that holds what studies have computed; docs/store.md says what lies where. One process at a
 * time writes to a store: it holds the lock. */
#ifndef VITRO_STUDY_STORE_H
#define VITRO_STUDY_STORE_H

#include "hash.h"
#include "json.h"
#include "panel.h"

#include <stddef.h>
#include <stdint.h>

enum { STORE_PATH = 4096 };

struct store;
/* Opens the folder; to write to it is to make it if need be and to hold its lock until store_close. */
int store_open(struct store **out, const char *folder, int write);
void store_close(struct store *s); /* NULL is fine */
/* Whether another process holds the lock now. */
int store_is_busy(const struct store *s);
const char *store_folder(const struct store *s);

/* Paths below the store. */
enum store_place {
    STORE_RESULT, /* results/XX/ID */
    STORE_WORK,   /* work/ID */
    STORE_STUDY,  /* studies/NAME */
    STORE_PACK,   /* packs/FINGERPRINT.pack */
    STORE_LEDGER, /* ledger.jsonl */
    STORE_INDEX,  /* index.sqlite */
    STORE_SHIFT,  /* shifts/XX/ID */
};
/* `name`: the ID, NAME or FINGERPRINT. `file`: what lies in that folder, or NULL. */
int store_path(const struct store *s, enum store_place place, const char *name, const char *file,
               char out[STORE_PATH]);

/* The SHA-256 of the trial's canonical text. */
int trial_id(const struct json *spec, char id[HASH_TEXT]);

int store_has(const struct store *s, const char *id);

/* A result, read and checked: the id fits the spec, the files fit their hashes, accuracy and nll are computed
 * from the logits. */
struct outcome {
    enum panel_state state; /* MISSING: there is no such result */
    int edited;             /* something does not fit; `reason` says what */
    char reason[512];
    double accuracy, nll; /* of what was judged; NaN where nothing was */
    int64_t parameters, parameters_head, stored_bytes, images;
    double seconds, images_a_second, eval_images_a_second; /* of run.json */
    uint64_t host_bytes, device_bytes;
    char device[160];
};
int store_outcome(const struct store *s, const char *id, struct outcome *out);
/* The logits [images][classes] and labels [images] that the result holds, checked against their hashes; the caller
 * frees both (mem_free). */
int store_logits(const struct store *s, const char *id, float **logits, int32_t **labels, uint32_t *images,
                 int32_t *classes);

/* Moves a finished folder, work/ID/out, into its place as a result, on disk before it returns. One that is there
 * already stays. */
int store_keep(struct store *s, const char *id);
/* Makes a result of a trial that gave none: what happened to it, in a sentence. */
int store_keep_failure(struct store *s, const struct json *spec, const char *id, const char *reason,
                       double seconds, uint64_t host_bytes);
/* Takes a result, or what is left of a trial's work, away. */
int store_remove(struct store *s, enum store_place place, const char *name);

#endif

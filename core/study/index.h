/* index.h - an SQLite index of a store's results, for looking things up; only index.c and index_query.c see SQLite.
 * Files are the truth: the index holds nothing that they do not, and is rebuilt from them. */
#ifndef VITRO_STUDY_INDEX_H
#define VITRO_STUDY_INDEX_H

#include "json.h"

struct index;
/* Opens or makes the index (write-ahead log, waits up to 5 s for other processes). One that is damaged or of another
 * version is refused with the remedy: `vitro db rebuild`. */
int index_open(struct index **out, const char *path);
void index_close(struct index *x); /* NULL is fine */
/* Removes the file, and what SQLite keeps beside it, so that a damaged index can be made anew. */
int index_remove(const char *path);

/* Adds or replaces a result: result.json and run.json as docs/store.md describes them (run may be NULL). */
int index_put(struct index *x, const struct json *result, const struct json *run);
/* Empties the index and reads every result below `folder` (results/XX/ID/); returns how many, or a negative code.
 * Results that cannot be read are skipped and counted in *bad. */
int index_rebuild(struct index *x, const char *folder, int *bad);

/* The one id that begins with `prefix` (4 or more hex digits) into id[65]; refuses none and several, by name. */
int index_resolve(struct index *x, const char *prefix, char id[65]);
/* Rows of a read-only SQL query as a JSON array of objects; anything that would write is refused. */
int index_query(struct index *x, const char *sql, struct json **rows);

#endif

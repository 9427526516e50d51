/* index_private.h - SQLite's side of the index, for index.c and index_query.c alone. */
#ifndef VITRO_STUDY_INDEX_PRIVATE_H
#define VITRO_STUDY_INDEX_PRIVATE_H

#include "index.h"

#include <sqlite3.h>

enum { PATIENCE_MS = 5000 }; /* with other processes */

struct index {
    char *path;
    sqlite3 *db;
    sqlite3_stmt *put;
};

/* What SQLite refused last, as a sentence; returns the code that goes with it. */
int index_refuse(sqlite3 *db, const char *path);

#endif

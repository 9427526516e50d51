/* index.c - see index.h: makes, checks and fills the index. */
#include "index_private.h"

#include "clock.h"
#include "error.h"
#include "index_row.h"
#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VERSION = 1 };
static const char remedy[] = "`vitro db rebuild` makes it anew from the results";

static const char make_table[] = "CREATE TABLE IF NOT EXISTS results ("
#define X(name, type, run, path) #name " " type ","
    INDEX_COLUMNS(X)
#undef X
        "CHECK (length(id) = 64));"
        "CREATE INDEX IF NOT EXISTS by_began ON results (began, id);"
        "CREATE INDEX IF NOT EXISTS by_method ON results (name, pack, seed);"
        "PRAGMA user_version = 1;"; /* VERSION */

int index_refuse(sqlite3 *db, const char *path)
{
    int code = db ? sqlite3_errcode(db) & 0xff : SQLITE_NOMEM;
    switch (code) {
    case SQLITE_NOMEM: return fail(ERR_MEMORY, "out of memory for the index %s", path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return fail(ERR_INPUT, "the index %s is damaged (%s); %s", path, sqlite3_errmsg(db), remedy);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail(ERR_IO, "the index %s has been in use by another process for %d s; try again", path,
                    PATIENCE_MS / 1000);
    default: return fail(ERR_IO, "the index %s cannot be used: %s", path, sqlite3_errmsg(db));
    }
}

/* The one number that the statement gives. */
static int ask(const struct index *x, const char *sql, int *number)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(x->db, sql, -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    *number = rc == SQLITE_ROW ? sqlite3_column_int(s, 0) : 0;
    rc = rc == SQLITE_ROW ? 0 : index_refuse(x->db, x->path);
    sqlite3_finalize(s);
    return rc;
}

static int tell(const struct index *x, const char *sql)
{
    return sqlite3_exec(x->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : index_refuse(x->db, x->path);
}

/* The change to a write-ahead log does not wait as other statements do when two processes make it at once. */
static int log_ahead(const struct index *x)
{
    double until = clock_seconds() + PATIENCE_MS / 1000.0;
    const struct timespec a_moment = {.tv_nsec = 20000000};
    while (sqlite3_exec(x->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK) {
        if ((sqlite3_errcode(x->db) & 0xff) != SQLITE_BUSY || clock_seconds() > until)
            return index_refuse(x->db, x->path);
        nanosleep(&a_moment, NULL);
    }
    return tell(x, "PRAGMA synchronous = NORMAL"); /* whatever a power cut takes is still in the files */
}

static int make(const struct index *x)
{
    TRY(log_ahead(x));
    TRY(tell(x, "BEGIN IMMEDIATE"));
    int rc = tell(x, make_table); /* another process may have come first */
    return rc < 0 ? (sqlite3_exec(x->db, "ROLLBACK", NULL, NULL, NULL), rc) : tell(x, "COMMIT");
}

static int check_health(const struct index *x)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(x->db, "PRAGMA quick_check(1)", -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    const char *says = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
    if (!says)
        rc = index_refuse(x->db, x->path);
    else
        rc = strcmp(says, "ok") == 0
                 ? 0
                 : fail(ERR_INPUT, "the index %s is damaged (%.200s); %s", x->path, says, remedy);
    sqlite3_finalize(s);
    return rc;
}

static int check_version(const struct index *x)
{
    int version, tables;
    TRY(tell(x, "BEGIN")); /* both of the same moment: another process may be making the table */
    TRY(ask(x, "PRAGMA user_version", &version));
    TRY(ask(x, "SELECT count(*) FROM sqlite_master", &tables));
    TRY(tell(x, "COMMIT"));
    if (version == 0 && tables == 0)
        return make(x);
    if (version != VERSION)
        return fail(ERR_INPUT, "the index %s is of version %d; this program makes version %d: %s", x->path,
                    version, VERSION, remedy);
    TRY(check_health(x));
    return log_ahead(x);
}

static int prepare_put(struct index *x)
{
    char sql[256] = "INSERT OR REPLACE INTO results VALUES (?";
    for (int i = 1; i < INDEX_COLUMN_COUNT; i++)
        strcat(sql, ",?");
    strcat(sql, ")");
    if (sqlite3_prepare_v2(x->db, sql, -1, &x->put, NULL) == SQLITE_OK)
        return 0;
    return fail(ERR_INPUT, "the index %s has other columns than this program's (%s); %s", x->path,
                sqlite3_errmsg(x->db), remedy);
}

int index_open(struct index **out, const char *path)
{
    struct index *x = mem_alloc(1, sizeof *x);
    *out = NULL;
    if (!x)
        return ERR_MEMORY;
    int rc = (x->path = mem_string(path)) ? 0 : ERR_MEMORY;
    if (rc == 0 &&
        sqlite3_open_v2(path, &x->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
        rc = index_refuse(x->db, path);
    if (rc == 0) {
        sqlite3_busy_timeout(x->db, PATIENCE_MS);
        rc = check_version(x);
    }
    if (rc == 0)
        rc = prepare_put(x);
    if (rc == 0)
        *out = x;
    else
        index_close(x);
    return rc;
}

void index_close(struct index *x)
{
    if (!x)
        return;
    sqlite3_finalize(x->put);
    sqlite3_close(x->db);
    mem_free(x->path);
    mem_free(x);
}

int index_remove(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    char name[4096];
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        if (unlink(name) < 0 && errno != ENOENT)
            return fail(ERR_IO, "%s cannot be removed: %s", name, strerror(errno));
    }
    return 0;
}

static int bind(sqlite3_stmt *s, int at, const struct index_value *v)
{
    switch (v->kind) {
    case INDEX_WHOLE: return sqlite3_bind_int64(s, at, v->whole);
    case INDEX_REAL: return sqlite3_bind_double(s, at, v->real);
    case INDEX_TEXT: return sqlite3_bind_text(s, at, v->text, -1, SQLITE_STATIC);
    default: return sqlite3_bind_null(s, at);
    }
}

static int put(void *context, const struct index_value *row)
{
    struct index *x = context;
    int rc = SQLITE_OK;
    for (int i = 0; i < INDEX_COLUMN_COUNT && rc == SQLITE_OK; i++)
        rc = bind(x->put, i + 1, &row[i]);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(x->put);
    rc = rc == SQLITE_DONE ? 0 : index_refuse(x->db, x->path);
    sqlite3_reset(x->put);
    sqlite3_clear_bindings(x->put); /* the texts are the document's */
    return rc;
}

int index_put(struct index *x, const struct json *result, const struct json *run)
{
    struct index_value row[INDEX_COLUMN_COUNT];
    TRY(index_row_read(row, result, run));
    return put(x, row);
}

int index_rebuild(struct index *x, const char *folder, int *bad)
{
    *bad = 0;
    TRY(tell(x, "BEGIN IMMEDIATE"));
    int rc = tell(x, "DELETE FROM results");
    if (rc == 0)
        rc = index_visit(folder, put, x, bad);
    int done = rc < 0 ? rc : tell(x, "COMMIT");
    if (done < 0)
        sqlite3_exec(x->db, "ROLLBACK", NULL, NULL, NULL); /* which leaves the sentence alone */
    return done < 0 ? done : rc;
}

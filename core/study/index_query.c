/* index_query.c - looks things up in the index: an id by its first digits, and questions in SQL. */
#include "index_private.h"

#include "error.h"

#include <stdio.h>
#include <string.h>

enum { ROWS_MOST = 1000000, PREFIX_LEAST = 4, NAMED = 3, SHOWN = 12 };

/* What several ids have in common is not enough: names the first of them. */
static int refuse_several(sqlite3_stmt *s, const char *prefix)
{
    char names[NAMED * 160] = "";
    for (int i = 0; i < NAMED; i++) {
        size_t used = strlen(names);
        const char *texts[4];
        for (int k = 0; k < 4; k++) {
            texts[k] = (const char *)sqlite3_column_text(s, k);
            texts[k] = texts[k] ? texts[k] : "?";
        }
        snprintf(names + used, sizeof names - used, "%s%.*s (%.40s on %.40s, seed %.20s)", i ? ", " : "",
                 SHOWN, texts[0], texts[1], texts[2], texts[3]);
        if (sqlite3_step(s) != SQLITE_ROW)
            return fail(ERR_INPUT, "several results begin with %s: %s; give more digits", prefix, names);
    }
    return fail(ERR_INPUT, "many results begin with %s: %s, ...; give more digits", prefix, names);
}

/* The statement gives the ids from the prefix on, in order, up to what could not begin with it. */
static int resolve(const struct index *x, sqlite3_stmt *s, const char *prefix, char id[65])
{
    char beyond[80];
    snprintf(beyond, sizeof beyond, "%sg", prefix);
    sqlite3_bind_text(s, 1, prefix, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, beyond, -1, SQLITE_STATIC);
    int rc = sqlite3_step(s);
    if (rc == SQLITE_DONE)
        return fail(ERR_INPUT, "no result begins with %s; `vitro db list` shows them", prefix);
    if (rc == SQLITE_ROW)
        snprintf(id, 65, "%s", (const char *)sqlite3_column_text(s, 0));
    if (rc == SQLITE_ROW)
        rc = sqlite3_step(s);
    if (rc == SQLITE_DONE)
        return 0;
    if (rc != SQLITE_ROW)
        return index_refuse(x->db, x->path);
    sqlite3_reset(s);
    sqlite3_step(s);
    return refuse_several(s, prefix);
}

int index_resolve(struct index *x, const char *prefix, char id[65])
{
    static const char ids[] =
        "SELECT id, coalesce(name, method), pack, seed FROM results WHERE id >= ? AND id < ? ORDER BY id";
    char lower[65] = "";
    size_t length = strlen(prefix);
    id[0] = 0;
    if (length < PREFIX_LEAST || length > 64 || strspn(prefix, "0123456789abcdefABCDEF") != length)
        return fail(ERR_INPUT, "\"%.80s\" is no id of a result; give %d to 64 of its hexadecimal digits",
                    prefix, PREFIX_LEAST);
    for (size_t i = 0; i < length; i++)
        lower[i] = (char)(prefix[i] >= 'A' && prefix[i] <= 'F' ? prefix[i] - 'A' + 'a' : prefix[i]);
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(x->db, ids, -1, &s, NULL) == SQLITE_OK ? resolve(x, s, lower, id)
                                                                       : index_refuse(x->db, x->path);
    if (rc < 0)
        id[0] = 0;
    sqlite3_finalize(s);
    return rc;
}

/* What a query may do: read. The one pragma shows what columns there are. */
static int allow(void *context, int action, const char *first, const char *second, const char *database,
                 const char *cause)
{
    (void)context, (void)second, (void)database, (void)cause;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_PRAGMA: return strcmp(first, "table_info") == 0 ? SQLITE_OK : SQLITE_DENY;
    default: return SQLITE_DENY;
    }
}

static int set_value(struct json *row, const char *name, sqlite3_stmt *s, int column)
{
    const int64_t exact = (int64_t)1 << 53; /* a larger one is kept as a text: JSON's numbers are doubles */
    switch (sqlite3_column_type(s, column)) {
    case SQLITE_NULL: return json_set_string(row, name, NULL);
    case SQLITE_FLOAT: return json_set_number(row, name, sqlite3_column_double(s, column));
    case SQLITE_INTEGER:
        if (sqlite3_column_int64(s, column) > -exact && sqlite3_column_int64(s, column) < exact)
            return json_set_integer(row, name, sqlite3_column_int64(s, column));
        break;
    }
    const char *text = (const char *)sqlite3_column_text(s, column);
    return json_set_string(row, name, text ? text : "");
}

static int add_row(struct json *rows, sqlite3_stmt *s)
{
    struct json *row = json_object();
    TRY(json_append_take(rows, row));
    for (int i = 0; i < sqlite3_column_count(s); i++)
        TRY(set_value(row, sqlite3_column_name(s, i), s, i));
    return 0;
}

/* The statement that the query is; refused when it is none, several or one that would do more than read. */
static int prepare_query(sqlite3 *db, const char *sql, sqlite3_stmt **s)
{
    const char *rest = NULL;
    sqlite3_stmt *more = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, s, &rest);
    if (rc == SQLITE_AUTH || (rc == SQLITE_OK && *s && !sqlite3_stmt_readonly(*s)))
        return fail(ERR_INPUT, "the query would do more than read, which is all it may: write a SELECT");
    if (rc != SQLITE_OK)
        return fail(ERR_INPUT, "the query is not understood: %s", sqlite3_errmsg(db));
    if (!*s)
        return fail(ERR_INPUT, "the query is empty; write a SELECT");
    rc = sqlite3_prepare_v2(db, rest, -1, &more, NULL); /* blanks and comments make no statement */
    int several = rc != SQLITE_OK || more;
    sqlite3_finalize(more);
    return several ? fail(ERR_INPUT, "the query is several statements; give one") : 0;
}

static int run_query(const struct index *x, sqlite3 *db, const char *sql, struct json *rows)
{
    sqlite3_stmt *s = NULL;
    int rc = prepare_query(db, sql, &s), step = SQLITE_DONE;
    for (int count = 0; rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW; count++)
        rc = count < ROWS_MOST ? add_row(rows, s)
                               : fail(ERR_INPUT, "the query gives more than %d rows; add a LIMIT", ROWS_MOST);
    if (rc == 0 && step == SQLITE_ERROR)
        rc = fail(ERR_INPUT, "the query cannot be answered: %s", sqlite3_errmsg(db));
    else if (rc == 0 && step != SQLITE_DONE)
        rc = index_refuse(db, x->path);
    sqlite3_finalize(s);
    return rc;
}

int index_query(struct index *x, const char *sql, struct json **rows)
{
    sqlite3 *db = NULL; /* a connection that cannot write, whatever the query is */
    int rc = 0;
    *rows = NULL;
    if (sqlite3_open_v2(x->path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        rc = index_refuse(db, x->path);
    if (rc == 0 && !(*rows = json_array()))
        rc = ERR_MEMORY;
    if (rc == 0) {
        sqlite3_busy_timeout(db, PATIENCE_MS);
        sqlite3_set_authorizer(db, allow, NULL);
        rc = run_query(x, db, sql, *rows);
    }
    sqlite3_close(db);
    if (rc < 0) {
        json_destroy(*rows);
        *rows = NULL;
    }
    return rc;
}

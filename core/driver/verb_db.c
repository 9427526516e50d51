/* verb_db.c - `vitro db`: the index of a store's results: made anew, listed, asked. */
#include "driver.h"
#include "file.h"
#include "index.h"
#include "table.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char list_query[] =
    "SELECT id, stage, name, method, pack, seed, outcome, accuracy, seconds, began "
    "FROM results ORDER BY began, id";
static const char table_query[] =
    "SELECT substr(id, 1, 12) AS id, stage, coalesce(name, method) AS method, pack, "
    "seed, accuracy, seconds FROM results ORDER BY began, id";
static const struct column list_columns[] = {{"id", "id", FORM_TEXT},
                                             {"stage", "stage", FORM_TEXT},
                                             {"method", "method", FORM_TEXT},
                                             {"pack", "pack", FORM_TEXT},
                                             {"seed", "seed", FORM_WHOLE},
                                             {"accuracy", "accuracy", FORM_PERCENT},
                                             {"seconds", "seconds", FORM_TENTHS},
                                             {0}};
static const struct column rebuild_card[] = {
    {"results", "results", FORM_WHOLE}, {"unreadable", "unreadable", FORM_WHOLE}, {0}};

static int path_in_store(const struct settings *s, const char *name, char path[PATH_MAX])
{
    int length = snprintf(path, PATH_MAX, "%s/%s", s->store, name);
    if (length < 0 || length >= PATH_MAX)
        return fail(ERR_INPUT, "the store's name is longer than %d characters", PATH_MAX - 32);
    if (!file_exists(s->store))
        return fail(ERR_INPUT, "there is no store %s here; --store FOLDER names one", s->store);
    return 0;
}

/* Fills the index; one that is refused is removed first, for nothing is lost with it. */
static int rebuild(struct index **x, const struct settings *s, int *bad)
{
    char path[PATH_MAX], results[PATH_MAX];
    TRY(path_in_store(s, "index.sqlite", path));
    TRY(path_in_store(s, "results", results));
    int rc = index_open(x, path);
    if (rc == 0)
        rc = index_rebuild(*x, results, bad);
    if (rc != ERR_INPUT)
        return rc;
    index_close(*x);
    *x = NULL;
    TRY(index_remove(path));
    TRY(index_open(x, path));
    return index_rebuild(*x, results, bad);
}

/* The index as it is; a store that has none gets one. */
static int open_index(struct index **x, const struct settings *s)
{
    char path[PATH_MAX];
    int bad;
    TRY(path_in_store(s, "index.sqlite", path));
    return file_exists(path) ? index_open(x, path) : rebuild(x, s, &bad);
}

static int tell_rebuild(const struct settings *s, int count, int bad)
{
    struct json *document = json_object();
    int rc = json_set_integer(document, "results", count);
    if (rc == 0)
        rc = json_set_integer(document, "unreadable", bad);
    if (rc == 0 && s->json)
        rc = json_print(document);
    else if (rc == 0)
        table_print_card(document, rebuild_card);
    json_destroy(document);
    return rc;
}

static int run_rebuild(const struct settings *s)
{
    struct index *x = NULL;
    int bad = 0, count = rebuild(&x, s, &bad);
    index_close(x);
    return count < 0 ? count : tell_rebuild(s, count, bad);
}

/* Whole numbers, other numbers or texts: the first row that has a value says it. */
static enum form form_of(const struct json *rows, const char *key)
{
    enum form form = FORM_TEXT;
    for (const struct json *row = json_first(rows); row; row = json_next(row)) {
        double number;
        int64_t whole;
        if (json_string(json_get(row, key)))
            return FORM_TEXT;
        if (json_number(json_get(row, key), &number) < 0)
            continue;
        if (json_integer(json_get(row, key), &whole) < 0)
            return FORM_BRIEF;
        form = FORM_WHOLE;
    }
    return form;
}

/* A table of whatever columns the query gave. */
static void print_answer(const struct json *rows)
{
    enum { MOST = 24 };
    struct column columns[MOST + 1] = {0};
    int count = 0;
    for (const struct json *cell = json_first(json_first(rows)); cell && count < MOST; cell = json_next(cell))
        columns[count++] = (struct column){json_key(cell), json_key(cell), form_of(rows, json_key(cell))};
    table_print(rows, columns);
}

static int ask(const struct settings *s, const char *sql, const struct column *columns)
{
    struct index *x = NULL;
    struct json *rows = NULL;
    int rc = open_index(&x, s);
    if (rc >= 0)
        rc = index_query(x, sql, &rows);
    if (rc >= 0 && s->json)
        rc = json_print(rows);
    else if (rc >= 0 && columns)
        table_print(rows, columns);
    else if (rc >= 0)
        print_answer(rows);
    json_destroy(rows);
    index_close(x);
    return rc;
}

static int run(const struct settings *s)
{
    const char *word = s->rest[0], *sql = s->rest_count > 1 ? s->rest[1] : NULL;
    int is_query = strcmp(word, "query") == 0;
    if (is_query && !sql)
        return fail(ERR_USAGE, "db: query needs a SELECT: vitro db query 'SELECT ... FROM results'");
    if (sql && !is_query)
        return fail(ERR_USAGE, "db: \"%.80s\" is one word too many", sql);
    if (is_query)
        return ask(s, sql, NULL);
    if (strcmp(word, "list") == 0)
        return ask(s, s->json ? list_query : table_query, list_columns);
    if (strcmp(word, "rebuild") == 0)
        return run_rebuild(s);
    return fail(ERR_USAGE, "db: \"%.40s\" is not understood; it can be rebuild, list or query SQL", word);
}

static const struct argument_group *const groups[] = {&group_store, &group_json, &group_general, NULL};
const struct verb verb_db = {
    .name = "db",
    .summary = "look up what a store's studies have computed",
    .synopsis = "rebuild|list|query SQL [--store FOLDER] [--json]",
    .about = "Asks the index of a store's results. `list` prints them, the newest last; `query` answers a "
             "SELECT on "
             "the table `results` (PRAGMA table_info(results) shows its columns) and can change nothing. "
             "Files are "
             "the truth: `rebuild` makes the index anew from them, whatever has become of it.",
    .examples = {"vitro db list", "vitro db query 'SELECT pack, max(accuracy) FROM results GROUP BY pack'",
                 "vitro db rebuild --store elsewhere"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = 2,
    .rest_name = "rebuild, list or query",
    .run = run,
};

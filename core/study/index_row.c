/* index_row.c - see index_row.h. */
#include "index_row.h"

#include "error.h"
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_DIGITS = 64, FOLDER_DIGITS = 2 };
static const char schema[] = "vitro.result/1";

static const struct place {
    int run;
    const char *path;
} places[] = {
#define X(name, type, run, path) {run, path},
    INDEX_COLUMNS(X)
#undef X
};

/* The value at "spec.pack.name"; NULL when there is none. */
static const struct json *find(const struct json *document, const char *path)
{
    char key[32];
    while (document && *path) {
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        document = json_get(document, key);
        path += length + (path[length] == '.');
    }
    return document;
}

static struct index_value value_of(const struct json *j)
{
    struct index_value v = {INDEX_NOTHING, 0, 0, json_string(j)};
    if (v.text)
        v.kind = INDEX_TEXT;
    else if (json_integer(j, &v.whole) == 0)
        v.kind = INDEX_WHOLE;
    else if (json_number(j, &v.real) == 0)
        v.kind = INDEX_REAL;
    return v;
}

/* A seed is written as a text; as a number it sorts, as long as SQLite's numbers hold it. */
static void read_seed(struct index_value *v)
{
    char *end;
    if (v->kind != INDEX_TEXT)
        return;
    errno = 0;
    long long whole = strtoll(v->text, &end, 10);
    if (*v->text && !*end && !errno)
        *v = (struct index_value){INDEX_WHOLE, whole, 0, NULL};
}

static int is_digits(const char *text, size_t count)
{
    return strlen(text) == count && strspn(text, "0123456789abcdef") == count;
}

int index_row_read(struct index_value row[INDEX_COLUMN_COUNT], const struct json *result,
                   const struct json *run)
{
    const char *kind = json_string(json_get(result, "schema")), *id = json_string(json_get(result, "id"));
    if (!kind || strcmp(kind, schema) != 0)
        return fail(ERR_INPUT, "a result's schema is \"%.40s\"; this program knows %s", kind ? kind : "",
                    schema);
    if (!id || !is_digits(id, ID_DIGITS))
        return fail(ERR_INPUT, "a result's id is \"%.80s\"; it must be %d hexadecimal digits", id ? id : "",
                    ID_DIGITS);
    for (int i = 0; i < INDEX_COLUMN_COUNT; i++)
        row[i] = value_of(find(places[i].run ? run : result, places[i].path));
    read_seed(&row[INDEX_seed]);
    return 0;
}

struct visit {
    int (*call)(void *context, const struct index_value *row);
    void *context;
    int *bad, count;
};

/* The result in folder/ID; one that cannot be read costs itself only. */
static int visit_result(struct visit *v, const char *folder, const char *id)
{
    char path[PATH_MAX];
    struct index_value row[INDEX_COLUMN_COUNT];
    struct json *result = NULL, *run = NULL;
    int rc = 0;
    snprintf(path, sizeof path, "%s/%s/run.json", folder, id);
    if (file_exists(path))
        json_read_file(&run, path); /* without it the row has gaps */
    snprintf(path, sizeof path, "%s/%s/result.json", folder, id);
    if (json_read_file(&result, path) < 0 || index_row_read(row, result, run) < 0 ||
        strcmp(row[INDEX_id].text, id) != 0) {
        ++*v->bad;
    } else {
        rc = v->call(v->context, row);
        v->count++;
    }
    json_destroy(result);
    json_destroy(run);
    return rc;
}

/* Those entries of the folder whose names are that many hexadecimal digits. */
static int visit_folder(struct visit *v, const char *folder, size_t digits)
{
    char path[PATH_MAX];
    DIR *d = opendir(folder);
    int rc = 0;
    if (!d && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (!d)
        return fail(ERR_IO, "the folder %s cannot be read: %s", folder, strerror(errno));
    for (const struct dirent *e; rc >= 0 && (e = readdir(d));) {
        if (!is_digits(e->d_name, digits))
            continue;
        if (digits == ID_DIGITS) {
            rc = visit_result(v, folder, e->d_name);
        } else {
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            rc = visit_folder(v, path, ID_DIGITS);
        }
    }
    closedir(d);
    return rc;
}

int index_visit(const char *folder, int (*visit)(void *context, const struct index_value *row), void *context,
                int *bad)
{
    struct visit v = {visit, context, bad, 0};
    *bad = 0;
    TRY(visit_folder(&v, folder, FOLDER_DIGITS));
    return v.count;
}

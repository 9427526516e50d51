/* table.h - results for people and for programs from one source: rows are JSON objects, printed as an
 * aligned table or, with --json, as they are. */
#ifndef VITRO_DRIVER_TABLE_H
#define VITRO_DRIVER_TABLE_H

#include "json.h"

enum form {
    FORM_TEXT,    /* to the left; all others to the right */
    FORM_WHOLE,   /* 1,234,567 */
    FORM_TENTHS,  /* 12.3 */
    FORM_BRIEF,   /* three significant digits */
    FORM_ERROR,   /* 1.2e-06 */
    FORM_SECONDS, /* "12.3 s", "4.56 ms" */
    FORM_BYTES,   /* "1.5 GiB" */
    FORM_PERCENT, /* of a share 0 .. 1 */
    FORM_YES,     /* a boolean: yes or no */
    FORM_PASS,    /* a boolean: ok or FAILED */
};

struct column {
    const char *key, *heading;
    enum form form;
};

/* The rows under their headings; a value that is missing is a dash. Columns end with a NULL key;
 * where all headings are empty there is no line of them. */
void table_print(const struct json *rows, const struct column *columns);
/* One "heading  value" a line for a single object; what is missing is left out. */
void table_print_card(const struct json *object, const struct column *columns);
/* The document on stdout. Negative: out of memory. */
int json_print(const struct json *document);
/* A new object at the array's end, a new array under the key: lent by it, or NULL when memory is out,
 * which every setter of json.h refuses with the sentence. */
struct json *json_append_object(struct json *array);
struct json *json_set_array(struct json *object, const char *key);

/* What a file or a plugin wrote stays one line and commands no terminal: control characters become "?". */
void text_tame(char *text);
/* Columns that the text takes on a terminal (UTF-8; wide characters count two, marks none). */
int text_width(const char *text);

#endif

/* json.h - JSON through cJSON, which only json.c sees. A document is a tree of `struct json`; a
 * text longer than 256 MiB, deeper than 64 levels or followed by anything is refused. */
#ifndef VITRO_BASE_JSON_H
#define VITRO_BASE_JSON_H

#include <stddef.h>
#include <stdint.h>

struct json; /* a value inside a document; lent by it */

/* `what` names the text in error sentences. The caller owns the document: json_destroy. */
int json_parse(struct json **out, const char *text, size_t length, const char *what);
int json_read_file(struct json **out, const char *path);
struct json *json_object(void); /* NULL when memory is out */
struct json *json_array(void);
void json_destroy(struct json *document);
struct json *json_copy(const struct json *j); /* NULL when memory is out */

int json_is_object(const struct json *j);
int json_is_array(const struct json *j);
const struct json *json_get(const struct json *object, const char *key); /* NULL when absent */
size_t json_count(const struct json *array_or_object);
/* NULL beyond the end; walks in O(1) a step when called with rising i through json_next */
const struct json *json_first(const struct json *array_or_object);
const struct json *json_next(const struct json *item);
const char *json_key(const struct json *member);    /* of an object's member */
const char *json_string(const struct json *j);      /* NULL when not a string */
int json_number(const struct json *j, double *out); /* 0, or -1 when not a number */
int json_bool(const struct json *j, int *out);      /* 0, or -1 when not a boolean */
/* A whole number that a double holds exactly; -1 otherwise. */
int json_integer(const struct json *j, int64_t *out);

/* The double whose text is the float's: 0.001, not 0.0010000000474974513. */
double float_brief(float number);

/* Builders return negative when memory is out; `take` variants own the child even then. */
int json_set_string(struct json *object, const char *key, const char *value);
int json_set_number(struct json *object, const char *key, double value); /* non-finite: null */
int json_set_integer(struct json *object, const char *key, int64_t value);
int json_set_bool(struct json *object, const char *key, int value);
int json_take(struct json *object, const char *key, struct json *child);
int json_append_take(struct json *array, struct json *child);
int json_append_number(struct json *array, double value);
int json_append_string(struct json *array, const char *value);

/* Shortest text that reads back as the same values, keys in the order they were set (`pretty`
 * adds line breaks and two-space indents). The caller frees it with mem_free. */
char *json_text(const struct json *j, int pretty);
/* Its text with breaks and indents, written as file_write does. */
int json_write_file(const struct json *j, const char *path);
/* The same as json_text without breaks and with every object's keys in the order of their bytes: equal documents have equal texts,
 * so that a hash of it names what it says. */
char *json_canonical(const struct json *j);

#endif

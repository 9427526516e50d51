/* json.c - the only file that sees cJSON. Text is written here, because cJSON prints numbers that
 * may read back one unit in the last place away. */
#include "json.h"

#include "error.h"
#include "file.h"
#include "memory.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_LIMIT = 256 << 20, DEPTH_LIMIT = 64 };

/* `struct json` is never defined: it is cJSON's item under a name of ours. */
static cJSON *item(const struct json *j)
{
    return (cJSON *)(uintptr_t)j;
}
static struct json *wrap(cJSON *c)
{
    return (struct json *)c;
}

/* Depth is checked before parsing (cJSON recurses), and so is the escape that would cut a string. */
static int check_text(const char *text, size_t length, const char *what)
{
    int depth = 0, quoted = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == 0)
            return fail(ERR_INPUT, "%s is not JSON: byte %zu is zero", what, i);
        if (quoted && c == '\\') {
            if (length - i > 5 && memcmp(text + i + 1, "u0000", 5) == 0)
                return fail(ERR_INPUT, "%s: the string at byte %zu holds a zero character", what, i);
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == '{' || c == '[') && ++depth > DEPTH_LIMIT) {
            return fail(ERR_INPUT, "%s is nested deeper than %d levels", what, DEPTH_LIMIT);
        } else if (!quoted && (c == '}' || c == ']')) {
            depth--;
        }
    }
    return 0;
}

int json_parse(struct json **out, const char *text, size_t length, const char *what)
{
    *out = NULL;
    if (length > TEXT_LIMIT)
        return fail(ERR_INPUT, "%s is %zu bytes of JSON; at most %d are accepted", what, length, TEXT_LIMIT);
    TRY(check_text(text, length, what));
    const char *end = NULL;
    cJSON *document = length ? cJSON_ParseWithLengthOpts(text, length, &end, 0) : NULL;
    if (!document)
        return fail(ERR_INPUT, "%s is not JSON: it breaks at byte %zu of %zu", what,
                    end ? (size_t)(end - text) : 0, length);
    size_t at = (size_t)(end - text);
    while (at < length && strchr(" \t\r\n", text[at]))
        at++;
    if (at < length) {
        cJSON_Delete(document);
        return fail(ERR_INPUT, "%s: something follows the JSON text at byte %zu", what, at);
    }
    *out = wrap(document);
    return 0;
}

int json_read_file(struct json **out, const char *path)
{
    char *text = NULL;
    size_t length = 0;
    *out = NULL;
    TRY(file_read(path, TEXT_LIMIT, &text, &length));
    int rc = json_parse(out, text, length, path);
    mem_free(text);
    return rc;
}

static struct json *created(cJSON *c)
{
    if (!c)
        fail(ERR_MEMORY, "out of memory for a JSON value");
    return wrap(c);
}
struct json *json_object(void)
{
    return created(cJSON_CreateObject());
}
struct json *json_array(void)
{
    return created(cJSON_CreateArray());
}
void json_destroy(struct json *document)
{
    cJSON_Delete(item(document));
}

int json_is_object(const struct json *j)
{
    return cJSON_IsObject(item(j)) != 0;
}
int json_is_array(const struct json *j)
{
    return cJSON_IsArray(item(j)) != 0;
}
const struct json *json_get(const struct json *object, const char *key)
{
    return json_is_object(object) ? wrap(cJSON_GetObjectItemCaseSensitive(item(object), key)) : NULL;
}
size_t json_count(const struct json *array_or_object)
{
    size_t n = 0;
    for (const struct json *j = json_first(array_or_object); j; j = json_next(j))
        n++;
    return n;
}
const struct json *json_first(const struct json *array_or_object)
{
    return array_or_object ? wrap(item(array_or_object)->child) : NULL;
}
const struct json *json_next(const struct json *j)
{
    return j ? wrap(item(j)->next) : NULL;
}
const char *json_key(const struct json *member)
{
    return member ? item(member)->string : NULL;
}
const char *json_string(const struct json *j)
{
    return cJSON_GetStringValue(item(j));
}
int json_number(const struct json *j, double *out)
{
    if (!cJSON_IsNumber(item(j)) || !isfinite(item(j)->valuedouble))
        return -1;
    *out = item(j)->valuedouble;
    return 0;
}
int json_bool(const struct json *j, int *out)
{
    if (!cJSON_IsBool(item(j)))
        return -1;
    *out = cJSON_IsTrue(item(j)) != 0;
    return 0;
}
int json_integer(const struct json *j, int64_t *out)
{
    const double limit = 9007199254740992.0; /* 2^53: from here on neighbours share a double */
    double value;
    if (json_number(j, &value) < 0 || value != floor(value) || fabs(value) >= limit)
        return -1;
    *out = (int64_t)value;
    return 0;
}

int json_take(struct json *object, const char *key, struct json *child)
{
    if (!child)
        return fail(ERR_MEMORY, "out of memory for the JSON value %s", key);
    int added = cJSON_GetObjectItemCaseSensitive(item(object), key)
                    ? cJSON_ReplaceItemInObjectCaseSensitive(item(object), key, item(child))
                    : cJSON_AddItemToObject(item(object), key, item(child));
    if (added)
        return 0;
    cJSON_Delete(item(child));
    return fail(ERR_MEMORY, "out of memory for the JSON value %s", key);
}
int json_append_take(struct json *array, struct json *child)
{
    if (!child || !cJSON_AddItemToArray(item(array), item(child))) {
        cJSON_Delete(item(child));
        return fail(ERR_MEMORY, "out of memory for an item of a JSON array");
    }
    return 0;
}

static struct json *number(double value)
{
    return wrap(isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}
int json_set_string(struct json *object, const char *key, const char *value)
{
    return json_take(object, key, wrap(value ? cJSON_CreateString(value) : cJSON_CreateNull()));
}
double float_brief(float number)
{
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)number);
        if (strtof(text, NULL) == number)
            break;
    }
    return strtod(text, NULL);
}

int json_set_number(struct json *object, const char *key, double value)
{
    return json_take(object, key, number(value));
}
int json_set_integer(struct json *object, const char *key, int64_t value)
{
    return json_take(object, key, number((double)value));
}
int json_set_bool(struct json *object, const char *key, int value)
{
    return json_take(object, key, wrap(cJSON_CreateBool(value)));
}
struct json *json_copy(const struct json *j)
{
    return created(cJSON_Duplicate(item(j), 1));
}
int json_append_number(struct json *array, double value)
{
    return json_append_take(array, number(value));
}
int json_append_string(struct json *array, const char *value)
{
    return json_append_take(array, wrap(cJSON_CreateString(value)));
}

/* Text that grows; `failed` is sticky. */
struct text {
    char *bytes;
    size_t used, room;
    int pretty, sorted, failed;
};

static void put(struct text *t, const char *bytes, size_t size)
{
    if (t->failed)
        return;
    if (t->used + size + 1 > t->room) {
        size_t room = 2 * (t->used + size) + 256;
        char *grown = mem_grow(t->bytes, t->room, room, 1);
        if (!grown) {
            t->failed = 1;
            return;
        }
        t->bytes = grown;
        t->room = room;
    }
    memcpy(t->bytes + t->used, bytes, size);
    t->used += size;
}

static void put_string(struct text *t, const char *s)
{
    static const char names[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    put(t, "\"", 1);
    for (; *s; s++) {
        const char *short_form = strchr(names, *s);
        char escape[8];
        int n = 1;
        escape[0] = *s;
        if (short_form)
            n = snprintf(escape, sizeof escape, "\\%c", letters[short_form - names]);
        else if ((unsigned char)*s < 0x20)
            n = snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*s);
        put(t, escape, (size_t)n);
    }
    put(t, "\"", 1);
}

/* 15 digits are always kept by a double, 17 always suffice to name one. */
static void put_number(struct text *t, double value)
{
    char digits[40];
    int n = 0;
    if (value == floor(value) && fabs(value) < 1e15)
        n = snprintf(digits, sizeof digits, value == 0 && signbit(value) ? "-0.0" : "%.0f", value);
    else
        for (int precision = 15; precision <= 17; precision++) {
            n = snprintf(digits, sizeof digits, "%.*g", precision, value);
            if (strtod(digits, NULL) == value)
                break;
        }
    put(t, digits, (size_t)n);
}

static void put_break(struct text *t, int level)
{
    if (!t->pretty)
        return;
    put(t, "\n", 1);
    while (level-- > 0)
        put(t, "  ", 2);
}

static int by_key(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;
    return strcmp((*x)->string, (*y)->string);
}

static void put_value(struct text *t, const cJSON *c, int level);

/* An item of an array that was copied from an object still has its key. */
static void put_child(struct text *t, const cJSON *child, int first, int keyed, int level)
{
    if (!first)
        put(t, ",", 1);
    put_break(t, level);
    if (keyed) {
        put_string(t, child->string);
        put(t, ": ", t->pretty ? 2 : 1);
    }
    put_value(t, child, level);
}

static void put_sorted(struct text *t, const cJSON *object, int level)
{
    size_t count = 0;
    for (const cJSON *child = object->child; child; child = child->next)
        count++;
    const cJSON **children = mem_alloc(count + 1, sizeof(const cJSON *));
    if (!children) {
        t->failed = 1;
        return;
    }
    count = 0;
    for (const cJSON *child = object->child; child; child = child->next)
        children[count++] = child;
    qsort(children, count, sizeof(const cJSON *), by_key);
    for (size_t i = 0; i < count; i++)
        put_child(t, children[i], i == 0, 1, level + 1);
    mem_free(children);
}

static void put_value(struct text *t, const cJSON *c, int level)
{
    if (cJSON_IsObject(c) || cJSON_IsArray(c)) {
        int object = cJSON_IsObject(c);
        put(t, object ? "{" : "[", 1);
        if (object && t->sorted)
            put_sorted(t, c, level);
        else
            for (const cJSON *child = c->child; child; child = child->next)
                put_child(t, child, child == c->child, object, level + 1);
        if (c->child)
            put_break(t, level);
        put(t, object ? "}" : "]", 1);
    } else if (cJSON_IsString(c)) {
        put_string(t, c->valuestring);
    } else if (cJSON_IsNumber(c) && isfinite(c->valuedouble)) {
        put_number(t, c->valuedouble);
    } else if (cJSON_IsBool(c)) {
        put(t, cJSON_IsTrue(c) ? "true" : "false", cJSON_IsTrue(c) ? 4 : 5);
    } else {
        put(t, "null", 4);
    }
}

static char *text_of(const struct json *j, int pretty, int sorted)
{
    struct text t = {.pretty = pretty, .sorted = sorted};
    put_value(&t, item(j), 0);
    if (pretty)
        put(&t, "\n", 1);
    put(&t, "", 1);
    if (!t.failed)
        return t.bytes;
    mem_free(t.bytes);
    return NULL;
}

char *json_text(const struct json *j, int pretty)
{
    return text_of(j, pretty, 0);
}

char *json_canonical(const struct json *j)
{
    return text_of(j, 0, 1);
}

int json_write_file(const struct json *j, const char *path)
{
    char *text = json_text(j, 1);
    int rc = text ? file_write(path, text, strlen(text))
                  : fail(ERR_MEMORY, "out of memory for the text of %s", path);
    mem_free(text);
    return rc;
}

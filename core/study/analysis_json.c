/* analysis_json.c - values hung into the analysis document. */
#include "analysis_private.h"

#include "error.h"

#include <stdarg.h>
#include <stdio.h>

char *analysis_format(struct analysis *a, const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return arena_string(&a->memory, text);
}

int analysis_flag(struct analysis *a, const char *sentence)
{
    return sentence ? json_append_string(a->flags, sentence) : ERR_MEMORY;
}

static int hang(struct json *parent, const char *key, struct json *child)
{
    return key ? json_take(parent, key, child) : json_append_take(parent, child);
}

int analysis_object(struct json **out, struct json *parent, const char *key)
{
    *out = json_object();
    return hang(parent, key, *out);
}

int analysis_array(struct json **out, struct json *parent, const char *key)
{
    *out = json_array();
    return hang(parent, key, *out);
}

int analysis_null(struct json *parent, const char *key)
{
    return key ? json_set_number(parent, key, NAN) : json_append_number(parent, NAN);
}

int analysis_numbers(struct json *parent, const char *key, const double *values, size_t count)
{
    struct json *array;
    TRY(analysis_array(&array, parent, key));
    for (size_t i = 0; i < count; i++)
        TRY(json_append_number(array, values[i]));
    return 0;
}

int analysis_matrix(struct json *parent, const char *key, const double *values, size_t rows, size_t columns)
{
    struct json *array;
    TRY(analysis_array(&array, parent, key));
    for (size_t row = 0; row < rows; row++)
        TRY(analysis_numbers(array, NULL, values + row * columns, columns));
    return 0;
}

int analysis_indices(struct json *parent, const char *key, const uint32_t *values, size_t count)
{
    struct json *array;
    TRY(analysis_array(&array, parent, key));
    for (size_t i = 0; i < count; i++)
        TRY(json_append_number(array, values[i]));
    return 0;
}

int analysis_interval(struct json *object, const char *low, const char *high, struct interval i)
{
    TRY(json_set_number(object, low, i.low));
    return json_set_number(object, high, i.high);
}

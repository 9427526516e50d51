/* error.c - the calling thread's last sentence. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 1024 };
static _Thread_local char text[TEXT_SIZE];

int fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return code;
}

int fail_in(int code, const char *format, ...)
{
    char inner[TEXT_SIZE], outer[TEXT_SIZE];
    memcpy(inner, text, sizeof inner);
    va_list args;
    va_start(args, format);
    vsnprintf(outer, sizeof outer, format, args);
    va_end(args);
    snprintf(text, sizeof text, "%.*s: %.*s", TEXT_SIZE / 2 - 4, outer, TEXT_SIZE / 2, inner);
    return code;
}

const char *error_text(void)
{
    return text;
}

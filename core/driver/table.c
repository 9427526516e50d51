/* table.c - see table.h. */
#include "table.h"

#include "error.h"
#include "memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { CELL = 320, COLUMN_LIMIT = 24 };

/* One code point of well-formed UTF-8; a stray byte counts as itself. */
static uint32_t next_letter(const unsigned char **at)
{
    static const uint32_t heads[] = {0x80, 0xc0, 0xe0, 0xf0, 0xf8};
    const unsigned char *c = *at;
    int more = 0;
    while (more < 3 && *c >= 0xc0 && *c >= heads[more + 2])
        more++;
    more += *c >= 0xc0;
    uint32_t letter = more ? *c & (0x3fu >> more) : *c;
    for (int i = 1; i <= more; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            *at = c + 1;
            return *c;
        }
        letter = letter << 6 | (c[i] & 0x3fu);
    }
    *at = c + 1 + more;
    return letter;
}

static int letter_width(uint32_t letter)
{
    static const struct {
        uint32_t first, last;
        int width;
    } ranges[] = {{0x300, 0x36f, 0},    {0x200b, 0x200f, 0}, {0x20d0, 0x20ff, 0}, {0xfe00, 0xfe0f, 0},
                  {0x1100, 0x115f, 2},  {0x2e80, 0xa4cf, 2}, {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2},
                  {0xfe30, 0xfe6f, 2},  {0xff00, 0xff60, 2}, {0xffe0, 0xffe6, 2}, {0x1f300, 0x1faff, 2},
                  {0x20000, 0x3fffd, 2}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (letter >= ranges[i].first && letter <= ranges[i].last)
            return ranges[i].width;
    return 1;
}

int text_width(const char *text)
{
    int width = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at;)
        width += letter_width(next_letter(&at));
    return width;
}

static void format_whole(double number, char *text)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRId64, (int64_t)fabs(number)), used = 0;
    if (number < 0)
        text[used++] = '-';
    for (int i = 0; i < length; i++) {
        text[used++] = digits[i];
        if ((length - i) % 3 == 1 && i + 1 < length)
            text[used++] = ',';
    }
    text[used] = 0;
}

static void format_bytes(double bytes, char *text)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1023.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1024;
    snprintf(text, CELL, unit && bytes < 99.5 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void format_seconds(double seconds, char *text)
{
    if (seconds < 1e-3)
        snprintf(text, CELL, "%.1f us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(text, CELL, "%.2f ms", seconds * 1e3);
    else
        snprintf(text, CELL, "%.1f s", seconds);
}

static void format_number(enum form form, double number, char *text)
{
    switch (form) {
    case FORM_WHOLE: format_whole(number, text); break;
    case FORM_TENTHS: snprintf(text, CELL, "%.1f", number); break;
    case FORM_ERROR: snprintf(text, CELL, "%.1e", number); break;
    case FORM_SECONDS: format_seconds(number, text); break;
    case FORM_BYTES: format_bytes(number, text); break;
    case FORM_PERCENT: snprintf(text, CELL, "%.1f %%", number * 100); break;
    default: snprintf(text, CELL, "%.3g", number);
    }
}

void text_tame(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
}

/* What the cell shows; "-" for what is not there. */
static void format_cell(const struct json *value, enum form form, char text[CELL])
{
    double number;
    int flag;
    const char *string = json_string(value);
    if (string)
        snprintf(text, CELL, "%s", string);
    else if (json_bool(value, &flag) == 0)
        snprintf(text, CELL, "%s", form == FORM_PASS ? (flag ? "ok" : "FAILED") : flag ? "yes" : "no");
    else if (json_number(value, &number) == 0)
        format_number(form, number, text);
    else
        snprintf(text, CELL, "-");
    text_tame(text);
}

static void print_cell(const char *text, int width, int left, int last)
{
    int gap = width - text_width(text);
    if (left)
        printf("%s%*s", text, last ? 0 : gap, "");
    else
        printf("%*s%s", gap, "", text);
    printf("%s", last ? "\n" : "  ");
}

void table_print(const struct json *rows, const struct column *columns)
{
    int width[COLUMN_LIMIT] = {0}, count = 0;
    char text[CELL];
    for (; columns[count].key && count < COLUMN_LIMIT; count++) {
        width[count] = text_width(columns[count].heading);
        for (const struct json *row = json_first(rows); row; row = json_next(row)) {
            format_cell(json_get(row, columns[count].key), columns[count].form, text);
            if (text_width(text) > width[count])
                width[count] = text_width(text);
        }
    }
    int headed = 0;
    for (int i = 0; i < count; i++)
        headed |= *columns[i].heading != 0;
    for (int i = 0; i < count && headed; i++)
        print_cell(columns[i].heading, width[i], columns[i].form == FORM_TEXT, i + 1 == count);
    for (const struct json *row = json_first(rows); row; row = json_next(row))
        for (int i = 0; i < count; i++) {
            format_cell(json_get(row, columns[i].key), columns[i].form, text);
            print_cell(text, width[i], columns[i].form == FORM_TEXT, i + 1 == count);
        }
}

void table_print_card(const struct json *object, const struct column *columns)
{
    int width = 0;
    char text[CELL];
    for (const struct column *c = columns; c->key; c++)
        if (text_width(c->heading) > width)
            width = text_width(c->heading);
    for (const struct column *c = columns; c->key; c++) {
        const struct json *value = json_get(object, c->key);
        format_cell(value, c->form, text);
        if (value && strcmp(text, "-") != 0)
            printf("%s%*s  %s\n", c->heading, width - text_width(c->heading), "", text);
    }
}

int json_print(const struct json *document)
{
    char *text = json_text(document, 1);
    if (!text)
        return fail(ERR_MEMORY, "out of memory: the result could not be put together");
    printf("%s\n", text);
    mem_free(text);
    return 0;
}

struct json *json_append_object(struct json *array)
{
    struct json *object = json_object();
    return json_append_take(array, object) < 0 ? NULL : object;
}

struct json *json_set_array(struct json *object, const char *key)
{
    struct json *array = json_array();
    return json_take(object, key, array) < 0 ? NULL : array;
}

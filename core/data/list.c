/* list.c - see list.h. */
#include "list.h"

#include "error.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const file_names[LIST_SPLITS] = {LIST_LANDMARK, "val200.txt", "test.txt"};
static const char both_name[] = "train800val200.txt", classes_name[] = "classes.txt";

/* Hands out the lines of a text in turn, without their ends and trailing white space. */
struct lines {
    const char *next, *end;
    int number;
};

static int next_line(struct lines *l, const char **line, size_t *length)
{
    if (l->next == l->end)
        return 0;
    size_t left = (size_t)(l->end - l->next);
    const char *stop = memchr(l->next, '\n', left);
    *line = l->next;
    *length = stop ? (size_t)(stop - l->next) : left;
    l->next = stop ? stop + 1 : l->end;
    l->number++;
    while (*length && isspace((unsigned char)(*line)[*length - 1]))
        --*length;
    return 1;
}

static size_t count_lines(struct lines l)
{
    size_t n = 0, length;
    const char *line;
    while (next_line(&l, &line, &length))
        n += length > 0;
    return n;
}

static char *copy(struct arena *arena, const char *text, size_t length)
{
    char *s = arena_alloc(arena, length + 1, 1);
    if (s)
        memcpy(s, text, length);
    return s;
}

/* `path label`: the label is what follows the last blank. */
static int read_item(struct list_item *item, struct arena *arena, const char *line, size_t length)
{
    size_t at = length;
    while (at && line[at - 1] != ' ' && line[at - 1] != '\t')
        at--;
    size_t path = at;
    while (path && (line[path - 1] == ' ' || line[path - 1] == '\t'))
        path--;
    if (!path)
        return fail(ERR_INPUT, "\"%.*s\" is not a path followed by a label",
                    (int)(length < 200 ? length : 200), line);
    long label = 0;
    for (size_t i = at; i < length; i++) {
        if (line[i] < '0' || line[i] > '9')
            return fail(ERR_INPUT, "the label \"%.*s\" is not a whole number from 0",
                        (int)(length - at < 40 ? length - at : 40), line + at);
        label = label * 10 + (line[i] - '0');
        if (label >= LIST_CLASS_LIMIT)
            return fail(ERR_INPUT, "the label is %ld or more; at most %d classes are accepted", label,
                        LIST_CLASS_LIMIT);
    }
    item->label = (int32_t)label;
    item->path = copy(arena, line, path);
    return item->path ? 0 : ERR_MEMORY;
}

static int read_list(struct list *list, struct arena *arena, const struct source *s, const char *name)
{
    struct source_bytes text = {0};
    TRY(source_get(s, name, &text));
    int rc = 0;
    struct lines l = {text.bytes, text.bytes + text.size, 0};
    const char *line;
    size_t length, lines = count_lines(l);
    if (memchr(text.bytes, 0, text.size))
        rc = fail(ERR_INPUT, "%s is not a text: it holds a zero byte", name);
    else if (!lines)
        rc = fail(ERR_INPUT, "%s is empty; it needs at least one line `path label`", name);
    else if (lines > LIST_ITEM_LIMIT)
        rc = fail(ERR_INPUT, "%s has %zu lines; at most %d are accepted", name, lines, LIST_ITEM_LIMIT);
    if (rc == 0) {
        list->items = arena_alloc(arena, lines, sizeof *list->items);
        rc = list->items ? 0 : ERR_MEMORY;
    }
    while (rc == 0 && next_line(&l, &line, &length)) {
        struct list_item *item = &list->items[list->count];
        if (!length)
            continue;
        rc = read_item(item, arena, line, length);
        if (rc == 0)
            rc = source_check(s, item->path);
        if (rc == ERR_INPUT)
            fail_in(rc, "%s line %d", name, l.number);
        list->count++;
    }
    source_release(&text);
    return rc;
}

/* `number name` with the numbers in order on every line. */
static int numbered(struct lines l)
{
    const char *line;
    size_t length;
    long expected = 0;
    for (; next_line(&l, &line, &length); expected++) {
        char digits[24];
        size_t n = (size_t)snprintf(digits, sizeof digits, "%ld ", expected);
        if (length <= n || memcmp(line, digits, n) != 0)
            return 0;
    }
    return expected > 0;
}

int lists_read_names(struct lists *out, const struct source *s, const char *name)
{
    struct source_bytes text = {0};
    TRY(source_get(s, name, &text));
    struct lines l = {text.bytes, text.bytes + text.size, 0};
    size_t lines = count_lines(l), length;
    int rc = 0, with_numbers = numbered(l);
    const char *line;
    if (!lines || lines > LIST_CLASS_LIMIT || memchr(text.bytes, 0, text.size))
        rc = fail(ERR_INPUT, "%s must name 1 to %d classes, one a line", name, LIST_CLASS_LIMIT);
    else if (!(out->class_names = arena_alloc(&out->arena, lines, sizeof *out->class_names)))
        rc = ERR_MEMORY;
    for (size_t i = 0; rc == 0 && next_line(&l, &line, &length);) {
        if (!length)
            continue;
        const char *blank = with_numbers ? memchr(line, ' ', length) : NULL;
        size_t skip = blank ? (size_t)(blank - line) + 1 : 0;
        out->class_names[i] = copy(&out->arena, line + skip, length - skip);
        rc = out->class_names[i++] ? 0 : ERR_MEMORY;
    }
    out->class_count = (int)lines;
    source_release(&text);
    return rc;
}

int lists_number_classes(struct lists *out)
{
    int32_t most = 0;
    for (int k = 0; k < LIST_SPLITS; k++)
        for (size_t i = 0; i < out->split[k].count; i++)
            most = out->split[k].items[i].label > most ? out->split[k].items[i].label : most;
    out->class_count = most + 1;
    out->class_names = arena_alloc(&out->arena, (size_t)out->class_count, sizeof *out->class_names);
    if (!out->class_names)
        return ERR_MEMORY;
    for (int i = 0; i < out->class_count; i++) {
        char digits[16];
        snprintf(digits, sizeof digits, "%d", i);
        out->class_names[i] = arena_string(&out->arena, digits);
        if (!out->class_names[i])
            return ERR_MEMORY;
    }
    return 0;
}

static int check_labels(const struct lists *lists)
{
    for (int k = 0; k < LIST_SPLITS; k++)
        for (size_t i = 0; i < lists->split[k].count; i++)
            if (lists->split[k].items[i].label >= lists->class_count)
                return fail(ERR_INPUT, "%s: the label of %s is %d, but %s names %d classes (0 to %d)",
                            file_names[k], lists->split[k].items[i].path, (int)lists->split[k].items[i].label,
                            classes_name, lists->class_count, lists->class_count - 1);
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct list_item *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->label > y->label) - (x->label < y->label);
}

/* train800val200.txt must hold what the two lists hold; its order is of no consequence. */
static int check_both(struct lists *out, const struct source *s)
{
    const struct list *train = &out->split[LIST_TRAIN], *val = &out->split[LIST_VAL];
    struct list both = {0};
    TRY(read_list(&both, &out->arena, s, both_name));
    size_t count = train->count + val->count;
    struct list_item *ours = arena_alloc(&out->arena, count, sizeof *ours);
    if (!ours)
        return ERR_MEMORY;
    memcpy(ours, train->items, train->count * sizeof *ours);
    memcpy(ours + train->count, val->items, val->count * sizeof *ours);
    if (both.count != count)
        return fail(ERR_INPUT, "%s has %zu items, but %s and %s have %zu together", both_name, both.count,
                    file_names[LIST_TRAIN], file_names[LIST_VAL], count);
    qsort(ours, count, sizeof *ours, by_path);
    qsort(both.items, count, sizeof *ours, by_path);
    for (size_t i = 0; i < count; i++)
        if (by_path(&ours[i], &both.items[i]) != 0)
            return fail(ERR_INPUT,
                        "%s does not hold the items of %s and %s: the first that differs is \"%s %d\"",
                        both_name, file_names[LIST_TRAIN], file_names[LIST_VAL], both.items[i].path,
                        (int)both.items[i].label);
    return 0;
}

static int read_all(struct lists *out, const struct source *s)
{
    for (int k = 0; k < LIST_SPLITS; k++)
        TRY(read_list(&out->split[k], &out->arena, s, file_names[k]));
    if (source_has(s, classes_name)) {
        TRY(lists_read_names(out, s, classes_name));
        TRY(check_labels(out));
    } else {
        TRY(lists_number_classes(out));
    }
    return source_has(s, both_name) ? check_both(out, s) : 0;
}

int lists_read(struct lists *out, const struct source *s)
{
    *out = (struct lists){0};
    int rc = read_all(out, s);
    if (rc < 0)
        lists_finish(out);
    return rc;
}

struct list_held { /* lies in the arena */
    struct list_held *next;
    char *owned;
    struct source *part;
};

int lists_hold(struct lists *lists, char *owned, struct source *part)
{
    struct list_held *held = arena_alloc(&lists->arena, 1, sizeof *held);
    if (!held) {
        mem_free(owned);
        source_close(part);
        return ERR_MEMORY;
    }
    *held = (struct list_held){lists->held, owned, part};
    lists->held = held;
    return 0;
}

int list_item_get(const struct list_item *item, const struct source *s, struct source_bytes *out)
{
    if (!item->bytes)
        return source_get(s, item->path, out);
    *out = (struct source_bytes){.bytes = (const char *)item->bytes, .size = item->size};
    return 0;
}

void lists_finish(struct lists *lists)
{
    for (const struct list_held *held = lists->held; held; held = held->next) {
        mem_free(held->owned);
        source_close(held->part);
    }
    arena_finish(&lists->arena);
    *lists = (struct lists){0};
}

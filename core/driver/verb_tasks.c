/* verb_tasks.c - `vitro tasks`: the built-in tasks, and pictures of them. */
#include "builtin.h"
#include "driver.h"
#include "image.h"
#include "memory.h"
#include "pack.h"
#include "progress.h"
#include "table.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { SHEET_COLUMNS = 12, SHEET_GAP = 4, SHEET_SEED = 1 };

static const struct column columns[] = {{"name", "task", FORM_TEXT},
                                        {"kind", "kind", FORM_TEXT},
                                        {"classes", "classes", FORM_WHOLE},
                                        {"question", "question", FORM_TEXT},
                                        {0}};

static int describe(struct json *row, const struct builtin_task *t)
{
    TRY(json_set_string(row, "name", t->name));
    TRY(json_set_string(row, "kind", t->kind));
    TRY(json_set_integer(row, "classes", t->class_count));
    TRY(json_set_string(row, "question", t->question));
    struct json *names = json_set_array(row, "class_names");
    for (int i = 0; i < t->class_count; i++)
        TRY(json_append_string(names, t->class_names[i]));
    return 0;
}

static int list(struct json *document, const struct settings *s)
{
    struct json *rows = json_set_array(document, "tasks");
    for (int i = 0; builtin_task(i); i++)
        TRY(describe(json_append_object(rows), builtin_task(i)));
    if (s->json)
        return json_print(document);
    table_print(rows, columns);
    return 0;
}

/* One row of the sheet: the task's first pictures side by side on white. */
static int draw_row(const char *task, int size, unsigned char *sheet, int row)
{
    struct pack *pack = NULL;
    const struct builtin_spec spec = {
        .task = task, .normalise = "half", .size = size, .seed = SHEET_SEED, .count = {SHEET_COLUMNS, 1, 1}};
    TRY(pack_builtin(&pack, &spec, NULL, NULL));
    const struct pack_images images = pack_images(pack, PACK_TRAIN);
    const size_t step = (size_t)(size + SHEET_GAP), width = step * SHEET_COLUMNS, line = (size_t)size * 3;
    for (size_t k = 0; k < images.count; k++)
        for (size_t y = 0; y < (size_t)size; y++)
            memcpy(sheet + ((step * (size_t)row + y) * width + step * k) * 3,
                   images.rgb + (k * (size_t)size + y) * line, line);
    pack_close(pack);
    return 0;
}

static int draw_sheet(const struct settings *s)
{
    int rows = 0, rc = 0;
    while (builtin_task(rows))
        rows++;
    const size_t step = (size_t)(s->size + SHEET_GAP), width = step * SHEET_COLUMNS,
                 height = step * (size_t)rows;
    unsigned char *sheet = mem_alloc(width * height, 3);
    if (!sheet)
        return ERR_MEMORY;
    memset(sheet, 255, width * height * 3);
    for (int i = 0; i < rows && rc == 0; i++)
        rc = draw_row(builtin_task(i)->name, s->size, sheet, i);
    if (rc == 0)
        rc = image_write_png(s->sheet, sheet, (int)width, (int)height);
    mem_free(sheet);
    return rc;
}

static void preset(struct settings *s)
{
    s->size = 64;
}

static int run(const struct settings *s)
{
    if (s->sheet)
        TRY(draw_sheet(s));
    struct json *document = json_object();
    int rc = list(document, s);
    json_destroy(document);
    return rc;
}

static const struct argument rows[] = {{"sheet", 0, ARGUMENT_TEXT, offsetof(struct settings, sheet), 0, 0,
                                        NULL, "FILE", "also write a PNG with a row of pictures of each task"},
                                       {"size", 0, ARGUMENT_WHOLE, offsetof(struct settings, size),
                                        BUILTIN_SIZE_LOW, PACK_SIZE_LIMIT, NULL, "N",
                                        "side of the sheet's pictures in pixels"},
                                       {0}};
static const struct argument_group group = {"Pictures", rows};
static const struct argument_group *const groups[] = {&group, &group_json, &group_general, NULL};
const struct verb verb_tasks = {
    .name = "tasks",
    .summary = "the built-in tasks, which need no download",
    .synopsis = "[--sheet FILE] [--json]",
    .about =
        "Lists the tasks that the program draws itself, deterministically. They are stand-ins for real data "
        "sets: --data builtin:NAME uses one, builtin:NAME:TRAIN/VAL/TEST with other numbers of images than "
        "800, 200 and 1,000. The task `pretrain` is there for `vitro pretrain`.",
    .examples = {"vitro tasks", "vitro tasks --sheet tasks.png"},
    .groups = groups,
    .preset = preset,
    .run = run,
};

/* folders.c - see folders.h. */
#include "folders.h"

#include "error.h"
#include "file.h"
#include "json.h"
#include "layout.h"
#include "rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FILE_MOST = 16 << 20 };
enum part { PART_TRAIN, PART_VAL, PART_TEST, PART_ALL, PARTS };

struct picture {
    const char *path, *folder; /* folder: of its class */
    enum part part;
    int32_t label;
};
struct scan {
    struct lists *out;
    const struct folders_spec *spec;
    struct picture *pictures;
    size_t count, room;
    int classes_given;
    struct json *map;
};

int folders_is_image(const char *name)
{
    static const char *const endings[] = {"jpg", "jpeg", "png", "ppm", "pgm"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i]) == 0)
            return 1;
    return 0;
}

static int take_file(void *context, const char *name)
{
    struct scan *s = context;
    if (!folders_is_image(name))
        return 0;
    if (s->count == LIST_ITEM_LIMIT)
        return fail(ERR_INPUT, "it holds more than %d images", LIST_ITEM_LIMIT);
    if (s->count == s->room) {
        const size_t room = 2 * s->room + 1024;
        struct picture *grown = mem_grow(s->pictures, s->room, room, sizeof *grown);
        if (!grown)
            return ERR_MEMORY;
        s->pictures = grown;
        s->room = room;
    }
    struct picture *p = &s->pictures[s->count];
    p->path = arena_string(&s->out->arena, name);
    if (!p->path)
        return ERR_MEMORY;
    s->count++;
    return 0;
}

/* --- which part of a path is what */

/* Characters of folders around everything: shared by all paths, with a class's folder still behind. */
static size_t shared_folders(const struct scan *s)
{
    size_t skip = 0;
    for (;;) {
        const char *first = s->pictures[0].path + skip, *slash = strchr(first, '/');
        const size_t length = slash ? (size_t)(slash - first) + 1 : 0;
        for (size_t i = 0; i < s->count && slash; i++) {
            const char *rest = s->pictures[i].path + skip;
            if (strncmp(rest, first, length) != 0 || !strchr(rest + length, '/'))
                slash = NULL;
        }
        if (!slash)
            return skip;
        skip += length;
    }
}

static enum part part_of(const char *name, size_t length)
{
    static const struct {
        const char *name;
        enum part part;
    } names[] = {{"train", PART_TRAIN}, {"training", PART_TRAIN}, {"val", PART_VAL},
                 {"valid", PART_VAL},   {"validation", PART_VAL}, {"test", PART_TEST}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == length && strncmp(names[i].name, name, length) == 0)
            return names[i].part;
    return PART_ALL;
}

/* Either every image lies below a split's folder, or none does. */
static int find_parts(struct scan *s, size_t skip, size_t counts[PARTS])
{
    for (size_t i = 0; i < s->count; i++) {
        struct picture *p = &s->pictures[i];
        const char *rest = p->path + skip, *slash = strchr(rest, '/');
        p->part = slash && strchr(slash + 1, '/') ? part_of(rest, (size_t)(slash - rest)) : PART_ALL;
        if (p->part != PART_ALL)
            slash = strchr(rest = slash + 1, '/');
        if (!slash)
            return fail(ERR_INPUT, "the image %s lies in no class's folder", p->path);
        char *folder = arena_alloc(&s->out->arena, (size_t)(slash - rest) + 1, 1);
        if (!folder)
            return ERR_MEMORY;
        memcpy(folder, rest, (size_t)(slash - rest));
        p->folder = folder;
        counts[p->part]++;
    }
    return counts[PART_ALL] && counts[PART_ALL] != s->count
               ? fail(ERR_INPUT, "some images lie below train, val or test, %zu others do not",
                      counts[PART_ALL])
               : 0;
}

/* --- classes */

static int add_class(struct scan *s, const char *name)
{
    struct lists *out = s->out;
    if (out->class_count == LIST_CLASS_LIMIT)
        return fail(ERR_INPUT, "there are more than %d classes", LIST_CLASS_LIMIT);
    out->class_names[out->class_count] = arena_string(&out->arena, name);
    return out->class_names[out->class_count++] ? 0 : ERR_MEMORY;
}

static int class_room(struct scan *s, size_t count)
{
    s->out->class_names = arena_alloc(&s->out->arena, count + 1, sizeof *s->out->class_names);
    return s->out->class_names ? 0 : ERR_MEMORY;
}

static int read_array(struct scan *s, const char *path)
{
    struct json *list = NULL;
    TRY(json_read_file(&list, path));
    int rc = json_is_array(list)
                 ? class_room(s, json_count(list))
                 : fail(ERR_INPUT, "%s must be a JSON array of folders, in the classes' order", path);
    for (const struct json *j = json_first(list); j && rc == 0; j = json_next(j))
        rc = json_string(j) ? add_class(s, json_string(j))
                            : fail(ERR_INPUT, "%s holds what is no string", path);
    json_destroy(list);
    return rc;
}

/* The first word of each line: "n01440764 tench, Tinca tinca" names the folder n01440764. */
static int read_lines(struct scan *s, const char *path)
{
    char *text = NULL;
    size_t size, lines = 1;
    TRY(file_read(path, FILE_MOST, &text, &size));
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    int rc = class_room(s, lines);
    for (char *rest = text, *line; rc == 0 && (line = rest) && *line;) {
        rest += strcspn(rest, "\n");
        rest += *rest ? (*rest = 0, 1) : 0;
        line[strcspn(line, " \t\r")] = 0;
        if (*line)
            rc = add_class(s, line);
    }
    mem_free(text);
    return rc;
}

static int ends_in_json(const char *path)
{
    const size_t length = strlen(path);
    return length > 5 && strcmp(path + length - 5, ".json") == 0;
}

static int is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == 0 && strlen(text) < 7;
}

static int by_name(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    if (is_number(x) && is_number(y) && atoi(x) != atoi(y)) /* 2 before 10 */
        return atoi(x) < atoi(y) ? -1 : 1;
    return strcmp(x, y);
}

/* The folders' own names, sorted; numbers as numbers. */
static int own_classes(struct scan *s)
{
    const char **all = mem_alloc(s->count, sizeof *all);
    int rc = all ? class_room(s, s->count) : ERR_MEMORY;
    for (size_t i = 0; i < s->count && rc == 0; i++)
        all[i] = s->pictures[i].folder;
    if (rc == 0)
        qsort(all, s->count, sizeof *all, by_name);
    for (size_t i = 0; i < s->count && rc == 0; i++)
        if (i == 0 || strcmp(all[i - 1], all[i]) != 0)
            rc = add_class(s, all[i]);
    mem_free(all);
    return rc;
}

static int find_classes(struct scan *s)
{
    const struct folders_spec *spec = s->spec;
    s->classes_given = spec->classes || spec->names;
    if (spec->classes)
        return ends_in_json(spec->classes) ? read_array(s, spec->classes) : read_lines(s, spec->classes);
    if (!spec->names)
        return own_classes(s);
    TRY(class_room(s, (size_t)spec->name_count));
    for (int i = 0; i < spec->name_count; i++)
        TRY(add_class(s, spec->names[i]));
    return 0;
}

/* Lines `folder,class`; a first line `folder,class` is a heading. */
static int read_map_lines(struct scan *s, const char *path)
{
    char *text = NULL;
    size_t size;
    TRY(file_read(path, FILE_MOST, &text, &size));
    s->map = json_object();
    int rc = s->map ? 0 : ERR_MEMORY, number = 0;
    for (char *rest = text, *line; rc == 0 && (line = rest) && *line;) {
        rest += strcspn(rest, "\n");
        rest += *rest ? (*rest = 0, 1) : 0;
        line[strcspn(line, "\r")] = 0;
        char *comma = strchr(line, ',');
        number++;
        if (!*line)
            continue;
        if (!comma)
            rc = fail(ERR_INPUT, "%s line %d is not `folder,class`", path, number);
        else {
            *comma = 0;
            if (number > 1 || strcmp(line, "folder") != 0)
                rc = json_set_string(s->map, line, comma + 1);
        }
    }
    mem_free(text);
    return rc;
}

static int read_map(struct scan *s)
{
    const char *path = s->spec->map;
    if (!path)
        return 0;
    if (!ends_in_json(path))
        return read_map_lines(s, path);
    TRY(json_read_file(&s->map, path));
    return json_is_object(s->map) ? 0 : fail(ERR_INPUT, "%s must be a JSON object, folder to class", path);
}

/* The label of a folder, by its name or what the map makes of it; a number is the class's own number where no class has
 * this name (ImageNet-V2). */
static int find_label(const struct scan *s, const char *folder, int32_t *label)
{
    const struct lists *out = s->out;
    const char *name = folder;
    if (s->map && !(name = json_string(json_get(s->map, folder))))
        return fail(ERR_INPUT, "%s names no class for the folder %s", s->spec->map, folder);
    for (int i = 0; i < out->class_count; i++)
        if (strcmp(out->class_names[i], name) == 0) {
            *label = i;
            return 0;
        }
    if (s->classes_given && is_number(name) && atoi(name) < out->class_count) {
        *label = atoi(name);
        return 0;
    }
    return fail(ERR_INPUT, "the folder %s is none of the %d classes%s", folder, out->class_count,
                s->map ? "" : "; a map (folder,class) may say which it is");
}

static int find_labels(struct scan *s)
{
    for (size_t i = 0; i < s->count; i++) /* a folder's images follow one another */
        if (i && strcmp(s->pictures[i].folder, s->pictures[i - 1].folder) == 0)
            s->pictures[i].label = s->pictures[i - 1].label;
        else
            TRY(find_label(s, s->pictures[i].folder, &s->pictures[i].label));
    return 0;
}

/* --- splits */

static int put(struct scan *s, int split, const struct picture *p)
{
    struct list *list = &s->out->split[split];
    if (!list->items && !(list->items = arena_alloc(&s->out->arena, s->count, sizeof *list->items)))
        return ERR_MEMORY;
    list->items[list->count++] = (struct list_item){.path = p->path, .label = p->label};
    return 0;
}

/* Of one class's images in `from`, in a random order: first test, then val, then train. */
static int draw_class(struct scan *s, int32_t label, enum part from, int test, uint32_t *order)
{
    uint32_t n = 0;
    char purpose[48];
    snprintf(purpose, sizeof purpose, "split of class %d", (int)label);
    struct rng r = rng_named(s->spec->seed, purpose);
    for (size_t i = 0; i < s->count; i++)
        if (s->pictures[i].label == label && s->pictures[i].part == from)
            order[n++] = (uint32_t)i;
    rng_shuffle(&r, order, n);
    const uint32_t shots = (uint32_t)s->spec->shots, tests = test ? (n + 4) / 5 : 0,
                   vals = shots ? shots : (n + 4) / 5, trains = shots ? shots : n - tests - vals;
    if (n < tests + vals + trains || (!shots && n < 3) || !trains)
        return n == 0 ? 0
                      : fail(ERR_INPUT, "the class %s has %u images, too few for train, val%s",
                             s->out->class_names[label], n, test ? " and test" : "");
    for (uint32_t i = 0; i < tests + vals + trains; i++)
        TRY(put(s, i < tests ? LIST_TEST : i < tests + vals ? LIST_VAL : LIST_TRAIN, &s->pictures[order[i]]));
    return 0;
}

static int draw(struct scan *s, enum part from, int test)
{
    uint32_t *order = mem_alloc(s->count, sizeof *order);
    int rc = order ? 0 : ERR_MEMORY;
    s->out->is_drawn = 1;
    for (int32_t c = 0; c < s->out->class_count && rc == 0; c++)
        rc = draw_class(s, c, from, test, order);
    mem_free(order);
    return rc;
}

static int take_part(struct scan *s, enum part part, int split)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->pictures[i].part == part)
            TRY(put(s, split, &s->pictures[i]));
    return 0;
}

static int make_splits(struct scan *s, const size_t counts[PARTS], char found[FOUND_TEXT])
{
    const char *what;
    if (!counts[PART_TRAIN] && s->classes_given) { /* something to be judged on */
        if (s->spec->shots)
            return fail(ERR_INPUT, "nothing of it trains, so that there are no shots to draw");
        const enum part part = counts[PART_ALL] ? PART_ALL : counts[PART_TEST] ? PART_TEST : PART_VAL;
        what = "all to be judged on (test)";
        TRY(take_part(s, part, LIST_TEST));
    } else if (counts[PART_ALL]) {
        what = "split at random into train, val and test";
        TRY(draw(s, PART_ALL, 1));
    } else if (!counts[PART_TRAIN]) {
        return fail(
            ERR_INPUT,
            "there is no train folder beside the others; give the classes to make a set to be judged on");
    } else if (counts[PART_VAL] && counts[PART_TEST]) {
        what = s->spec->shots ? "test as it is, the shots drawn from train and val"
                              : "train, val and test as they are";
        TRY(take_part(s, PART_TRAIN, LIST_TRAIN));
        TRY(take_part(s, PART_VAL, LIST_VAL));
        TRY(take_part(s, PART_TEST, LIST_TEST));
        if (s->spec->shots)
            TRY(splits_shots(s->out, s->spec));
    } else {
        const enum part test = counts[PART_TEST] ? PART_TEST : PART_VAL;
        what = test == PART_TEST ? "test as it is, val drawn from train"
                                 : "val taken as test, another val drawn from train";
        TRY(draw(s, PART_TRAIN, !counts[test]));
        TRY(take_part(s, test, LIST_TEST));
    }
    snprintf(found, FOUND_TEXT, "class folders: %d classes, %zu images, %s", s->out->class_count, s->count,
             what);
    return 0;
}

static int read_all(struct scan *s, const struct source *source, char found[FOUND_TEXT])
{
    size_t counts[PARTS] = {0};
    TRY(source_walk(source, take_file, s));
    if (s->count == 0)
        return fail(ERR_INPUT,
                    "there are neither lists (%s) nor images (PNG, JPEG, PPM) in folders of classes",
                    LIST_LANDMARK);
    TRY(find_parts(s, shared_folders(s), counts));
    TRY(find_classes(s));
    TRY(read_map(s));
    TRY(find_labels(s));
    return make_splits(s, counts, found);
}

int folders_read(struct lists *out, const struct source *s, const struct folders_spec *spec,
                 char found[FOUND_TEXT])
{
    struct scan scan = {.out = out, .spec = spec};
    *out = (struct lists){0};
    int rc = read_all(&scan, s, found);
    json_destroy(scan.map);
    mem_free(scan.pictures);
    if (rc < 0)
        lists_finish(out);
    return rc;
}

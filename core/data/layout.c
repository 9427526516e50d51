/* layout.c - see layout.h. */
#include "layout.h"

#include "error.h"

#include <stdio.h>
#include <string.h>

static int add_name(void *context, const char *name)
{
    struct names *n = context;
    if (n->count == n->room) {
        const size_t room = 2 * n->room + 256;
        const char **grown = mem_grow(n->name, n->room, room, sizeof *grown);
        if (!grown)
            return ERR_MEMORY;
        n->name = grown;
        n->room = room;
    }
    n->name[n->count] = arena_string(&n->arena, name);
    return n->name[n->count++] ? 0 : ERR_MEMORY;
}

int names_read(struct names *out, const struct source *s)
{
    *out = (struct names){0};
    int rc = source_walk(s, add_name, out);
    if (rc < 0)
        names_finish(out);
    return rc;
}

void names_finish(struct names *n)
{
    mem_free(n->name);
    arena_finish(&n->arena);
    *n = (struct names){0};
}

const char *name_base(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

int name_ends(const char *name, const char *ending)
{
    const size_t length = strlen(name), tail = strlen(ending);
    return length >= tail && strcmp(name + length - tail, ending) == 0;
}

int names_find(const struct names *n, const char *base, const char **out)
{
    *out = NULL;
    for (size_t i = 0; i < n->count; i++) {
        if (strcmp(name_base(n->name[i]), base) != 0)
            continue;
        if (*out)
            return fail(ERR_INPUT, "there are two files %s and %s; give the folder of one data set", *out,
                        n->name[i]);
        *out = n->name[i];
    }
    return 0;
}

int layout_get(struct lists *out, const struct source *s, const char *name, size_t unpacked_most,
               const unsigned char **bytes, size_t *size)
{
    struct source_bytes b = {0};
    TRY(source_get(s, name, &b));
    if (b.size > 2 && memcmp(b.bytes, "\x1f\x8b", 2) == 0) {
        int rc = source_gunzip(&b, unpacked_most, name);
        if (rc < 0) {
            source_release(&b);
            return rc;
        }
    }
    *bytes = (const unsigned char *)b.bytes;
    *size = b.size;
    return b.owned ? lists_hold(out, b.owned, NULL) : 0;
}

/* Rooms are powers of two, so that many shards do not copy the list each time. */
static size_t room_of(size_t count)
{
    size_t room = 64;
    while (room < count)
        room *= 2;
    return room;
}

int layout_room(struct lists *out, enum list_split split, size_t count)
{
    struct list *list = &out->split[split];
    if (count > LIST_ITEM_LIMIT - list->count)
        return fail(ERR_INPUT, "it holds more than %d images", LIST_ITEM_LIMIT);
    if (list->items && room_of(list->count) >= list->count + count)
        return 0;
    struct list_item *items = arena_alloc(&out->arena, room_of(list->count + count), sizeof *items);
    if (!items)
        return ERR_MEMORY;
    if (list->count)
        memcpy(items, list->items, list->count * sizeof *items);
    list->items = items;
    return 0;
}

int layout_put(struct lists *out, enum list_split split, const char *name, size_t i, int64_t label,
               const unsigned char *bytes, size_t size)
{
    char text[300];
    struct list *list = &out->split[split];
    snprintf(text, sizeof text, "%.250s[%zu]", name, i);
    if (label < 0 || label >= LIST_CLASS_LIMIT)
        return fail(ERR_INPUT, "the label of %s is %lld; labels are 0 to %d", text, (long long)label,
                    LIST_CLASS_LIMIT - 1);
    const char *path = arena_string(&out->arena, text);
    if (!path)
        return ERR_MEMORY;
    list->items[list->count++] =
        (struct list_item){.path = path, .label = (int32_t)label, .bytes = bytes, .size = size};
    return 0;
}

int layout_shape(struct lists *out, const char *name, struct list_pixels p)
{
    const struct list_pixels *was = &out->pixels;
    if (was->width && (was->width != p.width || was->height != p.height || was->channels != p.channels))
        return fail(ERR_INPUT, "%s holds images of %d x %d x %d, the other splits' are %d x %d x %d", name,
                    p.width, p.height, p.channels, was->width, was->height, was->channels);
    out->pixels = p;
    return 0;
}

/* webdataset.c - WebDataset's tar archives: files that share a name up to its first dot are one sample. KEY.jpg (or jpeg,
 * png, ppm) is the picture, KEY.cls its label, a whole number in ASCII; all else (KEY.json) is passed over. A folder of
 * shards is read in the order of their names; a shard with "test" or "val" in its path is of that split. */
#include "layout.h"

#include "error.h"
#include "folders.h"

#include <stdio.h>
#include <string.h>

enum { LABEL_MOST = 64 };

static int is_shard(const char *name)
{
    return name_ends(name, ".tar") || name_ends(name, ".tar.gz") || name_ends(name, ".tgz");
}

int webdataset_match(const struct names *n, const struct source *s)
{
    (void)s;
    int shards = 0;
    for (size_t i = 0; i < n->count; i++) {
        if (name_ends(n->name[i], ".cls"))
            return 1;
        if (folders_is_image(n->name[i]))
            shards = -1;
        else if (is_shard(n->name[i]) && shards == 0)
            shards = 1;
    }
    return shards == 1;
}

static enum list_split split_of(const char *name)
{
    return strstr(name, "test") ? LIST_TEST : strstr(name, "val") ? LIST_VAL : LIST_TRAIN;
}

static size_t key_length(const char *name)
{
    const char *base = name_base(name);
    return (size_t)(base - name) + strcspn(base, ".");
}

static int read_label(const struct source *s, const char *name, int64_t *label)
{
    struct source_bytes b;
    TRY(source_get(s, name, &b));
    size_t at = 0, end = b.size;
    while (end && strchr(" \t\r\n", b.bytes[end - 1]))
        end--;
    int64_t value = 0;
    int is_number = end > 0 && end < LABEL_MOST;
    for (; at < end && is_number; at++) {
        is_number = b.bytes[at] >= '0' && b.bytes[at] <= '9' && value < LIST_CLASS_LIMIT;
        value = value * 10 + (b.bytes[at] - '0');
    }
    source_release(&b);
    *label = value;
    return is_number ? 0
                     : fail(ERR_INPUT, "%s is not a class's number from 0 to %d in ASCII", name,
                            LIST_CLASS_LIMIT - 1);
}

/* One sample: names [from, to) share a key. Samples without a picture and a label (a README) are passed over. */
static int read_sample(struct lists *out, const struct source *s, const struct names *n, size_t from,
                       size_t to, enum list_split split)
{
    const char *picture = NULL, *cls = NULL;
    int64_t label;
    for (size_t i = from; i < to; i++) {
        const char *name = n->name[i], *extension = name + key_length(name);
        if (strcmp(extension, ".cls") == 0)
            cls = name;
        else if (folders_is_image(name) && strchr(extension + 1, '.') == NULL) {
            if (picture)
                return fail(ERR_INPUT, "%s and %s are two pictures of one sample", picture, name);
            picture = name;
        }
    }
    if (!picture && !cls)
        return 0;
    if (!picture || !cls)
        return fail(ERR_INPUT, "%s has no %s beside it", picture ? picture : cls,
                    picture ? "label (.cls)" : "picture (.jpg, .png or .ppm)");
    TRY(read_label(s, cls, &label));
    if (label >= LIST_CLASS_LIMIT)
        return fail(ERR_INPUT, "%s: the class is %lld; at most %d classes are accepted", cls,
                    (long long)label, LIST_CLASS_LIMIT);
    struct list *list = &out->split[split];
    struct list_item *item = &list->items[list->count];
    item->path = arena_string(&out->arena, picture);
    item->label = (int32_t)label;
    if (!item->path)
        return ERR_MEMORY;
    list->count++;
    return 0;
}

/* `part`: its items' bytes are lent by the archive, as the lists' source is another. */
static int read_samples(struct lists *out, const struct source *s, const struct names *n,
                        enum list_split split, int is_part)
{
    const size_t before = out->split[split].count;
    TRY(layout_room(out, split, n->count));
    for (size_t from = 0, to; from < n->count; from = to) {
        const size_t length = key_length(n->name[from]);
        for (to = from + 1; to < n->count && key_length(n->name[to]) == length &&
                            memcmp(n->name[to], n->name[from], length) == 0;)
            to++;
        TRY(read_sample(out, s, n, from, to, split));
    }
    for (size_t i = before; is_part && i < out->split[split].count; i++) {
        struct list_item *item = &out->split[split].items[i];
        struct source_bytes b;
        TRY(source_get(s, item->path, &b)); /* lent: s is an archive */
        item->bytes = (const unsigned char *)b.bytes;
        item->size = b.size;
    }
    return 0;
}

static int read_shard(struct lists *out, const struct source *s, const char *name)
{
    struct source *part = NULL;
    struct names inside;
    TRY(source_open_part(&part, s, name));
    TRY(lists_hold(out, NULL, part));
    TRY(names_read(&inside, part));
    int rc = read_samples(out, part, &inside, split_of(name), 1);
    names_finish(&inside);
    return rc < 0 ? fail_in(rc, "%s", name) : 0;
}

int webdataset_read(struct lists *out, const struct source *s, const struct names *n)
{
    static const char *const class_files[] = {"classes.txt", "classnames.txt"};
    int has_samples = 0;
    for (size_t i = 0; i < n->count && !has_samples; i++)
        has_samples = name_ends(n->name[i], ".cls");
    if (has_samples)
        TRY(read_samples(out, s, n, LIST_TRAIN, 0));
    for (size_t i = 0; i < n->count && !has_samples; i++)
        if (is_shard(n->name[i]))
            TRY(read_shard(out, s, n->name[i]));
    size_t count = 0;
    for (int k = 0; k < LIST_SPLITS; k++)
        count += out->split[k].count;
    if (!count)
        return fail(ERR_INPUT, "no archive holds samples KEY.jpg (or png) with KEY.cls");
    for (size_t i = 0; i < sizeof class_files / sizeof *class_files; i++) {
        const char *name;
        TRY(names_find(n, class_files[i], &name));
        if (name)
            return lists_read_names(out, s, name);
    }
    return 0;
}

/* list.h - the lists of a data set in VTAB-1K's folder format, checked before any picture is read.
 *
 * train800.txt, val200.txt and test.txt hold one `path label` a line; paths are relative to the folder
 * and may contain spaces, labels count from 0. train800val200.txt is optional and must then hold the
 * same items as the first two together. classes.txt is optional: one class name a line, or `number
 * name` with the numbers in order. */
#ifndef VITRO_DATA_LIST_H
#define VITRO_DATA_LIST_H

#include "memory.h"
#include "source.h"

#include <stdint.h>

enum list_split { LIST_TRAIN, LIST_VAL, LIST_TEST, LIST_SPLITS };
enum { LIST_CLASS_LIMIT = 100000, LIST_ITEM_LIMIT = 1 << 24 };

struct list_item {
    const char *path;
    int32_t label;
};
struct list {
    struct list_item *items;
    size_t count;
};

/* A zeroed struct is empty. */
struct lists {
    struct list split[LIST_SPLITS];
    int class_count;
    const char **class_names; /* numbers when classes.txt is absent */
    struct arena arena;       /* owns all of the above */
};

/* The file at the top of every data set, for source_open. */
#define LIST_LANDMARK "train800.txt"

int lists_read(struct lists *out, const struct source *s);
void lists_finish(struct lists *lists);

#endif

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
    const char *path; /* in the source; else what sentences call it */
    int32_t label;
    const unsigned char
        *bytes; /* NULL: at `path` in the source; else lent by the source or held by the lists */
    size_t size;
};
struct list {
    struct list_item *items;
    size_t count;
};

/* What every item's bytes are: pixels of 8 bits, row by row; width 0: files of pictures. */
struct list_pixels {
    int width, height, channels, is_planar; /* channels: 1 or 3; planar: all red, all green, all blue */
};
struct list_held; /* memory and archives that items lie in */

/* A zeroed struct is empty. */
struct lists {
    struct list split[LIST_SPLITS];
    int class_count;
    const char **class_names; /* numbers when nothing names them */
    struct list_pixels pixels;
    struct list_held *held;
    int is_drawn;       /* splits are not (all) as the data set brings them: a seed had a part in them */
    struct arena arena; /* owns all of the above but what is held in `held` */
};

/* The file at the top of every data set, for source_open. */
#define LIST_LANDMARK "train800.txt"

int lists_read(struct lists *out, const struct source *s);
void lists_finish(struct lists *lists);

/* An item's bytes: a picture's file, or pixels. Release them as those of a source. */
int list_item_get(const struct list_item *item, const struct source *s, struct source_bytes *out);

/* For readers of other layouts. Hold: until lists_finish; both are taken, also on failure. */
int lists_hold(struct lists *lists, char *owned, struct source *part);
/* Class names from the lines of a text in the source, `number name` or `name`. */
int lists_read_names(struct lists *lists, const struct source *s, const char *name);
/* Names classes 0 to the greatest label by their numbers. */
int lists_number_classes(struct lists *lists);

#endif

/* layout.h - what the readers of layouts share; not for other layers.
 *
 * A reader fills the published splits (whichever there are), class names if the set brings them, and the pixels' shape;
 * dataset.c draws the splits that are missing and names the classes by numbers where nothing does. Sentences do not name
 * the data set. */
#ifndef VITRO_DATA_LAYOUT_H
#define VITRO_DATA_LAYOUT_H

#include "list.h"

/* The plain files of a source, in the order of their names' bytes. */
struct names {
    const char **name;
    size_t count, room;
    struct arena arena;
};
int names_read(struct names *out, const struct source *s);
void names_finish(struct names *n);
const char *name_base(const char *name); /* behind the last slash */
int name_ends(const char *name, const char *ending);
/* The one file of that name in whatever folder: NULL without one, a refusal for two. */
int names_find(const struct names *n, const char *base, const char **out);

/* Whether it looks like it; negative: refused. */
typedef int layout_match(const struct names *n, const struct source *s);
typedef int layout_read(struct lists *out, const struct source *s, const struct names *n);
layout_match cifar_match, idx_match, npz_match, webdataset_match;
layout_read cifar_read, idx_read, npz_read_data, webdataset_read;

/* Reads a file and holds it with the lists; `bytes` are then lent by them. */
int layout_get(struct lists *out, const struct source *s, const char *name, size_t unpacked_most,
               const unsigned char **bytes, size_t *size);
/* Room for `count` more items of a split, which was empty or had its room from here. */
int layout_room(struct lists *out, enum list_split split, size_t count);
/* "NAME[i]" for sentences, and its bytes. */
int layout_put(struct lists *out, enum list_split split, const char *name, size_t i, int64_t label,
               const unsigned char *bytes, size_t size);
/* All pictures of a set have one size: the first says which. */
int layout_shape(struct lists *out, const char *name, struct list_pixels pixels);

/* Draws train, val and test where they are not published, `shots` images a class where asked, and says how. */
struct folders_spec;
int splits_draw(struct lists *lists, const struct folders_spec *spec, const char **how);
/* Of published splits: `shots` images of each class of train, and as many of val or all it has. */
int splits_shots(struct lists *lists, const struct folders_spec *spec);
/* Takes spec->most[k] of a split's images. */
int splits_limit(struct lists *lists, const struct folders_spec *spec);

#endif

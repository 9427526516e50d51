/* folders.h - data sets as folders of classes (ImageFolder's layout), as lists: what trains, what validates, what is
 * judged.
 *
 *   CLASS/image             split at random by `seed`: a fifth val, a fifth test, class by class
 *   train|val|test/CLASS/image   as they are; val and test missing are drawn, or taken from one another
 *   CLASS/image with classes given    a set to be judged on: all test (ImageNet-V2, -R, -A, -Sketch)
 *
 * A folder around all of it is looked through; files that are no images (by their ending) are passed over. */
#ifndef VITRO_DATA_FOLDERS_H
#define VITRO_DATA_FOLDERS_H

#include "list.h"

enum { FOUND_TEXT = 320 };
struct folders_spec {
    const char *
        classes; /* NULL, or a file of the classes in order: lines `folder` or `folder name`, or a JSON array */
    const char *const *names; /* NULL, or the classes in order: those of a pack */
    int name_count;
    const char *map; /* NULL, or folder -> class: lines `folder,class` or a JSON object */
    int shots;       /* images a class that train, and as many for val; 0: all */
    uint64_t seed;   /* of what is drawn */
    uint32_t most[LIST_SPLITS]; /* so many of a split, drawn by `seed` in the classes' proportions; 0: all */
};

/* Fills lists, or refuses. `found` gets a sentence that says what was found. */
int folders_read(struct lists *out, const struct source *s, const struct folders_spec *spec,
                 char found[FOUND_TEXT]);

/* Whether its ending is that of a picture. */
int folders_is_image(const char *name);

#endif

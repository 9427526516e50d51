/* cifar.c - CIFAR-10 and CIFAR-100 in their binary form (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html):
 * records of one label (CIFAR-100: two, coarse and fine; the fine one is taken) and 3 x 32 x 32 pixels, planar. */
#include "layout.h"

#include "error.h"

#include <stdio.h>

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, BATCHES = 99 };

static int is_hundred(const struct names *n, const char **train, const char **test)
{
    TRY(names_find(n, "train.bin", train));
    TRY(names_find(n, "test.bin", test));
    return *train || *test;
}

int cifar_match(const struct names *n, const struct source *s)
{
    const char *batch, *test;
    (void)s;
    TRY(names_find(n, "data_batch_1.bin", &batch));
    TRY(names_find(n, "test_batch.bin", &test));
    return batch || test ? 1 : is_hundred(n, &batch, &test);
}

/* `labels`: how many a record begins with; the last counts. */
static int read_batch(struct lists *out, const struct source *s, const char *name, enum list_split split,
                      size_t labels)
{
    const unsigned char *bytes;
    size_t size;
    const size_t record = labels + PIXELS;
    TRY(layout_get(out, s, name, 0, &bytes, &size));
    if (!size || size % record)
        return fail(ERR_INPUT,
                    "%s is %zu bytes, no multiple of the %zu of a CIFAR-%s record; is the download whole?",
                    name, size, record, labels == 1 ? "10" : "100");
    TRY(layout_room(out, split, size / record));
    for (size_t i = 0; i < size / record; i++, bytes += record)
        TRY(layout_put(out, split, name, i, bytes[labels - 1], bytes + labels, PIXELS));
    return 0;
}

/* The label must be among the names that the set brings. */
static int read_class_names(struct lists *out, const struct source *s, const struct names *n,
                            const char *base)
{
    const char *name;
    TRY(names_find(n, base, &name));
    return name ? lists_read_names(out, s, name) : 0;
}

int cifar_read(struct lists *out, const struct source *s, const struct names *n)
{
    const char *train, *test;
    out->pixels = (struct list_pixels){SIDE, SIDE, 3, 1};
    int hundred = is_hundred(n, &train, &test);
    if (hundred < 0)
        return hundred;
    if (hundred) {
        if (train)
            TRY(read_batch(out, s, train, LIST_TRAIN, 2));
        if (test)
            TRY(read_batch(out, s, test, LIST_TEST, 2));
        return read_class_names(out, s, n, "fine_label_names.txt");
    }
    for (int k = 1; k <= BATCHES; k++) {
        char base[32];
        snprintf(base, sizeof base, "data_batch_%d.bin", k);
        TRY(names_find(n, base, &train));
        if (!train)
            break;
        TRY(read_batch(out, s, train, LIST_TRAIN, 1));
    }
    TRY(names_find(n, "test_batch.bin", &test));
    if (test)
        TRY(read_batch(out, s, test, LIST_TEST, 1));
    return read_class_names(out, s, n, "batches.meta.txt");
}

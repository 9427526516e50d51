/* fuzz_files.h - one input as several files in memory, for readers of data sets: each is one byte that chooses its name
 * from the harness's list, two bytes of length (little-endian, cut to what is left), and its bytes. */
#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H

#include "fuzz.h"

#include "dataset.h"
#include "image.h"

enum { FUZZ_FILES = 24 };

/* Reads the files as a data set and then every byte that its items lend. */
static inline void fuzz_dataset(struct source *s, const struct folders_spec *spec)
{
    static volatile unsigned sink;
    struct lists lists;
    char found[FOUND_TEXT];
    unsigned sum = 0;
    if (dataset_read(&lists, s, spec, found) < 0)
        return;
    for (int k = 0; k < LIST_SPLITS; k++)
        for (size_t i = 0; i < lists.split[k].count; i++) {
            const struct list_item *item = &lists.split[k].items[i];
            struct source_bytes b;
            if (item->label < 0 || item->label >= lists.class_count)
                __builtin_trap();
            sum += (unsigned)lists.class_names[item->label][0];
            if (list_item_get(item, s, &b) < 0)
                __builtin_trap();
            for (size_t at = 0; at < b.size; at++)
                sum += (unsigned char)b.bytes[at];
            source_release(&b);
        }
    sink = sum;
    (void)sink;
    lists_finish(&lists);
}

static inline void fuzz_files(const uint8_t *bytes, size_t size, const char *const *names, size_t name_count)
{
    struct source_file files[FUZZ_FILES];
    size_t count = 0;
    unsigned used = 0;
    struct folders_spec spec = {.seed = 1};
    if (!size)
        return;
    spec.shots = *bytes & 3;           /* the first byte: options */
    spec.most[0] = *bytes & 4 ? 2 : 0; /* a part of train */
    bytes++, size--;
    while (size >= 3 && count < FUZZ_FILES) {
        const unsigned which = bytes[0] % (unsigned)name_count;
        size_t length = (size_t)bytes[1] | (size_t)bytes[2] << 8;
        bytes += 3, size -= 3;
        length = length < size ? length : size;
        if (!(used >> which & 1)) /* a name once */
            files[count++] = (struct source_file){names[which], bytes, length};
        used |= 1u << which;
        bytes += length, size -= length;
    }
    struct source *s = NULL;
    if (source_files(&s, files, count) < 0)
        return;
    fuzz_dataset(s, &spec);
    source_close(s);
}

#define FUZZ_NAMES(...)                                               \
    int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)     \
    {                                                                 \
        static const char *const names[] = {__VA_ARGS__};             \
        fuzz_files(bytes, size, names, sizeof names / sizeof *names); \
        return 0;                                                     \
    }

#endif

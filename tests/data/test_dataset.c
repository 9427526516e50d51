/* test_dataset.c - data sets in their published layouts, made here byte by byte: CIFAR-10 and -100, IDX, MedMNIST's .npz,
 * WebDataset. Labels and pixels are those that were written; splits, shots and parts come from the seed alone. */
#include "dataset.h"
#include "error.h"
#include "memory.h"
#include "pack.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char found[FOUND_TEXT];

static int clean(void **state)
{
    (void)state;
    return system("rm -rf set set.* *.pack") == 0 && file_make_folders("set/inner") == 0 ? 0 : -1;
}

/* --- reading */

struct read {
    struct source *source;
    struct lists lists;
};

static int read_set(struct read *r, const char *path, const struct folders_spec *spec)
{
    *r = (struct read){0};
    int rc = source_open(&r->source, path, LIST_LANDMARK);
    return rc == 0 ? dataset_read(&r->lists, r->source, spec, found) : rc;
}

static void finish(struct read *r)
{
    lists_finish(&r->lists);
    source_close(r->source);
}

static struct read read_well(const char *path, const struct folders_spec *spec)
{
    struct read r;
    if (read_set(&r, path, spec) < 0)
        fail_msg("%s: %s", path, error_text());
    return r;
}

static void refuse(const char *path, const struct folders_spec *spec, const char *words)
{
    struct read r;
    if (read_set(&r, path, spec) != ERR_INPUT || !strstr(error_text(), words))
        fail_msg("wanted \"%s\", got: %s", words, error_text());
    finish(&r);
}

static void assert_counts(const struct read *r, size_t train, size_t val, size_t test)
{
    assert_int_equal(r->lists.split[LIST_TRAIN].count, train);
    assert_int_equal(r->lists.split[LIST_VAL].count, val);
    assert_int_equal(r->lists.split[LIST_TEST].count, test);
}

static void assert_found(const char *words)
{
    if (!strstr(found, words))
        fail_msg("wanted \"%s\", found: %s", words, found);
}

/* --- what the sets hold: pixel k of picture i */

static unsigned char value(int i, size_t k)
{
    return (unsigned char)(i * 29 + (int)k * 7 + (int)(k >> 8) * 3);
}

static void put(FILE *f, const void *bytes, size_t size)
{
    assert_int_equal(fwrite(bytes, 1, size, f), size);
}

static FILE *begin(const char *path)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    return f;
}

/* Pictures first to first + count - 1; the last of a record's labels is i % classes. */
static void write_cifar(const char *path, int labels, int first, int count, int classes)
{
    FILE *f = begin(path);
    for (int i = first; i < first + count; i++) {
        for (int k = 0; k < labels; k++)
            fputc(k == labels - 1 ? i % classes : 77, f);
        for (size_t k = 0; k < 3 * 32 * 32; k++)
            fputc(value(i, k), f);
    }
    fclose(f);
}

static void write_idx(const char *path, int axes, int first, int count, int rows, int columns)
{
    FILE *f = begin(path);
    const int dim[3] = {count, rows, columns};
    const unsigned char magic[4] = {0, 0, 8, (unsigned char)axes};
    put(f, magic, 4);
    for (int k = 0; k < axes; k++) {
        const unsigned char d[4] = {0, 0, (unsigned char)(dim[k] >> 8), (unsigned char)dim[k]};
        put(f, d, 4);
    }
    for (int i = first; i < first + count; i++)
        if (axes == 1)
            fputc(i % 10, f);
        else
            for (size_t k = 0; k < (size_t)(rows * columns); k++)
                fputc(value(i, k), f);
    fclose(f);
}

/* --- zip archives of .npy, stored */

static void put_number(FILE *f, uint32_t v, int bytes)
{
    for (int k = 0; k < bytes; k++)
        fputc((int)(v >> 8 * k & 255), f);
}

static uint32_t crc32_of(const unsigned char *b, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= b[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

struct member {
    char name[40];
    unsigned char bytes[4096];
    uint32_t size, crc, offset;
};
static struct member members[6];
static int member_count;

static struct member *add_npy(const char *name, const char *dtype, const char *shape)
{
    struct member *m = &members[member_count++];
    char header[118];
    int length = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                          dtype, shape);
    memset(header + length, ' ', sizeof header - (size_t)length);
    header[117] = '\n';
    snprintf(m->name, sizeof m->name, "%s.npy", name);
    memcpy(m->bytes, "\x93NUMPY\1\0\x76\0", 10);
    memcpy(m->bytes + 10, header, 118);
    m->size = 128;
    return m;
}

static void add_bytes(struct member *m, const void *bytes, size_t size)
{
    assert_true(m->size + size <= sizeof m->bytes);
    memcpy(m->bytes + m->size, bytes, size);
    m->size += (uint32_t)size;
}

static void write_zip(const char *path)
{
    FILE *f = begin(path);
    for (int i = 0; i < member_count; i++) {
        struct member *m = &members[i];
        m->offset = (uint32_t)ftell(f);
        m->crc = crc32_of(m->bytes, m->size);
        put(f, "PK\3\4\24\0\0\0\0\0\0\0\0\0", 14);
        put_number(f, m->crc, 4);
        put_number(f, m->size, 4);
        put_number(f, m->size, 4);
        put_number(f, (uint32_t)strlen(m->name), 2);
        put_number(f, 0, 2);
        put(f, m->name, strlen(m->name));
        put(f, m->bytes, m->size);
    }
    const uint32_t directory = (uint32_t)ftell(f);
    for (int i = 0; i < member_count; i++) {
        const struct member *m = &members[i];
        put(f, "PK\1\2\24\0\24\0\0\0\0\0\0\0\0\0", 16);
        put_number(f, m->crc, 4);
        put_number(f, m->size, 4);
        put_number(f, m->size, 4);
        put_number(f, (uint32_t)strlen(m->name), 2);
        put(f, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
        put_number(f, m->offset, 4);
        put(f, m->name, strlen(m->name));
    }
    const uint32_t end = (uint32_t)ftell(f);
    put(f, "PK\5\6\0\0\0\0", 8);
    put_number(f, (uint32_t)member_count, 2);
    put_number(f, (uint32_t)member_count, 2);
    put_number(f, end - directory, 4);
    put_number(f, directory, 4);
    put_number(f, 0, 2);
    fclose(f);
    member_count = 0;
}

/* `count` pictures of 4 x 5 (x 3) from `first`, labels int64 [N 1] or uint8 [N] */
static void add_split(const char *split, int first, int count, int channels, const char *labels)
{
    char name[32], shape[48];
    snprintf(name, sizeof name, "%s_images", split);
    snprintf(shape, sizeof shape, channels == 3 ? "%d, 4, 5, 3" : "%d, 4, 5", count);
    struct member *m = add_npy(name, "|u1", shape);
    for (int i = first; i < first + count; i++)
        for (size_t k = 0; k < (size_t)(20 * channels); k++) {
            const unsigned char v = value(i, k);
            add_bytes(m, &v, 1);
        }
    snprintf(name, sizeof name, "%s_labels", split);
    snprintf(shape, sizeof shape, strcmp(labels, "<i8") == 0 ? "%d, 1" : "%d,", count);
    m = add_npy(name, labels, shape);
    for (int i = first; i < first + count; i++) {
        const unsigned char eight[8] = {(unsigned char)(i % 3)};
        add_bytes(m, eight, strcmp(labels, "<i8") == 0 ? 8 : 1);
    }
}

/* --- what a pack must hold: the pictures of a split are those numbered, at their own size */

static struct pack *pack_set(const char *path, const struct folders_spec *spec, int size)
{
    struct pack *p = NULL;
    const struct pack_spec what = {
        .source = path, .normalise = "half", .size = size, .folders = spec, .found = found};
    if (pack_build(&what, "a.pack", NULL, NULL) < 0 || pack_open(&p, "a.pack") < 0)
        fail_msg("%s: %s", path, error_text());
    return p;
}

/* --- tests */

static void cifar_10_keeps_its_test_and_draws_val(void **state)
{
    (void)state;
    write_cifar("set/inner/data_batch_1.bin", 1, 0, 60, 10);
    write_cifar("set/inner/data_batch_2.bin", 1, 60, 40, 10);
    write_cifar("set/inner/test_batch.bin", 1, 1000, 20, 10);
    assert_int_equal(scratch_text("set/inner/batches.meta.txt", "airplane\nautomobile\nbird\ncat\ndeer\ndog\n"
                                                                "frog\nhorse\nship\ntruck\n\n"),
                     0);
    struct read r = read_well("set", NULL);
    assert_found("CIFAR");
    assert_found("val drawn from train");
    assert_counts(&r, 80, 20, 20);
    assert_string_equal(r.lists.class_names[9], "truck");
    int of_class[10] = {0};
    for (size_t i = 0; i < 20; i++)
        of_class[r.lists.split[LIST_VAL].items[i].label]++;
    for (int c = 0; c < 10; c++)
        assert_int_equal(of_class[c], 2);
    finish(&r);

    /* pixels: planar in the file, interleaved in the pack, also from an archive */
    assert_int_equal(system("tar czf set.tar.gz set"), 0);
    static const char *const paths[] = {"set", "set.tar.gz"};
    for (int at = 0; at < 2; at++) {
        struct pack *p = pack_set(paths[at], NULL, 32);
        struct pack_images test = pack_images(p, PACK_TEST);
        assert_int_equal(test.count, 20);
        for (int i = 0; i < 20; i++) {
            assert_int_equal(test.labels[i], (1000 + i) % 10);
            for (size_t k = 0; k < 1024; k++)
                for (size_t c = 0; c < 3; c++)
                    assert_int_equal(test.rgb[(size_t)i * 3072 + 3 * k + c], value(1000 + i, c * 1024 + k));
        }
        assert_non_null(strstr(pack_info(p)->origin, "val drawn from train"));
        pack_close(p);
    }
}

static void cifar_100_has_the_fine_labels(void **state)
{
    (void)state;
    write_cifar("set/train.bin", 2, 0, 400, 100);
    write_cifar("set/test.bin", 2, 7, 30, 100);
    struct folders_spec one = {.shots = 1, .seed = 3};
    struct read r = read_well("set", &one);
    assert_counts(&r, 100, 100, 30);
    assert_int_equal(r.lists.split[LIST_TEST].items[5].label, 12);
    assert_int_equal(r.lists.class_count, 100);
    assert_string_equal(r.lists.class_names[99], "99");
    finish(&r);
    assert_int_equal(scratch_text("set/fine_label_names.txt", "apple\nbear\n"), 0);
    refuse("set", NULL, "2 classes are named");
    write_cifar("set/train.bin", 1, 0, 3, 10);
    refuse("set", NULL, "is the download whole?");
}

static void idx_is_read_packed_or_not_and_grey_becomes_rgb(void **state)
{
    (void)state;
    write_idx("set/train-images-idx3-ubyte", 3, 0, 100, 5, 6);
    write_idx("set/train-labels-idx1-ubyte", 1, 0, 100, 0, 0);
    write_idx("set/t10k-images-idx3-ubyte", 3, 500, 20, 5, 6);
    write_idx("set/t10k-labels-idx1-ubyte", 1, 500, 20, 0, 0);
    struct read r = read_well("set", NULL);
    assert_found("IDX");
    assert_counts(&r, 80, 20, 20);
    assert_int_equal(r.lists.pixels.width, 6);
    assert_int_equal(r.lists.pixels.height, 5);
    const struct list_item *last = &r.lists.split[LIST_TEST].items[19];
    assert_int_equal(last->label, 9);
    assert_int_equal(last->size, 30);
    for (size_t k = 0; k < 30; k++)
        assert_int_equal(last->bytes[k], value(519, k));
    finish(&r);
    struct pack *p = pack_set("set", NULL, 8);
    const unsigned char *rgb = pack_images(p, PACK_TEST).rgb;
    for (size_t k = 0; k < 20 * 64; k++)
        assert_true(rgb[3 * k] == rgb[3 * k + 1] && rgb[3 * k] == rgb[3 * k + 2]);
    char fingerprint[65];
    strcpy(fingerprint, pack_info(p)->fingerprint);
    pack_close(p);
    assert_int_equal(system("gzip -q set/*-ubyte"), 0);
    p = pack_set("set", NULL, 8);
    assert_string_equal(pack_info(p)->fingerprint, fingerprint);
    pack_close(p);
}

static void a_lone_test_split_is_divided_and_said_to_be(void **state)
{
    (void)state;
    write_idx("set/t10k-images-idx3-ubyte", 3, 0, 100, 5, 6);
    write_idx("set/t10k-labels-idx1-ubyte", 1, 0, 100, 0, 0);
    struct read r = read_well("set", NULL);
    assert_found("all three drawn from test");
    assert_counts(&r, 60, 20, 20);
    finish(&r);
}

static void damaged_idx_is_refused(void **state)
{
    (void)state;
    const char images[] = "set/train-images-idx3-ubyte", labels[] = "set/train-labels-idx1-ubyte";
    write_idx(images, 3, 0, 30, 5, 6);
    refuse("set", NULL, "labels-idx1-ubyte is missing");
    refuse(images, NULL, "has no labels beside it");
    write_idx(labels, 1, 0, 31, 0, 0);
    refuse("set", NULL, "30 images, but train-labels-idx1-ubyte 31 labels");
    write_idx(labels, 1, 0, 30, 0, 0);
    assert_int_equal(truncate(images, 500), 0);
    refuse("set", NULL, "cut short");
    write_idx(images, 3, 0, 30, 5, 6);
    assert_int_equal(system("printf x >>set/train-images-idx3-ubyte"), 0);
    refuse("set", NULL, "says 900 elements and holds 901");
    assert_int_equal(scratch_bytes(images, "\0\0\x0d\3aaaabbbbcccc", 16), 0);
    refuse("set", NULL, "type 13");
    assert_int_equal(scratch_bytes(images, "\0\0\x08\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16),
                     0);
    refuse("set", NULL, "cut short");
    write_idx(images, 3, 0, 30, 5, 6);
    write_idx("set/emnist-train-images-idx3-ubyte", 3, 0, 30, 5, 6);
    write_idx("set/emnist-train-labels-idx1-ubyte", 1, 0, 30, 0, 0);
    refuse("set", NULL, "both the images of one split");
}

static void medmnist_arrays_keep_their_three_splits(void **state)
{
    (void)state;
    static const char *const labels[] = {"<i8", "|u1"};
    for (int channels = 1; channels <= 3; channels += 2) {
        add_split("train", 0, 9, channels, labels[channels / 2]);
        add_split("val", 100, 4, channels, labels[channels / 2]);
        add_split("test", 200, 5, channels, labels[channels / 2]);
        write_zip("set.npz");
        struct read r = read_well("set.npz", NULL);
        assert_found("splits as published");
        assert_counts(&r, 9, 4, 5);
        const struct list_item *item = &r.lists.split[LIST_VAL].items[2];
        assert_int_equal(item->label, 102 % 3);
        for (size_t k = 0; k < (size_t)(20 * channels); k++)
            assert_int_equal(item->bytes[k], value(102, k));
        assert_int_equal(r.lists.class_count, 3);
        finish(&r);
        struct pack *p = pack_set("set.npz", NULL, 16);
        assert_string_equal(pack_info(p)->task, "set");
        assert_string_equal(pack_info(p)->origin, "images");
        pack_close(p);
    }
}

static void npz_of_other_shapes_is_refused(void **state)
{
    (void)state;
    struct member *m = add_npy("weights", "|u1", "1,");
    add_bytes(m, "x", 1);
    write_zip("set.npz");
    refuse("set.npz", NULL, "no arrays train_images");
    add_split("train", 0, 9, 1, "|u1");
    member_count--;
    write_zip("set.npz");
    refuse("set.npz", NULL, "train_labels is missing");
    add_split("train", 0, 9, 1, "|u1");
    add_split("test", 0, 9, 3, "|u1");
    write_zip("set.npz");
    refuse("set.npz", NULL, "the other splits' are");
    add_split("train", 0, 2, 1, "|u1");
    member_count--;
    m = add_npy("train_labels", "|u1", "2, 2");
    add_bytes(m, "\0\1\1\0", 4);
    write_zip("set.npz");
    refuse("set.npz", NULL, "several labels");
    add_split("train", 0, 9, 1, "|u1");
    write_zip("set.npz");
    assert_int_equal(truncate("set.npz", 300), 0);
    refuse("set.npz", NULL, "set.npz");
    /* a fuzzer's find: sizes in the directory that the file has no room for were believed and allocated */
    char *bytes = NULL;
    size_t size = 0;
    add_split("train", 0, 9, 1, "|u1");
    write_zip("set.npz");
    assert_int_equal(file_read("set.npz", 1 << 20, &bytes, &size), 0);
    for (size_t i = 0; i + 28 < size; i++)
        if (memcmp(bytes + i, "PK\1\2", 4) == 0)
            bytes[i + 23] = bytes[i + 27] = 0x40; /* a GiB more, packed and not */
    assert_int_equal(scratch_bytes("set.npz", bytes, size), 0);
    mem_free(bytes);
    refuse("set.npz", NULL, "which cannot be");
    m = add_npy("train_images", "<f4", "1, 1, 1");
    add_bytes(m, "\0\0\0\0", 4);
    m = add_npy("train_labels", "<i8", "1,");
    add_bytes(m, "\0\0\0\0\0\0\0\0", 8);
    write_zip("set.npz");
    refuse("set.npz", NULL, "uint8");
    m = add_npy("train_images", "|u1", "1, 1, 1");
    add_bytes(m, "\0", 1);
    m = add_npy("train_labels", "<i8", "1,");
    add_bytes(m, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    write_zip("set.npz");
    refuse("set.npz", NULL, "the label of train[0] is -1");
}

static void write_sample(const char *folder, int i, const char *extra)
{
    unsigned char rgb[6 * 4 * 3];
    char path[96], text[16];
    for (size_t k = 0; k < sizeof rgb; k++)
        rgb[k] = value(i, k);
    snprintf(path, sizeof path, "%s/%06d.png", folder, i);
    assert_int_equal(image_write_png(path, rgb, 6, 4), 0);
    snprintf(path, sizeof path, "%s/%06d.cls", folder, i);
    snprintf(text, sizeof text, "%d%s", i % 2, extra);
    assert_int_equal(scratch_text(path, text), 0);
    snprintf(path, sizeof path, "%s/%06d.json", folder, i);
    assert_int_equal(scratch_text(path, "{\"any\": [1]}"), 0);
}

static void a_webdataset_archive_and_its_shards_are_read(void **state)
{
    (void)state;
    assert_int_equal(system("mkdir -p work/a work/b work/t"), 0);
    for (int i = 0; i < 10; i++)
        write_sample("work/a", i, "\n"), write_sample("work/b", 10 + i, ""),
            write_sample("work/t", 20 + i, "");
    assert_int_equal(
        system("tar cf set/train-0000.tar -C work/a . && tar czf set/train-0001.tar.gz -C work/b . &&"
               "tar cf set/test-0000.tar -C work/t . && cp set/train-0000.tar set.tar &&"
               "printf 'cat\\ndog\\n' >set/classnames.txt && rm -r work"),
        0);
    struct read r = read_well("set.tar", NULL);
    assert_found("WebDataset");
    assert_counts(&r, 6, 2, 2);
    finish(&r);
    r = read_well("set", NULL);
    assert_counts(&r, 16, 4, 10);
    assert_string_equal(r.lists.class_names[1], "dog");
    finish(&r);
    struct pack *p = pack_set("set", NULL, 16);
    struct pack_images test = pack_images(p, PACK_TEST);
    for (int i = 0; i < 10; i++)
        assert_int_equal(test.labels[i], i % 2);
    pack_close(p);
}

static void webdataset_samples_must_be_whole(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        write_sample("set", i, "");
    assert_int_equal(system("rm set/000003.cls"), 0);
    refuse("set", NULL, "000003.png has no label (.cls) beside it");
    write_sample("set", 3, "x");
    refuse("set", NULL, "000003.cls is not a class's number");
    write_sample("set", 3, "00000000000");
    refuse("set", NULL, "000003.cls");
    write_sample("set", 3, "");
    assert_int_equal(system("cp set/000003.png set/000003.ppm"), 0);
    refuse("set", NULL, "two pictures of one sample");
    assert_int_equal(system("rm set/000003.p*"), 0);
    refuse("set", NULL, "has no picture");
}

static void the_same_seed_draws_the_same_and_another_another(void **state)
{
    (void)state;
    write_cifar("set/data_batch_1.bin", 1, 0, 200, 10);
    write_cifar("set/test_batch.bin", 1, 500, 50, 10);
    struct folders_spec spec = {.shots = 4, .seed = 1};
    char fingerprint[3][65];
    for (int i = 0; i < 3; i++) {
        spec.seed = i == 2 ? 2 : 1;
        struct pack *p = pack_set("set", &spec, 8);
        assert_int_equal(pack_info(p)->count[PACK_TRAIN], 40);
        assert_int_equal(pack_info(p)->count[PACK_VAL], 40);
        assert_int_equal(pack_info(p)->count[PACK_TEST], 50);
        assert_non_null(strstr(pack_info(p)->origin, i == 2 ? "seed 2" : "seed 1"));
        assert_non_null(strstr(pack_info(p)->origin, "4 shots a class"));
        strcpy(fingerprint[i], pack_info(p)->split_fingerprint[PACK_TRAIN]);
        pack_close(p);
    }
    assert_string_equal(fingerprint[0], fingerprint[1]);
    assert_string_not_equal(fingerprint[0], fingerprint[2]);
    spec.shots = 30;
    refuse("set", &spec, "too few for so many shots");
}

static void a_part_of_a_split_keeps_the_classes_proportions(void **state)
{
    (void)state;
    write_cifar("set/data_batch_1.bin", 1, 0, 200, 10);
    write_cifar("set/test_batch.bin", 1, 500, 50, 10);
    const struct folders_spec spec = {.most = {80, 15, 0}, .seed = 5};
    struct read r = read_well("set", &spec);
    assert_counts(&r, 80, 15, 50);
    int of_class[2][10] = {{0}};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < r.lists.split[k].count; i++)
            of_class[k][r.lists.split[k].items[i].label]++;
    for (int c = 0; c < 10; c++) {
        assert_int_equal(of_class[0][c], 8);
        assert_true(of_class[1][c] == 1 || of_class[1][c] == 2);
    }
    finish(&r);
    const struct folders_spec more = {.most = {161, 0, 0}};
    refuse("set", &more, "160 train images, but 161 are asked for");
    /* lists have their order, and parts of them */
    assert_int_equal(system("rm -r set"), 0);
    assert_int_equal(scratch_make_set(), 0);
    const struct folders_spec two = {.most = {2, 0, 1}};
    r = read_well("set", &two);
    assert_counts(&r, 2, 2, 1);
    finish(&r);
}

static void sets_in_memory_read_as_on_disk(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    write_idx("set/train-images-idx3-ubyte", 3, 0, 30, 5, 6);
    write_idx("set/train-labels-idx1-ubyte", 1, 0, 30, 0, 0);
    assert_int_equal(system("tar cf set.tar set"), 0);
    assert_int_equal(file_read("set.tar", 1 << 20, &bytes, &size), 0);
    struct read r = {0};
    assert_int_equal(source_view(&r.source, bytes, size, "in memory", LIST_LANDMARK), 0);
    assert_int_equal(dataset_read(&r.lists, r.source, NULL, found), 0);
    assert_counts(&r, 10, 10, 10);
    finish(&r);
    const struct source_file files[] = {{"train800.txt", "a.ppm 0\n", 8},
                                        {"a.ppm", "P5", 2},
                                        {"val200.txt", "a.ppm 0", 7},
                                        {"test.txt", "a.ppm 0", 7}};
    r = (struct read){0};
    assert_int_equal(source_files(&r.source, files, 4), 0);
    assert_int_equal(dataset_read(&r.lists, r.source, NULL, found), 0);
    assert_counts(&r, 1, 1, 1);
    finish(&r);
    const struct source_file twice[] = {{"a", "x", 1}, {"a", "y", 1}};
    assert_int_equal(source_files(&r.source, twice, 2), ERR_INPUT);
    assert_int_equal(source_view(&r.source, bytes, 100, "cut", LIST_LANDMARK), ERR_INPUT);
    assert_null(r.source);
    mem_free(bytes);
}

static void what_is_not_read_is_refused_with_the_layouts_named(void **state)
{
    (void)state;
    assert_int_equal(scratch_text("set/a.txt", "x"), 0);
    refuse("set", NULL, "test.bin");
    assert_int_equal(scratch_text("set/a.parquet", "PAR1"), 0);
    refuse("set", NULL, "Parquet");
    refuse("set/a.parquet", NULL, "Parquet");
    write_cifar("set/inner/train.bin", 2, 0, 30, 3);
    assert_int_equal(system("cp -r set/inner set/again"), 0);
    refuse("set", NULL, "two files");
    assert_int_equal(system("rm -r set/again"), 0);
    const struct folders_spec spec = {.map = "map.csv"};
    refuse("set", &spec, "--map are for folders");
}

static void running_out_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
    write_idx("set/train-images-idx3-ubyte", 3, 0, 30, 5, 6);
    write_idx("set/train-labels-idx1-ubyte", 1, 0, 30, 0, 0);
    add_split("train", 0, 9, 1, "<i8");
    write_zip("set.npz");
    assert_int_equal(file_make_folders("work"), 0);
    for (int i = 0; i < 6; i++)
        write_sample("work", i, "");
    assert_int_equal(
        system("gzip -q set/*images*; mkdir set.shards; tar cf set.shards/a.tar -C work .; rm -r work"), 0);
    static const char *const paths[] = {"set", "set.npz", "set.shards"};
    for (int i = 0; i < 3; i++) {
        int rc = ERR_MEMORY;
        for (long after = 0; rc < 0; after++) {
            struct read r;
            mem_fail_after(after);
            rc = read_set(&r, paths[i], NULL);
            mem_fail_after(-1);
            if (rc != 0 && rc != ERR_MEMORY)
                fail_msg("%s after %ld: %s", paths[i], after, error_text());
            finish(&r);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cifar_10_keeps_its_test_and_draws_val, clean),
        cmocka_unit_test_setup(cifar_100_has_the_fine_labels, clean),
        cmocka_unit_test_setup(idx_is_read_packed_or_not_and_grey_becomes_rgb, clean),
        cmocka_unit_test_setup(a_lone_test_split_is_divided_and_said_to_be, clean),
        cmocka_unit_test_setup(damaged_idx_is_refused, clean),
        cmocka_unit_test_setup(medmnist_arrays_keep_their_three_splits, clean),
        cmocka_unit_test_setup(npz_of_other_shapes_is_refused, clean),
        cmocka_unit_test_setup(a_webdataset_archive_and_its_shards_are_read, clean),
        cmocka_unit_test_setup(webdataset_samples_must_be_whole, clean),
        cmocka_unit_test_setup(the_same_seed_draws_the_same_and_another_another, clean),
        cmocka_unit_test_setup(a_part_of_a_split_keeps_the_classes_proportions, clean),
        cmocka_unit_test_setup(sets_in_memory_read_as_on_disk, clean),
        cmocka_unit_test_setup(what_is_not_read_is_refused_with_the_layouts_named, clean),
        cmocka_unit_test_setup(running_out_of_memory_is_an_error_like_any_other, clean),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}

/* test_pack.c - packs are built alike from folders and archives, open as they were built, and show
 * every damage. */
#include "child.h"
#include "error.h"
#include "hash.h"
#include "image.h"
#include "memory.h"
#include "pack.h"
#include "resize.h"
#include "scratch.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIZE = 16, PICTURE = SIZE * SIZE * 3 };
static const struct pack_spec spec = {.source = "set", .normalise = "imagenet", .size = SIZE};

static int enter(void **state)
{
    return scratch_enter(state) == 0 ? scratch_make_set() : -1;
}

static int restore(void **state)
{
    (void)state;
    return system("rm -rf set *.tar* *.pack*") == 0 ? scratch_make_set() : -1;
}

static void the_pack_holds_what_the_folder_holds(void **state)
{
    (void)state;
    struct pack *p = NULL;
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), 0);
    assert_int_equal(pack_open(&p, "a.pack"), 0);
    const struct pack_info *info = pack_info(p);
    assert_string_equal(info->task, "set");
    assert_string_equal(info->kind, "given");
    assert_string_equal(info->normalise, "imagenet");
    assert_int_equal(info->size, SIZE);
    assert_int_equal(info->class_count, 3);
    assert_string_equal(info->class_names[1], "big dog");
    assert_true(info->mean[0] == 0.485 && info->deviation[2] == 0.225);
    static const int32_t labels[] = {0, 1, 2, 1, 0, 2, 0};
    struct pack_images both = pack_images(p, PACK_TRAINVAL), test = pack_images(p, PACK_TEST);
    assert_int_equal(both.count, 5);
    assert_memory_equal(both.labels, labels, 5 * sizeof *labels);
    assert_int_equal(test.count, 2);
    assert_memory_equal(test.labels, labels + 5, 2 * sizeof *labels);
    assert_ptr_equal(pack_images(p, PACK_VAL).rgb, both.rgb + 3 * PICTURE);
    for (int i = 0; i < 7; i++) {
        char path[32];
        unsigned char wanted[PICTURE];
        struct image image;
        snprintf(path, sizeof path, "set/images/no %d.png", i);
        assert_int_equal(image_read_file(&image, path), 0);
        assert_int_equal(resize_bicubic(&image, wanted, SIZE, SIZE), 0);
        image_finish(&image);
        assert_memory_equal(i < 5 ? both.rgb + i * PICTURE : test.rgb + (i - 5) * PICTURE, wanted, PICTURE);
    }
    assert_int_equal(pack_check(p, PACK_TRAINVAL), 0);
    assert_int_equal(pack_check(p, PACK_TEST), 0);
    pack_close(p);
}

static void fingerprints_are_sha256_of_labels_and_pixels(void **state)
{
    (void)state;
    struct pack *p = NULL;
    struct hash *h = NULL;
    char text[HASH_TEXT];
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), 0);
    assert_int_equal(pack_open(&p, "a.pack"), 0);
    struct pack_images val = pack_images(p, PACK_VAL);
    assert_int_equal(hash_begin(&h), 0);
    hash_add(h, val.labels, 2 * sizeof(int32_t));
    hash_add(h, val.rgb, 2 * PICTURE);
    assert_int_equal(hash_end(h, text), 0);
    assert_string_equal(text, pack_info(p)->split_fingerprint[PACK_VAL]);
    pack_close(p);
}

static void read_bytes(const char *path, char **bytes, size_t *size)
{
    assert_int_equal(file_read(path, 1 << 26, bytes, size), 0);
}

static void assert_same_file(const char *a, const char *b)
{
    char *x, *y;
    size_t n, m;
    read_bytes(a, &x, &n);
    read_bytes(b, &y, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    mem_free(x);
    mem_free(y);
}

static void folder_and_archive_give_the_same_bytes_again_and_again(void **state)
{
    (void)state;
    struct pack *p = NULL;
    assert_int_equal(system("tar cf set.tar set && tar czf set.tar.gz set"), 0);
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), 0);
    static const char *const sources[] = {"set", "set.tar", "set.tar.gz"};
    for (int i = 0; i < 3; i++) {
        struct pack_spec other = spec;
        other.source = sources[i];
        assert_int_equal(pack_build(&other, "b.pack", NULL, NULL), 0);
        assert_same_file("a.pack", "b.pack");
    }
    assert_int_equal(pack_open(&p, "a.pack"), 0);
    assert_int_equal(pack_save(p, "c.pack"), 0);
    assert_same_file("a.pack", "c.pack");
    pack_close(p);
}

static void the_whole_fingerprint_covers_size_labels_and_normalisation(void **state)
{
    (void)state;
    struct pack_spec specs[] = {spec, spec, spec, spec};
    specs[1].normalise = "half";
    specs[2].size = 17;
    char seen[4][HASH_TEXT];
    for (int i = 0; i < 4; i++) {
        struct pack *p = NULL;
        if (i == 3)
            assert_int_equal(scratch_text("set/val200.txt", "images/no 3.png 2\nimages/no 4.png 0"), 0);
        assert_int_equal(pack_build(&specs[i], "a.pack", NULL, NULL), 0);
        assert_int_equal(pack_open(&p, "a.pack"), 0);
        strcpy(seen[i], pack_info(p)->fingerprint);
        pack_close(p);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(seen[k], seen[i]);
    }
}

/* Every byte is covered: by form, by the description's checksum or by a fingerprint. */
static void every_flipped_byte_is_found(void **state)
{
    (void)state;
    char *bytes;
    size_t size;
    int opened = 0;
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), 0);
    read_bytes("a.pack", &bytes, &size);
    for (size_t at = 0; at < size; at += size / 700 + 1) {
        bytes[at] ^= 0x10;
        assert_int_equal(scratch_bytes("b.pack", bytes, size), 0);
        struct pack *p = NULL;
        int rc = pack_open(&p, "b.pack");
        if (rc == 0) {
            opened++;
            rc = pack_check(p, PACK_TRAINVAL);
            if (rc == 0)
                rc = pack_check(p, PACK_TEST);
            assert_int_equal(rc, ERR_INPUT);
            pack_close(p);
        } else {
            assert_int_equal(rc, ERR_INPUT);
            assert_non_null(strstr(error_text(), "b.pack"));
            assert_null(p);
        }
        bytes[at] ^= 0x10;
    }
    assert_true(opened > 100);
    mem_free(bytes);
}

static void every_cut_and_every_excess_is_refused(void **state)
{
    (void)state;
    char *bytes;
    size_t size;
    struct pack *p = NULL;
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), 0);
    read_bytes("a.pack", &bytes, &size);
    for (size_t n = 0; n < size; n += n < 300 || n + 300 > size ? 1 : size / 100) {
        assert_int_equal(scratch_bytes("b.pack", bytes, n), 0);
        assert_int_equal(pack_open(&p, "b.pack"), ERR_INPUT);
    }
    bytes = mem_grow(bytes, size + 1, size + 64, 1);
    assert_int_equal(scratch_bytes("b.pack", bytes, size + 64), 0);
    assert_int_equal(pack_open(&p, "b.pack"), ERR_INPUT);
    mem_free(bytes);
    assert_int_equal(pack_open(&p, "absent.pack"), ERR_IO);
    assert_int_equal(pack_open(&p, "set"), ERR_IO);
}

/* Replaces a text in the description by one of the same length and renews the checksum. */
static void forge(const char *old, const char *new)
{
    char *bytes, digest[HASH_TEXT];
    size_t size, length = 0;
    read_bytes("a.pack", &bytes, &size);
    for (int k = 0; k < 8; k++)
        length |= (size_t)(unsigned char)bytes[size - 16 + (size_t)k] << 8 * k;
    char *text = bytes + size - 80 - length, *found = NULL;
    for (char *at = text; at + strlen(old) <= text + length && !found; at++)
        if (memcmp(at, old, strlen(old)) == 0)
            found = at;
    assert_non_null(found);
    assert_int_equal(strlen(old), strlen(new));
    memcpy(found, new, strlen(new));
    assert_int_equal(hash_bytes(text, length, digest), 0);
    memcpy(text + length, digest, 64);
    assert_int_equal(scratch_bytes("b.pack", bytes, size), 0);
    mem_free(bytes);
}

static void a_forged_description_is_refused(void **state)
{
    (void)state;
    static const char *const forgeries[][2] = {
        {"\"size\": 16", "\"size\": 99"},
        {"\"size\": 16", "\"size\": -1"},
        {"\"size\": 16", "\"sice\": 16"},
        {"\"count\": 3", "\"count\": 9"},
        {"\"count\": 3", "\"count\":-3"},
        {"\"count\": 2", "\"count\": 1"},
        {"\"task\": \"set\"", "\"task\": 12345"},
        {"\"mean\"", "\"meen\""},
        {"0.229", "0.000"},
        {"0.485", "1e999"},
        {"\"splits\"", "\"splats\""},
        {"\"cat\"", "12345"},
        {"\"fingerprint\": \"", "\"fingerprynt\": \""},
        {"\"test\": {", "\"best\": {"},
        {"0.485", "0.486"},
    };
    struct pack *p = NULL;
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), 0);
    forge("\"task\"", "\"task\"");
    assert_int_equal(pack_open(&p, "b.pack"), 0);
    pack_close(p);
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        forge(forgeries[i][0], forgeries[i][1]);
        int rc = pack_open(&p, "b.pack");
        if (rc != ERR_INPUT)
            fail_msg("%s: %d", forgeries[i][1], rc);
    }
}

static int files_here(void)
{
    int n = 0;
    DIR *d = opendir(".");
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += strstr(e->d_name, ".pack") != NULL;
    closedir(d);
    return n;
}

static void a_full_disk_leaves_no_pack(void **state)
{
    (void)state;
    struct pack *p = NULL;
    int rc = ERR_IO;
    for (long after = 0; rc < 0; after++) {
        file_fail_after(after);
        rc = pack_build(&spec, "a.pack", NULL, NULL);
        file_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_IO);
        assert_int_equal(files_here(), rc == 0);
        if (rc < 0)
            assert_non_null(strstr(error_text(), "No space left"));
    }
    assert_int_equal(pack_open(&p, "a.pack"), 0);
    file_fail_after(0);
    assert_int_equal(pack_save(p, "b.pack"), ERR_IO);
    file_fail_after(-1);
    assert_int_equal(files_here(), 1);
    pack_close(p);
    assert_int_equal(pack_build(&spec, "no/such/folder/a.pack", NULL, NULL), ERR_IO);
}

static void running_out_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
    int rc = ERR_MEMORY;
    for (long after = 0; rc < 0; after++) {
        mem_fail_after(after);
        rc = pack_build(&spec, "a.pack", NULL, NULL);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
    }
    rc = ERR_MEMORY;
    for (long after = 0; rc < 0; after++) {
        struct pack *p = NULL;
        mem_fail_after(after);
        rc = pack_open(&p, "a.pack");
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
        pack_close(p);
    }
}

/* --- sealed */

static void a_sealed_pack_gives_train_and_val_as_ever(void **state)
{
    (void)state;
    struct pack *open = NULL, *sealed = NULL;
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), 0);
    assert_int_equal(pack_open(&open, "a.pack"), 0);
    assert_int_equal(pack_open_sealed(&sealed, "a.pack"), 0);
    static const enum pack_split splits[] = {PACK_TRAIN, PACK_VAL, PACK_TRAINVAL};
    for (int k = 0; k < 3; k++) {
        struct pack_images a = pack_images(open, splits[k]), b = pack_images(sealed, splits[k]);
        assert_int_equal(a.count, b.count);
        assert_memory_equal(a.labels, b.labels, a.count * sizeof *a.labels);
        assert_memory_equal(a.rgb, b.rgb, a.count * PICTURE);
        assert_int_equal(pack_check(sealed, splits[k]), 0);
    }
    const struct pack_info *a = pack_info(open), *b = pack_info(sealed);
    assert_string_equal(a->fingerprint, b->fingerprint); /* what test is may be known, not what is in it */
    assert_string_equal(a->split_fingerprint[PACK_TEST], b->split_fingerprint[PACK_TEST]);
    assert_int_equal(b->count[PACK_TEST], 2);
    assert_string_equal(b->task, "set");
    assert_string_equal(b->class_names[1], "big dog");
    pack_close(open);
    pack_close(sealed);
}

static void a_sealed_pack_gives_nothing_of_test(void **state)
{
    (void)state;
    struct pack *p = NULL;
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), 0);
    assert_int_equal(pack_open_sealed(&p, "a.pack"), 0);
    struct pack_images test = pack_images(p, PACK_TEST);
    assert_int_equal(test.count, 0);
    assert_null(test.labels);
    assert_null(test.rgb);
    assert_int_equal(pack_check(p, PACK_TEST), ERR_INPUT);
    assert_non_null(strstr(error_text(), "sealed"));
    assert_non_null(strstr(error_text(), "--final"));
    assert_int_equal(pack_save(p, "b.pack"), ERR_INPUT);
    assert_non_null(strstr(error_text(), "sealed"));
    assert_int_equal(files_here(), 1);
    pack_close(p);
}

struct look { /* at the byte that lies `at` bytes after train's first label */
    struct pack *pack;
    size_t at;
};
static int look_at(void *context, int answer)
{
    const struct look *l = context;
    volatile const unsigned char *bytes = (const unsigned char *)pack_images(l->pack, PACK_TRAIN).labels;
    signal(SIGSEGV, SIG_DFL); /* CMocka would go on in the child */
    signal(SIGBUS, SIG_DFL);
    const unsigned char seen = bytes[l->at];
    return child_write(answer, &seen, 1);
}

static void whoever_reads_a_page_of_test_is_ended(void **state)
{
    (void)state;
    struct pack *open = NULL, *sealed = NULL;
    struct child_end end;
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), 0);
    assert_int_equal(pack_open(&open, "a.pack"), 0);
    assert_int_equal(pack_open_sealed(&sealed, "a.pack"), 0);
    const struct pack_images train = pack_images(open, PACK_TRAINVAL), test = pack_images(open, PACK_TEST);
    const unsigned char *start = (const unsigned char *)train.labels;
    const size_t labels = (size_t)((const unsigned char *)test.labels - start),
                 rgb = (size_t)(test.rgb - start), last = (size_t)(train.rgb - start) + 5 * PICTURE - 1;
    const size_t shut[] = {labels, labels + 4, rgb, rgb + PICTURE, rgb + 2 * PICTURE - 1};
    for (size_t k = 0; k < sizeof shut / sizeof *shut; k++) {
        struct look l = {sealed, shut[k]};
        assert_int_equal(child_run(&end, look_at, &l, 20), 0);
        assert_int_equal(end.fate, CHILD_CRASHED);
        assert_true(end.signal == SIGSEGV || end.signal == SIGBUS);
        l.pack = open; /* the same byte, where it is open */
        assert_int_equal(child_run(&end, look_at, &l, 20), 0);
        assert_int_equal(end.fate, CHILD_DONE);
        assert_int_equal((unsigned char)end.answer[0], start[shut[k]]);
        mem_free(end.answer);
    }
    struct look l = {sealed, last}; /* the last pixel of val stays open */
    assert_int_equal(child_run(&end, look_at, &l, 20), 0);
    assert_int_equal(end.fate, CHILD_DONE);
    assert_int_equal((unsigned char)end.answer[0], train.rgb[5 * PICTURE - 1]);
    mem_free(end.answer);
    pack_close(open);
    pack_close(sealed);
}

static void damage_that_can_be_seen_without_test_is_refused(void **state)
{
    (void)state;
    char *bytes;
    size_t size;
    struct pack *p = NULL;
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), 0);
    read_bytes("a.pack", &bytes, &size);
    int found = 0, test = 0;
    for (size_t at = 0; at < size; at += size / 300 + 1) {
        bytes[at] ^= 0x10;
        assert_int_equal(scratch_bytes("b.pack", bytes, size), 0);
        int rc = pack_open_sealed(&p, "b.pack");
        if (rc == 0)
            rc = pack_check(p, PACK_TRAINVAL);
        pack_close(p);
        bytes[at] ^= 0x10;
        found += rc < 0;
        test += rc == 0;
        assert_true(rc == ERR_INPUT || (rc == 0 && at >= 3840)); /* only in the test split or around it */
    }
    assert_true(found > 100 && test > 10);
    mem_free(bytes);
    assert_int_equal(pack_open_sealed(&p, "absent.pack"), ERR_IO);
    assert_null(p);
}

static void a_damaged_picture_is_named(void **state)
{
    (void)state;
    assert_int_equal(scratch_text("set/images/no 4.png", "\x89PNG\r\n\x1a\n"), 0);
    assert_int_equal(scratch_text("set/images/no 6.png", "nothing"), 0);
    assert_int_equal(pack_build(&spec, "a.pack", NULL, NULL), ERR_INPUT);
    assert_non_null(strstr(error_text(), "no 4.png"));
    assert_int_equal(files_here(), 0);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    struct pack_spec bad = spec;
    bad.size = 0;
    assert_int_equal(pack_build(&bad, "a.pack", NULL, NULL), ERR_INPUT);
    bad.size = PACK_SIZE_LIMIT + 1;
    assert_int_equal(pack_build(&bad, "a.pack", NULL, NULL), ERR_INPUT);
    bad = spec;
    bad.normalise = "inception";
    assert_int_equal(pack_build(&bad, "a.pack", NULL, NULL), ERR_INPUT);
    assert_non_null(strstr(error_text(), "none, half, imagenet, clip"));
}

static int stop_at_once(void *context, size_t done, size_t total)
{
    *(size_t *)context = total;
    return done == 0;
}

static void progress_may_stop_the_work(void **state)
{
    (void)state;
    size_t total = 0;
    assert_int_equal(pack_build(&spec, "a.pack", stop_at_once, &total), ERR_STOPPED);
    assert_int_equal(total, 7);
    assert_int_equal(files_here(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_pack_holds_what_the_folder_holds, restore),
        cmocka_unit_test_setup(fingerprints_are_sha256_of_labels_and_pixels, restore),
        cmocka_unit_test_setup(folder_and_archive_give_the_same_bytes_again_and_again, restore),
        cmocka_unit_test_setup(the_whole_fingerprint_covers_size_labels_and_normalisation, restore),
        cmocka_unit_test_setup(every_flipped_byte_is_found, restore),
        cmocka_unit_test_setup(every_cut_and_every_excess_is_refused, restore),
        cmocka_unit_test_setup(a_forged_description_is_refused, restore),
        cmocka_unit_test_setup(a_full_disk_leaves_no_pack, restore),
        cmocka_unit_test_setup(running_out_of_memory_is_an_error_like_any_other, restore),
        cmocka_unit_test_setup(a_sealed_pack_gives_train_and_val_as_ever, restore),
        cmocka_unit_test_setup(a_sealed_pack_gives_nothing_of_test, restore),
        cmocka_unit_test_setup(whoever_reads_a_page_of_test_is_ended, restore),
        cmocka_unit_test_setup(damage_that_can_be_seen_without_test_is_refused, restore),
        cmocka_unit_test_setup(a_damaged_picture_is_named, restore),
        cmocka_unit_test_setup(options_out_of_range_are_refused, restore),
        cmocka_unit_test_setup(progress_may_stop_the_work, restore),
    };
    return cmocka_run_group_tests(tests, enter, scratch_leave);
}

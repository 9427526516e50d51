/* test_folders.c - folders of classes: ImageFolder's layout, splits' folders, sets to be judged on with the training's
 * classes (ImageNet-V2's numbers, -R's and -A's subset of the folders), maps, and few-shot splits. */
#include "dataset.h"
#include "error.h"
#include "pack.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char found[FOUND_TEXT];

/* `count` pictures in folder `path`, of which none is like another. */
static void make_class(const char *path, int count)
{
    static int made;
    assert_int_equal(file_make_folders(path), 0);
    for (int i = 0; i < count; i++, made++) {
        unsigned char rgb[6 * 4 * 3];
        char name[160];
        for (int k = 0; k < (int)sizeof rgb; k++)
            rgb[k] = (unsigned char)(k * 37 + made * 11);
        rgb[0] = (unsigned char)(made >> 8);
        snprintf(name, sizeof name, "%s/%d.png", path, i);
        assert_int_equal(image_write_png(name, rgb, 6, 4), 0);
    }
}

static int clean(void **state)
{
    (void)state;
    return system("rm -rf set *.txt *.json *.csv *.tar *.pack") == 0 ? 0 : -1;
}

static int read_set(struct lists *lists, const char *path, const struct folders_spec *spec)
{
    struct source *s = NULL;
    int rc = source_open(&s, path, LIST_LANDMARK);
    *lists = (struct lists){0};
    if (rc == 0)
        rc = dataset_read(lists, s, spec, found);
    source_close(s);
    return rc;
}

static void read_well(struct lists *lists, const char *path, const struct folders_spec *spec)
{
    if (read_set(lists, path, spec) < 0)
        fail_msg("%s: %s", path, error_text());
}

static void refuse(const struct folders_spec *spec, const char *words)
{
    struct lists lists;
    if (read_set(&lists, "set", spec) != ERR_INPUT || !strstr(error_text(), words))
        fail_msg("wanted \"%s\", got: %s", words, error_text());
    assert_null(lists.arena.blocks);
}

static void assert_counts(const struct lists *l, size_t train, size_t val, size_t test)
{
    assert_int_equal(l->split[LIST_TRAIN].count, train);
    assert_int_equal(l->split[LIST_VAL].count, val);
    assert_int_equal(l->split[LIST_TEST].count, test);
}

static int shares(const struct list *a, const struct list *b)
{
    int same = 0;
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count; k++)
            same += strcmp(a->items[i].path, b->items[k].path) == 0;
    return same;
}

static void class_folders_are_split_class_by_class_and_the_same_by_the_same_seed(void **state)
{
    (void)state;
    struct lists a, b, c;
    make_class("set/outer/cat", 10);
    make_class("set/outer/dog", 20);
    assert_int_equal(scratch_text("set/outer/README.txt", "no image"), 0);
    read_well(&a, "set", NULL);
    assert_counts(&a, 18, 6, 6);
    assert_string_equal(a.class_names[0], "cat");
    assert_string_equal(a.class_names[1], "dog");
    assert_non_null(strstr(found, "class folders: 2 classes, 30 images, split at random"));
    for (int k = 0; k < LIST_SPLITS; k++)
        assert_int_equal(shares(&a.split[k], &a.split[(k + 1) % LIST_SPLITS]), 0);
    read_well(&b, "set", NULL);
    read_well(&c, "set", &(struct folders_spec){.seed = 1});
    assert_int_equal(shares(&a.split[LIST_TEST], &b.split[LIST_TEST]), 6);
    assert_true(shares(&a.split[LIST_TEST], &c.split[LIST_TEST]) < 6);
    lists_finish(&a);
    lists_finish(&b);
    lists_finish(&c);
}

static void folders_of_splits_are_taken_and_missing_ones_drawn(void **state)
{
    (void)state;
    struct lists l;
    make_class("set/train/a", 10);
    make_class("set/train/b", 10);
    make_class("set/val/a", 3);
    make_class("set/val/b", 4);
    read_well(&l, "set", NULL);
    assert_counts(&l, 16, 4, 7);
    assert_non_null(strstr(found, "val taken as test, another val drawn from train"));
    lists_finish(&l);
    make_class("set/test/b", 5);
    read_well(&l, "set", NULL);
    assert_counts(&l, 20, 7, 5);
    assert_int_equal(l.split[LIST_TEST].items[0].label, 1);
    lists_finish(&l);
    make_class("set/c", 1);
    refuse(NULL, "1 others do not");
}

static void few_shots_are_as_many_of_every_class(void **state)
{
    (void)state;
    struct lists l;
    int of[2] = {0};
    make_class("set/train/a", 10);
    make_class("set/train/b", 6);
    make_class("set/test/a", 3);
    make_class("set/test/b", 4);
    read_well(&l, "set", &(struct folders_spec){.shots = 3});
    assert_counts(&l, 6, 6, 7);
    for (size_t i = 0; i < 6; i++)
        of[l.split[LIST_TRAIN].items[i].label]++;
    assert_int_equal(of[0], 3);
    assert_int_equal(of[1], 3);
    lists_finish(&l);
    refuse(&(struct folders_spec){.shots = 4}, "the class b has 6 images");
    make_class("set/val/a",
               5); /* published: the shots for val are of it, and train keeps its images for itself */
    make_class("set/val/b", 2);
    read_well(&l, "set", &(struct folders_spec){.shots = 4});
    assert_counts(&l, 8, 6, 7);
    for (size_t i = 0; i < 6; i++)
        assert_non_null(strstr(l.split[LIST_VAL].items[i].path, "val/"));
    lists_finish(&l);
    refuse(&(struct folders_spec){.shots = 7},
           "the class b has 6 images, too few for so many shots in train");
}

static void a_set_to_be_judged_on_has_the_classes_it_is_given(void **state)
{
    (void)state;
    struct lists l;
    make_class("set/n03", 2); /* as ImageNet-R: some of the synsets */
    make_class("set/n01", 1);
    assert_int_equal(scratch_text("classes.txt", "n00 tench\nn01 goldfish, Carassius\nn02 shark\nn03 ray\n"),
                     0);
    read_well(&l, "set", &(struct folders_spec){.classes = "classes.txt"});
    assert_counts(&l, 0, 0, 3);
    assert_int_equal(l.class_count, 4);
    assert_string_equal(l.class_names[3], "n03");
    assert_int_equal(l.split[LIST_TEST].items[0].label, 1);
    assert_int_equal(l.split[LIST_TEST].items[1].label, 3);
    lists_finish(&l);
    assert_int_equal(scratch_text("classes.json", "[\"n00\", \"n01\", \"n02\", \"n03\"]"), 0);
    read_well(&l, "set", &(struct folders_spec){.classes = "classes.json"});
    assert_counts(&l, 0, 0, 3);
    lists_finish(&l);
    make_class("set/n09", 1);
    refuse(&(struct folders_spec){.classes = "classes.txt"}, "the folder n09 is none of the 4 classes");
}

static void numbers_are_classes_by_number_and_not_by_their_letters(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"};
    const struct folders_spec given = {.names = names, .name_count = 11};
    struct lists l;
    make_class("set/2", 3); /* as ImageNet-V2 */
    make_class("set/10", 3);
    read_well(&l, "set", &given);
    assert_int_equal(l.split[LIST_TEST].count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(l.split[LIST_TEST].items[i].label,
                         strstr(l.split[LIST_TEST].items[i].path, "10/") ? 10 : 2);
    lists_finish(&l);
    read_well(&l, "set", NULL); /* by themselves: 2 before 10 */
    assert_string_equal(l.class_names[0], "2");
    lists_finish(&l);
    make_class("set/11", 1);
    refuse(&given, "the folder 11 is none of the 11 classes");
}

static void a_map_says_which_class_a_folder_is(void **state)
{
    (void)state;
    static const char *const names[] = {"cat", "dog"};
    struct lists l;
    make_class("set/tabby", 1);
    make_class("set/tiger cat", 1);
    make_class("set/pug", 1);
    assert_int_equal(scratch_text("map.csv", "folder,class\ntabby,cat\ntiger cat,cat\r\npug,dog\n"), 0);
    assert_int_equal(
        scratch_text("map.json", "{\"tabby\": \"cat\", \"tiger cat\": \"cat\", \"pug\": \"dog\"}"), 0);
    for (int i = 0; i < 2; i++) {
        read_well(&l, "set",
                  &(struct folders_spec){.names = names, .name_count = 2, .map = i ? "map.json" : "map.csv"});
        assert_counts(&l, 0, 0, 3);
        assert_int_equal(l.split[LIST_TEST].items[0].label, 1);
        assert_int_equal(l.split[LIST_TEST].items[2].label, 0);
        lists_finish(&l);
    }
    make_class("set/corgi", 1);
    refuse(&(struct folders_spec){.names = names, .name_count = 2, .map = "map.csv"},
           "no class for the folder corgi");
    assert_int_equal(scratch_text("map.csv", "tabby cat\n"), 0);
    refuse(&(struct folders_spec){.names = names, .name_count = 2, .map = "map.csv"},
           "line 1 is not `folder,class`");
}

static void an_archive_is_read_like_its_folder_and_becomes_a_pack(void **state)
{
    (void)state;
    struct lists folder, archive;
    struct pack *pack = NULL;
    make_class("set/a", 5);
    make_class("set/b", 5);
    assert_int_equal(system("tar -cf set.tar set"), 0);
    read_well(&folder, "set", NULL);
    read_well(&archive, "set.tar", NULL);
    for (int k = 0; k < LIST_SPLITS; k++) {
        assert_int_equal(folder.split[k].count, archive.split[k].count);
        for (size_t i = 0; i < folder.split[k].count; i++)
            assert_int_equal(folder.split[k].items[i].label, archive.split[k].items[i].label);
    }
    lists_finish(&folder);
    lists_finish(&archive);
    static const char *const names[] = {"a", "b", "c"};
    const struct folders_spec judged = {.names = names, .name_count = 3};
    const struct pack_spec spec = {
        .source = "set.tar", .normalise = "half", .size = 8, .folders = &judged, .found = found};
    if (pack_build(&spec, "set.pack", NULL, NULL) < 0 || pack_open(&pack, "set.pack") < 0)
        fail_msg("%s", error_text());
    assert_int_equal(pack_info(pack)->count[PACK_TRAIN], 0);
    assert_int_equal(pack_info(pack)->count[PACK_TEST], 10);
    assert_int_equal(pack_info(pack)->class_count, 3);
    assert_int_equal(pack_check(pack, PACK_TEST), 0);
    pack_close(pack);
}

static void what_is_no_data_set_is_refused(void **state)
{
    (void)state;
    assert_int_equal(file_make_folders("set"), 0);
    refuse(NULL, "there are neither lists");
    assert_int_equal(scratch_text("set/a.png", "x"), 0);
    refuse(NULL, "lies in no class's folder");
    make_class("set/few", 2);
    assert_int_equal(remove("set/a.png"), 0);
    refuse(NULL, "the class few has 2 images, too few");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(class_folders_are_split_class_by_class_and_the_same_by_the_same_seed,
                                  clean),
        cmocka_unit_test_teardown(folders_of_splits_are_taken_and_missing_ones_drawn, clean),
        cmocka_unit_test_teardown(few_shots_are_as_many_of_every_class, clean),
        cmocka_unit_test_teardown(a_set_to_be_judged_on_has_the_classes_it_is_given, clean),
        cmocka_unit_test_teardown(numbers_are_classes_by_number_and_not_by_their_letters, clean),
        cmocka_unit_test_teardown(a_map_says_which_class_a_folder_is, clean),
        cmocka_unit_test_teardown(an_archive_is_read_like_its_folder_and_becomes_a_pack, clean),
        cmocka_unit_test_teardown(what_is_no_data_set_is_refused, clean),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}

/* test_store.c - what a store holds is believed only as far as it can be checked, and nothing that goes wrong while a
 * result is put in its place leaves half of one. */
#include "child.h"
#include "hand_store.h"

#include <dirent.h>
#include <math.h>
#include <sys/stat.h>

static struct store *store;
static struct json *spec;
static char id[HASH_TEXT];

static int afresh(void **state)
{
    (void)state;
    char path[STORE_PATH];
    if (system("rm -rf st") != 0)
        return -1;
    must(store_open(&store, "st", 1));
    spec = hand_json("{'schema': 'vitro.trial/1', 'stage': 'tune', 'name': 'lora', 'method': 'lora[r=8]',"
                     " 'training': {'epochs': 3, 'seed': '0'}}");
    must(trial_id(spec, id));
    must(store_path(store, STORE_WORK, id, "out", path));
    must(file_make_folders(path));
    hand_fill(path, spec, id, (struct hand){PANEL_DONE, 6, 2, 1.5});
    return 0;
}

static int done(void **state)
{
    (void)state;
    store_close(store);
    json_destroy(spec);
    return 0;
}

static int entries(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static const char *place(enum store_place where, const char *file)
{
    static char path[STORE_PATH];
    must(store_path(store, where, id, file, path));
    return path;
}

/* --- ids and places */

static void an_id_names_what_a_spec_says_not_how(void **state)
{
    (void)state;
    struct json *other = hand_json(
        "{'training': {'seed': '0', 'epochs': 3.0}, 'method': 'lora[r=8]',\n 'name': 'lora', 'stage': 'tune',"
        " 'schema': 'vitro.trial/1'}");
    char same[HASH_TEXT], text[HASH_TEXT];
    must(trial_id(other, same));
    assert_string_equal(same, id);
    char *canonical = json_canonical(spec);
    must(hash_bytes(canonical, strlen(canonical), text));
    assert_string_equal(text, id);
    json_set_string(other, "method", "lora[r=9]");
    must(trial_id(other, same));
    assert_string_not_equal(same, id);
    mem_free(canonical);
    json_destroy(other);
}

static void everything_lies_where_the_documentation_says(void **state)
{
    (void)state;
    static const struct {
        enum store_place place;
        const char *name, *file, *wanted;
    } places[] = {
        {STORE_RESULT, "abcd", NULL, "st/results/ab/abcd"},
        {STORE_RESULT, "abcd", "result.json", "st/results/ab/abcd/result.json"},
        {STORE_WORK, "abcd", "job.json", "st/work/abcd/job.json"},
        {STORE_STUDY, "first", "recipe.json", "st/studies/first/recipe.json"},
        {STORE_PACK, "abcd", NULL, "st/packs/abcd.pack"},
        {STORE_LEDGER, NULL, NULL, "st/ledger.jsonl"},
        {STORE_INDEX, NULL, NULL, "st/index.sqlite"},
    };
    char path[STORE_PATH], *longest = mem_alloc(STORE_PATH + 1, 1);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        must(store_path(store, places[i].place, places[i].name, places[i].file, path));
        assert_string_equal(path, places[i].wanted);
    }
    memset(longest, 'x', STORE_PATH);
    assert_int_equal(store_path(store, STORE_WORK, longest, NULL, path), ERR_INPUT);
    mem_free(longest);
    assert_string_equal(store_folder(store), "st");
}

/* --- keeping */

static void a_kept_result_is_read_as_it_was_computed(void **state)
{
    (void)state;
    struct outcome o;
    float *logits;
    int32_t *labels, classes;
    uint32_t images;
    assert_false(store_has(store, id));
    must(store_outcome(store, id, &o));
    assert_int_equal(o.state, PANEL_MISSING);
    assert_true(isnan(o.accuracy));
    must(store_keep(store, id));
    assert_true(store_has(store, id));
    assert_int_equal(entries("st/work"), 0);
    must(store_outcome(store, id, &o));
    assert_int_equal(o.state, PANEL_DONE);
    assert_false(o.edited);
    assert_string_equal(o.reason, "");
    assert_true(o.accuracy == 6.0 / HAND_VAL);
    /* six with the margin on their label, two with it beside */
    const double e = exp(2), nll = (6 * log((e + 2) / e) + 2 * log(e + 2)) / HAND_VAL;
    assert_true(fabs(o.nll - nll) < 1e-6);
    assert_int_equal(o.images, HAND_VAL);
    assert_int_equal(o.parameters, 100);
    assert_int_equal(o.parameters_head, 10);
    assert_true(o.seconds == 1.5);
    assert_string_equal(o.device, "a hand");
    must(store_logits(store, id, &logits, &labels, &images, &classes));
    assert_int_equal(images, HAND_VAL);
    assert_int_equal(classes, HAND_CLASSES);
    assert_true(logits[0] == 2 && logits[7 * HAND_CLASSES + (7 + 1) % HAND_CLASSES] == 2);
    for (uint32_t i = 0; i < images; i++)
        assert_int_equal(labels[i], hand_label(i));
    mem_free(logits);
    mem_free(labels);
}

static void keeping_twice_keeps_the_first(void **state)
{
    (void)state;
    struct outcome o;
    char out[STORE_PATH];
    must(store_keep(store, id));
    must(store_keep(store, id)); /* no work is left of it */
    snprintf(out, sizeof out, "%s", place(STORE_WORK, "out"));
    must(file_make_folders(out));
    hand_fill(out, spec, id, (struct hand){PANEL_DONE, 2, 2, 9});
    must(store_keep(store, id));
    must(store_outcome(store, id, &o));
    assert_true(o.accuracy == 6.0 / HAND_VAL && o.seconds == 1.5);
    assert_int_equal(entries("st/work"), 0);
    must(store_keep_failure(store, spec, id, "it was killed", 3, 5)); /* nor does a failure replace it */
    must(store_outcome(store, id, &o));
    assert_int_equal(o.state, PANEL_DONE);
}

static void what_is_left_of_a_result_gives_way_to_a_whole_one(void **state)
{
    (void)state;
    char path[STORE_PATH];
    struct outcome o;
    must(file_make_folders(place(STORE_RESULT, NULL)));
    snprintf(path, sizeof path, "%s", place(STORE_RESULT, "val.safetensors"));
    hand_text(path, "half of it");
    must(store_outcome(store, id, &o));
    assert_int_equal(o.state, PANEL_MISSING);
    must(store_keep(store, id));
    must(store_outcome(store, id, &o));
    assert_int_equal(o.state, PANEL_DONE); /* else the trial would be run for ever */
    assert_true(o.accuracy == 6.0 / HAND_VAL);
}

static void what_cannot_be_kept_is_refused_and_stays_in_work(void **state)
{
    (void)state;
    char path[STORE_PATH];
    struct outcome o;
    hand_text("st/results", "in the way");
    assert_int_equal(store_keep(store, id), ERR_IO);
    assert_true(file_exists(place(STORE_WORK, "out/result.json")));
    assert_int_equal(unlink("st/results"), 0);
    must(store_keep(store, id));
    must(store_outcome(store, id, &o));
    assert_int_equal(o.state, PANEL_DONE);
    snprintf(path, sizeof path, "%064d", 0); /* one that never was */
    assert_int_equal(store_keep(store, path), ERR_IO);
    assert_false(store_has(store, path));
}

static void a_failure_is_a_result_too(void **state)
{
    (void)state;
    struct outcome o;
    char path[STORE_PATH];
    snprintf(path, sizeof path, "%s", place(STORE_WORK, "out/half"));
    hand_text(path, "what the trial left");
    must(store_keep_failure(store, spec, id, "it was ended by signal 9", 3.5, 1 << 20));
    assert_int_equal(entries("st/work"), 0);
    assert_int_equal(entries(place(STORE_RESULT, NULL)), 2);
    must(store_outcome(store, id, &o));
    assert_int_equal(o.state, PANEL_FAILED);
    assert_false(o.edited);
    assert_string_equal(o.reason, "it was ended by signal 9");
    assert_true(isnan(o.accuracy) && o.seconds == 3.5 && o.host_bytes == 1 << 20);
    float *logits;
    int32_t *labels, classes;
    uint32_t images;
    assert_int_equal(store_logits(store, id, &logits, &labels, &images, &classes), ERR_INPUT);
    assert_null(logits);
}

static void a_full_disk_leaves_no_failure_half_written(void **state)
{
    (void)state;
    struct outcome o;
    int rc = ERR_IO, refused = 0;
    for (long after = 0; rc < 0; after++) {
        file_fail_after(after);
        rc = store_keep_failure(store, spec, id, "it hung", 1, 1);
        file_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_IO);
        refused += rc < 0;
        assert_int_equal(store_has(store, id), rc == 0);
        assert_int_equal(entries("st/results"), rc == 0);
    }
    assert_int_equal(refused, 2); /* run.json, result.json */
    must(store_outcome(store, id, &o));
    assert_string_equal(o.reason, "it hung");
}

static void removing_takes_a_folder_and_what_it_points_to_stays(void **state)
{
    (void)state;
    must(file_make_folders("elsewhere"));
    hand_text("elsewhere/precious", "x");
    assert_int_equal(symlink("../../../elsewhere", place(STORE_WORK, "link")), 0);
    must(store_remove(store, STORE_WORK, id));
    assert_int_equal(entries("st/work"), 0);
    assert_true(file_exists("elsewhere/precious"));
    must(store_remove(store, STORE_WORK, id)); /* gone is gone */
}

/* --- the lock */

static int open_to_write(void *context, int answer)
{
    struct store *s = NULL;
    (void)answer;
    int rc = store_open(&s, context, 1);
    store_close(s);
    return rc;
}

static void one_at_a_time_writes(void **state)
{
    (void)state;
    static char folder[] = "st";
    struct child_end end;
    struct store *second = NULL;
    assert_int_equal(store_open(&second, "st", 1), ERR_IO);
    assert_null(second);
    assert_non_null(strstr(error_text(), "another study"));
    assert_non_null(strstr(error_text(), "--store"));
    must(child_run(&end, open_to_write, folder, 10));
    assert_int_equal(end.fate, CHILD_REFUSED);
    assert_int_equal(end.code, ERR_IO);
    must(store_open(&second, "st", 0)); /* to read is always allowed */
    store_close(second);
    store_close(store);
    must(child_run(&end, open_to_write, folder, 10));
    assert_int_equal(end.fate, CHILD_DONE);
    mem_free(end.answer);
    must(store_open(&store, "st", 1)); /* the child took its lock with it */
}

static void a_store_that_is_none_is_refused(void **state)
{
    (void)state;
    struct store *s = NULL;
    assert_int_equal(store_open(&s, "nowhere", 0), ERR_IO);
    assert_non_null(strstr(error_text(), "nowhere"));
    hand_text("file", "x");
    assert_int_equal(store_open(&s, "file", 0), ERR_IO);
    assert_int_equal(store_open(&s, "file", 1), ERR_IO);
    assert_int_equal(store_open(&s, "", 1), ERR_INPUT);
    assert_null(s);
}

/* --- edits by hand */

static void edit(const char *file, const char *old, const char *new)
{
    char *text, path[STORE_PATH];
    size_t size;
    snprintf(path, sizeof path, "%s", place(STORE_RESULT, file));
    must(file_read(path, 1 << 20, &text, &size));
    char *at = strstr(text, old);
    if (!at)
        fail_msg("%s has no %s", file, old);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    fclose(f);
    mem_free(text);
}

static void assert_edited(const char *word)
{
    struct outcome o;
    must(store_outcome(store, id, &o));
    if (!o.edited)
        fail_msg("not found: %s", word);
    assert_int_equal(o.state, PANEL_FAILED);
    if (!strstr(o.reason, word))
        fail_msg("\"%s\" is not in: %s", word, o.reason);
}

static int kept(void **state)
{
    return afresh(state) < 0 ? -1 : store_keep(store, id);
}

static void a_better_accuracy_in_the_result_is_found(void **state)
{
    (void)state;
    edit("result.json", "\"accuracy\": 0.75", "\"accuracy\": 0.875");
    assert_edited("accuracy");
}

static void an_accuracy_that_is_gone_is_found(void **state)
{
    (void)state;
    edit("result.json", "\"accuracy\": 0.75", "\"acuracy\": 0.75");
    assert_edited("accuracy");
}

static void a_changed_spec_is_found(void **state)
{
    (void)state;
    edit("result.json", "lora[r=8]", "lora[r=1]");
    assert_edited("another trial");
}

static void a_spec_that_is_gone_is_found(void **state)
{
    (void)state;
    edit("result.json", "\"spec\"", "\"spek\"");
    assert_edited("another trial");
}

static void a_broken_result_is_found(void **state)
{
    (void)state;
    edit("result.json", "\"spec\": {", "\"spec\": {{");
    assert_edited("damaged");
}

static void every_byte_of_the_logits_is_covered(void **state)
{
    (void)state;
    char path[STORE_PATH], *bytes;
    size_t size;
    snprintf(path, sizeof path, "%s", place(STORE_RESULT, "val.safetensors"));
    must(file_read(path, 1 << 20, &bytes, &size));
    for (size_t at = 0; at < size; at++) { /* among them every logit and every label */
        bytes[at] ^= 1;
        hand_bytes(path, bytes, size);
        assert_edited("val.safetensors");
        bytes[at] ^= 1;
    }
    hand_bytes(path, bytes, size - 1);
    assert_edited("val.safetensors");
    float *logits;
    int32_t *labels, classes;
    uint32_t images;
    assert_int_equal(store_logits(store, id, &logits, &labels, &images, &classes), ERR_INPUT);
    assert_non_null(strstr(error_text(), "val.safetensors"));
    assert_null(logits);
    assert_null(labels);
    mem_free(bytes);
}

static void a_missing_file_is_found(void **state)
{
    (void)state;
    assert_int_equal(unlink(place(STORE_RESULT, "val.safetensors")), 0);
    assert_edited("val.safetensors");
}

static void a_done_trial_without_the_file_of_its_stage_is_found(void **state)
{
    (void)state;
    assert_int_equal(unlink(place(STORE_RESULT, "val.safetensors")), 0);
    edit("result.json", "\"val.safetensors\"", "\"run.json\"");
    edit("result.json", "\"files\": {", "\"files\": {}, \"more\": {");
    assert_edited("val.safetensors");
}

static void logits_that_fit_a_forged_hash_are_judged_all_the_same(void **state)
{
    (void)state;
    char path[STORE_PATH], digest[2][HASH_TEXT];
    snprintf(path, sizeof path, "%s", place(STORE_RESULT, "val.safetensors"));
    must(hash_file(path, digest[0]));
    hand_logits(path, HAND_VAL, 5, 2);
    must(hash_file(path, digest[1]));
    edit("result.json", digest[0], digest[1]);
    assert_edited("accuracy");
    hand_bytes(path, "\x02\0\0\0\0\0\0\0{}", 10);
    must(hash_file(path, digest[0]));
    edit("result.json", digest[1], digest[0]);
    assert_edited("val.safetensors"); /* one bad result must not end the study */
}

static void a_result_that_tells_no_outcome_is_no_success(void **state)
{
    (void)state;
    struct outcome o;
    edit("result.json", "\"outcome\": \"done\"", "\"outcome\": \"splendid\"");
    must(store_outcome(store, id, &o));
    assert_int_equal(o.state, PANEL_FAILED);
    edit("result.json", "\"splendid\"", "\"missing\"");
    must(store_outcome(store, id, &o));
    assert_int_equal(o.state, PANEL_FAILED);
}

static void a_missing_run_leaves_its_numbers_open(void **state)
{
    (void)state;
    struct outcome o;
    assert_int_equal(unlink(place(STORE_RESULT, "run.json")), 0);
    must(store_outcome(store, id, &o));
    assert_int_equal(o.state, PANEL_DONE);
    assert_true(o.accuracy == 0.75);
}

int main(void)
{
#define IN(name) cmocka_unit_test_setup_teardown(name, afresh, done)
#define OF(name) cmocka_unit_test_setup_teardown(name, kept, done)
    const struct CMUnitTest tests[] = {
        IN(an_id_names_what_a_spec_says_not_how),
        IN(everything_lies_where_the_documentation_says),
        IN(a_kept_result_is_read_as_it_was_computed),
        IN(keeping_twice_keeps_the_first),
        IN(what_is_left_of_a_result_gives_way_to_a_whole_one),
        IN(what_cannot_be_kept_is_refused_and_stays_in_work),
        IN(a_failure_is_a_result_too),
        IN(a_full_disk_leaves_no_failure_half_written),
        IN(removing_takes_a_folder_and_what_it_points_to_stays),
        IN(one_at_a_time_writes),
        IN(a_store_that_is_none_is_refused),
        OF(a_better_accuracy_in_the_result_is_found),
        OF(an_accuracy_that_is_gone_is_found),
        OF(a_changed_spec_is_found),
        OF(a_spec_that_is_gone_is_found),
        OF(a_broken_result_is_found),
        OF(every_byte_of_the_logits_is_covered),
        OF(a_missing_file_is_found),
        OF(a_done_trial_without_the_file_of_its_stage_is_found),
        OF(logits_that_fit_a_forged_hash_are_judged_all_the_same),
        OF(a_result_that_tells_no_outcome_is_no_success),
        OF(a_missing_run_leaves_its_numbers_open),
    };
    return cmocka_run_group_tests(tests, hand_enter, hand_leave);
}

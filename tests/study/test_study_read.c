/* test_study_read.c - a recipe is read as it is written, and what is wrong with one is said in a sentence that names
 * it and what to do. */
#include "activation.h"
#include "hand_study.h"

#include <dirent.h>

static const char good[] =
    "{'schema': 'vitro.recipe/1', 'name': 'first', 'about': 'a trial of it',"
    " 'backbones': [{'name': 'micro', 'model': 'bundled'}, {'name': 'ti', 'model': 'w/ti.safetensors',"
    " 'head': 'zero.safetensors', 'heads': 3, 'act': 'quick_gelu', 'random': true}],"
    " 'packs': ['builtin:count:8/4/4', 'sets/eurosat.tar', {'name': 'pets', 'data': 'x.pack',"
    " 'normalise': 'half', 'group': 'natural', 'image': 96}],"
    " 'methods': ['linear', {'name': 'small lora', 'method': 'lora[r=1]', 'search': {'lr': [0.001, 0.01]}}],"
    " 'search': {'decay': [0.5]},"
    " 'tune': {'strategy': 'random', 'trials': 4, 'seconds': 30.5, 'seed': 7, 'eta': 4, 'rungs': 3},"
    " 'refit': 'train', 'seeds': [0, 5, '18446744073709551615'],"
    " 'training': {'epochs': 8, 'batch': 16, 'lr': 0.02, 'schedule': 'plain', 'drop_last': false},"
    " 'limits': {'trial_seconds': 60, 'stall_seconds': 20.5, 'memory_mib': 100}}";

static const char least[] = "{'schema': 'vitro.recipe/1', 'name': 'n', 'backbones': [{'model': 'bundled'}],"
                            " 'packs': ['builtin:count'], 'methods': ['linear'], 'seeds': [1]}";

static void a_recipe_is_read_as_it_is_written(void **state)
{
    (void)state;
    struct study *s = NULL;
    must(hand_parse(&s, good));
    assert_string_equal(s->name, "first");
    assert_string_equal(s->about, "a trial of it");
    assert_int_equal(s->backbone_count, 2);
    assert_string_equal(s->backbones[1].model, "w/ti.safetensors");
    assert_int_equal(s->backbones[1].heads, 3);
    assert_int_equal(s->backbones[0].act, 0);
    assert_int_equal(s->backbones[1].act, VIT_ACTIVATION_QUICK_GELU);
    assert_string_equal(s->backbones[1].head, "zero.safetensors");
    assert_null(s->backbones[0].head);
    assert_true(s->backbones[1].random && !s->backbones[0].random);
    assert_int_equal(s->pack_count, 3);
    assert_string_equal(s->packs[0].name, "count");
    assert_string_equal(s->packs[0].data, "builtin:count:8/4/4");
    assert_string_equal(s->packs[1].name, "eurosat");
    assert_string_equal(s->packs[2].name, "pets");
    assert_string_equal(s->packs[2].normalise, "half");
    assert_string_equal(s->packs[2].group, "natural");
    assert_int_equal(s->packs[2].image, 96);
    assert_int_equal(s->method_count, 2);
    assert_string_equal(s->methods[0].name, "linear");
    assert_string_equal(s->methods[1].name, "small lora");
    assert_string_equal(s->methods[1].text, "lora[r=1]");
    assert_int_equal(json_count(json_get(s->methods[1].search, "lr")), 2);
    assert_non_null(json_get(s->search, "decay"));
    assert_int_equal(s->tune.strategy, TUNE_RANDOM);
    assert_int_equal(s->tune.trials, 4);
    assert_true(s->tune.seconds == 30.5);
    assert_int_equal(s->tune.seed, 7);
    assert_int_equal(s->tune.eta, 4);
    assert_int_equal(s->tune.rungs, 3);
    assert_int_equal(s->refit_trainval, 0);
    assert_int_equal(s->seed_count, 3);
    assert_true(s->seeds[1] == 5 && s->seeds[2] == UINT64_MAX);
    assert_int_equal(s->training.epochs, 8);
    assert_int_equal(s->training.batch, 16);
    assert_true(s->training.lr == 0.02f);
    assert_int_equal(s->training.schedule, SCHEDULE_PLAIN);
    assert_int_equal(s->training.drop_last, 0);
    assert_true(s->trial_seconds == 60 && s->stall_seconds == 20.5);
    assert_true(s->memory_bytes == 100 << 20);
    assert_false(s->resolved);
    study_destroy(s);
}

static void what_a_recipe_leaves_out_has_its_default(void **state)
{
    (void)state;
    struct study *s = NULL;
    must(hand_parse(&s, least));
    assert_string_equal(s->backbones[0].name, "bundled");
    assert_int_equal(s->tune.strategy, TUNE_NONE);
    assert_int_equal(s->refit_trainval, 1);
    assert_true(s->stall_seconds == 600 && s->trial_seconds == 0 && s->memory_bytes == 0);
    assert_memory_equal(&s->training, &recipe_default, sizeof recipe_default);
    study_destroy(s);
}

static void assert_refused(const char *recipe, const char *const *words, size_t count)
{
    struct study *s = (struct study *)1;
    int rc = hand_parse(&s, recipe);
    if (rc != ERR_INPUT)
        fail_msg("%d for %.3000s", rc, recipe);
    assert_null(s);
    assert_memory_equal(error_text(), "hand.json: ", 11);
    assert_null(strchr(error_text(), '\n'));
    for (size_t i = 0; i < count && words[i]; i++)
        if (!strstr(error_text(), words[i]))
            fail_msg("\"%s\" is not in: %s", words[i], error_text());
}

static void a_bad_recipe_is_refused_with_what_and_the_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *old, *new, *words[3];
    } bad[] = {
        /* keys */
        {"'seeds'", "'sedes'", {"sedes", "seeds"}},
        {"'about': 'a trial of it'", "'about': 'a', 'about': 'b'", {"about", "twice"}},
        {"'heads': 3", "'heads': 3, 'heads': 4", {"heads", "twice"}},
        {"'epochs': 8", "'epochs': 8, 'epochs': 9", {"epochs", "twice"}},
        {"'lr': [0.001, 0.01]", "'lr': [0.001], 'lr': [0.01]", {"lr", "twice"}},
        {"'decay': [0.5]", "'decay': [0.5], 'decay': [0.1]", {"decay", "twice"}},
        {"'random': true", "'radnom': true", {"a backbone", "radnom", "did you mean random"}},
        {"'normalise'", "'normalize'", {"a pack", "normalize", "normalise"}},
        {"'method': 'lora", "'metod': 'lora", {"a method", "metod", "method"}},
        {"'strategy'", "'stategy'", {"tune", "stategy", "strategy"}},
        {"'memory_mib'", "'memory_mb'", {"limits", "memory_mb", "memory_mib"}},
        {"'batch'", "'bach'", {"bach", "did you mean batch"}},
        {"'decay': [0.5]", "'deacy': [0.5]", {"search", "deacy", "decay"}},
        {"'decay': [0.5]", "'r': [8]", {"search", "\"r\"", "method"}},
        /* the schema */
        {"'schema': 'vitro.recipe/1', ", "", {"schema", "vitro.recipe/1"}},
        {"vitro.recipe/1", "vitro.recipe/2", {"schema", "vitro.recipe/1"}},
        {"'vitro.recipe/1'", "1", {"schema", "string"}},
        /* types */
        {"'first'", "1", {"name", "string"}},
        {"'a trial of it'", "[]", {"about", "string"}},
        {"'heads': 3", "'heads': 3.5", {"heads", "whole number", "1024"}},
        {"'heads': 3", "'heads': '3'", {"heads", "whole number"}},
        {"'quick_gelu'", "'relu'", {"act", "gelu", "quick_gelu"}},
        {"'random': true", "'random': 1", {"random", "true or false"}},
        {"'image': 96", "'image': -1", {"image", "whole number"}},
        {"{'name': 'micro', 'model': 'bundled'}", "'bundled'", {"backbone", "object"}},
        {"'sets/eurosat.tar'", "7", {"pack", "object"}},
        {"'linear'", "null", {"method", "object"}},
        {"'linear'", "['linear']", {"method", "object"}},
        {"{'lr': [0.001, 0.01]}", "[0.001]", {"search", "object"}},
        {"{'decay': [0.5]}", "'decay'", {"search", "object"}},
        {"{'strategy': 'random', 'trials': 4, 'seconds': 30.5, 'seed': 7, 'eta': 4, 'rungs': 3}",
         "[]",
         {"tune", "object"}},
        {"'random', 'trials'", "'randomly', 'trials'", {"strategy", "none, grid, random, halving"}},
        {"'strategy': 'random'", "'strategy': 3", {"strategy", "random"}},
        {"'train', 'seeds'", "'val', 'seeds'", {"refit", "train, trainval"}},
        {"'schedule': 'plain'", "'schedule': 'cosine'", {"schedule", "study", "plain"}},
        {"'drop_last': false", "'drop_last': 0", {"drop_last", "true or false"}},
        {"'epochs': 8", "'epochs': 8.5", {"epochs", "whole number"}},
        {"'lr': 0.02", "'lr': '0.02'", {"lr", "number"}},
        {"'trial_seconds': 60", "'trial_seconds': 'x'", {"trial_seconds", "number"}},
        /* what is missing or empty */
        {"'name': 'first', ", "", {"name", "1 to 63"}},
        {"'model': 'bundled'", "'heads': 3", {"backbone", "model", "bundled"}},
        {"'data': 'x.pack', ", "", {"pack", "data"}},
        {"'method': 'lora[r=1]', ", "", {"method", "lacks"}},
        {"'seeds': [0, 5, '18446744073709551615']", "'seeds': []", {"seeds", "1 to 256"}},
        {"['linear', {'name': 'small lora', 'method': 'lora[r=1]', 'search': {'lr': [0.001, 0.01]}}]",
         "[]",
         {"methods", "1 to 256"}},
        {", 'seeds': [0, 5, '18446744073709551615']", "", {"seeds", "1 to 256"}},
        {"[0, 5, '18446744073709551615']", "5", {"seeds", "list"}},
        /* names */
        {"'name': 'first'", "'name': '../first'", {"../first", "letter"}},
        {"'name': 'first'", "'name': ''", {"name", "1 to 63"}},
        {"'name': 'first'", "'name': '-first'", {"-first", "letter"}},
        {"'name': 'first'", "'name': 'a/b'", {"a/b", "file name"}},
        {"'name': 'first'", "'name': 'a\\nb'", {"byte 10", "another"}},
        {"'name': 'ti', ", "", {"w/ti.safetensors", "\"name\""}},
        {"'linear'", "'./mine/vitro_x.so'", {"./mine/vitro_x.so", "\"name\""}},
        {"'name': 'ti'", "'name': 'micro'", {"backbones", "micro", "another"}},
        {"'name': 'pets'", "'name': 'count'", {"packs", "count", "another"}},
        {"'name': 'small lora'", "'name': 'linear'", {"methods", "linear", "another"}},
        {"[0, 5,", "[5, 5,", {"seed 5", "twice"}},
        {"[0, 5,", "['5', 5,", {"seed 5", "twice"}},
        {"'epochs': 8", "'epochs': 8, 'seed': '3'", {"seeds", "training"}},
        /* seeds that are none */
        {"18446744073709551615", "18446744073709551616", {"18446744073709551616", "seed"}},
        {"18446744073709551615", " -1", {"-1", "seed"}},
        {"18446744073709551615", "1x", {"1x", "whole number"}},
        {"18446744073709551615", "", {"seed", "whole number"}},
        {"[0, 5,", "[-1, 5,", {"seed", "whole number"}},
        {"[0, 5,", "[0.5, 5,", {"seed", "whole number"}},
        /* budgets */
        {"'strategy': 'random', ", "", {"strategy", "grid, random or halving"}},
        {"'trials': 4, 'seconds': 30.5, ", "", {"random", "trials", "seconds"}},
        {"'strategy': 'random'", "'strategy': 'halving'", {"halving", "trials"}},
        {"'trials': 4", "'trials': 0", {"trials", "1 and"}},
        {"'trials': 4", "'trials': 1e9", {"trials", "100000"}},
        {"'trials': 4, 'seconds': 30.5", "'trials': -4", {"trials", "whole number"}},
        {"'seconds': 30.5", "'seconds': -1", {"seconds", "negative"}},
        {"'eta': 4", "'eta': 1", {"eta", "2 and 16"}},
        {"'rungs': 3", "'rungs': 99", {"rungs", "2 and 8"}},
        {"'seed': 7", "'seed': 1e300", {"seed", "whole number"}},
        {"'random', 'trials': 4, 'seconds': 30.5", "'halving', 'trials': 1", {"halving", "trials", "budget"}},
        {"'random', 'trials': 4, 'seconds': 30.5, 'seed': 7, 'eta': 4, 'rungs': 3",
         "'halving', 'trials': 8, 'eta': 4, 'rungs': 4",
         {"epochs", "rungs"}},
        /* sizes */
        {"'image': 96", "'image': 100000", {"image", "1024"}},
        {"'memory_mib': 100", "'memory_mib': 1e18", {"memory_mib", "whole number"}},
        {"'batch': 16", "'batch': 0", {"batch", "between 1 and 4096"}},
        {"'batch': 16", "'batch': 1e12", {"batch", "4096"}},
        {"'epochs': 8", "'epochs': 1e300", {"epochs", "whole number"}},
        {"'lr': 0.02", "'lr': -1", {"lr", "between"}},
        {"'lr': 0.02", "'lr': 1e300", {"lr", "between"}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(hand_edit(good, bad[i].old, bad[i].new), bad[i].words, 3);
}

static void lists_beyond_256_and_names_beyond_63_letters_are_refused(void **state)
{
    (void)state;
    static char list[4096];
    char name[STUDY_NAME + 32];
    size_t used = 0;
    for (int i = 0; i < 257; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%d", i ? "," : "'seeds': [", i);
    snprintf(list + used, sizeof list - used, "]");
    assert_refused(hand_edit(least, "'seeds': [1]", list), (const char *[]){"seeds", "256"}, 2);
    snprintf(name, sizeof name, "'name': '%063d'", 1);
    struct study *s = NULL;
    must(hand_parse(&s, hand_edit(least, "'name': 'n'", name)));
    study_destroy(s);
    snprintf(name, sizeof name, "'name': '%064d'", 1);
    assert_refused(hand_edit(least, "'name': 'n'", name), (const char *[]){"63"}, 1);
    assert_refused("[]", (const char *[]){"recipe", "object"}, 2);
    assert_refused("null", (const char *[]){"recipe", "object"}, 2);
}

/* The document with the members of every object in the reverse order. */
static struct json *reversed(const struct json *j)
{
    const struct json *items[64];
    size_t count = 0;
    if (!json_is_object(j) && !json_is_array(j))
        return json_copy(j);
    struct json *out = json_is_object(j) ? json_object() : json_array();
    for (const struct json *k = json_first(j); k; k = json_next(k))
        items[count++] = k;
    for (size_t i = 0; i < count; i++)
        if (json_is_object(j))
            json_take(out, json_key(items[count - 1 - i]), reversed(items[count - 1 - i]));
        else
            json_append_take(out, reversed(items[i]));
    return out;
}

static void the_hash_depends_neither_on_order_nor_on_spacing(void **state)
{
    (void)state;
    struct study *one = NULL, *other = NULL;
    struct json *j = hand_json(good), *back = reversed(j);
    must(hand_parse(&one, good));
    must(study_parse(&other, back, "backwards"));
    assert_string_equal(one->hash, other->hash);
    char *text = json_text(j, 1), *turned = json_text(back, 1);
    assert_string_not_equal(text, turned);
    must(file_write("a.json", text, strlen(text)));
    study_destroy(other);
    must(study_read(&other, "a.json"));
    assert_string_equal(one->hash, other->hash);
    assert_int_equal(strlen(one->hash), HASH_TEXT - 1);
    mem_free(text);
    mem_free(turned);
    json_destroy(j);
    json_destroy(back);
    study_destroy(one);
    study_destroy(other);
}

static void the_hash_changes_with_every_value(void **state)
{
    (void)state;
    static const char *const edits[][2] = {
        {"'first'", "'second'"},
        {"a trial", "A trial"},
        {"'micro'", "'Micro'"},
        {"'bundled'", "'b'"},
        {"'heads': 3", "'heads': 4"},
        {"'quick_gelu'", "'gelu'"},
        {"true", "false"},
        {"8/4/4", "8/4/5"},
        {"eurosat", "eurosta"},
        {"'pets'", "'Pets'"},
        {"x.pack", "y.pack"},
        {"'half'", "'clip'"},
        {"natural", "Natural"},
        {"96", "97"},
        {"'linear'", "'bitfit'"},
        {"small", "big"},
        {"lora[r=1]", "lora[r=2]"},
        {"0.001", "0.0010000000000000002"},
        {"[0.5]", "[0.5, 0.6]"},
        {"'random', 't", "'grid', 't"},
        {"'trials': 4", "'trials': 5"},
        {"30.5", "30.25"},
        {"'seed': 7", "'seed': 8"},
        {"'eta': 4", "'eta': 5"},
        {"'rungs': 3", "'rungs': 4"},
        {"'train', 's", "'trainval', 's"},
        {"[0, 5", "[5, 0"},
        {"09551615", "09551614"},
        {"'epochs': 8", "'epochs': 9"},
        {"'batch': 16", "'batch': 17"},
        {"0.02", "0.020000001"},
        {"'plain'", "'study'"},
        {"false", "true"},
        {"60", "61"},
        {"20.5", "20.75"},
        {"100}", "101}"},
    };
    struct study *s = NULL;
    static char seen[64][HASH_TEXT];
    const size_t count = sizeof edits / sizeof *edits;
    for (size_t i = 0; i <= count; i++) {
        must(hand_parse(&s, i < count ? hand_edit(good, edits[i][0], edits[i][1]) : good));
        strcpy(seen[i], s->hash);
        study_destroy(s);
        for (size_t k = 0; k < i; k++)
            if (strcmp(seen[k], seen[i]) == 0)
                fail_msg("edits %zu and %zu have the same hash", k, i);
    }
}

static void a_resolved_study_reads_back_as_it_was(void **state)
{
    (void)state;
    struct study *s = NULL, *back = NULL;
    must(hand_parse(&s, hand_edit(good, "{'lr': [0.001, 0.01]}",
                                  "{'lr': {'log_uniform': [0.0001, 0.1]}, 'r': [1, 'x']}")));
    hand_resolve(s);
    must(study_save(s, "study.json"));
    must(study_load(&back, "study.json"));
    assert_true(back->resolved);
    assert_string_equal(back->hash, s->hash);
    assert_string_equal(back->backbones[1].sha256, s->backbones[1].sha256);
    assert_int_equal(back->backbones[1].heads, 3);
    assert_int_equal(back->backbones[1].act, VIT_ACTIVATION_QUICK_GELU);
    for (int k = 0; k < 3; k++) {
        assert_string_equal(back->packs[2].split[k], s->packs[2].split[k]);
        assert_int_equal(back->packs[2].count[k], s->packs[2].count[k]);
    }
    assert_string_equal(back->packs[2].group, "natural");
    assert_int_equal(back->packs[2].size, 32);
    const struct study_method *m = &back->methods[1];
    assert_int_equal(m->axis_count, 2);
    assert_int_equal(m->axes[0].kind, AXIS_LOG_UNIFORM);
    assert_true(m->axes[0].low == 0.0001 && m->axes[0].high == 0.1);
    assert_int_equal(m->axes[0].part, -1);
    assert_int_equal(m->axes[1].kind, AXIS_LIST);
    assert_int_equal(m->axes[1].part, 0);
    assert_string_equal(m->axes[1].values[1], "x");
    assert_string_equal(m->parts[0].sha256, s->methods[1].parts[0].sha256);
    assert_string_equal(m->parts[0].options[0].value, "8");
    must(study_save(back, "again.json"));
    char *a, *b;
    size_t n, k;
    must(file_read("study.json", 1 << 20, &a, &n));
    must(file_read("again.json", 1 << 20, &b, &k));
    assert_int_equal(n, k);
    assert_memory_equal(a, b, n);
    mem_free(a);
    mem_free(b);
    study_destroy(s);
    study_destroy(back);
}

/* study.json with its first `old` replaced by `new` */
static int load_edited(const char *old, const char *new)
{
    char *text;
    size_t size;
    struct study *s = NULL;
    must(file_read("study.json", 1 << 20, &text, &size));
    char *at = strstr(text, old);
    if (!at)
        fail_msg("study.json has no %s", old);
    FILE *f = fopen("edited.json", "w");
    assert_non_null(f);
    fprintf(f, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    fclose(f);
    mem_free(text);
    int rc = study_load(&s, "edited.json");
    if (rc < 0)
        assert_non_null(strstr(error_text(), "edited.json"));
    else
        study_destroy(s);
    return rc;
}

static void an_edited_resolved_study_is_refused(void **state)
{
    (void)state;
    struct study *s = NULL;
    static char axes[8192] = "\"axes\": [";
    must(hand_parse(&s, good));
    hand_resolve(s);
    must(study_save(s, "study.json"));
    assert_int_equal(load_edited("vitro.study/1", "vitro.study/1"), 0);
    static const char *const edits[][2] = {
        {"vitro.study/1", "vitro.study/2"},
        {"\"hash\": \"", "\"hash\": \"0"},
        {"\"trials\": 4", "\"trials\": 5"},
        {"\"recipe\": {", "\"recipee\": {"},
        {"\"recipe\": {", "\"recipe\": 3, \"old\": {"},
        {"\"classes\": 3", "\"classes\": \"3\""},
        {"\"size\": 32", "\"size\": 1e12"},
        {"\"train\": 12", "\"train\": -12"},
        {"\"kind\": \"list\"", "\"kind\": \"lits\""},
        {"\"values\": [", "\"values\": [7, "},
        {"\"parts\": [", "\"parts\": 3, \"old\": ["},
        {"\"points\": [", "\"points\": [], \"old\": ["},
        {"\"points\": [", "\"points\": [[]], \"old\": ["},
        {"\"points\": [", "\"points\": [[\"1\", \"2\", \"3\"]], \"old\": ["},
        {"\"points\": [", "\"points\": [[0.5]], \"old\": ["},
        {"\"points\": [", "\"points\": [\"0.5\"], \"old\": ["},
        {"\"points\"", "\"pints\""},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        if (load_edited(edits[i][0], edits[i][1]) != ERR_INPUT)
            fail_msg("%s", edits[i][1]);
    for (int i = 0; i < 40; i++) /* more than a point has room for */
        strcat(axes, "{\"name\": \"a\", \"part\": 0, \"kind\": \"list\", \"low\": 0, \"high\": 0, "
                     "\"values\": [\"1\"]},");
    assert_int_equal(load_edited("\"axes\": [", axes), ERR_INPUT);
    study_destroy(s);
}

static void running_out_of_memory_or_disk_is_an_error_like_any_other(void **state)
{
    (void)state;
    struct study *s = NULL;
    struct json *j = hand_json(good);
    int rc = ERR_MEMORY;
    for (long after = 0; rc < 0; after++) {
        mem_fail_after(after);
        rc = study_parse(&s, j, "hand.json");
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
        if (rc < 0)
            assert_null(s);
    }
    hand_resolve(s);
    must(study_save(s, "study.json"));
    file_fail_after(0);
    assert_int_equal(study_save(s, "full.json"), ERR_IO);
    file_fail_after(-1);
    assert_false(file_exists("full.json"));
    study_destroy(s);
    rc = ERR_MEMORY;
    for (long after = 0; rc < 0; after++) {
        mem_fail_after(after);
        rc = study_load(&s, "study.json");
        mem_fail_after(-1);
        if (rc != 0 && rc != ERR_MEMORY)
            fail_msg("%s", error_text());
    }
    study_destroy(s);
    json_destroy(j);
    assert_int_equal(study_read(&s, "absent.json"), ERR_IO);
    assert_null(s);
}

static void every_shipped_recipe_is_read(void **state)
{
    (void)state;
    int count = 0;
    DIR *folder = opendir(RECIPES);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[1024];
        struct study *s = NULL;
        if (!strstr(entry->d_name, ".json"))
            continue;
        snprintf(path, sizeof path, "%s/%s", RECIPES, entry->d_name);
        must(study_read(&s, path));
        study_destroy(s);
        count++;
    }
    closedir(folder);
    assert_true(count > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recipe_is_read_as_it_is_written),
        cmocka_unit_test(every_shipped_recipe_is_read),
        cmocka_unit_test(what_a_recipe_leaves_out_has_its_default),
        cmocka_unit_test(a_bad_recipe_is_refused_with_what_and_the_remedy),
        cmocka_unit_test(lists_beyond_256_and_names_beyond_63_letters_are_refused),
        cmocka_unit_test(the_hash_depends_neither_on_order_nor_on_spacing),
        cmocka_unit_test(the_hash_changes_with_every_value),
        cmocka_unit_test(a_resolved_study_reads_back_as_it_was),
        cmocka_unit_test(an_edited_resolved_study_is_refused),
        cmocka_unit_test(running_out_of_memory_or_disk_is_an_error_like_any_other),
    };
    return cmocka_run_group_tests(tests, hand_enter, hand_leave);
}

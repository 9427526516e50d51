/* test_peft.c - adapters of Hugging Face peft, in and out: those that peft made give peft's logits here, those from here
 * come back the same, and what cannot be taken over is refused by name. */
#include "peft_world.h"

#include "file.h"
#include "json.h"

#include <stdlib.h>
#include <unistd.h>

/* peft computes in float32, we in double: 1e-6; a wrong slice or scale is off by tenths. */
static const double TOLERANCE = 2e-5;
/* Our own tensors in float32, once through peft's layout: DoRA's magnitudes are rounded once more. */
static const double ROUND_TRIP = 1e-5;

static const struct made { /* golden/peft/NAMES_CASE, and the method that it is here */
    const char *folder, *method;
} made[] = {
    {"timm_lora", "lora[r=3,alpha=5,rslora=false,dropout=0.1,targets=qkv"},
    {"timm_rslora_all", "lora[r=2,alpha=4.2426"},
    {"timm_dora", "dora[r=3,alpha=5"},
    {"timm_ia3", "ia3"},
    {"timm_vera", "vera[r=5"},
    {"timm_loha", "loha[r=3,alpha=4,target=qkv"},
    {"timm_lokr", "lokr[r=2,alpha=3,target=qkv"},
    {"timm_lokr_whole", "lokr[r=6,alpha=3"},
    {"timm_lokr_both", "lokr[r=2,alpha=3"},
    {"timm_oft", "oft[block=8,cayley=neumann"},
    {"timm_oft_shared", "oft[block=6,cayley=exact"},
    {"timm_boft", "boft[block=4,factors=2"},
    {"timm_adalora", "adalora[r=4,target_r=4,alpha=6"},
    {"timm_lora_pickled", "lora[r=2,alpha=5,rslora=false,dropout=0,targets=qkv"}, /* adapter_model.bin */
    {"hf_lora_qv", "lora[r=3,alpha=5,rslora=false,dropout=0,targets=qv"},
    {"hf_lora_apart", "lora[r=2,alpha=5,rslora=false,dropout=0,targets=q_k_v"},
    {"hf_lora_some", "lora[r=2,alpha=5,rslora=false,dropout=0,targets=k"},
    {"hf_lora_headless", "lora[r=2"},
    {"hf5_lora_qv", "lora[r=3"},
    {"hf5_lora_apart", "lora[r=2"},
    {"hf5_lora_some", "lora[r=2"},
    {"hf5_lora_headless", "lora[r=2"},
    {"hf5_dora_qv", "dora[r=4,alpha=10"},
    {"hf5_ia3", "ia3"},
    {"hf5_vera_qv", "vera[r=10"},
    {"hf5_loha_apart", "loha[r=2,alpha=3,target=q_k_v"},
    {"hf5_loha_k", "loha[r=2,alpha=3,target=qkv"},
    {"hf5_lokr_apart", "lokr[r=2,alpha=3,target=q_k_v"},
    {"hf5_oft_alike", "oft[block=8,cayley=neumann"},
    {"hf5_adalora_ranks", "adalora[r=8,target_r=8"},
};

static const char golden_peft[] = GOLDEN_FOLDER "/peft";

/* An adapter as a method on the golden model. */
static void import_from(struct peft_world *w, const char *folder, char *method, size_t size)
{
    struct peft_adapter *a = NULL;
    *w = (struct peft_world){0};
    golden_model(&w->vit);
    tiny_must(peft_open(&a, folder, w->vit));
    open_method(w, peft_method(a));
    tiny_must(peft_fill(a, w->method, w->values.values));
    snprintf(method, size, "%s", method_text(w->method));
    peft_close(a);
}

static void adapters_that_peft_made_give_its_logits_here(void **state)
{
    double worst = 0;
    (void)state;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        struct peft_world w;
        struct safetensors *f = NULL;
        float single[PEFT_LOGITS];
        double ours[PEFT_LOGITS], theirs[PEFT_LOGITS];
        char path[1024], method[1024];
        snprintf(path, sizeof path, "%s/%s", golden_peft, made[i].folder);
        import_from(&w, path, method, sizeof method);
        if (strncmp(method, made[i].method, strlen(made[i].method)) != 0)
            fail_msg("%s is %s, not %s ..", made[i].folder, method, made[i].method);
        snprintf(path, sizeof path, "%s/%s/logits.safetensors", golden_peft, made[i].folder);
        tiny_must(safetensors_open(&f, path));
        tiny_must(safetensors_need(f, "logits", SAFETENSORS_F32, PEFT_LOGITS, single));
        for (int k = 0; k < PEFT_LOGITS; k++)
            theirs[k] = (double)single[k];
        logits_of(&w, ours);
        if (!(largest_difference(ours, theirs) <= TOLERANCE))
            fail_msg("%s: a logit is off by %g", made[i].folder, largest_difference(ours, theirs));
        worst = fmax(worst, largest_difference(ours, theirs));
        safetensors_close(f);
        close_world(&w);
    }
    print_message("largest difference of a logit from peft's %.1e\n", worst);
}

static char scratch[] = "/tmp/vitro-peft-XXXXXX";

static void remove_folder(const char *folder)
{
    static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors"};
    char path[1024];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void written_methods_come_back_with_the_same_logits(void **state)
{
    double worst = 0;
    (void)state;
    for (int i = 0; i < SAMPLES; i++)
        for (int n = 0; n < PEFT_NAMES_COUNT; n++) {
            struct peft_world w, back;
            double before[PEFT_LOGITS], after[PEFT_LOGITS];
            char method[1024];
            if (!(samples[i].says & (n == PEFT_NAMES_TIMM ? SAYS_FUSED : SAYS_APART)))
                continue;
            open_sample(&w, &samples[i]);
            logits_of(&w, before);
            tiny_must(peft_export(w.method, w.vit, (const float *const *)w.values.values, (enum peft_names)n,
                                  NULL, scratch));
            import_from(&back, scratch, method, sizeof method);
            logits_of(&back, after);
            if (!(largest_difference(before, after) <= ROUND_TRIP))
                fail_msg("%s with the names %s comes back as %s, a logit off by %g", samples[i].text,
                         peft_names[n], method, largest_difference(before, after));
            worst = fmax(worst, largest_difference(before, after));
            close_world(&w);
            close_world(&back);
            remove_folder(scratch);
        }
    print_message("largest difference of a logit after going out and in %.1e\n", worst);
}

static void refuses_export(const char *text, enum peft_names names, const char *why)
{
    struct peft_world w = {0};
    golden_model(&w.vit);
    open_method(&w, text);
    int rc = peft_export(w.method, w.vit, (const float *const *)w.values.values, names, NULL, scratch);
    if (rc >= 0 || !strstr(error_text(), why))
        fail_msg("%s: \"%s\" was expected, and \"%s\" said", text, why, rc < 0 ? error_text() : "nothing");
    close_world(&w);
}

static void what_peft_or_its_names_cannot_say_is_refused(void **state)
{
    (void)state;
    refuses_export("lokr", PEFT_NAMES_HF, "`--names timm`");
    refuses_export("lokr[target=qv]", PEFT_NAMES_TIMM, "`--names hf`");
    refuses_export("adaptformer", PEFT_NAMES_TIMM, "adaptformer is no method of peft's");
    refuses_export("lora+bitfit", PEFT_NAMES_HF, "bitfit is no method of peft's");
    refuses_export("dora+ia3", PEFT_NAMES_HF, "cannot share");
    refuses_export("lora+lora", PEFT_NAMES_HF, "two parts of the stack update QKV");
    refuses_export("lora+lora[targets=q]", PEFT_NAMES_HF, "two parts of the stack update QKV");
    refuses_export("lora+lora[targets=q]", PEFT_NAMES_TIMM, "two parts of the stack update QKV");
    assert_int_equal(access(scratch, F_OK), -1);
}

/* --- strictness */

static void copy_adapter(const char *name)
{
    static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors"};
    char from[1024], to[1024], *bytes;
    size_t size;
    tiny_must(file_make_folders(scratch));
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "%s/%s/%s", golden_peft, name, files[i]);
        snprintf(to, sizeof to, "%s/%s", scratch, files[i]);
        tiny_must(file_read(from, 1 << 24, &bytes, &size));
        tiny_must(file_write(to, bytes, size));
        mem_free(bytes);
    }
}

static void expect_refusal(const char *what, const char *why)
{
    struct peft_adapter *a = NULL;
    struct vit *vit = NULL;
    golden_model(&vit);
    int rc = peft_open(&a, scratch, vit);
    if (rc >= 0 || !strstr(error_text(), why))
        fail_msg("%s: \"%s\" was expected, and \"%s\" said", what, why, rc < 0 ? error_text() : "nothing");
    peft_close(a);
    vit_destroy(vit);
    remove_folder(scratch);
}

/* A copy with a key of the configuration changed, in JSON; NULL: without it. */
static void changed_config(const char *name, const char *key, const char *json)
{
    struct json *config = NULL, *changed = NULL;
    char path[1024];
    copy_adapter(name);
    snprintf(path, sizeof path, "%s/adapter_config.json", scratch);
    tiny_must(json_read_file(&config, path));
    struct json *out = json_object();
    for (const struct json *j = json_first(config); j; j = json_next(j))
        if (strcmp(json_key(j), key) != 0)
            tiny_must(json_take(out, json_key(j), json_copy(j)));
    if (json) {
        tiny_must(json_parse(&changed, json, strlen(json), key));
        tiny_must(json_take(out, key, changed));
    }
    tiny_must(json_write_file(out, path));
    json_destroy(config);
    json_destroy(out);
}

static void refuses_config(const char *name, const char *key, const char *json, const char *why)
{
    changed_config(name, key, json);
    expect_refusal(key, why);
}

static void options_without_a_counterpart_are_refused_by_name(void **state)
{
    (void)state;
    refuses_config("timm_lora", "bias", "\"all\"", "bias = \"all\"");
    refuses_config("timm_lora", "rank_pattern", "{\"qkv\": 4}", "rank_pattern = {\"qkv\":4}");
    refuses_config("timm_lora", "alpha_pattern", "{\"qkv\": 4}", "alpha_pattern = ");
    refuses_config("timm_lora", "layers_to_transform", "[0]", "layers_to_transform = [0]");
    refuses_config("timm_lora", "fan_in_fan_out", "true", "fan_in_fan_out = true");
    refuses_config("timm_lora", "lora_bias", "true", "lora_bias = true");
    refuses_config("timm_lora", "use_qalora", "true", "use_qalora = true");
    refuses_config("timm_lora", "an_option_of_next_year", "3", "an_option_of_next_year = 3");
    refuses_config("timm_lora", "init_lora_weights", "\"pissa\"", "init_lora_weights = \"pissa\"");
    refuses_config("timm_lora", "peft_type", "\"PROMPT_TUNING\"", "peft_type is PROMPT_TUNING");
    refuses_config("timm_lora", "target_modules", "[\"qkv\", \"fc1\"]", "target_modules names fc1");
    refuses_config("timm_lora", "target_modules", "[\"kv\"]", "target_modules names kv");
    refuses_config("timm_lora", "r", NULL, "lacks r");
    refuses_config("timm_lora", "r", "2.5", "r = 2.5 is no whole number");
    refuses_config("timm_lora", "lora_alpha", "\"much\"", "lora_alpha = \"much\"");
    refuses_config("timm_lora", "use_dora", "true", "lora_magnitude_vector is missing");
    refuses_config("timm_dora", "use_dora", "false", "lora_magnitude_vector is left over");
    refuses_config("timm_lokr", "decompose_factor", "8", "decompose_factor = 8");
    refuses_config("timm_oft", "coft", "true", "coft = true");
    refuses_config("timm_oft", "num_cayley_neumann_terms", "7", "num_cayley_neumann_terms = 7");
    refuses_config("timm_oft", "use_cayley_neumann", NULL, "does not say use_cayley_neumann");
    refuses_config("timm_oft", "peft_version", NULL, "was another rotation before peft 0.18");
    refuses_config("timm_oft", "peft_version", "\"0.17.1\"", "was another rotation before peft 0.18");
}

static void options_of_training_are_told_and_let_pass(void **state)
{
    struct peft_adapter *a = NULL;
    struct vit *vit = NULL;
    (void)state;
    golden_model(&vit);
    changed_config("timm_lora", "module_dropout", "0.25");
    tiny_must(peft_open(&a, scratch, vit));
    assert_string_equal(peft_left(a), "module_dropout = 0.25");
    peft_close(a);
    vit_destroy(vit);
    remove_folder(scratch);
}

struct change {                     /* of an adapter's tensors */
    const char *skip, *extra, *cut; /* left out; added; its first axis shorter by one */
    const char *wild;               /* its first number is none */
    const char *without;            /* left out of every name */
};

static void change_tensors(const char *name, const struct change *c)
{
    enum { MOST = 64 };
    struct safetensors *f = NULL;
    struct safetensors_item items[MOST];
    static const float zeros[4];
    static float wild[256];
    char path[1024], names[MOST][256];
    size_t n = 0, renamed = 0;
    copy_adapter(name);
    snprintf(path, sizeof path, "%s/%s/adapter_model.safetensors", golden_peft, name);
    tiny_must(safetensors_open(&f, path));
    for (size_t i = 0; i < safetensors_count(f); i++) {
        const struct safetensors_entry *e = safetensors_at(f, i);
        const char *leave = c->without ? strstr(e->name, c->without) : NULL;
        if (c->skip && !strcmp(e->name, c->skip))
            continue;
        renamed += leave != NULL;
        snprintf(names[n], sizeof names[n], "%.*s%s", leave ? (int)(leave - e->name) : 0, e->name,
                 leave ? leave + strlen(c->without) : e->name);
        items[n] = (struct safetensors_item){
            .name = names[n], .type = e->type, .rank = (int32_t)e->rank, .data = e->bytes};
        int64_t count = 1;
        for (size_t k = 0; k < e->rank; k++) {
            count *= e->dim[k];
            items[n].dim[k] = e->dim[k] - (c->cut && k == 0 && !strcmp(e->name, c->cut));
        }
        if (c->wild && !strcmp(e->name, c->wild)) {
            assert_true(count * 4 <= (int64_t)sizeof wild && e->type == SAFETENSORS_F32);
            memcpy(wild, e->bytes, (size_t)count * 4);
            wild[0] = NAN;
            items[n].data = wild;
        }
        n++;
    }
    if (c->extra)
        items[n++] = (struct safetensors_item){
            .name = c->extra, .type = SAFETENSORS_F32, .rank = 1, .dim = {4}, .data = zeros};
    assert_true(!c->without || renamed == n);
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", scratch);
    tiny_must(safetensors_write(path, items, n, NULL, 0));
    safetensors_close(f);
}

static void refuses_tensors(const char *name, struct change c, const char *why)
{
    change_tensors(name, &c);
    expect_refusal(why, why);
}

static void wrong_tensors_are_named(void **state)
{
#define A "base_model.model.blocks.1.attn.qkv.lora_A.weight"
    (void)state;
    refuses_tensors("timm_lora", (struct change){.skip = A}, A " is missing");
    refuses_tensors("timm_lora", (struct change){.extra = "base_model.model.norm.bias"},
                    "base_model.model.norm.bias is left over");
    refuses_tensors("timm_lora", (struct change){.extra = "base_model.model.blocks.7.attn.qkv.lora_A.weight"},
                    "blocks.7");
    refuses_tensors("timm_lora", (struct change){.cut = A}, A " has the shape [2 24]");
    refuses_tensors("timm_lora", (struct change){.cut = "base_model.model.head.bias"},
                    "head.bias has the shape [6]");
    refuses_tensors("timm_lora", (struct change){.skip = "base_model.model.head.bias"},
                    "head.bias is missing");
    refuses_tensors("timm_lora", (struct change){.wild = A}, "a number of " A " is infinite or not a number");
    refuses_tensors("timm_vera", (struct change){.skip = "base_model.vera_A"}, "save_projection=True");
#undef A
    copy_adapter("hf5_oft_apart");
    expect_refusal("rotations that differ",
                   "oft_R.weight has to be there and the same for query, key and value");
}

/* ViTModel's, without a head, have no "vit." in front. */
static void names_of_the_network_without_its_head_are_read_too(void **state)
{
    static const char *const names[] = {"hf_lora_headless", "hf5_lora_headless"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct peft_world w[2];
        char path[1024], methods[2][1024];
        snprintf(path, sizeof path, "%s/%s", golden_peft, names[i]);
        import_from(&w[0], path, methods[0], sizeof methods[0]);
        change_tensors(names[i], &(struct change){.without = "vit."});
        import_from(&w[1], scratch, methods[1], sizeof methods[1]);
        assert_string_equal(methods[0], methods[1]);
        assert_int_equal(w[0].values.count, w[1].values.count);
        for (size_t t = 0; t < w[0].values.count; t++)
            assert_memory_equal(w[0].values.values[t], w[1].values.values[t],
                                (size_t)shape_count(w[0].values.tensors[t].shape) * sizeof(float));
        close_world(&w[0]);
        close_world(&w[1]);
        remove_folder(scratch);
    }
}

static int make_scratch(void **state)
{
    (void)state;
    return mkdtemp(scratch) ? rmdir(scratch) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapters_that_peft_made_give_its_logits_here),
        cmocka_unit_test(written_methods_come_back_with_the_same_logits),
        cmocka_unit_test(what_peft_or_its_names_cannot_say_is_refused),
        cmocka_unit_test(options_without_a_counterpart_are_refused_by_name),
        cmocka_unit_test(options_of_training_are_told_and_let_pass),
        cmocka_unit_test(wrong_tensors_are_named),
        cmocka_unit_test(names_of_the_network_without_its_head_are_read_too),
    };
    return cmocka_run_group_tests(tests, make_scratch, NULL);
}

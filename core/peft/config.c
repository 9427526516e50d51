/* config.c - adapter_config.json: what it says read, and refused where the network would be another one; and written.
 *
 * Every key has one of three parts to play. What is not in the table is let pass only where it says nothing: null,
 * false, 0, "none" or empty. */
#include "adapter.h"

#include "error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum part {
    PART_READ,     /* by what follows the table */
    PART_MADE,     /* how the adapter came about, or a detail of something that has a key of its own */
    PART_TRAINING, /* concerns training alone: told where it says something */
};
static const struct rule {
    const char *key;
    enum part part;
} rules[] = {
    {"peft_type", PART_READ},
    {"r", PART_READ},
    {"init_r", PART_READ},
    {"lora_alpha", PART_READ},
    {"alpha", PART_READ},
    {"use_rslora", PART_READ},
    {"use_dora", PART_READ},
    {"lora_dropout", PART_READ},
    {"vera_dropout", PART_READ},
    {"init_lora_weights", PART_READ},
    {"decompose_factor", PART_READ},
    {"use_cayley_neumann", PART_READ},
    {"num_cayley_neumann_terms", PART_READ},
    {"peft_version", PART_READ},
    {"block_share", PART_READ},
    {"rank_pattern", PART_READ},
    {"target_modules", PART_READ},
    /* tensors are the better witnesses: what is there was adapted or saved, of the size that it has */
    {"exclude_modules", PART_MADE},
    {"modules_to_save", PART_MADE},
    {"feedforward_modules", PART_MADE},
    {"oft_block_size", PART_MADE},
    {"boft_block_size", PART_MADE},
    {"boft_block_num", PART_MADE},
    {"boft_n_butterfly_factor", PART_MADE},
    {"decompose_both", PART_MADE},
    {"auto_mapping", PART_MADE},
    {"base_model_name_or_path", PART_MADE},
    {"revision", PART_MADE},
    {"task_type", PART_MADE},
    {"inference_mode", PART_MADE},
    {"init_weights", PART_MADE},
    {"init_ia3_weights", PART_MADE},
    {"projection_prng_key", PART_MADE},
    {"d_initial", PART_MADE},
    {"layers_pattern", PART_MADE},       /* of layers_to_transform */
    {"megatron_core", PART_MADE},        /* of megatron_config */
    {"qalora_group_size", PART_MADE},    /* of use_qalora */
    {"eps", PART_MADE},                  /* of coft */
    {"rank_dropout_scale", PART_MADE},   /* of rank_dropout */
    {"use_effective_conv2d", PART_MADE}, /* of convolutions */
    {"eva_config", PART_MADE},
    {"save_projection", PART_MADE},
    {"target_r", PART_MADE}, /* AdaLoRA's, and no other's: how its ranks came about */
    {"tinit", PART_MADE},
    {"tfinal", PART_MADE},
    {"deltaT", PART_MADE},
    {"beta1", PART_MADE},
    {"beta2", PART_MADE},
    {"orth_reg_weight", PART_MADE},
    {"total_step", PART_MADE},
    {"rank_dropout", PART_TRAINING},
    {"module_dropout", PART_TRAINING},
    {"boft_dropout", PART_TRAINING},
};

static const struct rule *find_rule(const char *key)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(rules[i].key, key))
            return &rules[i];
    return NULL;
}

/* null, false, 0, "none", [] or {} */
static int says_nothing(const struct json *j)
{
    double number;
    int truth;
    if (json_string(j))
        return !strcmp(json_string(j), "none");
    if (json_number(j, &number) == 0)
        return number == 0;
    if (json_bool(j, &truth) == 0)
        return !truth;
    return json_count(j) == 0;
}

static const char *short_text(const struct json *j, char out[80])
{
    char *text = json_text(j, 0);
    snprintf(out, 80, "%.60s%s", text ? text : "?", text && strlen(text) > 60 ? " .." : "");
    mem_free(text);
    return out;
}

/* "module_dropout = 0.1, rank_dropout = 0.2" */
static void leave(struct peft_adapter *a, const char *key, const struct json *j)
{
    char text[80];
    const size_t n = strlen(a->left);
    snprintf(a->left + n, sizeof a->left - n, "%s%s = %s", n ? ", " : "", key, short_text(j, text));
}

static int check_keys(struct peft_adapter *a, const struct json *config, const char *path)
{
    char text[80];
    for (const struct json *j = json_first(config); j; j = json_next(j)) {
        const struct rule *rule = find_rule(json_key(j));
        if (!rule && !says_nothing(j))
            return fail(
                ERR_INPUT,
                "%s: %s = %s is an option of peft that has no counterpart here; only adapters without it are "
                "read",
                path, json_key(j), short_text(j, text));
        if (rule && rule->part == PART_TRAINING && !says_nothing(j))
            leave(a, rule->key, j);
    }
    return 0;
}

/* --- what is read */

struct source { /* a configuration, for sentences */
    const struct json *config;
    const char *path;
};

static int read_number(const struct source *s, const char *key, double low, double high, double *out)
{
    const struct json *j = json_get(s->config, key);
    char text[80];
    if (!j)
        return fail(ERR_INPUT, "%s lacks %s", s->path, key);
    if (json_number(j, out) < 0 || !(*out >= low && *out <= high))
        return fail(ERR_INPUT, "%s: %s = %s; a number from %g to %g is needed", s->path, key,
                    short_text(j, text), low, high);
    return 0;
}

static int read_whole(const struct source *s, const char *key, int32_t *out)
{
    enum { RANK_MOST = 4096 }; /* no method here has a larger one */
    double number = 0;
    TRY(read_number(s, key, 1, RANK_MOST, &number));
    *out = (int32_t)number;
    return number == (double)*out ? 0
                                  : fail(ERR_INPUT, "%s: %s = %g is no whole number", s->path, key, number);
}

/* Absent is `absent`. */
static int read_flag(const struct source *s, const char *key, int absent, int *out)
{
    const struct json *j = json_get(s->config, key);
    char text[80];
    *out = absent;
    if (j && json_bool(j, out) < 0)
        return fail(ERR_INPUT, "%s: %s = %s is neither true nor false", s->path, key, short_text(j, text));
    return 0;
}

static int read_dropout(const struct source *s, const char *key, double *out)
{
    *out = 0;
    return json_get(s->config, key) ? read_number(s, key, 0, 0.99, out) : 0;
}

/* Those that begin by changing the frozen weights: the adapter is only right on weights that are not at hand. */
static int check_start(const struct source *s)
{
    static const char *const harmless[] = {"gaussian", "eva", "orthogonal"};
    const struct json *j = json_get(s->config, "init_lora_weights");
    const char *name = j ? json_string(j) : NULL;
    int known = !name;
    for (size_t i = 0; name && i < sizeof harmless / sizeof *harmless; i++)
        known |= !strcmp(name, harmless[i]);
    return known ? 0
                 : fail(ERR_INPUT,
                        "%s: init_lora_weights = \"%.40s\" may have changed the model's own weights; save "
                        "the adapter "
                        "with path_initial_model_for_weight_conversion, which makes it a plain LoRA",
                        s->path, name);
}

static int check_patterns(const struct source *s, int allowed)
{
    const struct json *j = json_get(s->config, "rank_pattern");
    char text[80];
    return !j || allowed || says_nothing(j)
               ? 0
               : fail(ERR_INPUT, "%s: rank_pattern = %s: layers of different ranks have no counterpart here",
                      s->path, short_text(j, text));
}

static int read_lora(struct peft_adapter *a, const struct source *s)
{
    double alpha;
    int rslora;
    TRY(read_whole(s, "r", &a->r));
    TRY(read_number(s, "lora_alpha", 1e-30, 1e30, &alpha));
    TRY(read_flag(s, "use_rslora", 0, &rslora));
    TRY(read_flag(s, "use_dora", 0, &a->dora));
    TRY(read_dropout(s, "lora_dropout", &a->dropout));
    a->scale = alpha / (rslora ? sqrt((double)a->r) : (double)a->r);
    return check_start(s);
}

/* peft divides by the rank it began with, plus 1e-5, whatever is left of it; alpha 0 stands for the rank. */
static int read_adalora(struct peft_adapter *a, const struct source *s)
{
    double alpha;
    TRY(read_whole(s, "init_r", &a->r));
    TRY(read_number(s, "lora_alpha", 0, 1e30, &alpha));
    TRY(read_dropout(s, "lora_dropout", &a->dropout));
    a->scale = (alpha > 0 ? alpha : (double)a->r) / ((double)a->r + 1e-5);
    return check_start(s);
}

static int read_lycoris(struct peft_adapter *a, const struct source *s)
{
    double alpha;
    TRY(read_whole(s, "r", &a->r));
    TRY(read_number(s, "alpha", 1e-30, 1e30, &alpha));
    a->scale = alpha / (double)a->r;
    return 0;
}

static int read_lokr(struct peft_adapter *a, const struct source *s)
{
    double factor = -1;
    if (json_get(s->config, "decompose_factor"))
        TRY(read_number(s, "decompose_factor", -1, 1 << 20, &factor));
    if (factor != -1)
        return fail(ERR_INPUT, "%s: decompose_factor = %g; factors near the square root, -1, are known here",
                    s->path, factor);
    return read_lycoris(a, s);
}

static int read_vera(struct peft_adapter *a, const struct source *s)
{
    TRY(read_dropout(s, "vera_dropout", &a->dropout));
    return read_whole(s, "r", &a->r);
}

/* Versions before 0.18 did not write theirs. */
static int is_older_than_018(const char *version)
{
    int major, minor;
    return !version || sscanf(version, "%d.%d", &major, &minor) != 2 || (major == 0 && minor < 18);
}

static int read_oft(struct peft_adapter *a, const struct source *s)
{
    int neumann;
    double terms = 5;
    if (!json_get(s->config, "use_cayley_neumann"))
        return fail(
            ERR_INPUT,
            "%s does not say use_cayley_neumann: peft below 0.17 wrote it, and later ones read it as another "
            "rotation; train it anew with peft 0.18 or later",
            s->path);
    TRY(read_flag(s, "use_cayley_neumann", 1, &neumann));
    if (neumann && is_older_than_018(json_string(json_get(s->config, "peft_version"))))
        return fail(
            ERR_INPUT,
            "%s: use_cayley_neumann was another rotation before peft 0.18, and peft_version does not say "
            "0.18 or later; train it anew with one of these",
            s->path);
    TRY(read_flag(s, "block_share", 0, &a->shared));
    if (neumann && json_get(s->config, "num_cayley_neumann_terms"))
        TRY(read_number(s, "num_cayley_neumann_terms", 0, 1000, &terms));
    if (terms != 5)
        return fail(ERR_INPUT, "%s: num_cayley_neumann_terms = %g; rotations of 5 terms are known here",
                    s->path, terms);
    a->exact = !neumann;
    return 0;
}

static int read_nothing(struct peft_adapter *a, const struct source *s)
{
    (void)a;
    (void)s;
    return 0;
}

static int (*const readers[])(struct peft_adapter *, const struct source *) = {
    [PEFT_TYPE_LORA] = read_lora, [PEFT_TYPE_ADALORA] = read_adalora, [PEFT_TYPE_IA3] = read_nothing,
    [PEFT_TYPE_VERA] = read_vera, [PEFT_TYPE_LOHA] = read_lycoris,    [PEFT_TYPE_LOKR] = read_lokr,
    [PEFT_TYPE_OFT] = read_oft,   [PEFT_TYPE_BOFT] = read_nothing,
};

static int read_type(struct peft_adapter *a, const struct source *s)
{
    const char *name = json_string(json_get(s->config, "peft_type"));
    for (int i = 0; name && i < PEFT_TYPE_COUNT; i++)
        if (!strcmp(peft_types[i].name, name)) {
            a->type = (enum peft_type_id)i;
            return 0;
        }
#define X(id, first, count) " " #id
    return fail(ERR_INPUT, "%s: peft_type is %.40s; read are" PEFT_TYPES(X), s->path,
                name ? name : "not there");
#undef X
}

int peft_config_read(struct peft_adapter *a, const struct json *config, const char *path)
{
    const struct source s = {config, path};
    if (!json_is_object(config))
        return fail(ERR_INPUT, "%s is no JSON object", path);
    TRY(read_type(a, &s));
    TRY(check_keys(a, config, path));
    TRY(check_patterns(&s, a->type == PEFT_TYPE_ADALORA));
    return readers[a->type](a, &s);
}

/* --- its layers against the tensors' */

static int ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end) && (n == m || name[n - m - 1] == '.');
}

/* Each name of a list stands for a layer that has tensors, and each such layer is in the list. A text is a regular
 * expression of Python's, which only Python can read; there the tensors alone say what was adapted. */
int peft_config_check_layers(const struct peft_adapter *a, const struct json *config, const char *path)
{
    const struct json *targets = json_get(config, "target_modules");
    uint32_t named = 0;
    char layer[PEFT_NAME];
    if (!json_is_array(targets))
        return 0;
    for (const struct json *j = json_first(targets); j; j = json_next(j)) {
        int found = 0;
        for (int p = 0; p < PEFT_PLACE_COUNT; p++)
            for (int32_t b = 0; a->places >> p & 1 && json_string(j) && b < a->vit->shape.depth; b++)
                if (ends_with(peft_layer_name(a, b, (enum peft_place)p, layer), json_string(j))) {
                    named |= 1u << p;
                    found = 1;
                }
        if (!found)
            return fail(ERR_INPUT, "%s: target_modules names %.60s, of which there are no tensors", path,
                        json_string(j) ? json_string(j) : "something that is no text");
    }
    for (int p = 0; p < PEFT_PLACE_COUNT; p++)
        if (a->places >> p & 1 && !(named >> p & 1))
            return fail(ERR_INPUT, "%s: target_modules does not name %s, of which there are tensors", path,
                        peft_layer_name(a, 0, (enum peft_place)p, layer));
    return 0;
}

/* --- out */

static int write_update(const struct peft_adapter *a, struct json *j, const char *alpha)
{
    TRY(json_set_integer(j, "r", a->r));
    return json_set_number(j, alpha, a->scale * (double)a->r);
}

static int write_lora(const struct peft_adapter *a, struct json *j)
{
    TRY(write_update(a, j, "lora_alpha"));
    TRY(json_set_number(j, "lora_dropout", a->dropout));
    TRY(json_set_bool(j, "use_rslora", 0));
    TRY(json_set_bool(j, "use_dora", a->dora));
    TRY(json_set_string(j, "bias", "none"));
    return json_set_bool(j, "fan_in_fan_out", 0);
}

/* A schedule is needed to be read, and not used. */
static int write_adalora(const struct peft_adapter *a, struct json *j)
{
    TRY(json_set_integer(j, "init_r", a->r));
    TRY(json_set_integer(j, "target_r", a->r));
    TRY(json_set_number(j, "lora_alpha", a->scale * ((double)a->r + 1e-5)));
    TRY(json_set_number(j, "lora_dropout", a->dropout));
    return json_set_integer(j, "total_step", 1);
}

static int write_ia3(const struct peft_adapter *a, struct json *j)
{
    char pattern[512];
    TRY(json_set_string(j, "feedforward_modules", peft_pattern(a, PEFT_BIT(FC2), pattern, sizeof pattern)));
    return json_set_bool(j, "fan_in_fan_out", 0);
}

static int write_vera(const struct peft_adapter *a, struct json *j)
{
    TRY(json_set_integer(j, "r", a->r));
    TRY(json_set_number(j, "vera_dropout", a->dropout));
    TRY(json_set_string(j, "bias", "none"));
    return json_set_bool(j, "save_projection", 1);
}

static int write_loha(const struct peft_adapter *a, struct json *j)
{
    return write_update(a, j, "alpha");
}

static int write_lokr(const struct peft_adapter *a, struct json *j)
{
    TRY(write_update(a, j, "alpha"));
    return json_set_integer(j, "decompose_factor", -1);
}

static int write_oft(const struct peft_adapter *a, struct json *j)
{
    TRY(json_set_integer(j, "r", 0));
    TRY(json_set_integer(j, "oft_block_size", a->block));
    TRY(json_set_bool(j, "use_cayley_neumann", !a->exact));
    TRY(json_set_integer(j, "num_cayley_neumann_terms", 5));
    TRY(json_set_string(j, "peft_version",
                        "0.18.0")); /* the first with this rotation; peft warns of older ones */
    return json_set_string(j, "bias", "none");
}

static int write_boft(const struct peft_adapter *a, struct json *j)
{
    TRY(json_set_integer(j, "boft_block_size", a->block));
    TRY(json_set_integer(j, "boft_block_num", 0));
    TRY(json_set_integer(j, "boft_n_butterfly_factor", a->factors));
    return json_set_string(j, "bias", "none");
}

static int (*const writers[])(const struct peft_adapter *, struct json *) = {
    [PEFT_TYPE_LORA] = write_lora, [PEFT_TYPE_ADALORA] = write_adalora, [PEFT_TYPE_IA3] = write_ia3,
    [PEFT_TYPE_VERA] = write_vera, [PEFT_TYPE_LOHA] = write_loha,       [PEFT_TYPE_LOKR] = write_lokr,
    [PEFT_TYPE_OFT] = write_oft,   [PEFT_TYPE_BOFT] = write_boft,
};

static int describe(const struct peft_adapter *a, const char *base, struct json *j)
{
    char pattern[512];
    struct json *saved = json_array();
    TRY(json_take(j, "modules_to_save", saved));
    TRY(json_append_string(saved, peft_head_name(a->names)));
    TRY(json_set_string(j, "peft_type", peft_types[a->type].name));
    TRY(json_set_string(j, "target_modules", peft_pattern(a, a->places, pattern, sizeof pattern)));
    TRY(json_set_bool(j, "inference_mode", 1));
    if (base)
        TRY(json_set_string(j, "base_model_name_or_path", base));
    return writers[a->type](a, j);
}

int peft_config_write(const struct peft_adapter *a, const char *base, const char *path)
{
    struct json *j = json_object();
    int rc = j ? describe(a, base, j) : ERR_MEMORY;
    if (rc == 0)
        rc = json_write_file(j, path);
    json_destroy(j);
    return rc;
}

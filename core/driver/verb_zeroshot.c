/* verb_zeroshot.c - `vitro zeroshot`: a head from the names of classes, by CLIP's text tower. */
#include "clock.h"
#include "driver.h"
#include "hash.h"
#include "lines.h"
#include "machine.h"
#include "memory.h"
#include "model_source.h"
#include "opening.h"
#include "progress.h"
#include "table.h"
#include "trial.h"
#include "zero_shot.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What Radford et al. 2021 (section 3.1.4) found a good default. */
static const char default_template[] = "a photo of a {}.";

static const struct column card[] = {{"model", "model", FORM_TEXT},
                                     {"classes", "classes", FORM_WHOLE},
                                     {"templates", "templates", FORM_WHOLE},
                                     {"prompt", "first prompt", FORM_TEXT},
                                     {"text_seconds", "text tower", FORM_SECONDS},
                                     {"saved", "head written to", FORM_TEXT},
                                     {"task", "task", FORM_TEXT},
                                     {"split", "evaluated on", FORM_TEXT},
                                     {"images", "images", FORM_WHOLE},
                                     {"accuracy", "zero-shot accuracy", FORM_PERCENT},
                                     {"images_a_second", "images/s", FORM_TENTHS},
                                     {0}};

struct work {
    const struct settings *s;
    struct machine machine;
    struct trial trial;
    struct pack *pack;
    struct tokenizer *tokenizer;
    struct text_tower *tower;
    struct lines classes, templates;
    struct head_file head;
    double text_seconds;
};

/* Names as people write them: a folder's "traffic_light" is a traffic light. */
static int names_of_pack(struct work *w)
{
    const struct pack_info *info = pack_info(w->pack);
    for (int i = 0; i < info->class_count; i++)
        TRY(lines_add(&w->classes, info->class_names[i]));
    for (size_t i = 0; i < w->classes.count; i++)
        for (char *c = w->classes.line[i]; *c; c++)
            *c = *c == '_' ? ' ' : *c;
    return 0;
}

static int open_texts(struct work *w)
{
    const struct settings *s = w->s;
    TRY(s->classes ? lines_read(&w->classes, s->classes) : names_of_pack(w));
    TRY(s->templates ? lines_read(&w->templates, s->templates) : lines_add(&w->templates, default_template));
    if (w->pack && w->classes.count != (size_t)pack_info(w->pack)->class_count)
        return fail(ERR_INPUT,
                    "%s names %zu classes, the data has %d; one name a line in the data's order is needed",
                    s->classes, w->classes.count, pack_info(w->pack)->class_count);
    return 0;
}

/* The vocabulary lies beside the weights unless --tokenizer says where. */
static int open_tokenizer(struct work *w)
{
    const struct settings *s = w->s;
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", s->model);
    struct stat about;
    char *slash = strrchr(folder, '/');
    if (stat(folder, &about) < 0 || !S_ISDIR(about.st_mode))
        snprintf(slash ? slash : folder, 2, "%s", slash ? "" : ".");
    int rc = tokenizer_open(&w->tokenizer, s->tokenizer ? s->tokenizer : folder);
    return rc < 0 && !s->tokenizer
               ? fail_in(rc, "--tokenizer FILE says where CLIP's vocabulary is; by default")
               : rc;
}

/* The image tower, for its shape: both towers have the same activation and end in the same space. */
static int open_towers(struct work *w)
{
    struct vit *image = NULL;
    const struct vit_import want = {.classes = 1, .heads = w->s->heads, .activation = w->s->act};
    TRY(vit_load(&image, w->s->model, &want));
    int rc = text_tower_load(&w->tower, w->s->model, vit_has(&image->shape, VIT_QUICK_GELU));
    if (rc == 0 && vit_features(&image->shape) != w->tower->shape.projection)
        rc = fail(ERR_INPUT, "%s: images are mapped to %d numbers, texts to %d: they share no space",
                  w->s->model, vit_features(&image->shape), w->tower->shape.projection);
    vit_destroy(image);
    return rc;
}

static int report(void *context, size_t done, size_t count)
{
    (void)count;
    progress_show(context, (double)done, "");
    return stop_wanted();
}

static int make_head(struct work *w)
{
    struct head_file *h = &w->head;
    const size_t prompts = w->classes.count * w->templates.count;
    h->classes = (int32_t)w->classes.count;
    h->width = w->tower->shape.projection;
    h->unit_features = 1;
    h->weight = mem_alloc((size_t)h->classes * (size_t)h->width, sizeof *h->weight);
    h->bias = mem_alloc((size_t)h->classes, sizeof *h->bias);
    if (!h->weight || !h->bias)
        return ERR_MEMORY;
    struct progress bar;
    progress_begin(&bar, "prompts", "prompts", (double)prompts);
    const double start = clock_seconds();
    const struct zero_shot z = {.tower = w->tower,
                                .tokenizer = w->tokenizer,
                                .engine = w->machine.engine,
                                .classes = (const char *const *)w->classes.line,
                                .templates = (const char *const *)w->templates.line,
                                .class_count = w->classes.count,
                                .template_count = w->templates.count,
                                .report = report,
                                .context = &bar};
    int rc = zero_shot_head(&z, h->weight);
    w->text_seconds = clock_seconds() - start;
    progress_end(&bar);
    return rc;
}

/* Fingerprint of the head without a file of it: what it was made of. */
static int name_head(struct work *w, const char *model_hash)
{
    struct head_file *h = &w->head;
    h->names = json_array();
    h->about = json_object();
    for (size_t i = 0; i < w->classes.count; i++)
        TRY(json_append_string(h->names, w->classes.line[i]));
    struct json *templates = json_set_array(h->about, "templates");
    for (size_t i = 0; i < w->templates.count; i++)
        TRY(json_append_string(templates, w->templates.line[i]));
    TRY(json_set_string(h->about, "model_sha256", model_hash));
    return hash_bytes(h->weight, (size_t)h->classes * (size_t)h->width * sizeof *h->weight, h->hash);
}

static int evaluate(struct work *w, struct json *document)
{
    const struct settings *s = w->s;
    struct trial *t = &w->trial;
    const struct pack_info *info = pack_info(w->pack);
    struct accuracy a;
    t->pack = w->pack;
    TRY(trial_method(t, &w->machine, s, "linear"));
    TRY(open_model_with(&t->vit, s, info->size, &w->head));
    TRY(method_declare(t->method, t->vit));
    TRY(trial_session(t, s, info->mean, info->deviation));
    if (s->final) {
        struct json *what = json_object();
        int rc = json_set_string(what, "model_sha256", t->vit->source_hash);
        if (rc == 0)
            rc = opening_record(t, s, what);
        json_destroy(what);
        TRY(rc);
    } else {
        TRY(pack_seal(w->pack));
    }
    TRY(trial_evaluate(t, s, s->final ? PACK_TEST : PACK_VAL, &a));
    TRY(json_set_string(document, "task", info->task));
    TRY(json_set_string(document, "fingerprint", info->fingerprint));
    TRY(json_set_string(document, "split", s->final ? "test" : "val"));
    TRY(json_set_integer(document, "images", a.images));
    TRY(json_set_integer(document, "right", a.right));
    TRY(json_set_number(document, "accuracy", a.share));
    return json_set_number(document, "images_a_second", a.seconds > 0 ? a.images / a.seconds : 0);
}

static int describe(const struct work *w, struct json *document)
{
    char prompt[128];
    const char *template = w->templates.line[0], *hole = strstr(template, "{}");
    snprintf(prompt, sizeof prompt, "%.*s%s%s", (int)(hole - template), template, w->classes.line[0],
             hole + 2);
    TRY(json_set_string(document, "model", w->s->model));
    TRY(json_set_integer(document, "classes", (int64_t)w->classes.count));
    TRY(json_set_integer(document, "templates", (int64_t)w->templates.count));
    TRY(json_set_string(document, "prompt", prompt));
    TRY(json_set_number(document, "text_seconds", w->text_seconds));
    return w->s->save ? json_set_string(document, "saved", w->s->save) : 0;
}

static int check(const struct settings *s)
{
    if (!s->model || !strcmp(s->model, bundled_name))
        return fail(ERR_USAGE,
                    "zeroshot: --model FILE is needed, a CLIP with both its towers; the bundled model has no "
                    "text tower");
    if (!s->data && !s->save)
        return fail(ERR_USAGE,
                    "zeroshot: --data DATA evaluates a head, --save FILE keeps it; at least one is needed");
    if (!s->data && !s->classes)
        return fail(ERR_USAGE, "zeroshot: without --data, --classes FILE must name the classes");
    return 0;
}

static int work(struct work *w, struct json *document)
{
    const struct settings *s = w->s;
    char model_hash[HASH_TEXT];
    if (s->data)
        TRY(trial_pack(&w->pack, s));
    TRY(open_texts(w));
    TRY(open_tokenizer(w));
    TRY(open_towers(w));
    TRY(machine_open(&w->machine, s));
    TRY(make_head(w));
    TRY(hash_file(s->model, model_hash));
    TRY(name_head(w, model_hash));
    if (s->save)
        TRY(head_file_write(&w->head, s->save));
    if (s->save) /* evaluated as it will be when the file is given to --head */
        TRY(hash_file(s->save, w->head.hash));
    TRY(describe(w, document));
    if (s->data)
        TRY(evaluate(w, document));
    return machine_check(&w->machine);
}

static int run(const struct settings *s)
{
    struct work w = {.s = s};
    struct json *document = json_object();
    stop_watch();
    int rc = check(s);
    if (rc == 0)
        rc = work(&w, document);
    if (rc == 0 && s->json)
        rc = json_print(document);
    else if (rc == 0)
        table_print_card(document, card);
    trial_finish(&w.trial);
    head_file_close(&w.head);
    text_tower_destroy(w.tower);
    tokenizer_close(w.tokenizer);
    lines_free(&w.classes);
    lines_free(&w.templates);
    pack_close(w.pack);
    machine_close(&w.machine);
    json_destroy(document);
    return rc;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"classes", 0, ARGUMENT_TEXT, FIELD(classes), 0, 0, NULL, "FILE",
     "names of the classes, one a line in the data's order; else the data's own names"},
    {"templates", 't', ARGUMENT_TEXT, FIELD(templates), 0, 0, NULL, "FILE",
     "prompts, one a line, with {} where the class goes; a class is the mean of all. Else \"a photo of a "
     "{}.\""},
    {"tokenizer", 0, ARGUMENT_TEXT, FIELD(tokenizer), 0, 0, NULL, "FILE",
     "CLIP's vocabulary: bpe_simple_vocab_16e6.txt.gz, merges.txt or tokenizer.json, or a folder with one; "
     "else it "
     "is looked for beside the model"},
    {"save", 'o', ARGUMENT_TEXT, FIELD(save), 0, 0, NULL, "FILE",
     "write the head, which --head of other verbs puts on the same model"},
    {"batch", 0, ARGUMENT_WHOLE, FIELD(recipe.batch), 1, 4096, NULL, "N", "images a step"},
    {0}};
static const struct argument_group group = {"Zero-shot", rows};
static const struct argument_group *const groups[] = {&group,       &group_opening, &group_data,
                                                      &group_model, &group_machine, &group_plugins,
                                                      &group_json,  &group_general, NULL};
const struct verb verb_zeroshot = {
    .name = "zeroshot",
    .summary = "classify by the names of classes alone (CLIP)",
    .synopsis = "--model CLIP [--data DATA] [--classes FILE] [--templates FILE] [--save HEAD]",
    .about =
        "Makes a classifier's head from names of classes, with the text tower of a CLIP (OpenAI, open_clip "
        "or "
        "Hugging Face names): each name in each template is a prompt, and a class's weights are the mean "
        "direction of its prompts. With --data it counts on how many images of val, or with --final of test, "
        "that head is right. The head can be trained further: give the file to --head of `vitro train`.",
    .examples =
        {"vitro zeroshot --model clip/model.safetensors --data pets.pack --normalise clip",
         "vitro zeroshot --model clip.safetensors --classes names.txt --templates prompts.txt --save "
         "head.safetensors",
         "vitro train --model clip.safetensors --head head.safetensors --data pets.pack --method lora"},
    .groups = groups,
    .run = run,
};

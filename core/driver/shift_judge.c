/* shift_judge.c - see shift_judge.h. */
#include "shift_judge.h"

#include "memory.h"
#include "progress.h"
#include "safetensors.h"
#include "stats.h"
#include "trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static enum way_head head_of(const struct judging *j, const struct subject *subject)
{
    return j->head == WAY_PROBE && !subject->probe ? WAY_TUNED : j->head;
}

static int put_spec(struct json *spec, const struct judging *j, const struct subject *subject)
{
    char digest[HASH_TEXT], number[24];
    struct json *sets = json_array(), *alphas = json_array();
    const int wise = j->kind == SHIFT_WISE;
    int rc = json_take(spec, "sets", sets);
    TRY(json_take(spec, "alphas", alphas));
    TRY(rc);
    TRY(json_set_string(spec, "schema", "vitro.shift_spec/1"));
    TRY(json_set_string(spec, "kind", shift_kinds[j->kind]));
    TRY(hash_file(subject->file, digest));
    TRY(json_set_string(spec, "method_sha256", digest));
    TRY(json_set_string(spec, "refit", subject->refit));
    TRY(json_set_string(spec, "split", j->sets->split == PACK_TEST ? "test" : "val"));
    TRY(json_set_string(spec, "head", wise ? way_heads[head_of(j, subject)] : ""));
    digest[0] = 0;
    if (wise && head_of(j, subject) == WAY_PROBE)
        TRY(hash_file(subject->probe, digest));
    TRY(json_set_string(spec, "probe_sha256", digest));
    snprintf(number, sizeof number, "%llu", (unsigned long long)j->sets->seed);
    TRY(json_set_string(spec, "corruption_seed", number));
    for (uint32_t k = 0; k < j->sets->count; k++) {
        struct json *set = json_object();
        TRY(json_append_take(sets, set));
        TRY(json_set_string(set, "name", j->sets->sets[k].name));
        TRY(json_set_string(set, "fingerprint", j->sets->sets[k].fingerprint));
    }
    for (uint32_t a = 0; wise && a < j->alpha_count; a++)
        TRY(json_append_number(alphas, (double)a / (j->alpha_count - 1)));
    return 0;
}

int shift_spec(struct json **out, const struct judging *j, const struct subject *subject)
{
    *out = json_object();
    int rc = put_spec(*out, j, subject);
    if (rc < 0) {
        json_destroy(*out);
        *out = NULL;
    }
    return rc;
}

/* --- the plain backbone's answers, kept */

static const size_t anchors_most = (size_t)256 << 20; /* bytes */

void anchors_finish(struct anchors *a)
{
    for (uint32_t k = 0; k < a->count; k++)
        mem_free(a->logits[k]);
    mem_free(a->logits);
    *a = (struct anchors){0};
}

/* Makes them those of this probe's head. */
static int anchors_begin(struct anchors *a, const char *probe, uint32_t sets)
{
    char digest[HASH_TEXT];
    TRY(hash_file(probe, digest));
    if (strcmp(a->probe, digest) == 0 && a->count == sets)
        return 0;
    anchors_finish(a);
    a->logits = mem_alloc(sets, sizeof *a->logits);
    if (!a->logits)
        return ERR_MEMORY;
    a->count = sets;
    memcpy(a->probe, digest, sizeof digest);
    return 0;
}

static int anchors_keep(struct anchors *a, uint32_t set, const float *logits, size_t count)
{
    const size_t bytes = count * sizeof *logits;
    if (a->held + bytes > anchors_most)
        return 0;
    a->logits[set] = mem_alloc(count, sizeof *logits);
    if (!a->logits[set])
        return ERR_MEMORY;
    memcpy(a->logits[set], logits, bytes);
    a->held += bytes;
    return 0;
}

/* --- one method, open */

struct bench {
    const struct judging *j;
    const struct subject *subject;
    struct method_file file;
    struct trial trial;
    struct method *plain;
    struct way *way; /* WISE */
    float *weight, *bias;
    float *ends[2], *logits; /* [most images][classes]: of alpha 0 and 1, and in between */
    float *clean[2];         /* WISE: both ends on the clean images, to be found again by weights */
    double *share;           /* [classes] twice */
    int32_t classes;
    struct settings with;
};

static int read_probe(struct bench *b)
{
    struct method_file f = {0};
    const int32_t dim = b->trial.vit->shape.dim;
    TRY(method_file_open(&f, b->subject->probe));
    const size_t count = (size_t)b->classes * (size_t)dim;
    b->weight = mem_alloc(count, sizeof *b->weight);
    b->bias = mem_alloc((size_t)b->classes, sizeof *b->bias);
    int rc = b->weight && b->bias ? 0 : ERR_MEMORY;
    if (rc == 0 && (strcmp(f.model_sha256, b->file.model_sha256) != 0 ||
                    strcmp(f.fingerprint, b->file.fingerprint) != 0))
        rc = fail(ERR_INPUT, "the probe %s was trained on other weights or data than %s", b->subject->probe,
                  b->subject->file);
    if (rc == 0)
        rc = safetensors_need(f.file, "head.weight", SAFETENSORS_F32, count, b->weight);
    if (rc == 0)
        rc = safetensors_need(f.file, "head.bias", SAFETENSORS_F32, (size_t)b->classes, b->bias);
    method_file_close(&f);
    return rc;
}

static int open_way(struct bench *b)
{
    const struct pack_info *info = pack_info(b->j->sets->pack);
    struct trial *t = &b->trial;
    struct way_spec spec = {.engine = t->machine->engine,
                            .method = t->method,
                            .vit = t->vit,
                            .tuned = t->session,
                            .seed = b->with.recipe.seed,
                            .head = head_of(b->j, b->subject)};
    if (spec.head == WAY_PROBE) {
        TRY(read_probe(b));
        if (b->j->anchors)
            TRY(anchors_begin(b->j->anchors, b->subject->probe, b->j->sets->count));
    }
    spec.weight = b->weight;
    spec.bias = b->bias;
    for (int i = 0; i < 3; i++) {
        spec.mean[i] = (float)info->mean[i];
        spec.std[i] = (float)info->deviation[i];
    }
    TRY(method_create(&b->plain, t->machine->plugins, "linear"));
    TRY(method_declare(b->plain, t->vit));
    spec.plain = b->plain;
    return way_create(&b->way, &spec);
}

static int open_bench(struct bench *b)
{
    const struct shift_sets *sets = b->j->sets;
    const struct pack_info *info = pack_info(sets->pack);
    uint32_t most = 0;
    b->with = b->subject->with;
    b->with.load = b->subject->file;
    TRY(method_file_open(&b->file, b->subject->file));
    method_file_settings(&b->file, &b->with);
    TRY(trial_method(&b->trial, b->j->machine, &b->with, b->file.method));
    b->trial.pack = sets->pack;
    TRY(method_file_check_data(&b->file, &b->with, info));
    TRY(trial_model(&b->trial, &b->with, info->size, info->class_count));
    TRY(method_file_check_model(&b->file, &b->with, b->trial.vit));
    TRY(trial_session(&b->trial, &b->with, info->mean, info->deviation));
    TRY(session_load(b->trial.session, b->subject->file));
    b->classes = b->trial.vit->shape.classes;
    for (uint32_t k = 0; k < sets->count; k++)
        most = sets->sets[k].count > most ? sets->sets[k].count : most;
    const size_t count = (size_t)most * (size_t)b->classes;
    b->ends[0] = mem_alloc(count, sizeof(float));
    b->ends[1] = mem_alloc(count, sizeof(float));
    b->logits = mem_alloc(count, sizeof(float));
    b->share = mem_alloc(2 * (size_t)b->classes, sizeof(double));
    if (!b->ends[0] || !b->ends[1] || !b->logits || !b->share)
        return ERR_MEMORY;
    if (b->j->kind != SHIFT_WISE)
        return 0;
    b->clean[0] = mem_alloc((size_t)sets->sets[0].count * (size_t)b->classes, sizeof(float));
    b->clean[1] = mem_alloc((size_t)sets->sets[0].count * (size_t)b->classes, sizeof(float));
    return b->clean[0] && b->clean[1] ? open_way(b) : ERR_MEMORY;
}

static void close_bench(struct bench *b)
{
    way_destroy(b->way);
    method_destroy(b->plain);
    trial_finish(&b->trial);
    method_file_close(&b->file);
    mem_free(b->weight);
    mem_free(b->bias);
    mem_free(b->ends[0]);
    mem_free(b->ends[1]);
    mem_free(b->logits);
    mem_free(b->clean[0]);
    mem_free(b->clean[1]);
    mem_free(b->share);
}

/* --- answers */

/* The largest of a row among the classes that may be answered; the first of equals. */
static int32_t likeliest(const float *row, const unsigned char *only, int32_t classes)
{
    int32_t best = -1;
    for (int32_t c = 0; c < classes; c++)
        if ((!only || only[c]) && (best < 0 || row[c] > row[best]))
            best = c;
    return best;
}

static void answer(const struct bench *b, const struct judged_set *set, const float *logits, int32_t *out)
{
    for (uint32_t i = 0; i < set->count; i++)
        out[i] = likeliest(logits + (size_t)i * (size_t)b->classes, set->only, b->classes);
}

/* The control: probabilities of backbone and trained model, mixed. */
static void mix(const struct bench *b, const struct judged_set *set, double alpha, int32_t *out)
{
    double *backbone = b->share, *tuned = b->share + b->classes;
    for (uint32_t i = 0; i < set->count; i++) {
        const size_t row = (size_t)i * (size_t)b->classes;
        stats_softmax(b->ends[0] + row, b->classes, 1, backbone);
        stats_softmax(b->ends[1] + row, b->classes, 1, tuned);
        for (int32_t c = 0; c < b->classes; c++)
            b->logits[c] = (float)((1 - alpha) * backbone[c] + alpha * tuned[c]);
        out[i] = likeliest(b->logits, set->only, b->classes);
    }
}

static double farthest(const float *a, const float *b, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

/* Logits of the plain backbone with alpha 0's head, into ends[0]. */
static int anchor(struct bench *b, uint32_t k, const struct images *images, uint32_t batch)
{
    struct anchors *a = head_of(b->j, b->subject) == WAY_PROBE ? b->j->anchors : NULL;
    const size_t count = (size_t)images->count * (size_t)b->classes;
    if (a && a->logits[k]) {
        memcpy(b->ends[0], a->logits[k], count * sizeof(float));
        return 0;
    }
    TRY(way_anchor(b->way, images, batch, b->ends[0]));
    return a ? anchors_keep(a, k, b->ends[0], count) : 0;
}

/* The ends are the two networks themselves, to the bit; what is in between goes by weights. */
static int judge_wise(struct bench *b, uint32_t k, const struct shift_run *run, int32_t *answers,
                      int32_t *control)
{
    const struct judged_set *set = &b->j->sets->sets[k];
    const struct images images = {.rgb = set->rgb, .count = set->count};
    const uint32_t batch = (uint32_t)b->with.recipe.batch, last = run->alpha_count - 1;
    const size_t bytes = (size_t)set->count * (size_t)b->classes * sizeof(float);
    const int has_way = !way_refusal(b->way);
    TRY(anchor(b, k, &images, batch));
    TRY(has_way && way_by(b->way) == INTERPOLATES_PARAMETERS /* which leads the trained session about */
            ? way_logits(b->way, 1, &images, batch, b->ends[1])
            : session_logits(b->trial.session, &images, batch, b->ends[1], NULL));
    for (int end = 0; end < 2 && set->kind == SET_CLEAN; end++)
        memcpy(b->clean[end], b->ends[end], bytes);
    for (uint32_t a = 0; a <= last; a++) {
        const float *logits = !has_way || a == last ? b->ends[1] : a == 0 ? b->ends[0] : b->logits;
        mix(b, set, run->alphas[a], control + (size_t)a * set->count);
        if (logits == b->logits)
            TRY(way_logits(b->way, (float)run->alphas[a], &images, batch, b->logits));
        answer(b, set, logits, answers + (size_t)a * set->count); /* without a way: as trained, everywhere */
        if (stop_wanted())
            return fail(ERR_STOPPED, "stopped; what was judged before is kept");
    }
    return 0;
}

/* How far the weights at both ends are from the networks that they stand for, once they were led about. */
static int measure_ends(struct bench *b, struct shift_run *out)
{
    const struct judged_set *clean = &b->j->sets->sets[0];
    const struct images images = {.rgb = clean->rgb, .count = clean->count};
    const size_t count = (size_t)clean->count * (size_t)b->classes;
    double *const off[2] = {&out->anchor_off, &out->tuned_off};
    if (!b->way || way_refusal(b->way))
        return 0;
    for (int end = 0; end < 2; end++) {
        TRY(way_logits(b->way, (float)end, &images, (uint32_t)b->with.recipe.batch, b->logits));
        *off[end] = farthest(b->logits, b->clean[end], count);
    }
    return 0;
}

static int judge_set(struct bench *b, struct arena *arena, struct shift_run *out, struct shift_set *to,
                     uint32_t k)
{
    const struct judged_set *set = &b->j->sets->sets[k];
    const size_t all = (size_t)set->count * out->alpha_count;
    int32_t *labels = arena_alloc(arena, set->count, sizeof *labels),
            *answers = arena_alloc(arena, all, sizeof *answers),
            *control = b->way ? arena_alloc(arena, all, sizeof *control) : NULL;
    if (!labels || !answers || (b->way && !control))
        return ERR_MEMORY;
    memcpy(labels, set->labels, set->count * sizeof *labels);
    *to = (struct shift_set){.name = arena_string(arena, set->name),
                             .kind = set->kind,
                             .images = set->count,
                             .labels = labels,
                             .answers = answers,
                             .control = control};
    TRY(shift_sets_pixels(b->j->sets, k));
    if (b->way)
        return judge_wise(b, k, out, answers, control);
    const struct images images = {.rgb = set->rgb, .count = set->count};
    TRY(session_logits(b->trial.session, &images, (uint32_t)b->with.recipe.batch, b->logits, NULL));
    answer(b, set, b->logits, answers);
    return 0;
}

static int describe(struct bench *b, struct arena *arena, struct shift_run *out)
{
    const int wise = b->j->kind == SHIFT_WISE;
    const uint32_t count = wise ? b->j->alpha_count : 1;
    double *alphas = arena_alloc(arena, count, sizeof *alphas);
    struct shift_set *sets = arena_alloc(arena, b->j->sets->count, sizeof *sets);
    if (!alphas || !sets)
        return ERR_MEMORY;
    for (uint32_t a = 0; a < count; a++)
        alphas[a] = wise ? (double)a / (count - 1) : 1;
    const char *why = wise ? way_refusal(b->way) : NULL;
    *out = (struct shift_run){.kind = b->j->kind,
                              .id = "",
                              .method = arena_string(arena, b->subject->name),
                              .split = b->j->sets->split == PACK_TEST ? "test" : "val",
                              .how = !wise                                   ? ""
                                     : why                                   ? "none"
                                     : way_by(b->way) == INTERPOLATES_MERGED ? "merged"
                                                                             : "parameters",
                              .why = arena_string(arena, why ? why : ""),
                              .head = wise ? way_heads[head_of(b->j, b->subject)] : "",
                              .alphas = alphas,
                              .alpha_count = count,
                              .sets = sets,
                              .set_count = b->j->sets->count,
                              .val_is_trained_on = strcmp(b->file.split, "train") != 0,
                              .anchor_off = (double)NAN,
                              .tuned_off = (double)NAN};
    return out->method && out->why ? 0 : ERR_MEMORY;
}

int shift_judge(struct shift_run *out, struct arena *arena, const struct judging *j,
                const struct subject *subject, struct progress *bar)
{
    struct bench b = {.j = j, .subject = subject};
    int rc = open_bench(&b);
    if (rc == 0)
        rc = describe(&b, arena, out);
    for (uint32_t k = 0; rc == 0 && k < j->sets->count; k++) {
        char note[160];
        snprintf(note, sizeof note, "%.60s, %.60s", subject->name, j->sets->sets[k].name);
        progress_show(bar, bar->done + 1, note);
        rc = judge_set(&b, arena, out, (struct shift_set *)(uintptr_t)&out->sets[k], k);
        if (rc == 0 && stop_wanted())
            rc = fail(ERR_STOPPED, "stopped; what was judged before is kept");
    }
    if (rc == 0)
        rc = measure_ends(&b, out);
    close_bench(&b);
    return rc < 0 ? fail_in(rc, "%s", subject->name) : 0;
}

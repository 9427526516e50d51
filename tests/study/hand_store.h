/* hand_store.h - results written by hand, as docs/store.md says they lie: what no trial was trained for. */
#ifndef VITRO_TESTS_STUDY_HAND_STORE_H
#define VITRO_TESTS_STUDY_HAND_STORE_H

#include "hand_study.h"
#include "store.h"

struct hand { /* what came out of a trial */
    enum panel_state state;
    uint32_t right; /* of HAND_VAL or HAND_TEST images */
    float margin;   /* of the logit that answers: right images' loss falls with it, wrong ones' rises */
    double seconds;
};

/* Without fsync, which would take most of the tests' time. */
static inline void hand_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline void hand_text(const char *path, const char *text)
{
    hand_bytes(path, text, strlen(text));
}

static inline int32_t hand_label(uint32_t image)
{
    return (int32_t)(image % HAND_CLASSES);
}

/* A safetensors file of logits and labels, the first `right` answers of which are. Returns its size. */
static inline size_t hand_logits(const char *path, uint32_t images, uint32_t right, float margin)
{
    static unsigned char bytes[4096];
    const size_t logits = images * HAND_CLASSES * sizeof(float), labels = images * sizeof(int32_t);
    char header[512];
    int n = snprintf(header, sizeof header,
                     "{\"logits\":{\"dtype\":\"F32\",\"shape\":[%u,%d],\"data_offsets\":[0,%zu]},"
                     "\"labels\":{\"dtype\":\"I32\",\"shape\":[%u],\"data_offsets\":[%zu,%zu]}}",
                     images, HAND_CLASSES, logits, images, logits, logits + labels);
    while (n % 8)
        header[n++] = ' ';
    memset(bytes, 0, sizeof bytes);
    bytes[0] = (unsigned char)n;
    bytes[1] = (unsigned char)(n >> 8);
    memcpy(bytes + 8, header, (size_t)n);
    for (uint32_t i = 0; i < images; i++) {
        const int32_t label = hand_label(i), answer = i < right ? label : (label + 1) % HAND_CLASSES;
        memcpy(bytes + 8 + n + (i * HAND_CLASSES + (uint32_t)answer) * sizeof(float), &margin, sizeof margin);
        memcpy(bytes + 8 + n + logits + i * sizeof label, &label, sizeof label);
    }
    const size_t size = 8 + (size_t)n + logits + labels;
    hand_bytes(path, bytes, size);
    return size;
}

/* Writes result.json, run.json and the stage's file into `folder`, which is there. */
static inline void hand_fill(const char *folder, const struct json *spec, const char *id, struct hand h)
{
    const char *stage = json_string(json_get(spec, "stage"));
    const int refit = strcmp(stage, "refit") == 0, final = strcmp(stage, "final") == 0;
    const uint32_t images = final ? HAND_TEST : HAND_VAL;
    const char *name = refit ? "method.safetensors" : final ? "test.safetensors" : "val.safetensors";
    char path[STORE_PATH + 32], digest[HASH_TEXT];
    struct json *j = json_object(), *files = json_object(), *run = json_object();
    json_set_string(j, "schema", "vitro.result/1");
    json_set_string(j, "id", id);
    json_take(j, "spec", json_copy(spec));
    json_set_string(j, "outcome", panel_states[h.state]);
    if (h.state != PANEL_DONE)
        json_set_string(j, "reason", "it was made to");
    json_set_integer(j, "parameters", 100);
    json_set_integer(j, "parameters_head", 10);
    if (h.state == PANEL_DONE) {
        struct json *file = json_object();
        snprintf(path, sizeof path, "%s/%s", folder, name);
        size_t size = refit ? 8 : hand_logits(path, images, h.right, h.margin);
        if (refit)
            hand_bytes(path, "\x00\x00\x00\x00\x00\x00\x00\x01", 8);
        must(hash_file(path, digest));
        json_set_string(file, "sha256", digest);
        json_set_integer(file, "bytes", (int64_t)size);
        json_take(files, name, file);
        if (refit) {
            json_set_integer(j, "stored_bytes", 8);
        } else {
            json_set_integer(j, "images", images);
            json_set_integer(j, "right", h.right);
            json_set_number(j, "accuracy", (double)h.right / images);
        }
    }
    json_take(j, "files", files);
    json_set_string(run, "schema", "vitro.run/1");
    json_set_string(run, "id", id);
    json_set_number(run, "seconds", h.seconds);
    json_set_string(run, "device", "a hand");
    char *text = json_text(j, 1);
    snprintf(path, sizeof path, "%s/result.json", folder);
    hand_text(path, text);
    mem_free(text);
    text = json_text(run, 1);
    snprintf(path, sizeof path, "%s/run.json", folder);
    hand_text(path, text);
    mem_free(text);
    json_destroy(j);
    json_destroy(run);
}

/* A result in its place. */
static inline void hand_result(const struct store *s, const struct json *spec, const char *id, struct hand h)
{
    char folder[STORE_PATH];
    must(store_path(s, STORE_RESULT, id, NULL, folder));
    must(file_make_folders(folder));
    hand_fill(folder, spec, id, h);
}

#endif

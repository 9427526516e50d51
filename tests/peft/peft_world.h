/* peft_world.h - the two-block ViT of reference/golden/methods, a method on it with its tensors in memory, and its
 * logits, computed in double by core/ref: what the tests of adapters share. */
#ifndef PEFT_WORLD_H
#define PEFT_WORLD_H

#include "peft.h"
#include "safetensors.h"
#include "tiny.h"
#include "trained.h"

enum { PEFT_CLASSES = 7, PEFT_LOGITS = TINY_BATCH * PEFT_CLASSES };

struct peft_world { /* a method on the model of its own copy */
    struct vit *vit;
    struct plugins *plugins;
    struct method *method;
    struct trained_values values;
};

static inline void golden_model(struct vit **out)
{
    struct safetensors *f = NULL;
    char name[VIT_NAME + 8];
    tiny_must(vit_create(out, &tiny_shape));
    tiny_must(safetensors_open(&f, GOLDEN_FOLDER "/methods/model.safetensors"));
    for (size_t i = 0; i < (*out)->count; i++) {
        const struct vit_tensor *t = &(*out)->tensors[i];
        snprintf(name, sizeof name, "model/%s", t->name);
        tiny_must(safetensors_need(f, name, SAFETENSORS_F32, (size_t)shape_count(t->shape), t->data));
    }
    safetensors_close(f);
}

static inline void open_method(struct peft_world *w, const char *text)
{
    const char *const folders[] = {PLUGIN_FOLDER, NULL};
    tiny_must(plugins_create(&w->plugins, folders));
    tiny_must(method_create(&w->method, w->plugins, text));
    tiny_must(method_declare(w->method, w->vit));
    tiny_must(trained_values_create(&w->values, w->method, TINY_SEED));
}

/* Nothing of what trains is as it began; AdaLoRA has given up every third direction. */
static inline void randomise_values(struct peft_world *w)
{
    for (size_t i = 0; i < w->values.count; i++) {
        const struct tensor *t = &w->values.tensors[i];
        const int64_t count = shape_count(t->shape);
        const char *name = strrchr(t->name, '/');
        const int pissa = name && name[1] && name[2] == '0' && t->kept;
        for (int64_t k = 0; t->kept && !strcmp(name, "/kept") && k < count; k += 3)
            w->values.values[i][k] = 0;
        if (t->kind != LEAF_TRAINABLE && !pissa)
            continue;
        double *x = mem_alloc((size_t)count, sizeof *x);
        assert_non_null(x);
        tiny_randomise(t, x);
        for (int64_t k = 0; k < count; k++)
            w->values.values[i][k] = (float)x[k];
        mem_free(x);
    }
}

static inline void close_world(struct peft_world *w)
{
    trained_values_destroy(&w->values);
    method_destroy(w->method);
    plugins_destroy(w->plugins);
    vit_destroy(w->vit);
    *w = (struct peft_world){0};
}

/* Of the golden images, in evaluation mode. */
static inline void logits_of(struct peft_world *w, double out[PEFT_LOGITS])
{
    struct safetensors *f = NULL;
    unsigned char bytes[TINY_BATCH * 32 * 32 * 3];
    struct method_trace *trace = NULL;
    struct ref *r = NULL;
    struct tape *tape = tape_create();
    assert_non_null(tape);
    struct method_step step = {.tape = tape,
                               .images =
                                   tape_leaf(tape, LEAF_IMAGES, SHAPE(TINY_BATCH, 32, 32, 3), 0, "images"),
                               .index = tape_leaf(tape, LEAF_INPUT, SHAPE(TINY_BATCH), 0, "index")};
    for (int c = 0; c < 3; c++)
        step.mean[c] = step.std[c] = 0.5f;
    tiny_must(method_trace(&trace, w->method, &step));
    tiny_must(ref_create(&r, tape, &trace->logits, 1));
    tiny_must(safetensors_open(&f, GOLDEN_FOLDER "/methods/model.safetensors"));
    tiny_must(safetensors_need(f, "images", SAFETENSORS_U8, sizeof bytes, bytes));
    for (size_t i = 0; i < sizeof bytes; i++)
        ref_leaf(r, step.images)[i] = bytes[i];
    for (int i = 0; i < TINY_BATCH; i++)
        ref_leaf(r, step.index)[i] = i;
    for (size_t i = 0; i < trace->count; i++) {
        double *leaf = ref_leaf(r, trace->leaves[i]);
        for (int64_t k = 0; leaf && k < shape_count(w->values.tensors[i].shape); k++)
            leaf[k] = (double)w->values.values[i][k];
    }
    tiny_must(ref_run(r));
    memcpy(out, ref_value(r, trace->logits), PEFT_LOGITS * sizeof *out);
    safetensors_close(f);
    ref_destroy(r);
    method_trace_destroy(trace);
    tape_destroy(tape);
}

static inline double largest_difference(const double *a, const double *b)
{
    double most = 0;
    for (int i = 0; i < PEFT_LOGITS; i++)
        most = fmax(most, fabs(a[i] - b[i]));
    return most;
}

/* Methods to be written as adapters; which names can say them. */
enum { SAYS_FUSED = 1, SAYS_APART = 2, SAYS_BOTH = 3 };
static const struct sample {
    const char *key, *text;
    int says;
} samples[] = {
    {"lora", "lora[r=4,alpha=6]", SAYS_BOTH},
    {"lora_all", "lora[r=3,alpha=5,rslora=true,targets=all]", SAYS_BOTH},
    {"lora_qv", "lora[r=3,targets=qv]", SAYS_BOTH},
    {"lora_apart", "lora[r=2,alpha=5,targets=q_k_v]", SAYS_BOTH},
    {"lora_stack", "lora[r=2,alpha=6,targets=qv]+lora[r=3,alpha=2,targets=fc2]", SAYS_BOTH},
    {"pissa", "pissa[r=3,alpha=4,targets=attention]", SAYS_BOTH},
    {"dora", "dora[r=4,alpha=6]", SAYS_BOTH},
    {"adalora", "adalora[r=5,target_r=3,alpha=7]", SAYS_BOTH},
    {"ia3", "ia3", SAYS_BOTH},
    {"vera", "vera[r=10]", SAYS_BOTH},
    {"loha", "loha[r=3,alpha=4]", SAYS_BOTH},
    {"loha_qv", "loha[r=3,target=qv]", SAYS_BOTH},
    {"loha_apart", "loha[r=2,target=q_k_v]", SAYS_BOTH},
    {"lokr", "lokr[r=3,alpha=5]", SAYS_FUSED},
    {"lokr_whole", "lokr[r=6,alpha=3]", SAYS_FUSED},
    {"lokr_qv", "lokr[r=2,alpha=3,target=qv]", SAYS_APART},
    {"lokr_apart", "lokr[r=2,target=q_k_v]", SAYS_APART},
    {"oft", "oft[block=8]", SAYS_BOTH},
    {"oft_exact", "oft[block=6,cayley=exact]", SAYS_BOTH},
    {"boft", "boft[block=4,factors=2]", SAYS_BOTH},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

/* The sample's method with random tensors. */
static inline void open_sample(struct peft_world *w, const struct sample *s)
{
    *w = (struct peft_world){0};
    golden_model(&w->vit);
    open_method(w, s->text);
    randomise_values(w);
}

#endif

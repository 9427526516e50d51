/* lab.h - a small network under a method stack, recorded with its loss and gradients on one tape and
 * computed by core/ref: where a plugin is made to work. */
#ifndef VITRO_LINT_LAB_H
#define VITRO_LINT_LAB_H

#include "host.h"
#include "lint_private.h"
#include "ref.h"

enum { LAB_BATCH = 3, LAB_IMAGES = 4, LAB_TEXT = 6 * 1024, LAB_LOGITS = 64 };

/* The shape on which a method is judged: the first that its declare accepts at these options. */
int lab_shape(struct subject *s, const char *text, struct vit_shape *out);
extern const struct vit_shape lab_shapes[];
enum { LAB_SHAPES = 4 };

struct pads; /* where instances live: apart from all else, with room around them */

struct lab { /* a zeroed one is closed */
    struct pads *pads;
    struct vit *vit;
    struct method *method;
    const struct tensor *tensors;
    size_t tensor_count;
    struct tape *tape;
    struct method_trace *trace;
    value images, index, labels, loss;
    size_t count; /* of the trainable tensors */
    size_t *ids;
    value *wrt, *grads;
};

/* A declared stack on a backbone of that shape, whose contents nobody has to look at. */
int lab_declare(struct lab *l, struct subject *s, const char *text, const struct vit_shape *shape);
/* The same on a backbone with random weights. */
int lab_open(struct lab *l, struct subject *s, const char *text, const struct vit_shape *shape);
/* lab_declare with memory of the caller's instead of pads. */
int lab_declare_in(struct lab *l, struct subject *s, const char *text, const struct vit_shape *shape,
                   const struct method_memory *memory);
void lab_close(struct lab *l);

struct lab_run {   /* how to record */
    int32_t batch; /* 0: LAB_BATCH */
    int training, derive;
    float drop_path;
    long fail_after; /* the operation after so many more fails; 0: none does */
};
/* The forward; with training the loss and its gradients too. What was recorded before is given up. */
int lab_record(struct lab *l, const struct lab_run *run);
/* The mean cross-entropy of the batch plus penalties, on the lab's tape. */
value lab_loss(struct lab *l);
/* The text of a stack with this plugin: lab_text(s, out, "vpt[prompts=3]+", "r=4", "") */
char *lab_text(const struct subject *s, char out[LAB_TEXT], const char *before, const char *options,
               const char *behind);

/* Logits of the network without hooks on the lab's tape, the backbone's tensors being `tensors` (NULL: their
 * leaves). */
value lab_plain(const struct lab *l, const value *tensors);

/* Folds the methods in, if they can be; for what it is worth, the values are dropped. */
int lab_try_merge(struct lab *l);

/* A backbone whose every number matters: vit_random's has zeros for biases and nearly so for branches. */
void lab_ripen(struct vit *vit, uint64_t seed);

/* Contents of leaves. TUNED: as if trained, nothing at its neutral value. */
enum lab_fill { LAB_INITIAL, LAB_TUNED };
/* Tensor `id` as float32 numbers. */
int lab_tensor(const struct lab *l, size_t id, enum lab_fill fill, uint64_t seed, float *out);
/* Every leaf that `r` computes with. The batch's images are the first of four, backwards. */
int lab_fill(const struct lab *l, struct ref *r, enum lab_fill fill, uint64_t seed);
/* The same with the tensors' contents from `data`, one array per tensor. */
int lab_fill_from(const struct lab *l, struct ref *r, float *const *data, uint64_t seed);
/* An interpreter of these roots on the lab's tape, filled. */
int lab_ref(struct ref **out, const struct lab *l, const value *roots, size_t count, enum lab_fill fill,
            uint64_t seed);

/* The logits that `root` is, as so filled: lab_logit_count numbers, at most LAB_LOGITS. */
int64_t lab_logit_count(const struct lab *l);
int lab_logits(const struct lab *l, value root, enum lab_fill fill, uint64_t seed, double out[LAB_LOGITS]);
/* Room for the contents of a tensor, or NULL; the caller frees it. */
float *lab_floats(const struct lab *l, size_t id);

/* |a - b| over |b|, Euclidean; infinite where something is no number. */
double lab_distance(const double *a, const double *b, int64_t count);
int lab_finite(const double *x, int64_t count);

#endif

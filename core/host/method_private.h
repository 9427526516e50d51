/* method_private.h - instances and their declared parameters, for the files of this folder. */
#ifndef VITRO_HOST_METHOD_PRIVATE_H
#define VITRO_HOST_METHOD_PRIVATE_H

#include "host.h"
#include "memory.h"
#include "place.h"

enum { STACK_LIMIT = 16, WHY_TEXT = 320, INSTANCE_NAME = 40 };

struct param {             /* declared once, one tensor per block unless shared */
    vitro_param_info info; /* name copied */
    int32_t first, count;  /* blocks; shared: -1, 1 */
    size_t tensor;         /* id of the first of its tensors */
};

struct instance {    /* a plugin with options, in a stack */
    vitro_host host; /* first: the plugin's pointer to it leads back here */
    struct method *method;
    const struct plugin *plugin;
    int32_t owner; /* its place in the stack */
    char name[INSTANCE_NAME];
    const char *text; /* canonical, options spelt out */
    void *self;
    int started;             /* init succeeded, so finish is due */
    char *why;               /* WHY_TEXT: the first reason it gave for failing, or "" */
    uint32_t *hooked;        /* [depth + 1] sets of sites; [0] those outside the blocks */
    unsigned char *unfrozen; /* one per tensor of the backbone */
    struct param *params;
    size_t param_count;
    struct training_part *training; /* NULL: it has no vitro.training/1 */
};

struct method {
    struct arena arena;
    struct plugins *plugins;
    const struct method_memory *memory; /* NULL: the host's own */
    struct instance *instances;
    size_t count;
    const char *text;
    const struct vit *vit; /* NULL before method_declare */
    vitro_model model;
    struct tensor *tensors;
    size_t tensor_count;
};

/* {first, count} within 0 .. depth, count 0 reaching the last block; -1 with the reason. */
int instance_blocks(const struct instance *in, vitro_blocks b, int32_t *first, int32_t *count);

/* After declare: asks for vitro/training.h's table and checks it. */
int training_ask(struct instance *in);
/* Frees the memory it computes in; NULL is fine. */
void training_clear(struct training_part *part);

int site_in_block(int32_t site);

/* Remembers the reason unless there is one already. */
void instance_blame(const struct instance *in, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What a callback is to see instead of these bytes; usually they themselves. A pointer back to the struct
 * around them is good in either. */
void *method_lend(const struct method *m, const void *bytes, size_t size);
/* After a callback that returned `rc`: 0, or ERR_PLUGIN with the sentence, which is then forgotten. */
int instance_check(const struct instance *in, int rc, const char *callback);

#endif

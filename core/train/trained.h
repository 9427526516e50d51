/* trained.h - trained tensors in a file, and back: of a session, or in plain memory where no device is needed. */
#ifndef VITRO_TRAIN_TRAINED_H
#define VITRO_TRAIN_TRAINED_H

#include "host.h"

struct trained_place { /* where the tensors of a method's list are */
    void *context;
    int (*read)(void *context, size_t tensor, float *out);
    int (*write)(void *context, size_t tensor, const float *data);
};

/* What training and plugins change, by name; with `fixed` also what plugins declare and nothing changes, where it is
 * other than the seed would give again. Notes: key, value, .., NULL; for the metadata. */
int trained_save(const struct tensor *tensors, size_t count, const struct trained_place *from, int fixed,
                 const char *path, const char *const *notes);
/* The other way. What is missing, extra or misshapen is refused by name; fixed tensors may be there. */
int trained_load(const struct tensor *tensors, size_t count, const struct trained_place *to,
                 const char *path);

/* Every tensor of a declared method in memory, as before the first step: values[i] is tensor i. */
struct trained_values {
    const struct tensor *tensors;
    size_t count;
    float **values;
};
int trained_values_create(struct trained_values *out, const struct method *m, uint64_t seed);
void trained_values_destroy(struct trained_values *v); /* a zeroed one is fine */
struct trained_place trained_values_place(struct trained_values *v);

#endif

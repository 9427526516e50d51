/* model_source.h - the model behind --model. */
#ifndef VITRO_DRIVER_MODEL_SOURCE_H
#define VITRO_DRIVER_MODEL_SOURCE_H

#include "driver.h"
#include "head_file.h"
#include "model.h"

/* The model named by settings.model at that image side and class count (0: as it is); with
 * settings.random the same shape with random weights. The head is settings.head's where that is named; a new one is
 * drawn from the seed. */
int open_model(struct vit **out, const struct settings *s, int size, int classes);
/* The same with that head on it. */
int open_model_with(struct vit **out, const struct settings *s, int size, const struct head_file *head);
/* The same without a new head: a file without one gives a model without one (classes 0). */
int open_model_as_it_is(struct vit **out, const struct settings *s, int size);
/* The image's side that the model was made for. */
int model_size(const struct settings *s, int *size);
/* What settings.model may say, NULL meaning the same. */
extern const char bundled_name[];
/* 0, or the sentence that says how to make the bundled model where the build had none. */
int bundled_missing(void);

#endif

/* data_source.h - the data behind --data. */
#ifndef VITRO_DRIVER_DATA_SOURCE_H
#define VITRO_DRIVER_DATA_SOURCE_H

#include "driver.h"
#include "pack.h"

/* The data named by settings.data: a pack as it is; a folder or archive, prepared at `size` in the cache
 * folder under a name made of its contents; or a built-in task drawn at `size`. All of it corrupted where
 * settings.corrupt says so. */
int open_data(struct pack **out, const struct settings *s, int size);
/* The side of the images of a pack; 0 for what open_data prepares at any size. */
int data_size(const struct settings *s, int *size);

#endif

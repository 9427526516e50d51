/* kernels.h - the kernels of its own that a plugin records. */
#ifndef VITRO_LINT_KERNELS_H
#define VITRO_LINT_KERNELS_H

#include "lint_private.h"

/* Whether some kernel brings its own derivative; 0 too where nothing can be recorded. */
int kernels_derive(struct subject *s);

#endif

/* kernel_extension.h - the host's side of vitro/kernel.h. */
#ifndef VITRO_HOST_KERNEL_EXTENSION_H
#define VITRO_HOST_KERNEL_EXTENSION_H

#include <vitro/kernel.h>

extern const vitro_kernel_ops kernel_extension;

#endif

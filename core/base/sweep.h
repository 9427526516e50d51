/* sweep.h - keeps a folder of things that can be made again from growing without end. */
#ifndef VITRO_BASE_SWEEP_H
#define VITRO_BASE_SWEEP_H

#include <stdint.h>

/* Where the folder's files have more than `limit` bytes together, removes the oldest until half of that is left. Others may
 * be doing the same; what cannot be read or removed is left. */
void sweep_folder(const char *folder, uint64_t limit);

#endif
